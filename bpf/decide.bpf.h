/* SPDX-License-Identifier: GPL-2.0-only */
/* From a bio to its row: owner, kind and size, decided once, at submission. */
#ifndef VST_DECIDE_BPF_H
#define VST_DECIDE_BPF_H

#include "inflight.bpf.h"
#include "kind.bpf.h"
#include "owner.bpf.h"
#include "rows.bpf.h"

#define REQ_OP_MASK 0xff
#define REQ_OP_FLUSH 2
#define REQ_OP_DISCARD 3
#define REQ_OP_DRV_IN 34 /* passthrough: not block I/O, and the kernel does not count it either */
#define REQ_OP_DRV_OUT 35

/* As the kernel counts them in diskstats: odd operations write, only REQ_OP_DISCARD discards. */
static __always_inline __u8 vst_op_of(blk_opf_t opf)
{
	__u32 op = opf & REQ_OP_MASK;

	if (op == REQ_OP_FLUSH)
		return VST_OP_FLUSH;
	if (op == REQ_OP_DISCARD)
		return VST_OP_DISCARD;
	return op & 1 ? VST_OP_WRITE : VST_OP_READ;
}

static __always_inline __u32 vst_dev_of(__u64 disk)
{
	if (!disk)
		return 0;
	return vst_read(disk, struct gendisk, major) << 20 | vst_read(disk, struct gendisk, first_minor);
}

static __always_inline __u32 vst_dev_of_bio(__u64 bio)
{
	return vst_dev_of(vst_ptr(vst_ptr(bio, struct bio, bi_bdev), struct block_device, bd_disk));
}

struct vst_io {
	__u64 bio;
	__u64 task;  /* its submitter, packed, or TASK_IS_CURRENT */
	__u64 folio; /* whose memory cgroup may know the owner; 0: none */
	__u8 op;
	__u8 layer;
	struct vst_what what;
};

/* The row of what is nobody's: a device's own flushes, and what was not seen at its submission. */
static __always_inline __u32 vst_row_of_nobody(__u32 dev, __u8 op, __u8 layer)
{
	struct vst_key key = { .dev = dev, .op = op, .layer = layer };

	return vst_row(&key);
}

static __always_inline void vst_what_of(struct vst_state *s, struct vst_io *io)
{
	__builtin_memset(&io->what, 0, sizeof(io->what));
	if (io->op != VST_OP_FLUSH) /* a flush is of no file */
		vst_what_decide(&io->what, s, io->bio);
	io->folio = io->op == VST_OP_WRITE && io->what.kind == VST_KIND_DATA ? io->what.folio : 0;
}

static __always_inline __u64 vst_clues_of(struct vst_clues *c, struct vst_state *s, const struct vst_io *io,
					  bool shared)
{
	/* of the partition: as good as the disk's, and next to what the block layer just used */
	c->what = vst_read(vst_ptr(io->bio, struct bio, bi_bdev), struct block_device, bd_dev) | (__u64)io->op << 32 |
		  (__u64)io->layer << 40 | (__u64)io->what.kind << 48 | (__u64)io->what.size << 56;
	vst_who_clues(c, s, io->bio, io->folio, shared, io->task);
	return vst_clues_hash(c, s->epoch);
}

__noinline __u32 vst_row_decide(const struct vst_io *io, bool shared)
{
	struct vst_state *s = vst_state_get();
	struct vst_key key = {};
	struct vst_clues clues;
	struct vst_who who;
	__u64 hash;
	__u32 row;

	if (!s || !io)
		return 0;
	hash = vst_clues_of(&clues, s, io, shared);
	if (!vst_who_decide(&who, &clues, s)) {
		hash = vst_clues_of(&clues, s, io, shared);
		vst_who_decide(&who, &clues, s);
	}
	key.owner = who.id;
	key.dev = vst_dev_of_bio(io->bio);
	key.hier = who.hier;
	key.witness = who.witness;
	key.op = io->op;
	key.kind = io->what.kind;
	key.size = io->what.size;
	key.layer = io->layer;
	row = vst_row(&key);
	if (row)
		vst_remember(hash, row);
	return row;
}

/* The row of io->what. */
static __always_inline __u32 vst_row_of(struct vst_state *s, const struct vst_io *io, bool shared)
{
	struct vst_clues clues;
	__u32 row = vst_recall(vst_clues_of(&clues, s, io, shared));

	return row ?: vst_row_decide(io, shared);
}

static __always_inline __u32 vst_row_of_bio(struct vst_state *s, struct vst_io *io)
{
	vst_what_of(s, io);
	return vst_row_of(s, io, false);
}

/* --- completion --- */

/* Add to a row's counters; `last` makes it an I/O, and then `in` tells the times if it is known. False: no room. */
static __always_inline bool vst_count(__u32 row, bool last, __u32 bytes, bool error, const struct vst_inflight *in)
{
	struct vst_counters *c;
	struct vst_hists *h;
	__u64 queue_ns;
	__u32 slot;

	c = vst_counters_of(row, &slot);
	h = c ? bpf_map_lookup_elem(&vst_hists, &slot) : NULL;
	if (!h)
		return false;
	vst_add(&c->bytes, bytes);
	if (error)
		vst_add(&c->errors, 1);
	if (!last)
		return true;
	vst_add(&c->ios, 1);
	if (!in || in->issued_ns == REQUEUED)
		return true;
	queue_ns = in->queued_ns ? in->issued_ns - in->queued_ns : 0;
	vst_times(c, h, queue_ns, bpf_ktime_get_ns() - in->issued_ns);
	return true;
}
/* Completed bytes of a request with several parts, in their order; what is left for the first one is returned. */
__noinline __u32 vst_complete_parts(struct vst_inflight *in, __u32 dev, __u32 bytes)
{
	struct vst_counters *c;
	__u32 first, slot;

	if (!in)
		return bytes;
	first = in->part[0].bytes < bytes ? in->part[0].bytes : bytes;
	in->part[0].bytes -= first;
	bytes -= first;
#pragma unroll
	for (int i = 1; i < PARTS; i++) {
		__u32 n = in->part[i].bytes < bytes ? in->part[i].bytes : bytes;

		if (!n || !in->part[i].row)
			break;
		in->part[i].bytes -= n;
		bytes -= n;
		c = vst_counters_of(in->part[i].row, &slot);
		if (c)
			vst_add(&c->bytes, n);
		else
			vst_lose(dev, VST_LOSS_NO_CELL, 0, n);
	}
	return first + bytes;
}

/*
 * An entry that is met again although its I/O must have ended: the kernel did not run the completion probe. Seen on
 * 6.18 when another tracer attaches to the same tracepoint or leaves it, some ten completions each time, which the
 * kernel itself does not count as missed. Count the I/O now; only its times are lost.
 */
__noinline int vst_close(struct vst_inflight *in, __u32 dev)
{
	struct vst_part part[PARTS];
	struct vst_counters *c;
	__u64 issued;
	__u32 slot;

	if (!in)
		return 0;
	__builtin_memcpy(part, in->part, sizeof(part));
	issued = in->issued_ns;
	/* the request's next use and the sweep may both come here: one of them counts, by what it read before */
	if (!issued || __sync_val_compare_and_swap(&in->issued_ns, issued, 0) != issued)
		return 0;
	in->queued_ns = 0;
#pragma unroll
	for (int i = 0; i < PARTS; i++) {
		if (!part[i].row)
			break;
		c = vst_counters_of(part[i].row, &slot);
		if (!c) {
			vst_lose(dev, VST_LOSS_NO_CELL, !i, part[i].bytes);
			continue;
		}
		/* atomic: these counters are the completion's, which may interrupt */
		__sync_fetch_and_add(&c->bytes, part[i].bytes);
		if (!i)
			__sync_fetch_and_add(&c->ios, 1);
	}
	vst_lose(dev, VST_LOSS_NO_END, 1, 0);
	return 0;
}
#endif /* VST_DECIDE_BPF_H */
