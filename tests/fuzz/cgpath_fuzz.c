/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Any bytes but NUL as a cgroup's path, and its names.
 *
 * LINK: agent/who/cgpath.c agent/who/runtime.c agent/who/runtime_file.c agent/who/runtime_find.c agent/who/labels.c
 * LIBS: -ljansson
 * RUN: -max_len=5000
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/who/runtime.h"

#define CHECK(what)                                                                                                    \
	do {                                                                                                           \
		if (!(what))                                                                                           \
			abort();                                                                                       \
	} while (0)

static bool within(const char *p, size_t n, const uint8_t *data, size_t size)
{
	const char *begin = (const char *)data;

	return !n || (p >= begin && n <= size && (size_t)(p - begin) <= size - n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vst_cgpath cg, again;
	char buf[VST_DISPLAY_MAX];
	struct vst_names names;

	size = strnlen((const char *)data, size);
	CHECK(!vst_cgpath_parse_len((const char *)data, size, &cg));
	CHECK(within(cg.id, cg.id_len, data, size));
	CHECK(within(cg.ns, cg.ns_len, data, size));
	CHECK(cg.scope_len <= size && cg.outer_len <= cg.scope_len);
	CHECK(cg.kind != VST_CGKIND_CONTAINER || (cg.id && cg.id_len && cg.scope_len));
	CHECK(strlen(cg.pod_uid) < VST_POD_UID_MAX);
	vst_names_from_path(&cg, &names);
	CHECK(*vst_names_display(&names, buf, sizeof(buf)));

	/* The identity of an identity is itself, and what is around a container is one. */
	CHECK(!vst_cgpath_parse_len((const char *)data, cg.scope_len, &again));
	CHECK(again.kind == cg.kind && again.scope_len == cg.scope_len && again.id == cg.id &&
	      again.id_len == cg.id_len);
	if (cg.outer_len) {
		CHECK(!vst_cgpath_parse_len((const char *)data, cg.outer_len, &again));
		CHECK(again.kind == VST_CGKIND_CONTAINER && again.scope_len == cg.outer_len && !again.outer_len);
	}
	return 0;
}
