/* SPDX-License-Identifier: GPL-2.0-only */
/* The loop's context: everything that lives as long as the agent. */
#ifndef VST_AGENT_H
#define VST_AGENT_H

#include <stdbool.h>

#include "agent/acting/acting.h"
#include "agent/caches/heating.h"
#include "agent/waits/blame.h"
#include "agent/io/devices.h"
#include "agent/waits/fsync.h"
#include "agent/waits/locks.h"
#include "agent/who/owners.h"
#include "agent/insight/attrs.h"
#include "agent/insight/lives.h"
#include "agent/insight/patterns.h"
#include "agent/insight/slow.h"
#include "agent/insight/watch.h"
#include "agent/probes/probes.h"
#include "agent/base/self.h"
#include "agent/io/io_table.h"
#include "agent/sinks/recorder.h"
#include "agent/sinks/relay.h"
#include "agent/snapshot.h"
#include "agent/waits/waits_dirty.h"
#include "agent/waits/waits_disk.h"
#include "agent/waits/waits_journal.h"

struct vst_agent {
	struct vst_probes *probes;
	struct vst_owners *owners;
	struct vst_io_table *table;
	struct vst_locks *locks;
	struct vst_blame *blame;
	struct vst_waits_disk *waits_disk;
	struct vst_waits_journal *waits_journal;
	struct vst_fsync *fsync;
	struct vst_waits_dirty *waits_dirty;
	struct vst_wait_rows wait_rows;
	struct vst_collect *collect;
	struct vst_relay *relay;
	struct vst_stuck *stuck;
	struct vst_acting *acting;
	struct vst_slows *slows;
	struct vst_patterns *patterns;
	struct vst_attrs *attrs;
	struct vst_lives *lives;
	struct vst_watch watch;
	struct vst_recorder *recorder; /* NULL: nothing is recorded */
	bool always_fsync;	       /* is measured, whatever the policy says */
	struct vst_devices devices;
	struct vst_heating heating;
	struct vst_self self;
	struct vst_snap_caps caps;
	struct vst_budget budget;
	char instance[17]; /* differs with each start */
	char kernel[65];
	double started; /* monotonic seconds */
	double interval;
	double swept;	      /* when the last sweep was */
	double made, made_in; /* when the last snapshot was ready, and how long it took */
	struct vst_tickets answered;
	unsigned int name_rounds; /* looks for names that somebody waits for; 0: nobody does */
	unsigned int events_taken;
	void *events; /* struct ring_buffer */
};

#endif /* VST_AGENT_H */
