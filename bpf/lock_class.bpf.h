/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which lock is it? The slab cache that it lies in and its offset in the object, from which the agent tells structure and
 * member; a variable's address; else the function that takes it. Each is a class with a number, which is remembered by
 * the lock's address. Memory may be used anew for something else, so once in SAMPLE waits it is looked for again. Only
 * then, and when something is new, a stack is walked.
 */
#ifndef VST_LOCK_CLASS_BPF_H
#define VST_LOCK_CLASS_BPF_H

#include "lock_object.bpf.h"

#define SAMPLE 256
#define FRAMES 16
#define IMAGE 0xffffffff80000000ULL /* x86-64: the kernel's image and its modules lie above, memory below */

extern struct kmem_cache *bpf_get_kmem_cache(__u64 addr) __ksym __weak; /* 6.13 */

struct vst_lock_stack {
	__u64 ip[FRAMES];
};

/* Before 6.2 an interrupt may overwrite it: then a lock is given another's caller until the next sample. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vst_lock_stack);
} vst_lock_stack SEC(".maps");

/* --- the slab cache --- */

/* The structure of the page, or of the first of those that it is one of. */
static __always_inline __u64 vst_lock_page_head(__u64 page)
{
	__u64 head = vst_ptr(page, struct page, compound_head);

	return head & 1 ? head - 1 : page;
}

/* A flag until 6.9; the highest byte of the page's type since 6.12. */
static __always_inline bool vst_lock_page_is_slab(__u64 page)
{
	if (bpf_core_enum_value_exists(enum pageflags, PG_slab))
		return vst_ptr(page, struct page, flags) >> bpf_core_enum_value(enum pageflags, PG_slab) & 1;
	if (bpf_core_enum_value_exists(enum pagetype, PGTY_slab) && bpf_core_field_exists(struct page, page_type))
		return (__u32)vst_word(page, bpf_core_field_offset(struct page, page_type)) >> 24 ==
		       bpf_core_enum_value(enum pagetype, PGTY_slab);
	return false;
}

/* By hand, where the kernel has no function for it but symbols that tell where the pages' structures are. */
static __always_inline __u64 vst_lock_slab_cache(const struct vst_lock_state *s, __u64 lock, __u64 *ret_slab)
{
	__u64 base, pages, page;

	if (!s->sym.page_offset_base || !s->sym.vmemmap_base || !bpf_core_field_exists(struct slab, slab_cache))
		return 0;
	base = vst_word(s->sym.page_offset_base, 0);
	pages = vst_word(s->sym.vmemmap_base, 0);
	if (lock < base || lock - base > 1ULL << 46) /* 64 TiB, the most that there is */
		return 0;
	page = vst_lock_page_head(pages + ((lock - base) >> 12) * bpf_core_type_size(struct page));
	if (!vst_lock_page_is_slab(page))
		return 0;
	*ret_slab = base + (page - pages) / bpf_core_type_size(struct page) * 4096;
	return vst_ptr(page, struct slab, slab_cache);
}

/*
 * The slab of an object, by the function of the kernel: slabs begin at a multiple of their size. Where memory was short
 * some are smaller than usual; what is taken for the beginning of such a slab mostly belongs to others.
 */
static __always_inline __u64 vst_lock_slab_guess(__u64 lock, __u64 *ret_slab)
{
	struct kmem_cache *found = bpf_get_kmem_cache(lock), *first;
	__u64 cache;
	__u32 oo;

	if (!found)
		return 0;
	cache = vst_address(found);
	oo = vst_word(cache, bpf_core_field_offset(struct kmem_cache, oo));
	*ret_slab = lock & ~((4096ULL << (oo >> 16)) - 1);
	if (oo >> 16 == (__u32)vst_word(cache, bpf_core_field_offset(struct kmem_cache, min)) >> 16)
		return cache;
	first = bpf_get_kmem_cache(*ret_slab);
	return first && vst_address(first) == cache ? cache : 0;
}

static __always_inline bool vst_lock_in_slab(const struct vst_lock_state *s, __u64 lock, __u64 *ret_cache,
					     __u64 *ret_offset)
{
	__u64 cache, slab = 0;
	__u32 at, size;

	cache = bpf_get_kmem_cache ? vst_lock_slab_guess(lock, &slab) : vst_lock_slab_cache(s, lock, &slab);
	if (!cache)
		return false;
	size = vst_word(cache, bpf_core_field_offset(struct kmem_cache, size));
	at = lock - slab;
	if (bpf_core_field_exists(struct kmem_cache, red_left_pad))
		at -= (__u32)vst_word(cache, bpf_core_field_offset(struct kmem_cache, red_left_pad));
	*ret_cache = cache;
	*ret_offset = size ? at % size : at;
	return true;
}

/* --- classes --- */

static const char symbol_format[] = "%ps";

static __always_inline void vst_lock_symbol(char *buf, __u32 size, __u64 addr)
{
	bpf_snprintf(buf, size, symbol_format, &addr, sizeof(addr));
}

/*
 * The class of a lock, with CLASS_NEW if it is to be described, or CLASS_OPAQUE; 0: no room. Global, here and below: the
 * verifier looks at it once and not again on every path, and its code is there once.
 */
#define CLASS_NEW (1U << 31)
#define CLASS_OPAQUE (1U << 30)

__noinline __u32 vst_lock_class_find(__u32 kind, __u64 a, __u64 offset)
{
	__u64 hash = vst_lock_mix(a, offset << 3 | kind), tag = vst_lock_tag(hash);
	__u32 place = hash >> (64 - VST_LOCK_CLASS_BITS), way;
	struct vst_lock_tags *set = bpf_map_lookup_elem(&vst_lock_ctags, &place);

	if (!set)
		return 0;
	place *= VST_LOCK_WAYS;
	way = vst_lock_way(set->tag, tag);
	if (way < VST_LOCK_WAYS)
		return place + way;
	way = vst_lock_way(set->tag, tag | VST_LOCK_OPAQUE);
	if (way < VST_LOCK_WAYS)
		return (place + way) | CLASS_OPAQUE;
	way = vst_lock_way_take(set->tag, tag);
	return way < VST_LOCK_WAYS ? (place + way) | CLASS_NEW : 0;
}

/* --- callers --- */

/* Spinning is in a part of the kernel's text of its own, sleeping in that of the scheduler, which spins too. */
static __always_inline bool vst_lock_is_lock_code(const struct vst_lock_state *s, __u64 ip, bool spins)
{
	if (ip >= s->sym.lock_text && ip < s->sym.lock_text_end)
		return true;
	return !spins && ((ip >= s->sym.sched_text && ip < s->sym.sched_text_end) ||
			  (s->sym.percpu_wait && ip - s->sym.percpu_wait < 512));
}

/* How many of the n frames are lock code's and what lies above it; 0: all of them. */
__noinline __u32 vst_lock_stack_skip(__u32 n, bool spins)
{
	struct vst_lock_state *s = vst_lock_state_get();
	struct vst_lock_stack *stack;
	bool inside = false;
	__u32 zero = 0, i;

	stack = bpf_map_lookup_elem(&vst_lock_stack, &zero);
	for (i = 0; s && stack && i < FRAMES - 1; i++) {
		if (i >= n)
			break;
		if (vst_lock_is_lock_code(s, stack->ip[i], spins))
			inside = true;
		else if (inside)
			return i;
	}
	return 0;
}

/* The first frame outside lock code, which takes the lock, and the two above it. 0: not found. */
#define CALLERS 3
static __always_inline void vst_lock_callers(void *ctx, bool spins, __u64 ret[CALLERS])
{
	struct vst_lock_stack *stack;
	__u32 zero = 0, skip, i;
	long n;

	for (i = 0; i < CALLERS; i++)
		ret[i] = 0;
	stack = bpf_map_lookup_elem(&vst_lock_stack, &zero);
	if (!stack)
		return;
	n = bpf_get_stack(ctx, stack->ip, sizeof(stack->ip), 0);
	skip = n > 0 ? vst_lock_stack_skip(n / sizeof(stack->ip[0]), spins) : 0;
	barrier_var(skip); /* the compiler knows how large it may be, the verifier does not */
	if (!skip)
		return;
	for (i = 0; i < CALLERS; i++)
		if ((skip + i) * sizeof(stack->ip[0]) < (__u64)n)
			ret[i] = stack->ip[(skip + i) % FRAMES];
}

/* Adds to the callers of a class, unless it is known or there are enough. */
__noinline int vst_lock_class_caller(__u32 class, __u64 ip, __u64 by, __u64 above)
{
	struct vst_lock_class *c = bpf_map_lookup_elem(&vst_lock_classes, &class);
	__u32 i;

	if (!c || !ip)
		return 0;
	for (i = 0; i < VST_LOCK_CALLERS; i++) {
		if (c->callers[i].ip == ip)
			return 0;
		if (c->callers[i].ip)
			continue;
		c->callers[i].ip = ip;
		vst_lock_symbol(c->callers[i].name, sizeof(c->callers[i].name), ip);
		vst_lock_symbol(c->callers[i].by, sizeof(c->callers[i].by), by);
		vst_lock_symbol(c->callers[i].above, sizeof(c->callers[i].above), above);
		c->n_callers = i + 1; /* from here on the agent reads it */
		return 0;
	}
	return 0;
}

/* Fills in what is known of a new class. Two CPUs that meet a lock at the same moment may do so twice. */
__noinline __u32 vst_lock_class_describe(__u32 class, __u32 kind, __u64 a, __u64 offset)
{
	struct vst_lock_class *c = bpf_map_lookup_elem(&vst_lock_classes, &class);

	if (!c)
		return 0;
	c->a = a;
	c->offset = offset;
	if (kind == VST_LOCK_KIND_SLAB)
		bpf_probe_read_kernel_str(c->name, sizeof(c->name), (const void *)vst_ptr(a, struct kmem_cache, name));
	else if (kind == VST_LOCK_KIND_STATIC)
		vst_lock_symbol(c->name, sizeof(c->name), a);
	barrier();
	c->kind = kind;
	return class;
}

/*
 * Is it one of the locks of a super block that are held while its file system is frozen, and hardly else? Each of them is a
 * class by itself, so that frozen file systems are told apart. 0: it is none.
 */
__noinline __u32 vst_lock_class_freeze(__u64 lock)
{
	__u32 size = bpf_core_type_size(struct percpu_rw_semaphore), class, level;
	__s32 offset = bpf_core_field_offset(struct super_block, s_writers.rw_sem);
	struct vst_lock_route *route;
	struct vst_lock_class *c;
	const struct super_block *sb;

	for (level = 0; level < SB_FREEZE_LEVELS; level++, offset += size) {
		sb = (const void *)(lock - offset);
		if (vst_lock_is_super(sb))
			break;
	}
	if (level == SB_FREEZE_LEVELS)
		return 0;
	class = vst_lock_class_find(VST_LOCK_KIND_FREEZE, member_of(sb, struct super_block, s_dev), level);
	if (!(class & CLASS_NEW))
		return class;
	class &= ~CLASS_NEW;
	c = bpf_map_lookup_elem(&vst_lock_classes, &class);
	route = bpf_map_lookup_elem(&vst_lock_routes, &class);
	if (!c || !route)
		return 0;
	c->a = member_of(sb, struct super_block, s_dev);
	c->offset = level;
	bpf_probe_read_kernel_str(c->name, sizeof(c->name),
				  (const char *)sb + bpf_core_field_offset(struct super_block, s_id));
	route->offset = -offset;
	barrier();
	route->kind = VST_LOCK_OBJECT_SUPER;
	c->kind = VST_LOCK_KIND_FREEZE;
	return class;
}

static __noinline __u32 vst_lock_class_look(void *ctx, __u64 lock, __u32 type)
{
	bool spins = type == VST_LOCK_SPINLOCK || type == VST_LOCK_RWLOCK;
	struct vst_lock_state *s = vst_lock_state_get();
	__u32 kind = VST_LOCK_KIND_STATIC, class = CLASS_OPAQUE;
	__u64 a = lock, offset = 0, ip[CALLERS];

	if (!s)
		return 0;
	if (type == VST_LOCK_PERCPU_RWSEM && lock < IMAGE) {
		class = vst_lock_class_freeze(lock);
		if (class)
			return class;
		class = CLASS_OPAQUE;
	}
	if (lock < IMAGE)
		kind = vst_lock_in_slab(s, lock, &a, &offset) ? VST_LOCK_KIND_SLAB : VST_LOCK_KIND_CALLER;
	if (kind != VST_LOCK_KIND_CALLER)
		class = vst_lock_class_find(kind, a, offset);
	if (kind == VST_LOCK_KIND_SLAB && !(class & (CLASS_NEW | CLASS_OPAQUE)))
		return class;
	vst_lock_callers(ctx, spins, ip);
	if (class & CLASS_OPAQUE) {
		kind = VST_LOCK_KIND_CALLER;
		a = ip[0] ?: 1; /* nothing but lock code in the stack */
		offset = 0;
		class = vst_lock_class_find(kind, a, offset);
	}
	if (kind == VST_LOCK_KIND_STATIC || class & CLASS_NEW)
		vst_lock_class_caller(class & ~CLASS_NEW, ip[0], ip[1], ip[2]);
	if (class & CLASS_NEW)
		vst_lock_class_describe(class & ~CLASS_NEW, kind, a, offset);
	return class & ~CLASS_NEW;
}

/* random: any number that changes with every wait. */
static __always_inline __u32 vst_lock_class(void *ctx, struct vst_lock_own *own, __u64 lock, __u8 type, __u64 random)
{
	bool spins = type == VST_LOCK_SPINLOCK || type == VST_LOCK_RWLOCK;
	__u64 h = vst_lock_hash(lock | spins), *memo = &own->memo[h >> (64 - MEMO_BITS)];
	__u32 class;

	if ((*memo ^ h << MEMO_BITS) < 1 << MEMO_BITS && random % SAMPLE)
		return *memo & ((1 << MEMO_BITS) - 1);
	class = vst_lock_class_look(ctx, lock, type);
	if (*memo != (h << MEMO_BITS | class)) /* else the line stays with all CPUs */
		*memo = h << MEMO_BITS | class;
	return class;
}
#endif /* VST_LOCK_CLASS_BPF_H */
