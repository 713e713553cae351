/* SPDX-License-Identifier: GPL-2.0-only */
/* The views of waiting: for which locks, and because of whom. */
#include <stddef.h>
#include "view.h"

#define AT(field) offsetof(struct vst_line, field)

static const struct vst_column lock_columns[] = {
	{ "CONTAINER", "container", VST_COLUMN_NAME, AT(container), 0, 0,
	  "who waited; [kernel]: the kernel's own threads" },
	{ "LOCK", "lock", VST_COLUMN_NAME, AT(lock), 24, 1, "the lock's name; with (): the function that takes it" },
	{ "OBJECT", "object", VST_COLUMN_NAME, AT(object), 16, 9, "the file, file system or disk of the longest wait" },
	{ "TYPE", "lock_type", VST_COLUMN_TEXT, AT(type), 9, 7, "what kind of lock" },
	{ "NAMED BY", "named_by", VST_COLUMN_TEXT, AT(named_by), 8, 10,
	  "how the name is known: field, symbol, caller, cache, none" },
	{ "WAIT/s", "wait_us", VST_COLUMN_US, AT(wait), 6, 2, "time waited in a second, of all its tasks" },
	{ "WAITS/s", "waits", VST_COLUMN_COUNT, AT(waits), 7, 3, "waits a second" },
	{ "P50", "p50_us", VST_COLUMN_US, AT(p50), 6, 8, "half of the waits were shorter" },
	{ "P99", "p99_us", VST_COLUMN_US, AT(p99), 6, 4, "1 in 100 waits was longer" },
	{ "MAX", "max_us", VST_COLUMN_US, AT(max), 6, 6, "the longest" },
	{ "BLOCKED BY", "blocked_by", VST_COLUMN_OTHER, AT(holder), 12, 5,
	  "who held it the longest meanwhile; [self]: nobody else" },
	{ "WAITING", "waiting", VST_COLUMN_COUNT, AT(open), 7, 11, "tasks that wait now" },
	{ "OLDEST", "oldest_us", VST_COLUMN_US, AT(oldest), 6, 12, "how long the first of them has waited so far" },
};

static const struct vst_column blame_columns[] = {
	{ "WAITER", "waiter", VST_COLUMN_NAME, AT(container), 0, 0, "who waited; [kernel]: the kernel's own threads" },
	{ "HOLDER", "holder", VST_COLUMN_NAME, AT(holder), 18, 1,
	  "because of whom; the waiter itself: its tasks wait for each other" },
	{ "RESOURCE", "resource", VST_COLUMN_NAME, AT(resource), 24, 2, "lock:NAME, or what else is waited for" },
	{ "OBJECT", "object", VST_COLUMN_NAME, AT(object), 16, 7, "the file, file system or disk of the longest wait" },
	{ "WAIT/s", "wait_us", VST_COLUMN_US, AT(wait), 6, 3, "time waited in a second, of all its tasks" },
	{ "SHARE%", "share", VST_COLUMN_PERCENT, AT(share), 6, 5, "of all that this container waited" },
	{ "WAITS/s", "waits", VST_COLUMN_COUNT, AT(waits), 7, 6, "waits a second" },
	{ "EVIDENCE", "evidence", VST_COLUMN_TEXT, AT(evidence), 8, 4,
	  "how the holder is known: owner, last (a guess), share, none" },
	{ "WAITING", "waiting", VST_COLUMN_COUNT, AT(open), 7, 8, "tasks that wait now" },
	{ "OLDEST", "oldest_us", VST_COLUMN_US, AT(oldest), 6, 9, "how long the first of them has waited so far" },
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void lock_total(FILE *out, const struct vst_look *look, const struct vst_line *t)
{
	char wait[VST_CELL], waits[VST_CELL], p99[VST_CELL], *name = vst_fit_name(t->lock, 32);

	vst_format_us(wait, t->wait, look->units);
	vst_format_count(waits, t->waits, look->units);
	vst_format_us(p99, t->p99, look->units);
	fprintf(out, "%s %6s/s %5s waits/s  p99 %6s  %.0f waiter%s", name, wait, waits, p99, t->parties,
		t->parties > 1 ? "s" : "");
	free(name);
}

static void blame_total(FILE *out, const struct vst_look *look, const struct vst_line *t)
{
	char wait[VST_CELL], *name = vst_fit_name(t->holder_label ? t->holder_label : t->holder, 22);
	char *waiter = vst_escape(t->label ? t->label : t->container);

	vst_format_us(wait, t->wait, look->units);
	fprintf(out, "%s %6s/s of waiting by %s", name, wait, waiter);
	if (t->parties > 1)
		fprintf(out, " and %.0f more", t->parties - 1);
	free(name);
	free(waiter);
}

const struct vst_view vst_view_locks = {
	.name = "locks",
	.summary = "who waits for which lock of the kernel's",
	.feeds = VST_FEED(IO) | VST_FEED(LOCKS) | VST_FEED(BLAME) | VST_FEED(WAITS),
	.columns = lock_columns,
	.ncolumns = COUNT(lock_columns),
	.sort = "WAIT/s",
	.fill = vst_frame_locks,
	.total = lock_total,
	.totals = "locks",
	.nothing = "nobody waited for a lock in this interval",
	.locks = true,
};

const struct vst_view vst_view_blame = {
	.name = "blame",
	.summary = "who makes whom wait",
	.feeds = VST_FEED(IO) | VST_FEED(BLAME) | VST_FEED(WAITS),
	.columns = blame_columns,
	.ncolumns = COUNT(blame_columns),
	.sort = "WAIT/s",
	.fill = vst_frame_blame,
	.total = blame_total,
	.totals = "holders",
	.nothing = "nobody waited for anybody in this interval",
};
