/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel functions whose address tells what an I/O is: the completion function of a bio or a buffer names the code
 * that submitted it. The agent looks them up in /proc/kallsyms; one that is missing (another kernel, a module
 * that is not loaded) has address 0 and matches nothing.
 *
 * X(field, "symbol", "what it tells")
 */
#ifndef VSTOR_SYMBOLS_H
#define VSTOR_SYMBOLS_H

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
	X(xlog, "xlog_bio_end_io", "the xfs log")                                                                      \
	X(xfs_buf, "xfs_buf_bio_end_io", "xfs metadata")                                                               \
	X(ext4_write, "ext4_end_bio", "ext4 data written, encrypted too")                                              \
	X(btrfs, "btrfs_simple_end_io", "btrfs")                                                                       \
	X(btrfs_orig, "btrfs_orig_write_end_io", "btrfs, mirrored")                                                    \
	X(btrfs_clone, "btrfs_clone_write_end_io", "btrfs, mirrored")                                                  \
	X(btrfs_dio, "btrfs_end_dio_bio", "direct I/O on btrfs (before 6.3)")

#endif /* VSTOR_SYMBOLS_H */
