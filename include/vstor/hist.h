/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The histogram of times: which bucket, and what a bucket means. Pure; used by the probes (index) and by
 * whoever shows a percentile (the rest). Bucket 0 holds everything below 2^10 ns; then 8 buckets an octave.
 */
#ifndef VSTOR_HIST_H
#define VSTOR_HIST_H

#include "abi.h"

/*
 * floor(log2(v)), 0 < v < 2^63. Binary search: the BPF instruction set has no count-leading-zeroes, and no comparison but to
 * jump, which a time makes hard to predict; the sign of a difference is one without.
 */
static inline __attribute__((always_inline)) __u32 vst_log2(__u64 v)
{
	__u64 r = 0, s;

	s = (0xffffffffULL - v) >> 63 << 5, v >>= s, r |= s;
	s = (0xffff - v) >> 63 << 4, v >>= s, r |= s;
	s = (0xff - v) >> 63 << 3, v >>= s, r |= s;
	s = (0xf - v) >> 63 << 2, v >>= s, r |= s;
	s = (0x3 - v) >> 63 << 1, v >>= s, r |= s;
	return r | (v >> 1);
}

static inline __attribute__((always_inline)) __u32 vst_hist_index(__u64 ns)
{
	__u32 e, i;

	if (ns < (1ULL << VST_HIST_MIN_BITS))
		return 0;
	e = vst_log2(ns);
	i = 1 + ((e - VST_HIST_MIN_BITS) << VST_HIST_SUB_BITS) +
	    ((ns >> (e - VST_HIST_SUB_BITS)) & ((1U << VST_HIST_SUB_BITS) - 1));
	return i < VST_HIST_BUCKETS ? i : VST_HIST_BUCKETS - 1;
}

#ifndef __bpf__
/* Lowest time, in ns, that falls into bucket i; i may be VST_HIST_BUCKETS, for the end of the last one. */
static inline __u64 vst_hist_lower(__u32 i)
{
	__u32 e, sub;

	if (!i)
		return 0;
	e = ((i - 1) >> VST_HIST_SUB_BITS) + VST_HIST_MIN_BITS;
	sub = (i - 1) & ((1U << VST_HIST_SUB_BITS) - 1);
	return (1ULL << e) + ((__u64)sub << (e - VST_HIST_SUB_BITS));
}

/*
 * The q-quantile (0 < q <= 1) in microseconds of n[VST_HIST_BUCKETS] samples: the middle of the bucket in which
 * it falls, never more than max_ns (0: no such bound). 0 without samples.
 */
static inline double vst_hist_quantile_us(const __u64 *n, double q, __u64 max_ns)
{
	__u64 total = 0, seen = 0, want;
	double mid;
	__u32 i;

	for (i = 0; i < VST_HIST_BUCKETS; i++)
		total += n[i];
	if (!total)
		return 0;
	want = (__u64)(q * (double)total);
	if ((double)want < q * (double)total)
		want++;
	for (i = 0; i < VST_HIST_BUCKETS - 1; i++) {
		seen += n[i];
		if (seen >= want)
			break;
	}
	mid = ((double)vst_hist_lower(i) + (double)vst_hist_lower(i + 1)) / 2;
	if (max_ns && mid > (double)max_ns)
		mid = (double)max_ns;
	return mid / 1e3;
}
#endif /* !__bpf__ */
#endif /* VSTOR_HIST_H */
