// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices without a request queue: dm, md, bcache, zram. Their I/O is a bio from its submission to its end; what they
 * send to the devices below shows there as well, in rows of that layer. Attached only while there is such a device,
 * for these two tracepoints fire for every bio of every device.
 */
#include "complete.bpf.h"
#include "walk.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline bool is_stacked(__u64 disk)
{
	return disk && !vst_ptr(vst_ptr(disk, struct gendisk, queue), struct request_queue, mq_ops);
}

static __always_inline __u32 vst_hint_of_bio(const struct bio *bio)
{
	return vst_hint_of_call() ?: vst_hint_of_ioprio(vst_read(bio, struct bio, bi_ioprio));
}

SEC("tp_btf/block_bio_queue")
int BPF_PROG(vst_bio_queue, struct bio *bio)
{
	__u64 disk = vst_ptr(vst_ptr(bio, struct bio, bi_bdev), struct block_device, bd_disk), addr;
	__u32 bytes = vst_read(bio, struct bio, bi_iter.bi_size), at, row;
	struct vst_state *s = vst_state_get();
	blk_opf_t opf;
	__u8 op;

	if (!s || !is_stacked(disk))
		return 0;
	addr = vst_identity(bio, s);
	at = vst_place_claim(vst_home_of(addr << 1), addr);
	if (at >= PLACES) {
		vst_lose(vst_dev_of(disk), VST_LOSS_NO_CELL, 1, bytes);
		return 0;
	}
	if (IN_STATE(vst_in(at)->what) == IN_ISSUED) /* a bio at this address before: it was freed, so it has ended */
		vst_settle_last(at, vst_more(at)->dev, VST_LAYER_STACKED);
	opf = vst_read(bio, struct bio, bi_opf);
	op = vst_op_of(opf);
	if (op == VST_OP_WRITE && !bytes)
		op = VST_OP_FLUSH;
	vst_more(at)->queued_ns = 0;
	vst_more(at)->dev = vst_dev_of(disk);
	/* at its end the bio does not tell how large it was */
	vst_inflight_begin(at, addr, bpf_ktime_get_ns(), bytes, true);
	row = vst_decide(s, at, vst_address(bio), opf, TASK_IS_CURRENT,
			 VST_SORT(op, VST_LAYER_STACKED, 0) | vst_hint_of_bio(bio) << SORT_HINT_SHIFT, true, bytes);
	vst_inflight_issue(at, addr, row);
	return 0;
}

SEC("tp_btf/block_bio_complete")
int BPF_PROG(vst_bio_complete, struct request_queue *q, struct bio *bio)
{
	struct vst_state *s = vst_state_get();
	struct vst_inflight_more *more;
	__u64 addr, what, when;
	__u32 at, bytes, dev;

	if (!s)
		return 0;
	addr = vst_identity(bio, s);
	at = vst_place_find(vst_home_of(addr << 1), addr);
	/*
	 * Not ours: a leaf's, or under way when the probe was attached. A driver may have sent the bio on to another
	 * device, so its device at the end says nothing.
	 */
	if (at >= PLACES || IN_STATE(vst_in(at)->what) != IN_ISSUED)
		return 0;
	what = vst_in(at)->what;
	when = vst_in(at)->when;
	more = vst_more(at);
	dev = more->dev;
	bytes = vst_complete_parts(more, dev, vst_bytes_left(more));
	barrier(); /* somebody else's from here on */
	vst_in(at)->what = what & IN_PLACE;
	if (!vst_count(IN_ROW(what), true, bytes, vst_read(bio, struct bio, bi_status), 0, when, bpf_ktime_get_ns()))
		vst_lose(dev, VST_LOSS_NO_CELL, 1, bytes);
	return 0;
}
