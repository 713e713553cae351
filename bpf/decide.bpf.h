/* SPDX-License-Identifier: GPL-2.0-only */
/* From a bio to its row: owner, kind and size, decided once, at submission. */
#ifndef VST_DECIDE_BPF_H
#define VST_DECIDE_BPF_H

#include "hint.bpf.h"
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

/* The row of what is nobody's: a device's own flushes, and what was not seen at its submission. */
static __always_inline __u32 vst_row_of_nobody(__u32 dev, __u8 op, __u8 layer)
{
	struct vst_key key = { .dev = dev, .op = op, .layer = layer };

	return vst_row(&key);
}

/*
 * An I/O while it is decided. Functions take it apart and pass numbers: a structure in memory would be the program's
 * stack, and one of more than 64 bytes is put where it is cold (the private stacks of 6.13).
 */
struct vst_io {
	__u64 bio;
	__u64 folio; /* whose memory cgroup may know the owner; 0: none */
	__u64 task;  /* its submitter, packed, or TASK_IS_CURRENT */
	__u32 sort;  /* see VST_SORT */
	__u32 marks; /* that came with the request: the walk decides .sort anew for each bio */
};

#define VST_SORT(op, layer, what) ((__u32)(op) | (__u32)(layer) << 8 | (__u32)(what) << 16)
#define SORT_WRITER (1U << 24) /* .task is who made the page dirty */

/*
 * With those of the file. A hint that came with the I/O itself holds for the data that the call is about, not for the metadata
 * that it needs, nor for other files' pages that are written on the way.
 */
static __always_inline __u32 vst_marks_decide(__u64 what, __u8 op, __u32 marks)
{
	__u32 kind = VST_WHAT_KIND(what >> 56);
	__u64 inode;

	marks &= SORT_MARKS;
	if (kind != VST_KIND_DATA)
		return kind == VST_KIND_RAW ? marks : marks & ~SORT_HINT;
	if (op == VST_OP_WRITE && vst_folio_of_what(what))
		marks &= ~SORT_HINT;
	inode = vst_inode_of_what(what);
	return inode ? vst_marks_of_inode(inode, marks, op == VST_OP_WRITE) : marks;
}

/* Fills in .sort and .folio. sort: op, layer and what is known of the marks. */
static __always_inline void vst_sort_decide(struct vst_io *io, const struct vst_state *s, blk_opf_t opf, __u32 sort)
{
	__u8 op = sort, layer = sort >> 8;
	__u64 what = op != VST_OP_FLUSH ? vst_what_decide(s, io->bio, opf) : 0; /* a flush is of no file */

	io->sort = VST_SORT(op, layer, what >> 56 & ~(__u64)VST_WHAT_INODE) | vst_marks_decide(what, op, sort);
	io->folio = 0;
	if (op == VST_OP_WRITE && VST_WHAT_KIND(what >> 56) == VST_KIND_DATA)
		io->folio = vst_folio_of_what(what);
}

/* Is it the submitting task that wants it? Reads, and direct I/O. */
static __always_inline bool vst_is_asked(__u32 sort)
{
	__u32 kind = VST_WHAT_KIND(sort >> 16 & 0xff);

	return (sort & 0xff) == VST_OP_READ || kind == VST_KIND_DATA || kind == VST_KIND_RAW;
}

static __always_inline void vst_clues_of(struct vst_clues *c, const struct vst_state *s, __u64 bio, __u64 folio,
					 __u64 task, __u32 sort)
{
	vst_clues_begin(c, s->epoch);
	/* of the partition: as good as the disk's, and next to what the block layer just used */
	vst_clue_what(c, vst_read(vst_ptr(bio, struct bio, bi_bdev), struct block_device, bd_dev) | (__u64)sort << 32);
	vst_who_clues(c, s, bio, folio, sort & SORT_WRITER, task);
}

__noinline __u32 vst_row_decide(__u64 bio, __u64 folio, __u64 task, __u32 sort)
{
	struct vst_state *s = vst_state_get();
	struct vst_key key = {};
	struct vst_clues clues;
	__u32 row;

	if (!s)
		return 0;
	vst_who_decide(&key, s, bio, folio, sort & SORT_WRITER, task, !folio && vst_is_asked(sort));
	key.dev = vst_dev_of_bio(bio);
	key.op = sort;
	key.layer = sort >> 8;
	key.kind = VST_WHAT_KIND(sort >> 16 & 0xff);
	key.size = VST_WHAT_SIZE(sort >> 16 & 0xff);
	key.patterns = sort >> SORT_PATTERN_SHIFT;
	key.hint = (sort & SORT_HINT) >> SORT_HINT_SHIFT;
	if (key.hint)
		key.patterns |= 1 << VST_PATTERN_HINTED;
	row = vst_row(&key);
	if (row) {
		vst_clues_of(&clues, s, bio, folio, task, sort);
		vst_remember(clues.hash, row);
	}
	return row;
}

/* The row of struct vst_io: remembered, or decided now. */
static __always_inline __u32 vst_row_of(const struct vst_state *s, __u64 bio, __u64 folio, __u64 task, __u32 sort)
{
	struct vst_clues clues;

	vst_clues_of(&clues, s, bio, folio, task, sort);
	return vst_recall(clues.hash) ?: vst_row_decide(bio, folio, task, sort);
}

/* The row of a bio; sort: its op and layer. */
static __always_inline __u32 vst_row_of_bio(const struct vst_state *s, __u64 bio, __u64 task, __u32 sort)
{
	struct vst_io io = { .bio = bio };

	vst_sort_decide(&io, s, vst_read(bio, struct bio, bi_opf), sort);
	return vst_row_of(s, bio, io.folio, task, io.sort);
}
#endif /* VST_DECIDE_BPF_H */
