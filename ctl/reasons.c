/* SPDX-License-Identifier: GPL-2.0-only */
#include "format.h"
#include "reasons.h"

#define PARTS_TOLD 3   /* in the sentence: the table has all of them */
#define HOLDERS_TOLD 2 /* of each part */
#define NAMES_TOLD 3
#define WORTH 0.02	  /* a part that is less is among the others, */
#define WORTH_NAME 0.1	  /* and a holder with less of a part is not named, */
#define ALL 0.95	  /* nor is there another one if it has as much */
#define WORTH_SAYING 0.05 /* of evidence */
#define WORTH_LOST 0.01	  /* of the waits that were counted */
#define HARDLY 1.0	  /* milliseconds in a second: nobody is slow because of that */

struct who {
	const char *name, *cgroup;
};

bool vst_reasons_is(const char *name, const char *cgroup, const char *its_name, const char *its_cgroup)
{
	return !strcmp(name, its_name) && (!cgroup || !strcmp(cgroup, its_cgroup));
}

static bool is_waiter(const struct vst_wait *w, const void *arg)
{
	const struct who *who = arg;

	return vst_reasons_is(who->name, who->cgroup, w->waiter, w->waiter_cgroup);
}

static bool is_caused(const struct vst_wait *w, const void *arg)
{
	const struct who *who = arg;

	return vst_reasons_is(who->name, who->cgroup, w->holder, w->holder_cgroup) && !is_waiter(w, arg);
}

static struct vst_waits *sorted(const struct vst_waits *all, unsigned int by, vst_wait_keep *keep, const void *arg)
{
	struct vst_waits *w = vst_waits_group(all, by, keep, arg);

	vst_waits_by_time(w);
	return w;
}

struct vst_reasons *vst_reasons_new(const struct vst_waits *blame, const char *name, const char *cgroup)
{
	const struct who who = { name, cgroup };
	struct vst_reasons *r = vst_alloc(sizeof(*r));

	r->name = name;
	r->interval = blame->interval;
	r->lost = blame->lost;
	for (size_t i = 0; i < blame->n; i++)
		if (strcmp(blame->list[i].resource->prefix, "device") != 0) /* those are shared out, and none is lost */
			r->waits += blame->list[i].waits;
	r->watched = blame->watched;
	r->parts = sorted(blame, VST_BY_RESOURCE, is_waiter, &who);
	r->causes = sorted(blame, VST_BY_RESOURCE | VST_BY_HOLDER, is_waiter, &who);
	r->holders = sorted(blame, VST_BY_HOLDER, is_waiter, &who);
	r->evidence = sorted(blame, VST_BY_EVIDENCE, is_waiter, &who);
	r->caused = sorted(blame, VST_BY_WAITER, is_caused, &who);
	r->us = vst_waits_sum(r->parts);
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

static void put_ms(FILE *out, double ms)
{
	if (ms < 0.05)
		fputs("<0.1", out);
	else
		fprintf(out, ms < 9.95 ? "%.1f" : "%.0f", ms);
}

static void put_name(FILE *out, const char *name)
{
	char *escaped = vst_escape(name);

	fputs(escaped, out);
	free(escaped);
}

static const char *holder_of(const struct vst_wait *w)
{
	if (!vst_wait_is_of_others(w, NULL))
		return "self";
	return strcmp(w->holder, "unattributed") ? w->holder : "nobody known";
}

/* The member, and what it is a member of: vfs_inode.i_rwsem. What that is part of is left to the table. */
static const char *short_name(const struct vst_wait *w)
{
	const char *name = w->name, *dot = strrchr(name, '.');

	if (!w->resource->member || !dot)
		return name;
	while (dot > name && dot[-1] != '.')
		dot--;
	return dot;
}

char *vst_reasons_object(const char *object)
{
	char *text = vst_dup(object), *bracket = strrchr(text, '(');

	if (bracket && bracket > text + 1 && bracket[-1] == ' ' && text[strlen(text) - 1] == ')')
		bracket[-1] = '\0';
	return text;
}

static void put_resource(FILE *out, const struct vst_wait *w)
{
	const char *phrase = w->resource->phrase, *name = strstr(phrase, "%s");
	char *object = vst_reasons_object(w->object);

	fprintf(out, "%.*s", (int)(name - phrase), phrase);
	put_name(out, short_name(w));
	fputs(name + strlen("%s"), out);
	if (*object) {
		fputs(" of ", out);
		put_name(out, object);
	}
	free(object);
}

/* Because of whom: of a single one the name, of several the shares of those with the most. */
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
			put_name(out, vst_wait_is_of_others(c, NULL) ? holder_of(c) : "its own I/O");
			return;
		}
		fputs(told++ ? ", " : " (", out);
		if (share < ALL)
			fprintf(out, "%.0f %% ", share * 100);
		put_name(out, holder_of(c));
		if (share >= ALL)
			break;
	}
	if (told)
		fputc(')', out);
}

/* --- sentences --- */

char *vst_reasons_waits(const struct vst_reasons *r)
{
	double all = rate(r, r->us), rest = r->us;
	struct vst_text t;
	size_t i;

	vst_text_open(&t);
	put_name(t.out, r->name);
	if (!(r->us > 0)) {
		fputs(" waited for nothing that vstor watches.", t.out);
		return vst_text_close(&t);
	}
	fputs(all < HARDLY ? " hardly waited, " : " waited ", t.out);
	put_ms(t.out, all);
	fputs(" ms/s: ", t.out);
	for (i = 0; i < r->parts->n && i < PARTS_TOLD; i++) {
		const struct vst_wait *part = &r->parts->list[i];

		if (i && part->us < WORTH * r->us)
			break;
		fputs(i ? ", " : "", t.out);
		put_ms(t.out, rate(r, part->us));
		fputc(' ', t.out);
		put_resource(t.out, part);
		put_causes(t.out, r, part);
		rest -= part->us;
	}
	if (rest > WORTH * r->us) {
		fputs(", ", t.out);
		put_ms(t.out, rate(r, rest));
		fprintf(t.out, " on %zu other%s", r->parts->n - i, r->parts->n - i > 1 ? "s" : "");
	}
	fputc('.', t.out);
	return vst_text_close(&t);
}

char *vst_reasons_holders(const struct vst_reasons *r)
{
	struct vst_text t;

	/* a single part has said it */
	if (r->parts->n < 2 || r->parts->list[1].us < WORTH * r->us || rate(r, r->us) < HARDLY)
		return NULL;
	vst_text_open(&t);
	fputs("In all because of ", t.out);
	for (size_t i = 0; i < r->holders->n; i++) {
		double share = r->holders->list[i].us / r->us;

		if (i >= NAMES_TOLD || (i && share < WORTH_SAYING))
			break;
		fputs(i ? ", " : "", t.out);
		put_name(t.out, holder_of(&r->holders->list[i]));
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
	put_ms(t.out, rate(r, all));
	fputs(" ms/s: ", t.out);
	for (size_t i = 0; i < r->caused->n && i < NAMES_TOLD; i++) {
		const struct vst_wait *w = &r->caused->list[i];

		if (i && w->us < WORTH_SAYING * all)
			break;
		fputs(i ? ", " : "", t.out);
		put_name(t.out, w->waiter);
		fputc(' ', t.out);
		put_ms(t.out, rate(r, w->us));
		told += w->us;
	}
	fputs(all - told > WORTH_SAYING * all ? ", and others." : ".", t.out);
	return vst_text_close(&t);
}

/* --- remarks: each says its piece, or nothing --- */

static bool say_object(FILE *out, const struct vst_reasons *r)
{
	for (size_t i = 0; i < r->parts->n && i < PARTS_TOLD; i++) {
		if (!*r->parts->list[i].object)
			continue;
		fputs("A file or disk that is named is that of the longest wait: there may have been others.", out);
		return true;
	}
	return false;
}

static bool say_unwatched(FILE *out, const struct vst_reasons *r)
{
	if (r->watched)
		return false;
	fputs("Locks are not watched now, 'vstorctl status' says why: waits for them are not in it.", out);
	return true;
}

static bool say_what_is_watched(FILE *out, const struct vst_reasons *r)
{
	if (rate(r, r->us) >= HARDLY)
		return false;
	fputs("Not watched: waiting for a processor, the network, other processes, and its own locks in user space.",
	      out);
	return true;
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

/* Nobody knows how much of it; of one kind only other tasks' waits are the same time. */
static bool say_overlap(FILE *out, const struct vst_reasons *r)
{
	for (size_t i = 1; i < r->parts->n; i++) {
		const struct vst_wait *part = &r->parts->list[i];

		if (part->us < WORTH_SAYING * r->us)
			break;
		if (part->resource == r->parts->list[0].resource)
			continue;
		fputs("Parts may be the same time: who waits for a lock or a journal may wait for a disk through it.",
		      out);
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
	put_name(t.out, line->device);
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
