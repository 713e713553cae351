// SPDX-License-Identifier: GPL-2.0-only
/* What the loop does at each tick, and when somebody asks for a snapshot. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/base/log.h"
#include "agent/collect.h"
#include "agent/sinks/stuck.h"
#include "agent/tick.h"

#define STATS_EVERY 30 /* ticks between two measurements of what the probes take */
#define SWEEP_EVERY 10 /* seconds between two looks for completions that were lost */
#define SWEEP_SOON 1   /* the same if some I/O is old */
/* The pause after a snapshot that clients asked for, so that clients that poll delay no tick: */
#define ASKED_SHARE 9	  /* as many times as long as the last snapshot took */
#define ASKED_PAUSE 0.005 /* seconds, at least */
#define NAME_ROUNDS 3	  /* how often one question may start the thread that names locks */

static void sweep(struct vst_agent *a)
{
	a->swept = vst_now();
	vst_probes_sweep(a->probes);
}

/*
 * Somebody asked for the names of locks, which a thread finds. True if the snapshot that was just made has the names, so
 * that it answers the question.
 */
static bool names_are_there(struct vst_agent *a)
{
	struct vst_lock_naming *n = vst_locks_naming(a->locks);

	vst_lock_naming_begin(n, &vst_probes_maps(a->probes)->lock);
	if (vst_lock_naming_busy(n) && a->name_rounds++ < NAME_ROUNDS)
		return false; /* vst_tick_names() continues */
	a->name_rounds = 0;
	return true;
}

/* Has some I/O or wait been under way for so long? */
static bool is_old(const struct vst_agent *a, double age)
{
	__u64 io = a->table->underway.oldest_ns, lock = vst_locks_oldest_ns(a->locks);
	double before = vst_now() - age;

	return (io && (double)io / 1e9 < before) || (lock && (double)lock / 1e9 < before);
}

int vst_tick_publish(struct vst_agent *a)
{
	const struct vst_snapshot *s;
	struct vst_tickets asked;
	double begin = vst_now();
	int err;

	vst_relay_asked(a->relay, &asked);
	if (asked.n[VST_ASK_SWEPT] > a->answered.n[VST_ASK_SWEPT])
		sweep(a);
	err = vst_collect(a, &s);
	if (err)
		vst_warn("cannot read the counters: %s; trying again at the next tick", strerror(-err));
	a->made = vst_now();
	a->made_in = a->made - begin;
	if (!s)
		return err;
	if (asked.n[VST_ASK_NAMED] > a->answered.n[VST_ASK_NAMED] && !names_are_there(a))
		asked.n[VST_ASK_NAMED] = a->answered.n[VST_ASK_NAMED];
	a->answered = asked;
	if (vst_stuck_any(a->stuck) || is_old(a, VST_STUCK_AGE))
		vst_stuck_look(a->stuck, s);
	vst_recorder_offer(a->recorder, s);
	vst_relay_publish(a->relay, s, &asked);
	return err;
}

void vst_tick_names(struct vst_agent *a)
{
	vst_lock_naming_take(vst_locks_naming(a->locks), &vst_probes_maps(a->probes)->lock);
	if (a->name_rounds)
		vst_tick_publish(a);
}

double vst_tick_asked_pause(const struct vst_agent *a)
{
	return fmax(a->made + fmax(ASKED_PAUSE, ASKED_SHARE * a->made_in) - vst_now(), 0);
}

/* Stacked devices come and go. Their probes cost every bio something, so they are attached only while there is one. */
void vst_tick_follow_devices(struct vst_agent *a)
{
	bool want;

	vst_devices_settings(&a->devices);
	want = vst_devices_have_stacked(&a->devices);
	if (want == a->devices.stacked_counted)
		return;
	if (want)
		vst_devices_base(&a->devices, VST_LAYER_STACKED, true);
	if (vst_probes_stacked(a->probes, want)) {
		vst_devices_hold(&a->devices, VST_LAYER_STACKED);
		return;
	}
	a->devices.stacked_counted = want;
	if (!want) {
		vst_tick_publish(a);
		vst_devices_hold(&a->devices, VST_LAYER_STACKED);
	} else if (!vst_devices_read(&a->devices)) {
		vst_devices_base(&a->devices, VST_LAYER_STACKED, false);
	}
}

void vst_tick_follow_caches(struct vst_agent *a)
{
	__u8 class_of[64] = { 0 };

	vst_heating_follow(&a->heating, &a->devices, a->probes, vst_now());
	vst_acting_classes(a->acting, class_of);
	vst_heating_classes(a->probes, class_of);
	vst_heating_follow_pins(&a->heating, &a->devices, a->probes, a->owners);
}

int vst_tick_choose(void *ctx, __u32 dev, const struct vst_keep_pass *pass, uint64_t **ret_offsets, size_t *ret_n,
		    size_t *ret_known)
{
	struct vst_agent *a = ctx;

	return vst_heating_choose(&a->heating, a->probes, dev, pass, vst_now(), ret_offsets, ret_n, ret_known);
}

void vst_tick_keeper(void *ctx, __u32 pid)
{
	struct vst_agent *a = ctx;

	vst_heating_keeper(a->probes, pid);
}

int vst_tick_pin(void *ctx, bool undo, const char *text, char *ret, size_t size)
{
	struct vst_agent *a = ctx;

	return vst_heating_pin(&a->heating, undo, text, vst_now(), ret, size);
}

void vst_tick_kept(void *ctx, const __u32 *numbers, size_t n)
{
	struct vst_agent *a = ctx;

	vst_heating_keep_containers(&a->heating, numbers, n);
}

/* Called after the probes' time was measured. The agent's own time counts, too. */
static void keep_budget(struct vst_agent *a, unsigned int tick)
{
	struct vst_budget *b = &a->budget;
	int part;

	b->cost += a->self.cpu_percent / (double)sysconf(_SC_NPROCESSORS_ONLN);
	part = vst_budget_decide(b, tick);
	if (part < 0)
		return;
	if (vst_probes_give_up(a->probes, part, b->part[part].given_up))
		return; /* it has said why */
	if (b->part[part].given_up)
		vst_warn("%s are not watched for %.0f s: the probes and the agent took %.2f %% of the processors, "
			 "these %.2f %%, and the budget is %g %% (--budget)",
			 vst_budget_part_name(part), (double)b->part[part].pause * a->interval, b->cost,
			 b->part[part].cost, b->limit);
	else
		vst_info("%s are watched again", vst_budget_part_name(part));
}

const struct vst_snapshot *vst_tick_fresh(void *ctx)
{
	struct vst_tickets answered;
	struct vst_agent *a = ctx;

	return vst_tick_publish(a) ? NULL : vst_relay_get(a->relay, &answered);
}

/* The engine judges whole intervals, so it sees one snapshot a tick, not those that clients ask for between. */
void vst_tick_act(struct vst_agent *a)
{
	struct vst_tickets answered;
	const struct vst_snapshot *s = vst_relay_get(a->relay, &answered);

	if (s)
		vst_acting_tick(a->acting, s);
	vst_snapshot_unref(s);
}

/* Measuring fsync costs every fsync something, so it is done only while somebody asks for it. */
void vst_tick_follow_fsync(struct vst_agent *a)
{
	vst_probes_want_fsync(a->probes, a->always_fsync || vst_acting_wants_fsync(a->acting));
}

void vst_tick_run(struct vst_agent *a, unsigned int tick)
{
	double since = vst_now() - a->swept;

	vst_tick_follow_fsync(a);
	vst_watch_tick(a);
	/* sooner if some I/O looks stuck: perhaps it completed and the event was lost */
	if (since >= SWEEP_EVERY - a->interval / 2 || (since >= SWEEP_SOON && is_old(a, VST_STUCK_AGE / 2)))
		sweep(a);
	if (!vst_tick_publish(a))
		vst_tick_act(a);
	vst_owners_tick(a->owners, vst_now());
	vst_io_table_reclaim(a->table, a->probes, a->owners, vst_now());
	vst_locks_reclaim(a->locks, a->probes, a->owners, vst_now());
	vst_blame_reclaim(a->blame, vst_now());
	vst_fsync_reclaim(a->fsync, a->probes, a->owners, vst_now());
	vst_probes_symbols(a->probes);
	vst_probes_follow(a->probes);
	vst_tick_follow_devices(a);
	vst_tick_follow_caches(a);
	vst_self_update(&a->self);
	/* after vst_self_update(): the memory for it is free again before the next measurement of our memory */
	vst_lock_naming_begin(vst_locks_naming(a->locks), &vst_probes_maps(a->probes)->lock);
	if (vst_probes_stats_end(a->probes, vst_now(), &a->budget))
		keep_budget(a, tick);
	else if (tick % STATS_EVERY == 1 || a->budget.soon)
		vst_probes_stats_begin(a->probes, vst_now());
}
