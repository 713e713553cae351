// SPDX-License-Identifier: GPL-2.0-only
#include "agent/probes/budget.h"

#define WORTH 0.05   /* of the limit: what takes less than that is not given up, for it is no help */
#define PAUSE_MIN 60 /* ticks */
#define PAUSE_MAX 3600
#define IN_VAIN 4 /* measurements after it was tried again within which it has to go again */

const char *vst_budget_part_name(int part)
{
	static const char *const names[] = {
#define X(g, w) [VST_BUDGET_##g] = w,
		VST_BUDGET_PARTS(X)
#undef X
	};

	return names[part];
}

static int give_up(struct vst_budget *b, unsigned long tick)
{
	struct vst_budget_part *p;

	for (int i = 0; i < VST_BUDGET__N; i++) {
		p = &b->part[i];
		if (p->given_up || p->cost < WORTH * b->limit)
			continue;
		p->pause = p->pause && p->tried <= IN_VAIN ? 2 * p->pause : PAUSE_MIN;
		if (p->pause > PAUSE_MAX)
			p->pause = PAUSE_MAX;
		p->since = tick;
		p->given_up = true;
		return i;
	}
	return -1;
}

static int try_again(struct vst_budget *b, unsigned long tick)
{
	struct vst_budget_part *p;

	for (int i = 0; i < VST_BUDGET__N; i++) {
		p = &b->part[i];
		if (!p->given_up || tick - p->since < p->pause)
			continue;
		p->tried = 0;
		p->given_up = false;
		b->soon = true;
		return i;
	}
	return -1;
}

int vst_budget_decide(struct vst_budget *b, unsigned long tick)
{
	bool was_over = b->was_over;
	int part;

	b->soon = b->was_over = false;
	if (!b->limit)
		return -1;
	for (int i = 0; i < VST_BUDGET__N; i++)
		b->part[i].tried += !b->part[i].given_up;
	if (b->cost > b->limit && !was_over) {
		b->soon = b->was_over = true;
		return -1;
	}
	part = b->cost > b->limit ? give_up(b, tick) : -1;
	return part < 0 ? try_again(b, tick) : part;
}
