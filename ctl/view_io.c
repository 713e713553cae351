/* SPDX-License-Identifier: GPL-2.0-only */
/* The view of I/O: a line per container and device, with lines per kind and size of file below it. */
#include <stddef.h>
#include "view.h"

#define AT(field) offsetof(struct vst_line, field)
#define READ ops[VST_OP_READ]
#define WRITE ops[VST_OP_WRITE]

static const struct vst_column columns[] = {
	{ "CONTAINER", "container", VST_COLUMN_NAME, AT(container), 0, 0,
	  "who did it: namespace/pod/container, or a unit; in [brackets]: a word of vstor's own" },
	{ "DEVICE", "device", VST_COLUMN_NAME, AT(device), 8, 1, "the disk" },
	{ "LAYER", "layer", VST_COLUMN_TEXT, AT(layer), 7, 20, "leaf: a disk; stacked: on others. Never add them up" },
	{ "R/s", "reads", VST_COLUMN_COUNT, AT(READ), 5, 4, "reads a second" },
	{ "W/s", "writes", VST_COLUMN_COUNT, AT(WRITE), 5, 4, "writes a second" },
	{ "RB/s", "read_bytes", VST_COLUMN_BYTES, AT(op_bytes[VST_OP_READ]), 5, 2, "bytes read a second" },
	{ "WB/s", "write_bytes", VST_COLUMN_BYTES, AT(op_bytes[VST_OP_WRITE]), 5, 2, "bytes written a second" },
	{ "B/s", "bytes", VST_COLUMN_BYTES, AT(bytes), 5, 13, "bytes read and written a second" },
	{ "IO/s", "ios", VST_COLUMN_COUNT, AT(ios), 5, 13, "all I/Os a second" },
	{ "META%", "metadata_share", VST_COLUMN_PERCENT, AT(meta_percent), 5, 8, "bytes that are metadata or journal" },
	{ "CLASS", "class", VST_COLUMN_NUMBER, AT(class), 5, 12,
	  "worth to a cache, 5 most, 0 least: that of most bytes" },
	{ "P50", "p50_us", VST_COLUMN_US, AT(p50), 6, 11, "half of its I/Os were faster" },
	{ "P99", "p99_us", VST_COLUMN_US, AT(p99), 6, 3, "1 in 100 of its I/Os was slower" },
	{ "MAX", "max_us", VST_COLUMN_US, AT(max), 6, 14, "the slowest" },
	{ "QP99", "queue_p99_us", VST_COLUMN_US, AT(queue_p99), 6, 6,
	  "P99 of the wait in the queue, before the disk had it" },
	{ "DP99", "device_p99_us", VST_COLUMN_US, AT(device_p99), 6, 7, "P99 of the time in the disk" },
	{ "RP99", "read_p99_us", VST_COLUMN_US, AT(read_p99), 6, 15, "P99 of reads" },
	{ "WP99", "write_p99_us", VST_COLUMN_US, AT(write_p99), 6, 16, "P99 of writes" },
	{ "LWAIT", "lock_wait_us", VST_COLUMN_US, AT(wait), 6, 4,
	  "time that its tasks waited for the kernel's locks, in each second, all added up" },
	{ "TOP LOCK", "top_lock", VST_COLUMN_OTHER, AT(lock), 19, 9, "the lock that it waited for the longest" },
	{ "BLOCKED BY", "blocked_by", VST_COLUMN_OTHER, AT(holder), 12, 5,
	  "who made it wait the longest, for a lock, a disk, a journal; [self]: nobody else" },
	{ "INFL", "in_flight", VST_COLUMN_COUNT, AT(open), 5, 18, "requests in flight: submitted and not completed" },
	{ "OLDEST", "oldest_us", VST_COLUMN_US, AT(oldest), 6, 19, "how long the oldest of them has been in flight" },
	{ "WITNESS", "witness", VST_COLUMN_TEXT, AT(witness), 7, 10,
	  "how the owner is known: blkcg, memcg, task, none" },
	{ "ERR/s", "errors", VST_COLUMN_COUNT, AT(errors), 5, 9, "I/Os a second that failed" },
	{ "D/s", "discards", VST_COLUMN_COUNT, AT(ops[VST_OP_DISCARD]), 5, 22, "discards a second" },
	{ "F/s", "flushes", VST_COLUMN_COUNT, AT(ops[VST_OP_FLUSH]), 5, 17, "cache flushes a second" },
	{ "MRG/s", "merges", VST_COLUMN_COUNT, AT(merges), 5, 23, "I/Os a second that joined another" },
	{ "RQ/s", "requeues", VST_COLUMN_COUNT, AT(requeues), 5, 24, "I/Os a second that the driver gave back" },
#define X(e, n, limit, c)                                                                                              \
	{ n "%", n "_share", VST_COLUMN_PERCENT, AT(size_percent[VST_SIZE_##e]), 6, 21, "bytes by size of file" },
	VST_SIZES(X)
#undef X
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))
_Static_assert(COLUMNS <= VST_VIEW_COLUMNS, "room in struct vst_layout");

/*
 * The ops of a line without reads and writes; NULL if it has some. Without this word its times would stand beside rates of 0,
 * because the columns of flushes and discards are shown only on wide terminals.
 */
static const char *only_of(const double *ops, const double *bytes)
{
	bool flush = ops[VST_OP_FLUSH] > 0, discard = ops[VST_OP_DISCARD] > 0;

	if (ops[VST_OP_READ] > 0 || ops[VST_OP_WRITE] > 0 || bytes[VST_OP_READ] > 0 || bytes[VST_OP_WRITE] > 0)
		return NULL;
	return flush && discard ? "flush, discard" : flush ? "flush" : discard ? "discard" : NULL;
}

/* The text of the first column: its lines of kinds are indented. */
static char *label(const struct vst_line *line)
{
	const char *only = only_of(line->ops, line->op_bytes), *name = line->kind    ? line->kind
								       : line->label ? line->label
										     : line->container;
	const char *size = line->kind && strcmp(line->size, vst_size_name(VST_SIZE_NONE)) ? line->size : "";
	char *text, *out = vst_alloc(strlen(name) + strlen(size) + 32);

	if (line->kind && only)
		sprintf(out, "  %s", only);
	else if (line->kind)
		sprintf(out, "  %s %s", name, size);
	else
		sprintf(out, only ? "%s (%s)" : "%s", *name ? name : "-", only);
	text = vst_escape(out);
	free(out);
	return text;
}

static void total(FILE *out, const struct vst_look *look, const struct vst_line *t)
{
	char r[VST_CELL], w[VST_CELL], rb[VST_CELL], wb[VST_CELL], p99[VST_CELL];
	char *device = vst_fit_name(t->device, 10);
	const char *only = only_of(t->ops, t->op_bytes);
	const char *unit = look->units == VST_UNITS_KIB ? " KiB" : look->units == VST_UNITS_RAW ? " B" : "B";

	vst_format_count(r, t->READ, look->units);
	vst_format_count(w, t->WRITE, look->units);
	vst_format_bytes(rb, t->op_bytes[VST_OP_READ], look->units);
	vst_format_bytes(wb, t->op_bytes[VST_OP_WRITE], look->units);
	vst_format_us(p99, t->p99, look->units);
	fprintf(out, "%s read %5s/s %6s%s/s  write %5s/s %6s%s/s  p99 %s", device, r, rb, unit, w, wb, unit, p99);
	if (only)
		fprintf(out, " (%s)", only);
	free(device);
}

const struct vst_view vst_view_io = {
	.name = "io",
	.summary = "who does what to the disks",
	.feeds = VST_FEED(IO) | VST_FEED(BLAME) | VST_FEED(WAITS),
	.columns = columns,
	.ncolumns = COLUMNS,
	.sort = "B/s",
	.fill = vst_frame_io,
	.label = label,
	.total = total,
	.totals = "devices",
	.nothing = "no I/O in this interval",
	.details = true,
};
