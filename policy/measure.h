/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy engine looks at: two snapshots, turned into values of an interval for each container, its disks and
 * those whom it is blamed by. Pure.
 *
 * I/O and waits that go on count with the age that they have reached: a container whose only fsync has been stuck for
 * three seconds has a p99 of three seconds, not none.
 */
#ifndef VST_POLICY_MEASURE_H
#define VST_POLICY_MEASURE_H

#include "agent/snapshot.h"
#include "policy/rules.h"

enum vst_direction { VST_READS, VST_WRITES, VST_DIRECTION__N };

/* I/O of a container on one leaf disk. */
struct vst_measured_io {
	__u32 dev;
	double bytes_s[VST_DIRECTION__N], ios_s[VST_DIRECTION__N];
	double p99_us[VST_DIRECTION__N]; /* NAN: nothing completed and nothing is in flight, or nobody asked for it */
};

/* Whom a container waited for. */
struct vst_measured_blame {
	__u32 waiter, holder; /* index in the snapshot */
	__u8 type;	      /* enum vst_wait_type */
	__u32 dev;
	double us_s;
};

struct vst_measured_container {
	const struct vst_snap_container *container; /* NULL: no container has this index */
	struct vst_measured_io *io;
	size_t n_io;
	const struct vst_measured_blame *blame; /* it is the waiter; the longest first */
	size_t n_blame;
	double value[VST_METRIC__N]; /* on all leaf disks together; NAN: not measured. No DEVICE_QUEUE. */
	bool busy;		     /* it did I/O, or waits */
	__u32 fsync_dev;	     /* of the file system that it waited for longest; 0: not known */
	const char *fsync_name;	     /* ... and its partition or disk; "" */
};

struct vst_measured {
	double now;	/* of the later snapshot */
	double seconds; /* between the two; 0: there is nothing to compare with, and nothing is measured */
	const struct vst_snapshot *snapshot;
	struct vst_measured_container *container; /* by index */
	__u32 n_containers;
	struct vst_measured_blame *blame;
	size_t n_blame;
};

/* Does anybody want latencies of this container? They cost a histogram each while they are computed. */
typedef bool (*vst_measure_wanted_fn)(void *arg, const struct vst_snap_container *container);

/* prev may be NULL. 0 or -ENOMEM; *ret is released with vst_measured_clear() in any case. */
int vst_measure(const struct vst_snapshot *prev, const struct vst_snapshot *now, vst_measure_wanted_fn wanted,
		void *arg, struct vst_measured *ret);
void vst_measured_clear(struct vst_measured *m);

/* Of a container on a disk; NULL: it did nothing there. */
const struct vst_measured_io *vst_measured_io_of(const struct vst_measured_container *c, __u32 dev);
/* Requests in flight at a disk, on average over the interval. */
double vst_measured_queue(const struct vst_measured *m, const struct vst_snapshot *prev, __u32 dev);

#endif /* VST_POLICY_MEASURE_H */
