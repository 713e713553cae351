/* SPDX-License-Identifier: GPL-2.0-only */
#include "listing.h"

static void print_json(const struct vst_listing *list, const struct vst_waits *all)
{
	for (size_t i = 0; i < all->n; i++) {
		json_t *line = vst_json_sample(all->time, all->interval);

		list->add_json(line, &all->list[i]);
		vst_json_line(line);
	}
}

static void print_table(const struct vst_ctl *ctl, const struct vst_listing *list, const struct vst_waits *all)
{
	struct vst_table *t = vst_table_new(list->columns, list->ncolumns);
	struct vst_who_labels *labels = vst_who_labels_new();

	for (size_t i = 0; i < all->n; i++) {
		vst_who_labels_add(labels, &(struct vst_who){ all->list[i].waiter, all->list[i].waiter_cgroup });
		vst_who_labels_add(labels, &(struct vst_who){ all->list[i].holder, all->list[i].holder_cgroup });
	}
	vst_sampling_head(all->time, all->interval, all->n ? NULL : list->nothing);
	for (size_t i = 0; i < all->n; i++)
		list->add_row(t, &all->list[i], labels);
	if (all->n)
		vst_table_print(t);
	vst_table_free(t);
	for (size_t i = 0; list->after && i < all->n; i++)
		list->after(&all->list[i], ctl, labels);
	vst_who_labels_free(labels);
}

static bool is_shown(const struct vst_wait *w, const void *sampler)
{
	return vst_sampler_shows(sampler, w->waiter, w->waiter_cgroup) ||
	       (*w->holder && vst_sampler_shows(sampler, w->holder, w->holder_cgroup));
}

static int show(const struct vst_ctl *ctl, struct vst_sampler *s, void *arg)
{
	const struct vst_listing *list = arg;
	struct vst_waits *told = vst_feeds_waits(&s->feeds, list->feed);
	struct vst_waits *more = list->complete ? vst_feeds_waits(&s->feeds, VST_FEED_WAITS) : NULL;
	struct vst_waits *complete = list->complete ? vst_waits_complete(told, more) : NULL;
	struct vst_waits *all = vst_waits_group(complete ? complete : told, VST_BY_ALL, is_shown, s);

	vst_waits_by_time(all);

	if (ctl->json)
		print_json(list, all);
	else
		print_table(ctl, list, all);
	vst_waits_free(all);
	vst_waits_free(complete);
	vst_waits_free(more);
	vst_waits_free(told);
	return 0;
}

int vst_listing_run(const struct vst_ctl *ctl, const struct vst_listing *list, const char *typed)
{
	const struct vst_sampling what = {
		.command = list->command,
		.feeds = 1U << list->feed | (list->complete ? VST_FEED(WAITS) : 0),
		.typed = typed,
		.delay = 1,
		.samples = 1,
		.show = show,
		.arg = (void *)list,
	};

	return vst_sampling_run(ctl, &what);
}
