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

#endif /* VSTOR_ABI_INSIGHT_H */
