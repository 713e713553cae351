/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that is released all at once: for what is built in one go and then never changes. */
#ifndef VST_POLICY_ARENA_H
#define VST_POLICY_ARENA_H

#include <stddef.h>

struct vst_arena;

/* NULL if out of memory. */
struct vst_arena *vst_arena_new(void);
/* NULL is fine. */
void vst_arena_free(struct vst_arena *arena);
static inline void vst_arena_freep(struct vst_arena **arena)
{
	vst_arena_free(*arena);
}

/* Zeroed memory for n elements, aligned for any type; NULL if out of memory. n may be 0. */
void *vst_arena_alloc(struct vst_arena *arena, size_t n, size_t size);
/* A copy of len bytes and a NUL; NULL if out of memory. */
char *vst_arena_text(struct vst_arena *arena, const char *text, size_t len);

#endif /* VST_POLICY_ARENA_H */
