/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel functions whose address tells what an I/O is: the completion function of a bio or a buffer names the code
 * that submitted it. The agent looks them up in /proc/kallsyms; one that is missing (another kernel, a module
 * that is not loaded) matches nothing.
 *
 * X(field, "symbol", "what it tells")
 */
#ifndef VSTOR_SYMBOLS_H
#define VSTOR_SYMBOLS_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define VST_SYMBOLS(X)                                                                                                 \
	X(bio_chain, "bio_chain_endio", "a part of a bio that was split: its parent tells")                            \
	X(dm_clone, "clone_endio", "device-mapper's copy of a bio: the original tells")                                \
	X(iomap_dio, "iomap_dio_bio_end_io", "direct I/O on a file (ext4, xfs)")                                       \
	X(legacy_dio, "dio_bio_end_io", "direct I/O on a file (older filesystems), synchronous")                       \
	X(legacy_dio_aio, "dio_bio_end_aio", "direct I/O on a file (older filesystems), asynchronous")                 \
	X(blkdev_dio, "blkdev_bio_end_io", "direct I/O on a block device, synchronous")                                \
	X(blkdev_dio_aio, "blkdev_bio_end_io_async", "direct I/O on a block device, asynchronous")                     \
	X(wait, "bio_wait_end_io", "a bio whose submitter waits for it")                                               \
	X(wait_old, "submit_bio_wait_endio", "a bio whose submitter waits for it")                                     \
	X(swap_write, "end_swap_bio_write", "swap")                                                                    \
	X(swap_read, "end_swap_bio_read", "swap")                                                                      \
	X(buffer, "end_bio_bh_io_sync", "a buffer of a block device's page cache")                                     \
	X(jbd2, "journal_end_buffer_io_sync", "a buffer of the ext4 journal")                                          \
	X(ext4_fast_commit, "ext4_end_buffer_io_sync", "a buffer of the ext4 journal, of a fast commit")               \
	X(xlog, "xlog_bio_end_io", "the xfs log")                                                                      \
	X(xfs_buf, "xfs_buf_bio_end_io", "xfs metadata")                                                               \
	X(ext4_write, "ext4_end_bio", "ext4 data written, encrypted too")                                              \
	X(btrfs, "btrfs_simple_end_io", "btrfs")                                                                       \
	X(btrfs_orig, "btrfs_orig_write_end_io", "btrfs, mirrored")                                                    \
	X(btrfs_clone, "btrfs_clone_write_end_io", "btrfs, mirrored")                                                  \
	X(btrfs_dio, "btrfs_end_dio_bio", "direct I/O on btrfs (before 6.3)")

enum vst_origin {
	VST_ORIGIN_NONE, /* none of them */
#define X(f, s, w) VST_ORIGIN_##f,
	VST_SYMBOLS(X)
#undef X
		VST_ORIGIN__N
};

/*
 * From an address to its enum with one look: a table in which each has a place of its own, found by a multiplication.
 * An entry is the address, shifted left by 8 (the highest byte is 0xff in every kernel address), and the enum; 0: free.
 */
#define VST_ORIGIN_BITS 7
struct vst_origins {
	__u64 factor;
	__u64 entry[1 << VST_ORIGIN_BITS];
};

static inline __attribute__((always_inline)) __u32 vst_origin_place(__u64 factor, __u64 addr)
{
	return (addr * factor) >> (64 - VST_ORIGIN_BITS);
}

static inline __attribute__((always_inline)) enum vst_origin vst_origin_find(const struct vst_origins *o, __u64 addr)
{
	__u64 code = o->entry[vst_origin_place(o->factor, addr)] ^ addr << 8;

	return code < VST_ORIGIN__N ? (enum vst_origin)code : VST_ORIGIN_NONE;
}

#ifndef __bpf__
/*
 * Puts in the addresses, by enum, 0 for one that is missing. Those that were found before keep their places unless there
 * is a collision, so that a probe that looks meanwhile finds them. False: no factor was found that fits, and
 * *o is as before; of a thousand that are tried, a few hundred do.
 */
static inline int vst_origins_set(struct vst_origins *o, const __u64 addr[VST_ORIGIN__N])
{
	__u64 factor = o->factor ? o->factor : 0x9e3779b97f4a7c15ULL;
	__u8 taken[1 << VST_ORIGIN_BITS];
	int i, n, tries;

	for (tries = 0; tries < 1000; tries++, factor = factor * 6364136223846793005ULL + 1442695040888963407ULL) {
		for (i = 0; i < 1 << VST_ORIGIN_BITS; i++)
			taken[i] = 0;
		for (n = 1; n < VST_ORIGIN__N; n++)
			if (addr[n] && taken[vst_origin_place(factor, addr[n])]++)
				break;
		if (n == VST_ORIGIN__N)
			break;
	}
	if (tries == 1000)
		return 0;
	o->factor = factor;
	for (i = 0; i < 1 << VST_ORIGIN_BITS; i++) {
		__u64 entry = 0;

		for (n = 1; n < VST_ORIGIN__N; n++)
			if (addr[n] && vst_origin_place(factor, addr[n]) == (__u32)i)
				entry = addr[n] << 8 | (__u64)n;
		o->entry[i] = entry;
	}
	return 1;
}
#endif /* !__bpf__ */
#endif /* VSTOR_SYMBOLS_H */
