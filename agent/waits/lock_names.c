// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "agent/waits/lock_names.h"
#include "agent/waits/lock_tables.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* --- types --- */

/* Types that are a lock where they begin. X(name in BTF, type) */
#define LOCK_TYPES(X)                                                                                                  \
	X("qspinlock", SPINLOCK)                                                                                       \
	X("raw_spinlock", SPINLOCK)                                                                                    \
	X("spinlock", SPINLOCK)                                                                                        \
	X("lockref", SPINLOCK)                                                                                         \
	X("qrwlock", RWLOCK)                                                                                           \
	X("rwlock_t", RWLOCK)                                                                                          \
	X("mutex", MUTEX)                                                                                              \
	X("ww_mutex", MUTEX)                                                                                           \
	X("rw_semaphore", RWSEM)                                                                                       \
	X("percpu_rw_semaphore", PERCPU_RWSEM)                                                                         \
	X("rt_mutex_base", RTMUTEX)                                                                                    \
	X("rt_mutex", RTMUTEX)                                                                                         \
	X("semaphore", SEMAPHORE)

static bool is_lock(const char *name, enum vst_lock_type type)
{
#define X(n, t)                                                                                                        \
	if (type == VST_LOCK_##t && !strcmp(name, n))                                                                  \
		return true;
	LOCK_TYPES(X)
#undef X
	return false;
}

/*
 * Is there such a lock at this offset of type id? Its path, ".member.member", is appended to buf. Members of a union are
 * tried in turn; a typedef counts by its own name as well as by the name of what it stands for.
 */
static bool find_field(const struct btf *btf, __u32 id, __u32 offset, enum vst_lock_type type, char *buf, int depth)
{
	const struct btf_type *t = btf__type_by_id(btf, id);
	const struct btf_member *m;
	size_t len = strlen(buf);
	__s64 size;

	for (; t && (btf_is_typedef(t) || btf_is_mod(t)); id = t->type, t = btf__type_by_id(btf, id))
		if (!offset && btf_is_typedef(t) && is_lock(btf__name_by_offset(btf, t->name_off), type))
			return true;
	if (!t || depth > 12)
		return false;
	if (btf_is_array(t)) {
		size = btf__resolve_size(btf, btf_array(t)->type);
		return size > 0 && offset < size * btf_array(t)->nelems &&
		       find_field(btf, btf_array(t)->type, offset % size, type, buf, depth + 1);
	}
	if (!btf_is_composite(t))
		return false;
	if (!offset && is_lock(btf__name_by_offset(btf, t->name_off), type))
		return true;
	m = btf_members(t);
	for (int i = 0; i < btf_vlen(t); i++, m++) {
		const char *name = btf__name_by_offset(btf, m->name_off);
		__u32 at = btf_member_bit_offset(t, i) / 8;

		size = btf__resolve_size(btf, m->type);
		if (size <= 0 || offset < at || offset >= at + size)
			continue;
		if (*name) /* the members of a structure without a name are its parent's */
			snprintf(buf + len, VST_LOCK_NAME - len, ".%s", name);
		if (find_field(btf, m->type, offset - at, type, buf, depth + 1))
			return true;
		buf[len] = 0;
	}
	return false;
}

int vst_lock_name_field(const struct btf *btf, const char *structure, __u32 offset, enum vst_lock_type type, char *buf)
{
	int id = btf__find_by_name_kind(btf, structure, BTF_KIND_STRUCT);

	if (id < 0)
		return -ENOENT;
	snprintf(buf, VST_LOCK_NAME, "%s", structure);
	return find_field(btf, id, offset, type, buf, 0) ? 0 : -ENOENT;
}

/* --- tables --- */

const char *vst_lock_name_structure(const char *cache, const char **ret_module)
{
	static const struct {
		const char *cache, *structure, *module;
	} table[] = {
#define X(c, s, m) { c, s, m },
		VST_LOCK_CACHES(X)
#undef X
	};

	for (size_t i = 0; i < N(table); i++) {
		if (strcmp(cache, table[i].cache))
			continue;
		*ret_module = table[i].module;
		return table[i].structure;
	}
	return NULL;
}

/* Is the symbol, without what the compiler appended (".isra.0") and its module (" [ext4]"), one of the words? */
static bool is_among(const char *symbol, const char *words)
{
	size_t len = strcspn(symbol, ". ");

	for (; *words; words += strcspn(words, " "), words += *words == ' ')
		if (strcspn(words, " ") == len && !strncmp(symbol, words, len))
			return true;
	return false;
}

const char *vst_lock_name_taken(const struct vst_lock_caller *caller, enum vst_lock_type type, bool variable,
				bool no_member)
{
	enum { ALONE, MEMBER };
	static const struct {
		const char *lock, *by, *functions;
		enum vst_lock_type type;
		int how;
	} table[] = {
#define X(l, t, h, b, f) { l, b, f, VST_LOCK_##t, h },
		VST_LOCK_TAKERS(X)
#undef X
	};

	for (size_t i = 0; i < N(table); i++) {
		bool member = strchr(table[i].lock, '.');

		if (table[i].type != type || (!member && !variable))
			continue;
		if (member && table[i].how == MEMBER && (variable || !no_member))
			continue;
		if (is_among(caller->name, table[i].functions) &&
		    (!*table[i].by || is_among(caller->by, table[i].by) || is_among(caller->above, table[i].by)))
			return table[i].lock;
	}
	return NULL;
}

/* --- the whole --- */

struct vst_lock_btf {
	struct btf *kernel;
	struct {
		const char *name;
		struct btf *btf; /* NULL: it is not loaded, or has no BTF */
	} module[8];
};

struct vst_lock_btf *vst_lock_btf_new(void)
{
	return calloc(1, sizeof(struct vst_lock_btf));
}

void vst_lock_btf_free(struct vst_lock_btf *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < N(b->module); i++)
		btf__free(b->module[i].btf);
	btf__free(b->kernel);
	free(b);
}

static const struct btf *module_btf(struct vst_lock_btf *b, const char *name)
{
	size_t i;

	for (i = 0; i < N(b->module) && b->module[i].name; i++)
		if (!strcmp(b->module[i].name, name))
			return b->module[i].btf;
	if (i == N(b->module))
		return NULL;
	b->module[i].name = name;
	b->module[i].btf = btf__load_module_btf(name, b->kernel);
	return b->module[i].btf;
}

static int name_by_field(struct vst_lock_btf *b, const char *cache, __u32 offset, enum vst_lock_type type, char *buf)
{
	const char *structure, *module;
	const struct btf *btf;
	int err;

	structure = vst_lock_name_structure(cache, &module);
	if (!structure)
		return -ENOENT;
	if (!b->kernel)
		b->kernel = btf__load_vmlinux_btf();
	if (!b->kernel)
		return -errno;
	err = vst_lock_name_field(b->kernel, structure, offset, type, buf);
	btf = err && *module ? module_btf(b, module) : NULL;
	return btf ? vst_lock_name_field(btf, structure, offset, type, buf) : err;
}

/* bpf_snprintf() prints the address of what has no symbol. */
static bool is_symbol(const char *name)
{
	return *name && strncmp(name, "0x", 2);
}

static bool name_by_caller(const struct vst_lock_class *class, enum vst_lock_type type, bool no_member, char *buf)
{
	const struct vst_lock_caller *c;
	const char *lock;
	__u64 n = class->n_callers, i;

	for (i = 0; i < n && i < VST_LOCK_CALLERS; i++) {
		c = &class->callers[i];
		lock = vst_lock_name_taken(c, type, class->kind == VST_LOCK_KIND_STATIC, no_member);
		if (!lock)
			continue;
		snprintf(buf, VST_LOCK_NAME, "%s", lock);
		return true;
	}
	c = &class->callers[0];
	if (!n || !is_symbol(c->name))
		return false;
	snprintf(buf, VST_LOCK_NAME, "%.*s()", (int)strcspn(c->name, ". "), c->name);
	return true;
}

enum vst_lock_named_by vst_lock_name(struct vst_lock_btf *btf, const struct vst_lock_class *class,
				     enum vst_lock_type type, bool slabs, char *buf, bool *ret_opaque)
{
	*ret_opaque = false;
	if (class->kind == VST_LOCK_KIND_SLAB && !name_by_field(btf, class->name, (__u32) class->offset, type, buf))
		return VST_LOCK_BY_FIELD;
	if (class->kind == VST_LOCK_KIND_STATIC && is_symbol(class->name)) {
		snprintf(buf, VST_LOCK_NAME, "%.*s", (int)strcspn(class->name, " "), class->name);
		return VST_LOCK_BY_SYMBOL;
	}
	if (class->kind == VST_LOCK_KIND_FREEZE) {
		snprintf(buf, VST_LOCK_NAME, "super_block.s_writers");
		return VST_LOCK_BY_FIELD;
	}
	*ret_opaque = class->kind == VST_LOCK_KIND_SLAB;
	if (name_by_caller(class, type, slabs, buf))
		return VST_LOCK_BY_CALLER;
	if (class->kind == VST_LOCK_KIND_SLAB) {
		snprintf(buf, VST_LOCK_NAME, "%s+%llu", class->name, class->offset);
		return VST_LOCK_BY_CACHE;
	}
	snprintf(buf, VST_LOCK_NAME, "unknown");
	return VST_LOCK_BY_NONE;
}

/* --- where its object is --- */

/* Without typedefs; of an array, the type of the first of it. */
static const struct btf_type *type_of(const struct btf *btf, __u32 id, __u32 *ret_id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	for (; t && (btf_is_typedef(t) || btf_is_mod(t) || btf_is_array(t)); t = btf__type_by_id(btf, id))
		id = btf_is_array(t) ? btf_array(t)->type : t->type;
	*ret_id = id;
	return t;
}

/* A member of a structure, or of those without a name in it: its type, and its offset is added. */
static bool member_find(const struct btf *btf, __u32 id, const char *name, size_t len, __u32 *ret_type, __u32 *offset)
{
	const struct btf_type *t = type_of(btf, id, &id);
	const struct btf_member *m;
	__u32 inner;

	if (!t || !btf_is_composite(t))
		return false;
	m = btf_members(t);
	for (int i = 0; i < btf_vlen(t); i++, m++) {
		const char *is = btf__name_by_offset(btf, m->name_off);

		inner = *offset + btf_member_bit_offset(t, i) / 8;
		if (!*is ? !member_find(btf, m->type, name, len, ret_type, &inner) : strncmp(is, name, len) || is[len])
			continue;
		if (*is)
			*ret_type = m->type;
		*offset = inner;
		return true;
	}
	return false;
}

/* The same of "member.member", up to a space. */
static bool path_find(const struct btf *btf, __u32 id, const char *path, __u32 *ret_type, __u32 *offset)
{
	size_t len;

	*ret_type = id;
	for (; *path && *path != ' '; path += len + (path[len] == '.')) {
		len = strcspn(path, ". ");
		if (!member_find(btf, *ret_type, path, len, ret_type, offset))
			return false;
	}
	return true;
}

/* Follows the pointers of a row from a structure. */
static bool pointers_find(const struct btf *btf, __u32 id, const char *pointers, struct vst_lock_route *r)
{
	const struct btf_type *t;
	__u32 offset;

	for (r->n = 0; *pointers; r->n++) {
		offset = 0;
		if (r->n == VST_LOCK_ROUTE_STEPS || !path_find(btf, id, pointers, &id, &offset))
			return false;
		r->step[r->n] = offset;
		t = type_of(btf, id, &id);
		if (!t || !btf_is_ptr(t))
			return false;
		id = t->type;
		pointers += strcspn(pointers, " ");
		pointers += *pointers == ' ';
	}
	return true;
}

/* By the first row for the structure `id` that fits. at: the lock's offset in it. */
static bool route_of(const struct btf *btf, __u32 id, __s32 at, struct vst_lock_route *ret)
{
	static const struct {
		const char *structure, *member, *pointers;
		enum vst_lock_object_kind kind;
	} table[] = {
#define X(s, mod, m, p, k) { s, m, p, VST_LOCK_OBJECT_##k },
		VST_LOCK_ROUTES(X)
#undef X
	};
	const struct btf_type *t = type_of(btf, id, &id);
	const char *name = t ? btf__name_by_offset(btf, t->name_off) : "";

	for (size_t i = 0; i < N(table); i++) {
		struct vst_lock_route r = { .kind = table[i].kind };
		__u32 inner, offset = 0;

		if (strcmp(name, table[i].structure) || !path_find(btf, id, table[i].member, &inner, &offset) ||
		    !pointers_find(btf, inner, table[i].pointers, &r))
			continue;
		r.offset = (__s32)offset - at;
		*ret = r;
		return true;
	}
	return false;
}

static bool ends_in_lock(const struct btf *btf, __u32 id, enum vst_lock_type type)
{
	char path[VST_LOCK_NAME] = "";

	return find_field(btf, id, 0, type, path, 0);
}

/* The innermost structure on the way to the lock of which more is known. */
static int route_find(const struct btf *btf, const char *name, enum vst_lock_type type, struct vst_lock_route *ret)
{
	char structure[VST_LOCK_NAME];
	const char *dot = strchr(name, '.');
	__u32 id, whole = 0, at = 0;
	bool found = false;

	snprintf(structure, sizeof(structure), "%.*s", (int)(dot - name), name);
	id = btf__find_by_name_kind(btf, structure, BTF_KIND_STRUCT);
	if ((__s32)id < 0)
		return -ENOENT;
	if (!path_find(btf, id, dot + 1, &whole, &at) || !ends_in_lock(btf, whole, type))
		return -ENOENT;
	for (__u32 passed = 0; dot; dot = strchr(dot + 1, '.')) {
		found = route_of(btf, id, (__s32)(at - passed), ret) || found;
		if (!member_find(btf, id, dot + 1, strcspn(dot + 1, "."), &id, &passed))
			break;
	}
	return found ? 0 : -ENOENT;
}

int vst_lock_name_route(struct vst_lock_btf *b, const char *name, enum vst_lock_type type, struct vst_lock_route *ret)
{
	static const struct {
		const char *structure, *module;
	} table[] = {
#define X(s, mod, m, p, k) { s, mod },
		VST_LOCK_ROUTES(X)
#undef X
	};
	size_t len = strcspn(name, "."), i;
	const struct btf *btf;

	for (i = 0; i < N(table); i++)
		if (strlen(table[i].structure) == len && !strncmp(name, table[i].structure, len))
			break;
	/* an inode may lie in any structure, but only BTF can have told, and that is there then */
	if (!name[len] || (i == N(table) && !b->kernel))
		return -ENOENT;
	if (!b->kernel)
		b->kernel = btf__load_vmlinux_btf();
	if (!b->kernel)
		return -errno;
	if (!route_find(b->kernel, name, type, ret))
		return 0;
	btf = i < N(table) && *table[i].module ? module_btf(b, table[i].module) : NULL;
	return btf ? route_find(btf, name, type, ret) : -ENOENT;
}
