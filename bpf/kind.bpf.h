/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a bio is: the kind, and for a file's data the size of the file. Decided from who will be told of its
 * completion (that names the code that submitted it), then its flags, then its first page; the reasons are in
 * docs/attribution.md. Every bio is of one kind and one file: filesystems build them so.
 */
#ifndef VST_KIND_BPF_H
#define VST_KIND_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"

#define S_IFMT 0170000
#define S_IFBLK 0060000
#define S_IFREG 0100000
#define BTRFS_SUPER_MAGIC 0x9123683E
#define XFS_SUPER_MAGIC 0x58465342

#define MAPPING_FLAGS 3UL /* low bits of folio->mapping: anonymous, movable */
#define MAPPING_ANON 1UL

/*
 * What a bio is, as one number: functions that the verifier looks at once take and return no more. 0: unknown, of no
 * size. With it may go the page cache folio of the first page, whose memory cgroup may know the owner, 0 if there is
 * none: what it is takes the place of the highest byte, which is 0xff in every kernel address.
 */
#define VST_WHAT(kind, size) ((kind) | (size) << 4)
#define VST_WHAT_KIND(what) ((what) & 7)
#define VST_WHAT_INODE 8 /* what goes with it is not the folio but the inode: of direct I/O */
#define VST_WHAT_SIZE(what) ((what) >> 4)
_Static_assert(VST_KIND__N <= 8 && VST_SIZE__N <= 16, "three bits, and four");

static __always_inline __u64 vst_what_with_folio(__u32 what, __u64 folio)
{
	return (__u64)what << 56 | (folio & ~(0xffULL << 56));
}

static __always_inline __u64 vst_folio_of_what(__u64 what)
{
	__u64 folio = what & ~(0xffULL << 56);

	if (what >> 56 & VST_WHAT_INODE)
		return 0;
	return folio ? folio | 0xffULL << 56 : 0;
}

/* The file that the data is of, where the I/O tells; 0: it does not. */
static __always_inline __u64 vst_inode_of_what(__u64 what)
{
	__u64 address = what & ~(0xffULL << 56), mapping;

	if (!address)
		return 0;
	address |= 0xffULL << 56;
	if (what >> 56 & VST_WHAT_INODE)
		return address;
	mapping = vst_ptr(address, struct folio, mapping);
	return mapping && !(mapping & MAPPING_FLAGS) ? vst_ptr(mapping, struct address_space, host) : 0;
}

static __always_inline enum vst_origin vst_origin_of(const struct vst_state *s, __u64 function)
{
	return vst_origin_find(&s->origins, function);
}

static __always_inline __u8 vst_size_of(__u64 bytes)
{
	__u8 size = VST_SIZE__N - 1;

#define X(e, n, limit, c)                                                                                              \
	if (limit && size == VST_SIZE__N - 1 && bytes < limit)                                                         \
		size = VST_SIZE_##e;
	VST_SIZES(X)
#undef X
	return size;
}

/*
 * An inode's pages: a regular file's are data, a block device's are a filesystem's metadata or, where nothing is
 * mounted, raw. All else that has pages is metadata: directories and symbolic links.
 */
static __always_inline __u32 vst_what_inode(__u64 inode, __u64 at_least)
{
	__u16 fmt = vst_read(inode, struct inode, i_mode) & S_IFMT;
	__u64 bytes, bdev;

	if (fmt == S_IFREG) {
		bytes = vst_read(inode, struct inode, i_size);
		return VST_WHAT(VST_KIND_DATA, vst_size_of(bytes > at_least ? bytes : at_least));
	}
	if (fmt == S_IFBLK) {
		bdev = inode - bpf_core_field_offset(struct bdev_inode, vfs_inode) +
		       bpf_core_field_offset(struct bdev_inode, bdev);
		if (!vst_bdev_is_mounted(bdev))
			return VST_WHAT(VST_KIND_RAW, 0);
	}
	return VST_WHAT(VST_KIND_METADATA, 0);
}

static __always_inline bool vst_inode_is_xfs(__u64 inode)
{
	return vst_read(vst_ptr(inode, struct inode, i_sb), struct super_block, s_magic) == XFS_SUPER_MAGIC;
}

/*
 * Direct I/O through iomap: the file, and how large it will be when this call is done. A file that grows by direct
 * writes has its old i_size until they complete. The call so far, this bio included, is in .size; what is left of it,
 * up to the end of the extent that is being written, is in the iterator. That lives on the stack of the caller, so it
 * is asked only where the caller waits: with no function to be called at the end. (.wait_for_completion is not set
 * before all has been submitted.)
 */
static __always_inline __u64 vst_what_iomap_dio(__u64 dio, blk_opf_t opf)
{
	__u64 iocb = vst_ptr(dio, struct iomap_dio, iocb);
	__u64 inode = vst_ptr(vst_ptr(iocb, struct kiocb, ki_filp), struct file, f_inode);
	__u64 end = 0;

	if (opf & 1) {
		end = vst_read(iocb, struct kiocb, ki_pos) + vst_read(dio, struct iomap_dio, size);
		if (!vst_ptr(iocb, struct kiocb, ki_complete))
			end += vst_read(vst_ptr(dio, struct iomap_dio, submit.iter), struct iov_iter, count);
	}
	return vst_what_with_folio(vst_what_inode(inode, end) | VST_WHAT_INODE, inode);
}

#define BTRFS_ROOT_TREE_OBJECTID 1
#define BTRFS_BTREE_INODE_OBJECTID 1

/* Before 6.3 (690834e47cf7) there is no btrfs_bio.inode: the page tells, but not of direct I/O. 0: look at the page. */
static __always_inline __u32 vst_what_btrfs_old(const struct vst_state *s, __u64 bbio)
{
	if (vst_origin_of(s, vst_ptr(bbio, struct btrfs_bio, end_io)) != VST_ORIGIN_btrfs_dio)
		return 0;
	bbio = vst_ptr(bbio, struct btrfs_bio, private);
	return vst_what_inode(vst_ptr(bbio, struct btrfs_dio_private, inode), 0);
}

/* The bio that btrfs made of its own, of which this may be one device's copy; 0: not to be told. */
static __always_inline __u64 vst_btrfs_bio(__u64 bio, __u32 origin)
{
	if (origin != VST_ORIGIN_btrfs_clone)
		return bio;
	if (!bpf_core_field_exists(struct btrfs_io_stripe, bioc))
		return 0;
	bio = vst_ptr(bio, struct bio, bi_private);
	bio = vst_ptr(bio, struct btrfs_io_stripe, bioc);
	return vst_ptr(bio, struct btrfs_io_context, orig_bio);
}

static __always_inline __u32 vst_what_btrfs(const struct vst_state *s, __u64 bio, blk_opf_t opf)
{
	__u64 bbio, inode, root;

	if (vst_bio_is_meta(opf))
		return VST_WHAT(VST_KIND_METADATA, 0);
	/* the module came after the agent: its types are not known, the page has to tell */
	if (!bpf_core_field_exists(struct btrfs_bio, bio))
		return 0;
	bbio = bio - bpf_core_field_offset(struct btrfs_bio, bio);
	if (!bpf_core_field_exists(struct btrfs_bio, inode))
		return vst_what_btrfs_old(s, bbio);
	inode = vst_ptr(bbio, struct btrfs_bio, inode);
	if (!inode)
		return 0;
	root = vst_ptr(inode, struct btrfs_inode, root);
	inode += bpf_core_field_offset(struct btrfs_inode, vfs_inode);
	/* a scrub goes by the tree's inode, whatever it reads (6.18); the tree itself has REQ_META */
	if (vst_read(inode, struct inode, i_ino) == BTRFS_BTREE_INODE_OBJECTID)
		return 0;
	/* the free space cache: regular files that no one can open */
	if (root && vst_ptr(root, struct btrfs_root, root_key.objectid) == BTRFS_ROOT_TREE_OBJECTID)
		return VST_WHAT(VST_KIND_METADATA, 0);
	return vst_what_inode(inode, 0);
}

/*
 * By completion function, those that are not met on every disk: a function of its own, out of the way of the others.
 * 0: it does not say, the pages have to.
 */
__noinline __u32 vst_what_rare(__u64 bio, __u32 origin, blk_opf_t opf)
{
	struct vst_state *s = vst_state_get();

	if (!s)
		return 0;
	switch (origin) {
	case VST_ORIGIN_btrfs:
	case VST_ORIGIN_btrfs_orig:
	case VST_ORIGIN_btrfs_clone:
		bio = vst_btrfs_bio(bio, origin);
		return bio ? vst_what_btrfs(s, bio, opf) : 0;
	case VST_ORIGIN_xfs_buf:
		return VST_WHAT(VST_KIND_METADATA, 0);
	case VST_ORIGIN_xlog:
		return VST_WHAT(VST_KIND_JOURNAL, 0);
	case VST_ORIGIN_buffer:
		bio = vst_ptr(bio, struct bio, bi_private);
		origin = vst_origin_of(s, vst_ptr(bio, struct buffer_head, b_end_io));
		if (origin != VST_ORIGIN_jbd2 && origin != VST_ORIGIN_ext4_fast_commit)
			return 0;
		return VST_WHAT(VST_KIND_JOURNAL, 0);
	case VST_ORIGIN_swap_write:
	case VST_ORIGIN_swap_read:
		return VST_WHAT(VST_KIND_SWAP, 0);
	case VST_ORIGIN_legacy_dio:
	case VST_ORIGIN_legacy_dio_aio:
		if (!bpf_core_field_exists(struct dio, inode))
			return 0;
		return vst_what_inode(vst_ptr(vst_ptr(bio, struct bio, bi_private), struct dio, inode), 0);
	default:
		return 0;
	}
}

static __always_inline __u64 vst_page_folio(__u64 page)
{
	__u64 head = vst_ptr(page, struct page, compound_head);

	return head & 1 ? head - 1 : page;
}

/* The folio of the bio's next page, as a number; 0 without pages. */
static __always_inline __u64 vst_bio_folio(__u64 bio)
{
	__u64 vec = vst_ptr(bio, struct bio, bi_io_vec), page;
	__u32 idx = vst_read(bio, struct bio, bi_iter.bi_idx);

	if (!vec)
		return 0;
	page = vst_ptr(vec + idx * sizeof(struct bio_vec), struct bio_vec, bv_page);
	return page ? vst_page_folio(page) : 0;
}

/*
 * The folio of a bio that btrfs says the inode of, if it is that inode's: not where it is compressed, nor a program's (direct I/O). Of
 * others 0: they say no inode but by the page, or have none.
 */
__noinline __u64 vst_btrfs_folio(__u64 bio, __u64 submitted, __u32 origin)
{
	__u64 folio, mapping, inode;

	if (origin != VST_ORIGIN_btrfs && origin != VST_ORIGIN_btrfs_orig && origin != VST_ORIGIN_btrfs_clone)
		return 0;
	submitted = vst_btrfs_bio(submitted, origin);
	folio = vst_bio_folio(bio);
	if (!submitted || !folio || !bpf_core_field_exists(struct btrfs_bio, inode))
		return 0;
	inode = vst_ptr(submitted - bpf_core_field_offset(struct btrfs_bio, bio), struct btrfs_bio, inode);
	mapping = vst_ptr(folio, struct folio, mapping);
	if (!inode || !mapping || mapping & MAPPING_FLAGS)
		return 0;
	inode += bpf_core_field_offset(struct btrfs_inode, vfs_inode);
	return vst_ptr(mapping, struct address_space, host) == inode ? folio : 0;
}

static __always_inline bool vst_is_wait(enum vst_origin origin)
{
	return origin == VST_ORIGIN_wait || origin == VST_ORIGIN_wait_old;
}

/*
 * No file behind the page: the kernel's memory or a program's. `bio` is the one that its submitter made, `user` that the
 * page is a program's.
 */
__noinline __u32 vst_what_memory(__u64 bio, __u32 origin, __u64 folio, bool user)
{
	blk_opf_t opf = vst_read(bio, struct bio, bi_opf);

	if (vst_bio_is_meta(opf) || origin == VST_ORIGIN_buffer)
		return VST_WHAT(VST_KIND_METADATA, 0);
	if (bpf_core_field_exists(struct ext4_io_end, inode) && origin == VST_ORIGIN_ext4_write) /* encrypted */
		return vst_what_inode(vst_ptr(vst_ptr(bio, struct bio, bi_private), struct ext4_io_end, inode), 0);
	if (!vst_bdev_is_mounted(vst_ptr(bio, struct bio, bi_bdev)))
		return VST_WHAT(VST_KIND_RAW, 0);
	/*
	 * A filesystem that clears blocks with a page of zeroes, as ext4lazyinit does for minutes after the first mount,
	 * or that discards them, without pages.
	 */
	if (!user && vst_read(bio, struct bio, bi_iter.bi_size) &&
	    (!folio || !vst_ptr(bio, struct bio, bi_end_io) || vst_is_wait(origin) || origin == VST_ORIGIN_bio_chain))
		return VST_WHAT(VST_KIND_METADATA, 0);
	return 0;
}

/*
 * Is a page with this inode the buffer (mmap) of a program that waits for direct I/O on a disk, not what the I/O is
 * about? Yes for tmpfs and the like, which are on no block device (nor is btrfs, by its superblock); and a filesystem
 * reads into its own pages, so not from another device.
 */
__noinline bool vst_page_is_buffer(__u64 bio, __u64 inode)
{
	__u64 sb, bdev;

	if ((vst_read(inode, struct inode, i_mode) & S_IFMT) == S_IFBLK)
		return false;
	sb = vst_ptr(inode, struct inode, i_sb);
	bdev = vst_ptr(sb, struct super_block, s_bdev);
	if (!bdev) /* btrfs is on several devices and names none here */
		return vst_read(sb, struct super_block, s_magic) != BTRFS_SUPER_MAGIC;
	return bdev != vst_ptr(bio, struct bio, bi_bdev);
}

/* `submitted` is the bio that its submitter made, of which `bio` may be a part or a copy. With the folio. */
static __always_inline __u64 vst_what_pages(__u64 bio, __u64 submitted, enum vst_origin origin, blk_opf_t opf)
{
	__u64 folio = vst_bio_folio(bio), mapping = 0, inode, flags;
	bool user;
	__u32 what;

	/* xfs reads its log into memory of the slab allocator, whose pages have something else there */
	if (folio && !(vst_is_wait(origin) && vst_bio_is_meta(opf)))
		mapping = vst_ptr(folio, struct folio, mapping);
	user = mapping & MAPPING_ANON;
	if (mapping && !(mapping & MAPPING_FLAGS)) {
		inode = vst_ptr(mapping, struct address_space, host);
		if (!vst_is_wait(origin) || !vst_page_is_buffer(submitted, inode)) {
			what = vst_what_inode(inode, 0);
			/* a program's pages of a block device never say so; btrfs was no holder with operations before 6.17 */
			if (what == VST_WHAT(VST_KIND_RAW, 0) && vst_bio_is_meta(opf))
				what = VST_WHAT(VST_KIND_METADATA, 0);
			return vst_what_with_folio(what, folio);
		}
		user = true;
	}
	if (folio && vst_is_wait(origin) && !vst_bio_is_meta(opf)) {
		/* page->flags is the first word. What is read from zram is not in the swap cache, and of nobody's memory yet. */
		flags = vst_word(folio, 0);
		if (flags & 1UL << bpf_core_enum_value(enum pageflags, PG_swapbacked) &&
		    (!mapping || flags & 1UL << bpf_core_enum_value(enum pageflags, PG_swapcache)))
			return vst_what_with_folio(VST_WHAT(VST_KIND_SWAP, 0), 0);
		if (user)
			return vst_what_with_folio(VST_WHAT(VST_KIND_RAW, 0), 0);
	}
	return vst_what_with_folio(vst_what_memory(submitted, origin, folio, user), 0);
}

/* `submitted` is the bio that its submitter made, of which `bio` may be a part or a copy. With the folio. */
static __always_inline __u64 vst_what_by_origin(const struct vst_state *s, __u64 bio, __u64 submitted,
						enum vst_origin origin, blk_opf_t opf)
{
	__u32 what;

	switch (origin) {
	case VST_ORIGIN_iomap_dio:
		return vst_what_iomap_dio(vst_ptr(submitted, struct bio, bi_private), opf);
	case VST_ORIGIN_blkdev_dio:
	case VST_ORIGIN_blkdev_dio_aio:
		return vst_what_with_folio(VST_WHAT(VST_KIND_RAW, 0), 0);
	case VST_ORIGIN_NONE:
	case VST_ORIGIN_wait:
	case VST_ORIGIN_wait_old:
	case VST_ORIGIN_ext4_write:
		break;
	default:
		what = vst_what_rare(submitted, origin, opf);
		if (what)
			return vst_what_with_folio(what, vst_btrfs_folio(bio, submitted, origin));
	}
	if (vst_bio_is_swap(opf))
		return vst_what_with_folio(VST_WHAT(VST_KIND_SWAP, 0), 0);
	return vst_what_pages(bio, submitted, origin, opf);
}

/* A part or a copy of another bio, which tells. */
__noinline __u64 vst_what_part(__u64 bio)
{
	__u64 submitted = bio, end_io = vst_ptr(bio, struct bio, bi_end_io);
	blk_opf_t opf = vst_read(bio, struct bio, bi_opf);
	struct vst_state *s = vst_state_get();

	if (!s)
		return 0;
	if (vst_origin_of(s, end_io) == VST_ORIGIN_dm_clone && bpf_core_field_exists(struct dm_io, orig_bio)) {
		submitted = vst_ptr(bio - bpf_core_field_offset(struct dm_target_io, clone), struct dm_target_io, io);
		submitted = vst_ptr(submitted, struct dm_io, orig_bio);
		end_io = vst_ptr(submitted, struct bio, bi_end_io);
	}
	if (vst_origin_of(s, end_io) == VST_ORIGIN_bio_chain) {
		submitted = vst_ptr(submitted, struct bio, bi_private);
		end_io = vst_ptr(submitted, struct bio, bi_end_io);
	}
	return vst_what_by_origin(s, bio, submitted, vst_origin_of(s, end_io), opf);
}

/* With the folio. opf: the bio's, or of the request that it is in. */
static __always_inline __u64 vst_what_decide(const struct vst_state *s, __u64 bio, blk_opf_t opf)
{
	enum vst_origin origin = vst_origin_of(s, vst_ptr(bio, struct bio, bi_end_io));

	if (origin == VST_ORIGIN_dm_clone || origin == VST_ORIGIN_bio_chain)
		return vst_what_part(bio);
	return vst_what_by_origin(s, bio, bio, origin, opf);
}
#endif /* VST_KIND_BPF_H */
