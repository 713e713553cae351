// SPDX-License-Identifier: GPL-2.0-only
/* vstorctl cache what-if: the hit ratios that caches of other sizes would have, with a keeper and without one. */
#include <errno.h>
#include <math.h>

#include "cache.h"
#include "cache_whatif.h"
#include "client.h"
#include "format.h"
#include "lib/cleanup.h"
#include "table.h"
#include "wire.h"

#define DEVICES_MAX VST_CACHES

/* What a keeper keeps, by the index that lib/reuse.h uses. */
static const char *const keeps[VST_REUSE_KEPT] = { "none", "5", "4 5", "3 4 5" };

/* --- pure --- */

int vst_whatif_size(const char *text, double now, double *ret_bytes)
{
	static const char units[] = "KMGT";
	char *end;
	double v = strtod(text, &end);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (end == text || !(v > 0) || !(v < 1e15))
		return -EINVAL;
	if (!strcmp(end, "x")) {
		*ret_bytes = v * now;
		return 0;
	}
	if (unit) {
		v = ldexp(v, (int)(10 * (unit - units + 1)));
		end += !strcmp(end + 1, "iB") ? 3 : !strcmp(end + 1, "B") ? 2 : 1;
	}
	if (*end || v < VST_REUSE_PAGE)
		return -EINVAL;
	*ret_bytes = v;
	return 0;
}

static double number(const json_t *line, const char *field)
{
	return json_number_value(json_object_get(line, field));
}

void vst_whatif_take(struct vst_whatif *w, const json_t *line)
{
	double class = number(line, "class"), kept = number(line, "kept"), pages;
	const char *at = vst_wire_text(line, "at");
	unsigned int bucket;
	int len;

	if (class < 0 || class >= VST_REUSE_CLASSES || kept < 0 || kept >= VST_REUSE_KEPT)
		return;
	typeof(w->of[0][0]) *of = &w->of[(int)kept][(int)class];

	memset(of, 0, sizeof(*of));
	of->known = true;
	of->total = number(line, "total");
	of->kept_bytes = number(line, "kept_bytes");
	of->curve.reads = number(line, "reads");
	of->curve.first = number(line, "first");
	for (; sscanf(at, "%u:%lf%n", &bucket, &pages, &len) == 2; at += len)
		if (bucket < VST_REUSE_BUCKETS)
			of->curve.at[bucket] += pages;
}

static double ratio_of(const struct vst_whatif *w, unsigned int kept, unsigned int class, double bytes)
{
	if (!w->of[kept][class].known)
		return -1;
	return vst_reuse_ratio(&w->of[kept][class].curve, class + kept > VST_CLASS_MAX,
			       (uint64_t)w->of[kept][class].kept_bytes, (uint64_t)bytes, w->of[kept][class].total);
}

double vst_whatif_ratio(const struct vst_whatif *w, unsigned int kept, int class, double bytes)
{
	double hits = 0, reads = 0;

	if (class >= 0)
		return ratio_of(w, kept, (unsigned int)class, bytes);
	for (unsigned int c = 0; c < VST_REUSE_CLASSES; c++) {
		double ratio = ratio_of(w, kept, c, bytes);
		double n = w->of[kept][c].total > 0 ? w->of[kept][c].total : w->of[kept][c].curve.reads;

		if (ratio < 0)
			continue;
		hits += ratio * n;
		reads += n;
	}
	return reads > 0 ? hits / reads : -1;
}

/* --- the command --- */

struct reply {
	struct vst_whatif *device[DEVICES_MAX];
	size_t n;
	double time;
};

static struct vst_whatif *device_of(struct reply *r, const char *cache)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->device[i]->cache, cache))
			return r->device[i];
	return NULL;
}

static int take(void *arg, json_t *line)
{
	const char *type = vst_wire_text(line, "type"), *cache = vst_wire_text(line, "cache");
	struct reply *r = arg;
	struct vst_whatif *w = device_of(r, cache);

	if (!strcmp(type, "snapshot"))
		r->time = number(line, "time");
	if (!strcmp(type, "cached_device") && !w && r->n < DEVICES_MAX) {
		w = vst_alloc(sizeof(*w));
		w->cache = vst_dup(cache);
		w->bytes = number(line, "cache_bytes");
		r->device[r->n++] = w;
	} else if (!strcmp(type, "curve") && w) {
		vst_whatif_take(w, line);
	}
	return 0;
}

static void reply_clear(struct reply *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->device[i]->cache);
		free(r->device[i]);
	}
}

/* The sizes that are asked for; a quarter to four times the present one if none is. 0, or an exit code. */
static int sizes_of(const char *list, double now, double *ret, size_t *ret_n)
{
	_cleanup_free_ char *copy = vst_dup(list ? list : "0.25x,0.5x,1x,2x,4x");
	char *save;

	*ret_n = 0;
	for (char *text = strtok_r(copy, ",", &save); text; text = strtok_r(NULL, ",", &save)) {
		if (*ret_n == VST_WHATIF_SIZES)
			return vst_usage("cache", "--size: %d sizes at most", VST_WHATIF_SIZES);
		if (vst_whatif_size(text, now, &ret[*ret_n]))
			return vst_usage("cache",
					 "--size '%s' is no size: write 512M, 10GiB, or 2x for twice the present one",
					 text);
		++*ret_n;
	}
	return *ret_n ? 0 : vst_usage("cache", "--size needs a size");
}

static const struct vst_table_column columns[] = {
	{ "CACHE", VST_COL_NAME, 0 },	 { "SIZE", VST_COL_RIGHT, 0 },	  { "KEEPS", 0, 0 },
	{ "HIT %", VST_COL_RIGHT, 0 },	 { "CLASS 5", VST_COL_RIGHT, 0 }, { "CLASS 4", VST_COL_RIGHT, 0 },
	{ "CLASS 3", VST_COL_RIGHT, 0 }, { "CLASS 2", VST_COL_RIGHT, 1 }, { "CLASS 1", VST_COL_RIGHT, 1 },
	{ "CLASS 0", VST_COL_RIGHT, 0 },
};

static void add_percent(struct vst_table *t, double ratio)
{
	char cell[VST_CELL];

	snprintf(cell, sizeof(cell), "%.1f", 100 * ratio);
	vst_table_add(t, ratio >= 0 ? cell : "-");
}

static void add_line(struct vst_table *t, const struct vst_whatif *w, unsigned int kept, double bytes)
{
	char size[VST_CELL];

	vst_format_bytes(size, bytes, VST_UNITS_HUMAN);
	vst_table_add_name(t, w->cache);
	vst_table_add(t, size);
	vst_table_add_name(t, keeps[kept]);
	add_percent(t, vst_whatif_ratio(w, kept, -1, bytes));
	for (int class = VST_CLASS_MAX; class >= 0; class --)
		add_percent(t, vst_whatif_ratio(w, kept, class, bytes));
}

static void print_json(const struct vst_whatif *w, unsigned int kept, double bytes, double time)
{
	json_t *o = vst_json_sample(time, 0), *classes = json_object();
	double all = vst_whatif_ratio(w, kept, -1, bytes);

	for (int class = VST_CLASS_MAX; class >= 0; class --) {
		double ratio = vst_whatif_ratio(w, kept, class, bytes);
		char name[2] = { (char)('0' + class), 0 };

		if (ratio >= 0)
			json_object_set_new(classes, name, vst_json_rounded(ratio));
	}
	json_object_set_new(o, "cache", json_string(w->cache));
	json_object_set_new(o, "cache_bytes", json_integer((json_int_t)bytes));
	json_object_set_new(o, "keeps", json_string(keeps[kept]));
	if (all >= 0)
		json_object_set_new(o, "hit_ratio", vst_json_rounded(all));
	json_object_set_new(o, "hit_ratio_by_class", classes);
	vst_json_line(o);
}

static int print(const struct vst_ctl *ctl, const struct reply *r)
{
	struct vst_table *t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	double sizes[VST_WHATIF_SIZES];
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < r->n && !rc; i++) {
		rc = sizes_of(ctl->opt['s'], r->device[i]->bytes, sizes, &n);
		for (size_t k = 0; k < n && !rc; k++)
			for (unsigned int kept = 0; kept < VST_REUSE_KEPT; kept++) {
				if (ctl->json)
					print_json(r->device[i], kept, sizes[k], r->time);
				else
					add_line(t, r->device[i], kept, sizes[k]);
			}
	}
	if (!rc && !ctl->json && r->n)
		vst_table_print(t);
	if (!rc && !ctl->json && !r->n)
		puts("no device here is cached: there is no bcache with a cache attached");
	vst_table_free(t);
	return rc;
}

int vst_cache_whatif(const struct vst_ctl *ctl)
{
	struct reply r = { .n = 0 };
	int rc = vst_get(ctl, "/v1/cache/curves?max_age=0.1", take, &r);

	if (!rc)
		rc = print(ctl, &r);
	reply_clear(&r);
	return rc ? rc : vst_output_end(VST_EXIT_OK);
}
