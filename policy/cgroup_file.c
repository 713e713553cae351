/* SPDX-License-Identifier: GPL-2.0-only */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/cgroup_file.h"
#include "policy/cost_words.h"

#define THROTTLE_V1(name, min, what)                                                                                   \
	{ name, false, false, VST_FORM_V1_DEVICE, VST_NEED_DEVICE, min, UINT64_MAX, "0", what }

const struct vst_cgroup_attr vst_cgroup_attrs[] = {
	{ "io.weight", true, false, VST_FORM_WEIGHT, VST_NEED_IOCOST, 1, 10000, "default",
	  "share of a busy disk under iocost" },
	{ "io.bfq.weight", true, false, VST_FORM_WEIGHT, VST_NEED_BFQ, 1, 1000, "default",
	  "share of a busy disk under bfq" },
	{ "io.max", true, false, VST_FORM_MAX, VST_NEED_DEVICE, 0, UINT64_MAX, "max",
	  "limit of bytes or requests a second" },
	{ "io.cost.qos", true, true, VST_FORM_COST, VST_NEED_DEVICE, 0, 0, "enable=0 ctrl=auto",
	  "enables iocost and says when a disk counts as busy" },
	{ "io.cost.model", true, true, VST_FORM_COST, VST_NEED_DEVICE, 0, 0, "ctrl=auto",
	  "what a disk can do, for iocost" },
	{ "cgroup.subtree_control", true, false, VST_FORM_CONTROLLER, VST_NEED_NOTHING, 0, 0, "-",
	  "gives the children of a cgroup their io files" },
	{ "blkio.bfq.weight", false, false, VST_FORM_V1_NUMBER, VST_NEED_BFQ, 1, 1000, "100",
	  "share of a busy disk under bfq" },
	{ "blkio.bfq.weight_device", false, false, VST_FORM_WEIGHT, VST_NEED_BFQ, 1, 1000, "default",
	  "share of one busy disk under bfq" },
	THROTTLE_V1("blkio.throttle.read_bps_device", VST_LIMIT_BYTES_MIN, "limit of bytes read a second"),
	THROTTLE_V1("blkio.throttle.write_bps_device", VST_LIMIT_BYTES_MIN,
		    "limit of bytes written a second, direct I/O only"),
	THROTTLE_V1("blkio.throttle.read_iops_device", VST_LIMIT_IOPS_MIN, "limit of reads a second"),
	THROTTLE_V1("blkio.throttle.write_iops_device", VST_LIMIT_IOPS_MIN,
		    "limit of writes a second, direct I/O only"),
	{ 0 },
};

static const char *const max_parts[] = { "rbps", "wbps", "riops", "wiops" };

const struct vst_cgroup_attr *vst_cgroup_attr_find(const char *name)
{
	for (const struct vst_cgroup_attr *a = vst_cgroup_attrs; a->name; a++)
		if (!strcmp(a->name, name))
			return a;
	return NULL;
}

/* --- keys --- */

static size_t digits(const char *s)
{
	return strspn(s, "0123456789");
}

size_t vst_cgroup_key_device(const char *key)
{
	size_t major = digits(key), minor;

	if (!major || major > 10 || key[major] != ':')
		return 0;
	minor = digits(key + major + 1);
	if (!minor || minor > 10 || (key[major + 1 + minor] && key[major + 1 + minor] != ' '))
		return 0;
	return major + 1 + minor;
}

/* The part of io.max that a key names, or NULL. */
static const char *key_part(const char *key)
{
	size_t dev = vst_cgroup_key_device(key);

	for (size_t i = 0; dev && i < sizeof(max_parts) / sizeof(*max_parts); i++)
		if (key[dev] == ' ' && !strcmp(key + dev + 1, max_parts[i]))
			return max_parts[i];
	return NULL;
}

bool vst_cgroup_key_valid(const struct vst_cgroup_attr *attr, const char *key)
{
	size_t dev = vst_cgroup_key_device(key);
	bool is_device = dev && !key[dev];

	switch (attr->form) {
	case VST_FORM_WEIGHT:
		return is_device || (attr->v2 && !strcmp(key, "default"));
	case VST_FORM_MAX:
		return key_part(key) != NULL;
	case VST_FORM_COST:
	case VST_FORM_V1_DEVICE:
		return is_device;
	case VST_FORM_CONTROLLER:
		return !strcmp(key, "io");
	case VST_FORM_V1_NUMBER:
		return !strcmp(key, "default");
	}
	return false;
}

/* --- values of io.cost.*: words of the form name=value --- */

/* Calls each word's name and value; both end where the next begins. Returns false once f does. */
static bool each_word(const char *s,
		      bool (*f)(void *ctx, const char *name, size_t name_len, const char *value, size_t len), void *ctx)
{
	for (;;) {
		size_t len, name;

		s += strspn(s, " ");
		len = strcspn(s, " ");
		if (!len)
			return true;
		name = strcspn(s, "= ");
		if (name >= len || !f(ctx, s, name, s + name + 1, len - name - 1))
			return false;
		s += len;
	}
}

static bool word_find(void *ctx, const char *name, size_t name_len, const char *value, size_t len)
{
	const char **found = ctx; /* in: the name; out: the value */

	if (strlen(found[0]) == name_len && !strncmp(found[0], name, name_len)) {
		found[1] = value;
		return false;
	}
	return true;
}

/* The value of a word, or NULL. */
static const char *word_value(const char *s, const char *name)
{
	const char *found[2] = { name, NULL };

	each_word(s, word_find, found);
	return found[1];
}

static bool word_allowed(void *ctx, const char *name, size_t name_len, const char *value, size_t len)
{
	const struct vst_cost_word *word = vst_cost_word_find(*(const bool *)ctx, name, name_len);

	return word && vst_cost_value_fits(word->type, value, len);
}

static int cost_check(const struct vst_cgroup_attr *attr, const char *value, char text[VST_TEXT_MAX])
{
	bool qos = !strcmp(attr->name, "io.cost.qos");

	if (*value && each_word(value, word_allowed, &qos) && word_value(value, "ctrl"))
		return 0;
	vst_explain(text, "%s takes %s; '%s' is not of that form", attr->name,
		    qos ? "enable=0|1 ctrl=auto|user and rpct, rlat, wpct, wlat, min, max"
			: "ctrl=auto|user model=linear and rbps, rseqiops, rrandiops, wbps, wseqiops, wrandiops",
		    value);
	return -EINVAL;
}

struct words {
	const char *now;
	bool is_auto; /* the kernel chooses all but enable and ctrl */
};

/* Numbers mean the same in all their forms: 95 and 95.00. */
static bool word_equal(void *ctx, const char *name, size_t name_len, const char *value, size_t len)
{
	const struct words *w = ctx;
	char word[24], *end_now, *end;
	const char *now;
	double a, b;

	snprintf(word, sizeof(word), "%.*s", (int)name_len, name);
	if (w->is_auto && strcmp(word, "enable") && strcmp(word, "ctrl"))
		return true;
	now = word_value(w->now, word);
	if (!now)
		return false;
	a = strtod(now, &end_now);
	b = strtod(value, &end);
	if (end_now == now || end == value)
		return strcspn(now, " ") == len && !strncmp(now, value, len);
	return a == b;
}

static bool cost_equal(const char *now, const char *written)
{
	const char *ctrl = word_value(written, "ctrl");
	struct words w = { now, ctrl && !strncmp(ctrl, "auto", 4) };

	return each_word(written, word_equal, &w);
}

/* --- other values --- */

static bool parse_number(const char *s, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	return !errno && !*end;
}

static int number_check(const struct vst_cgroup_attr *attr, const char *key, const char *value, char text[VST_TEXT_MAX])
{
	uint64_t min = attr->min, n;

	if (attr->form == VST_FORM_MAX)
		min = strstr(key, "iops") ? VST_LIMIT_IOPS_MIN : VST_LIMIT_BYTES_MIN;
	if (!strcmp(value, attr->unset) && strcmp(key, "default"))
		return 0;
	if (parse_number(value, &n) && n >= min && n <= attr->max)
		return 0;
	if (attr->max == UINT64_MAX)
		vst_explain(text, "%s takes a number from %" PRIu64 ", or %s for no limit; not '%s'", attr->name, min,
			    attr->unset, value);
	else
		vst_explain(text, "%s takes a number from %" PRIu64 " to %" PRIu64 "%s%s; not '%s'", attr->name, min,
			    attr->max, strcmp(key, "default") ? ", or " : "", strcmp(key, "default") ? attr->unset : "",
			    value);
	return -EINVAL;
}

int vst_cgroup_value_check(const struct vst_cgroup_attr *attr, const char *key, const char *value,
			   char text[VST_TEXT_MAX])
{
	if (attr->form == VST_FORM_COST)
		return cost_check(attr, value, text);
	if (attr->form != VST_FORM_CONTROLLER)
		return number_check(attr, key, value, text);
	if (!strcmp(value, "+") || !strcmp(value, "-"))
		return 0;
	vst_explain(text, "%s takes + or -, not '%s'", attr->name, value);
	return -EINVAL;
}

static int value_copy(char ret[VST_VALUE_MAX], const char *s, size_t len)
{
	if (len >= VST_VALUE_MAX)
		return -E2BIG;
	memcpy(ret, s, len);
	ret[len] = 0;
	return 0;
}

/* Does the text have this word? */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += len)
		if ((p == text || p[-1] == ' ') && (!p[len] || p[len] == ' ' || p[len] == '\n'))
			return true;
	return false;
}

/* The rest of the line that begins with the first len bytes of key and a space, or NULL. */
static const char *line_of(const char *file, const char *key, size_t len, size_t *ret_len)
{
	while (*file) {
		size_t line = strcspn(file, "\n");

		if (line > len && !strncmp(file, key, len) && file[len] == ' ') {
			*ret_len = line - len - 1;
			return file + len + 1;
		}
		file += line + (file[line] == '\n');
	}
	return NULL;
}

static int max_get(const char *key, const char *line, size_t len, char ret[VST_VALUE_MAX])
{
	char all[VST_VALUE_MAX];
	const char *value;
	int err = value_copy(all, line, len);

	if (err)
		return err;
	value = word_value(all, key_part(key));
	return value ? value_copy(ret, value, strcspn(value, " ")) : -EINVAL;
}

int vst_cgroup_value_get(const struct vst_cgroup_attr *attr, const char *key, const char *file, char ret[VST_VALUE_MAX])
{
	size_t dev = vst_cgroup_key_device(key), len;
	const char *line;

	if (attr->form == VST_FORM_CONTROLLER)
		return value_copy(ret, has_word(file, key) ? "+" : "-", 1);
	if (attr->form == VST_FORM_V1_NUMBER) {
		len = digits(file);
		return len && (!file[len] || file[len] == '\n') ? value_copy(ret, file, len) : -EINVAL;
	}
	line = line_of(file, key, dev ? dev : strlen(key), &len);
	if (!line)
		return dev ? value_copy(ret, attr->unset, strlen(attr->unset)) : -EINVAL;
	if (attr->form == VST_FORM_MAX)
		return max_get(key, line, len, ret);
	return value_copy(ret, line, len);
}

size_t vst_cgroup_line(const struct vst_cgroup_attr *attr, const char *key, const char *value, char *buf, size_t len)
{
	size_t dev = vst_cgroup_key_device(key);
	const char *ctrl;

	switch (attr->form) {
	case VST_FORM_MAX:
		return snprintf(buf, len, "%.*s %s=%s", (int)dev, key, key_part(key), value);
	case VST_FORM_CONTROLLER:
		return snprintf(buf, len, "%s%s", value, key);
	case VST_FORM_V1_NUMBER:
		return snprintf(buf, len, "%s", value);
	case VST_FORM_COST:
		/* After ctrl=auto, any parameter turns the kernel to ctrl=user again: write what it leaves to us. */
		ctrl = word_value(value, "ctrl");
		if (ctrl && !strncmp(ctrl, "auto", 4)) {
			const char *enable = word_value(value, "enable");

			return snprintf(buf, len, "%s%s%.1s ctrl=auto", key, enable ? " enable=" : "",
					enable ? enable : "");
		}
		return snprintf(buf, len, "%s %s", key, value);
	case VST_FORM_WEIGHT:
	case VST_FORM_V1_DEVICE:
		break;
	}
	return snprintf(buf, len, "%s %s", key, value);
}

bool vst_cgroup_value_equal(const struct vst_cgroup_attr *attr, const char *now, const char *written)
{
	uint64_t a, b;

	if (attr->form == VST_FORM_COST)
		return cost_equal(now, written);
	if (parse_number(now, &a) && parse_number(written, &b))
		return a == b;
	return !strcmp(now, written);
}
