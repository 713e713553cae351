// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/caps.h"
#include "agent/base/hash.h"
#include "agent/base/log.h"
#include "agent/snapshot.h"
#include "agent/who/labels.h"
#include "agent/who/limits.h"
#include "agent/who/lookups.h"

#define ACCOUNTS_MAX 1024 /* of users; more share VST_ACCOUNT_REST */
#define WAITING_MAX 1024  /* lookups of one user's account; a podman that starts containers has a few */
#define SYSTEM_MAX 65536  /* of the system's: more than there are containers */
#define ANSWERS_MAX 256	  /* not taken yet: the threads wait then, so that memory is bounded */
#define HANGS_AFTER 2	  /* seconds that the end waits for a thread */
#define FORGET_AFTER 10.0 /* seconds after which an account without debt needs no memory */
#define USERS_PRIORITY 0  /* nice: names of the system's containers are more urgent */

/*
 * What may be spent. Measured: a name takes 20 to 50 us and some KiB; 15 MiB of somebody's file take 10 ms. A user who starts
 * 30 containers a second with 100 KiB in podman's list needs 6 MiB and 5 ms a second.
 */
static const struct vst_account_rate user_rate = { 16 << 20, 32 << 20, 0.05, 0.2 };
static const struct vst_account_rate users_rate = { 64 << 20, 128 << 20, 0.2, 0.5 }; /* all users together */
static const struct vst_account_rate system_rate = { 512 << 20, 1024 << 20, 0.5, 2 };

struct queue {
	__u64 id;
	struct vst_account account;
	struct vst_lookup *first, **last;
	size_t n;
	UT_hash_handle hh;
};

enum lane_id { LANE_SYSTEM, LANE_USERS, LANE__N };

/* A thread and the accounts that it serves in turn. */
struct lane {
	struct vst_lookups *l;
	enum lane_id id;
	pthread_t thread;
	bool started;
	pthread_cond_t wake;
	struct queue *queues;	    /* by account */
	struct queue *turn;	    /* the one to begin with; NULL: the first */
	struct vst_account account; /* of all of them together */
	struct vst_runtime *runtime;
};

struct vst_lookups {
	pthread_mutex_t lock;
	pthread_cond_t taken;
	struct lane lane[LANE__N];
	struct vst_lookup *answers, **last_answer;
	size_t n_answers;
	size_t waiting[LANE__N]; /* asked, not taken */
	__u64 refused;
	char mount[VST_HIER__N][256];
	int fd;
	bool stop;
};

/* --- accounts --- */

static double least(double a, double b)
{
	return a < b ? a : b;
}

void vst_account_fill(struct vst_account *a, const struct vst_account_rate *rate, double now)
{
	double passed = now > a->at ? now - a->at : 0;

	if (a->at <= 0) { /* new */
		a->bytes = rate->bytes_max;
		a->seconds = rate->seconds_max;
	}
	a->bytes = least(a->bytes + rate->bytes * passed, rate->bytes_max);
	a->seconds = least(a->seconds + rate->seconds * passed, rate->seconds_max);
	a->at = now;
}

void vst_account_pay(struct vst_account *a, double bytes, double seconds)
{
	a->bytes -= bytes;
	a->seconds -= seconds;
}

double vst_account_wait(const struct vst_account *a, const struct vst_account_rate *rate)
{
	double bytes = a->bytes < 0 ? -a->bytes / rate->bytes : 0;
	double seconds = a->seconds < 0 ? -a->seconds / rate->seconds : 0;

	return bytes > seconds ? bytes : seconds;
}

/* --- lookups --- */

struct vst_lookup *vst_lookup_new(enum vst_lookup_type type, __u64 account, const char *path)
{
	struct vst_lookup *lookup = calloc(1, sizeof(*lookup));

	if (!lookup)
		return NULL;
	lookup->type = type;
	lookup->account = account;
	lookup->path = strdup(path);
	if (!lookup->path) {
		free(lookup);
		return NULL;
	}
	return lookup;
}

void vst_lookup_free(struct vst_lookup *lookup)
{
	if (!lookup)
		return;
	vst_labels_free(lookup->labels, lookup->n_labels);
	vst_limits_free(lookup->limits, lookup->n_limits);
	free(lookup->names);
	free(lookup->path);
	free(lookup->file);
	free(lookup);
}

static void names_answer(struct vst_runtime *rt, struct vst_lookup *k)
{
	struct vst_cgpath cg;

	if (k->file && k->stamp && vst_runtime_stamp(rt, k->file) == k->stamp) {
		k->err = -EALREADY;
		return;
	}
	k->err = vst_cgpath_parse(k->path, &cg);
	k->names = k->err ? NULL : calloc(1, sizeof(*k->names));
	if (!k->names) {
		k->err = k->err ?: -ENOMEM;
		return;
	}
	vst_names_from_path(&cg, k->names);
	/* whoever made the cgroup gave it its name: the host's files are not asked about what is a user's */
	if (cg.uid < 0 && k->maker > 0 && !cg.outer_len)
		cg.uid = k->maker;
	k->err = vst_runtime_lookup(rt, &cg, k->names);
	if (k->err)
		return;
	free(k->file);
	k->file = vst_runtime_take_file(rt, &k->stamp);
	if (!cg.outer_len) /* else they are those of the container around it */
		k->labels = vst_runtime_take_labels(rt, &k->n_labels);
}

static void answer(struct lane *lane, struct vst_lookup *k, size_t *ret_bytes)
{
	const char *mounts[VST_HIER__N];

	if (k->type == VST_LOOKUP_NAMES) {
		if (lane->runtime)
			names_answer(lane->runtime, k);
		else
			k->err = -ENOENT;
		*ret_bytes = lane->runtime ? vst_runtime_bytes(lane->runtime) : 0;
		return;
	}
	for (int i = 0; i < VST_HIER__N; i++)
		mounts[i] = lane->l->mount[i]; /* set once, before anything is asked */
	k->err = vst_limits_read(mounts, k->path, &k->limits, &k->n_limits);
	*ret_bytes = 0;
}

/* --- queues --- */

static const struct vst_account_rate *rate_of(const struct lane *lane, const struct queue *q)
{
	if (lane->id == LANE_SYSTEM)
		return &system_rate;
	return q->id == VST_ACCOUNT_LIMITS ? &users_rate : &user_rate;
}

static const struct vst_account_rate *rate_of_lane(const struct lane *lane)
{
	return lane->id == LANE_SYSTEM ? &system_rate : &users_rate;
}

static double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct queue *queue_of(struct lane *lane, __u64 id)
{
	struct queue *q;

	HASH_FIND(hh, lane->queues, &id, sizeof(id), q);
	if (q)
		return q;
	if (HASH_COUNT(lane->queues) >= ACCOUNTS_MAX && id != VST_ACCOUNT_REST && id != VST_ACCOUNT_LIMITS)
		return queue_of(lane, VST_ACCOUNT_REST);
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->id = id;
	q->last = &q->first;
	HASH_ADD(hh, lane->queues, id, sizeof(q->id), q);
	return q;
}

static void queue_free(struct lane *lane, struct queue *q)
{
	struct vst_lookup *k;

	if (lane->turn == q)
		lane->turn = q->hh.next;
	HASH_DEL(lane->queues, q);
	while ((k = q->first)) {
		q->first = k->next;
		vst_lookup_free(k);
	}
	free(q);
}

/* Forgets accounts that nobody uses and that have no debt. */
static void queues_sweep(struct lane *lane, double now)
{
	struct queue *q, *next;

	HASH_ITER(hh, lane->queues, q, next)
	{
		if (q->n || now - q->account.at < FORGET_AFTER)
			continue;
		vst_account_fill(&q->account, rate_of(lane, q), now);
		if (vst_account_wait(&q->account, rate_of(lane, q)) <= 0)
			queue_free(lane, q);
	}
}

/*
 * The queue whose turn it is: the next one with something to do that is not in debt. NULL: none; *wait is then how long, or
 * below 0 if there is nothing to do at all.
 */
static struct queue *queue_next(struct lane *lane, double now, double *wait)
{
	unsigned int n = HASH_COUNT(lane->queues);
	struct queue *q = lane->turn;
	double w, all;

	*wait = -1;
	vst_account_fill(&lane->account, rate_of_lane(lane), now);
	all = vst_account_wait(&lane->account, rate_of_lane(lane));
	for (; n; n--, q = q->hh.next) {
		q = q ?: lane->queues;
		if (!q->n)
			continue;
		vst_account_fill(&q->account, rate_of(lane, q), now);
		w = vst_account_wait(&q->account, rate_of(lane, q));
		w = w > all ? w : all;
		if (w <= 0) {
			lane->turn = q->hh.next;
			return q;
		}
		if (*wait < 0 || w < *wait)
			*wait = w;
	}
	return NULL;
}

static void wait_for(pthread_cond_t *cond, pthread_mutex_t *lock, double seconds)
{
	struct timespec t;
	double end;

	if (seconds < 0) {
		pthread_cond_wait(cond, lock);
		return;
	}
	end = clock_now() + seconds + 0.001;
	t.tv_sec = (time_t)end;
	t.tv_nsec = (long)((end - (double)t.tv_sec) * 1e9);
	pthread_cond_timedwait(cond, lock, &t);
}

static struct vst_lookup *pop(struct queue *q)
{
	struct vst_lookup *k = q->first;

	q->first = k->next;
	if (!q->first)
		q->last = &q->first;
	q->n--;
	k->next = NULL;
	return k;
}

/* With the lock held; not while the lookup is under way. */
static void serve(struct lane *lane, struct queue *q)
{
	struct vst_lookups *l = lane->l;
	struct vst_lookup *k = pop(q);
	__u64 id = q->id, one = 1;
	double begin = clock_now(), took;
	size_t bytes = 0;

	pthread_mutex_unlock(&l->lock);
	answer(lane, k, &bytes);
	took = clock_now() - begin;
	pthread_mutex_lock(&l->lock);
	HASH_FIND(hh, lane->queues, &id, sizeof(id), q);
	if (q)
		vst_account_pay(&q->account, (double)bytes, took);
	vst_account_pay(&lane->account, (double)bytes, took);
	*l->last_answer = k;
	l->last_answer = &k->next;
	if (!l->n_answers++ && write(l->fd, &one, sizeof(one)) < 0)
		vst_debug("cannot tell the loop that a name was found: %s", strerror(errno));
	while (l->n_answers >= ANSWERS_MAX && !l->stop)
		pthread_cond_wait(&l->taken, &l->lock);
}

static void *lane_run(void *arg)
{
	struct lane *lane = arg;
	struct vst_lookups *l = lane->l;
	struct queue *q;
	double wait;

	if (lane->id == LANE_USERS && setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), USERS_PRIORITY))
		vst_debug("cannot lower the priority of the thread that looks up users' names: %s", strerror(errno));
	vst_caps_drop(VST_CAPS_NAMES, VST_CAPS_ALWAYS, NULL);
	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		q = queue_next(lane, clock_now(), &wait);
		if (q)
			serve(lane, q);
		else
			wait_for(&lane->wake, &l->lock, wait);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* --- the whole --- */

static int lane_start(struct vst_lookups *l, enum lane_id id, const char *root)
{
	struct lane *lane = &l->lane[id];
	pthread_condattr_t attr;
	int err;

	lane->l = l;
	lane->id = id;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&lane->wake, &attr);
	pthread_condattr_destroy(&attr);
	lane->runtime = vst_runtime_new(root);
	if (!lane->runtime && id == LANE_SYSTEM)
		vst_warn("cannot look up files below %s: %s%s; containers are shown by their ids", root,
			 strerror(errno),
			 errno == ENOSYS || errno == EPERM
				 ? " (openat2() is forbidden, as RestrictSUIDSGID= of a systemd unit does)"
				 : "");
	err = pthread_create(&lane->thread, NULL, lane_run, lane);
	lane->started = !err;
	return -err;
}

int vst_lookups_new(const char *root, struct vst_lookups **ret)
{
	struct vst_lookups *l = calloc(1, sizeof(*l));
	int err = 0;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->taken, NULL);
	l->last_answer = &l->answers;
	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->fd < 0)
		err = -errno;
	for (int i = 0; i < LANE__N && !err; i++)
		err = lane_start(l, i, root);
	if (err) {
		vst_lookups_free(l);
		return err;
	}
	*ret = l;
	return 0;
}

/* False: it hangs in a file system, and uses what there is for ever. */
static bool lane_join(struct lane *lane)
{
	struct timespec t;

	if (!lane->started)
		return true;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += HANGS_AFTER;
	return !pthread_timedjoin_np(lane->thread, NULL, &t);
}

void vst_lookups_free(struct vst_lookups *l)
{
	struct vst_lookup *k;
	struct queue *q, *next;
	bool joined = true;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	for (int i = 0; i < LANE__N; i++)
		if (l->lane[i].started)
			pthread_cond_signal(&l->lane[i].wake);
	pthread_cond_broadcast(&l->taken);
	pthread_mutex_unlock(&l->lock);
	for (int i = 0; i < LANE__N; i++)
		joined = lane_join(&l->lane[i]) && joined;
	if (!joined) {
		vst_warn("a thread waits for a user's file and does not end; vstord ends without it");
		return;
	}
	for (int i = 0; i < LANE__N; i++) {
		HASH_ITER(hh, l->lane[i].queues, q, next)
		queue_free(&l->lane[i], q);
		if (l->lane[i].runtime)
			vst_runtime_free(l->lane[i].runtime);
	}
	while ((k = l->answers)) {
		l->answers = k->next;
		vst_lookup_free(k);
	}
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

int vst_lookups_fd(const struct vst_lookups *l)
{
	return l->fd;
}

void vst_lookups_set_mount(struct vst_lookups *l, enum vst_hierarchy hier, const char *where)
{
	pthread_mutex_lock(&l->lock);
	if (!l->mount[hier][0] && where && strlen(where) < sizeof(l->mount[hier]))
		strcpy(l->mount[hier], where);
	pthread_mutex_unlock(&l->lock);
}

int vst_lookups_ask(struct vst_lookups *l, struct vst_lookup *lookup)
{
	enum lane_id id = lookup->account == VST_ACCOUNT_SYSTEM ? LANE_SYSTEM : LANE_USERS;
	struct lane *lane = &l->lane[id];
	struct queue *q;
	int err = 0;

	pthread_mutex_lock(&l->lock);
	q = queue_of(lane, lookup->account);
	if (!q)
		err = -ENOMEM;
	else if (q->n >= (id == LANE_SYSTEM ? SYSTEM_MAX : WAITING_MAX))
		err = -ENOBUFS;
	if (!err) {
		*q->last = lookup;
		q->last = &lookup->next;
		q->n++;
		l->waiting[id]++;
		pthread_cond_signal(&lane->wake);
	} else {
		l->refused++;
	}
	pthread_mutex_unlock(&l->lock);
	if (err)
		vst_lookup_free(lookup);
	return err;
}

struct vst_lookup *vst_lookups_take(struct vst_lookups *l)
{
	struct vst_lookup *k;
	__u64 n;

	pthread_mutex_lock(&l->lock);
	k = l->answers;
	if (k) {
		l->answers = k->next;
		if (!l->answers)
			l->last_answer = &l->answers;
		if (!--l->n_answers && read(l->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
			vst_debug("cannot read the event of names: %s", strerror(errno));
		l->waiting[k->account == VST_ACCOUNT_SYSTEM ? LANE_SYSTEM : LANE_USERS]--;
		pthread_cond_broadcast(&l->taken);
		k->next = NULL;
	} else {
		for (int i = 0; i < LANE__N; i++)
			queues_sweep(&l->lane[i], clock_now());
	}
	pthread_mutex_unlock(&l->lock);
	return k;
}

size_t vst_lookups_waiting(struct vst_lookups *l, bool all)
{
	size_t n;

	pthread_mutex_lock(&l->lock);
	n = l->waiting[LANE_SYSTEM] + (all ? l->waiting[LANE_USERS] : 0);
	pthread_mutex_unlock(&l->lock);
	return n;
}

__u64 vst_lookups_refused(struct vst_lookups *l)
{
	__u64 n;

	pthread_mutex_lock(&l->lock);
	n = l->refused;
	pthread_mutex_unlock(&l->lock);
	return n;
}
