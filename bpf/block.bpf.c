// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices with a request queue. A request's rows are decided when it is submitted: at its insertion the task is noted,
 * at its issue, when nothing can be merged into it any more, its bios are looked at. Its completion only counts.
 */
#include "complete.bpf.h"
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

/* --- submission --- */

SEC("tp_btf/block_rq_insert")
int BPF_PROG(vst_rq_insert, struct request *rq)
{
	struct vst_state *s = vst_state_get();
	struct vst_inflight *in;
	struct vst_set *set;
	__u32 way;

	if (!s || is_passthrough(rq->cmd_flags))
		return 0;
	set = vst_inflight_claim(vst_identity(rq, s), &way);
	if (!set || set->way[way].when == REQUEUED)
		return 0;
	in = &set->way[way];
	in->queued_ns = bpf_ktime_get_ns();
	in->task = vst_task_owner(s);
	in->when = QUEUED;
	return 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(vst_rq_issue, struct request *rq)
{
	struct vst_state *s = vst_state_get();
	blk_opf_t flags = rq->cmd_flags;
	struct vst_inflight *in;
	struct vst_set *set;
	__u32 way;
	__u64 bio, now;

	if (!s || is_passthrough(flags))
		return 0;
	now = bpf_ktime_get_ns();
	set = vst_inflight_claim(vst_identity(rq, s), &way);
	if (!set) /* its completion counts it, as no_state */
		return 0;
	in = &set->way[way];
	if (in->when == REQUEUED) {
		in->when = now;
		return 0;
	}
	if (in->when != QUEUED) {
		in->queued_ns = 0;
		in->task = TASK_IS_CURRENT;
	}
	bio = rq_ptr(rq, bio);
	if (bio)
		vst_decide(s, in, bio, VST_SORT(vst_op_of(flags), VST_LAYER_LEAF, 0), bio == rq_ptr(rq, biotail),
			   rq->__data_len);
	else
		vst_decide_nobody(in, dev_of(rq), vst_op_of(flags), rq->__data_len);
	vst_inflight_begin(in, now);
	return 0;
}

SEC("tp_btf/block_rq_requeue")
int BPF_PROG(vst_rq_requeue, struct request *rq)
{
	struct vst_state *s = vst_state_get();
	struct vst_inflight *in;
	struct vst_counters *c;
	struct vst_set *set;
	__u32 slot, way;

	set = s ? vst_inflight_find(vst_identity(rq, s), &way) : NULL;
	if (!set || set->way[way].issued == set->ended[way])
		return 0;
	in = &set->way[way];
	if (!in->queued_ns)
		in->queued_ns = in->when;
	in->when = REQUEUED;
	c = vst_counters_of(in->row[0], &slot);
	if (c)
		vst_add(&c->requeues, 1);
	return 0;
}

/* The request's bios have gone over to another one, as merge.bpf.c counts: it ends here. */
SEC("tp_btf/block_rq_merge")
int BPF_PROG(vst_rq_merge, struct request *rq)
{
	struct vst_state *s = vst_state_get();
	__u32 way;
	struct vst_set *set = s ? vst_inflight_find(vst_identity(rq, s), &way) : NULL;

	if (set)
		set->way[way].when = UNUSED;
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
	if (!vst_count(row, last, bytes, error, NULL, 0))
		vst_lose(dev, VST_LOSS_NO_CELL, last, bytes);
	return 0;
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(vst_rq_complete, struct request *rq, blk_status_t error, unsigned int nr_bytes)
{
	struct vst_state *s = vst_state_get();
	blk_opf_t flags = rq->cmd_flags;
	struct vst_inflight *in;
	struct vst_set *set;
	__u64 missing, now;
	bool last;
	__u32 way;

	if (!s || is_passthrough(flags))
		return 0;
	now = bpf_ktime_get_ns();
	/*
	 * The last completion is the one that leaves nothing. A request with flushes around it completes its data
	 * first and ends later, then without RQF_FLUSH_SEQ: the kernel counts it there. Its own flush request keeps
	 * the flag and is counted apart.
	 */
	last = nr_bytes >= rq->__data_len && (!vst_rq_in_flush(rq->rq_flags) || (flags & REQ_OP_MASK) == REQ_OP_FLUSH);
	set = vst_inflight_find(vst_identity(rq, s), &way);
	if (!set || set->way[way].issued == set->ended[way]) {
		if (set)
			set->way[way].when = UNUSED;
		vst_complete_unknown(vst_address(rq), flags, last, nr_bytes, error);
		return 0;
	}
	in = &set->way[way];
	if (in->row[1])
		nr_bytes = vst_complete_parts(in, dev_of(rq), nr_bytes);
	if (!vst_count(in->row[0], last, nr_bytes, error, in, now))
		vst_lose(dev_of(rq), VST_LOSS_NO_CELL, last, nr_bytes);
	if (last) {
		missing = in->issued - set->ended[way] - ONE_IO - vst_inflight_bytes(in);
		set->ended[way] = in->issued;
		if (missing)
			vst_settle(0, dev_of(rq), missing);
	}
	return 0;
}

/* --- what no completion came for --- */

/*
 * Run by the agent now and then, attached to nothing (not a "syscall" program: on 6.1 these may not use the queues of
 * free numbers): a request whose entry says that the device has it, while the block layer has it no
 * more, has ended without our being told. Not the younger ones, those issued since the sweep began among them: at its
 * issue a request is still idle.
 */
#define SWEEP_AGE_NS 100000000LL

struct sweep {
	__u64 now;
	__u64 base; /* address from which vst_identity() counts */
};

__noinline int vst_sweep_one(struct vst_set *set, __u32 way, __u64 now, __u64 base)
{
	__u64 addr, ended, issued, when;
	struct vst_key *key;
	__u32 row;

	if (!set || way >= WAYS)
		return 0;
	ended = set->ended[way];
	issued = set->way[way].issued;
	when = set->way[way].when;
	addr = set->way[way].addr;
	row = set->way[way].row[0];
	if (issued == ended || when <= UNUSED || (__s64)(now - when) < SWEEP_AGE_NS)
		return 0;
	key = bpf_map_lookup_elem(&vst_row_keys, &row);
	if (!key || key->layer != VST_LAYER_LEAF || rq_get(base + addr, state) != MQ_RQ_IDLE)
		return 0;
	/* if it was used again meanwhile, its next completion finds out */
	if (__sync_val_compare_and_swap(&set->ended[way], ended, issued) == ended)
		vst_settle(row, key->dev, issued - ended);
	return 0;
}

static long sweep_set(__u32 i, struct sweep *sweep)
{
	struct vst_set *set;

	if (i >= 1 << VST_INFLIGHT_BITS)
		return 1;
	set = vst_set_at(i);
	for (int way = 0; way < WAYS; way++)
		if (set->way[way].issued != set->ended[way])
			vst_sweep_one(set, way, sweep->now, sweep->base);
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
	bpf_loop(1 << VST_INFLIGHT_BITS, sweep_set, &sweep, 0);
	return 0;
}
