// SPDX-License-Identifier: GPL-2.0-only
/* What the product's own code decides for every bio of every request of one device, one event each. For tests only. */
#include "bpf/decide.bpf.h"
#include "tests/bpf/kind_trace.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 kt_dev; /* major << 20 | minor */
__u64 kt_lost;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 20);
} kt_events SEC(".maps");

struct kt_walk {
	struct vst_state *s;
	__u64 bio;
	__u32 left;
	__u32 opf;
};

/* What the page belongs to, as a hint for whoever looks into a wrong decision. */
static __always_inline void page_of(struct kt_event *e, __u64 bio)
{
	__u64 folio = vst_bio_folio(bio), mapping;

	e->mapping = mapping = folio ? vst_ptr(folio, struct folio, mapping) : 0;
	if (!mapping || (mapping & MAPPING_FLAGS))
		return;
	e->ino = vst_read(vst_ptr(mapping, struct address_space, host), struct inode, i_ino);
}

static long each_bio(__u32 i, struct kt_walk *w)
{
	struct kt_event *e;
	__u8 what;

	if (!w->bio || !w->left)
		return 1;
	e = bpf_ringbuf_reserve(&kt_events, sizeof(*e), 0);
	if (!e) {
		__sync_fetch_and_add(&kt_lost, 1);
		return 1;
	}
	__builtin_memset(e, 0, sizeof(*e));
	what = vst_what_decide(w->s, w->bio, vst_read(w->bio, struct bio, bi_opf)) >> 56;
	e->time = bpf_ktime_get_ns();
	e->sector = vst_read(w->bio, struct bio, bi_iter.bi_sector);
	e->bytes = vst_read(w->bio, struct bio, bi_iter.bi_size);
	if (e->bytes > w->left)
		e->bytes = w->left;
	e->opf = w->opf;
	e->op = vst_op_of(w->opf);
	e->kind = VST_WHAT_KIND(what);
	e->size = VST_WHAT_SIZE(what);
	e->end_io = vst_ptr(w->bio, struct bio, bi_end_io);
	page_of(e, w->bio);
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	w->left -= e->bytes;
	w->bio = vst_ptr(w->bio, struct bio, bi_next);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(kt_rq_issue, struct request *rq)
{
	struct kt_walk w = { .s = vst_state_get() };
	__u64 disk = vst_ptr(vst_ptr(rq, struct request, q), struct request_queue, disk);

	w.bio = vst_ptr(rq, struct request, bio);
	if (!w.s || !w.bio || vst_dev_of(disk) != kt_dev)
		return 0;
	w.left = vst_read(rq, struct request, __data_len);
	w.opf = vst_read(rq, struct request, cmd_flags);
	bpf_loop(4096, each_bio, &w, 0);
	return 0;
}
