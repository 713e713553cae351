/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <math.h>
#include "wire.h"

int vst_wire_u64(const json_t *obj, const char *field, __u64 *ret)
{
	const json_t *v = json_object_get(obj, field);

	*ret = 0;
	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EPROTO;
	*ret = (__u64)json_integer_value(v);
	return 0;
}

int vst_wire_number(const json_t *obj, const char *field, double *ret)
{
	const json_t *v = json_object_get(obj, field);

	*ret = 0;
	if (!v)
		return 0;
	if (!json_is_number(v) || json_number_value(v) < 0)
		return -EPROTO;
	*ret = json_number_value(v);
	return 0;
}

const char *vst_wire_text(const json_t *obj, const char *field)
{
	const char *text = json_string_value(json_object_get(obj, field));

	return text ? text : "";
}

static int take_buckets(const json_t *list, __u64 *dense)
{
	json_t *pair;
	size_t i;

	if (list && !json_is_array(list))
		return -EPROTO;
	json_array_foreach(list, i, pair)
	{
		json_t *index = json_array_get(pair, 0), *count = json_array_get(pair, 1);

		if (!json_is_integer(index) || !json_is_integer(count) || json_integer_value(index) < 0 ||
		    json_integer_value(index) >= VST_HIST_BUCKETS || json_integer_value(count) < 0)
			return -EPROTO;
		dense[json_integer_value(index)] += (__u64)json_integer_value(count);
	}
	return 0;
}

static __u64 ns(double us)
{
	return (__u64)llround(us * 1e3);
}

int vst_wire_times(const json_t *obj, struct vst_times *ret)
{
	__u64 dense[VST_HIST_BUCKETS] = { 0 };
	struct vst_bucket room[VST_HIST_BUCKETS];
	double sum, max;

	memset(ret, 0, sizeof(*ret));
	if (!obj)
		return 0;
	if (!json_is_object(obj) || vst_wire_number(obj, "sum_us", &sum) || vst_wire_number(obj, "max_us", &max) ||
	    take_buckets(json_object_get(obj, "buckets"), dense))
		return -EPROTO;
	ret->sum_ns = ns(sum);
	ret->max_ns = ns(max);
	ret->hist.n = (unsigned int)vst_histogram_pack(dense, room);
	if (ret->hist.n)
		ret->hist.bucket = memcpy(vst_alloc(ret->hist.n * sizeof(*room)), room, ret->hist.n * sizeof(*room));
	return 0;
}

int vst_wire_open(const json_t *obj, const char *count, struct vst_open *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!obj)
		return 0;
	if (!json_is_object(obj) || vst_wire_number(obj, count, &ret->n) ||
	    vst_wire_number(obj, "oldest_us", &ret->oldest_us) || vst_wire_number(obj, "sum_us", &ret->sum_us))
		return -EPROTO;
	return 0;
}

void vst_json_open(json_t *o, const char *field, const char *count, const struct vst_open *open)
{
	json_t *obj;

	if (!(open->n > 0))
		return;
	obj = json_object();
	json_object_set_new(obj, count, json_integer((json_int_t)open->n));
	json_object_set_new(obj, "oldest_us", json_real(round(open->oldest_us * 1e3) / 1e3));
	if (open->sum_us > 0)
		json_object_set_new(obj, "sum_us", json_real(round(open->sum_us * 1e3) / 1e3));
	json_object_set_new(o, field, obj);
}

void vst_open_add(struct vst_open *sum, const struct vst_open *one)
{
	sum->n += one->n;
	sum->sum_us += one->sum_us;
	sum->oldest_us = fmax(sum->oldest_us, one->oldest_us);
}
