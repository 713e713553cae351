/* SPDX-License-Identifier: GPL-2.0-only */
/* What a lock is called: by the kernel's types, and by tables of what is known. Pure, but for reading BTF. */
#ifndef VST_LOCK_NAMES_H
#define VST_LOCK_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include "vstor/abi_locks.h"

#define VST_LOCK_NAME 128

struct btf;
struct vst_lock_btf;

/* The kernel's types and its modules', read when first needed. They take 10 MiB: not to be kept. Never NULL but without memory. */
struct vst_lock_btf *vst_lock_btf_new(void);
void vst_lock_btf_free(struct vst_lock_btf *b);

/*
 * The lock of a type at an offset of a structure: "STRUCT.MEMBER.MEMBER" in buf[VST_LOCK_NAME]. -ENOENT: there is no such
 * structure, or what lies there is no such lock.
 */
int vst_lock_name_field(const struct btf *btf, const char *structure, __u32 offset, enum vst_lock_type type, char *buf);

/* The structure that a slab cache holds, and the module that defines it; NULL: objects of many types, or not known. */
const char *vst_lock_name_structure(const char *cache, const char **ret_module);

/*
 * Which lock a function takes, by the stack: a variable of the kernel, or else one in memory; no_member: one that no slab cache
 * of the table holds. NULL: not known.
 */
const char *vst_lock_name_taken(const struct vst_lock_caller *caller, enum vst_lock_type type, bool variable,
				bool no_member);

/*
 * Names a class, in buf[VST_LOCK_NAME], as well as can be. slabs: what lies in a slab cache is known as such here.
 * *ret_opaque: only callers tell locks like this one apart.
 */
enum vst_lock_named_by vst_lock_name(struct vst_lock_btf *btf, const struct vst_lock_class *class,
				     enum vst_lock_type type, bool slabs, char *buf, bool *ret_opaque);

/*
 * How to get from a lock called `name`, a member of a structure, to the file, file system or disk that it is about.
 * -ENOENT: not known.
 */
int vst_lock_name_route(struct vst_lock_btf *btf, const char *name, enum vst_lock_type type,
			struct vst_lock_route *ret);

#endif /* VST_LOCK_NAMES_H */
