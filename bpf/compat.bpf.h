/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between kernels, and nothing else. Each says since when, and when it can go.
 */
#ifndef VST_COMPAT_BPF_H
#define VST_COMPAT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/*
 * Reading through a pointer that the verifier does not know (void *, tagged or computed): with bpf_rdonly_cast a
 * plain load, 1-2 ns; without it bpf_probe_read_kernel, about 20 ns.
 * bpf_rdonly_cast: a35b9af4ec2c, 6.2. The other arm can go when 6.1 does (end of life December 2026). The kernel's
 * BTF tells: the verifier has an enum of the functions that it treats specially. Asked this way the answer is a
 * constant in the program, while a variable would be loaded each time.
 */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

#define VST_HAVE_CAST bpf_core_enum_value_exists(enum special_kfunc_type, KF_bpf_rdonly_cast)

/*
 * A tracepoint program does not interrupt itself on one CPU since 6.2 (05b24ff9b2cf): a counter that one program
 * writes needs no atomic addition. Before, an interrupt may come in between. Nothing in BTF tells; the cast came
 * with the same release.
 */
#define VST_HAVE_GUARD VST_HAVE_CAST

#define vst_add(p, n)                                                                                                  \
	do {                                                                                                           \
		if (VST_HAVE_GUARD)                                                                                    \
			*(p) += (n);                                                                                   \
		else                                                                                                   \
			__sync_fetch_and_add(p, n);                                                                    \
	} while (0)

/*
 * A typed pointer as a plain number, to compute with. The verifier forgets a pointer's type when a byte of its copy on
 * the stack is written; the byte is the highest, which is 0xff in every kernel address.
 */
static __always_inline __u64 vst_address(const void *p)
{
	volatile __u64 v = (__u64)p;

	((volatile __u8 *)&v)[sizeof(v) - 1] = 0xff;
	return v;
}

/*
 * A number that stands for the object p as long as the program is loaded, for tables: the verifier lets two
 * pointers be subtracted. Cheaper than the address.
 */
static __always_inline __u64 vst_identity(const void *p, const void *map_value)
{
	return (const char *)p - (const char *)map_value;
}

/*
 * Without the cast: a function, so that a program that has the cast has no trace of it on its stack. Static, for a global
 * one takes numbers only, no typed pointers.
 */
static __noinline __attribute__((unused)) __u64 vst_probe(const void *address)
{
	__u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), address);
	return word;
}

/*
 * The member p->field, of the type that vmlinux.h gives it. For numbers, in types of the kernel proper: the cast takes
 * no type of a module (filesystems are modules on Debian), there vst_ptr() reads 8 bytes of anything.
 */
#define vst_read(p, type, field)                                                                                       \
	({                                                                                                             \
		const void *__p = (const void *)(p); /* else its own members would be relocated too */                 \
		typeof(((type *)0)->field) __v;                                                                        \
		if (VST_HAVE_CAST)                                                                                     \
			__v = ((type *)bpf_rdonly_cast(__p, bpf_core_type_id_kernel(type)))->field;                    \
		else                                                                                                   \
			__v = (typeof(__v))vst_probe((const char *)__p + bpf_core_field_offset(type, field));          \
		__v;                                                                                                   \
	})

/* The 8 bytes at p + off, as a number: also where the type there is a pointer, whose low bits may be flags. */
#define vst_word(p, off)                                                                                               \
	({                                                                                                             \
		__u64 __w;                                                                                             \
		if (VST_HAVE_CAST)                                                                                     \
			__w = *(const __u64 *)((const char *)bpf_rdonly_cast(                                          \
						       (const void *)(p),                                              \
						       bpf_core_type_id_kernel(struct vm_event_state)) +               \
					       (off));                                                                 \
		else                                                                                                   \
			__w = vst_probe((const char *)(p) + (off));                                                    \
		__w;                                                                                                   \
	})

/* The pointer p->field as a number, to be followed by vst_read() and vst_ptr(). Offsets below about 800 only. */
#define vst_ptr(p, type, field) vst_word(p, bpf_core_field_offset(type, field))

/*
 * RQF_FLUSH_SEQ was (1 << 4); it is bit 1 since the flags became an enum in 6.11 (5f89154e8e9e). That enum had no name
 * at first, so it cannot be asked for; REQ_ATOMIC came with the same release.
 */
static __always_inline bool vst_rq_in_flush(req_flags_t flags)
{
	if (bpf_core_enum_value_exists(enum rqf_flags, __RQF_FLUSH_SEQ))
		return flags & (1U << bpf_core_enum_value(enum rqf_flags, __RQF_FLUSH_SEQ));
	if (bpf_core_enum_value_exists(enum req_flag_bits, __REQ_ATOMIC))
		return flags & (1U << 1);
	return flags & (1U << 4);
}

/* REQ_SWAP: 5.19; without it swap is known by its completion function. */
static __always_inline bool vst_bio_is_swap(blk_opf_t opf)
{
	if (bpf_core_enum_value_exists(enum req_flag_bits, __REQ_SWAP))
		return opf & (1U << bpf_core_enum_value(enum req_flag_bits, __REQ_SWAP));
	return false;
}

static __always_inline bool vst_bio_is_meta(blk_opf_t opf)
{
	return opf & (1U << bpf_core_enum_value(enum req_flag_bits, __REQ_META));
}

/*
 * Is a block device's page cache in the hands of a mounted filesystem? Since 6.5 (0718afd47f70) a holder that is a
 * filesystem has holder operations and mkfs, which opens exclusively too, has none. Before, any holder counts.
 */
static __always_inline bool vst_bdev_is_mounted(__u64 bdev)
{
	if (bpf_core_field_exists(struct block_device, bd_holder_ops))
		return vst_ptr(bdev, struct block_device, bd_holder_ops) != 0;
	return vst_ptr(bdev, struct block_device, bd_holder) != 0;
}

/*
 * Pages of a folio. The number stands in the second page of a large one, ._folio_nr_pages until it was renamed
 * ._nr_pages between 6.12 and 6.18.
 */
static __always_inline __u32 vst_folio_pages(__u64 folio)
{
	/* folio->flags is the first word */
	if (!(vst_word(folio, 0) & (1UL << bpf_core_enum_value(enum pageflags, PG_head))))
		return 1;
	if (bpf_core_field_exists(struct folio, _nr_pages))
		return vst_read(folio, struct folio, _nr_pages);
	if (bpf_core_field_exists(struct folio, _folio_nr_pages))
		return vst_read(folio, struct folio, _folio_nr_pages);
	return 1;
}

/*
 * What fcntl(F_SET_RW_HINT) said of an inode. It is in all kernels; its type was u8 until 6.9 made it an enum of one byte
 * (449813515d3e), and those two do not match when offsets are relocated.
 */
static __always_inline __u8 vst_inode_write_hint(__u64 inode)
{
	if (bpf_core_field_exists(struct inode___hint_enum, i_write_hint))
		return vst_ptr(inode, struct inode___hint_enum, i_write_hint);
	if (bpf_core_field_exists(struct inode___hint_u8, i_write_hint))
		return vst_ptr(inode, struct inode___hint_u8, i_write_hint);
	return 0;
}

/* A task's cgroups are looked up by numbers that depend on the kernel's configuration. */
static __always_inline int vst_memory_subsys(void)
{
	return bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
}

static __always_inline int vst_io_subsys(void)
{
	return bpf_core_enum_value(enum cgroup_subsys_id, io_cgrp_id);
}
#endif /* VST_COMPAT_BPF_H */
