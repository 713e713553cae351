/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an I/O can be: one list per concept. Enums, names, JSON, documentation checks and the class table are
 * all expanded from these rows; adding one is a row here and a predicate in bpf/.
 */
#ifndef VSTOR_CLASSES_H
#define VSTOR_CLASSES_H

/* X(ENUM, "name") */
#define VST_OPS(X)                                                                                                     \
	X(READ, "read")                                                                                                \
	X(WRITE, "write")                                                                                              \
	X(DISCARD, "discard")                                                                                          \
	X(FLUSH, "flush")

#define VST_CLASS_MAX 5
/* X(ENUM, "name", class). A class of VST_CLASS_BY_SIZE is looked up in VST_SIZES. */
#define VST_CLASS_BY_SIZE 255
#define VST_KINDS(X)                                                                                                   \
	X(UNKNOWN, "unknown", 0)                                                                                       \
	X(METADATA, "metadata", 5)                                                                                     \
	X(JOURNAL, "journal", 5)                                                                                       \
	X(DATA, "data", VST_CLASS_BY_SIZE)                                                                             \
	X(SWAP, "swap", 0)                                                                                             \
	X(RAW, "raw", 0)

/*
 * Band of the file that data belongs to. X(ENUM, "name", upper limit in bytes, class).
 * The first row is what is not a file's data, or data of a file that is not known; the last has no limit.
 * The classes are Sky's table (VEE'17).
 */
#define VST_SIZES(X)                                                                                                   \
	X(NONE, "none", 0, 0)                                                                                          \
	X(LT1M, "lt1m", 1048576, 4)                                                                                    \
	X(LT2M, "lt2m", 2097152, 3)                                                                                    \
	X(LT5M, "lt5m", 5242880, 2)                                                                                    \
	X(LT10M, "lt10m", 10485760, 1)                                                                                 \
	X(GE10M, "ge10m", 0, 0)

/* What a stream of I/O does. X(ENUM, "name") */
#define VST_PATTERNS(X)                                                                                                \
	X(SEQUENTIAL, "sequential")                                                                                    \
	X(COPY, "copy")                                                                                                \
	X(ENCRYPT, "encrypt")                                                                                          \
	X(COMPRESS, "compress")                                                                                        \
	X(HINTED, "hinted")

/*
 * fcntl(fd, F_SET_RW_HINT): how long data is expected to live. X(ENUM, the kernel's value, class). What lives short is
 * read again, or deleted, soon; what lives for ever seldom is.
 */
#define VST_LIFETIME_HINTS(X)                                                                                          \
	X(SHORT, 2, 4)                                                                                                 \
	X(MEDIUM, 3, 3)                                                                                                \
	X(LONG, 4, 2)                                                                                                  \
	X(EXTREME, 5, 1)

/* How we know the owner. X(ENUM, "name") */
#define VST_WITNESSES(X)                                                                                               \
	X(NONE, "none")                                                                                                \
	X(BLKCG, "blkcg")                                                                                              \
	X(MEMCG, "memcg")                                                                                              \
	X(TASK, "task")

/*
 * The cgroup hierarchy in which an owner's id is counted: ids of different hierarchies may be equal.
 * On a pure cgroup v2 host only the first occurs. X(ENUM, "name")
 */
#define VST_HIERARCHIES(X)                                                                                             \
	X(UNIFIED, "unified")                                                                                          \
	X(BLKIO, "blkio")                                                                                              \
	X(MEMORY, "memory")

/* leaf: a request queue; stacked: bio-based (dm, bcache, md, zram). Never added up. X(ENUM, "name") */
#define VST_LAYERS(X)                                                                                                  \
	X(LEAF, "leaf")                                                                                                \
	X(STACKED, "stacked")

/* Why an I/O is not in any row, or not in the right one. X(ENUM, "name", "what it means") */
#define VST_LOSSES(X)                                                                                                  \
	X(NO_START, "no_start", "was under way when the probes were attached: counted, but unattributed")              \
	X(NO_STATE, "no_state",                                                                                        \
	  "its submission was not recorded, the table of requests in flight had no room or the kernel did not run "    \
	  "the "                                                                                                       \
	  "probe: counted, but unattributed")                                                                          \
	X(NO_END, "no_end",                                                                                            \
	  "the kernel did not run the probe at its completion: counted later, without its times, and unattributed if " \
	  "the request was used again before")                                                                         \
	X(NO_CELL, "no_cell", "a table had no room, of counters or of bios in flight: counted per device only")        \
	X(NO_PART, "no_part", "bytes of a request merged from more than 4 rows: given to the last of them")            \
	X(NO_EVENT, "no_event", "the ring of rare events was full: a cgroup may be shown by its id")                   \
	X(MISSED, "missed", "runs of a probe that the kernel skipped, as it counts them itself")

/* How much vstor looks at what is written to files. X(enum, name) */
#define VST_INSIGHT_MODES(X)                                                                                           \
	X(OFF, "off")                                                                                                  \
	X(SAMPLED, "sampled")                                                                                          \
	X(FULL, "full")

enum vst_insight_mode {
#define X(e, n) VST_INSIGHT_##e,
	VST_INSIGHT_MODES(X)
#undef X
		VST_INSIGHT__N
};

enum vst_op {
#define X(e, n) VST_OP_##e,
	VST_OPS(X)
#undef X
		VST_OP__N
};

enum vst_kind {
#define X(e, n, c) VST_KIND_##e,
	VST_KINDS(X)
#undef X
		VST_KIND__N
};

enum vst_size {
#define X(e, n, l, c) VST_SIZE_##e,
	VST_SIZES(X)
#undef X
		VST_SIZE__N
};

enum vst_pattern {
#define X(e, n) VST_PATTERN_##e,
	VST_PATTERNS(X)
#undef X
		VST_PATTERN__N
};

enum vst_witness {
#define X(e, n) VST_WITNESS_##e,
	VST_WITNESSES(X)
#undef X
		VST_WITNESS__N
};

enum vst_hierarchy {
#define X(e, n) VST_HIER_##e,
	VST_HIERARCHIES(X)
#undef X
		VST_HIER__N
};

enum vst_layer {
#define X(e, n) VST_LAYER_##e,
	VST_LAYERS(X)
#undef X
		VST_LAYER__N
};

enum vst_loss {
#define X(e, n, w) VST_LOSS_##e,
	VST_LOSSES(X)
#undef X
		VST_LOSS__N
};

#ifndef __bpf__
/* Names, by enum; NULL for a number that is none of them. */
#define VST_NAMES1(fn, LIST)                                                                                           \
	static inline const char *fn(unsigned int i)                                                                   \
	{                                                                                                              \
		static const char *const names[] = { LIST(VST_NAME2) };                                                \
		return i < sizeof(names) / sizeof(names[0]) ? names[i] : 0;                                            \
	}
#define VST_NAME2(e, n, ...) n,
VST_NAMES1(vst_op_name, VST_OPS)
VST_NAMES1(vst_kind_name, VST_KINDS)
VST_NAMES1(vst_size_name, VST_SIZES)
VST_NAMES1(vst_pattern_name, VST_PATTERNS)
VST_NAMES1(vst_witness_name, VST_WITNESSES)
VST_NAMES1(vst_hier_name, VST_HIERARCHIES)
VST_NAMES1(vst_layer_name, VST_LAYERS)
VST_NAMES1(vst_loss_name, VST_LOSSES)
VST_NAMES1(vst_insight_mode_name, VST_INSIGHT_MODES)

/* The class, 0 to 5, that a cache should give to this I/O. */
static inline unsigned int vst_class(enum vst_kind kind, enum vst_size size)
{
#define X(e, n, c) c,
	static const unsigned char by_kind[] = { VST_KINDS(X) };
#undef X
#define X(e, n, l, c) c,
	static const unsigned char by_size[] = { VST_SIZES(X) };
#undef X
	unsigned int c = (unsigned int)kind < VST_KIND__N ? by_kind[kind] : 0;

	if (c != VST_CLASS_BY_SIZE)
		return c;
	return (unsigned int)size < VST_SIZE__N ? by_size[size] : 0;
}
#endif /* !__bpf__ */
#endif /* VSTOR_CLASSES_H */
