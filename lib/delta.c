/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>

#include "lib/delta.h"

static const struct vst_times no_times;
static const struct vst_counts no_counts;

enum vst_delta_base vst_delta_interval(const char *instance, double uptime, const char *before, double before_uptime,
				       double *ret_seconds)
{
	*ret_seconds = 0;
	if (!*before) {
		*ret_seconds = vst_delta_real(uptime, 0);
		return VST_DELTA_FIRST;
	}
	if (strcmp(instance, before) != 0)
		return VST_DELTA_RESTARTED;
	*ret_seconds = vst_delta_real(uptime, before_uptime);
	return VST_DELTA_NEXT;
}

__u64 vst_delta_max(const struct vst_times *now, const struct vst_times *before, int last)
{
	__u64 upper;

	if (last < 0 || (!last && !now->max_ns))
		return 0; /* no sample, or none of them took any time */
	if (now->max_ns > (before ? before->max_ns : 0) || last == VST_HIST_BUCKETS - 1)
		return now->max_ns; /* it is of this interval; the last bucket has no end */
	upper = vst_hist_lower((__u32)last + 1);
	return now->max_ns && now->max_ns < upper ? now->max_ns : upper;
}

/* How much now->hist.bucket[i] grew. Both lists are sorted by index, and *at is where the search in the older one goes on. */
static __u64 bucket_delta(const struct vst_times *now, unsigned int i, const struct vst_times *before, unsigned int *at)
{
	const struct vst_bucket *b = &now->hist.bucket[i];

	while (*at < before->hist.n && before->hist.bucket[*at].index < b->index)
		(*at)++;
	if (*at == before->hist.n || before->hist.bucket[*at].index != b->index)
		return b->n;
	return vst_delta(b->n, before->hist.bucket[*at].n);
}

size_t vst_delta_times(struct vst_times *ret, const struct vst_times *now, const struct vst_times *before,
		       struct vst_bucket *room)
{
	unsigned int at = 0, used = 0;

	before = before ?: &no_times;
	for (unsigned int i = 0; i < now->hist.n; i++) {
		__u64 n = bucket_delta(now, i, before, &at);

		if (n)
			room[used++] = (struct vst_bucket){ now->hist.bucket[i].index, n };
	}
	*ret = (struct vst_times){
		.hist = { used ? room : NULL, used },
		.sum_ns = vst_delta(now->sum_ns, before->sum_ns),
		.max_ns = vst_delta_max(now, before, used ? (int)room[used - 1].index : -1),
	};
	return used;
}

size_t vst_delta_room(const struct vst_counts *now)
{
	size_t n = 0;

	for (int t = 0; t < VST_TIME__N; t++)
		n += now->time[t].hist.n;
	return n;
}

bool vst_delta_counts(struct vst_counts *ret, const struct vst_counts *now, const struct vst_counts *before,
		      struct vst_bucket *room)
{
	bool grew = false;

	before = before ?: &no_counts;
	memset(ret, 0, sizeof(*ret));
	if (now == before)
		return false;
	for (int c = 0; c < VST_COUNTER__N; c++) {
		ret->counter[c] = vst_delta(now->counter[c], before->counter[c]);
		grew |= ret->counter[c] > 0;
	}
	for (int t = 0; grew && t < VST_TIME__N; t++)
		room += vst_delta_times(&ret->time[t], &now->time[t], &before->time[t], room);
	return grew;
}

/* --- histograms --- */

void vst_histogram_add(struct vst_histogram *h, const struct vst_times *now, const struct vst_times *before)
{
	unsigned int at = 0;
	int last = -1;
	__u64 max;

	before = before ?: &no_times;
	if (now == before)
		return;
	for (unsigned int i = 0; i < now->hist.n; i++) {
		__u64 n = bucket_delta(now, i, before, &at);

		if (!n)
			continue;
		last = (int)now->hist.bucket[i].index;
		h->n[last] += n;
		h->samples += n;
	}
	h->sum_ns += vst_delta(now->sum_ns, before->sum_ns);
	max = vst_delta_max(now, before, last);
	h->max_ns = max > h->max_ns ? max : h->max_ns;
}

void vst_histogram_merge(struct vst_histogram *h, const struct vst_histogram *other)
{
	for (int i = 0; i < VST_HIST_BUCKETS; i++)
		h->n[i] += other->n[i];
	h->samples += other->samples;
	h->sum_ns += other->sum_ns;
	h->max_ns = other->max_ns > h->max_ns ? other->max_ns : h->max_ns;
}

double vst_histogram_quantile(const struct vst_histogram *h, double q)
{
	return h->max_ns ? vst_hist_quantile_us(h->n, q, h->max_ns) : 0;
}

double vst_times_quantile(const struct vst_times *t, double q)
{
	struct vst_histogram h = { .max_ns = t->max_ns };

	for (unsigned int i = 0; i < t->hist.n; i++)
		h.n[t->hist.bucket[i].index] += t->hist.bucket[i].n;
	return vst_histogram_quantile(&h, q);
}

size_t vst_histogram_pack(const __u64 *n, struct vst_bucket *room)
{
	size_t used = 0;

	for (__u32 i = 0; i < VST_HIST_BUCKETS; i++)
		if (n[i])
			room[used++] = (struct vst_bucket){ i, n[i] };
	return used;
}
