// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long fsync and its kin take, by container and filesystem. Attached only while somebody wants to know.
 *
 * ext4 has a tracepoint at the begin and one at the end. xfs and btrfs have one at the begin only, so for the end their
 * function is hooked (fexit). None of these costs another system call anything. Where the kernel lets nobody hook
 * functions, the end is the return of the system call: while the sys_exit tracepoints of fsync, fdatasync and msync are
 * attached, every system call takes the kernel's slow path (docs/cost.md has figures). A write with O_SYNC or O_DSYNC and
 * an fsync of io_uring reach the filesystem too: they are measured like the others, except in that last case, where they
 * are counted as not measured, because an exit hook of write(2) would cost all who write.
 *
 * The filesystems' programs are raw tracepoints: these are looked up by name when they are attached, so one object works
 * whichever filesystems are modules, and whenever these are loaded.
 */
#include <bpf/bpf_core_read.h>

#include "owner.bpf.h"
#include "vstor/abi_fsync.h"
#include "vstor/hist.h"

char LICENSE[] SEC("license") = "GPL";

/* The function is hooked, and its return is the end. */
const volatile bool vst_fsync_xfs_hooked, vst_fsync_btrfs_hooked;

#define BPF_F_NO_PREALLOC 1 /* include/uapi/linux/bpf.h */

/* arch/x86/entry/syscalls/syscall_64.tbl */
#define NR_MSYNC 26
#define NR_FSYNC 74
#define NR_FDATASYNC 75

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_FSYNC_ROWS);
	__type(key, struct vst_fsync_key);
	__type(value, struct vst_fsync_row);
} vst_fsync_rows SEC(".maps");

/* thread id -> its fsync */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_FSYNC_OPEN);
	__type(key, __u32);
	__type(value, struct vst_fsync_open);
} vst_fsync_open SEC(".maps");

struct vst_fsync_state vst_fsync_state;

static const struct vst_fsync_row no_row;

static __always_inline void lose(void)
{
	__sync_fetch_and_add(&vst_fsync_state.lost, 1);
}

static __always_inline struct vst_fsync_row *row_of(const struct vst_fsync_key *key)
{
	struct vst_fsync_row *row = bpf_map_lookup_elem(&vst_fsync_rows, key);

	if (row)
		return row;
	bpf_map_update_elem(&vst_fsync_rows, key, &no_row, BPF_NOEXIST);
	return bpf_map_lookup_elem(&vst_fsync_rows, key);
}

static __always_inline void row_add(struct vst_fsync_row *row, __u64 ns)
{
	__u32 bucket = vst_hist_index(ns);
	__u64 max = row->max_ns;

	barrier_var(bucket);
	if (bucket >= VST_HIST_BUCKETS) /* never: for the verifier of 6.1 */
		return;
	__sync_fetch_and_add(&row->count, 1);
	__sync_fetch_and_add(&row->total_ns, ns);
	__sync_fetch_and_add(&row->hist[bucket], 1);
	for (int i = 0; i < 4 && ns > max;
	     i++) { /* 4 CPUs at once are enough: then one of nearly the same length stays */
		__u64 was = __sync_val_compare_and_swap(&row->max_ns, max, ns);

		if (was == max)
			break;
		max = was;
	}
}

/* The current thread's fsync has returned, at that time. Nothing if none was begun. */
static __always_inline void fsync_end(__u64 now)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct vst_fsync_open *open = bpf_map_lookup_elem(&vst_fsync_open, &tid);
	struct vst_fsync_row *row;

	if (!open)
		return;
	row = row_of(&open->key);
	if (!row)
		lose();
	else if (now > open->begin_ns)
		row_add(row, now - open->begin_ns);
	__sync_fetch_and_add(&vst_fsync_state.ended, 1);
	bpf_map_delete_elem(&vst_fsync_open, &tid);
}

static __always_inline void fsync_begin(__u64 now, __u32 dev)
{
	struct vst_fsync_open open = { .begin_ns = now, .key.dev = dev };
	__u32 tid = bpf_get_current_pid_tgid();

	open.key.owner = vst_task_owner(vst_state_get());
	if (!open.key.owner) /* a kernel thread: nobody waits */
		return;
	if (bpf_map_update_elem(&vst_fsync_open, &tid, &open, BPF_ANY))
		lose();
}

static __always_inline __u32 dev_of_inode(const struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_dev);
}

/* --- ext4 --- */

SEC("raw_tp/ext4_sync_file_enter")
int vst_fsync_ext4_begin(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct file *file = (void *)ctx->args[0];

	fsync_begin(now, dev_of_inode(BPF_CORE_READ(file, f_inode)));
	return 0;
}

SEC("raw_tp/ext4_sync_file_exit")
int vst_fsync_ext4_end(struct bpf_raw_tracepoint_args *ctx)
{
	fsync_end(bpf_ktime_get_ns());
	return 0;
}

/* --- xfs and btrfs --- */

/* Is the current thread in a system call whose return is hooked? */
static __always_inline bool end_will_be_seen(void)
{
	const struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	long nr = BPF_CORE_READ(regs, orig_ax);

	return nr == NR_FSYNC || nr == NR_FDATASYNC || nr == NR_MSYNC;
}

static __always_inline void fsync_begin_in_call(__u64 now, __u32 dev, bool hooked)
{
	if (!hooked && !end_will_be_seen()) {
		if (vst_task_owner(vst_state_get()))
			__sync_fetch_and_add(&vst_fsync_state.unmeasured, 1);
		return;
	}
	fsync_end(now); /* msync of several mappings: each of them counts */
	fsync_begin(now, dev);
}

SEC("raw_tp/xfs_file_fsync")
int vst_fsync_xfs_begin(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	const struct xfs_inode *ip = (void *)ctx->args[0];

	if (bpf_core_field_exists(ip->i_vnode))
		fsync_begin_in_call(now, BPF_CORE_READ(ip, i_vnode.i_sb, s_dev), vst_fsync_xfs_hooked);
	return 0;
}

/*
 * A btrfs has a device number of its own, which no disk has. Its newest device stands for it, as it does in
 * /proc/mounts; if btrfs was not loaded when this program was, there is no way to that device.
 */
static __always_inline __u32 dev_of_btrfs(const struct inode *inode)
{
	const struct btrfs_fs_info *info;
	const struct block_device *bdev;

	if (!bpf_core_type_exists(struct btrfs_fs_info) || !bpf_core_field_exists(struct btrfs_fs_devices, latest_dev))
		return dev_of_inode(inode);
	info = (void *)BPF_CORE_READ(inode, i_sb, s_fs_info);
	bdev = BPF_CORE_READ(info, fs_devices, latest_dev, bdev);
	return bdev ? BPF_CORE_READ(bdev, bd_dev) : dev_of_inode(inode);
}

SEC("raw_tp/btrfs_sync_file")
int vst_fsync_btrfs_begin(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct file *file = (void *)ctx->args[0];

	fsync_begin_in_call(now, dev_of_btrfs(BPF_CORE_READ(file, f_inode)), vst_fsync_btrfs_hooked);
	return 0;
}

SEC("?fexit/xfs_file_fsync")
int vst_fsync_xfs_end(void *ctx)
{
	fsync_end(bpf_ktime_get_ns());
	return 0;
}

SEC("?fexit/btrfs_sync_file")
int vst_fsync_btrfs_end(void *ctx)
{
	fsync_end(bpf_ktime_get_ns());
	return 0;
}

SEC("tp/syscalls/sys_exit_fsync")
int vst_fsync_call_end(void *ctx)
{
	fsync_end(bpf_ktime_get_ns());
	return 0;
}

SEC("tp/syscalls/sys_exit_fdatasync")
int vst_fdatasync_call_end(void *ctx)
{
	fsync_end(bpf_ktime_get_ns());
	return 0;
}

SEC("tp/syscalls/sys_exit_msync")
int vst_msync_call_end(void *ctx)
{
	fsync_end(bpf_ktime_get_ns());
	return 0;
}
