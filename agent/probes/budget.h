/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps what the probes and the agent take of the processors below a limit: what is given up first when it is too much, and when
 * it is tried again. Decides only; vst_probes_give_up() does it.
 */
#ifndef VST_BUDGET_H
#define VST_BUDGET_H

#include <stdbool.h>

/* What can be given up, in this order; the rest is what vstor is for. X(group of probes, what users call it) */
#define VST_BUDGET_PARTS(X)                                                                                            \
	X(INSIGHT, "the contents of files")                                                                            \
	X(LOCK, "waits for locks")                                                                                     \
	X(MERGE, "merges")

enum vst_budget_part_id {
#define X(g, w) VST_BUDGET_##g,
	VST_BUDGET_PARTS(X)
#undef X
		VST_BUDGET__N
};

struct vst_budget_part {
	double cost;	     /* percent of all processors, when it was measured last */
	unsigned long since; /* tick at which it was given up */
	unsigned long pause; /* ticks until it is tried again: more each time that this was in vain */
	unsigned int tried;  /* measurements since then */
	bool given_up;
};

struct vst_budget {
	double limit; /* percent of all processors; 0: none */
	double cost;  /* of everything, measured last */
	struct vst_budget_part part[VST_BUDGET__N];
	bool was_over; /* at the last measurement: one may have been a moment's */
	bool soon;     /* to be measured again at once, and not with the next turn */
};

/*
 * After each measurement, with .cost and those of the parts that are at work filled in. The part whose .given_up was changed, or -1.
 */
int vst_budget_decide(struct vst_budget *b, unsigned long tick);

const char *vst_budget_part_name(int part);

#endif /* VST_BUDGET_H */
