/* SPDX-License-Identifier: GPL-2.0-only */
/* The list of disks on which iocost is to be enabled. */
#include <string.h>

#include "policy/cost_words.h"
#include "policy/rules_priv.h"

static void words_text(bool qos, char *buf, size_t size)
{
	size_t n = 0;

	*buf = 0;
	for (const struct vst_cost_word *w = vst_cost_words(qos); w->name && n < size; w++)
		n += snprintf(buf + n, size - n, "%s%s", n ? ", " : "", w->name);
}

/* One word, as rbps=1000, which begins at this byte of the value. */
static bool check_word(struct vst_parse *p, struct vst_yaml *node, bool qos, size_t at, size_t len, unsigned int *seen)
{
	const char *word = node->text + at, *equal = memchr(word, '=', len);
	size_t name = equal ? (size_t)(equal - word) : len;
	const struct vst_cost_word *w = vst_cost_word_find(qos, word, name);
	unsigned int column = vst_yaml_column_of(node, at), bit;
	const char *key = vst_iocost_key_name(qos ? VST_IOCOST_KEY_QOS : VST_IOCOST_KEY_MODEL);
	char known[128];

	if (!w || !equal) {
		words_text(qos, known, sizeof(known));
		vst_parse_error_at(p, node->line, column, "%s has no %s; write NAME=VALUE with the names %s", key,
				   vst_quote(word, len).text, known);
		return false;
	}
	bit = 1U << (w - vst_cost_words(qos));
	if (*seen & bit) {
		vst_parse_error_at(p, node->line, column, "%s has %s twice; remove one of them", key, w->name);
		return false;
	}
	*seen |= bit;
	if (vst_cost_value_fits(w->type, equal + 1, len - name - 1))
		return true;
	vst_parse_error_at(p, node->line, vst_yaml_column_of(node, at + name + 1), "%s of %s is %s; write %s", w->name,
			   key, vst_quote(equal + 1, len - name - 1).text, vst_cost_type_text(w->type));
	return false;
}

/* A value of io.cost.model or io.cost.qos. NULL: it is wrong, which was reported. */
static const char *parse_value(struct vst_parse *p, struct vst_yaml *node, bool qos)
{
	const char *key = vst_iocost_key_name(qos ? VST_IOCOST_KEY_QOS : VST_IOCOST_KEY_MODEL);
	const char *needed = qos ? "enable" : "ctrl";
	unsigned int seen = 0;
	bool ok = true;

	if (!vst_decode_scalar(p, node, key, qos ? "\"enable=1 ctrl=auto\"" : "\"ctrl=auto\""))
		return NULL;
	if (node->len >= VST_COST_VALUE_MAX) {
		vst_parse_error(p, node, "%s is %zu bytes long; up to %d are read", key, node->len,
				VST_COST_VALUE_MAX - 1);
		return NULL;
	}
	for (size_t at = strspn(node->text, " "), len; ok && at < node->len;
	     at += len + strspn(node->text + at + len, " ")) {
		len = strcspn(node->text + at, " ");
		ok = check_word(p, node, qos, at, len, &seen);
	}
	if (!ok)
		return NULL;
	for (int i = 0; i < 2; i++, needed = "ctrl") {
		const struct vst_cost_word *w = vst_cost_word_find(qos, needed, strlen(needed));

		if (seen & 1U << (w - vst_cost_words(qos)))
			continue;
		vst_parse_error(p, node, "%s has no %s; add it, as in the line that vstorctl calibrate prints", key,
				needed);
		return NULL;
	}
	return vst_parse_text(p, node->text, node->len);
}

static void parse_entry(struct vst_parse *p, struct vst_yaml *node, struct vst_iocost *ret)
{
	static const struct vst_keys keys = {
		.name = vst_iocost_key_name,
		.n = VST_IOCOST_KEY__N,
		.what = "an entry of iocost",
		.example = "{device: vda, model: \"ctrl=auto\", qos: \"enable=1 ctrl=auto\"}"
	};
	struct vst_yaml *key[VST_IOCOST_KEY__N], *value[VST_IOCOST_KEY__N];

	ret->line = node->line;
	if (!vst_decode_map(p, node, &keys, key, value))
		return;
	for (unsigned int i = 0; i < VST_IOCOST_KEY__N; i++)
		if (!value[i])
			vst_parse_error(p, node,
					"an entry of iocost has no %s; 'vstorctl calibrate DEVICE' prints a "
					"whole entry",
					vst_iocost_key_name(i));
	if (value[VST_IOCOST_KEY_DEVICE])
		vst_parse_globs(p, value[VST_IOCOST_KEY_DEVICE], VST_MATCH_DEVICE, &ret->device);
	if (value[VST_IOCOST_KEY_MODEL])
		ret->model = parse_value(p, value[VST_IOCOST_KEY_MODEL], false);
	if (value[VST_IOCOST_KEY_QOS])
		ret->qos = parse_value(p, value[VST_IOCOST_KEY_QOS], true);
}

void vst_parse_iocost(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy)
{
	struct vst_iocost *list;

	if (node->type != VST_YAML_LIST || !node->n) {
		vst_parse_error(p, node, "iocost is not a list of disks; write each as '- device: ...'");
		return;
	}
	if (node->n > VST_POLICY_MAX_IOCOST) {
		vst_parse_error(p, node, "%zu entries of iocost; up to %d are read: use globs of devices", node->n,
				VST_POLICY_MAX_IOCOST);
		return;
	}
	list = vst_parse_alloc(p, node->n, sizeof(*list));
	if (!list)
		return;
	policy->iocost = list;
	vst_yaml_for_each (item, node)
		parse_entry(p, item, &list[policy->n_iocost++]);
}
