/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What applications say about their I/O, and what the agent found out about files. Both reach the row of an I/O as marks:
 * the upper bits of its "sort", see decide.bpf.h.
 *
 *	bits 25-27	the class that the application gave, plus 1; 0: none
 *	bits 28-31	enum vst_pattern, without HINTED
 */
#ifndef VST_HINT_BPF_H
#define VST_HINT_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"
#include "task.bpf.h"
#include "vstor/hint.h"

#define SORT_HINT_SHIFT 25
#define SORT_HINT (7U << SORT_HINT_SHIFT)
#define SORT_PATTERN_SHIFT 28
#define SORT_PATTERN(pattern) (1U << (SORT_PATTERN_SHIFT + (pattern)))
#define SORT_MARKS (SORT_HINT | 15U << SORT_PATTERN_SHIFT)
_Static_assert(VST_PATTERN_HINTED == 4 && VST_PATTERN__N == 5, "four bits, and that there is a hint says the fifth");
_Static_assert(VSTOR_HINT_CLASS_MAX == VST_CLASS_MAX && VST_CLASS_MAX + 1 <= 7, "three bits, 0 is none");

/* Global functions, so that the verifier looks at each once and not again on every path through its callers. */

static __always_inline __u32 vst_hint_take(struct vst_state *s, int class)
{
	if (class < 0)
		return 0;
	if (class <= VST_CLASS_MAX)
		return class + 1;
	__sync_fetch_and_add(&s->hints_refused, 1);
	return 0;
}

/*
 * Of the system call that the current task is in, by its unused argument. The registers of the call are at the
 * end of the task's stack, which the processor has just used.
 */
__noinline __u32 vst_hint_of_call(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vst_state *s = vst_state_get();
	const struct pt_regs *regs;

	if (!s || task->flags & PF_KTHREAD)
		return 0;
	regs = (const struct pt_regs *)bpf_task_pt_regs(task);
	return vst_hint_take(s, VSTOR_HINT_DECODE(regs->si, regs->r9));
}

__noinline __u32 vst_hint_of_ioprio(__u32 ioprio)
{
	struct vst_state *s = vst_state_get();

	if (!s)
		return 0;
	return vst_hint_take(s, VSTOR_IOPRIO_DECODE(ioprio));
}

/* What is noted of an inode; NULL: nothing. */
static __always_inline struct vst_mark *vst_mark_of(__u64 inode)
{
	__u32 place = vst_mark_place(inode);
	struct vst_mark *m = bpf_map_lookup_elem(&vst_marks, &place);

	if (!m || m->inode != inode || m->ino != (__u32)vst_read(inode, struct inode, i_ino))
		return NULL;
	return m;
}

/* A buffered write with a hint makes a page dirty: whoever writes it out finds the hint with the file. */
static __always_inline void vst_mark_hint(__u64 inode, __u32 hint)
{
	__u32 place = vst_mark_place(inode), ino = vst_read(inode, struct inode, i_ino);
	struct vst_mark *m = bpf_map_lookup_elem(&vst_marks, &place);

	if (!m)
		return;
	if (m->inode != inode || m->ino != ino) {
		m->inode = 0; /* nobody finds it half made */
		m->ino = ino;
		m->patterns = 0;
		m->hint = hint;
		barrier();
		m->inode = inode;
	} else if (m->hint != hint) {
		m->hint = hint;
	}
	if (m->age)
		m->age = 0;
}

/* The marks of data of an inode, to those that came with the I/O itself. */
__noinline __u32 vst_marks_of_inode(__u64 inode, __u32 marks, bool write)
{
	struct vst_mark *m = vst_mark_of(inode);
	__u32 hint = marks & SORT_HINT;

	if (m) {
		marks |= (__u32)(m->patterns & 15) << SORT_PATTERN_SHIFT;
		if (!hint)
			hint = (__u32)m->hint << SORT_HINT_SHIFT & SORT_HINT;
	}
	if (!hint && write)
		hint = (__u32)vst_hint_of_lifetime(vst_inode_write_hint(inode)) << SORT_HINT_SHIFT;
	return (marks & ~SORT_HINT) | hint;
}
#endif /* VST_HINT_BPF_H */
