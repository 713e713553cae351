// SPDX-License-Identifier: GPL-2.0-only
/*
 * Merges: bios, and whole requests, that went into a request that waits already. An object of its own, for it is a third
 * of what the verifier has to look at and nothing else needs it: it is loaded beside.
 */
#include "decide.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline int merged(__u64 bio)
{
	struct vst_state *s = vst_state_get();
	struct vst_counters *c;
	__u32 slot;
	__u8 op;

	if (!s || !bio)
		return 0;
	op = vst_op_of(vst_read(bio, struct bio, bi_opf));
	c = vst_counters_of(vst_row_of_bio(s, bio, TASK_IS_CURRENT, VST_SORT(op, VST_LAYER_LEAF, 0)), &slot);
	if (c) /* three programs count merges */
		__sync_fetch_and_add(&c->merges, 1);
	return 0;
}

SEC("tp_btf/block_bio_backmerge")
int BPF_PROG(vst_bio_backmerge, struct bio *bio)
{
	return merged(vst_address(bio));
}

SEC("tp_btf/block_bio_frontmerge")
int BPF_PROG(vst_bio_frontmerge, struct bio *bio)
{
	return merged(vst_address(bio));
}

SEC("tp_btf/block_rq_merge")
int BPF_PROG(vst_rq_merge_bio, struct request *rq)
{
	return merged(vst_ptr(rq, struct request, bio));
}
