/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tracer's two halves share. */
#ifndef VST_KIND_TRACE_H
#define VST_KIND_TRACE_H

#ifndef __bpf__
#include <linux/types.h>
#endif

struct kt_event {
	__u64 time; /* ns, CLOCK_MONOTONIC */
	__u64 sector;
	__u64 end_io;  /* the bio's completion function */
	__u64 mapping; /* of its first page, low bits are flags */
	__u64 ino;     /* of that mapping's inode */
	__u32 bytes;
	__u32 opf;
	__u8 op; /* what was decided: enum vst_op, vst_kind, vst_size */
	__u8 kind;
	__u8 size;
	char comm[16];
};

#endif /* VST_KIND_TRACE_H */
