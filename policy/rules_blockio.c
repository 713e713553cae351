/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Blockio classes, as container runtimes read them through goresctrl, and the annotations by which a pod names one.
 * Each item of a class becomes a rule that matches the class.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rules_priv.h"

/* goresctrl's limits. Its default is 100, as io.weight's is, so a weight is taken over as it is. */
#define WEIGHT_MIN 10
#define WEIGHT_MAX 1000

/* X(ENUM, "key", limit) */
#define THROTTLES(X)                                                                                                   \
	X(READ_BPS, "ThrottleReadBps", READ)                                                                           \
	X(WRITE_BPS, "ThrottleWriteBps", WRITE)                                                                        \
	X(READ_IOPS, "ThrottleReadIOPS", READ_IOPS)                                                                    \
	X(WRITE_IOPS, "ThrottleWriteIOPS", WRITE_IOPS)

enum item_key {
	ITEM_DEVICES,
	ITEM_WEIGHT,
#define X(e, k, l) ITEM_##e,
	THROTTLES(X)
#undef X
		ITEM__N
};

static const struct {
	enum item_key key;
	enum vst_max_part limit;
} throttles[] = {
#define X(e, k, l) { ITEM_##e, VST_LIMIT_##l },
	THROTTLES(X)
#undef X
};

static const char *item_key_name(unsigned int i)
{
#define X(e, k, l) k,
	static const char *const names[] = { "Devices", "Weight", THROTTLES(X) };
#undef X
	return i < VST_ARRAY_SIZE(names) ? names[i] : NULL;
}

static const char *top_key_name(unsigned int i)
{
	return i == 0 ? "Classes" : NULL;
}

/* Quantities of Kubernetes: 50M is 50,000,000 and 50Mi is 52,428,800. */
static const struct {
	const char *suffix;
	double factor;
} suffixes[] = {
	{ "", 1 },	   { "k", 1e3 },	 { "M", 1e6 },
	{ "G", 1e9 },	   { "T", 1e12 },	 { "Ki", 1024 },
	{ "Mi", 1048576 }, { "Gi", 1073741824 }, { "Ti", 1099511627776.0 },
};

/* With the largest suffix of which it is a whole multiple. */
static const char *quantity_text(double value, char *buf, size_t size)
{
	size_t best = 0;

	for (size_t i = 0; i < VST_ARRAY_SIZE(suffixes); i++)
		if (suffixes[i].factor > suffixes[best].factor && !((uint64_t)value % (uint64_t)suffixes[i].factor))
			best = i;
	snprintf(buf, size, "%.0f%s", value / suffixes[best].factor, suffixes[best].suffix);
	return buf;
}

/* 0 takes a limit away, as it does in goresctrl. */
static bool parse_limit(struct vst_parse *p, struct vst_yaml *node, enum item_key key, enum vst_max_part limit,
			uint64_t *ret)
{
	const char *what = item_key_name(key);
	char low[32], high[32];
	size_t digits, i = 0;
	double value, min, max;

	if (!vst_decode_scalar(p, node, what, "50M"))
		return false;
	digits = strspn(node->text, "0123456789");
	while (i < VST_ARRAY_SIZE(suffixes) && strcmp(node->text + digits, suffixes[i].suffix) != 0)
		i++;
	if (!digits || i == VST_ARRAY_SIZE(suffixes)) {
		vst_parse_error(p, node, "%s is %s, which is not a quantity; write it like 50M or 50Mi", what,
				VST_QUOTE(node));
		return false;
	}
	vst_limit_range(limit, &min, &max);
	value = digits > 15 ? INFINITY : strtoull(node->text, NULL, 10) * suffixes[i].factor;
	if (value > max || (value > 0 && value < min)) {
		vst_parse_error(p, node, VST_OUT_OF_RANGE, what, VST_QUOTE(node), quantity_text(min, low, sizeof(low)),
				quantity_text(max, high, sizeof(high)));
		return false;
	}
	*ret = value;
	return true;
}

/* A glob that matches just this text. */
static bool literal_glob(struct vst_parse *p, const char *text, struct vst_globs *ret)
{
	struct vst_glob *glob = vst_parse_alloc(p, 1, sizeof(*glob));
	char *s = vst_parse_alloc(p, 2 * strlen(text) + 1, 1);

	if (!glob || !s)
		return false;
	glob->text = s;
	for (; *text; text++) {
		if (strchr("*?[\\", *text))
			*s++ = '\\';
		*s++ = *text;
	}
	ret->glob = glob;
	ret->n = 1;
	return true;
}

/* An item of a class, its keys sorted. */
struct item {
	struct vst_yaml *node, *value[ITEM__N];
	bool ok;
};

static void parse_values(struct vst_parse *p, const struct item *item, struct vst_rule *rule)
{
	struct vst_yaml *const *value = item->value;
	bool limited = false;

	if (value[ITEM_WEIGHT] &&
	    vst_decode_integer(p, value[ITEM_WEIGHT], "Weight", WEIGHT_MIN, WEIGHT_MAX, &rule->weight))
		rule->wants |= 1U << VST_ATTR_WEIGHT;
	for (size_t i = 0; i < VST_ARRAY_SIZE(throttles); i++) {
		struct vst_yaml *v = value[throttles[i].key];

		if (!v)
			continue;
		limited = true;
		parse_limit(p, v, throttles[i].key, throttles[i].limit, &rule->max.limit[throttles[i].limit]);
	}
	if (limited)
		rule->wants |= 1U << VST_ATTR_MAX;
	if (limited && !value[ITEM_DEVICES])
		vst_parse_error(p, item->node, "throttling needs to know the disks; add 'Devices: [/dev/...]'");
	else if (!value[ITEM_WEIGHT] && !limited)
		vst_parse_error(p, item->node,
				"an item of a class sets nothing; add Weight or a Throttle..., or remove it");
}

static void parse_item(struct vst_parse *p, const struct vst_yaml *class, const struct item *item, unsigned int number,
		       struct vst_rule *rule)
{
	char name[VST_POLICY_MAX_TEXT + 32];
	int n = snprintf(name, sizeof(name), "blockio %s", class->text);

	if (number > 1)
		n += snprintf(name + n, sizeof(name) - n, " item %u", number);
	rule->name = vst_parse_text(p, name, n);
	rule->file = vst_parse_text(p, p->file, strlen(p->file));
	rule->line = item->node->line;
	rule->column = item->node->column;
	literal_glob(p, class->text, &rule->match[VST_MATCH_BLOCKIO]);
	if (item->value[ITEM_DEVICES])
		vst_parse_globs(p, item->value[ITEM_DEVICES], VST_MATCH_DEVICE, &rule->match[VST_MATCH_DEVICE]);
	parse_values(p, item, rule);
}

/* The rules of a class, into as many slots as it has items. */
static void parse_class(struct vst_parse *p, struct vst_yaml *class, struct vst_rule *rules)
{
	static const struct vst_keys keys = { .name = item_key_name,
					      .n = ITEM__N,
					      .what = "an item of a class",
					      .example = "- Weight: 80",
					      .any_case = true };
	struct vst_yaml *key[ITEM__N];
	struct item *items = vst_parse_alloc(p, class->next->n, sizeof(*items));
	size_t n = 0;

	if (!items)
		return;
	vst_yaml_for_each (node, class->next) {
		items[n].node = node;
		items[n].ok = vst_decode_map(p, node, &keys, key, items[n].value);
		n++;
	}
	/*
	 * The items with devices come last: a weight without devices is the one of all devices that no other item
	 * names, wherever it stands.
	 */
	for (int with_devices = 0; with_devices < 2; with_devices++)
		for (size_t i = 0; i < n; i++)
			if (items[i].ok && !items[i].value[ITEM_DEVICES] == !with_devices)
				parse_item(p, class, &items[i], i + 1, rules++);
}

/* Is it a name with a list of items? A class without items is one that limits nothing. */
static bool check_class(struct vst_parse *p, struct vst_yaml *class, const struct vst_policy *policy)
{
	struct vst_yaml *items = class->next;

	if (!vst_decode_scalar(p, class, "the name of a class", "LowPrio"))
		return false;
	if (vst_policy_has_blockio(policy, class->text)) {
		vst_parse_error(p, class, "class %s is defined twice; remove one", VST_QUOTE(class));
		return false;
	}
	if (items->type == VST_YAML_LIST || (items->type == VST_YAML_SCALAR && !items->len))
		return true;
	vst_parse_error(p, items, "class %s is not a list; write '- Weight: 80' below its name", VST_QUOTE(class));
	return false;
}

static void parse_classes(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy)
{
	const char **names = vst_parse_alloc(p, node->n, sizeof(*names));
	struct vst_rule *rules;
	size_t n = 0;

	vst_yaml_for_each_pair (class, node)
		n += class->next->type == VST_YAML_LIST ? class->next->n : 0;
	rules = vst_parse_add_rules(p, node, policy, n);
	if (!names || !rules)
		return;
	policy->blockio = names;
	vst_yaml_for_each_pair (class, node) {
		if (!check_class(p, class, policy))
			continue;
		names[policy->n_blockio] = vst_parse_text(p, class->text, class->len);
		if (!names[policy->n_blockio])
			return;
		policy->n_blockio++;
		if (class->next->type != VST_YAML_LIST)
			continue;
		parse_class(p, class, rules);
		rules += class->next->n;
		policy->n_rules += class->next->n;
	}
}

static void parse_text(struct vst_parse *p, const char *text, size_t len, struct vst_policy *policy)
{
	static const struct vst_keys keys = { .name = top_key_name,
					      .n = 1,
					      .what = "a file of blockio classes",
					      .example = "Classes: {LowPrio: [{Weight: 80}]}",
					      .any_case = true };
	struct vst_yaml *key[1], *value[1], *root = vst_yaml_parse(p, text, len);

	if (!root || !vst_decode_map(p, root, &keys, key, value))
		return;
	if (!value[0] || value[0]->type != VST_YAML_MAP)
		vst_parse_error(p, value[0] ? value[0] : root, "there are no classes; write them like %s",
				keys.example);
	else if (value[0]->n > VST_POLICY_MAX_RULES)
		vst_parse_error(p, value[0], "%zu classes; up to %d are read", value[0]->n, VST_POLICY_MAX_RULES);
	else
		parse_classes(p, value[0], policy);
}

/* A relative path starts from the directory of the policy. */
static char *resolve_path(struct vst_parse *p, const char *path)
{
	const char *slash = strrchr(p->file, '/');
	size_t dir = *path == '/' || !slash ? 0 : (size_t)(slash + 1 - p->file), len = strlen(path);
	char *s = vst_parse_alloc(p, dir + len + 1, 1);

	if (s) {
		memcpy(s, p->file, dir);
		memcpy(s + dir, path, len);
	}
	return s;
}

void vst_parse_blockio(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy)
{
	struct vst_parse inner = *p;
	char *text = NULL;
	size_t len;
	int r;

	if (!vst_decode_scalar(p, node, "blockio", "/etc/containers/blockio.yaml"))
		return;
	inner.imported = true;
	inner.file = resolve_path(p, node->text);
	if (!inner.file)
		return;
	r = p->read ? p->read(p->read_arg, inner.file, &text, &len) : -EPERM;
	if (r == -EFBIG)
		vst_parse_error(p, node, "%s is larger than 1 MiB; is it a file of blockio classes?", inner.file);
	else if (r)
		vst_parse_error(p, node, "cannot read %s: %s; correct the path, or remove the import", inner.file,
				strerror(-r));
	else
		parse_text(&inner, text, len, policy);
	free(text);
	p->no_memory |= inner.no_memory;
}

bool vst_policy_has_blockio(const struct vst_policy *policy, const char *class)
{
	for (size_t i = 0; i < policy->n_blockio; i++)
		if (!strcmp(policy->blockio[i], class))
			return true;
	return false;
}

/* The first that is there counts; %s is the container. The first one is the runtime's own, on the container itself. */
static const char *const annotations[] = {
	"io.kubernetes.cri.blockio-class",
	"blockio.resources.beta.kubernetes.io/container.%s",
	"blockio.resources.beta.kubernetes.io/pod",
	"blockio.resources.beta.kubernetes.io",
};

const char *vst_blockio_class(const struct vst_label *annotation, size_t n, const char *container)
{
	char key[512];

	for (size_t i = 0; i < VST_ARRAY_SIZE(annotations); i++) {
		const char *percent = strchr(annotations[i], '%');
		int prefix = percent ? (int)(percent - annotations[i]) : (int)strlen(annotations[i]);

		if (percent && !container)
			continue;
		/* the name of a container comes from outside: it must not be cut off and then be another's */
		if (snprintf(key, sizeof(key), "%.*s%s", prefix, annotations[i], percent ? container : "") >=
		    (int)sizeof(key))
			continue;
		for (size_t j = 0; j < n; j++)
			if (!strcmp(annotation[j].key, key))
				return *annotation[j].value ? annotation[j].value : NULL;
	}
	return NULL;
}
