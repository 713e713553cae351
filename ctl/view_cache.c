/* SPDX-License-Identifier: GPL-2.0-only */
/* The view of caches: what each cache had for whom, by class. */
#include <stddef.h>
#include "view.h"
#include "wire.h"

#define AT(field) offsetof(struct vst_line, field)

static const struct vst_column columns[] = {
	{ "CONTAINER", "container", VST_COLUMN_NAME, AT(container), 0, 0, "who reads and writes" },
	{ "CACHE", "cache", VST_COLUMN_NAME, AT(device), 8, 0, "the cached device" },
	{ "CLASS", "class", VST_COLUMN_NUMBER, AT(class), 5, 1,
	  "what the cache should think of the I/O: 5 is metadata, 0 a large file" },
	{ "HITS/s", "hits", VST_COLUMN_COUNT, AT(hits), 6, 1, "reads that the cache had" },
	{ "MISS/s", "misses", VST_COLUMN_COUNT, AT(misses), 6, 1, "reads that it did not have, and has now" },
	{ "HIT%", "hit_ratio", VST_COLUMN_PERCENT, AT(hit_percent), 4, 2, "hits among these two" },
	{ "PASS/s", "bypassed", VST_COLUMN_COUNT, AT(bypassed), 6, 3, "reads and writes that it left alone" },
	{ "IN B/s", "admitted_bytes", VST_COLUMN_BYTES, AT(admitted), 6, 3, "bytes that it took in" },
	{ "KEPT", "kept_bytes", VST_COLUMN_BYTES, AT(kept), 6, 5,
	  "bytes of the class on that device that are worth keeping, whoever uses them" },
	{ "RES%", "resident_estimate", VST_COLUMN_PERCENT, AT(resident), 4, 4, "of these, in the cache for sure" },
};

static double number(const json_t *row, const char *field)
{
	return json_number_value(json_object_get(row, field));
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : -1;
}

static void add(struct vst_line *to, const struct vst_line *l)
{
	to->hits += l->hits;
	to->misses += l->misses;
	to->bypassed += l->bypassed;
	to->admitted += l->admitted;
	to->hit_percent = percent(to->hits, to->hits + to->misses);
}

/* The line above the table of a cached device. */
static struct vst_line *total_of(struct vst_frame *f, const char *device)
{
	struct vst_line *t;

	for (size_t i = 0; i < f->ntotals; i++)
		if (!strcmp(f->totals[i].device, device))
			return &f->totals[i];
	t = vst_frame_total(f);
	t->device = vst_frame_text(f, device);
	t->hit_percent = -1;
	return t;
}

static void fill_row(struct vst_frame *f, const json_t *row, const json_t *before, double interval)
{
	struct vst_line *l = vst_frame_line(f);

	l->container = vst_frame_text(f, vst_wire_text(row, "container"));
	l->cgroup = vst_frame_text(f, vst_wire_text(row, "cgroup"));
	l->device = vst_frame_text(f, vst_wire_text(row, "cache"));
	l->class = number(row, "class");
	l->hits = vst_growth_of(row, before, "hits") / interval;
	l->misses = vst_growth_of(row, before, "misses") / interval;
	l->bypassed = vst_growth_of(row, before, "bypassed") / interval;
	l->admitted = vst_growth_of(row, before, "admitted_bytes") / interval;
	l->hit_percent = percent(l->hits, l->hits + l->misses);
	l->kept = number(row, "kept_bytes");
	l->resident = percent(number(row, "resident_bytes"), l->kept);
	l->ios = l->hits + l->misses + l->bypassed; /* a line without any is not shown */
	l->bytes = l->admitted;
	add(total_of(f, l->device), l);
}

void vst_frame_cache(struct vst_frame *f, const struct vst_sample *s)
{
	const char *id;
	json_t *row;

	if (!s->caches || s->caches->interval <= 0)
		return;
	json_object_foreach(s->caches->now, id, row)
	{
		fill_row(f, row, vst_growth_before(s->caches, id), s->caches->interval);
	}
}

static void cache_total(FILE *out, const struct vst_look *look, const struct vst_line *t)
{
	char hits[VST_CELL], misses[VST_CELL], bypassed[VST_CELL], admitted[VST_CELL],
		*device = vst_fit_name(t->device, 10);

	vst_format_count(hits, t->hits, look->units);
	vst_format_count(misses, t->misses, look->units);
	vst_format_count(bypassed, t->bypassed, look->units);
	vst_format_bytes(admitted, t->admitted, look->units);
	fprintf(out, "%s hits %5s/s  misses %5s/s", device, hits, misses);
	if (t->hit_percent >= 0)
		fprintf(out, "  hit %.0f %%", t->hit_percent);
	fprintf(out, "  left alone %5s/s  taken in %6s%s/s", bypassed, admitted,
		look->units == VST_UNITS_KIB   ? " KiB"
		: look->units == VST_UNITS_RAW ? " B"
					       : "B");
	free(device);
}

const struct vst_view vst_view_cache = {
	.name = "cache",
	.summary = "what the caches of disks have for whom",
	.feeds = VST_FEED(IO) | VST_FEED(CACHE),
	.columns = columns,
	.ncolumns = sizeof(columns) / sizeof(columns[0]),
	.sort = "HITS/s",
	.fill = vst_frame_cache,
	.total = cache_total,
	.totals = "cached devices",
	.nothing = "nobody used a cached device in this interval, or there is none (bcache)",
};
