// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probes/symbols.h"

/* Every name that is asked for, and where its address goes. */
static const struct {
	const char *name;
	size_t offset;
} wanted[] = {
#define X(f, s, w) { s, offsetof(struct vst_symbols, origin[VST_ORIGIN_##f]) },
	VST_SYMBOLS(X)
#undef X
#define X(f, s) { s, offsetof(struct vst_symbols, lock.f) },
		VST_LOCK_SYMBOLS(X)
#undef X
};
#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

/* "ffffffff81000000 T name" and, of a module, "\t[module]". Cut by hand: scanf takes as long as the kernel to make it. */
static char *cut(char *line, unsigned long long *ret_addr)
{
	char *end, *name;

	*ret_addr = strtoull(line, &end, 16);
	if (end == line || end[0] != ' ' || !end[1] || end[2] != ' ')
		return NULL;
	name = end + 3;
	name[strcspn(name, "\t\n")] = '\0';
	return name;
}

int vst_symbols_read(const char *path, struct vst_symbols *ret)
{
	struct vst_symbols s = { 0 };
	unsigned long long addr;
	char line[1024], *name;
	FILE *f;

	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		name = cut(line, &addr);
		for (size_t i = 0; name && i < WANTED; i++)
			if (name[0] == wanted[i].name[0] && !strcmp(name, wanted[i].name))
				*(__u64 *)((char *)&s + wanted[i].offset) = addr;
	}
	if (ferror(f)) {
		fclose(f);
		return -EIO;
	}
	fclose(f);
	*ret = s;
	return 0;
}

bool vst_symbols_any(const struct vst_symbols *s)
{
	for (int i = 1; i < VST_ORIGIN__N; i++)
		if (s->origin[i])
			return true;
	return false;
}
