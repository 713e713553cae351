/* SPDX-License-Identifier: GPL-2.0-only */
#include "format.h"
#include "phrase.h"
#include "reasons.h"

#define PARTS_TOLD 3   /* in the sentence; the table has all of them */
#define HOLDERS_TOLD 2 /* of each part */
#define NAMES_TOLD 3
#define WORTH 0.02	  /* a smaller part of the waiting is not named */
#define WORTH_NAME 0.1	  /* a holder with a smaller share of a part is not named */
#define ALL 0.95	  /* a holder with this share stands for the whole part */
#define WORTH_SAYING 0.05 /* the smallest share that a remark is made about */
#define WORTH_LOST 0.01	  /* the smallest share of lost waits that is told */
#define HARDLY VST_HARDLY_MS

#define PENDING_TOLD 5

static bool is_waiter(const struct vst_wait *w, const void *who)
{
	const struct vst_who waiter = vst_wait_waiter(w);

	return !vst_who_compare(who, &waiter);
}

static bool is_caused(const struct vst_wait *w, const void *who)
{
	const struct vst_who holder = vst_wait_holder(w);

	return !vst_who_compare(who, &holder) && !is_waiter(w, who);
}

static bool is_containing(const struct vst_wait *w, const void *who)
{
	return w->resource->overlaps && is_waiter(w, who);
}

static struct vst_waits *sorted(const struct vst_waits *all, unsigned int by, vst_wait_keep *keep, const void *arg)
{
	struct vst_waits *w = vst_waits_group(all, by, keep, arg);

	vst_waits_by_time(w);
	return w;
}

/* The old ones first. */
static void take_pending(struct vst_reasons *r)
{
	const struct vst_underway *u = r->from.underway;

	r->pending = vst_alloc((u ? u->n : 0) * sizeof(*r->pending));
	for (int old = 1; old >= 0; old--) {
		for (size_t i = 0; u && i < u->n; i++)
			if (!vst_who_compare(&u->list[i].who, &r->who) &&
			    (u->list[i].open.oldest_us >= VST_OLD_US) == (bool)old)
				r->pending[r->n_pending++] = &u->list[i];
		r->n_old = old ? r->n_pending : r->n_old;
	}
}

/* The order stays otherwise: waits for the scheduler's locks tell nothing about I/O, so they never lead. */
static void scheduler_last(struct vst_waits *w)
{
	struct vst_wait *sorted = vst_alloc((w->n + 1) * sizeof(*sorted));
	size_t n = 0;

	for (int last = 0; last <= 1; last++)
		for (size_t i = 0; i < w->n; i++)
			if (vst_reasons_is_scheduler(&w->list[i]) == (bool)last)
				sorted[n++] = w->list[i];
	memcpy(w->list, sorted, w->n * sizeof(*sorted));
	free(sorted);
}

struct vst_reasons *vst_reasons_new(const struct vst_reasons_from *from, const struct vst_who *who)
{
	struct vst_waits *all = vst_waits_complete(from->blame, from->waits);
	struct vst_reasons *r = vst_alloc(sizeof(*r));

	r->from = *from;
	r->who = *who;
	r->interval = all->interval;
	r->lost = all->lost;
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->list[i].resource->prefix, "device") != 0) /* the agent divides those and loses none */
			r->waits += all->list[i].waits;
	r->watched = all->watched;
	r->parts = sorted(all, VST_BY_RESOURCE, is_waiter, who);
	r->causes = sorted(all, VST_BY_RESOURCE | VST_BY_HOLDER, is_waiter, who);
	r->holders = sorted(all, VST_BY_HOLDER, is_waiter, who);
	r->evidence = sorted(all, VST_BY_EVIDENCE, is_waiter, who);
	r->caused = sorted(all, VST_BY_WAITER, is_caused, who);
	r->containing = sorted(from->waits ? from->waits : from->blame, VST_BY_RESOURCE, is_containing, who);
	r->us = vst_waits_sum(r->parts);
	scheduler_last(r->parts);
	scheduler_last(r->causes);
	take_pending(r);
	vst_waits_free(all);
	return r;
}

void vst_reasons_free(struct vst_reasons *r)
{
	if (!r)
		return;
	vst_waits_free(r->parts);
	vst_waits_free(r->causes);
	vst_waits_free(r->holders);
	vst_waits_free(r->evidence);
	vst_waits_free(r->caused);
	vst_waits_free(r->containing);
	free(r->pending);
	free(r);
}

static double rate(const struct vst_reasons *r, double us)
{
	return r->interval > 0 ? us / 1e3 / r->interval : 0;
}

double vst_reasons_rate(const struct vst_reasons *r, const struct vst_wait *w)
{
	return rate(r, w->us);
}

/* --- words --- */

static const char *label(const struct vst_reasons *r, const struct vst_who *who)
{
	return vst_who_labels_find(r->from.labels, who);
}

static void put_label(FILE *out, const struct vst_reasons *r, const struct vst_who *who)
{
	vst_phrase_name(out, label(r, who));
}

const char *vst_reasons_holder(const struct vst_reasons *r, const struct vst_wait *w)
{
	const struct vst_who holder = vst_wait_holder(w);

	return vst_wait_is_of_others(w, NULL) ? label(r, &holder) : "[self]";
}

static const char *holder_of(const struct vst_reasons *r, const struct vst_wait *w)
{
	bool unknown = !*w->holder_cgroup && !strcmp(w->holder, "unattributed");

	return unknown && vst_wait_is_of_others(w, NULL) ? "nobody known" : vst_reasons_holder(r, w);
}

/* Who caused a part: the name if it was one, or else the shares of the largest. */
static void put_causes(FILE *out, const struct vst_reasons *r, const struct vst_wait *part)
{
	int told = 0;

	for (size_t i = 0; i < r->causes->n && told < HOLDERS_TOLD; i++) {
		const struct vst_wait *c = &r->causes->list[i];
		double share = part->us > 0 ? c->us / part->us : 0;

		if (c->resource != part->resource || strcmp(c->name, part->name) != 0)
			continue;
		if (told && share < WORTH_NAME)
			break;
		if (share >= ALL && part->resource->behind) {
			fprintf(out, " %s ", part->resource->behind);
			vst_phrase_name(out, vst_wait_is_of_others(c, NULL) ? holder_of(r, c) : "its own I/O");
			return;
		}
		fputs(told++ ? ", " : " (", out);
		if (share < ALL)
			fprintf(out, "%.0f %% ", share * 100);
		vst_phrase_name(out, holder_of(r, c));
		if (share >= ALL)
			break;
	}
	if (told)
		fputc(')', out);
}

/* --- sentences --- */

char *vst_reasons_pending(const struct vst_reasons *r, size_t i)
{
	/* what began a moment ago is normal, and worth a word only where there is nothing else to say */
	size_t told = r->n_old || r->us > 0 || r->did_io ? r->n_old : r->n_pending;

	return i < told && i < PENDING_TOLD ? vst_pending_sentence(r->pending[i], r->from.labels, false) : NULL;
}

char *vst_reasons_containing(const struct vst_reasons *r, size_t i)
{
	char p99[VST_CELL];
	const struct vst_wait *w;
	struct vst_text t;

	if (i >= r->containing->n)
		return NULL;
	w = &r->containing->list[i];
	vst_text_open(&t);
	fputs("It was ", t.out);
	vst_phrase_resource(t.out, w, w->resource->phrase);
	fputs(" for ", t.out);
	vst_phrase_ms(t.out, rate(r, w->us));
	fputs(" ms/s", t.out);
	if (w->hist) {
		vst_format_us(p99, vst_wait_quantile(w, 0.99), VST_UNITS_HUMAN);
		fprintf(t.out, ", %.1f calls/s, p99 %s", vst_delta_rate(w->waits, r->interval), p99);
	}
	fputs("; other waits can be a part of that.", t.out);
	return vst_text_close(&t);
}

char *vst_reasons_waits(const struct vst_reasons *r)
{
	double all = rate(r, r->us), rest = r->us;
	struct vst_text t;
	size_t i;

	if (!(r->us > 0) && r->n_pending)
		return NULL; /* it waits, as another sentence says */
	vst_text_open(&t);
	put_label(t.out, r, &r->who);
	if (!(r->us > 0)) {
		fputs(" waited for nothing that vstor watches.", t.out);
		return vst_text_close(&t);
	}
	fputs(all < HARDLY ? " hardly waited, " : " waited ", t.out);
	vst_phrase_ms(t.out, all);
	fputs(" ms/s: ", t.out);
	for (i = 0; i < r->parts->n && i < PARTS_TOLD; i++) {
		const struct vst_wait *part = &r->parts->list[i];

		if (i && part->us < WORTH * r->us)
			break;
		fputs(i ? ", " : "", t.out);
		vst_phrase_ms(t.out, rate(r, part->us));
		fputc(' ', t.out);
		vst_phrase_resource(t.out, part, part->resource->phrase);
		put_causes(t.out, r, part);
		rest -= part->us;
	}
	if (rest > WORTH * r->us) {
		fputs(", ", t.out);
		vst_phrase_ms(t.out, rate(r, rest));
		fprintf(t.out, " on %zu other%s", r->parts->n - i, r->parts->n - i > 1 ? "s" : "");
	}
	fputc('.', t.out);
	return vst_text_close(&t);
}

char *vst_reasons_holders(const struct vst_reasons *r)
{
	struct vst_text t;

	/* with a single part, the first sentence has said it */
	if (r->parts->n < 2 || r->parts->list[1].us < WORTH * r->us || rate(r, r->us) < HARDLY)
		return NULL;
	vst_text_open(&t);
	fputs("In all because of ", t.out);
	for (size_t i = 0; i < r->holders->n; i++) {
		double share = r->holders->list[i].us / r->us;

		if (i >= NAMES_TOLD || (i && share < WORTH_SAYING))
			break;
		fputs(i ? ", " : "", t.out);
		vst_phrase_name(t.out, holder_of(r, &r->holders->list[i]));
		fprintf(t.out, " %.0f %%", share * 100);
	}
	fputc('.', t.out);
	return vst_text_close(&t);
}

char *vst_reasons_caused(const struct vst_reasons *r)
{
	double all = vst_waits_sum(r->caused), told = 0;
	struct vst_text t;

	if (rate(r, all) < HARDLY)
		return NULL;
	vst_text_open(&t);
	fputs("It made others wait ", t.out);
	vst_phrase_ms(t.out, rate(r, all));
	fputs(" ms/s: ", t.out);
	for (size_t i = 0; i < r->caused->n && i < NAMES_TOLD; i++) {
		const struct vst_wait *w = &r->caused->list[i];
		const struct vst_who waiter = vst_wait_waiter(w);

		if (i && w->us < WORTH_SAYING * all)
			break;
		fputs(i ? ", " : "", t.out);
		put_label(t.out, r, &waiter);
		fputc(' ', t.out);
		vst_phrase_ms(t.out, rate(r, w->us));
		told += w->us;
	}
	fputs(all - told > WORTH_SAYING * all ? ", and others." : ".", t.out);
	return vst_text_close(&t);
}

/* --- remarks: each function writes its remark and returns true, or returns false --- */

static bool say_object(FILE *out, const struct vst_reasons *r)
{
	for (size_t i = 0; i < r->parts->n && i < PARTS_TOLD; i++) {
		if (!*r->parts->list[i].object)
			continue;
		fputs("The file or disk that is named is that of the longest wait; there may have been others.", out);
		return true;
	}
	return false;
}

static bool say_unwatched(FILE *out, const struct vst_reasons *r)
{
	if (r->watched)
		return false;
	fputs("Locks are not watched now, 'vstorctl status' says why: waits for them are not included.", out);
	return true;
}

static bool say_what_is_watched(FILE *out, const struct vst_reasons *r)
{
	const json_t *list = (r->from.waits ?: r->from.blame)->not_watched;
	size_t n = json_array_size(list); /* of an older agent: 0 */

	if (!n || rate(r, r->us) >= HARDLY)
		return false;
	fputs("Not watched: ", out);
	for (size_t i = 0; i < n; i++) {
		fputs(!i ? "" : i + 1 < n ? ", " : ", and ", out);
		vst_phrase_name(out, json_string_value(json_array_get(list, i)) ?: "?");
	}
	fputc('.', out);
	return true;
}

char *vst_reasons_limit(const struct vst_reasons *r, const json_t *limit)
{
	struct vst_text t;

	vst_text_open(&t);
	fputs("A limit is set: ", t.out);
	vst_phrase_name(t.out, vst_wire_text(limit, "attribute"));
	fputc(' ', t.out);
	vst_phrase_name(t.out, vst_wire_text(limit, "value"));
	fputs(" on ", t.out);
	vst_phrase_name(t.out, vst_wire_text(limit, "cgroup"));
	fputs(". vstor does not measure how long it holds ", t.out);
	put_label(t.out, r, &r->who);
	fputs(" back.", t.out);
	return vst_text_close(&t);
}

char *vst_reasons_knob(const json_t *knob)
{
	const char *key = vst_wire_text(knob, "key");
	struct vst_text t;

	vst_text_open(&t);
	fputs("vstor itself has set ", t.out);
	vst_phrase_name(t.out, vst_wire_text(knob, "attribute"));
	fputs(*key ? " " : "", t.out);
	vst_phrase_name(t.out, key);
	fputs(" to ", t.out);
	vst_phrase_name(t.out, vst_wire_text(knob, "new"));
	fputs(" on ", t.out);
	vst_phrase_name(t.out, vst_wire_text(knob, "target"));
	fputs(", by rule ", t.out);
	vst_phrase_name(t.out, vst_wire_text(knob, "rule"));
	fputs(": ", t.out);
	vst_phrase_name(t.out, vst_wire_text(knob, "why"));
	fputc('.', t.out);
	return vst_text_close(&t);
}

char *vst_reasons_ended(const struct vst_reasons *r)
{
	struct vst_text t;

	vst_text_open(&t);
	put_label(t.out, r, &r->who);
	fputs(" has ended, so it waits no more. --total tells of all its time that the agent remembers; if the agent "
	      "records, "
	      "--at tells of any time before.",
	      t.out);
	return vst_text_close(&t);
}

static bool say_evidence(FILE *out, const struct vst_reasons *r)
{
	bool said = false;

	for (size_t i = 0; i < r->evidence->n; i++) {
		const struct vst_wait *w = &r->evidence->list[i];
		const char *remark = vst_evidence_remark(w->evidence);

		if (!remark || w->us < WORTH_SAYING * r->us)
			continue;
		fprintf(out, "%s%.0f %% %s", said ? "; " : "Evidence: ", w->us * 100 / r->us, remark);
		said = true;
	}
	if (said)
		fputc('.', out);
	return said;
}

/* Nobody knows how much overlaps. Waits of one kind can only be the same time if other tasks waited. */
static bool say_overlap(FILE *out, const struct vst_reasons *r)
{
	for (size_t i = 1; i < r->parts->n; i++) {
		const struct vst_wait *part = &r->parts->list[i];

		if (part->us < WORTH_SAYING * r->us)
			break;
		if (part->resource == r->parts->list[0].resource)
			continue;
		fputs("Parts may be the same time: a wait for a lock or a journal may contain a wait for a disk.", out);
		return true;
	}
	return false;
}

static bool say_lost(FILE *out, const struct vst_reasons *r)
{
	if (!(r->lost > WORTH_LOST * r->waits))
		return false;
	fprintf(out, "%.0f waits of this host's containers could not be counted in full.", r->lost);
	return true;
}

static bool (*const remarks[])(FILE *, const struct vst_reasons *) = { say_evidence,  say_overlap,	   say_object,
								       say_unwatched, say_what_is_watched, say_lost };

char *vst_reasons_remark(const struct vst_reasons *r, unsigned int i)
{
	for (size_t k = 0; k < sizeof(remarks) / sizeof(remarks[0]); k++) {
		struct vst_text t;
		bool said;

		vst_text_open(&t);
		said = remarks[k](t.out, r);
		vst_text_close(&t);
		if (said && !i--)
			return t.text;
		free(t.text);
	}
	return NULL;
}

/* --- its I/O --- */

static void put_op(FILE *out, const char *what, double ops, double bytes)
{
	char n[VST_CELL], b[VST_CELL];

	vst_format_count(n, ops, VST_UNITS_HUMAN);
	vst_format_bytes(b, bytes, VST_UNITS_HUMAN);
	fprintf(out, " %s %s/s %sB/s,", what, n, b);
}

static void put_kinds(FILE *out, const struct vst_line *line)
{
	double bytes[VST_KIND__N] = { 0 }, all = 0;
	bool any = false;

	for (size_t i = 1; i <= line->children; i++) {
		for (int k = 0; k < VST_KIND__N; k++)
			if (!strcmp(line[i].kind, vst_kind_name((unsigned int)k)))
				bytes[k] += line[i].bytes;
		all += line[i].bytes;
	}
	for (;;) {
		int most = 0;

		for (int k = 0; k < VST_KIND__N; k++)
			most = bytes[k] > bytes[most] ? k : most;
		if (!(bytes[most] * 100 >= all * 0.5) || !(bytes[most] > 0))
			break;
		fprintf(out, "%s%s %.0f %%", any ? ", " : "; ", vst_kind_name((unsigned int)most),
			bytes[most] * 100 / all);
		bytes[most] = 0;
		any = true;
	}
}

char *vst_reasons_io(const struct vst_line *line)
{
	char p99[VST_CELL], queue[VST_CELL], device[VST_CELL];
	struct vst_text t;

	vst_format_us(p99, line->p99, VST_UNITS_HUMAN);
	vst_format_us(queue, line->queue_p99, VST_UNITS_HUMAN);
	vst_format_us(device, line->device_p99, VST_UNITS_HUMAN);
	vst_text_open(&t);
	fputs("I/O on ", t.out);
	vst_phrase_name(t.out, line->device);
	fputc(':', t.out);
	if (line->ops[VST_OP_READ] > 0 || line->op_bytes[VST_OP_READ] > 0)
		put_op(t.out, "read", line->ops[VST_OP_READ], line->op_bytes[VST_OP_READ]);
	if (line->ops[VST_OP_WRITE] > 0 || line->op_bytes[VST_OP_WRITE] > 0)
		put_op(t.out, "write", line->ops[VST_OP_WRITE], line->op_bytes[VST_OP_WRITE]);
	if (line->ops[VST_OP_FLUSH] > 0)
		fprintf(t.out, " flush %.1f/s,", line->ops[VST_OP_FLUSH]);
	fprintf(t.out, " p99 %s (before the disk %s, in it %s)", p99, queue, device);
	put_kinds(t.out, line);
	fputc('.', t.out);
	return vst_text_close(&t);
}
