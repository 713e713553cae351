/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rows of a whole request or bio. One bio of one file by one owner, the usual case, is decided at once. A request
 * that was merged from several bios is walked bio by bio; data of a file that several cgroups write to page by page.
 */
#ifndef VST_WALK_BPF_H
#define VST_WALK_BPF_H

#include "decide.bpf.h"
#include "inflight.bpf.h"
#include "writers.bpf.h"

struct vst_walk {
	struct vst_io io; /* of the bio that the walk has come to, and what its .row was decided from */
	__u32 left;	  /* bytes that no part has yet */
	__u32 row;	  /* of this bio */
	/* of the last bio that was decided: the next one may need no decision of its own */
	__u64 mapping;
	union {
		__u64 memcg;
		__u64 writer; /* page by page: see vst_writer() */
	};
	__u64 end_io;
	/* page by page */
	__u32 bio_left; /* 0: not so */
	__u32 vec_done;
	__u64 vec;
	__u64 folio; /* that .row was decided for */
};

#define STEPS_MAX 4096 /* bios or pages; a request has 1 MiB or so, at most 256 segments or 2,560 sectors by default */

__noinline int vst_give(struct vst_inflight_more *more, __u64 bio, __u32 row, __u32 bytes)
{
	if (!more)
		return 0;
#pragma unroll
	for (int i = 0; i < PARTS; i++) {
		if (!more->row[i] || more->row[i] == row) {
			more->row[i] = row;
			more->bytes[i] += bytes;
			return 0;
		}
	}
	more->bytes[PARTS - 1] += bytes;
	vst_lose(vst_dev_of_bio(bio), VST_LOSS_NO_PART, 0, bytes);
	return 0;
}

static __always_inline void vst_walk_page(struct vst_state *s, struct vst_walk *w, struct vst_inflight_more *more)
{
	__u32 shift = s->page_shift & 31;
	__u32 len = vst_read(w->vec, struct bio_vec, bv_len), off = vst_read(w->vec, struct bio_vec, bv_offset);
	__u64 page = vst_ptr(w->vec, struct bio_vec, bv_page), folio, writer;
	__u32 bytes;

	off += w->vec_done;
	bytes = (1U << shift) - (off & ((1U << shift) - 1));
	if (bytes > len - w->vec_done)
		bytes = len - w->vec_done;
	if (bytes > w->bio_left || !bytes)
		bytes = w->bio_left;
	page += (__u64)(off >> shift) * bpf_core_type_size(struct page);
	folio = vst_page_folio(page);
	writer = vst_writer(w->mapping,
			    vst_ptr(folio, struct folio, index) + (page - folio) / bpf_core_type_size(struct page));
	if (folio != w->folio || writer != w->writer) {
		w->folio = folio;
		w->writer = writer;
		if (writer == WRITER_UNKNOWN)
			w->row = vst_row_of(s, w->io.bio, folio, w->io.task, w->io.sort);
		else
			w->row = vst_row_of(s, w->io.bio, folio, writer, w->io.sort | SORT_WRITER);
	}
	vst_give(more, w->io.bio, w->row, bytes);
	w->left -= bytes;
	w->bio_left -= bytes;
	w->vec_done += bytes;
	if (w->vec_done >= len) {
		w->vec += sizeof(struct bio_vec);
		w->vec_done = 0;
	}
	if (!w->bio_left) {
		w->io.bio = vst_ptr(w->io.bio, struct bio, bi_next);
		w->row = 0;
	}
}

/* True: the bio's pages have to be looked at one by one. */
static __always_inline bool vst_walk_into(struct vst_state *s, struct vst_walk *w, __u32 bytes)
{
	__u64 bio = w->io.bio;
	__u32 idx;

	if (!w->io.folio || !vst_is_shared(s, w->mapping))
		return false;
	idx = vst_read(bio, struct bio, bi_iter.bi_idx);
	w->vec = vst_ptr(bio, struct bio, bi_io_vec) + idx * sizeof(struct bio_vec);
	w->vec_done = vst_read(bio, struct bio, bi_iter.bi_bvec_done);
	w->folio = 0;
	w->bio_left = bytes;
	return true;
}

/* What the bio is. A function of its own, because the stack of 6.1's programs has no room for it inside vst_walk_step(). */
__noinline int vst_walk_sort(struct vst_walk *w)
{
	struct vst_state *s = vst_state_get();

	if (!s || !w)
		return 0;
	vst_sort_decide(&w->io, s, vst_read(w->io.bio, struct bio, bi_opf), w->io.marks | (w->io.sort & 0xffff));
	return 0;
}

/*
 * One step; true at the end. A global function: the verifier looks at it once, and knows nothing of the numbers in *w.
 * Inlined into the loop it would follow them through each step, beyond its limit of a million instructions.
 */
__noinline int vst_walk_step(struct vst_walk *w, struct vst_inflight_more *more)
{
	__u64 folio, mapping = 0, memcg = 0, end_io;
	struct vst_state *s = vst_state_get();
	__u32 bytes;

	if (!s || !w || !more)
		return 1;
	if (w->bio_left) {
		vst_walk_page(s, w, more);
		return 0;
	}
	if (!w->io.bio || !w->left)
		return 1;
	bytes = vst_read(w->io.bio, struct bio, bi_iter.bi_size);
	if (bytes > w->left)
		bytes = w->left;
	folio = vst_bio_folio(w->io.bio);
	if (folio) {
		mapping = vst_ptr(folio, struct folio, mapping);
		memcg = vst_ptr(folio, struct folio, memcg_data);
	}
	end_io = vst_ptr(w->io.bio, struct bio, bi_end_io);
	if (!w->row || !mapping || (mapping & MAPPING_FLAGS) || mapping != w->mapping || memcg != w->memcg ||
	    end_io != w->end_io) {
		vst_walk_sort(w);
		w->row = vst_row_of(s, w->io.bio, w->io.folio, w->io.task, w->io.sort);
		w->mapping = mapping;
		w->memcg = memcg;
		w->end_io = end_io;
	}
	if (bytes && vst_walk_into(s, w, bytes))
		return 0;
	vst_give(more, w->io.bio, w->row, bytes);
	w->left -= bytes;
	w->io.bio = vst_ptr(w->io.bio, struct bio, bi_next);
	return 0;
}

struct vst_walk_ctx {
	struct vst_walk walk;
	struct vst_inflight_more *more;
};

static long vst_walk_on(__u32 i, struct vst_walk_ctx *ctx)
{
	int end = vst_walk_step(&ctx->walk, ctx->more);

	barrier_var(end); /* the verifier does not know that it is 0 or 1, the compiler does */
	return end ? 1 : 0;
}

/* A request of several bios, or a bio whose pages have to be looked at; sort: op and layer. Fills in *more. */
__noinline int vst_walk(struct vst_inflight_more *more, __u64 bio, __u64 task, __u32 sort, __u32 bytes)
{
	struct vst_walk_ctx ctx;

	if (!more)
		return 0;
	__builtin_memset(&ctx, 0, sizeof(ctx));
	__builtin_memset(more->bytes, 0, sizeof(more->bytes));
	__builtin_memset(more->row, 0, sizeof(more->row));
	more->done = 0;
	ctx.more = more;
	ctx.walk.io.bio = bio;
	ctx.walk.io.task = task;
	ctx.walk.io.sort = sort;
	ctx.walk.io.marks = sort & SORT_MARKS;
	ctx.walk.left = bytes;
	bpf_loop(STEPS_MAX, vst_walk_on, &ctx, 0);
	return 0;
}

/* The row, or the first one, of what begins with this bio; single: it is the only one. Fills in *more of several parts. */
static __always_inline __u32 vst_decide(const struct vst_state *s, __u32 at, __u64 bio, blk_opf_t opf, __u64 task,
					__u32 sort, bool single, __u32 bytes)
{
	struct vst_io io = { .bio = bio };

	if (single) {
		vst_sort_decide(&io, s, opf, sort);
		if (!io.folio || !vst_is_shared(s, vst_ptr(io.folio, struct folio, mapping)))
			return vst_row_of(s, bio, io.folio, task, io.sort);
	}
	vst_inflight_split(at);
	vst_walk(vst_more(at), bio, task, sort, bytes);
	return vst_more(at)->row[0];
}
#endif /* VST_WALK_BPF_H */
