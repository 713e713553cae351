/* SPDX-License-Identifier: GPL-2.0-only */
/* The I/O priorities of threads: one list for the rules, the engine and the actor. */
#ifndef VST_POLICY_IOPRIO_H
#define VST_POLICY_IOPRIO_H

/*
 * Numbered as IOPRIO_CLASS_* of linux/ioprio.h. X(ENUM, "name in rules", "name in knobs, systemd's", has levels, may be
 * asked for, "what it is"). A thread that starts with rt keeps it, and gets it back when a rule ends; no rule can ask for it.
 */
#define VST_IOPRIOS(X)                                                                                                 \
	X(NONE, "none", "none", false, true, "derived from the nice value")                                            \
	X(RT, "rt", "realtime", true, false, "before all others, so it can starve them")                               \
	X(BE, "be", "best-effort", true, true, "level 0 is the first, 7 the last")                                     \
	X(IDLE, "idle", "idle", false, true, "only when nobody else uses the disk")

enum vst_ioprio_class {
#define X(e, n, s, l, a, d) VST_IOPRIO_##e,
	VST_IOPRIOS(X)
#undef X
		VST_IOPRIO__N
};

#endif /* VST_POLICY_IOPRIO_H */
