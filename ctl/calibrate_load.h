/* SPDX-License-Identifier: GPL-2.0-only */
/* The load that `calibrate` puts on a disk: direct I/O by threads, bounded in time and bytes. */
#ifndef VSTOR_CTL_CALIBRATE_LOAD_H
#define VSTOR_CTL_CALIBRATE_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VST_LOAD_DEPTH_MAX 64

struct vst_load {
	int fd;	       /* opened with O_DIRECT */
	uint64_t size; /* bytes from its start that may be used */
	bool write;
	bool random;
	size_t block;	    /* bytes of a request, a multiple of 4096 */
	unsigned int depth; /* requests at a time, up to VST_LOAD_DEPTH_MAX */
	double seconds;	    /* at most */
	uint64_t bytes_max; /* at most */
};

struct vst_load_result {
	uint64_t ios, bytes;
	double seconds; /* that they took */
	double p95_us;
};

/*
 * Runs the load until its time or its bytes are used up, or *stop is set; calls progress() about ten times a second. 0 or
 * -errno of a request that failed.
 */
int vst_load_run(const struct vst_load *load, const atomic_bool *stop, void (*progress)(void *arg, double share),
		 void *arg, struct vst_load_result *ret);

#endif /* VSTOR_CTL_CALIBRATE_LOAD_H */
