/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames of waits, and what containers that do I/O wait for. */
#include "frame.h"
#include "phrase.h"
#include "wire.h"

/* A container that does no I/O has a line in the view of I/O if it waits for at least so many microseconds in a second. */
#define WAITS_ONLY_MIN 1000

static const struct vst_who self = { "self", "" }, nobody = { "", "" };

/* For each waiter, the holder that made it wait longest: among others than itself, and among all. */
struct blamed {
	struct vst_waits *others, *all;
};

static double a_second(const struct vst_waits *w)
{
	return vst_delta_rate(1, w->interval);
}

/*
 * Adds up by `fine`, then by `coarse`: the texts that remain are those of the largest fine group, not of the largest row.
 */
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

/* Somebody else if there is one, even if the container waited longer for itself: that helps nobody. */
static struct vst_who blamed_find(const struct blamed *b, const struct vst_wait *w)
{
	const struct vst_wait *found = vst_waits_find(b->others, w);

	return found ? vst_wait_holder(found) : vst_waits_find(b->all, w) ? self : nobody;
}

static void fill_holder(struct vst_frame *f, struct vst_line *l, const struct vst_who *holder)
{
	l->holder = vst_frame_text(f, holder->name);
	l->holder_cgroup = vst_frame_text(f, holder->cgroup);
}

/* --- beside I/O --- */

/* locks: all of its waits for locks, with the name of the longest; NULL: none. */
static void fill_waiter(struct vst_frame *f, struct vst_line *l, const struct vst_wait *locks,
			const struct vst_who *holder, double second)
{
	l->wait = locks ? locks->us * second : 0;
	l->waits = locks ? locks->waits * second : 0;
	l->lock = locks ? vst_frame_text(f, locks->name) : "";
	fill_holder(f, l, holder);
}

void vst_frame_add_waits(struct vst_frame *f, const struct vst_waits *blame)
{
	struct vst_waits *locks = longest_of(blame, VST_BY_WAITER | VST_BY_RESOURCE, VST_BY_WAITER, vst_wait_is_lock);
	struct vst_waits *all = vst_waits_group(blame, VST_BY_WAITER, NULL, NULL);
	struct blamed blamed = blamed_open(blame, VST_BY_WAITER);
	bool *seen = vst_alloc(all->n);
	double second = a_second(blame);
	size_t nlines = f->nlines;

	for (size_t i = 0; i < nlines; i += 1 + f->lines[i].children) {
		struct vst_line *l = &f->lines[i];
		const struct vst_wait like = { .waiter = l->container, .waiter_cgroup = l->cgroup };
		const struct vst_wait *found = vst_waits_find(all, &like);
		const struct vst_who holder = blamed_find(&blamed, &like);

		if (found)
			seen[found - all->list] = true;
		fill_waiter(f, l, vst_waits_find(locks, &like), &holder, second);
	}
	for (size_t i = 0; i < all->n; i++) {
		const struct vst_wait *w = &all->list[i];
		const struct vst_who holder = blamed_find(&blamed, w);
		struct vst_line *l;

		if (seen[i] || w->us * second < WAITS_ONLY_MIN)
			continue;
		l = vst_frame_line(f);
		l->container = vst_frame_text(f, w->waiter);
		l->cgroup = vst_frame_text(f, w->waiter_cgroup);
		fill_waiter(f, l, vst_waits_find(locks, w), &holder, second);
	}
	free(seen);
	blamed_close(&blamed);
	vst_waits_free(all);
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
	l->max = vst_wait_max(w);
	l->open = w->open.n;
	l->oldest = w->open.n > 0 ? w->open.oldest_us : VST_NO_TIME;
	l->parties = (double)w->merged;
	free(resource);
}

/* What or who makes others wait, as a whole: first one for each waiter, then all of these added up. */
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
		const struct vst_who holder = blamed_find(&blamed, &s->locks->list[i]);

		fill_wait(f, l, &s->locks->list[i], a_second(s->locks));
		fill_holder(f, l, &holder);
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
		l->share = vst_delta_rate(w->us * 100, vst_waits_find(all, w)->us);
	}
	add_totals(f, s->blame, VST_BY_HOLDER, vst_wait_is_of_others);
	vst_waits_free(all);
}

/* --- names, and what has waited for too long --- */

static void for_each_name(struct vst_line *lines, size_t n, void (*take)(struct vst_line *l, void *arg), void *arg)
{
	for (size_t i = 0; i < n; i++)
		if (lines[i].container)
			take(&lines[i], arg);
}

static void add_names(struct vst_line *l, void *labels)
{
	const struct vst_who who = { l->container, l->cgroup ? l->cgroup : "" };
	const struct vst_who holder = { l->holder, l->holder_cgroup };

	vst_who_labels_add(labels, &who);
	if (holder.name && *holder.name && holder.cgroup)
		vst_who_labels_add(labels, &holder);
}

struct naming {
	struct vst_frame *f;
	struct vst_who_labels *labels;
};

static void set_names(struct vst_line *l, void *arg)
{
	const struct vst_who who = { l->container, l->cgroup ? l->cgroup : "" };
	const struct vst_who holder = { l->holder, l->holder_cgroup };
	struct naming *n = arg;

	l->label = vst_frame_text(n->f, vst_who_labels_find(n->labels, &who));
	if (holder.name && *holder.name && holder.cgroup)
		l->holder_label = vst_frame_text(n->f, vst_who_labels_find(n->labels, &holder));
}

/* What comes after the last one that has a line of its own. */
static void add_more(struct vst_frame *f, size_t at, size_t more, const char *what)
{
	char text[128];

	if (!more)
		return;
	snprintf(text, sizeof(text), "and %zu more %s", more, what);
	f->alarm[at] = vst_frame_text(f, text);
}

static struct vst_who who_of_alarm(const json_t *alarm)
{
	return (struct vst_who){ vst_wire_text(alarm, "container"), vst_wire_text(alarm, "cgroup") };
}

static char *encryption_sentence(const json_t *alarm, struct vst_who_labels *labels)
{
	const struct vst_who who = who_of_alarm(alarm);
	struct vst_text t;

	vst_text_open(&t);
	fputs("ALARM: ", t.out);
	vst_phrase_name(t.out, vst_who_labels_find(labels, &who));
	fprintf(t.out, " wrote %.0f files that look encrypted in the last minute",
		json_number_value(json_object_get(alarm, "files")));
	return vst_text_close(&t);
}

/* Containers that encrypt many files come first, because each second counts. Returns how many lines there are. */
static size_t add_encryption(struct vst_frame *f, const json_t *alarms, struct vst_who_labels *labels)
{
	size_t n = json_array_size(alarms), said = n > VST_ALARMS / 2 ? VST_ALARMS / 2 - 1 : n;
	char *sentence;

	for (size_t i = 0; i < said; i++) {
		sentence = encryption_sentence(json_array_get(alarms, i), labels);
		f->alarm[i] = vst_frame_text(f, sentence);
		free(sentence);
	}
	add_more(f, said, n - said, "containers wrote many files that look encrypted");
	return said + (n > said);
}

/* The oldest of them. An fsync that contains another wait is not said twice. said: lines that are there already. */
static void add_alarms(struct vst_frame *f, const struct vst_underway *u, struct vst_who_labels *labels, size_t said)
{
	char *sentence, what[64];
	size_t more = 0;

	for (size_t i = 0; i < u->n && u->list[i].open.oldest_us >= VST_OLD_US; i++) {
		if (u->list[i].contains)
			continue;
		if (said == VST_ALARMS - 1) {
			more++;
			continue;
		}
		sentence = vst_pending_sentence(&u->list[i], labels, true);
		f->alarm[said++] = vst_frame_text(f, sentence);
		free(sentence);
	}
	snprintf(what, sizeof(what), "have waited for longer than %.0f s", VST_OLD_US / 1e6);
	add_more(f, said, more, what);
}

void vst_frame_finish(struct vst_frame *f, const struct vst_sample *s)
{
	json_t *alarms = s->rows ? (json_t *)vst_rows_alarms(s->rows) : NULL, *alarm;
	struct naming n = { f, vst_who_labels_new() };
	size_t said, i;

	for_each_name(f->lines, f->nlines, add_names, n.labels);
	for_each_name(f->totals, f->ntotals, add_names, n.labels);
	for (size_t i = 0; s->underway && i < s->underway->n; i++) {
		vst_who_labels_add(n.labels, &s->underway->list[i].who);
		if (s->underway->list[i].holder.name)
			vst_who_labels_add(n.labels, &s->underway->list[i].holder);
	}
	json_array_foreach(alarms, i, alarm)
	{
		const struct vst_who who = who_of_alarm(alarm);

		vst_who_labels_add(n.labels, &who);
	}
	for_each_name(f->lines, f->nlines, set_names, &n);
	for_each_name(f->totals, f->ntotals, set_names, &n);
	said = add_encryption(f, alarms, n.labels);
	if (s->underway)
		add_alarms(f, s->underway, n.labels, said);
	vst_who_labels_free(n.labels);
}
