/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long data lives: from the write of a page of a file until it is overwritten, truncated, or unlinked with its file, and whether it
 * had reached the disk by then. For containers that are watched all the time.
 *
 * The filesystems tell of each write, also to a page that is dirty already; the page cache tells which pages go with a truncate or with
 * the file; and a request that is issued tells which pages reach the disk. The filesystems' programs are raw tracepoints: these are
 * looked up by name when they are attached, so it does not matter when a module is loaded.
 */
#ifndef VST_LIVES_BPF_H
#define VST_LIVES_BPF_H

#include "kind.bpf.h"
#include "task.bpf.h"

#define PAGE_BITS 12
#define LIFE_BITS 6 /* pages of a block */
#define LIFE_PAGES (1U << LIFE_BITS)
#define LIFE_PAGES_MAX (1U << 18) /* 1 GiB in one call */
#define BTRFS_MAGIC 0x9123683E	  /* include/uapi/linux/magic.h */

/* Not the inode's address: a file that is not open for a while gets another one. */
struct vst_life_key {
	__u64 ino;
	__u32 dev;
	__u32 generation; /* a number may be given to another file */
	__u64 block;
};

struct vst_life {
	__u64 owner; /* packed: who wrote to it last */
	__u64 live;  /* pages that were written */
	__u64 dirty; /* of these, those that have not reached the disk since */
	__u32 at[LIFE_PAGES];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VST_LIFE_BLOCKS);
	__type(key, struct vst_life_key);
	__type(value, struct vst_life);
} vst_lives SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_LIFE_ROWS);
	__type(key, struct vst_life_row_key);
	__type(value, struct vst_life_row);
} vst_life_rows SEC(".maps");

static const struct vst_life no_life;
static const struct vst_life_row no_life_row;

/* Some pages of a file, one after the other, that something happens to. */
struct vst_life_walk {
	struct vst_life_key key; /* .block: of the first page */
	__u64 first;		 /* page */
	__u64 owner;		 /* of a write */
	__u32 now;		 /* as vst_life_now() */
	__u32 what;		 /* enum vst_life_end, or LIFE_ISSUED */
};

#define LIFE_ISSUED VST_LIFE_END__N
#define LIFE_GONE (VST_LIFE_END__N + 1) /* from the page cache; the file stays, and so may the data */

static __always_inline __u32 vst_life_now(void)
{
	return bpf_ktime_get_ns() >> VST_LIFE_SHIFT;
}

__noinline int vst_life_end(__u64 owner, __u32 what, __u32 age, bool dirty)
{
	struct vst_life_row_key key = { .owner = owner, .end = what };
	struct vst_life_row *row = bpf_map_lookup_elem(&vst_life_rows, &key);
	__u32 bucket = vst_life_bucket(age);

	if (!row) {
		bpf_map_update_elem(&vst_life_rows, &key, &no_life_row, BPF_NOEXIST);
		row = bpf_map_lookup_elem(&vst_life_rows, &key);
	}
	if (!row || bucket >= VST_LIFE_BUCKETS) {
		__sync_fetch_and_add(&vst_insight.lives_lost, 1);
		return 0;
	}
	__sync_fetch_and_add(&row->pages[bucket], 1);
	if (dirty)
		__sync_fetch_and_add(&row->dead, 1);
	return 0;
}

static long vst_life_page(__u32 i, struct vst_life_walk *w)
{
	struct vst_life_key key = w->key;
	__u32 place = (w->first + i) & (LIFE_PAGES - 1), what = w->what;
	__u64 page = 1ULL << place;
	struct vst_life *l;
	bool dirty;

	key.block = (w->first + i) >> LIFE_BITS;
	l = bpf_map_lookup_elem(&vst_lives, &key);
	if (!l && what == VST_LIFE_OVERWRITE) {
		bpf_map_update_elem(&vst_lives, &key, &no_life, BPF_NOEXIST);
		l = bpf_map_lookup_elem(&vst_lives, &key);
	}
	if (!l)
		return 0;
	dirty = l->dirty & page;
	if (what == LIFE_ISSUED) {
		if (dirty)
			__sync_fetch_and_and(&l->dirty, ~page);
		return 0;
	}
	if (what == LIFE_GONE) {
		if (!dirty) /* it is on the disk, and there it stays */
			return 0;
		what = VST_LIFE_TRUNCATE; /* of a hole */
	}
	if (l->live & page)
		vst_life_end(l->owner, what, w->now - l->at[place], dirty);
	if (what == VST_LIFE_OVERWRITE) {
		l->at[place] = w->now;
		l->owner = w->owner;
		__sync_fetch_and_or(&l->live, page);
		__sync_fetch_and_or(&l->dirty, page);
		return 0;
	}
	__sync_fetch_and_and(&l->live, ~page);
	__sync_fetch_and_and(&l->dirty, ~page);
	if (!l->live)
		bpf_map_delete_elem(&vst_lives, &key);
	return 0;
}

static __always_inline void vst_life_begin(struct vst_life_walk *w, __u64 inode, __u64 first, __u32 what)
{
	w->key.ino = vst_read(inode, struct inode, i_ino);
	w->key.dev = vst_read(vst_ptr(inode, struct inode, i_sb), struct super_block, s_dev);
	w->key.generation = vst_read(inode, struct inode, i_generation);
	w->key.block = first >> LIFE_BITS;
	w->first = first;
	w->now = vst_life_now();
	w->what = what;
}

static __always_inline void vst_life_run(struct vst_life_walk *w, __u64 pages)
{
	bpf_loop(pages < LIFE_PAGES_MAX ? pages : LIFE_PAGES_MAX, vst_life_page, w, 0);
}

/* The current task wrote these bytes. */
__noinline int vst_life_write(__u64 inode, __u64 pos, __u64 len)
{
	struct vst_state *s = vst_state_get();
	struct vst_life_walk w = {};

	if (!s || !len || (vst_read(inode, struct inode, i_mode) & S_IFMT) != S_IFREG)
		return 0;
	w.owner = vst_task_owner(s);
	vst_life_begin(&w, inode, pos >> PAGE_BITS, VST_LIFE_OVERWRITE);
	/* who is not watched may overwrite what one who is has written */
	if ((!w.owner || vst_scope_of(w.owner) != VST_INSIGHT_FULL) && !bpf_map_lookup_elem(&vst_lives, &w.key))
		return 0;
	vst_life_run(&w, ((pos + len - 1) >> PAGE_BITS) - (pos >> PAGE_BITS) + 1);
	return 0;
}

/* --- writes --- */

/* inode, pos, len, copied */
static __always_inline int vst_life_ext4(struct bpf_raw_tracepoint_args *ctx)
{
	return vst_life_write(ctx->args[0], ctx->args[1], (__u32)ctx->args[3]);
}

SEC("raw_tp/ext4_da_write_end")
int vst_life_ext4_da(struct bpf_raw_tracepoint_args *ctx)
{
	return vst_life_ext4(ctx);
}

SEC("raw_tp/ext4_write_end")
int vst_life_ext4_nodelalloc(struct bpf_raw_tracepoint_args *ctx)
{
	return vst_life_ext4(ctx);
}

SEC("raw_tp/ext4_journalled_write_end")
int vst_life_ext4_journal(struct bpf_raw_tracepoint_args *ctx)
{
	return vst_life_ext4(ctx);
}

/* What is to be written: a write that fails half way is told as a whole. */
SEC("raw_tp/xfs_file_buffered_write")
int vst_life_xfs(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 iocb = ctx->args[0], file = vst_ptr(iocb, struct kiocb, ki_filp);

	return vst_life_write(vst_ptr(file, struct file, f_inode), vst_read(iocb, struct kiocb, ki_pos),
			      vst_read(ctx->args[1], struct iov_iter, count));
}

/* The tree is a part of its inode, and the agent says where in it. Not every tree is: the inode knows its own mapping. */
SEC("raw_tp/btrfs_set_extent_bit")
int vst_life_btrfs(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 inode = ctx->args[0] + vst_insight.btrfs_inode, mapping, sb;

	if (!vst_insight.btrfs_inode || !(ctx->args[3] & vst_insight.btrfs_delalloc))
		return 0;
	mapping = vst_ptr(inode, struct inode, i_mapping);
	sb = vst_ptr(inode, struct inode, i_sb);
	if (!mapping || vst_ptr(mapping, struct address_space, host) != inode ||
	    vst_read(sb, struct super_block, s_magic) != BTRFS_MAGIC)
		return 0;
	return vst_life_write(inode, ctx->args[1], ctx->args[2]);
}

/* --- ends --- */

/*
 * What the kernel has reclaimed is not told again when its file is truncated. So what lies in a block (VST_LIFE_BLOCKS) beside a page that goes is taken to
 * go with it.
 */
static __always_inline void vst_life_widen(struct vst_life_walk *w, __u64 *pages, __u64 size)
{
	__u64 first = w->first & ~(LIFE_PAGES - 1ULL), left = (size + 4095) >> PAGE_BITS;
	__u64 end = (w->first + *pages + LIFE_PAGES - 1) & ~(LIFE_PAGES - 1ULL);

	if (w->what == VST_LIFE_TRUNCATE && first < left)
		first = left;
	w->first = first;
	*pages = end > first ? end - first : 0;
}

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int BPF_PROG(vst_life_gone, struct folio *page)
{
	__u64 folio = vst_address(page), mapping = vst_ptr(folio, struct folio, mapping), inode, first, size, pages;
	struct vst_life_walk w = {};
	struct vst_life *l;

	if (!mapping || mapping & MAPPING_FLAGS)
		return 0;
	inode = vst_ptr(mapping, struct address_space, host);
	if ((vst_read(inode, struct inode, i_mode) & S_IFMT) != S_IFREG)
		return 0;
	first = vst_ptr(folio, struct folio, index);
	vst_life_begin(&w, inode, first, LIFE_GONE);
	size = vst_read(inode, struct inode, i_size);
	if (!vst_read(inode, struct inode, i_nlink))
		w.what = VST_LIFE_UNLINK;
	else if (first << PAGE_BITS >= size)
		w.what = VST_LIFE_TRUNCATE;
	pages = vst_folio_pages(folio);
	if (pages <= LIFE_PAGES) { /* a folio is aligned, so it is in one block */
		l = bpf_map_lookup_elem(&vst_lives, &w.key);
		if (!l || !(l->live >> (first & (LIFE_PAGES - 1))))
			return 0;
	}
	if (w.what != LIFE_GONE)
		vst_life_widen(&w, &pages, size);
	vst_life_run(&w, pages);
	return 0;
}

/* A bio that is written: pages of one file, one after the other. */
static __always_inline void vst_life_issued(__u64 bio)
{
	__u64 folio = vst_bio_folio(bio), mapping, inode, vec, page, first;
	struct vst_life_walk w = {};

	mapping = folio ? vst_ptr(folio, struct folio, mapping) : 0;
	if (!mapping || mapping & MAPPING_FLAGS)
		return;
	inode = vst_ptr(mapping, struct address_space, host);
	if ((vst_read(inode, struct inode, i_mode) & S_IFMT) != S_IFREG)
		return;
	vec = vst_ptr(bio, struct bio, bi_io_vec) + vst_read(bio, struct bio, bi_iter.bi_idx) * sizeof(struct bio_vec);
	page = vst_ptr(vec, struct bio_vec, bv_page) + (vst_read(vec, struct bio_vec, bv_offset) >> PAGE_BITS) * 64;
	first = vst_ptr(folio, struct folio, index) + (page - folio) / 64;
	vst_life_begin(&w, inode, first, LIFE_ISSUED);
	vst_life_run(&w, (vst_read(bio, struct bio, bi_iter.bi_size) + 4095) >> PAGE_BITS);
}

static long vst_life_bio(__u32 i, __u64 *bio)
{
	vst_life_issued(*bio);
	*bio = vst_ptr(*bio, struct bio, bi_next);
	return !*bio;
}

#define LIFE_BIOS_MAX 1024

SEC("tp_btf/block_rq_issue")
int BPF_PROG(vst_life_issue, struct request *rq)
{
	__u64 bio;

	if ((rq->cmd_flags & 0xff) != 1)
		return 0;
	bio = vst_ptr(vst_address(rq), struct request, bio);
	if (bio)
		bpf_loop(LIFE_BIOS_MAX, vst_life_bio, &bio, 0);
	return 0;
}
#endif /* VST_LIVES_BPF_H */
