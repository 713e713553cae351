/* SPDX-License-Identifier: GPL-2.0-only */
/* The addresses of kernel functions and variables that the probes ask for, from /proc/kallsyms. */
#ifndef VST_AGENT_SYMBOLS_H
#define VST_AGENT_SYMBOLS_H

#include <stdbool.h>
#include "vstor/abi_locks.h"
#include "vstor/abi_symbols.h"

struct vst_symbols {
	__u64 origin[VST_ORIGIN__N]; /* 0: this kernel does not have it, or no module that does is loaded */
	struct vst_lock_symbols lock;
};

/* 0 or -errno, then *ret is not touched. Half a million lines in a file take 50 ms. */
int vst_symbols_read(const char *path, struct vst_symbols *ret);

/* Are there any? None, if the kernel hides its addresses. */
bool vst_symbols_any(const struct vst_symbols *s);

#endif /* VST_AGENT_SYMBOLS_H */
