/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: ctl/waits.c ctl/wire.c ctl/who.c ctl/underway.c ctl/phrase.c ctl/mounts.c ctl/growth.c ctl/reasons.c ctl/reasons_total.c ctl/whom.c ctl/cost.c ctl/frame.c ctl/frame_waits.c ctl/format.c ctl/rows.c lib/delta.c -ljansson -lm */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <cmocka.h>
#include "ctl/client.h"
#include "ctl/mounts.h"
#include "ctl/reasons.h"
#include "ctl/whom.h"

void vst_error(const char *fmt, ...)
{
	(void)fmt;
}

struct vst_client *vst_client_new(const struct vst_ctl *ctl)
{
	return NULL;
}

void vst_client_free(struct vst_client *c)
{
}

int vst_client_get(struct vst_client *c, const char *path, vst_line_fn *line, void *arg)
{
	return VST_EXIT_UNREACHABLE;
}

int vst_get(const struct vst_ctl *ctl, const char *path, vst_line_fn *line, void *arg)
{
	return VST_EXIT_UNREACHABLE;
}

#define near(a, b) assert_true(fabs((a) - (b)) < 1e-6)

/* --- rows that grow --- */

static int feed(struct vst_growth *g, json_t *line)
{
	int rc;

	assert_non_null(line);
	rc = vst_growth_line(g, line);
	json_decref(line);
	return rc;
}

static void reply(struct vst_growth *g, const char *instance, double uptime, int lost)
{
	vst_growth_begin(g);
	assert_int_equal(feed(g, json_pack("{ss,ss,sf,sf,sb,s{si}}", "type", "snapshot", "instance", instance, "time",
					   5.0, "uptime", uptime, "watched", 1, "lost", "no_row", lost)),
			 0);
}

static enum vst_commit_result commit(struct vst_growth *g)
{
	enum vst_commit_result what;

	assert_int_equal(vst_growth_commit(g, &what), 0);
	return what;
}

static json_t *lock(int id, const char *container, const char *name, int waits, double us, const char *object)
{
	json_t *o = json_pack("{ss,si,ss,ss,ss,ss,ss,si,s{sf,sf,s[[ii]]}}", "type", "lock", "row", id, "container",
			      container, "cgroup", container, "lock", name, "lock_type", "rwsem", "named_by", "field",
			      "waits", waits, "wait", "sum_us", us, "max_us", 2.0 * us / waits, "buckets", 40, waits);

	if (object)
		json_object_set_new(o, "object", json_string(object));
	return o;
}

/* Rows that differ in nothing that is shown are one; what did not grow is not there; the object is of the longest. */
static void test_growth(void **state)
{
	struct vst_growth *g = vst_growth_new("lock");
	struct vst_waits *w;

	reply(g, "x", 2, 1);
	feed(g, lock(1, "a", "i_rwsem", 10, 100, "/old"));
	feed(g, lock(2, "a", "idle", 10, 100, NULL));
	assert_int_equal(commit(g), VST_COMMIT_FIRST);
	w = vst_waits_new(g);
	assert_int_equal(w->n, 2);
	near(w->interval, 2);
	vst_waits_free(w);

	reply(g, "x", 4, 4);
	feed(g, lock(1, "a", "i_rwsem", 12, 700, "/old"));
	feed(g, lock(2, "a", "idle", 10, 100, NULL));
	feed(g, lock(3, "a", "i_rwsem", 3, 900, "/new"));
	feed(g, lock(4, "a", "i_rwsem", 1, 5000, NULL));
	feed(g, lock(5, "b", "i_rwsem", 1, 10, NULL));
	assert_int_equal(commit(g), VST_COMMIT_SAMPLE);
	w = vst_waits_new(g);
	assert_int_equal(w->n, 2);
	near(w->lost, 3);
	assert_string_equal(w->list[0].waiter, "a");
	near(w->list[0].us, 6500);
	near(w->list[0].waits, 6);
	assert_string_equal(w->list[0].object, "/new");
	near(vst_wait_max(&w->list[0]), 10000);
	assert_int_equal(w->list[0].hist->n[40], 6);
	assert_string_equal(w->list[1].waiter, "b");
	vst_waits_free(w);

	reply(g, "y", 1, 0);
	assert_int_equal(commit(g), VST_COMMIT_RESTARTED);
	reply(g, "y", 1, 0);
	assert_int_equal(commit(g), VST_COMMIT_FIRST);
	vst_growth_free(g);
}

static void test_growth_bad(void **state)
{
	struct vst_growth *g = vst_growth_new("lock");
	enum vst_commit_result what;

	vst_growth_begin(g);
	assert_int_equal(feed(g, lock(1, "a", "x", 1, 1, NULL)), -EPROTO); /* before its snapshot */
	assert_int_equal(vst_growth_commit(g, &what), -EPROTO);
	reply(g, "x", 1, 0);
	assert_int_equal(feed(g, json_pack("{ss,ss}", "type", "lock", "row", "seven")), -EPROTO);
	assert_int_equal(feed(g, json_pack("{ss}", "type", "newer than this")), 0);
	assert_int_equal(commit(g), VST_COMMIT_FIRST);
	/* a reply that breaks off is as if it had never been */
	vst_growth_begin(g);
	reply(g, "x", 3, 0);
	assert_int_equal(commit(g), VST_COMMIT_SAMPLE);
	near(vst_growth_interval(g), 2);
	vst_growth_free(g);
}

/* --- sentences: the cgroup of a container is its name here, that of vstor's own words is "" --- */

static const char *cgroup_of(const char *name)
{
	return !strcmp(name, "unattributed") || !strcmp(name, "kernel") ? "" : name;
}

struct blame {
	const char *waiter, *holder, *resource;
	double ms;
	const char *evidence, *object, *holder_cgroup;
};

static struct vst_waits *waits_of(const struct blame *in, size_t n)
{
	struct vst_waits *w = vst_alloc(sizeof(*w));

	w->list = vst_alloc(n * sizeof(*w->list));
	w->n = n;
	w->interval = 2;
	w->watched = true;
	for (size_t i = 0; i < n; i++) {
		struct vst_wait *o = &w->list[i];

		*o = (struct vst_wait){ .waiter = in[i].waiter,
					.waiter_cgroup = cgroup_of(in[i].waiter),
					.holder = in[i].holder,
					.holder_cgroup = in[i].holder_cgroup ?: cgroup_of(in[i].holder),
					.type = "",
					.named_by = "",
					.object = in[i].object ?: "",
					.evidence = in[i].evidence ?: "owner",
					.waits = 2,
					.us = in[i].ms * 2e3 };
		o->resource = vst_resource_find(in[i].resource, &o->name);
	}
	return w;
}

#define WAITS(in) waits_of(in, sizeof(in) / sizeof((in)[0]))

static void says(char *got, const char *want)
{
	if (!want)
		assert_null(got);
	else
		assert_string_equal(got ? got : "(nothing)", want);
	free(got);
}

static struct vst_who_labels *labels_of(const struct vst_waits *w)
{
	struct vst_who_labels *labels = vst_who_labels_new();

	for (size_t i = 0; i < w->n; i++) {
		vst_who_labels_add(labels, &(struct vst_who){ w->list[i].waiter, w->list[i].waiter_cgroup });
		vst_who_labels_add(labels, &(struct vst_who){ w->list[i].holder, w->list[i].holder_cgroup });
	}
	return labels;
}

static struct vst_reasons *reasons_of(const struct vst_waits *w, const struct vst_who *who)
{
	const struct vst_reasons_from from = { .blame = w, .labels = labels_of(w) };

	vst_who_labels_add(from.labels, who);
	return vst_reasons_new(&from, who);
}

static void reasons_end(struct vst_reasons *r)
{
	vst_who_labels_free(r->from.labels);
	vst_reasons_free(r);
}

static void explains(struct vst_waits *w, const char *name, const char *waits, const char *holders, const char *caused)
{
	const struct vst_who who = { name, cgroup_of(name) };
	struct vst_reasons *r = reasons_of(w, &who);

	says(vst_reasons_waits(r), waits);
	says(vst_reasons_holders(r), holders);
	says(vst_reasons_caused(r), caused);
	reasons_end(r);
	vst_waits_free(w);
}

#define RWSEM "lock:ext4_inode_info.vfs_inode.i_rwsem"

static void test_sentence(void **state)
{
	static const struct blame in[] = {
		{ "prod/mysql", "prod/mysql", RWSEM, 90, NULL, "/data/x (inode 12 on vda1)", NULL },
		{ "prod/mysql", "batch/etl", "journal:vda", 128, "share", NULL, NULL },
		{ "prod/mysql", "ci/build", "journal:vda", 37, "share", NULL, NULL },
		{ "prod/mysql", "x", "journal:vda", 15, "share", NULL, NULL }, /* with too little to be named */
		{ "prod/mysql", "batch/etl", "device:vda", 42, "share", NULL, NULL },
		{ "prod/mysql", "kernel", "lock:rq.__lock", 0.5, "none", NULL, NULL }, /* too little to be told */
		{ "batch/etl", "prod/mysql", RWSEM, 8, "last", NULL, NULL },
		{ "web", "prod/mysql", RWSEM, 3, "last", NULL, NULL },
	};

	explains(WAITS(in), "prod/mysql",
		 "prod/mysql waited 312 ms/s: 180 on vda's journal (71 % batch/etl, 21 % ci/build), 90 on "
		 "vfs_inode.i_rwsem of /data/x ([self]), 42 in vda's queue behind batch/etl.",
		 "In all because of batch/etl 54 %, [self] 29 %, ci/build 12 %.",
		 "It made others wait 11 ms/s: batch/etl 8.0, web 3.0.");
	explains(WAITS(in), "web", "web waited 3.0 ms/s: 3.0 on vfs_inode.i_rwsem (prod/mysql).", NULL, NULL);
	explains(WAITS(in), "idle", "idle waited for nothing that vstor watches.", NULL, NULL);
}

/* The total by what was waited for, the scheduler apart and last, and what can be done about most of it. */
static void test_total(void **state)
{
	static const struct blame in[] = {
		{ "db", "batch", RWSEM, 90, "owner", "/data/x (inode 12 on vda1)", NULL },
		{ "db", "batch", "journal:vda", 28.4, "share", NULL, NULL },
		{ "db", "backup", "device:vda", 112, "share", NULL, NULL },
		{ "db", "kernel", "lock:rq.__lock", 200, "none", NULL,
		  NULL }, /* more than anything else, and no matter of I/O */
		{ "db", "unattributed", "fsync:vda", 150, "none", NULL, NULL },
		{ "self", "self", "device:vda", 50, "share", NULL, NULL },
		{ "lock", "batch", RWSEM, 70, "owner", NULL, NULL },
		{ "busy", "kernel", "lock:task_struct.pi_lock", 40, "none", NULL, NULL },
		{ "little", "batch", "device:vda", 4, "share", NULL, NULL },
		{ "idle", "batch", "device:vda", 0.4, "share", NULL, NULL },
	};
	static const struct {
		const char *who, *total, *advice;
	} wants[] = {
		{ "db",
		  "In all 430 ms/s: I/O 112, journals 28, locks 90, scheduler 200; in fsync 150, which contains some "
		  "of it.",
		  "To do: more tasks are ready to run than there are processors: this is no matter of disks." },
		{ "self", "In all 50 ms/s: I/O 50.",
		  "To do: its own requests wait for each other: let it issue fewer at a time, or give it a faster "
		  "disk." },
		{ "lock", "In all 70 ms/s: locks 70.",
		  "To do: keep batch away from the file or directory of that lock; 'vstorctl blame -s lock' shows what "
		  "the "
		  "holder does with it." },
		{ "busy", "In all 40 ms/s: scheduler 40.",
		  "To do: more tasks are ready to run than there are processors: this is no matter of disks." },
		{ "little", "In all 4 ms/s: I/O 4.0.", NULL },
		{ "idle", NULL, NULL },
	};
	struct vst_waits *w = WAITS(in);

	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		const struct vst_who who = { wants[i].who, wants[i].who };
		struct vst_reasons *r = reasons_of(w, &who);

		says(vst_reasons_total(r), wants[i].total);
		says(vst_reasons_advice(r), wants[i].advice);
		if (!i) /* the scheduler never leads */
			says(vst_reasons_waits(r),
			     "db waited 430 ms/s: 112 in vda's queue behind backup, 90 on vfs_inode.i_rwsem "
			     "of /data/x (batch), 28 on vda's journal (batch), 200 on 1 other.");
		reasons_end(r);
	}
	vst_waits_free(w);
}

static void test_sentence_words(void **state)
{
	static const struct blame in[] = {
		{ "a", "a", "device:vda", 50, "share", NULL, NULL },
		{ "a", "unattributed", "dirty:vdb", 40, "share", NULL, NULL },
		{ "a", "b", "lock:x", 20, NULL, NULL, NULL },
		{ "a", "b", "lock:y", 20, NULL, NULL, NULL },
		{ "a", "b", "futex:0x12", 30, "newer", NULL, NULL }, /* a resource that is newer than this program */
		{ "b", "a", "lock:cgroup_mutex", 0.4, "last", NULL, NULL },
		{ "b", "a", "lock:page_add()", 0.01, "last", NULL, NULL },
		{ "e\x1b[2J", "h\x07", "lock:i_rw\x1bsem", 5, NULL, "/a\n", NULL },
	};

	explains(WAITS(in), "a",
		 "a waited 160 ms/s: 50 in vda's queue behind its own I/O, 40 on dirty pages that vdb has to write "
		 "first (nobody known), 30 on futex:0x12 (b), 40 on 2 others.",
		 "In all because of b 44 %, [self] 31 %, nobody known 25 %.", NULL);
	explains(WAITS(in), "b", "b hardly waited, 0.4 ms/s: 0.4 on cgroup_mutex (a), <0.1 on page_add() (a).", NULL,
		 "It made others wait 70 ms/s: a 70.");
	explains(WAITS(in), "e\x1b[2J", "e\\x1b[2J waited 5.0 ms/s: 5.0 on i_rw\\x1bsem of /a\\x0a (h\\x07).", NULL,
		 NULL);
}

/* Two of one name at once: they are told apart, and one is not the other's self. */
static void test_same_name(void **state)
{
	static const struct blame in[] = { { "a", "a", "device:vda", 10, "share", NULL, "/x/other" } };
	const struct vst_who one = { "a", "a" }, other = { "a", "/x/other" };
	struct vst_waits *w = WAITS(in);
	struct vst_reasons *r = reasons_of(w, &one);

	says(vst_reasons_waits(r), "a (a) waited 10 ms/s: 10 in vda's queue behind a (other).");
	reasons_end(r);
	r = reasons_of(w, &other);
	says(vst_reasons_waits(r), "a (other) waited for nothing that vstor watches.");
	says(vst_reasons_caused(r), "It made others wait 10 ms/s: a (a) 10.");
	reasons_end(r);
	vst_waits_free(w);
}

static void test_remarks(void **state)
{
	static const struct blame in[] = {
		{ "a", "b", RWSEM, 60, "owner", "/x", NULL },
		{ "a", "b", RWSEM, 30, "last", NULL, NULL },
		{ "a", "b", RWSEM, 8, "none", NULL, NULL },
		{ "a", "b", RWSEM, 2, "share", NULL, NULL }, /* not worth a word */
	};
	const struct vst_who a = { "a", "a" }, stranger = { "nobody", "/nobody" };
	struct vst_waits *w = WAITS(in);
	struct vst_reasons *r = reasons_of(w, &a);

	says(vst_reasons_remark(r, 0), "Evidence: 30 % is blamed on the last who was seen to get the lock: a good "
				       "guess; 8 % has no known cause.");
	says(vst_reasons_remark(r, 1),
	     "The file or disk that is named is that of the longest wait; there may have been others.");
	says(vst_reasons_remark(r, 2), NULL);
	reasons_end(r);
	/* of two kinds, neither of them little: they may overlap */
	w->list[1].resource = vst_resource_find("journal:vda", &w->list[1].name);
	w->list[1].evidence = "owner";
	r = reasons_of(w, &a);
	says(vst_reasons_remark(r, 1),
	     "Parts may be the same time: a wait for a lock or a journal may contain a wait for a disk.");
	reasons_end(r);
	w->watched = false;
	w->lost = 7;
	r = reasons_of(w, &stranger);
	says(vst_reasons_remark(r, 1), "7 waits of this host's containers could not be counted in full.");
	reasons_end(r); /* an agent that does not say what it does not watch */
	w->not_watched = json_pack("[s, s, s]", "the time before a request exists", "waiting for a processor",
				   "its own locks in user space");
	r = reasons_of(w, &stranger);
	says(vst_reasons_remark(r, 0),
	     "Locks are not watched now, 'vstorctl status' says why: waits for them are not included.");
	says(vst_reasons_remark(r, 1),
	     "Not watched: the time before a request exists, waiting for a processor, and its "
	     "own locks in user space.");
	says(vst_reasons_remark(r, 2), "7 waits of this host's containers could not be counted in full.");
	reasons_end(r);
	json_decref((json_t *)w->not_watched);
	vst_waits_free(w);
}

static void test_objects_are_where_they_are_mounted(void **state)
{
	static char text[] = "21 1 254:0 / / rw - ext4 /dev/vda rw\n"
			     "22 21 7:1 /part /elsewhere rw,relatime shared:1 - ext4 /dev/loop1 rw\n"
			     "23 21 7:1 / /my\\040data rw,relatime shared:2 - ext4 /dev/loop1 rw\n"
			     "24 21 7:1 / /again rw - ext4 /dev/loop1 rw\n"
			     "no line of its sort\n";
	static const struct {
		const char *object, *number, *want;
	} cases[] = {
		{ "/x (inode 12 on loop1)", "7:1", "/my data/x (inode 12 on loop1)" },
		{ "/a (inode 1 on b) (inode 12 on loop1)", "7:1", "/my data/a (inode 1 on b) (inode 12 on loop1)" },
		{ "…/a/b (inode 12 on loop1)", "7:1", "/my data/…/a/b (inode 12 on loop1)" },
		{ "/ (inode 2 on loop1)", "7:1", "/my data (inode 2 on loop1)" },
		{ "/etc/x (inode 12 on vda)", "254:0", "/etc/x (inode 12 on vda)" },
		{ "/ (inode 2 on vda)", "254:0", "/ (inode 2 on vda)" },
		{ "/x (inode 12 on sdb)", "8:16", NULL },
		{ "inode 12 on loop1", "7:1", NULL },
		{ "file system on loop1", "7:1", NULL },
		{ "(", "7:1", NULL },
		{ "", "7:1", NULL },
	};
	FILE *f = fmemopen(text, strlen(text), "r");
	struct vst_mounts *m = vst_mounts_new(f), *none = vst_mounts_new(NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		says(vst_mounts_object(m, cases[i].object, cases[i].number), cases[i].want);
	says(vst_mounts_object(none, cases[0].object, "7:1"), NULL);
	says(vst_mounts_device("/a (inode 1 on b) (inode 12 on loop1)"), "loop1");
	says(vst_mounts_device("file system on loop1"), NULL);
	says(vst_mounts_device("/x (inode 12)"), NULL);
	fclose(f);
	vst_mounts_free(m);
	vst_mounts_free(none);
}

static void test_io_sentence(void **state)
{
	static const struct vst_line lines[] = {
		{ .device = "vda",
		  .ops = { [VST_OP_READ] = 700, [VST_OP_WRITE] = 1200 },
		  .op_bytes = { [VST_OP_READ] = 11 << 20, [VST_OP_WRITE] = 1 << 20 },
		  .p99 = 3010,
		  .queue_p99 = 0.5,
		  .device_p99 = 3000,
		  .children = 4 },
		{ .kind = "data", .bytes = 500 },
		{ .kind = "journal", .bytes = 100 },
		{ .kind = "data", .bytes = 398 },
		{ .kind = "raw", .bytes = 2 },
	};
	static const struct vst_line flush = { .device = "v\x1b",
					       .ops = { [VST_OP_FLUSH] = 2 },
					       .p99 = 1500,
					       .queue_p99 = VST_NO_TIME,
					       .device_p99 = 1500 };

	says(vst_reasons_io(lines),
	     "I/O on vda: read 700/s 11.0MB/s, write 1200/s 1.0MB/s, p99 3.01ms (before the disk "
	     "<1us, in it 3.00ms); data 90 %, journal 10 %.");
	says(vst_reasons_io(&flush), "I/O on v\\x1b: flush 2.0/s, p99 1.50ms (before the disk -, in it 1.50ms).");
}

/* --- lines of top --- */

/* Who waits is told beside its I/O on each of its disks; who only waits has a line, if it is worth one. */
static void test_frame_waits(void **state)
{
	static const struct blame in[] = {
		{ "a", "a", RWSEM, 90, NULL, NULL, NULL },
		{ "a", "b", "lock:rename_lock", 10, NULL, NULL, NULL },
		{ "a", "c", "device:vda", 500, "share", NULL, NULL },
		{ "b", "b", RWSEM, 2, NULL, NULL, NULL },
		{ "c", "b", RWSEM, 0.5, NULL, NULL, NULL },
	};
	struct vst_waits *w = WAITS(in);
	struct vst_frame *f = vst_alloc(sizeof(*f));

	for (int i = 0; i < 2; i++) {
		struct vst_line *l = vst_frame_line(f);

		l->container = "a";
		l->cgroup = "a";
		l->device = i ? "vdb" : "vda";
	}
	vst_frame_add_waits(f, w);
	assert_int_equal(f->nlines, 3); /* c waits for less than a millisecond in a second */
	for (int i = 0; i < 2; i++) {
		near(f->lines[i].wait, 100e3); /* locks alone: the disk's is in its own columns */
		assert_string_equal(f->lines[i].lock, "ext4_inode_info.vfs_inode.i_rwsem");
		assert_string_equal(f->lines[i].holder, "c"); /* not itself, if there is another one */
	}
	assert_string_equal(f->lines[2].container, "b");
	assert_string_equal(f->lines[2].holder, "self");
	near(f->lines[2].wait, 2e3);
	vst_frame_free(f);
	vst_waits_free(w);
}

static void test_frame_blame(void **state)
{
	static const struct blame in[] = {
		{ "a", "b", RWSEM, 30, NULL, NULL, NULL },
		{ "a", "b", "device:vda", 60, "share", NULL, NULL },
		{ "a", "a", RWSEM, 10, NULL, NULL, NULL },
		{ "c", "b", RWSEM, 15, NULL, NULL, NULL },
	};
	struct vst_waits *w = WAITS(in);
	const struct vst_sample sample = { .blame = w, .locks = w };
	struct vst_frame *f = vst_alloc(sizeof(*f));

	vst_frame_blame(f, &sample);
	assert_int_equal(f->nlines, 4);
	assert_string_equal(f->lines[1].resource, "device:vda");
	near(f->lines[1].share, 60);
	near(f->lines[3].share, 100);
	assert_int_equal(f->ntotals, 1); /* who makes nobody else wait is not among them */
	assert_string_equal(f->totals[0].holder, "b");
	assert_string_equal(f->totals[0].container, "a");
	near(f->totals[0].wait, 105e3);
	near(f->totals[0].parties, 2);
	vst_frame_free(f);
	f = vst_alloc(sizeof(*f));
	vst_frame_locks(f, &sample);
	assert_string_equal(f->totals[0].resource, "device:vda");
	assert_string_equal(f->totals[1].resource, RWSEM);
	near(f->totals[1].wait, 55e3);
	near(f->totals[1].parties, 2);
	assert_string_equal(f->lines[2].holder, "b");
	vst_frame_free(f);
	vst_waits_free(w);
}

/* --- who is meant --- */

static void means(const char *typed, const char *want)
{
#define KNOWN(n, c, i, r) { .name = n, .cgroup = c, .id = i, .running = r }
	static const struct vst_known list[] = {
		KNOWN("prod/mysql-0/mysqld", "/p/1", "aaaaaa11", true),
		KNOWN("prod/mysql-1/mysqld", "/p/2", "aaaaaa22", true),
		KNOWN("mysql.service", "/system.slice/mysql.service", "", true),
		KNOWN("old", "/o", "", false),
		KNOWN("host", "/", "", true),
		KNOWN("older", "/r", "", true),
		{ .name = "job",
		  .cgroup = "/slurm/job_101/task_0",
		  .id = "",
		  .running = true,
		  .label = "job (task_0)" },
	};
	const size_t n_list = sizeof(list) / sizeof(list[0]);
	size_t found[7], n = vst_whom_find(list, n_list, typed, found);
	char got[8] = "";

	for (size_t i = 0; i < n; i++)
		got[i] = (char)('0' + found[i]);
	assert_string_equal(got, want);
}

static void test_whom(void **state)
{
	means("prod/mysql-0/mysqld", "0");
	means("mysqld", "01");
	means("mysql-1", "1");
	means("MYSQL.service", "2");
	means("mysql", "012");
	means("mysq", "012");
	means("/p/2", "1");
	means("/", "4"); /* the path as a whole, not the names with a slash */
	means("aaaaaa", "01");
	means("aaaaaa2", "1");
	means("old", "3"); /* as a whole, though it has ended and another one is like it */
	means("ol", "5");
	means("nobody", "");
	means("", "");
	means("job (task_0)", "6");
	means("job_101", "6"); /* in the path alone */
	means("/slurm", "");
	means("lurm", ""); /* no word of a path */
}

static void test_whom_above(void **state)
{
	static const struct vst_known list[] = {
		KNOWN("host", "/", "", true),
		KNOWN("a", "/x/a", "", true),
		KNOWN("b", "/x/a/b", "", true),
		KNOWN("kernel", "", "", true),
	};

	assert_int_equal(vst_whom_above(list, 4, "/x/a/b/c/d"), 2);
	assert_int_equal(vst_whom_above(list, 4, "/x/a/bc"), 1);
	assert_int_equal(vst_whom_above(list, 4, "/y"), 4);
}

/* --- names --- */

static void labelled(struct vst_who_labels *l, const char *name, const char *cgroup, const char *want)
{
	assert_string_equal(vst_who_labels_find(l, &(struct vst_who){ name, cgroup }), want);
}

#define ID64(digit) digit "234567890abc" digit "23456789012345678901234567890123456789012345678901"

static void test_labels(void **state)
{
	static const struct vst_who all[] = {
		{ "web", "/docker/" ID64("1") },
		{ "web", "/docker/" ID64("2") },
		{ "web", "/docker/" ID64("2") }, /* the same one again */
		{ "db", "/system.slice/docker-" ID64("1") ".scope" },
		{ "task", "/slurm/job_101/step_0/task_0" },
		{ "task", "/slurm/job_102/step_0/task_0" },
		{ "kernel", "" },
		{ "kernel", "/docker/x" },
		{ "host", "/" },
		{ "[kernel]", "/evil" },
		{ "unattributed", "" },
	};
	struct vst_who_labels *l = vst_who_labels_new();

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		vst_who_labels_add(l, &all[i]);
	labelled(l, "web", all[0].cgroup, "web (1234567890ab)");
	labelled(l, "web", all[1].cgroup, "web (2234567890ab)");
	labelled(l, "db", all[3].cgroup, "db");
	labelled(l, "task", all[4].cgroup, "task (job_101/step_0/task_0)");
	labelled(l, "task", all[5].cgroup, "task (job_102/step_0/task_0)");
	labelled(l, "kernel", "", "[kernel]");
	labelled(l, "kernel", "/docker/x", "kernel");
	labelled(l, "host", "/", "[host]");
	labelled(l, "[kernel]", "/evil", "\\x5bkernel]");
	labelled(l, "unattributed", "", "[unattributed]");
	labelled(l, "never added", "/z", "never added");
	vst_who_labels_add(l, &(struct vst_who){ "db", "/other/db" }); /* two of them from now on */
	labelled(l, "db", "/other/db", "db (db)");
	labelled(l, "db", all[3].cgroup, "db (1234567890ab)");
	vst_who_labels_free(l);
}

/* --- what is under way --- */

static struct vst_waits *underway_waits(void)
{
	static const struct blame in[] = {
		{ "x", "y", RWSEM, 10, "owner", "/data/x (inode 12 on vda1)", NULL },
		{ "x", "x", RWSEM, 20, "owner", NULL, NULL },
		{ "x", "unattributed", "freeze:loop4", 25, "none", "file system on loop4", NULL },
		{ "x", "unattributed", "fsync:loop4", 40, "none", NULL, NULL },
		{ "z", "unattributed", "device:vda", 40, "none", NULL, NULL },
		{ "z", "unattributed", "invented:later", 40, "none", NULL, NULL },
		{ "idle", "y", RWSEM, 10, "owner", NULL, NULL },
	};
	static const struct vst_open open[] = {
		{ 1, 10e6, 10e6 }, { 1, 1e6, 1e6 }, { 2, 11e6, 22e6 },
		{ 2, 12e6, 24e6 }, { 1, 3e6, 3e6 }, { 1, 2e6, 2e6 },
	};
	struct vst_waits *w = WAITS(in);

	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		w->list[i].open = open[i];
	return w;
}

static struct vst_rows *empty_rows(void)
{
	struct vst_rows *rows = vst_rows_new();
	enum vst_commit_result what;
	json_t *head = json_pack("{ss,ss,si,sf,sf}", "type", "snapshot", "instance", "x", "seq", 1, "time", 1.0,
				 "uptime", 1.0);

	vst_rows_begin(rows);
	assert_int_equal(vst_rows_line(rows, head), 0);
	assert_int_equal(vst_rows_commit(rows, &what), 0);
	json_decref(head);
	return rows;
}

static void test_underway(void **state)
{
	static const char *const want[] = {
		"x has waited 11 s for the frozen file system of loop4: 2 tasks wait.",
		"x has waited 10 s on vfs_inode.i_rwsem of /data/x because of y: 2 tasks wait.",
		"z has waited 3 s for vda: 1 task waits.",
		"z has waited 2 s on invented:later: 1 task waits.",
		"x has waited 12 s in fsync on loop4: 2 tasks wait.", /* older, but it is not the reason */
	};
	const struct vst_who x = { "x", "x" }, idle = { "idle", "idle" };
	struct vst_waits *w = underway_waits();
	struct vst_who_labels *labels = labels_of(w);
	struct vst_rows *rows = empty_rows();
	struct vst_underway *u = vst_underway_new(rows, NULL, w);
	struct vst_reasons_from from = { .blame = w, .underway = u, .labels = labels };
	struct vst_reasons *r = vst_reasons_new(&from, &x);

	assert_int_equal(u->n, 5);
	for (size_t i = 0; i < u->n; i++)
		says(vst_pending_sentence(&u->list[i], labels, false), want[i]);
	assert_true(u->list[4].contains);
	for (size_t i = 0; i < 3; i++)
		says(vst_reasons_pending(r, i), want[i < 2 ? i : 4]);
	says(vst_reasons_pending(r, 3), NULL);
	/* an fsync contains the other waits, so it is told apart from their sum */
	says(vst_reasons_waits(r),
	     "x waited 55 ms/s: 30 on vfs_inode.i_rwsem of /data/x (67 % [self], 33 % y), 25 on the "
	     "frozen file system of loop4 (nobody known).");
	says(vst_reasons_containing(r, 0), "It was in fsync on loop4 for 40 ms/s; other waits can be a part of that.");
	vst_reasons_free(r);
	/* never "waited for nothing" while it waits */
	for (size_t i = 0; i < w->n; i++)
		w->list[i].us = 0;
	r = vst_reasons_new(&from, &x);
	says(vst_reasons_waits(r), NULL);
	vst_reasons_free(r);
	r = vst_reasons_new(&from, &idle);
	says(vst_reasons_waits(r), "idle waited for nothing that vstor watches.");
	says(vst_reasons_pending(r, 0), NULL);
	vst_reasons_free(r);
	vst_underway_free(u);
	/* told twice, as a wait and as a pair, it is one */
	u = vst_underway_new(rows, w, w);
	assert_int_equal(u->n, 5);
	vst_underway_free(u);
	vst_rows_free(rows);
	vst_who_labels_free(labels);
	vst_waits_free(w);
}

/* A wait that nobody is blamed for is shown all the same; what contains others is not. */
static void test_complete(void **state)
{
	static const struct blame pairs[] = { { "a", "b", RWSEM, 10, NULL, NULL, NULL } };
	static const struct blame told[] = {
		{ "a", "", RWSEM, 10, "", NULL, NULL },
		{ "a", "", "freeze:vda1", 70, "", NULL, NULL },
		{ "a", "", "fsync:vda1", 80, "", NULL, NULL },
	};
	struct vst_waits *blame = WAITS(pairs), *waits = WAITS(told), *all;

	all = vst_waits_complete(blame, waits);
	assert_int_equal(all->n, 2);
	assert_string_equal(all->list[0].name, "vda1");
	assert_string_equal(all->list[0].holder, "unattributed");
	assert_string_equal(all->list[0].evidence, "none");
	assert_string_equal(all->list[1].holder, "b");
	vst_waits_free(all);
	all = vst_waits_complete(blame, NULL);
	assert_int_equal(all->n, 1);
	vst_waits_free(all);
	vst_waits_free(blame);
	vst_waits_free(waits);
}

static void test_limit(void **state)
{
	const struct vst_who x = { "x", "/x" };
	struct vst_waits *w = waits_of(NULL, 0);
	struct vst_reasons *r = reasons_of(w, &x);
	json_t *limit = json_pack("{ss,ss,ss}", "cgroup", "/x", "attribute", "io.max", "value", "8:0 riops=5");

	says(vst_reasons_limit(r, limit),
	     "A limit is set: io.max 8:0 riops=5 on /x. vstor does not measure how long it holds x back.");
	json_decref(limit);
	reasons_end(r);
	vst_waits_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth),	       cmocka_unit_test(test_growth_bad),
		cmocka_unit_test(test_sentence),       cmocka_unit_test(test_total),
		cmocka_unit_test(test_sentence_words), cmocka_unit_test(test_same_name),
		cmocka_unit_test(test_remarks),	       cmocka_unit_test(test_objects_are_where_they_are_mounted),
		cmocka_unit_test(test_io_sentence),    cmocka_unit_test(test_frame_waits),
		cmocka_unit_test(test_frame_blame),    cmocka_unit_test(test_whom),
		cmocka_unit_test(test_whom_above),     cmocka_unit_test(test_labels),
		cmocka_unit_test(test_underway),       cmocka_unit_test(test_complete),
		cmocka_unit_test(test_limit),
	};

	setlocale(LC_ALL, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
