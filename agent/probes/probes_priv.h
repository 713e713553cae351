/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of the probes of vstor/probe_list.h: for probes*.c only. */
#ifndef VST_PROBES_PRIV_H
#define VST_PROBES_PRIV_H

#include <pthread.h>
#include <time.h>

#include <bpf/libbpf.h>

#include "agent/probes/probes.h"
#include "agent/probes/symbols.h"
#include "vstor/probe_list.h"

extern const struct vst_object_row {
	const char *name;
	enum vst_when when;
	const char *what;
	const char *without;
	const char *off;
} vst_object_table[VST_GROUP__N];

extern const struct vst_probe_row {
	enum vst_group group;
	const char *name;
	const char *tracepoint;
	int args;	    /* of the tracepoint; 0: any number; VST_FUNCTION */
	const char *module; /* in which it may be; NULL: in the kernel alone */
	const char *one_of; /* see VST_PROBES */
} vst_probe_table[VST_PROBE_ID__N];

extern const enum vst_group vst_group_of_part[VST_BUDGET__N];

struct vst_object {
	struct bpf_object_skeleton *skel;
	bool loaded;
	bool open;     /* the agent has its maps */
	bool told;     /* that it failed */
	bool given_up; /* it took too much: see agent/probes/budget.h */
	int err;       /* -errno: it could not be loaded or attached, and is not tried again */
};

struct vst_probe {
	struct bpf_program *prog;
	struct bpf_link *link;
	bool missing;	       /* this kernel does not have the tracepoint */
	bool failed;	       /* of fsync and lifetimes: it could not be attached, and is not tried again */
	bool elsewhere;	       /* nor does it need it: it has another one in its place */
	__u64 run_ns, run_cnt; /* at the beginning of a statistics moment */
	double mean_ns;
	__u64 sampled;
};

struct vst_probes {
#define X(g, s, ...) struct s##_bpf *s;
	VST_OBJECTS(X)
#undef X
	struct vst_object object[VST_GROUP__N];
	struct vst_probe probe[VST_PROBE_ID__N];
	struct vst_maps maps;
	struct vst_symbols symbols;
	bool has_stacked; /* at the start */
	bool late; /* the thread that loads what can come late has not ended: what is not of the start is its own */
	pthread_t late_thread;
	int late_fd; /* can be read when it has */
	int stats_fd;
	double stats_since;  /* monotonic seconds */
	bool stats_told;     /* that there are none */
	time_t shared_since; /* monotonic seconds */
	bool want_fsync;
	bool want_insight, copies_always;   /* see vst_probes_insight() */
	struct vst_cache_sizes cache_sizes; /* of the tables that are mapped */
	nlink_t fsync_modules;		    /* directories in /sys/module when the programs of fsync were loaded */
	nlink_t modules;		    /* directories in /sys/module when the symbols were looked up; 0: not yet */
};

/* Loads a group, once or never: 0 or -errno. */
int vst_probes_load_group(struct vst_probes *p, enum vst_group group);

/* Opens a group's object and finds its programs. 0 or -errno. */
int vst_probes_open_group(struct vst_probes *p, enum vst_group group);

/* The maps of a group's object that the first one has too are the first one's. 0 or -errno. */
int vst_probes_share_maps(struct vst_probes *p, enum vst_group group);

/* Is a filesystem mounted of that type ("ext4", "xfs", "btrfs")? */
bool vst_probes_is_mounted(const char *type);

/* Attaches and detaches what measures fsync, by what is wanted and mounted (probes_fsync.c). 0 or -errno, logged. */
int vst_probes_follow_fsync(struct vst_probes *p);

/* Attaches or detaches a group, loading it if need be (probes.c). 0 or -errno, which was logged once. */
int vst_probes_attach(struct vst_probes *p, enum vst_group group);
void vst_probes_detach(struct vst_probes *p, enum vst_group group);

/* The agent's view of the tables about caches (probes_cache.c). 0 or -ENOMEM. */
int vst_probes_cache_open(struct vst_probes *p);
void vst_probes_cache_close(struct vst_probes *p);

/* Is it one of those that tell how long data lives; attaches these while they are wanted and there is something to watch (probes_lives.c). */
bool vst_probes_is_life(int i);
void vst_probes_follow_lives(struct vst_probes *p, bool want);

/* Why a probe of fsync is not attached although fsync is to be measured. */
const char *vst_probes_fsync_why(const struct vst_probes *p, int i, enum vst_probe_state *ret_state);

#define vst_for_each_probe_of(i, g)                                                                                    \
	for (int i = 0; i < VST_PROBE_ID__N; i++)                                                                      \
		if (vst_probe_table[i].group == (g))

/*
 * .missing of each probe of an opened object, and what it has to know of its tracepoint. Those of modules are there while
 * these are loaded. 0 or -errno.
 */
int vst_probes_find(struct vst_probes *p);

#endif /* VST_PROBES_PRIV_H */
