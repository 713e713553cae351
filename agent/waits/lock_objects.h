/* SPDX-License-Identifier: GPL-2.0-only */
/* Which file, file system or disk a lock is of, and what its holder did: as the probe left it. */
#ifndef VST_LOCK_OBJECTS_H
#define VST_LOCK_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include "vstor/abi_locks.h"

#define VST_LOCK_OBJECT_TEXT 288

/*
 * The object of the lock at an address, for people: "/dir/x (inode 12 on vda1)", "…/a/b/c/x (inode 7 on vda1)",
 * "file system on vda1", "disk vda". Names of files are as they are: to be escaped. False: it is not known.
 */
bool vst_lock_object_text(const struct vst_lock_object *objects, __u64 lock, char text[VST_LOCK_OBJECT_TEXT]);

/* A stack of a holder; what: without CPU, evidence counts not. False: there is none. */
bool vst_lock_stack_read(const struct vst_lock_holder_stack *stacks, __u64 waiter, __u64 holder, __u64 what,
			 struct vst_lock_holder_stack *ret);

#endif /* VST_LOCK_OBJECTS_H */
