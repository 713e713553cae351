// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for the journal of an ext4, and who filled it. A wait is the part of an fsync in which a commit was under
 * way, or the time that a task sleeps until it gets a handle, that is, may begin a change. The probe remembers the times of
 * the last commits of a journal; the end of each handle says how many blocks of which transaction it changed. A wait is
 * charged when it ends, and before that at each look of the agent.
 */
#include <bpf/bpf_core_read.h>

#include "open.bpf.h"
#include "owner.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define BPF_F_NO_PREALLOC 1  /* include/uapi/linux/bpf.h */
#define TASK_INTERRUPTIBLE 1 /* include/linux/sched.h */
#define TASK_UNINTERRUPTIBLE 2
#define JBD2_ABORT 2 /* include/linux/jbd2.h */

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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vst_journal_opens);
} vst_journal_opens SEC(".maps");

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

/* --- who is blamed --- */

__noinline int vst_journal_blame(__u64 waiter, __u64 holder, __u32 dev, __u64 ns, __u64 waits)
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
	__sync_fetch_and_add(&w->waits, waits);
	__sync_fetch_and_add(&s->waits, 1);
	return 0;
}

/* A wait has ended: that counts for the waiter as a whole. */
__noinline int vst_journal_ended(__u64 waiter, __u32 dev, __u64 ns)
{
	struct vst_journal_pair key = { .waiter = waiter, .holder = VST_OWNER_ALL, .dev = dev };
	struct vst_journal_wait *w;

	vst_journal_blame(waiter, VST_OWNER_ALL, dev, 0, 1);
	w = bpf_map_lookup_elem(&vst_journal_waits, &key);
	if (w && ns > w->max_ns)
		w->max_ns = ns;
	return 0;
}

/* Divides a wait among those who filled the transaction, by blocks. waits: 1 when it ends. */
__noinline int vst_journal_divide(struct vst_commit *c, __u64 waiter, __u32 dev, __u64 ns, __u64 waits)
{
	__u64 all;

	if (!c || !ns)
		return 0;
	all = vst_commit_blocks(c);
	if (!all)
		return vst_journal_blame(waiter, VST_OWNER_NOBODY, dev, ns, waits);
	for (int i = 0; i < VST_FILLERS; i++)
		if (c->owner[i] && c->blocks[i])
			vst_journal_blame(waiter, c->owner[i], dev, vst_commit_part(ns, c->blocks[i], all), waits);
	if (c->others)
		vst_journal_blame(waiter, VST_OWNER_OTHERS, dev, vst_commit_part(ns, c->others, all), waits);
	return 0;
}

/* The parts of a wait in which the journal committed. Returns the rest. */
static __always_inline __u64 divide_commits(struct journal *j, __u64 waiter, __u32 dev, __u64 begin, __u64 end,
					    __u64 waits)
{
	__u64 rest = end - begin, ns;

	for (__u32 i = 0; i < VST_COMMITS; i++) {
		ns = vst_commit_overlap(&j->commit[i], begin, end);
		if (!ns)
			continue;
		vst_journal_divide(&j->commit[i], waiter, dev, ns, waits);
		rest -= ns < rest ? ns : rest;
	}
	return rest;
}

/* The largest of the last transactions. */
static __always_inline struct vst_commit *largest_of(struct journal *j)
{
	__u64 blocks, most = 0;
	__u32 largest = 0;

	for (__u32 i = 0; i < VST_COMMITS; i++) {
		blocks = vst_commit_blocks(&j->commit[i]);
		if (blocks <= most)
			continue;
		most = blocks;
		largest = i;
	}
	barrier_var(largest);
	largest %= VST_COMMITS;
	return &j->commit[largest];
}

/* It waited for room. Of the last transactions the largest takes most of it: that one's. */
__noinline int vst_journal_divide_room(struct journal *j, __u64 waiter, __u32 dev, __u64 ns, __u64 waits)
{
	if (!j)
		return 0;
	return vst_journal_divide(largest_of(j), waiter, dev, ns, waits);
}

/*
 * Charges the time of a wait from since to now. An fsync waits only while a commit is under way; whoever waits for a handle
 * waits for a commit or for room. Returns how much was charged.
 */
static __always_inline __u64 charge(struct journal *j, struct vst_journal_open *o, __u64 since, __u64 now, __u64 waits)
{
	__u64 rest = divide_commits(j, o->waiter, o->dev, since, now, waits), charged = now - since;

	if (o->call == VST_JOURNAL_FSYNC)
		charged -= rest;
	else if (rest)
		vst_journal_divide_room(j, o->waiter, o->dev, rest, waits);
	if (charged)
		vst_journal_blame(o->waiter, VST_OWNER_ALL, o->dev, charged, 0);
	return charged;
}

/* --- who waits --- */

static __always_inline struct vst_journal_opens *opens_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&vst_journal_opens, &zero);
}

/* A wait may begin: of an fsync of an inode, or for a handle. */
static __always_inline void wait_begin(enum vst_journal_call call, __u64 from)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vst_journal_opens *opens = opens_get();
	struct vst_journal_open *o;
	__u32 place;

	if (!opens)
		return;
	place = vst_open_place(opens->thread, task->pid, true);
	if (place >= VST_OPEN_PLACES) {
		lose();
		return;
	}
	o = &opens->open[place];
	if (call != VST_JOURNAL_FSYNC && o->since_ns && o->call == VST_JOURNAL_FSYNC)
		return; /* it is a part of that */
	o->since_ns = 0;
	barrier();
	o->call = call;
	o->from = from;
	o->task = vst_address(task);
	o->sleeps = task->nvcsw;
	o->dev = 0;
	o->waiter = o->charged_ns = o->looked_ns = 0;
	o->begin_ns = bpf_ktime_get_ns();
	__sync_lock_test_and_set(&o->since_ns, o->begin_ns); /* the rest is written before */
}

/* The current thread's wait has ended, if it had one of this kind. */
static __always_inline void wait_end(bool fsync, __u32 dev)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vst_journal_opens *opens = opens_get();
	__u64 now = bpf_ktime_get_ns(), since, charged = 0;
	struct vst_journal_open *o;
	struct journal *j;
	__u32 place;

	if (!opens)
		return;
	place = vst_open_place(opens->thread, task->pid, false);
	if (place >= VST_OPEN_PLACES)
		return;
	o = &opens->open[place];
	if ((o->call == VST_JOURNAL_FSYNC) != fsync) /* a part of an fsync is told when that ends */
		return;
	since = __sync_lock_test_and_set(&o->since_ns, 0);
	if (since && (fsync || task->nvcsw != o->sleeps)) {
		j = fsync ? bpf_map_lookup_elem(&vst_journals, &dev) : journal_of(dev);
		o->dev = dev;
		o->waiter = o->waiter ?: current_owner();
		if (j && now > since)
			charged = charge(j, o, since, now, 1);
		if (!charged && o->charged_ns) /* that it has ended still counts */
			vst_journal_blame(o->waiter, o->holder, dev, 0, 1);
		if (charged + o->charged_ns)
			vst_journal_ended(o->waiter, dev, charged + o->charged_ns);
		if (!j && !fsync)
			lose();
	}
	barrier();
	opens->thread[place] = 0;
}

SEC("tp_btf/ext4_sync_file_enter")
int BPF_PROG(vst_fsync_begin, struct file *file, int datasync)
{
	wait_begin(VST_JOURNAL_FSYNC, vst_ptr(vst_address(file), struct file, f_inode));
	return 0;
}

SEC("tp_btf/ext4_sync_file_exit")
int BPF_PROG(vst_fsync_end, struct inode *inode, int ret)
{
	wait_end(true, BPF_CORE_READ((struct inode *)vst_address(inode), i_sb, s_dev));
	return 0;
}

static __always_inline int handle_begin(enum vst_journal_call call, __u64 from)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!task->journal_info &&
	    !(task->flags & PF_KTHREAD)) /* else it has a handle, which this is a part of; or is nobody's */
		wait_begin(call, from);
	return 0;
}

/* One tracepoint on 6.1, two on 6.12: of an inode, and of a file system as a whole. Those that are there are loaded. */
SEC("?tp_btf/ext4_journal_start")
int BPF_PROG(vst_handle_begin, struct super_block *super)
{
	return handle_begin(VST_JOURNAL_SUPER, vst_address(super));
}

SEC("?tp_btf/ext4_journal_start_inode")
int BPF_PROG(vst_handle_begin_inode, struct inode *inode)
{
	return handle_begin(VST_JOURNAL_INODE, vst_address(inode));
}

SEC("?tp_btf/ext4_journal_start_sb")
int BPF_PROG(vst_handle_begin_sb, struct super_block *super)
{
	return handle_begin(VST_JOURNAL_SUPER, vst_address(super));
}

/* Whoever has slept until it got the handle has waited, for a commit or for room: little else is slept for there (memory, now and then). */
SEC("tp_btf/jbd2_handle_start")
int BPF_PROG(vst_handle_start, dev_t dev, __u32 tid, unsigned int type, unsigned int line, int blocks)
{
	wait_end(false, dev);
	return 0;
}

/* --- who waits now --- */

/* The file system of a wait, an address. */
static __always_inline __u64 super_of(const struct vst_journal_open *o)
{
	return o->call == VST_JOURNAL_SUPER ? o->from : vst_ptr(o->from, struct inode, i_sb);
}

/*
 * Nothing tells that a task asked for a handle in vain: because the file system has no journal, or its journal is aborted. Such a
 * task waits for something else.
 */
static __always_inline bool has_journal(__u64 super)
{
	struct journal_s *journal;

	if (!bpf_core_field_exists(struct ext4_sb_info, s_journal))
		return true;
	journal = BPF_CORE_READ((struct ext4_sb_info *)vst_ptr(super, struct super_block, s_fs_info), s_journal);
	return journal && !(BPF_CORE_READ(journal, j_flags) & JBD2_ABORT);
}

/* Can the thread still be in there? It never sleeps there so that a signal wakes it. */
static __always_inline bool is_in_there(const struct vst_journal_open *o, __u32 thread)
{
	return (__u32)vst_read(o->task, struct task_struct, pid) == thread &&
	       !(vst_read(o->task, struct task_struct, __state) & TASK_INTERRUPTIBLE) &&
	       (o->call == VST_JOURNAL_FSYNC || has_journal(super_of(o)));
}

static __always_inline bool is_asleep(const struct vst_journal_open *o)
{
	return vst_read(o->task, struct task_struct, __state) & TASK_UNINTERRUPTIBLE &&
	       (o->call == VST_JOURNAL_FSYNC || vst_read(o->task, struct task_struct, nvcsw) != o->sleeps);
}

/* For what it waits now, for the agent. NULL: for nothing. */
static __always_inline struct vst_commit *waited_for(struct journal *j, struct vst_journal_open *o)
{
	for (__u32 i = 0; i < VST_COMMITS; i++) {
		struct vst_commit *c = &j->commit[i];

		if (!c->start_ns || c->end_ns)
			continue;
		o->wait_ns = o->call == VST_JOURNAL_FSYNC && c->start_ns > o->begin_ns ? c->start_ns : o->begin_ns;
		return c;
	}
	o->wait_ns = o->begin_ns;
	return o->call == VST_JOURNAL_FSYNC ? NULL : largest_of(j);
}

/*
 * Charges what has passed of a wait. The agent runs it for each place of which the wait is not young; it is attached to nothing.
 * ctx: the place, and the time up to which to charge.
 */
SEC("raw_tp")
int vst_journal_look(__u64 *ctx)
{
	__u64 place = ctx[0], now = ctx[1], since;
	struct vst_journal_opens *opens = opens_get();
	__u32 thread, dev;
	struct vst_journal_open *o;
	struct vst_commit *c;
	struct journal *j;

	if (!opens || place >= VST_OPEN_PLACES)
		return 0;
	o = &opens->open[place];
	thread = opens->thread[place];
	since = o->since_ns;
	if (!thread || !since || since >= now)
		return 0;
	if (!is_in_there(o, thread)) {
		__sync_val_compare_and_swap(&opens->thread[place], thread, 0);
		return 0;
	}
	if (!is_asleep(o))
		return 0;
	dev = vst_read(super_of(o), struct super_block, s_dev);
	j = bpf_map_lookup_elem(&vst_journals, &dev);
	if (!j || __sync_val_compare_and_swap(&o->since_ns, since, now) != since)
		return 0;
	o->dev = dev;
	o->waiter = o->waiter ?: vst_task_owner_at(vst_state_get(), o->task) ?: VST_OWNER_KERNEL;
	o->charged_ns += charge(j, o, since, now, 0);
	c = waited_for(j, o);
	if (!c)
		return 0;
	o->holder = vst_commit_largest(c);
	o->looked_ns = now;
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
