// SPDX-License-Identifier: GPL-2.0-only
/* The floor: what it costs to be called at all, twice per request. */
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/block_rq_issue")
int empty_rq_issue(void *ctx)
{
	return 0;
}

SEC("tp_btf/block_rq_complete")
int empty_rq_complete(void *ctx)
{
	return 0;
}
