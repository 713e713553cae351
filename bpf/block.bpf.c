// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices with a request queue. A request's rows are decided when it is submitted: at its insertion the task is noted,
 * at its issue, when nothing can be merged into it any more, its bios are looked at. Its completion only counts.
 */
#include "complete.bpf.h"
#include "slow.bpf.h"
#include "walk.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline bool is_passthrough(blk_opf_t flags)
{
	__u32 op = flags & REQ_OP_MASK;

	return op == REQ_OP_DRV_IN || op == REQ_OP_DRV_OUT;
}

/*
 * A pointer rq->field, and a number where rq is not the program's own argument. Not rq->field for pointers: each such
 * load through a pointer that the verifier trusts makes it look for a name through all of the kernel's BTF, a third
 * of the time that the agent takes to start on 6.18. Numbers do not, and are cheaper that way.
 */
#define rq_get(rq, field) vst_read(rq, struct request, field)
#define rq_ptr(rq, field) vst_ptr(rq, struct request, field)

/* The disk, not the partition. */
static __always_inline __u32 dev_of(const struct request *rq)
{
	return vst_dev_of(vst_ptr(rq_ptr(rq, q), struct request_queue, disk));
}

/* --- marks that come with a request --- */

/*
 * Who queued a request, and above it the hint of the call: the request may be issued by another task. A cgroup's id has its
 * generation in the upper half, which does not get that far.
 */
#define TASK_HINT_SHIFT 61
#define TASK_OWNER (~0ULL >> 3)

/*
 * Streams: where on which disk the last requests ended, and for how long each of them has gone on, in one word. A request that
 * begins there continues the stream, whoever made it and however many there are; what else comes in between costs a stream
 * at most its place. 
 */
#define STREAM_BITS 12
#define STREAM_UNIT 4096U	   /* bytes */
#define STREAM_MIN (256U << 10)	   /* bytes that make a stream */
#define STREAM_SECTOR (~0ULL >> 8) /* 2^56 sectors */
__u64 vst_streams[1 << STREAM_BITS] SEC(".data.streams");

static __always_inline __u64 *stream_at(__u64 queue, __u64 sector)
{
	__u32 at = (sector ^ queue << 16) * 0x9e3779b97f4a7c15ULL >> (64 - STREAM_BITS);

	barrier_var(at);
	return &vst_streams[at & ((1 << STREAM_BITS) - 1)];
}

/* The mark, if it goes on where others ended that make a stream together with it. */
__noinline __u32 vst_sequential(__u64 queue, __u64 sector, __u32 bytes)
{
	__u64 *at = stream_at(queue, sector);
	__u32 units = 0;

	if (!bytes)
		return 0;
	if (*at && *at >> 8 == (sector & STREAM_SECTOR)) {
		units = *at & 0xff;
		*at = 0;
	}
	units += bytes / STREAM_UNIT ?: 1;
	if (units > 0xff)
		units = 0xff;
	*stream_at(queue, sector + (bytes >> 9)) = (sector + (bytes >> 9)) << 8 | units;
	if (units <= bytes / STREAM_UNIT || units < STREAM_MIN / STREAM_UNIT)
		return 0;
	return SORT_PATTERN(VST_PATTERN_SEQUENTIAL);
}

/* --- submission --- */

static __always_inline __u32 place_claim(const struct request *rq, const struct vst_state *s)
{
	__u64 addr = vst_identity(rq, s);

	return vst_place_claim(vst_home_of(addr), addr);
}

static __always_inline __u32 place_find(const struct request *rq, const struct vst_state *s)
{
	__u64 addr = vst_identity(rq, s);

	return vst_place_find(vst_home_of(addr), addr);
}

/*
 * A request of which an I/O was issued that did not end. True: the driver gave it back, and it is the same I/O still (dm gives
 * requests back and frees them). Else it has ended without our being told.
 */
__noinline int vst_goes_on(__u32 at, __u64 rq)
{
	at &= PLACES - 1;
	if (IN_STATE(vst_in(at)->what) != IN_REQUEUED)
		vst_settle_last(at, dev_of((const struct request *)rq), VST_LAYER_LEAF);
	else if (vst_more(at)->bio == rq_ptr(rq, bio))
		return 1;
	return 0;
}

SEC("tp_btf/block_rq_insert")
int BPF_PROG(vst_rq_insert, struct request *rq)
{
	struct vst_state *s = vst_state_get();
	__u32 at;

	if (!s || is_passthrough(rq->cmd_flags))
		return 0;
	at = place_claim(rq, s);
	if (at >= PLACES || (vst_in(at)->what & IN_HAS_ROW && vst_goes_on(at, vst_address(rq))))
		return 0;
	vst_more(at)->queued_ns = bpf_ktime_get_ns();
	vst_more(at)->task = vst_task_owner(s) | (__u64)vst_hint_of_call() << TASK_HINT_SHIFT;
	vst_in(at)->what = (vst_in(at)->what & IN_PLACE) | IN_MORE | IN_HELD;
	return 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(vst_rq_issue, struct request *rq)
{
	struct vst_state *s = vst_state_get();
	__u64 bio, now, task = TASK_IS_CURRENT;
	blk_opf_t flags = rq->cmd_flags;
	bool queued = false;
	__u32 at, row, marks = 0;
	__u8 op;

	if (!s || is_passthrough(flags))
		return 0;
	now = bpf_ktime_get_ns();
	at = place_claim(rq, s);
	if (at >= PLACES) /* its completion counts it, as no_state */
		return 0;
	if (vst_in(at)->what & IN_HAS_ROW) {
		if (vst_goes_on(at, vst_address(rq))) {
			vst_in(at)->when = now;
			vst_in(at)->what |= IN_ISSUED;
			return 0;
		}
	} else if (IN_STATE(vst_in(at)->what) == IN_HELD && vst_in(at)->what & IN_MORE) {
		queued = true;
		task = vst_more(at)->task & TASK_OWNER;
		marks = vst_more(at)->task >> TASK_HINT_SHIFT;
	} else {
		marks = vst_hint_of_call();
	}
	bio = rq_ptr(rq, bio);
	if (!marks && bio)
		marks = vst_hint_of_ioprio(vst_read(bio, struct bio, bi_ioprio));
	marks <<= SORT_HINT_SHIFT;
	op = vst_op_of(flags);
	if (op <= VST_OP_WRITE)
		marks |= vst_sequential(rq_ptr(rq, q), rq_get(rq, __sector), rq->__data_len);
	vst_inflight_begin(at, vst_identity(rq, s), now, rq->__data_len, queued);
	if (bio)
		row = vst_decide(s, at, bio, flags, task, VST_SORT(op, VST_LAYER_LEAF, 0) | marks,
				 bio == rq_ptr(rq, biotail), rq->__data_len);
	else
		row = vst_row_of_nobody(dev_of(rq), op, VST_LAYER_LEAF);
	vst_inflight_issue(at, vst_identity(rq, s), row);
	return 0;
}

SEC("tp_btf/block_rq_requeue")
int BPF_PROG(vst_rq_requeue, struct request *rq)
{
	struct vst_state *s = vst_state_get();
	struct vst_inflight_more *more;
	struct vst_inflight *in;
	struct vst_counters *c;
	__u32 at, slot;

	at = s && !is_passthrough(rq->cmd_flags) ? place_find(rq, s) : NOWHERE;
	if (at >= PLACES || IN_STATE(vst_in(at)->what) != IN_ISSUED)
		return 0;
	in = vst_in(at);
	more = vst_more(at);
	if (!(in->what & IN_MORE))
		vst_more_begin(more, 0, IN_ROW(in->what), IN_SECTORS(in->what) << 9);
	if (!more->queued_ns)
		more->queued_ns = in->when;
	more->bio = rq_ptr(rq, bio);
	in->what = (in->what & ~IN_STATE(~0ULL)) | IN_MORE | IN_REQUEUED;
	c = vst_counters_of(IN_ROW(in->what), &slot);
	if (c)
		vst_add(&c->requeues, 1);
	return 0;
}

/* The request's bios have gone over to another one, as merge.bpf.c counts: it ends here. */
SEC("tp_btf/block_rq_merge")
int BPF_PROG(vst_rq_merge, struct request *rq)
{
	struct vst_state *s = vst_state_get();
	__u32 at = s ? place_find(rq, s) : NOWHERE;

	if (at < PLACES)
		vst_in(at)->what &= IN_PLACE;
	return 0;
}

/* --- completion --- */

/*
 * No state: the request was never issued (a flush without data: the kernel sends its own flush instead, and counts
 * this one too), or it was under way when the probe started, or the table was full.
 */
__noinline int vst_complete_unknown(__u64 rq, blk_opf_t flags, bool last, __u32 bytes, bool error)
{
	__u32 dev = dev_of((const struct request *)rq), row;
	struct vst_state *s = vst_state_get();
	__u64 bio = rq_ptr(rq, bio);
	__u8 op = vst_op_of(flags);

	if (!s)
		return 0;
	if (!bytes && bio && op == VST_OP_WRITE) {
		/* the owner was written into the bio at its submission; no task is asked here */
		row = vst_row_of_bio(s, bio, 0, VST_SORT(VST_OP_FLUSH, VST_LAYER_LEAF, 0));
	} else {
		bool before = rq_get(rq, start_time_ns) < s->attach_ns;

		row = vst_row_of_nobody(dev, op, VST_LAYER_LEAF);
		vst_lose(dev, before ? VST_LOSS_NO_START : VST_LOSS_NO_STATE, last, bytes);
	}
	if (!vst_count(row, last, bytes, error, 0, 0, 0))
		vst_lose(dev, VST_LOSS_NO_CELL, last, bytes);
	return 0;
}

/*
 * A request of which nothing is left to complete, while its entry has bytes to come: we were not told when they ended. They
 * are its own, and this is the end of the flush around them; or those of its last use, and it is a flush without data, which has
 * no issue. The bytes, or LAST_USE.
 */
#define LAST_USE (1ULL << 32)

__noinline __u64 vst_bytes_not_told(__u32 at, __u64 rq)
{
	struct vst_inflight *in;
	__u64 what, bytes;

	at &= PLACES - 1;
	in = vst_in(at);
	what = in->what;
	bytes = what & IN_MORE ? vst_bytes_left(vst_more(at)) : IN_SECTORS(what) << 9;
	if (!bytes || rq_get(rq, start_time_ns) <= in->when)
		return bytes;
	vst_settle_last(at, dev_of((const struct request *)rq), VST_LAYER_LEAF);
	return LAST_USE;
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(vst_rq_complete, struct request *rq, blk_status_t error, unsigned int nr_bytes)
{
	__u64 now, what = 0, queued_ns = 0, when = 0;
	struct vst_state *s = vst_state_get();
	blk_opf_t flags = rq->cmd_flags;
	bool last;
	__u32 at;

	if (!s || is_passthrough(flags))
		return 0;
	now = bpf_ktime_get_ns();
	/*
	 * The last completion is the one that leaves nothing. A request with flushes around it completes its data
	 * first and ends later, then without RQF_FLUSH_SEQ: the kernel counts it there. Its own flush request keeps
	 * the flag and is counted apart.
	 */
	last = nr_bytes >= rq->__data_len && (!vst_rq_in_flush(rq->rq_flags) || (flags & REQ_OP_MASK) == REQ_OP_FLUSH);
	at = place_find(rq, s);
	if (at < PLACES)
		what = vst_in(at)->what;
	if (!nr_bytes && what & IN_HAS_ROW && !rq->__data_len) {
		__u64 bytes = vst_bytes_not_told(at, vst_address(rq));

		if (bytes == LAST_USE)
			what &= IN_PLACE;
		else
			nr_bytes = bytes;
	}
	if (!(what & IN_HAS_ROW)) {
		if (at < PLACES)
			vst_in(at)->what = what & IN_PLACE;
		vst_complete_unknown(vst_address(rq), flags, last, nr_bytes, error);
		return 0;
	}
	if (IN_STATE(what) == IN_ISSUED)
		when = vst_in(at)->when;
	if (what & IN_MORE) {
		queued_ns = vst_more(at)->queued_ns;
		if (vst_more(at)->row[1])
			nr_bytes = vst_complete_parts(vst_more(at), dev_of(rq), nr_bytes);
		else
			vst_more(at)->done += nr_bytes;
	}
	barrier(); /* somebody else's from here on */
	if (last)
		vst_in(at)->what = what & IN_PLACE;
	else if (!(what & IN_MORE))
		vst_in(at)->what = vst_inflight_less(what, nr_bytes);
	if (last)
		vst_slow_look(vst_address(rq), IN_ROW(what), queued_ns, when, now, nr_bytes);
	if (!vst_count(IN_ROW(what), last, nr_bytes, error, queued_ns, when, now))
		vst_lose(dev_of(rq), VST_LOSS_NO_CELL, last, nr_bytes);
	return 0;
}

/* --- what no completion came for --- */

/*
 * The agent runs these two now and then; they are attached to nothing. They are not "syscall" programs, because on 6.1 those
 * may not use the queues of free numbers.
 *
 * The sweep: an entry says that the device has a request, or that a bio is under way, but the block layer says that it has
 * ended. So we were not told of its completion. Young entries are left alone, and so are those issued since the sweep began: at
 * its issue a request is still idle.
 */
#define SWEEP_AGE_NS 100000000LL

struct sweep {
	__u64 now;
	__u64 base; /* address from which vst_identity() counts */
};

/* The kernel clears the flag when it has traced the bio's completion. */
static __always_inline bool bio_has_ended(__u64 bio)
{
	__u32 traced = vst_state_get()->bio_traced;

	return traced && !(vst_read(bio, struct bio, bi_flags) & traced);
}

__noinline int vst_sweep_one(__u32 at, __u64 now, __u64 base)
{
	struct vst_inflight_more more = *vst_more(at & (PLACES - 1)); /* whoever uses it again writes to it */
	struct vst_inflight *in = vst_in(at & (PLACES - 1));
	__u64 what = in->what, when = in->when;
	__u8 layer = more.dev ? VST_LAYER_STACKED : VST_LAYER_LEAF;
	struct vst_key *key;
	__u32 row = IN_ROW(what);

	if (IN_STATE(what) != IN_ISSUED || (__s64)(now - when) < SWEEP_AGE_NS)
		return 0;
	key = bpf_map_lookup_elem(&vst_row_keys, &row);
	if (!key)
		return 0;
	if (more.dev ? !bio_has_ended(base + more.addr) : rq_get(base + more.addr, state) != MQ_RQ_IDLE)
		return 0;
	/* unless it is being used again: that settles it, then */
	if (__sync_val_compare_and_swap(&in->what, what, what & IN_PLACE) == what)
		vst_settle(&more, what, more.dev ?: key->dev, layer);
	return 0;
}

static long sweep_place(__u32 at, struct sweep *sweep)
{
	if (at >= PLACES)
		return 1;
	if (IN_STATE(vst_in(at)->what) == IN_ISSUED)
		vst_sweep_one(at, sweep->now, sweep->base);
	return 0;
}

SEC("raw_tp")
int vst_sweep(void *ctx)
{
	struct vst_state *s = vst_state_get();
	struct sweep sweep = {};

	if (!s)
		return 0;
	sweep.now = bpf_ktime_get_ns();
	sweep.base = vst_address(s);
	bpf_loop(PLACES, sweep_place, &sweep, 0);
	return 0;
}

/*
 * Requests that wait in a queue for long get their row now, so that the agent can say whose they are. At their issue the row
 * is decided again. Nobody may have told us that such a request was freed: then it has no reference any more.
 */
__noinline int vst_held_one(__u32 at, __u64 now, __u64 base)
{
	struct vst_inflight *in = vst_in(at & (PLACES - 1));
	struct vst_inflight_more *more = vst_more(at & (PLACES - 1));
	__u64 what = in->what, queued = more->queued_ns, rq, bio;
	struct vst_state *s = vst_state_get();
	blk_opf_t flags;
	__u32 row;

	if (!s || more->dev || (__s64)(now - queued) < (__s64)VST_HELD_FOR ||
	    VST_HELD_ROW(more->held, queued) < VST_ROWS)
		return 0;
	rq = base + more->addr;
	if (!rq_get(rq, ref.counter)) {
		__sync_val_compare_and_swap(&in->what, what, what & IN_PLACE);
		return 0;
	}
	flags = rq_get(rq, cmd_flags);
	bio = rq_ptr(rq, bio);
	if (bio)
		row = vst_row_of_bio(s, bio, more->task & TASK_OWNER,
				     VST_SORT(vst_op_of(flags), VST_LAYER_LEAF, 0) |
					     (__u32)(more->task >> TASK_HINT_SHIFT) << SORT_HINT_SHIFT);
	else
		row = vst_row_of_nobody(dev_of((const struct request *)rq), vst_op_of(flags), VST_LAYER_LEAF);
	if (in->what == what && row)
		more->held = VST_HELD(queued, row);
	return 0;
}

static long held_place(__u32 at, struct sweep *sweep)
{
	__u64 what;

	if (at >= PLACES)
		return 1;
	what = vst_in(at)->what;
	if (IN_STATE(what) == IN_HELD && what & IN_MORE)
		vst_held_one(at, sweep->now, sweep->base);
	return 0;
}

SEC("raw_tp")
int vst_held(void *ctx)
{
	struct vst_state *s = vst_state_get();
	struct sweep sweep = {};

	if (!s)
		return 0;
	sweep.now = bpf_ktime_get_ns();
	sweep.base = vst_address(s);
	bpf_loop(PLACES, held_place, &sweep, 0);
	return 0;
}
