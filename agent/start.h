/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent needs of the host before the loop runs, and what it gives back at the end. */
#ifndef VST_START_H
#define VST_START_H

struct vst_agent;

/* Sets the process's own priority and how it uses memory. */
void vst_start_settle(void);
/* Says in the log what this host lacks; an exit code of vstor/cli.h. */
int vst_start_check_host(void);
/* Allows enough open files. 0 or -errno, explained in the log. */
int vst_start_raise_files(void);
/* With a root of the host that is not "/": looks at cgroups from where process 1 does. Before there are threads. */
void vst_start_join_cgroups(const char *host_root);
/* Loads and attaches the probes, and looks for what runs already. 0 or -errno; vst_start_undo() after either. */
int vst_start_probes(struct vst_agent *a, const char *host_root);
void vst_start_undo(struct vst_agent *a);

#endif /* VST_START_H */
