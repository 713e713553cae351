/* SPDX-License-Identifier: GPL-2.0-only */
/* What the probes and the agent share about single files: the hints and patterns that reach the rows of I/O. */
#ifndef VSTOR_ABI_INSIGHT_H
#define VSTOR_ABI_INSIGHT_H

#ifndef __bpf__
#include <linux/types.h>
#endif
#include "classes.h"

/*
 * What is known about a file, for all I/O on it, whoever submits it. A table without collisions chains: a file has one
 * place, and the file that was noted last keeps it. A place that another inode uses at the same address differs in .ino.
 */
#define VST_MARK_BITS 13

struct vst_mark {
	__u64 inode;   /* its address; 0: free */
	__u32 ino;     /* the lower half of its number */
	__u8 patterns; /* a bit for each enum vst_pattern; by the agent */
	__u8 hint;     /* the class that its writer gave, plus 1; 0: none */
	__u8 age;      /* agent's rounds since a hint was given, or a pattern seen */
	__u8 pad;
};

/* Inodes are a few hundred bytes apart. */
static inline __attribute__((always_inline)) __u32 vst_mark_place(__u64 inode)
{
	return (inode >> 5) * 0x9e3779b97f4a7c15ULL >> (64 - VST_MARK_BITS);
}

/* What came with an I/O, as the kernel has it: which class fcntl(F_SET_RW_HINT) means, plus 1; 0: none. */
static inline __attribute__((always_inline)) __u8 vst_hint_of_lifetime(__u8 rw_hint)
{
#define X(e, value, c)                                                                                                 \
	if (rw_hint == value)                                                                                          \
		return c + 1;
	VST_LIFETIME_HINTS(X)
#undef X
	return 0;
}

/* --- files --- */

/* A file, as a probe finds it: by the first of its names. */
#define VST_FILE_NAMES 5

struct vst_file_name {
	__u64 inode; /* its address */
	__u64 ino;   /* 0: no file */
	__u32 more;  /* the path goes on above */
	__u32 pad;
	char device[32];	       /* super_block.s_id: the disk's or the partition's name */
	char path[VST_FILE_NAMES][40]; /* its name, that of its directory, and so on; "" at the root */
};

/* --- the slowest requests of a tick: a few of each group, so that one container does not crowd out all others --- */
#define VST_SLOW_GROUPS 16 /* by row */
#define VST_SLOW_EACH 4

struct vst_slow_io {
	__u64 latency_ns; /* 0: free; taken by an exchange */
	__u64 queue_ns;
	__u64 device_ns;
	__u64 ended_ns;
	__u32 row;
	__u32 bytes;
	struct vst_file_name file;
	__u64 done; /* all is there */
};

struct vst_slow {
	__u64 turn;			 /* & 1: the half that is written; the agent reads the other one */
	__u64 floor[2][VST_SLOW_GROUPS]; /* shorter ones are not among the slowest */
	struct vst_slow_io io[2][VST_SLOW_GROUPS][VST_SLOW_EACH];
};

/* --- what is written to files --- */
#define VST_FILES 1024
#define VST_FILE_WAYS 4
#define VST_CHUNK 256		 /* bytes of a sample */
#define VST_CHUNK_HIGH 420	 /* chi square over its bytes: up to here it may be random ... */
#define VST_CHUNK_LOW 700	 /* ... and from here it is not: base64 has 990, lz4 860, text 2,200 */
#define VST_FILE_BYTES_MAX 65000 /* of the sum of samples */

struct vst_file {
	__u64 inode; /* its address; 0: free */
	__u64 ino;
	__u64 first_ns, last_ns;
	__u64 bytes; /* written, as far as samples tell */
	__u32 row;   /* of the last request */
	__u32 chunks, high, low;
	__u32 has_head;
	__u32 matches, differs; /* of the bytes that were compared with those that the task had read */
	__u32 in_kernel;	/* of the matches: the kernel copied by itself */
	__u64 head[2];		/* the file's first 16 bytes */
	__u32 sum;		/* bytes in .count */
	__u32 pad;
	__u16 count[256]; /* of the bytes of the samples that may be random */
	struct vst_file_name name, source;
};

#define VST_CHUNKS_PER_SECOND 16000 /* 300 ns each: 0.5 % of a processor */
#define VST_HEADS_PER_SECOND 1500

/* The map vst_scopes: a cgroup, packed as in vst_task_pack(), of a container that is watched otherwise than the rest. */
#define VST_SCOPE_CGROUPS 4096

struct vst_scope_cgroup {
	__u32 mode; /* enum vst_insight_mode */
	__u32 turn; /* of the agent, which removes what it did not enter at its last turn */
};

/* --- how long data lives --- */

#define VST_LIFE_BLOCKS 16384 /* of 256 KiB of files that are remembered: 4 GiB; of more, those that were used last */
#define VST_LIFE_ROWS 4096
#define VST_LIFE_SHIFT 20 /* time is counted in 2^20 ns, 1.05 ms */

/* How it ended. X(ENUM, name) */
#define VST_LIFE_ENDS(X)                                                                                               \
	X(OVERWRITE, "overwrite")                                                                                      \
	X(TRUNCATE, "truncate")                                                                                        \
	X(UNLINK, "unlink")

enum vst_life_ends {
#define X(e, n) VST_LIFE_##e,
	VST_LIFE_ENDS(X)
#undef X
		VST_LIFE_END__N
};

#ifndef __bpf__
VST_NAMES1(vst_life_end_name, VST_LIFE_ENDS)
#endif

/* Buckets. X(name, nanoseconds below which a life is in it) */
#define VST_LIFE_AGES(X)                                                                                               \
	X("lt10ms", 10000000ULL)                                                                                       \
	X("lt100ms", 100000000ULL)                                                                                     \
	X("lt1s", 1000000000ULL)                                                                                       \
	X("lt10s", 10000000000ULL)                                                                                     \
	X("lt1m", 60000000000ULL)                                                                                      \
	X("lt10m", 600000000000ULL)                                                                                    \
	X("lt1h", 3600000000000ULL)

#define VST_LIFE_BUCKETS 8 /* the last one: longer than all of them */

/* age: in 2^VST_LIFE_SHIFT ns */
static inline __attribute__((always_inline)) __u32 vst_life_bucket(__u32 age)
{
	__u32 bucket = 0;

#define X(name, ns) bucket += age >= ns >> VST_LIFE_SHIFT;
	VST_LIFE_AGES(X)
#undef X
	return bucket;
}

struct vst_life_row_key {
	__u64 owner; /* packed as in vst_task_pack() */
	__u64 end;   /* enum vst_life_ends */
};

/* In pages of 4 KiB. */
struct vst_life_row {
	__u64 pages[VST_LIFE_BUCKETS];
	__u64 dead; /* of them, those that never reached the disk */
};

/* What both sides know about the whole. */
struct vst_insight {
	__u64 direct; /* virtual address = page * 64 + this; 0: not known yet */
	__u32 every;  /* one of so many writes is sampled */
	/* what may be taken until the agent allows more, so that no load makes it expensive: */
	__u32 chunks_left; /* samples */
	__u32 heads_left;  /* begins of files; each takes its samples as well */
	__u8 mode;	   /* enum vst_insight_mode of a container that is not in the map vst_scopes */
	__u8 scoped;	   /* there is something in that map */
	__u8 window;	   /* copies are looked for in those that are watched at moments, too */
	__u8 pad;
	__u64 writes, sampled; /* requests */
	__u64 lost;	       /* files that found no place */
	__u64 lives_lost;      /* pages that found no row of lifetimes */
	/* in btrfs: where the inode is, seen from its tree of extents (0: not known), and the bit of data to be written */
	__u64 btrfs_inode, btrfs_delalloc;
};

#endif /* VSTOR_ABI_INSIGHT_H */
