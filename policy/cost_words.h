/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The words of the root's io.cost.model and io.cost.qos, as Documentation/admin-guide/cgroup-v2.rst lists them. The policy
 * parser and the actor's whitelist check values against these rows.
 */
#ifndef VST_POLICY_COST_WORDS_H
#define VST_POLICY_COST_WORDS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { VST_COST_VALUE_MAX = 256 }; /* with the final NUL: what fits into a step */

enum vst_cost_type {
	VST_COST_FLAG,	  /* 0, 1 */
	VST_COST_CTRL,	  /* auto, user */
	VST_COST_LINEAR,  /* linear */
	VST_COST_NUMBER,  /* whole */
	VST_COST_PERCENT, /* 0 to 100, with up to two decimals */
	VST_COST_SCALE,	  /* 1 to 10000 percent, with up to two decimals */
};

/* X("word", type) */
#define VST_COST_MODEL_WORDS(X)                                                                                        \
	X("ctrl", CTRL)                                                                                                \
	X("model", LINEAR)                                                                                             \
	X("rbps", NUMBER)                                                                                              \
	X("rseqiops", NUMBER)                                                                                          \
	X("rrandiops", NUMBER)                                                                                         \
	X("wbps", NUMBER)                                                                                              \
	X("wseqiops", NUMBER)                                                                                          \
	X("wrandiops", NUMBER)

#define VST_COST_QOS_WORDS(X)                                                                                          \
	X("enable", FLAG)                                                                                              \
	X("ctrl", CTRL)                                                                                                \
	X("rpct", PERCENT)                                                                                             \
	X("rlat", NUMBER)                                                                                              \
	X("wpct", PERCENT)                                                                                             \
	X("wlat", NUMBER)                                                                                              \
	X("min", SCALE)                                                                                                \
	X("max", SCALE)

struct vst_cost_word {
	const char *name; /* NULL ends a list */
	enum vst_cost_type type;
};

static inline const struct vst_cost_word *vst_cost_words(bool qos)
{
#define X(n, t) { n, VST_COST_##t },
	static const struct vst_cost_word model_words[] = { VST_COST_MODEL_WORDS(X){ 0 } };
	static const struct vst_cost_word qos_words[] = { VST_COST_QOS_WORDS(X){ 0 } };
#undef X
	return qos ? qos_words : model_words;
}

/* The row of a name; NULL: there is none. */
static inline const struct vst_cost_word *vst_cost_word_find(bool qos, const char *name, size_t len)
{
	for (const struct vst_cost_word *w = vst_cost_words(qos); w->name; w++)
		if (strlen(w->name) == len && !memcmp(w->name, name, len))
			return w;
	return NULL;
}

/* What a value of the type looks like, for messages. */
static inline const char *vst_cost_type_text(enum vst_cost_type type)
{
	static const char *const texts[] = {
		[VST_COST_FLAG] = "0 or 1",
		[VST_COST_CTRL] = "auto or user",
		[VST_COST_LINEAR] = "linear",
		[VST_COST_NUMBER] = "a whole number",
		[VST_COST_PERCENT] = "a percentage from 0 to 100",
		[VST_COST_SCALE] = "a percentage from 1 to 10000",
	};

	return texts[type];
}

/* The value ends after len bytes, where a blank or the end of the text follows. */
static inline bool vst_cost_value_fits(enum vst_cost_type type, const char *value, size_t len)
{
	size_t whole = strspn(value, "0123456789"), all = whole;
	double number;

	switch (type) {
	case VST_COST_FLAG:
		return len == 1 && (*value == '0' || *value == '1');
	case VST_COST_CTRL:
		return len == 4 && (!memcmp(value, "auto", 4) || !memcmp(value, "user", 4));
	case VST_COST_LINEAR:
		return len == 6 && !memcmp(value, "linear", 6);
	case VST_COST_NUMBER:
		return whole == len && len && len <= 19;
	default:
		break;
	}
	if (value[whole] == '.')
		all += 1 + strspn(value + whole + 1, "0123456789");
	if (!whole || all != len || len > 19)
		return false;
	number = strtod(value, NULL);
	return type == VST_COST_PERCENT ? number <= 100 : number >= 1 && number <= 10000;
}

#endif /* VST_POLICY_COST_WORDS_H */
