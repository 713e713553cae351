// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "calibrate_load.h"
#include "vstor/hist.h"

struct shared {
	const struct vst_load *load;
	const atomic_bool *stop;
	atomic_bool over; /* time or bytes are used up, or a request failed */
	atomic_int err;
	atomic_uint_fast64_t next; /* block of the next sequential request */
	atomic_uint_fast64_t bytes;
};

struct worker {
	struct shared *shared;
	pthread_t thread;
	uint64_t seed;
	uint64_t ios;
	__u64 hist[VST_HIST_BUCKETS];
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* xorshift64*: good enough to be unpredictable to a disk's read-ahead, and the same on each run. */
static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1dULL;
}

static off_t offset_next(struct worker *w)
{
	const struct vst_load *load = w->shared->load;
	uint64_t blocks = load->size / load->block;
	uint64_t block = load->random ? random_next(&w->seed) : atomic_fetch_add(&w->shared->next, 1);

	return (off_t)(block % blocks * load->block);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->shared;
	const struct vst_load *load = s->load;
	void *buf = NULL;
	ssize_t n;

	if (posix_memalign(&buf, 4096, load->block)) {
		atomic_store(&s->err, -ENOMEM);
		atomic_store(&s->over, true);
		return NULL;
	}
	/* Disks that compress or detect zeroes must not be able to do less for it. */
	for (size_t i = 0; i < load->block / sizeof(uint64_t); i++)
		((uint64_t *)buf)[i] = random_next(&w->seed);
	while (!atomic_load(&s->over) && !atomic_load(s->stop)) {
		off_t at = offset_next(w);
		uint64_t begin = now_ns();

		n = load->write ? pwrite(load->fd, buf, load->block, at) : pread(load->fd, buf, load->block, at);
		if (n != (ssize_t)load->block) {
			atomic_store(&s->err, n < 0 ? -errno : -EIO);
			atomic_store(&s->over, true);
			break;
		}
		w->hist[vst_hist_index(now_ns() - begin)]++;
		w->ios++;
		if (atomic_fetch_add(&s->bytes, load->block) + load->block >= load->bytes_max)
			atomic_store(&s->over, true);
	}
	free(buf);
	return NULL;
}

static void watch(struct shared *s, uint64_t begin, void (*progress)(void *arg, double share), void *arg)
{
	const struct vst_load *load = s->load;
	double passed, share;

	while (!atomic_load(&s->over) && !atomic_load(s->stop)) {
		passed = (double)(now_ns() - begin) / 1e9;
		share = (double)atomic_load(&s->bytes) / (double)load->bytes_max;
		progress(arg, passed / load->seconds > share ? passed / load->seconds : share);
		if (passed >= load->seconds)
			atomic_store(&s->over, true);
		else
			usleep(load->seconds - passed < 0.1 ? (useconds_t)((load->seconds - passed) * 1e6) + 1
							    : 100000);
	}
}

static double p95_of(const struct worker *workers, unsigned int n)
{
	__u64 all[VST_HIST_BUCKETS] = { 0 };

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int b = 0; b < VST_HIST_BUCKETS; b++)
			all[b] += workers[i].hist[b];
	return vst_hist_quantile_us(all, 0.95, 0);
}

int vst_load_run(const struct vst_load *load, const atomic_bool *stop, void (*progress)(void *arg, double share),
		 void *arg, struct vst_load_result *ret)
{
	struct shared s = { .load = load, .stop = stop };
	struct worker *workers;
	struct vst_load_result r = { 0 };
	unsigned int started;
	uint64_t begin;

	if (load->size < load->block || load->depth < 1 || load->depth > VST_LOAD_DEPTH_MAX)
		return -EINVAL;
	workers = calloc(load->depth, sizeof(*workers));
	if (!workers)
		return -ENOMEM;
	begin = now_ns();
	for (started = 0; started < load->depth; started++) {
		struct worker *w = &workers[started];

		w->shared = &s;
		w->seed = 0x9e3779b97f4a7c15ULL * (started + 1);
		if (pthread_create(&w->thread, NULL, work, w))
			break;
	}
	if (!started)
		atomic_store(&s.err, -EAGAIN);
	else
		watch(&s, begin, progress, arg);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	r.seconds = (double)(now_ns() - begin) / 1e9;
	for (unsigned int i = 0; i < started; i++)
		r.ios += workers[i].ios;
	r.bytes = r.ios * load->block;
	r.p95_us = p95_of(workers, started);
	free(workers);
	if (!atomic_load(&s.err))
		*ret = r;
	return atomic_load(&s.err);
}
