/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/waits/lock_names.c agent/waits/lock_objects.c agent/waits/lock_open.c agent/waits/lock_stale.c agent/base/log.c agent/io/sparse.c agent/waits/wait_rows.c agent/snapshot.c agent/base/places.c agent/base/caps.c -lbpf -lcap */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>

#include <bpf/bpf.h>

/* --- a kernel in memory --- */

static struct vst_lock_class *classes;
static struct vst_lock_hist *hists;

enum { CLASSES_FD = 100, HISTS_FD };

static int fake_lookup(int fd, const void *key, void *value);
static int fake_update(int fd, const void *key, const void *value, __u64 flags);

#include "agent/waits/lock_open.h"
#include "agent/waits/lock_stale.h"

static __s64 switches; /* of any thread */

__s64 vst_lock_switches(struct vst_lock_suspects *s, __u32 pid)
{
	return switches;
}

static void (*after_counters)(void); /* what happens when the agent has read the counters, but not yet what goes on */

static bool stay_after(struct vst_lock_open_wait *waits, size_t *n)
{
	if (after_counters)
		after_counters();
	return vst_lock_open_stay(waits, n);
}

#define vst_lock_open_stay stay_after
#define bpf_map_lookup_elem fake_lookup
#define bpf_map_update_elem fake_update
#include "agent/waits/lock_naming.c"
#include "agent/waits/locks.c"
#include "agent/waits/locks_waiting.c"
#undef bpf_map_lookup_elem
#undef bpf_map_update_elem

static struct vst_maps maps;
static struct vst_lock_open *open_waits; /* what the probe has under way */
static bool watched;
static struct vst_wait_rows wait_rows;
static struct vst_container containers[4] = { { .display = "none" }, { .display = "one" }, { .display = "two" } };
static __u64 gone; /* this one's cgroup was removed */

static int fake_lookup(int fd, const void *key, void *value)
{
	__u32 i = *(const __u32 *)key;

	if (fd == CLASSES_FD)
		memcpy(value, &classes[i], sizeof(classes[i]));
	else
		memcpy(value, &hists[i], sizeof(hists[i]));
	return 0;
}

static int fake_update(int fd, const void *key, const void *value, __u64 flags)
{
	assert_int_equal(fd, HISTS_FD);
	memcpy(&hists[*(const __u32 *)key], value, sizeof(*hists));
	return 0;
}

const struct vst_maps *vst_probes_maps(const struct vst_probes *p)
{
	return &maps;
}

struct vst_container *vst_owners_of(struct vst_owners *o, const struct vst_key *key, double now)
{
	return &containers[key->owner];
}

bool vst_owners_gone(struct vst_owners *o, const struct vst_key *key, double before)
{
	return key->owner == gone;
}

bool vst_probes_watch_locks(const struct vst_probes *p)
{
	return watched;
}

void vst_probes_look_lock(const struct vst_probes *p, __u64 lock, __u32 class)
{
}

const struct vst_lock_open *vst_lock_maps_waits(const struct vst_lock_maps *m)
{
	return open_waits;
}

void vst_lock_maps_waits_end(const struct vst_lock_open *open)
{
	assert_ptr_equal(open, open_waits);
}

#define OWNER(n) ((__u64)(n) << 2)
#define WHAT(cpu) VST_LOCK_WHAT(9, VST_LOCK_RWSEM, (cpu) << 2)
#define PAIR_WHAT(cpu) (WHAT(cpu) | VST_LOCK_EVIDENCE_OWNER)

static int set_up(void **state)
{
	struct vst_lock_maps *m = &maps.lock;
	struct vst_locks *l;

	classes = calloc(VST_LOCK_CLASSES, sizeof(*classes));
	hists = calloc(VST_LOCK_ROWS, sizeof(*hists));
	m->ctags = calloc(VST_LOCK_CLASSES, sizeof(*m->ctags));
	m->rtags = calloc(VST_LOCK_ROWS, sizeof(*m->rtags));
	m->rows = calloc(VST_LOCK_ROWS, sizeof(*m->rows));
	m->ptags = calloc(VST_LOCK_PAIRS, sizeof(*m->ptags));
	m->pairs = calloc(VST_LOCK_PAIRS, sizeof(*m->pairs));
	m->routes = calloc(VST_LOCK_CLASSES, sizeof(*m->routes));
	m->objects = calloc(1 << VST_LOCK_OBJECT_BITS, sizeof(*m->objects));
	m->stacks = calloc(1 << VST_LOCK_STACK_BITS, sizeof(*m->stacks));
	open_waits = calloc(1, sizeof(*open_waits));
	m->open_tags = open_waits->tag[0];
	watched = true;
	after_counters = NULL;
	switches = 0;
	m->state = calloc(1, sizeof(*m->state));
	m->classes_fd = CLASSES_FD;
	m->hists_fd = HISTS_FD;
	classes[9] = (struct vst_lock_class){ .kind = VST_LOCK_KIND_STATIC, .name = "namespace_sem" };
	gone = 0;
	assert_int_equal(vst_locks_new(&wait_rows, &l), 0);
	*state = l;
	return 0;
}

static int tear_down(void **state)
{
	struct vst_lock_maps *m = &maps.lock;

	vst_locks_free(*state);
	vst_wait_rows_free(&wait_rows);
	for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++)
		assert_int_equal(containers[i].rows, 0);
	free(classes);
	free(hists);
	free(m->ctags);
	free(m->rtags);
	free(m->rows);
	free(m->ptags);
	free(m->pairs);
	free(m->routes);
	free(m->objects);
	free(m->stacks);
	free(open_waits);
	free(m->state);
	m->state = NULL;
	return 0;
}

/* What the probe does at the end of a wait. */
static void waited(__u32 place, int owner, int cpu, __u64 ns)
{
	struct vst_lock_maps *m = &maps.lock;

	m->rtags[place] = VST_LOCK_TAKEN | 64;
	m->rows[place].owner = OWNER(owner);
	m->rows[place].what = WHAT(cpu);
	m->rows[place].waits++;
	m->rows[place].total_ns += ns;
	m->rows[place].max_ns = ns > m->rows[place].max_ns ? ns : m->rows[place].max_ns;
	hists[place].n[5]++;
}

static void blamed(__u32 place, int waiter, int holder, int cpu, __u64 ns)
{
	struct vst_lock_maps *m = &maps.lock;

	m->ptags[place] = VST_LOCK_TAKEN | 64;
	m->pairs[place].waiter = OWNER(waiter);
	m->pairs[place].holder = OWNER(holder);
	m->pairs[place].what = PAIR_WHAT(cpu);
	m->pairs[place].waits++;
	m->pairs[place].ns += ns;
}

static void collect(struct vst_locks *l, double now)
{
	assert_int_equal(vst_locks_collect(l, NULL, NULL, now), 0);
	vst_lock_naming_begin(vst_locks_naming(l), &maps.lock);
	vst_lock_naming_take(vst_locks_naming(l), &maps.lock);
	while (vst_wait_rows_changed(&wait_rows)) /* they are in a snapshot */
		;
}

/* --- tests --- */

#define SECOND 1000000000ULL

/* A wait that began at some second and goes on, in the n-th place. */
static struct vst_lock_wait *waits(__u32 n, int owner, double since)
{
	struct vst_lock_wait *w = &open_waits->wait[0][n];

	open_waits->tag[0][n] = 77;
	*w = (struct vst_lock_wait){ .lock = 0x1000,
				     .start_ns = (__u64)(since * 1e9),
				     .since_ns = (__u64)(since * 1e9),
				     .waiter = OWNER(owner),
				     .holder = OWNER(2),
				     .what = WHAT(0),
				     .evidence = VST_LOCK_EVIDENCE_OWNER,
				     .state = VST_LOCK_WAIT_IS,
				     .pid = 4711 };
	return w;
}

static double ends_at;

/* The wait in the first place ends, as the probe does it. */
static void first_ends(void)
{
	struct vst_lock_wait *w = &open_waits->wait[0][0];
	__u64 ns = (__u64)(ends_at * 1e9) - w->start_ns;

	if (w->state != VST_LOCK_WAIT_IS)
		return;
	w->state = VST_LOCK_WAIT_CHANGES;
	waited(3, 1, 0, ns);
	blamed(8, 1, 2, 0, ns);
	w->state = VST_LOCK_WAIT_FREE;
	open_waits->tag[0][0] = 0;
}

static void test_a_wait_is_charged_as_it_passes(void **state)
{
	struct vst_locks *l = *state;
	const struct vst_lock_blame *b;
	const struct vst_lock_row *row;

	waits(0, 1, 10);
	collect(l, 11);
	row = vst_locks_rows(l);
	b = vst_locks_blames(l);
	assert_int_equal(l->n_all_rows, 1); /* although nothing has ended yet */
	assert_ptr_equal(row->row.waiter, &containers[1]);
	assert_int_equal(row->row.value->total_ns, SECOND);
	assert_int_equal(row->row.value->waiting, 1);
	assert_int_equal(row->row.value->oldest_ns, 10 * SECOND);
	assert_int_equal(row->row.value->waits, 0);
	assert_ptr_equal(b->row.holder, &containers[2]);
	assert_int_equal(b->row.value->total_ns, SECOND);
	assert_int_equal(b->row.value->waiting, 1);
	waits(1, 1, 11.5); /* another thread of the same container */
	collect(l, 12);
	assert_int_equal(row->row.value->total_ns, 2.5 * SECOND);
	assert_int_equal(row->row.value->waiting, 2);
	assert_int_equal(row->row.value->oldest_ns, 10 * SECOND);
	ends_at = 12.25;
	first_ends();
	collect(l, 13);
	assert_int_equal(row->row.value->waits, 1);
	assert_int_equal(row->row.value->waiting, 1);
	assert_int_equal(row->row.value->total_ns, 3.75 * SECOND); /* 2.25 that ended, 1.5 that goes on */
	assert_int_equal(b->row.value->total_ns, 3.75 * SECOND);
	assert_int_equal(row->row.value->oldest_ns, 11.5 * SECOND);
}

/* However the readings fall together with its end, each interval has what passed in it. */
static void test_a_wait_that_ends_while_it_is_read_counts_once(void **state)
{
	struct vst_locks *l = *state;
	const struct vst_lock_row *row;

	waits(0, 1, 10);
	waits(1, 1, 10);
	collect(l, 15);
	row = vst_locks_rows(l);
	assert_int_equal(row->row.value->total_ns, 10 * SECOND);
	after_counters = first_ends;
	ends_at = 16;
	collect(l, 16);
	assert_int_equal(row->row.value->total_ns, 12 * SECOND);
	assert_int_equal(row->row.value->waiting, 1);
	assert_int_equal(vst_locks_blames(l)->row.value->total_ns, 12 * SECOND);
	collect(l, 17);
	assert_int_equal(row->row.value->total_ns, 13 * SECOND);
	assert_int_equal(vst_locks_blames(l)->row.value->total_ns, 13 * SECOND);
}

/* What the probe settles while the wait goes on (a mutex that was woken for nothing) is charged once. */
static void test_what_is_settled_meanwhile_is_not_charged_again(void **state)
{
	struct vst_lock_wait *w = waits(0, 1, 10);
	struct vst_locks *l = *state;

	collect(l, 12);
	blamed(8, 1, 2, 0, 2.5 * SECOND);
	w->since_ns = 12.5 * SECOND;
	collect(l, 13);
	assert_int_equal(vst_locks_rows(l)->row.value->total_ns, 3 * SECOND);
	assert_int_equal(vst_locks_blames(l)->row.value->total_ns, 3 * SECOND);
}

static void test_a_wait_that_is_given_up_stays_charged(void **state)
{
	struct vst_locks *l = *state;
	const struct vst_lock_row *row;

	waits(0, 1, 10);
	collect(l, 12);
	row = vst_locks_rows(l);
	watched = false; /* its end will not be seen */
	collect(l, 13);
	assert_int_equal(row->row.value->total_ns, 2 * SECOND);
	assert_int_equal(row->row.value->waiting, 0);
	memset(open_waits, 0, sizeof(*open_waits));
	watched = true;
	waits(0, 1, 20);
	collect(l, 21);
	assert_int_equal(row->row.value->total_ns, 3 * SECOND);
	ends_at = 22;
	first_ends();
	collect(l, 23);
	assert_int_equal(row->row.value->total_ns, 4 * SECOND);
}

/* The probe was not shown the end of a wait: its thread is gone, or goes on. */
static void test_who_cannot_be_waiting_is_forgotten(void **state)
{
	struct vst_locks *l = *state;
	const struct vst_lock_row *row;

	waits(0, 1, 10);
	switches = 100;
	collect(l, 13);
	row = vst_locks_rows(l);
	switches = 110; /* woken for nothing */
	collect(l, 14);
	assert_int_equal(row->row.value->waiting, 1);
	switches = 1000;
	collect(l, 15);
	assert_int_equal(row->row.value->waiting, 0);
	assert_int_equal(row->row.value->total_ns, 4 * SECOND);
	assert_int_equal(open_waits->tag[0][0], 0);
	assert_int_equal(maps.lock.state->lost[VST_LOCK_LOSS_NO_END].waits, 1);
	waits(0, 1, 20);
	switches = -2; /* it cannot be known: the table is believed */
	collect(l, 60);
	assert_int_equal(row->row.value->waiting, 1);
	switches = -1;
	collect(l, 61);
	assert_int_equal(row->row.value->waiting, 0);
}

/* Just begun, in the future, or changing at this moment. */
static void test_what_has_hardly_begun_is_left_to_its_end(void **state)
{
	struct vst_locks *l = *state;

	waits(0, 1, 9.9999);
	waits(1, 1, 11);
	waits(2, 1, 5)->state = VST_LOCK_WAIT_CHANGES;
	waits(3, 1, 5)->state = VST_LOCK_WAIT_FREE;
	collect(l, 10);
	assert_null(vst_locks_rows(l));
	assert_null(vst_locks_blames(l));
}

/* The lock changed hands while somebody waited: each holder has its part, as at the end of the wait. */
static void test_turns_divide_what_goes_on(void **state)
{
	struct vst_locks *l = *state;
	struct vst_lock_turns *t = open_waits->turns;
	const struct vst_lock_blame *b;
	__u64 of[4] = { 0 };

	waits(0, 1, 10)->evidence = VST_LOCK_EVIDENCE_NONE;
	t += vst_lock_hash(0x1000) >> (64 - VST_LOCK_TURNS_BITS) & ~(VST_LOCK_TURNS_WAYS - 1ULL);
	t[1] = (struct vst_lock_turns){ .lock = 0x1000,
					.ns = 14 * SECOND,
					.owner = OWNER(3),
					.last = { 12 * SECOND, OWNER(1) },
					.first = 5,
					.next = 7,
					.before[(7 - 1) % VST_LOCK_TURNS] = { 9 * SECOND, OWNER(2) } };
	collect(l, 15);
	for (b = vst_locks_blames(l); b; b = b->next)
		of[b->key.holder >> 2] += b->row.value->total_ns;
	assert_int_equal(of[2], 2 * SECOND);
	assert_int_equal(of[1], 2 * SECOND);
	assert_int_equal(of[3], 1 * SECOND);
}

/* The lock stands for its file system, and nobody looks for a name of the lock. */
static void test_a_frozen_file_system_is_told(void **state)
{
	struct vst_locks *l = *state;
	const struct vst_snap_wait *v;

	classes[9] = (struct vst_lock_class){ .kind = VST_LOCK_KIND_FREEZE, .a = 7 << 20 | 4, .name = "loop4" };
	waits(0, 1, 10)->what = VST_LOCK_WHAT(9, VST_LOCK_PERCPU_RWSEM, 0);
	collect(l, 11);
	collect(l, 12);
	v = vst_locks_rows(l)->row.value;
	assert_int_equal(v->type, VST_WAIT_FREEZE);
	assert_string_equal(v->name, "loop4");
	assert_int_equal(v->dev, 7 << 20 | 4);
	assert_int_equal(v->total_ns, 2 * SECOND);
	assert_int_equal(vst_locks_blames(l)->row.value->type, VST_WAIT_FREEZE);
	assert_string_equal(vst_locks_blames(l)->row.value->name, "loop4");
}

static void test_cpus_are_added_up(void **state)
{
	struct vst_locks *l = *state;
	const struct vst_lock_row *row;
	const struct vst_lock_blame *b;

	waited(3, 1, 0, 1000);
	waited(70, 1, 1, 5000);
	waited(70, 1, 1, 2000);
	waited(4, 2, 0, 10);
	blamed(8, 1, 2, 0, 600);
	blamed(9, 1, 2, 1, 400);
	collect(l, 1);
	assert_int_equal(l->n_all_rows, 2);
	for (row = vst_locks_rows(l); row->row.waiter != &containers[1]; row = row->next)
		;
	assert_int_equal(row->row.value->waits, 3);
	assert_int_equal(row->row.value->total_ns, 8000);
	assert_int_equal(row->row.value->times.max_ns, 5000);
	assert_int_equal(row->row.value->times.hist.n, 1);
	assert_int_equal(row->row.value->times.hist.bucket[0].n, 3);
	assert_string_equal(row->row.value->name, "unknown");			    /* when it was read */
	assert_ptr_equal(l->rows->row.value->name, l->rows->next->row.value->name); /* the text is shared */
	b = vst_locks_blames(l);
	assert_int_equal(l->n_all_blames, 1);
	assert_int_equal(b->row.value->total_ns, 1000);
	assert_ptr_equal(b->row.waiter, &containers[1]);
	assert_ptr_equal(b->row.holder, &containers[2]);
	/* only what moved is read again, and a second reading adds nothing */
	collect(l, 2);
	assert_int_equal(b->row.value->total_ns, 1000);
	waited(3, 1, 0, 1000);
	collect(l, 3);
	assert_int_equal(row->row.value->waits, 4);
	assert_string_equal(row->row.value->name, "namespace_sem");
	assert_string_equal(b->row.value->name, "namespace_sem"); /* although nobody waited for its holder again */
	assert_int_equal(b->row.value->named_by, VST_LOCK_BY_SYMBOL);
}

/* Nothing is counted twice or forgotten when places go back and come again for another or the same row. */
static void test_places_are_taken_back(void **state)
{
	struct vst_locks *l = *state;
	struct vst_lock_maps *m = &maps.lock;
	const struct vst_lock_row *row;
	const struct vst_lock_blame *b;

	waited(3, 1, 0, 1000);
	waited(70, 1, 1, 1000);
	blamed(8, 1, 2, 0, 600);
	collect(l, 1);
	row = vst_locks_rows(l);
	b = vst_locks_blames(l);
	vst_locks_reclaim(l, NULL, NULL, 5);
	assert_true(m->rtags[3] & VST_LOCK_TAKEN); /* it lives */
	gone = 1;
	vst_locks_reclaim(l, NULL, NULL, 12);
	assert_int_equal(m->rtags[3], VST_LOCK_RETIRED);
	assert_int_equal(m->ptags[8], VST_LOCK_RETIRED);
	assert_int_equal(m->rows[3].what, VST_LOCK_RETIRED); /* and whoever remembers the place sees it there */
	assert_int_equal(m->pairs[8].what, VST_LOCK_RETIRED);
	/* a run of the probe that had found the place still counts there */
	m->rows[3].waits++;
	m->rows[3].total_ns += 500;
	hists[3].n[5]++;
	vst_locks_reclaim(l, NULL, NULL, 15);
	assert_int_equal(m->rtags[3], 0);
	assert_int_equal(m->rows[3].waits + hists[3].n[5] + m->pairs[8].ns, 0);
	assert_int_equal(row->row.value->waits, 3);
	assert_int_equal(row->row.value->total_ns, 2500);
	assert_int_equal(b->row.value->total_ns, 600);
	/* the place serves another, and the old row comes again somewhere else */
	waited(3, 2, 0, 7);
	waited(5, 1, 0, 1000);
	blamed(8, 2, 1, 0, 5);
	collect(l, 16);
	assert_int_equal(row->row.value->waits, 4);
	assert_int_equal(row->row.value->total_ns, 3500);
	assert_int_equal(row->row.value->times.hist.bucket[0].n, 4);
	assert_int_equal(b->row.value->total_ns, 600);
	assert_int_equal(l->n_all_rows, 2);
	assert_int_equal(l->n_all_blames, 2);
}

static void test_what_is_long_over_is_forgotten(void **state)
{
	struct vst_locks *l = *state;

	waited(3, 1, 0, 1000);
	blamed(8, 2, 1, 0, 600);
	collect(l, 1);
	gone = 1;
	vst_locks_reclaim(l, NULL, NULL, 12);
	vst_locks_reclaim(l, NULL, NULL, 15);
	assert_int_equal(l->n_all_rows, 1);
	vst_locks_reclaim(l, NULL, NULL, 2 + VST_KEEP_DEAD);
	assert_null(vst_locks_rows(l));
	assert_null(vst_locks_blames(l));
}

static struct vst_lock_object *object_at(__u64 lock)
{
	return &maps.lock.objects[vst_lock_hash(lock) >> (64 - VST_LOCK_OBJECT_BITS)];
}

/* The object of the longest wait since the tick before; names of files are anything. */
static void test_objects_are_told(void **state)
{
	struct vst_locks *l = *state;
	struct vst_lock_object *o = object_at(0xffff888000001000);
	const struct vst_lock_row *row;

	*o = (struct vst_lock_object){ .lock = 0xffff888000001000,
				       .kind = VST_LOCK_OBJECT_INODE,
				       .ino = 12,
				       .more = 1,
				       .device = "vda1",
				       .path = { "na\nme", "dir" } };
	waited(3, 1, 0, 1000);
	maps.lock.rows[3].object = 0xffff888000001000;
	maps.lock.rows[3].object_ns = 1000;
	waited(70, 1, 1, 500);
	maps.lock.rows[70].object = 0xffff888000002000;
	maps.lock.rows[70].object_ns = 500;
	collect(l, 1);
	row = vst_locks_rows(l);
	assert_string_equal(row->row.value->object, "…/dir/na\nme (inode 12 on vda1)");
	assert_int_equal(maps.lock.rows[3].object_ns + maps.lock.rows[70].object_ns, 0);
	/* a shorter wait of the next tick counts; what is being written does not */
	o->kind = VST_LOCK_OBJECT_SUPER;
	waited(3, 1, 0, 10);
	maps.lock.rows[3].object_ns = 10;
	o->busy = 1;
	collect(l, 2);
	assert_string_equal(row->row.value->object, "…/dir/na\nme (inode 12 on vda1)");
	o->busy = 0;
	waited(3, 1, 0, 10);
	maps.lock.rows[3].object_ns = 10;
	collect(l, 3);
	assert_string_equal(row->row.value->object, "file system on vda1");
}

static void test_object_texts(void **state)
{
	struct vst_lock_object *o = object_at(64);
	char text[VST_LOCK_OBJECT_TEXT];

	assert_false(vst_lock_object_text(maps.lock.objects, 64, text));
	*o = (struct vst_lock_object){ .lock = 64, .kind = VST_LOCK_OBJECT_INODE, .ino = 2, .device = "vda1" };
	assert_true(vst_lock_object_text(maps.lock.objects, 64, text));
	assert_string_equal(text, "inode 2 on vda1");
	o->path[0][0] = '/';
	assert_true(vst_lock_object_text(maps.lock.objects, 64, text));
	assert_string_equal(text, "/ (inode 2 on vda1)");
	o->kind = VST_LOCK_OBJECT_QUEUE;
	assert_true(vst_lock_object_text(maps.lock.objects, 64, text));
	assert_string_equal(text, "disk vda1");
	/* as long as it can be, and without an end */
	memset(o->path, 'x', sizeof(o->path));
	memset(o->device, 'y', sizeof(o->device));
	o->kind = VST_LOCK_OBJECT_INODE;
	o->more = 1;
	assert_true(vst_lock_object_text(maps.lock.objects, 64, text));
	assert_non_null(strstr(text, "x (inode 2 on yyy"));
	assert_int_equal(text[strlen(text) - 1], ')');
}

static void test_stacks_are_those_of_the_pair(void **state)
{
	struct vst_locks *l = *state;
	const struct vst_lock_blame *b;
	struct vst_lock_holder_stack *s;
	__u64 what = VST_LOCK_WHAT(9, VST_LOCK_RWSEM, 0);

	s = &maps.lock.stacks[vst_lock_mix(vst_lock_mix(OWNER(1), OWNER(2)), what) >> (64 - VST_LOCK_STACK_BITS)];
	*s = (struct vst_lock_holder_stack){ .waiter = OWNER(2), .holder = OWNER(1), .what = what, .n = 1 };
	blamed(8, 1, 2, 0, 600);
	collect(l, 1);
	b = vst_locks_blames(l);
	assert_int_equal(b->row.value->n_stack, 0);
	*s = (struct vst_lock_holder_stack){
		.waiter = OWNER(1), .holder = OWNER(2), .what = what, .n = 2, .frame = { "io_schedule", "f [ext4]" }
	};
	blamed(8, 1, 2, 0, 600);
	collect(l, 2);
	assert_int_equal(b->row.value->n_stack, 2);
	assert_string_equal(b->row.value->stack[1], "f [ext4]");
}

static bool look_is_over(struct vst_lock_naming *n, int timeout_ms)
{
	struct pollfd fd = { .fd = vst_lock_naming_fd(n), .events = POLLIN };

	return poll(&fd, 1, timeout_ms) == 1;
}

/* Whoever begins a look goes on; what is wanted meanwhile waits for the next one. */
static void test_names_are_found_beside(void **state)
{
	struct vst_locks *l = *state;
	struct vst_lock_naming *n = vst_locks_naming(l);
	const __u64 other = VST_LOCK_WHAT(10, VST_LOCK_MUTEX, 0), bare = VST_LOCK_WHAT(11, VST_LOCK_MUTEX, 0);

	waited(3, 1, 0, 1000);
	assert_int_equal(vst_locks_collect(l, NULL, NULL, 1), 0);
	vst_lock_naming_want(n, bare); /* the probe has not said yet what it is */
	vst_lock_naming_begin(n, &maps.lock);
	assert_true(look_is_over(n, -1));
	assert_string_equal(vst_lock_naming_get(n, WHAT(0))->name, "unknown");
	classes[10] = (struct vst_lock_class){ .kind = VST_LOCK_KIND_STATIC, .name = "other" };
	classes[11] = (struct vst_lock_class){ .kind = VST_LOCK_KIND_STATIC, .name = "bare" };
	vst_lock_naming_want(n, other);
	vst_lock_naming_begin(n, &maps.lock);
	vst_lock_naming_take(n, &maps.lock);
	assert_string_equal(vst_lock_naming_get(n, WHAT(0))->name, "namespace_sem");
	assert_string_equal(vst_lock_naming_get(n, other)->name, "unknown");
	assert_false(look_is_over(n, 0));
	vst_lock_naming_want(n, bare);
	vst_lock_naming_begin(n, &maps.lock);
	assert_true(look_is_over(n, -1));
	vst_lock_naming_take(n, &maps.lock);
	assert_string_equal(vst_lock_naming_get(n, other)->name, "other");
	assert_string_equal(vst_lock_naming_get(n, bare)->name, "bare");
	/* nothing is wanted that has the best name already; one that is not taken is given back at the end */
	vst_lock_naming_want(n, other);
	vst_lock_naming_begin(n, &maps.lock);
	assert_false(look_is_over(n, 0));
	vst_lock_naming_want(n, VST_LOCK_WHAT(9, VST_LOCK_MUTEX, 0));
	vst_lock_naming_begin(n, &maps.lock);
}

/* A table that is half full gives up what did nothing for a minute, alive or not. */
static void test_idle_rows_make_room(void **state)
{
	struct vst_locks *l = *state;
	struct vst_lock_maps *m = &maps.lock;
	__u32 i;

	for (i = 0; i <= VST_LOCK_ROWS / 2; i++)
		waited(i, 1, (int)i, 1);
	collect(l, 1);
	vst_locks_reclaim(l, NULL, NULL, 30);
	assert_true(m->rtags[0] & VST_LOCK_TAKEN);
	vst_locks_reclaim(l, NULL, NULL, 62);
	assert_int_equal(m->rtags[0], VST_LOCK_RETIRED);
	vst_locks_reclaim(l, NULL, NULL, 65);
	assert_int_equal(m->rtags[0], 0);
	assert_int_equal(vst_locks_rows(l)->row.value->waits, VST_LOCK_ROWS / 2 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cpus_are_added_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_places_are_taken_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_long_over_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_wait_is_charged_as_it_passes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_wait_that_ends_while_it_is_read_counts_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_settled_meanwhile_is_not_charged_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_wait_that_is_given_up_stays_charged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_cannot_be_waiting_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_has_hardly_begun_is_left_to_its_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_turns_divide_what_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_frozen_file_system_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_objects_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_object_texts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stacks_are_those_of_the_pair, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_are_found_beside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_idle_rows_make_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
