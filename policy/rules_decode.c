/* SPDX-License-Identifier: GPL-2.0-only */
/* From nodes of YAML to values, with an error at the right place for each that is none. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "policy/rules_priv.h"

void *vst_parse_alloc(struct vst_parse *p, size_t n, size_t size)
{
	void *m = vst_arena_alloc(p->arena, n, size);

	if (!m)
		p->no_memory = true;
	return m;
}

char *vst_parse_text(struct vst_parse *p, const char *text, size_t len)
{
	char *s = vst_arena_text(p->arena, text, len);

	if (!s)
		p->no_memory = true;
	return s;
}

/* Column of a byte of a scalar, as far as that can be told. */
unsigned int vst_yaml_column_of(const struct vst_yaml *node, size_t offset)
{
	unsigned int column = node->column;

	if (!node->exact)
		return column;
	for (size_t i = 0; i < offset && i < node->len; i++)
		column += ((unsigned char)node->text[i] & 0xc0) != 0x80;
	return column + node->quoted;
}

bool vst_decode_is(const struct vst_yaml *node, const char *text)
{
	return node->type == VST_YAML_SCALAR && strlen(text) == node->len && !memcmp(node->text, text, node->len);
}

static const char *type_name(const struct vst_yaml *node)
{
	switch (node->type) {
	case VST_YAML_LIST:
		return "a list";
	case VST_YAML_MAP:
		return "a mapping";
	default:
		return node->len || node->quoted ? "a text" : "nothing";
	}
}

bool vst_decode_scalar(struct vst_parse *p, struct vst_yaml *node, const char *what, const char *example)
{
	if (node->type == VST_YAML_SCALAR && node->len)
		return true;
	if (node->type == VST_YAML_SCALAR)
		vst_parse_error(p, node, "%s is empty; write it like %s", what, example);
	else
		vst_parse_error(p, node, "%s is %s, not a single value; write it like %s", what, type_name(node),
				example);
	return false;
}

static int lookup_key(const struct vst_keys *keys, const struct vst_yaml *key)
{
	for (unsigned int i = 0; i < keys->n; i++) {
		const char *name = keys->name(i);

		if (strlen(name) == key->len &&
		    !(keys->any_case ? strncasecmp(name, key->text, key->len) : memcmp(name, key->text, key->len)))
			return i;
	}
	return -1;
}

/* Reports an unknown key. The key that it seems to be a misspelling of, or -1. */
static int report_unknown(struct vst_parse *p, const struct vst_keys *keys, const struct vst_yaml *key)
{
	const char *elsewhere = keys->elsewhere ? keys->elsewhere(key->text, key->len) : NULL, *nearest;
	char hint[512];
	bool close;

	if (!elsewhere)
		vst_nearest_hint(key->text, key->len, keys->name, keys->n, hint, sizeof(hint));
	vst_parse_error(p, key, "unknown key %s in %s; %s", VST_QUOTE(key), keys->what, elsewhere ? elsewhere : hint);
	nearest = vst_nearest(key->text, key->len, keys->name, keys->n, &close);
	return close && !elsewhere ? vst_lookup(nearest, strlen(nearest), keys->name, keys->n) : -1;
}

static void take_key(struct vst_parse *p, const struct vst_keys *keys, struct vst_yaml *k, struct vst_yaml **key,
		     struct vst_yaml **value)
{
	int i = lookup_key(keys, k);

	if (i >= 0 && key[i] && lookup_key(keys, key[i]) == i) {
		vst_parse_error(p, k, "%s has '%s' already in line %u; keep one of them", keys->what, keys->name(i),
				key[i]->line);
		return;
	}
	if (i < 0) {
		/* Its value is read as the nearest key's, so that one mistake does not lead to a second error. */
		i = report_unknown(p, keys, k);
		if (i < 0 || key[i])
			return;
	}
	key[i] = k;
	value[i] = k->next;
}

bool vst_decode_map(struct vst_parse *p, struct vst_yaml *node, const struct vst_keys *keys, struct vst_yaml **key,
		    struct vst_yaml **value)
{
	memset(key, 0, keys->n * sizeof(*key));
	memset(value, 0, keys->n * sizeof(*value));
	if (node->type != VST_YAML_MAP) {
		vst_parse_error(p, node, "%s is %s, not a mapping; write it like %s", keys->what, type_name(node),
				keys->example);
		return false;
	}
	vst_yaml_for_each_pair (k, node) {
		if (k->type != VST_YAML_SCALAR) {
			vst_parse_error(p, k, "a key of %s is %s, not a word; write %s", keys->what, type_name(k),
					keys->example);
			continue;
		}
		take_key(p, keys, k, key, value);
	}
	return true;
}

bool vst_decode_integer(struct vst_parse *p, struct vst_yaml *node, const char *what, unsigned int min,
			unsigned int max, unsigned int *ret)
{
	bool is_number = true;
	char range[48], example[16];
	uint64_t n = 0;

	snprintf(example, sizeof(example), "%u", min);
	snprintf(range, sizeof(range), "a number from %u to %u", min, max);
	if (!vst_decode_scalar(p, node, what, example))
		return false;
	for (size_t i = 0; i < node->len; i++) {
		is_number &= node->text[i] >= '0' && node->text[i] <= '9';
		if (n <= max)
			n = n * 10 + (node->text[i] - '0');
	}
	if (is_number && n >= min && n <= max) {
		*ret = n;
		return true;
	}
	vst_parse_error(p, node, "%s is %s, %s; write %s", what, VST_QUOTE(node),
			is_number ? "out of range" : "not a whole number", min == max ? example : range);
	return false;
}

static const char *unit_kind(enum vst_unit unit)
{
	static const char *const kinds[] = {
		[VST_UNIT_US] = "a duration",
		[VST_UNIT_US_PER_S] = "a time in each second",
		[VST_UNIT_BYTES_PER_S] = "an amount of bytes in a second",
		[VST_UNIT_IOPS] = "a number of operations in a second",
		[VST_UNIT_NUMBER] = "a number",
	};

	_Static_assert(VST_ARRAY_SIZE(kinds) == VST_UNIT__N, "a text for each of VST_RULE_UNITS");
	return kinds[unit];
}

bool vst_decode_quantity(struct vst_parse *p, struct vst_yaml *node, size_t begin, size_t len, const char *what,
			 enum vst_unit unit, double min, double max, double *ret)
{
	unsigned int column = vst_yaml_column_of(node, begin);
	struct vst_quoted q = vst_quote(node->text + begin, len);
	char low[64], high[64];
	double value;
	int r = vst_quantity_parse(node->text + begin, len, unit, &value);

	if (!r && value >= min && value <= max) {
		*ret = value;
		return true;
	}
	if (!begin && len == node->len)
		column = node->column;
	vst_quantity_text(min, unit, low, sizeof(low));
	vst_quantity_text(max, unit, high, sizeof(high));
	if (r == -ENODATA)
		vst_parse_error_at(p, node->line, column, "%s is %s, a number without a unit; write it like %s", what,
				   q.text, vst_unit_example(unit));
	else if (r == -EINVAL)
		vst_parse_error_at(p, node->line, column, "%s is %s, which is not %s; write it like %s", what, q.text,
				   unit_kind(unit), vst_unit_example(unit));
	else
		vst_parse_error_at(p, node->line, column, VST_OUT_OF_RANGE, what, q.text, low, high);
	return false;
}
