// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/self.h"

double vst_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static __u64 rss_bytes(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (__u64)sysconf(_SC_PAGESIZE);
}

void vst_self_update(struct vst_self *self)
{
	double now = vst_now(), cpu;
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	cpu = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	      (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
	if (self->at && now > self->at)
		self->cpu_percent = 100 * (cpu - self->cpu_s) / (now - self->at);
	self->cpu_s = cpu;
	self->at = now;
	self->rss_bytes = rss_bytes();
}

void vst_self_tick(struct vst_self *self, double took_us)
{
	self->tick_us = took_us;
	if (took_us > self->tick_max_us)
		self->tick_max_us = took_us;
}
