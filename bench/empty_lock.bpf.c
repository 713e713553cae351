// SPDX-License-Identifier: GPL-2.0-only
/* The floor: what it costs to be called at all, twice per wait for a lock. */
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/contention_begin")
int empty_begin(void *ctx)
{
	return 0;
}

SEC("tp_btf/contention_end")
int empty_end(void *ctx)
{
	return 0;
}
