// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/agent.h"
#include "agent/base/log.h"
#include "agent/insight/watch.h"

/* --- what the probes are told --- */

struct telling {
	const struct vst_scopes *scopes;
	struct vst_scope_cgroup value;
	int fd;
	bool full; /* there was no room for a cgroup */
};

static void tell_cgroup(void *ctx, __u64 packed, const struct vst_container *c)
{
	struct vst_scope_view view;
	struct telling *t = ctx;

	view = vst_scope_of(t->scopes, c->number, c->since);
	if (!view.set)
		return;
	t->value.mode = view.mode;
	if (bpf_map_update_elem(t->fd, &packed, &t->value, BPF_ANY))
		t->full = true;
}

/* Removes what was not entered at this turn: cgroups that are gone, and those of containers that are like all others again. */
static void forget_others(int fd, __u32 turn)
{
	struct vst_scope_cgroup value;
	__u64 key, next;
	int err = bpf_map_get_next_key(fd, NULL, &next);

	for (unsigned int i = 0; !err && i < VST_SCOPE_CGROUPS; i++) {
		key = next;
		err = bpf_map_get_next_key(fd, &key, &next);
		if (!bpf_map_lookup_elem(fd, &key, &value) && value.turn != turn)
			bpf_map_delete_elem(fd, &key);
	}
}

static void tell(struct vst_agent *a)
{
	const struct vst_maps *m = vst_probes_maps(a->probes);
	struct telling t = { .scopes = &a->watch.scopes, .value.turn = ++a->watch.turn, .fd = m->scopes_fd };

	if (!m->insight)
		return;
	m->insight->mode = a->watch.scopes.mode;
	if (!a->watch.scopes.n && !m->insight->scoped)
		return;
	m->insight->scoped = true;
	vst_owners_each_cgroup(a->owners, tell_cgroup, &t);
	forget_others(t.fd, a->watch.turn);
	m->insight->scoped = a->watch.scopes.n > 0;
	if (t.full)
		vst_debug("there is no room for a cgroup of a container that insight was switched on or off for: it "
			  "is watched like all others");
}

static void tell_containers(struct vst_agent *a)
{
	struct vst_scope_view v;

	for (struct vst_container *c = vst_owners_first(a->owners); c; c = c->hh.next) {
		v = vst_scope_of(&a->watch.scopes, c->number, c->since);
		c->insight = c->ended > 0 ? VST_INSIGHT_OFF : v.mode;
		c->insight_set = v.set;
		c->insight_since = c->insight == VST_INSIGHT_OFF ? 0 : v.since;
	}
}

/* Attaches or detaches the probes. 0 or -errno, which was logged once. */
static int follow(struct vst_agent *a)
{
	const struct vst_scopes *s = &a->watch.scopes;
	int err = 0;

	if (!a->watch.ready)
		return 0;
	if (vst_scope_any(s))
		err = vst_probes_insight(a->probes, true, vst_scope_any_full(s));
	else if (a->watch.on)
		vst_probes_insight(a->probes, false, false);
	a->watch.on = vst_scope_any(s) && !err;
	tell(a);
	tell_containers(a);
	return err;
}

/* --- who is watched --- */

/* Does it still run? A cgroup that was removed and made again is another run of its container: nobody asked for that one. */
static bool is_running(struct vst_agent *a, const struct vst_scope *s)
{
	for (const struct vst_container *c = vst_owners_first(a->owners); c; c = c->hh.next)
		if (c->number == s->number)
			return !(c->ended > 0) && c->since <= s->since;
	return false;
}

static void drop_ended(struct vst_agent *a)
{
	struct vst_scopes *s = &a->watch.scopes;

	for (size_t i = s->n; i-- > 0;)
		if (!is_running(a, &s->list[i]))
			vst_scope_drop(s, s->list[i].number);
}

void vst_watch_ready(struct vst_agent *a)
{
	a->watch.ready = true;
	if (a->watch.scopes.mode != VST_INSIGHT_OFF)
		a->watch.scopes.since = vst_now();
	follow(a);
}

void vst_watch_tick(struct vst_agent *a)
{
	drop_ended(a);
	follow(a);
}

static const char on_text[] = "what '%s' writes to files is watched all the time from now on: vstorctl patterns and "
			      "vstorctl ps --json show what is found";

/* What became of a request that succeeded. */
static void answer(const struct vst_agent *a, const struct vst_container *c, int mode, char *ret, size_t size)
{
	if (a->budget.part[VST_BUDGET_INSIGHT].given_up && mode != VST_INSIGHT_OFF)
		snprintf(ret, size,
			 "'%s' will be watched when the probes are within their budget again: vstorctl "
			 "status shows what they cost, and vstord --budget sets what they may",
			 c->display);
	else if (mode == VST_INSIGHT_FULL)
		snprintf(ret, size, on_text, c->display);
	else if (mode == VST_INSIGHT_OFF)
		snprintf(ret, size, "what '%s' writes to files is not watched any more", c->display);
	else
		snprintf(ret, size, "'%s' is treated like all others: vstord runs with --insight %s", c->display,
			 vst_insight_mode_name(a->watch.scopes.mode));
}

int vst_watch_ask(void *agent, const char *cgroup, const char *word, char *ret, size_t size)
{
	struct vst_agent *a = agent;
	struct vst_container *c = vst_owners_find(a->owners, cgroup);
	int mode = vst_scope_parse(word), err;

	if (mode < 0) {
		snprintf(ret, size, "'%s' is none of on, off and default: nothing was changed", word);
		return -EINVAL;
	}
	if (!c || strcmp(c->cgroup, cgroup) != 0 || c->ended > 0) {
		snprintf(ret, size, "no container runs in the cgroup '%s': vstorctl ps lists those that run", cgroup);
		return -EINVAL;
	}
	drop_ended(a);
	if (vst_scope_set(&a->watch.scopes, c->number, mode, vst_now())) {
		snprintf(ret, size,
			 "%d containers are switched on or off on their own already, and no more can be: "
			 "give one of them back with `vstorctl insight CONTAINER default`",
			 VST_SCOPES_MAX);
		return -EINVAL;
	}
	err = a->watch.ready ? follow(a) : -EAGAIN;
	if (err) {
		vst_scope_drop(&a->watch.scopes, c->number);
		snprintf(ret, size,
			 err == -EAGAIN ? "the probes of vstord are just being loaded: try again in a "
					  "second"
					: "what is written to files cannot be watched on this host: the "
					  "log of vstord says why, and vstorctl doctor what this kernel "
					  "lacks");
		return err;
	}
	answer(a, c, mode, ret, size);
	vst_info("insight of container '%s': %s, on request", c->display, word);
	return 0;
}

/* --- windows --- */

bool vst_watch_window_begin(struct vst_agent *a)
{
	if (!a->watch.on || a->watch.scopes.mode != VST_INSIGHT_SAMPLED)
		return false;
	vst_probes_window(a->probes, true);
	return true;
}

void vst_watch_window_end(struct vst_agent *a)
{
	vst_probes_window(a->probes, false);
}

double vst_watch_window(const struct vst_agent *a)
{
	if (!a->watch.on || a->budget.part[VST_BUDGET_INSIGHT].given_up)
		return 0;
	return a->watch.scopes.mode == VST_INSIGHT_SAMPLED ? VST_WINDOW / a->interval : 0;
}

double vst_watch_share(const struct vst_agent *a)
{
	if (!a->watch.on || a->budget.part[VST_BUDGET_INSIGHT].given_up)
		return 0;
	return vst_scope_any_full(&a->watch.scopes) ? 1 : vst_watch_window(a);
}
