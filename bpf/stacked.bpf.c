// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices without a request queue: dm, md, bcache, zram. Their I/O is a bio from its submission to its end; what they
 * send to the devices below shows there as well, in rows of that layer. Attached only while there is such a device,
 * for these two tracepoints fire for every bio of every device.
 */
#include "walk.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline bool is_stacked(__u64 disk)
{
	return disk && !vst_ptr(vst_ptr(disk, struct gendisk, queue), struct request_queue, mq_ops);
}

SEC("tp_btf/block_bio_queue")
int BPF_PROG(vst_bio_queue, struct bio *bio)
{
	__u64 disk = vst_ptr(vst_ptr(bio, struct bio, bi_bdev), struct block_device, bd_disk);
	__u32 bytes = vst_read(bio, struct bio, bi_iter.bi_size);
	struct vst_state *s = vst_state_get();
	struct vst_inflight *in;
	struct vst_io io = {};
	bool fresh;

	if (!s || !is_stacked(disk))
		return 0;
	in = vst_inflight_claim(vst_identity(bio, s), &fresh);
	if (!in) {
		vst_lose(vst_dev_of(disk), VST_LOSS_NO_CELL, 1, bytes);
		return 0;
	}
	if (!fresh && in->issued_ns)
		vst_close(in, vst_dev_of(disk));
	io.bio = vst_address(bio);
	io.op = vst_op_of(vst_read(bio, struct bio, bi_opf));
	io.layer = VST_LAYER_STACKED;
	io.task = TASK_IS_CURRENT;
	if (io.op == VST_OP_WRITE && !bytes)
		io.op = VST_OP_FLUSH;
	in->queued_ns = 0;
	in->bytes = bytes;
	in->dev = vst_dev_of(disk);
	vst_decide(s, in, &io, true, in->bytes);
	in->issued_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/block_bio_complete")
int BPF_PROG(vst_bio_complete, struct request_queue *q, struct bio *bio)
{
	struct vst_state *s = vst_state_get();
	struct vst_inflight *in = s ? vst_inflight_find(vst_identity(bio, s)) : NULL;
	__u32 bytes;

	/*
	 * Not ours: a leaf's, or under way when the probe was attached. A driver may have sent the bio on to another
	 * device, so its device at the end says nothing.
	 */
	if (!in)
		return 0;
	bytes = in->part[1].row ? vst_complete_parts(in, in->dev, in->bytes) : in->bytes;
	if (!vst_count(in->part[0].row, true, bytes, vst_read(bio, struct bio, bi_status), in))
		vst_lose(in->dev, VST_LOSS_NO_CELL, 1, bytes);
	vst_inflight_free(in);
	return 0;
}
