/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/arena.h"

#define CHUNK 16384

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char data[];
};

struct vst_arena {
	struct chunk *chunk;
};

struct vst_arena *vst_arena_new(void)
{
	return calloc(1, sizeof(struct vst_arena));
}

void vst_arena_free(struct vst_arena *arena)
{
	if (!arena)
		return;
	for (struct chunk *c = arena->chunk, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(arena);
}

static struct chunk *chunk_new(struct vst_arena *arena, size_t size)
{
	size_t n = size > CHUNK ? size : CHUNK;
	struct chunk *c = calloc(1, sizeof(*c) + n);

	if (!c)
		return NULL;
	c->size = n;
	c->next = arena->chunk;
	arena->chunk = c;
	return c;
}

void *vst_arena_alloc(struct vst_arena *arena, size_t n, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct chunk *c = arena->chunk;
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	bytes = bytes ? (bytes + align - 1) / align * align : align;
	if (!c || c->size - c->used < bytes)
		c = chunk_new(arena, bytes);
	if (!c)
		return NULL;
	p = c->data + c->used;
	c->used += bytes;
	return p;
}

char *vst_arena_text(struct vst_arena *arena, const char *text, size_t len)
{
	char *p = vst_arena_alloc(arena, len + 1, 1);

	if (p)
		memcpy(p, text, len);
	return p;
}
