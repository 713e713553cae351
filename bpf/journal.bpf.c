// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for the journal of an ext4, and who filled it. A wait is the part of an fsync in which a commit was under
 * way, or the time that a task sleeps until it gets a handle, that is, may begin a change. The last commits of a journal are
 * remembered with their times; who changed how many blocks of which transaction is told at the end of each handle.
 */
#include <bpf/bpf_core_read.h>

#include "owner.bpf.h"
#include "vstor/abi_waits.h"

char LICENSE[] SEC("license") = "GPL";

#define BPF_F_NO_PREALLOC 1 /* include/uapi/linux/bpf.h */
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1

/* A transaction's place is its number's remainder. They come one after the other, so the place of a new one is an old one's. */
struct journal {
	struct vst_commit commit[VST_COMMITS];
};

static const struct journal no_commits;

/* device -> journal */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_JOURNALS);
	__type(key, __u32);
	__type(value, struct journal);
} vst_journals SEC(".maps");

/* What a task is about to wait for; times are 0 where it is not. */
struct waiting {
	__u64 fsync_ns;	 /* its fsync began */
	__u64 handle_ns; /* it asked for a handle */
	__u64 sleeps;	 /* that it had had then */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct waiting);
} vst_waiting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_JOURNAL_PAIRS);
	__type(key, struct vst_journal_pair);
	__type(value, struct vst_journal_wait);
} vst_journal_waits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vst_journal_state);
} vst_journal_state SEC(".maps");

static __always_inline struct vst_journal_state *state_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&vst_journal_state, &zero);
}

static __always_inline void lose(void)
{
	struct vst_journal_state *s = state_get();

	if (s)
		__sync_fetch_and_add(&s->lost, 1);
}

static __always_inline __u64 current_owner(void)
{
	return vst_task_owner(vst_state_get()) ?: VST_OWNER_KERNEL;
}

static __always_inline struct journal *journal_of(__u32 dev)
{
	struct journal *j = bpf_map_lookup_elem(&vst_journals, &dev);

	if (j)
		return j;
	bpf_map_update_elem(&vst_journals, &dev, &no_commits, BPF_NOEXIST);
	return bpf_map_lookup_elem(&vst_journals, &dev);
}

/* A new transaction takes the place. */
static __always_inline void commit_clear(struct vst_commit *c, __u32 tid)
{
	c->start_ns = c->end_ns = c->others = 0;
	for (int i = 0; i < VST_FILLERS; i++)
		c->owner[i] = c->blocks[i] = 0;
	barrier();
	c->tid = tid;
}

/* --- commits --- */

/* By their addresses: to the verifier of 6.12 what a module's tracepoint hands over may be NULL. */
static __always_inline __u32 dev_of(const struct journal_s *journal)
{
	return BPF_CORE_READ((struct journal_s *)vst_address(journal), j_fs_dev, bd_dev);
}

static __always_inline __u32 tid_of(const struct transaction_s *transaction)
{
	return BPF_CORE_READ((struct transaction_s *)vst_address(transaction), t_tid);
}

SEC("tp_btf/jbd2_start_commit")
int BPF_PROG(vst_commit_begin, struct journal_s *journal, struct transaction_s *transaction)
{
	__u32 tid = tid_of(transaction);
	struct journal *j = journal_of(dev_of(journal));
	struct vst_commit *c;

	if (!j) {
		lose();
		return 0;
	}
	/* the next one begins when this one takes no more: nothing is added to it yet */
	c = &j->commit[(tid + 1) % VST_COMMITS];
	if (c->tid != tid + 1)
		commit_clear(c, tid + 1);
	c = &j->commit[tid % VST_COMMITS];
	if (c->tid != tid)
		commit_clear(c, tid);
	c->end_ns = 0;
	c->start_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/jbd2_end_commit")
int BPF_PROG(vst_commit_end, struct journal_s *journal, struct transaction_s *transaction)
{
	__u32 tid = tid_of(transaction), dev = dev_of(journal);
	struct journal *j = bpf_map_lookup_elem(&vst_journals, &dev);
	struct vst_commit *c;

	if (!j)
		return 0;
	c = &j->commit[tid % VST_COMMITS];
	if (c->tid == tid && c->start_ns)
		c->end_ns = bpf_ktime_get_ns();
	return 0;
}

/* --- who waits --- */

__noinline int vst_journal_blame(__u64 waiter, __u64 holder, __u32 dev, __u64 ns)
{
	struct vst_journal_pair key = { .waiter = waiter, .holder = holder, .dev = dev };
	struct vst_journal_wait none = {}, *w = bpf_map_lookup_elem(&vst_journal_waits, &key);
	struct vst_journal_state *s = state_get();

	if (!w) {
		bpf_map_update_elem(&vst_journal_waits, &key, &none, BPF_NOEXIST);
		w = bpf_map_lookup_elem(&vst_journal_waits, &key);
	}
	if (!w || !s) {
		lose();
		return 0;
	}
	__sync_fetch_and_add(&w->ns, ns);
	__sync_fetch_and_add(&w->waits, 1);
	__sync_fetch_and_add(&s->waits, 1);
	return 0;
}

/* Divides a wait among those who filled the transaction, by blocks. */
__noinline int vst_journal_divide(struct vst_commit *c, __u64 waiter, __u32 dev, __u64 ns)
{
	__u64 all;

	if (!c || !ns)
		return 0;
	all = vst_commit_blocks(c);
	if (!all)
		return vst_journal_blame(waiter, VST_OWNER_NOBODY, dev, ns);
	for (int i = 0; i < VST_FILLERS; i++)
		if (c->owner[i] && c->blocks[i])
			vst_journal_blame(waiter, c->owner[i], dev, vst_commit_part(ns, c->blocks[i], all));
	if (c->others)
		vst_journal_blame(waiter, VST_OWNER_OTHERS, dev, vst_commit_part(ns, c->others, all));
	return 0;
}

static __always_inline struct waiting *waiting_get(struct task_struct *task)
{
	struct waiting *w = bpf_task_storage_get(&vst_waiting, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!w)
		lose();
	return w;
}

SEC("tp_btf/ext4_sync_file_enter")
int BPF_PROG(vst_fsync_begin, struct file *file, int datasync)
{
	struct waiting *w = waiting_get(bpf_get_current_task_btf());

	if (w)
		w->fsync_ns = bpf_ktime_get_ns();
	return 0;
}

/* The parts of a wait in which the journal committed. Returns the rest. */
static __always_inline __u64 divide_commits(struct journal *j, __u64 waiter, __u32 dev, __u64 begin, __u64 end)
{
	__u64 rest = end - begin, ns;

	for (__u32 i = 0; i < VST_COMMITS; i++) {
		ns = vst_commit_overlap(&j->commit[i], begin, end);
		if (!ns)
			continue;
		vst_journal_divide(&j->commit[i], waiter, dev, ns);
		rest -= ns < rest ? ns : rest;
	}
	return rest;
}

SEC("tp_btf/ext4_sync_file_exit")
int BPF_PROG(vst_fsync_end, struct inode *inode, int ret)
{
	struct waiting *w = bpf_task_storage_get(&vst_waiting, bpf_get_current_task_btf(), 0, 0);
	__u64 now = bpf_ktime_get_ns(), begin;
	struct journal *j;
	__u32 dev;

	if (!w || !w->fsync_ns)
		return 0;
	begin = w->fsync_ns;
	w->fsync_ns = 0;
	dev = BPF_CORE_READ((struct inode *)vst_address(inode), i_sb, s_dev);
	j = bpf_map_lookup_elem(&vst_journals, &dev);
	if (j)
		divide_commits(j, current_owner(), dev, begin, now);
	return 0;
}

/* --- who waits to begin a change --- */

static __always_inline int handle_begin(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct waiting *w;

	if (task->journal_info || task->flags & PF_KTHREAD) /* has a handle, which this is a part of; or is nobody's */
		return 0;
	w = waiting_get(task);
	if (!w)
		return 0;
	w->sleeps = task->nvcsw;
	w->handle_ns = bpf_ktime_get_ns();
	return 0;
}

/* One tracepoint on 6.1, two on 6.12: of an inode, and of a file system as a whole. Those that are there are loaded. */
SEC("?tp_btf/ext4_journal_start")
int vst_handle_begin(void *ctx)
{
	return handle_begin();
}

SEC("?tp_btf/ext4_journal_start_inode")
int vst_handle_begin_inode(void *ctx)
{
	return handle_begin();
}

SEC("?tp_btf/ext4_journal_start_sb")
int vst_handle_begin_sb(void *ctx)
{
	return handle_begin();
}

/* It waited for room. Of the last transactions the largest takes most of it: that one's. */
__noinline int vst_journal_divide_room(struct journal *j, __u64 waiter, __u32 dev, __u64 ns)
{
	__u64 blocks, most = 0;
	__u32 largest = 0;

	if (!j)
		return 0;
	for (__u32 i = 0; i < VST_COMMITS; i++) {
		blocks = vst_commit_blocks(&j->commit[i]);
		if (blocks <= most)
			continue;
		most = blocks;
		largest = i;
	}
	barrier_var(largest);
	largest %= VST_COMMITS;
	return vst_journal_divide(&j->commit[largest], waiter, dev, ns);
}

/* Whoever has slept until it got the handle has waited, for a commit or for room: little else is slept for there (memory, now and then). */
SEC("tp_btf/jbd2_handle_start")
int BPF_PROG(vst_handle_start, dev_t dev, __u32 tid, unsigned int type, unsigned int line, int blocks)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct waiting *w = bpf_task_storage_get(&vst_waiting, task, 0, 0);
	__u64 begin, rest, waiter;
	struct journal *j;

	if (!w || !w->handle_ns)
		return 0;
	begin = w->handle_ns;
	w->handle_ns = 0;
	if (task->nvcsw == w->sleeps || w->fsync_ns) /* a part of its fsync is told when that ends */
		return 0;
	j = journal_of(dev);
	if (!j) {
		lose();
		return 0;
	}
	waiter = current_owner();
	rest = divide_commits(j, waiter, dev, begin, bpf_ktime_get_ns());
	if (rest)
		vst_journal_divide_room(j, waiter, dev, rest);
	return 0;
}

/* --- who fills it --- */

SEC("tp_btf/jbd2_handle_stats")
int BPF_PROG(vst_handle_stats, dev_t dev, __u32 tid, unsigned int type, unsigned int line, int interval, int sync,
	     int requested, int dirtied)
{
	struct journal *j;
	struct vst_commit *c;
	__u64 owner, was;

	if (dirtied <= 0)
		return 0;
	j = journal_of(dev);
	if (!j) {
		lose();
		return 0;
	}
	owner = current_owner();
	c = &j->commit[tid % VST_COMMITS];
	if (c->tid != tid) /* the first that we see of this journal */
		commit_clear(c, tid);
	for (int i = 0; i < VST_FILLERS; i++) {
		was = c->owner[i] ?: __sync_val_compare_and_swap(&c->owner[i], 0, owner);
		if (was && was != owner)
			continue;
		__sync_fetch_and_add(&c->blocks[i], dirtied);
		return 0;
	}
	__sync_fetch_and_add(&c->others, dirtied);
	return 0;
}
