// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/bcache_file.h"

const struct vst_bcache_attr vst_bcache_attrs[VST_BCACHE_ATTR__N] = {
#define X(e, n, f, s, m, c, d) [VST_BCACHE_ATTR_##e] = { n, VST_BCACHE_##f, s, m, c, d },
	VST_BCACHE_ATTRS(X)
#undef X
};

const struct vst_bcache_attr *vst_bcache_attr_find(const char *name)
{
	for (int i = 0; i < VST_BCACHE_ATTR__N; i++)
		if (!strcmp(vst_bcache_attrs[i].name, name))
			return &vst_bcache_attrs[i];
	return NULL;
}

/* Digits at the start of a text. Their number; 0: none, or too many. */
static size_t parse_digits(const char *text, uint64_t *ret)
{
	size_t n = strspn(text, "0123456789");

	*ret = 0;
	for (size_t i = 0; n <= 18 && i < n; i++)
		*ret = *ret * 10 + (uint64_t)(text[i] - '0');
	return n <= 18 ? n : 0;
}

/* "4.0M", as bch_hprint() writes it: one digit after the point, at least k, less than 1000 of a unit. */
static bool parse_shown(const char *text, uint64_t *ret)
{
	uint64_t whole, unit = 1;
	size_t n = parse_digits(text, &whole);
	const char *units = "kMGTPE", *u;

	if (!n || whole > 999 || text[n] != '.' || text[n + 1] < '0' || text[n + 1] > '9' || !text[n + 2] ||
	    text[n + 3])
		return false;
	u = strchr(units, text[n + 2]);
	if (!u)
		return false;
	for (const char *i = units; i <= u; i++)
		unit <<= 10;
	*ret = whole * unit + (uint64_t)(text[n + 1] - '0') * unit / 10;
	return true;
}

/* What the kernel will show of this size. */
static void show_size(uint64_t bytes, char *buf, size_t len)
{
	const char *unit = "?kMGTPE";
	uint64_t rest;

	do {
		unit++;
		rest = bytes & 1023;
		bytes >>= 10;
	} while (bytes >= 1000);
	snprintf(buf, len, "%" PRIu64 ".%" PRIu64 "%c", bytes, rest * 10 / 1024, *unit);
}

/* "4MiB", "512KiB", "0", or bytes. */
static bool parse_size(const char *text, uint64_t *ret)
{
	static const struct {
		const char *text;
		unsigned int shift;
	} units[] = { { "", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };
	uint64_t value;
	size_t n = parse_digits(text, &value);

	for (size_t i = 0; n && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + n, units[i].text) != 0 || value > UINT64_MAX >> units[i].shift)
			continue;
		*ret = value << units[i].shift;
		return true;
	}
	return false;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *c = choices; len && *c; c += strcspn(c, " "), c += *c == ' ')
		if (strcspn(c, " ") == len && !strncmp(c, value, len))
			return true;
	return false;
}

static int size_value(const struct vst_bcache_attr *attr, const char *value, char *ret, char *text)
{
	char shown[32];
	uint64_t bytes, same;

	if (!parse_size(value, &bytes) || bytes > attr->max) {
		vst_explain(text, "%s is '%s'; write a size below 4GiB, as in 4MiB, or 0", attr->name, value);
		return -EINVAL;
	}
	show_size(bytes, shown, sizeof(shown));
	if (!parse_shown(shown, &same) || same != bytes) {
		vst_explain(text,
			    "%s is '%s', which the kernel shows as %s: vstor could not tell later whether somebody "
			    "changed it; write a whole number of KiB below 1000KiB, or of MiB below 1000MiB",
			    attr->name, value, shown);
		return -EINVAL;
	}
	snprintf(ret, VST_VALUE_MAX, "%" PRIu64, bytes);
	return 0;
}

int vst_bcache_value(const struct vst_bcache_attr *attr, const char *value, char ret[VST_VALUE_MAX],
		     char text[VST_TEXT_MAX])
{
	uint64_t number;
	size_t n;

	switch (attr->form) {
	case VST_BCACHE_SIZE:
		return size_value(attr, value, ret, text);
	case VST_BCACHE_NUMBER:
		n = parse_digits(value, &number);
		if (!n || value[n] || number > attr->max) {
			vst_explain(text, "%s is '%s'; write a whole number from 0 to %" PRIu64, attr->name, value,
				    attr->max);
			return -EINVAL;
		}
		snprintf(ret, VST_VALUE_MAX, "%" PRIu64, number);
		return 0;
	case VST_BCACHE_CHOICE:
		if (!is_choice(attr->choices, value)) {
			vst_explain(text, "%s is '%s'; write one of: %s", attr->name, value, attr->choices);
			return -EINVAL;
		}
		snprintf(ret, VST_VALUE_MAX, "%s", value);
		return 0;
	}
	return -EINVAL;
}

int vst_bcache_value_get(const struct vst_bcache_attr *attr, const char *file, char ret[VST_VALUE_MAX])
{
	char line[128];
	size_t len = strcspn(file, "\n");
	const char *open, *close;
	uint64_t number;
	size_t n;

	if (len >= sizeof(line))
		return -EINVAL;
	snprintf(line, sizeof(line), "%.*s", (int)len, file);
	if (attr->form == VST_BCACHE_CHOICE) {
		open = strchr(line, '[');
		close = open ? strchr(open, ']') : NULL;
		if (!close || close == open + 1)
			return -EINVAL;
		snprintf(ret, VST_VALUE_MAX, "%.*s", (int)(close - open - 1), open + 1);
		return 0;
	}
	n = parse_digits(line, &number);
	if (attr->form == VST_BCACHE_SIZE ? !parse_shown(line, &number) : !n || line[n])
		return -EINVAL;
	snprintf(ret, VST_VALUE_MAX, "%" PRIu64, number);
	return 0;
}
