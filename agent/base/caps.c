// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/capability.h>

#include "agent/base/caps.h"
#include "agent/base/log.h"

#define LOOP (1 << VST_CAPS_LOOP)
#define NAMES (1 << VST_CAPS_NAMES)
#define PINS (1 << VST_CAPS_PINS)
#define DM (1 << VST_CAPS_DM)

#define ROW(cap, threads, when, why) { cap, #cap, threads, VST_CAPS_##when, why }

const struct vst_caps_row vst_caps_table[] = {
	ROW(CAP_BPF, LOOP, ALWAYS,
	    "load the probes of filesystems, stacked devices and fsync when they are first needed"),
	ROW(CAP_PERFMON, LOOP, ALWAYS, "attach those probes, and let them read the kernel's memory"),
	/* bpf_enable_stats(), bpf_obj_get_next_id() and fsopen() in the kernel ask for this one by name */
	ROW(CAP_SYS_ADMIN, LOOP | DM, ALWAYS,
	    "measure what the probes cost, read the types of kernel modules, find tracepoints of system calls, and ask "
	    "device-mapper what dm-cache counts"),
	ROW(CAP_SYSLOG, LOOP, ALWAYS, "read the addresses in /proc/kallsyms again when a module is loaded"),
	ROW(CAP_DAC_READ_SEARCH, LOOP | NAMES | PINS, ALWAYS,
	    "read container runtimes' files of other users, open cgroups by their ids, read the policy again, and find "
	    "where the files lie that a cache is to keep"),
	/* with hidepid=2,gid=GROUP or hidepid=ptraceable /proc hides others without it: each would seem to have ended */
	ROW(CAP_SYS_PTRACE, LOOP, ALWAYS,
	    "see whether a process still waits where /proc hides the processes of others"),
	ROW(CAP_DAC_OVERRIDE, LOOP, FOREIGN_DIR,
	    "remove the control socket at the end from a directory of another user"),
	ROW(CAP_DAC_OVERRIDE, LOOP, HEIR, "hand it to vstor-actor, which writes the files of cgroups"),
	ROW(CAP_SYS_NICE, LOOP, HEIR, "hand it to vstor-actor, which sets the I/O priorities of threads"),
};

const size_t vst_caps_table_n = sizeof(vst_caps_table) / sizeof(vst_caps_table[0]);

const char *vst_caps_thread_name(enum vst_caps_thread thread)
{
	static const char *const names[VST_CAPS_THREAD__N] = {
		[VST_CAPS_LOOP] = "loop",     [VST_CAPS_NAMES] = "names",	[VST_CAPS_LOCKS] = "locks",
		[VST_CAPS_SERVER] = "server", [VST_CAPS_RECORDER] = "recorder", [VST_CAPS_PINS] = "pins",
		[VST_CAPS_DM] = "dm",
	};

	return names[thread];
}

__u64 vst_caps_wanted(enum vst_caps_thread thread, unsigned int when)
{
	__u64 wanted = 0;

	for (size_t i = 0; i < vst_caps_table_n; i++)
		if (vst_caps_table[i].threads & 1U << thread && vst_caps_table[i].when & when)
			wanted |= 1ULL << vst_caps_table[i].cap;
	return wanted;
}

static __u64 effective(cap_t caps)
{
	cap_flag_value_t has;
	__u64 ret = 0;

	for (cap_value_t cap = 0; cap < 64; cap++)
		if (!cap_get_flag(caps, cap, CAP_EFFECTIVE, &has) && has == CAP_SET)
			ret |= 1ULL << cap;
	return ret;
}

/* Takes from all three sets what is not wanted. The kernel takes from the ambient set what leaves the inheritable one. */
static int take_away(cap_t caps, __u64 wanted)
{
	static const cap_flag_t sets[] = { CAP_EFFECTIVE, CAP_PERMITTED, CAP_INHERITABLE };

	for (cap_value_t cap = 0; cap < 64; cap++)
		for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
			/* EINVAL: libcap does not know a capability of this number, so no set has it */
			if (!(wanted >> cap & 1) && cap_set_flag(caps, sets[i], 1, &cap, CAP_CLEAR) && errno != EINVAL)
				return -errno;
	return cap_set_proc(caps) ? -errno : 0;
}

int vst_caps_drop(enum vst_caps_thread thread, unsigned int when, __u64 *ret_kept)
{
	cap_t caps = cap_get_proc();
	int err = caps ? take_away(caps, vst_caps_wanted(thread, when)) : -errno;

	if (err)
		vst_debug("cannot give up the capabilities that the thread '%s' does not need: %s; it keeps them",
			  vst_caps_thread_name(thread), strerror(-err));
	cap_free(caps);
	if (!ret_kept)
		return err;
	caps = cap_get_proc(); /* what was really kept */
	*ret_kept = caps ? effective(caps) : 0;
	cap_free(caps);
	return err;
}
