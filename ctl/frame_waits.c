/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames of waits, and what containers that do I/O wait for. */
#include "frame.h"

#define SELF "self"
/* Who waits less than this and does no I/O has no line among those who do: microseconds a second. */
#define WAITS_ONLY_MIN 1000

/* Who makes whom wait the most. */
struct blamed {
	struct vst_waits *others, *all;
};

static double a_second(const struct vst_waits *w)
{
	return w->interval > 0 ? 1 / w->interval : 0;
}

/* The longest of each in the finer groups: that one's texts stay when they are folded into the coarser ones. */
static struct vst_waits *longest_of(const struct vst_waits *w, unsigned int fine, unsigned int coarse,
				    vst_wait_keep *keep)
{
	struct vst_waits *parts = vst_waits_group(w, fine, keep, NULL);
	struct vst_waits *ret = vst_waits_group(parts, coarse, NULL, NULL);

	vst_waits_free(parts);
	return ret;
}

static struct blamed blamed_open(const struct vst_waits *blame, unsigned int by)
{
	return (struct blamed){
		.others = longest_of(blame, by | VST_BY_HOLDER, by, vst_wait_is_of_others),
		.all = longest_of(blame, by | VST_BY_HOLDER, by, NULL),
	};
}

static void blamed_close(struct blamed *b)
{
	vst_waits_free(b->others);
	vst_waits_free(b->all);
}

/* Another one if there is, though it be for less: nobody is helped by hearing that it is itself. */
static const char *blamed_find(const struct blamed *b, const struct vst_wait *w)
{
	const struct vst_wait *found = vst_waits_find(b->others, w);

	return found ? found->holder : vst_waits_find(b->all, w) ? SELF : "";
}

/* --- beside I/O --- */

/* What is told of a container, on each of its lines. */
struct waiter {
	const struct vst_wait *locks; /* all of its waits for locks, with the name of the longest; NULL: none */
	const char *holder;
};

static void fill_waiter(struct vst_frame *f, struct vst_line *l, const struct waiter *w, double second)
{
	l->wait = w->locks ? w->locks->us * second : 0;
	l->waits = w->locks ? w->locks->waits * second : 0;
	l->lock = w->locks ? vst_frame_text(f, w->locks->name) : "";
	l->holder = vst_frame_text(f, w->holder);
}

void vst_frame_add_waits(struct vst_frame *f, const struct vst_waits *blame)
{
	struct vst_waits *locks = longest_of(blame, VST_BY_WAITER | VST_BY_RESOURCE, VST_BY_WAITER, vst_wait_is_lock);
	struct blamed blamed = blamed_open(blame, VST_BY_WAITER);
	bool *seen = vst_alloc(locks->n);
	double second = a_second(blame);
	size_t nlines = f->nlines;

	for (size_t i = 0; i < nlines; i += 1 + f->lines[i].children) {
		struct vst_line *l = &f->lines[i];
		const struct vst_wait like = { .waiter = l->container, .waiter_cgroup = l->cgroup };
		const struct waiter w = { vst_waits_find(locks, &like), blamed_find(&blamed, &like) };

		if (w.locks)
			seen[w.locks - locks->list] = true;
		fill_waiter(f, l, &w, second);
	}
	for (size_t i = 0; i < locks->n; i++) {
		const struct waiter w = { &locks->list[i], blamed_find(&blamed, &locks->list[i]) };
		struct vst_line *l;

		if (seen[i] || w.locks->us * second < WAITS_ONLY_MIN)
			continue;
		l = vst_frame_line(f);
		l->container = vst_frame_text(f, w.locks->waiter);
		l->cgroup = vst_frame_text(f, w.locks->waiter_cgroup);
		fill_waiter(f, l, &w, second);
	}
	free(seen);
	blamed_close(&blamed);
	vst_waits_free(locks);
}

/* --- locks and blame --- */

static void fill_wait(struct vst_frame *f, struct vst_line *l, const struct vst_wait *w, double second)
{
	char *resource = vst_resource_text(w);

	l->container = vst_frame_text(f, w->waiter);
	l->cgroup = vst_frame_text(f, w->waiter_cgroup);
	l->resource = vst_frame_text(f, resource);
	l->lock = vst_frame_text(f, w->name);
	l->object = vst_frame_text(f, w->object);
	l->type = vst_frame_text(f, w->type);
	l->named_by = vst_frame_text(f, w->named_by);
	l->evidence = vst_frame_text(f, w->evidence);
	l->holder = vst_frame_text(f, w->holder);
	l->holder_cgroup = vst_frame_text(f, w->holder_cgroup);
	l->wait = w->us * second;
	l->waits = w->waits * second;
	l->p50 = vst_wait_quantile(w, 0.5);
	l->p99 = vst_wait_quantile(w, 0.99);
	l->max = w->hist ? w->max_us : VST_NO_TIME;
	l->parties = (double)w->merged;
	free(resource);
}

/* What makes wait, as a whole: of each container one for each, then those added up. */
static void add_totals(struct vst_frame *f, const struct vst_waits *w, unsigned int by, vst_wait_keep *keep)
{
	struct vst_waits *totals = longest_of(w, by | VST_BY_WAITER, by, keep);

	vst_waits_by_time(totals);
	for (size_t i = 0; i < totals->n; i++)
		fill_wait(f, vst_frame_total(f), &totals->list[i], a_second(w));
	vst_waits_free(totals);
}

void vst_frame_locks(struct vst_frame *f, const struct vst_sample *s)
{
	struct blamed blamed = blamed_open(s->blame, VST_BY_WAITER | VST_BY_RESOURCE);

	for (size_t i = 0; i < s->locks->n; i++) {
		struct vst_line *l = vst_frame_line(f);

		fill_wait(f, l, &s->locks->list[i], a_second(s->locks));
		l->holder = vst_frame_text(f, blamed_find(&blamed, &s->locks->list[i]));
	}
	add_totals(f, s->locks, VST_BY_RESOURCE, NULL);
	blamed_close(&blamed);
}

void vst_frame_blame(struct vst_frame *f, const struct vst_sample *s)
{
	struct vst_waits *all = vst_waits_group(s->blame, VST_BY_WAITER, NULL, NULL);

	for (size_t i = 0; i < s->blame->n; i++) {
		const struct vst_wait *w = &s->blame->list[i];
		struct vst_line *l = vst_frame_line(f);

		fill_wait(f, l, w, a_second(s->blame));
		l->share = w->us * 100 / vst_waits_find(all, w)->us;
	}
	add_totals(f, s->blame, VST_BY_HOLDER, vst_wait_is_of_others);
	vst_waits_free(all);
}
