/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the policy parser share. */
#ifndef VST_POLICY_RULES_PRIV_H
#define VST_POLICY_RULES_PRIV_H

#include "policy/arena.h"
#include "policy/rules.h"

#define VST_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* --- errors (rules_errors.c) --- */

struct vst_parse {
	const char *file;	 /* the one being parsed, for messages */
	bool imported;		 /* it is not the policy itself */
	struct vst_arena *arena; /* the policy's */
	struct vst_arena *nodes; /* of YAML; released when the policy is built */
	struct vst_policy_errors *errors;
	vst_policy_read_fn read;
	void *read_arg;
	size_t skipped; /* errors that were not told again */
	bool no_memory; /* set once; parsing goes on, and fails at the end */
};

/* A text of the file, shortened and without control characters, for messages. */
struct vst_quoted {
	char text[96];
};
struct vst_quoted vst_quote(const char *text, size_t len);
#define VST_QUOTE(node) (vst_quote((node)->text, (node)->len).text)

void vst_parse_error_at(struct vst_parse *p, unsigned int line, unsigned int column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Texts that are looked up by number. */
typedef const char *(*vst_name_fn)(unsigned int i);

/* The name closest to a text, or NULL if there are none; *ret_close says whether it could be a misspelling. */
const char *vst_nearest(const char *text, size_t len, vst_name_fn name, unsigned int n, bool *ret_close);
/* "; did you mean 'weight'?" or "; known are name, match, ...". Shared by every unknown name. */
const char *vst_nearest_hint(const char *text, size_t len, vst_name_fn name, unsigned int n, char *buf, size_t size);
/* The number of a name, or -1. */
int vst_lookup(const char *text, size_t len, vst_name_fn name, unsigned int n);

/* --- YAML (rules_yaml.c) --- */

enum vst_yaml_type {
	VST_YAML_SCALAR,
	VST_YAML_LIST,
	VST_YAML_MAP,
	VST_YAML_BAD, /* an error has been reported: say nothing more about it */
};

struct vst_yaml {
	enum vst_yaml_type type;
	unsigned int line, column;
	bool quoted;	  /* a scalar that is not plain */
	bool exact;	  /* the scalar's characters are those of the file, so that places inside it can be told */
	const char *text; /* of a scalar; "" for anything else */
	size_t len;
	struct vst_yaml *child; /* of a list: its items; of a mapping: key, value, key, value, ... */
	struct vst_yaml *next;
	size_t n; /* items, or pairs */
};

/* NULL: an error was reported (p->no_memory included). Nodes are in p->nodes. */
struct vst_yaml *vst_yaml_parse(struct vst_parse *p, const char *text, size_t len);

#define vst_yaml_for_each(item, node) for (struct vst_yaml *item = (node)->child; item; item = item->next)
#define vst_yaml_for_each_pair(key, node) for (struct vst_yaml *key = (node)->child; key; key = key->next->next)

/* Reports at the node, unless it is a VST_YAML_BAD one. */
#define vst_parse_error(p, node, ...)                                                                                  \
	do {                                                                                                           \
		if ((node)->type == VST_YAML_BAD)                                                                      \
			(p)->skipped++;                                                                                \
		else                                                                                                   \
			vst_parse_error_at(p, (node)->line, (node)->column, __VA_ARGS__);                              \
	} while (0)

/* --- decoding (rules_decode.c). What returns false has reported why. --- */

/* p->arena's memory; on failure NULL, and p->no_memory is set. */
void *vst_parse_alloc(struct vst_parse *p, size_t n, size_t size);
char *vst_parse_text(struct vst_parse *p, const char *text, size_t len);

/*
 * Sorts a mapping's values by key: value[i] for the key that name(i) gives, NULL if it is absent. False if the node is
 * not a mapping; keys that are unknown or repeated are reported and left out.
 */
struct vst_keys {
	vst_name_fn name;
	unsigned int n;
	const char *what; /* the mapping, in messages: "a rule" */
	const char *example;
	const char *(*elsewhere)(const char *text, size_t len); /* where an unknown key belongs, or NULL */
	bool any_case;						/* blockio files are read so by their own tools */
};
bool vst_decode_map(struct vst_parse *p, struct vst_yaml *node, const struct vst_keys *keys, struct vst_yaml **key,
		    struct vst_yaml **value);
/* Is it a scalar that is not empty? `what` and `example` are for the message. */
bool vst_decode_scalar(struct vst_parse *p, struct vst_yaml *node, const char *what, const char *example);
bool vst_decode_is(const struct vst_yaml *node, const char *text);
bool vst_decode_integer(struct vst_parse *p, struct vst_yaml *node, const char *what, unsigned int min,
			unsigned int max, unsigned int *ret);
/* What is said of a value out of its range: what, the value, the lowest and the highest that are allowed. */
#define VST_OUT_OF_RANGE "%s is %s, out of range; write one from %s to %s"
/* A scalar, or a part of one, as a quantity between min and max. */
bool vst_decode_quantity(struct vst_parse *p, struct vst_yaml *node, size_t begin, size_t len, const char *what,
			 enum vst_unit unit, double min, double max, double *ret);
unsigned int vst_yaml_column_of(const struct vst_yaml *node, size_t offset);

/* --- parts of a policy --- */

/* What a limit may be, in a rule and in an imported class. */
void vst_limit_range(enum vst_max_part limit, double *ret_min, double *ret_max);
bool vst_parse_globs(struct vst_parse *p, struct vst_yaml *node, enum vst_match_field field, struct vst_globs *ret);
bool vst_parse_match(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule);
bool vst_parse_when(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule);
bool vst_parse_attr(struct vst_parse *p, struct vst_yaml *node, enum vst_attr attr, struct vst_rule *rule);
/* The rule goes into the policy's next free slot. It takes the slot even if it has errors. */
void vst_parse_rule(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy, struct vst_rule *rule);
/* Makes room for n more rules: the first free slot, or NULL after an error if there are too many. */
struct vst_rule *vst_parse_add_rules(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy, size_t n);
/* The disks on which iocost is to be enabled. */
void vst_parse_iocost(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy);
/* Settings of bcache devices. */
void vst_parse_bcache(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy);
/* Adds the rules of the file of blockio classes that the node names, and the names of the classes. */
void vst_parse_blockio(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy);

const char *vst_file_key_name(unsigned int key);
const char *vst_scope_key_name(unsigned int key);
const char *vst_import_key_name(unsigned int key);
const char *vst_iocost_key_name(unsigned int key);
const char *vst_rule_key_name(unsigned int key);
const char *vst_condition_key_name(unsigned int key);
const char *vst_unit_example(unsigned int unit);

#endif /* VST_POLICY_RULES_PRIV_H */
