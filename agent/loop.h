/* SPDX-License-Identifier: GPL-2.0-only */
/* The event loop of vstord. */
#ifndef VST_LOOP_H
#define VST_LOOP_H

#include <stddef.h>

struct vst_agent;
struct vst_options;

/* Blocks the signals that the loop takes. A descriptor to read them from, or -errno. */
int vst_loop_signals(void);
/* Takes one event of the kernel's ring, for ring_buffer__new(): arg is the agent. */
int vst_loop_event(void *arg, void *data, size_t size);
/* Runs until SIGINT or SIGTERM. 0 or -errno, explained in the log. */
int vst_loop_run(struct vst_agent *a, const struct vst_options *o, int signal_fd);

#endif /* VST_LOOP_H */
