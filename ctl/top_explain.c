/* SPDX-License-Identifier: GPL-2.0-only */
/* What Enter shows in `top`: the sentences of `explain` about the selected container, in the last interval. */
#include "reasons.h"
#include "top.h"

struct sentences {
	char **list;
	size_t n, cap;
};

static void add(struct sentences *s, char *sentence)
{
	if (!sentence)
		return;
	s->list = vst_grow(s->list, s->n, &s->cap, sizeof(*s->list));
	s->list[s->n++] = sentence;
}

static void add_labels(struct vst_who_labels *labels, const struct vst_waits *w)
{
	for (size_t i = 0; w && i < w->n; i++) {
		const struct vst_who waiter = vst_wait_waiter(&w->list[i]), holder = vst_wait_holder(&w->list[i]);

		vst_who_labels_add(labels, &waiter);
		vst_who_labels_add(labels, &holder);
	}
}

static void add_io(struct sentences *s, const struct vst_feeds *feeds, struct vst_reasons *r)
{
	const struct vst_sample sample = { .rows = feeds->rows };
	struct vst_frame *f = vst_frame_new(&sample);

	vst_frame_io(f, &sample);
	for (size_t i = 0; i < f->nlines; i += 1 + f->lines[i].children) {
		const struct vst_who who = { f->lines[i].container, f->lines[i].cgroup };

		if (!vst_who_compare(&who, &r->who) && (f->lines[i].ios > 0 || f->lines[i].bytes > 0)) {
			add(s, vst_reasons_io(&f->lines[i]));
			r->did_io = true;
		}
	}
	vst_frame_free(f);
}

static void add_sentences(struct sentences *s, const struct vst_feeds *feeds, struct vst_reasons *r)
{
	struct sentences io = { 0 };
	char *text;

	add_io(&io, feeds, r);
	for (size_t i = 0; (text = vst_reasons_pending(r, i)); i++)
		add(s, text);
	add(s, vst_reasons_total(r));
	add(s, vst_reasons_waits(r));
	add(s, vst_reasons_holders(r));
	for (size_t i = 0; (text = vst_reasons_containing(r, i)); i++)
		add(s, text);
	add(s, vst_reasons_caused(r));
	add(s, vst_reasons_advice(r));
	for (size_t i = 0; i < io.n; i++)
		add(s, io.list[i]);
	free(io.list);
	for (unsigned int i = 0; (text = vst_reasons_remark(r, i)); i++)
		add(s, text);
}

char **vst_top_explain(const struct vst_top *top, size_t *ret_n)
{
	const struct vst_who who = { top->chosen_name, top->chosen_cgroup };
	struct vst_waits *blame = NULL, *waits;
	struct vst_underway *underway;
	struct sentences s = { 0 };
	struct vst_reasons *r;

	if (top->feeds.sampled & VST_FEED(BLAME))
		blame = vst_feeds_waits(&top->feeds, VST_FEED_BLAME);
	if (!blame) {
		add(&s, vst_dup("This view does not ask who waits: go to io, locks or blame with Tab."));
		*ret_n = s.n;
		return s.list;
	}
	waits = vst_feeds_waits(&top->feeds, VST_FEED_WAITS);
	underway = vst_underway_new(top->feeds.rows, waits, blame);
	const struct vst_reasons_from from = { blame, waits, underway, vst_who_labels_new() };

	vst_who_labels_add(from.labels, &who);
	add_labels(from.labels, blame);
	add_labels(from.labels, waits);
	r = vst_reasons_new(&from, &who);
	add_sentences(&s, &top->feeds, r);
	vst_reasons_free(r);
	vst_underway_free(underway);
	vst_who_labels_free(from.labels);
	vst_waits_free(waits);
	vst_waits_free(blame);
	*ret_n = s.n;
	return s.list;
}
