// SPDX-License-Identifier: GPL-2.0-only
#include "agent/budget.h"

#define IN_A_ROW 2     /* measurements above the limit: one may have been a moment's */
#define WORTH 0.05     /* of the limit: what takes less than that is not given up, for it is no help */
#define PAUSE_MIN 60.0 /* seconds until it is tried again */
#define PAUSE_MAX 3600.0

const char *vst_budget_part_name(int part)
{
	static const char *const names[] = {
#define X(g, w) [VST_BUDGET_##g] = w,
		VST_BUDGET_PARTS(X)
#undef X
	};

	return names[part];
}

static int give_up(struct vst_budget *b, double now)
{
	struct vst_budget_part *p;

	for (int i = 0; i < VST_BUDGET__N; i++) {
		p = &b->part[i];
		if (p->given_up || p->cost < WORTH * b->limit)
			continue;
		/* tried again a moment ago, in vain */
		p->pause = p->since && now - p->since < p->pause ? 2 * p->pause : PAUSE_MIN;
		if (p->pause > PAUSE_MAX)
			p->pause = PAUSE_MAX;
		p->since = now;
		p->given_up = true;
		b->over = 0;
		return i;
	}
	return -1;
}

/* One at a time, the one that was given up last first. */
static int try_again(struct vst_budget *b, double now)
{
	struct vst_budget_part *p;

	for (int i = VST_BUDGET__N; i-- > 0;) {
		p = &b->part[i];
		if (!p->given_up || now - p->since < p->pause)
			continue;
		p->since = now;
		p->given_up = false;
		return i;
	}
	return -1;
}

int vst_budget_decide(struct vst_budget *b, double now)
{
	if (!b->limit)
		return -1;
	if (b->cost <= b->limit) {
		b->over = 0;
		return try_again(b, now);
	}
	return ++b->over >= IN_A_ROW ? give_up(b, now) : -1;
}
