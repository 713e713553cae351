/* SPDX-License-Identifier: GPL-2.0-only */
/* The place of a thread in a table of waits that have begun: see VST_OPEN_SETS in vstor/abi_waits.h. */
#ifndef VST_OPEN_BPF_H
#define VST_OPEN_BPF_H

#include "compat.bpf.h"
#include "vstor/abi_waits.h"

/* The place of a thread; with claim a free one if it has none. VST_OPEN_PLACES: none. */
static __always_inline __u32 vst_open_place(__u32 threads[VST_OPEN_PLACES], __u32 thread, bool claim)
{
	__u32 first = VST_OPEN_FIRST(thread), way;

	for (way = 0; way < VST_OPEN_WAYS; way++)
		if (threads[first + way] == thread)
			return first + way;
	for (way = 0; claim && way < VST_OPEN_WAYS; way++)
		if (!threads[first + way] && !__sync_val_compare_and_swap(&threads[first + way], 0, thread))
			return first + way;
	return VST_OPEN_PLACES;
}
#endif /* VST_OPEN_BPF_H */
