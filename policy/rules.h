/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy: what a user wrote in a policy file, checked and immutable. Parsing, matching and precedence are pure:
 * files are read through a callback, and what is matched are plain texts. docs/vstor.policy.5.scd documents the format.
 *
 * Every list below is the only one of its kind: the parser, the error messages, `vstorctl policy check` and the check
 * of the man page are all expanded from these rows.
 */
#ifndef VST_POLICY_RULES_H
#define VST_POLICY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "include/vstor/classes.h"
#include "lib/label.h"
#include "policy/bcache_file.h"
#include "policy/ioprio.h"

/* --- limits of a policy file: whoever may write it cannot exhaust the agent --- */
#define VST_POLICY_VERSION 1
#define VST_POLICY_MAX_BYTES (1U << 20)
#define VST_POLICY_MAX_DEPTH 16	     /* lists and mappings inside each other */
#define VST_POLICY_MAX_NODES 65536   /* scalars, lists and mappings */
#define VST_POLICY_MAX_RULES 1000    /* imported ones included */
#define VST_POLICY_MAX_CONDITIONS 16 /* of a rule */
#define VST_POLICY_MAX_TEXT 1024     /* bytes of one scalar */
#define VST_POLICY_MAX_IOCOST 64     /* entries */
#define VST_POLICY_MAX_BCACHE 64     /* entries */
#define VST_POLICY_MAX_NAME 128	     /* bytes of a rule's name */
#define VST_POLICY_MAX_ERRORS 50     /* that are kept; the rest is counted */

/* --- the keys of each mapping of the file. X(ENUM, "key", "what it is") --- */
#define VST_FILE_KEYS(X)                                                                                               \
	X(VERSION, "version", "the format's version, 1")                                                               \
	X(SCOPE, "scope", "the containers that the policy may act on")                                                 \
	X(CLASSES, "classes", "changes of the class table")                                                            \
	X(IMPORT, "import", "files that other tools use too")                                                          \
	X(IOCOST, "iocost", "disks on which weights are to have an effect by iocost")                                  \
	X(BCACHE, "bcache", "settings of bcache devices")                                                              \
	X(RULES, "rules", "the list of rules")

enum vst_file_key {
#define X(e, k, d) VST_FILE_KEY_##e,
	VST_FILE_KEYS(X)
#undef X
		VST_FILE_KEY__N
};

#define VST_SCOPE_KEYS(X)                                                                                              \
	X(NAMESPACES, "namespaces", "globs of Kubernetes namespaces")                                                  \
	X(CGROUPS, "cgroups", "globs of cgroup paths")

enum vst_scope_key {
#define X(e, k, d) VST_SCOPE_KEY_##e,
	VST_SCOPE_KEYS(X)
#undef X
		VST_SCOPE_KEY__N
};

#define VST_IMPORT_KEYS(X) X(BLOCKIO, "blockio", "a file of blockio classes")

enum vst_import_key {
#define X(e, k, d) VST_IMPORT_KEY_##e,
	VST_IMPORT_KEYS(X)
#undef X
		VST_IMPORT_KEY__N
};

#define VST_IOCOST_KEYS(X)                                                                                             \
	X(DEVICE, "device", "the disk: its kernel name, or a path below /dev")                                         \
	X(MODEL, "model", "what the disk can do: a value of io.cost.model")                                            \
	X(QOS, "qos", "when the disk counts as busy: a value of io.cost.qos")

enum vst_iocost_key {
#define X(e, k, d) VST_IOCOST_KEY_##e,
	VST_IOCOST_KEYS(X)
#undef X
		VST_IOCOST_KEY__N
};

/* A rule has these, and what it wants: VST_ATTRS. */
#define VST_RULE_KEYS(X)                                                                                               \
	X(NAME, "name", "a unique name")                                                                               \
	X(MATCH, "match", "what the rule is about")                                                                    \
	X(WHEN, "when", "conditions that all have to hold")

enum vst_rule_key {
#define X(e, k, d) VST_RULE_KEY_##e,
	VST_RULE_KEYS(X)
#undef X
		VST_RULE_KEY__N
};

#define VST_CONDITION_KEYS(X)                                                                                          \
	X(METRIC, "metric", "what is measured")                                                                        \
	X(ABOVE, "above", "holds while the value is greater")                                                          \
	X(BELOW, "below", "holds while the value is smaller")                                                          \
	X(ALARM, "alarm", "holds while the alarm is raised")                                                           \
	X(FOR, "for", "how long it has to hold")

enum vst_condition_key {
#define X(e, k, d) VST_CONDITION_KEY_##e,
	VST_CONDITION_KEYS(X)
#undef X
		VST_CONDITION_KEY__N
};

/* --- what a rule can match. X(ENUM, "key", "what it is") --- */
#define VST_MATCH_FIELDS(X)                                                                                            \
	X(NAMESPACE, "namespace", "the Kubernetes namespace")                                                          \
	X(POD, "pod", "the pod's name")                                                                                \
	X(CONTAINER, "container", "the container's or systemd unit's name")                                            \
	X(IMAGE, "image", "the image's name, as its runtime tells it")                                                 \
	X(CGROUP, "cgroup", "the cgroup's path; also matches every cgroup below it")                                   \
	X(DEVICE, "device", "the disk: its kernel name, or a path below /dev")                                         \
	X(BLOCKIO, "blockio", "the blockio class that the container's annotations name")                               \
	X(KIND, "kind", "the kind of I/O: metadata, journal, data, ...")                                               \
	X(PATTERN, "pattern", "the pattern of the I/O: sequential, copy, ...")                                         \
	X(CLASS, "class", "the class of the I/O, 0 to 5")

enum vst_match_field {
#define X(e, k, d) VST_MATCH_##e,
	VST_MATCH_FIELDS(X)
#undef X
		VST_MATCH__N
};

/*
 * These fields tell streams of one container apart. A weight, a maximum and an objective concern all I/O of a
 * container, so a rule with such a field cannot set them.
 */
#define VST_MATCH_STREAM (1U << VST_MATCH_KIND | 1U << VST_MATCH_PATTERN | 1U << VST_MATCH_CLASS)

/* --- what a rule can want. X(ENUM, "key", concerns single streams, "what it is") --- */
#define VST_ATTRS(X)                                                                                                   \
	X(WEIGHT, "weight", false, "the share of a busy disk, 1 to 10000; 100 is the kernel's default")                \
	X(MAX, "max", false, "a fixed limit, or whether protection may set one")                                       \
	X(IOPRIO, "ioprio", true, "the I/O priority of the threads")                                                   \
	X(CACHE, "cache", true, "how a cache below should treat the I/O")                                              \
	X(PROTECT, "protect", false, "latencies that are to be held")                                                  \
	X(CLASS, "class", true, "the class of the I/O, instead of the table's")

enum vst_attr {
#define X(e, k, s, d) VST_ATTR_##e,
	VST_ATTRS(X)
#undef X
		VST_ATTR__N
};

/* --- units of measured values and limits. X(ENUM, "example") --- */
#define VST_RULE_UNITS(X)                                                                                              \
	X(US, "8ms")	       /* microseconds */                                                                      \
	X(US_PER_S, "200ms/s") /* microseconds in each second */                                                       \
	X(BYTES_PER_S, "20MiB/s")                                                                                      \
	X(IOPS, "500/s")                                                                                               \
	X(NUMBER, "8")

enum vst_unit {
#define X(e, x) VST_UNIT_##e,
	VST_RULE_UNITS(X)
#undef X
		VST_UNIT__N
};

/*
 * What a condition can measure. X(ENUM, "name", unit, "what it is"). Values are of the matched container on the matched
 * device over the last tick, except where the row says otherwise; the engine supplies them.
 */
#define VST_METRICS(X)                                                                                                 \
	X(P99_READ, "p99_read", US, "99th percentile of the container's read latency")                                 \
	X(P99_WRITE, "p99_write", US, "99th percentile of the container's write latency")                              \
	X(P99_FSYNC, "p99_fsync", US, "99th percentile of the container's fsync latency")                              \
	X(READ, "read", BYTES_PER_S, "bytes that the container reads in a second")                                     \
	X(WRITE, "write", BYTES_PER_S, "bytes that the container writes in a second")                                  \
	X(READ_IOPS, "read_iops", IOPS, "reads of the container in a second")                                          \
	X(WRITE_IOPS, "write_iops", IOPS, "writes of the container in a second")                                       \
	X(WAITING, "waiting", US_PER_S, "time that the container's threads wait for storage, in each second")          \
	X(BLAMED, "blamed", US_PER_S, "time that others wait because of this container, in each second")               \
	X(DEVICE_QUEUE, "device_queue", NUMBER, "requests in flight at the device, on average over the tick")

enum vst_metric {
#define X(e, n, u, d) VST_METRIC_##e,
	VST_METRICS(X)
#undef X
		VST_METRIC__N
};

/* Alarms that a condition can name. X(ENUM, "name", "what it is") */
#define VST_ALARMS(X) X(MASS_ENCRYPTION, "mass_encryption", "the container encrypts many files in a short time")

enum vst_alarm {
#define X(e, n, d) VST_ALARM_##e,
	VST_ALARMS(X)
#undef X
		VST_ALARM__N
};

/* X(ENUM, "text") */
#define VST_COMPARISONS(X)                                                                                             \
	X(GT, ">")                                                                                                     \
	X(GE, ">=")                                                                                                    \
	X(LT, "<")                                                                                                     \
	X(LE, "<=")

enum vst_comparison {
#define X(e, t) VST_CMP_##e,
	VST_COMPARISONS(X)
#undef X
		VST_COMPARISON__N
};

/* Limits of `max`, named as in cgroup v2's io.max. X(ENUM, "key", unit, "io.max key") */
#define VST_LIMITS(X)                                                                                                  \
	X(READ, "read", BYTES_PER_S, "rbps")                                                                           \
	X(WRITE, "write", BYTES_PER_S, "wbps")                                                                         \
	X(READ_IOPS, "read_iops", IOPS, "riops")                                                                       \
	X(WRITE_IOPS, "write_iops", IOPS, "wiops")

enum vst_max_part {
#define X(e, k, u, c) VST_LIMIT_##e,
	VST_LIMITS(X)
#undef X
		VST_LIMIT__N
};

/* Objectives of `protect`. X(ENUM, "key", the metric it bounds) */
#define VST_OBJECTIVES(X)                                                                                              \
	X(P99_READ, "p99_read", P99_READ)                                                                              \
	X(P99_WRITE, "p99_write", P99_WRITE)                                                                           \
	X(P99_FSYNC, "p99_fsync", P99_FSYNC)

enum vst_objective {
#define X(e, k, m) VST_OBJECTIVE_##e,
	VST_OBJECTIVES(X)
#undef X
		VST_OBJECTIVE__N
};

/* X(ENUM, "name", "what it is") */
#define VST_CACHE_MODES(X)                                                                                             \
	X(NORMAL, "normal", "the cache decides")                                                                       \
	X(KEEP, "keep", "keep the blocks in the cache")                                                                \
	X(BYPASS, "bypass", "do not let the I/O into the cache")

enum vst_cache_mode {
#define X(e, n, d) VST_CACHE_##e,
	VST_CACHE_MODES(X)
#undef X
		VST_CACHE__N
};

/* --- the policy --- */

struct vst_glob {
	const char *text; /* *, ?, [a-z], [!a-z], \x */
	bool exclude;	  /* written as "!text" */
};

/*
 * An empty list matches everything. Otherwise a text matches if no excluding glob matches it and another one does, or
 * all of them are excluding.
 */
struct vst_globs {
	const struct vst_glob *glob;
	size_t n;
};

struct vst_label_match {
	const char *key; /* literally */
	struct vst_globs value;
};

struct vst_condition {
	bool is_alarm;
	enum vst_alarm alarm; /* if is_alarm; of the rest only for_us counts then */
	enum vst_metric metric;
	enum vst_comparison cmp;
	double value;	 /* in the metric's unit */
	uint64_t for_us; /* has to hold for so long; 0: one tick is enough */
};

struct vst_max {
	bool allowed;		      /* `max: allowed`: protection may set io.max */
	uint64_t limit[VST_LIMIT__N]; /* fixed; 0: not limited. All 0 and !allowed: `max: none` */
};

struct vst_ioprio {
	enum vst_ioprio_class class;
	unsigned int level; /* 0 to 7; 0 where the class has no levels */
};

struct vst_rule {
	const char *name; /* unique in the policy */
	const char *file; /* where it was written */
	unsigned int line, column;
	unsigned int index; /* in vst_policy.rule */

	struct vst_globs match[VST_MATCH__N];
	const struct vst_label_match *label; /* all have to match */
	size_t n_labels;

	const struct vst_condition *when; /* all have to hold */
	size_t n_when;

	unsigned int wants; /* bits 1U << VST_ATTR_*; never 0. What follows counts only if its bit is set. */
	unsigned int weight;
	struct vst_max max;
	struct vst_ioprio ioprio;
	enum vst_cache_mode cache;
	uint64_t protect_us[VST_OBJECTIVE__N]; /* 0: no such objective */
	unsigned int class;
};

/* Disks on which iocost is to be enabled. Of the entries that match a disk, the last one counts. */
struct vst_iocost {
	struct vst_globs device;
	const char *model, *qos; /* as the root's io.cost.model and io.cost.qos take them, without the device */
	unsigned int line;
};

/* Settings of cached devices. Of the entries that match a device and have a setting, the last one counts. */
struct vst_bcache {
	struct vst_globs device;
	const char *value[VST_BCACHE_ATTR__N]; /* as the files take them; NULL: left alone */
	unsigned int line;
};

struct vst_policy {
	const char *file;
	/* A container is in scope if it is in one of the namespaces or in one of the cgroups; both empty: all are. */
	struct vst_globs scope_namespaces, scope_cgroups;
	unsigned char class_by_kind[VST_KIND__N]; /* VST_CLASS_BY_SIZE: look up the size */
	unsigned char class_by_size[VST_SIZE__N];
	const struct vst_rule *rule; /* in order of precedence: later ones win; the imported ones come first */
	size_t n_rules;
	const struct vst_iocost *iocost;
	size_t n_iocost;
	const struct vst_bcache *bcache;
	size_t n_bcache;
	const char *const *blockio; /* names of the imported blockio classes */
	size_t n_blockio;
	struct vst_arena *arena; /* owns everything above */
};

/* --- errors --- */

struct vst_policy_error {
	char *file;
	unsigned int line, column; /* from 1; 0: the file as a whole */
	char *text;		   /* "what is wrong; what to do" */
};

struct vst_policy_errors {
	size_t n;     /* kept in item[], in the order of the file */
	size_t total; /* found */
	struct vst_policy_error item[VST_POLICY_MAX_ERRORS];
};

/* "FILE:LINE:COLUMN: what; what to do", one a line, and how many more there are. */
void vst_policy_errors_print(const struct vst_policy_errors *errors, FILE *out);
void vst_policy_errors_clear(struct vst_policy_errors *errors);

/* --- parsing --- */

/*
 * Reads a file that the policy names. 0 and the content, which the caller frees, or -errno: -EFBIG if it is longer
 * than VST_POLICY_MAX_BYTES.
 */
typedef int (*vst_policy_read_fn)(void *arg, const char *path, char **ret_text, size_t *ret_len);

/*
 * Parses a policy. `file` is its name in messages; relative imports start from its directory. Without `read` nothing
 * can be imported. 0 and the policy; or -EINVAL (the errors say why) or -ENOMEM, and *ret is untouched. `errors` is
 * initialised here, and the caller clears it in any case.
 */
int vst_policy_parse(const char *text, size_t len, const char *file, vst_policy_read_fn read, void *arg,
		     struct vst_policy **ret, struct vst_policy_errors *errors);

/* The same for a file; a file that cannot be read is an error like any other. */
int vst_policy_load(const char *path, struct vst_policy **ret, struct vst_policy_errors *errors);

/* NULL is fine. */
void vst_policy_free(struct vst_policy *policy);
static inline void vst_policy_freep(struct vst_policy **policy)
{
	vst_policy_free(*policy);
}

/* --- matching --- */

/*
 * What a rule is matched against: a container on a device and, where the question is about one stream of its I/O, that
 * stream. NULL: not known, or there is none; a rule that asks for it does not match.
 */
struct vst_subject {
	const char *field[VST_MATCH__N];
	const struct vst_label *label;
	size_t n_labels;
	const char *const *device_link; /* other names of the device, as /dev/mapper/data */
	size_t n_device_links;
};

bool vst_glob_matches(const char *glob, const char *text);
bool vst_globs_match(const struct vst_globs *globs, const char *text);
/* As above, for a path: a glob also matches what is below, and * and ? do not match a '/'. */
bool vst_globs_match_cgroup(const struct vst_globs *globs, const char *path);
bool vst_rule_matches(const struct vst_rule *rule, const struct vst_subject *subject);
/* Of the subject only the disk counts; an empty list matches every disk. */
bool vst_globs_match_device(const struct vst_globs *globs, const struct vst_subject *disk);
/* The iocost entry of a disk; NULL: none. */
const struct vst_iocost *vst_policy_iocost(const struct vst_policy *policy, const struct vst_subject *disk);

/* The entry that has a setting of a cached device; NULL: none. */
const struct vst_bcache *vst_policy_bcache(const struct vst_policy *policy, const struct vst_subject *disk,
					   enum vst_bcache_attr_id attr);
bool vst_policy_in_scope(const struct vst_policy *policy, const struct vst_subject *subject);

/* Why a rule does or does not decide about an attribute of a subject. X(ENUM, "text") */
#define VST_VERDICTS(X)                                                                                                \
	X(WINS, "wins")                                                                                                \
	X(OVERRIDDEN, "a later rule sets it too")                                                                      \
	X(OUTSIDE, "the container is outside the policy's scope")                                                      \
	X(WAITING, "its condition does not hold")                                                                      \
	X(MISMATCH, "does not match")

enum vst_verdict {
#define X(e, t) VST_VERDICT_##e,
	VST_VERDICTS(X)
#undef X
		VST_VERDICT__N
};

/*
 * Precedence: of the rules that match and whose conditions hold, the last one that sets an attribute decides about it,
 * and about all of it: limits of `max` and objectives of `protect` are not put together from several rules.
 *
 * holds[i] says whether all conditions of rule i hold for this subject now; it is only read for rules with conditions.
 * NULL: none holds. Outside the scope nobody wins.
 */
void vst_policy_winners(const struct vst_policy *policy, const struct vst_subject *subject, const bool *holds,
			const struct vst_rule *winner[VST_ATTR__N]);

struct vst_candidate {
	const struct vst_rule *rule;
	enum vst_verdict verdict;
	enum vst_match_field field; /* of a MISMATCH: the first field that differs; VST_MATCH__N: a label */
};

/* For `policy explain`: for each attribute the winner, and every other rule that sets it with why it lost. */
struct vst_resolution {
	bool in_scope;
	struct {
		const struct vst_rule *winner; /* NULL: none */
		struct vst_candidate *loser;   /* the strongest first */
		size_t n_losers;
	} attr[VST_ATTR__N];
};

/* 0 or -ENOMEM; *ret is untouched on failure, and cleared with vst_resolution_clear(). */
int vst_policy_resolve(const struct vst_policy *policy, const struct vst_subject *subject, const bool *holds,
		       struct vst_resolution *ret);
void vst_resolution_clear(struct vst_resolution *resolution);

/*
 * A later rule without conditions that matches all that this one matches, as far as equal globs tell, and decides about
 * all that this one wants; NULL if there is none. A rule that is hidden never wins, so it is likely a mistake.
 */
const struct vst_rule *vst_policy_hides(const struct vst_policy *policy, const struct vst_rule *rule);

/* Is it measured for a condition or an objective? What costs something is only measured then. */
bool vst_policy_uses(const struct vst_policy *policy, enum vst_metric metric);

/* The class of an I/O by the policy's table. A rule's `class` comes before it. */
unsigned int vst_policy_class(const struct vst_policy *policy, enum vst_kind kind, enum vst_size size);

/* --- blockio classes (goresctrl), and the annotations that choose one --- */

/*
 * The class that the annotations of a container name, or NULL. Container before pod before the bare key, as goresctrl
 * does it: an empty value of the first one that is there means no class.
 */
const char *vst_blockio_class(const struct vst_label *annotation, size_t n, const char *container);
/* Is it a class that the policy imports? One that is not is to be counted, and to be ignored. */
bool vst_policy_has_blockio(const struct vst_policy *policy, const char *class);

/* --- texts; as snprintf --- */

/* "namespace prod or web but not web-0, cgroup not /db.slice"; "all" */
int vst_rule_match_text(const struct vst_rule *rule, char *buf, size_t size);
/* "namespace prod, or cgroup /db.slice"; "all containers" */
int vst_policy_scope_text(const struct vst_policy *policy, char *buf, size_t size);
/* "max write 20MiB/s" */
int vst_rule_want_text(const struct vst_rule *rule, enum vst_attr attr, char *buf, size_t size);
/* "p99_read > 5ms for 10s" */
int vst_condition_text(const struct vst_condition *condition, char *buf, size_t size);
/* Why a rule can never count, as a sentence; 0 and "": nothing stands against it. */
int vst_rule_note_text(const struct vst_rule *rule, char *buf, size_t size);
/* "20MiB/s"; what vst_quantity_parse() reads again. */
int vst_quantity_text(double value, enum vst_unit unit, char *buf, size_t size);
/* 0, -EINVAL (is none), -ENODATA (a number without a unit) or -ERANGE. */
int vst_quantity_parse(const char *text, size_t len, enum vst_unit unit, double *ret);

const char *vst_match_field_name(unsigned int field);
const char *vst_attr_name(unsigned int attr);
bool vst_attr_is_of_stream(enum vst_attr attr);
const char *vst_metric_name(unsigned int metric);
enum vst_unit vst_metric_unit(enum vst_metric metric);
const char *vst_alarm_name(unsigned int alarm);
const char *vst_comparison_name(unsigned int cmp);
const char *vst_limit_name(unsigned int limit);
enum vst_unit vst_limit_unit(enum vst_max_part limit);
const char *vst_objective_name(unsigned int objective);
enum vst_metric vst_objective_metric(enum vst_objective objective);
const char *vst_cache_mode_name(unsigned int mode);
const char *vst_ioprio_name(unsigned int class);
bool vst_ioprio_has_levels(enum vst_ioprio_class class);
/* The classes that a rule may ask for, one after the other; NULL behind the last. */
const char *vst_ioprio_wanted_name(unsigned int i);
const char *vst_verdict_name(unsigned int verdict);

#endif /* VST_POLICY_RULES_H */
