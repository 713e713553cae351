// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/waits/lock_stale.h"

#define INIT_PID_NS 0xeffffffcU /* inode of the first namespace of processes (include/linux/proc_ns.h) */

__s64 vst_lock_switches(struct vst_lock_suspects *s, __u32 pid)
{
	unsigned long long switches;
	char path[64], line[128];
	struct stat st;
	__s64 ret = -2;
	FILE *f;

	if (!s->checked) {
		s->checked = true;
		s->blind = stat("/proc/self/ns/pid", &st) || st.st_ino != INIT_PID_NS;
	}
	if (s->blind || !pid)
		return -2;
	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? -1 : -2;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &switches) == 1)
			ret = (__s64)switches;
	fclose(f);
	return ret;
}
