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

SEC("tp_btf/block_bio_queue")
int BPF_PROG(vst_bio_queue, struct bio *bio)
{
	__u64 disk = vst_ptr(vst_ptr(bio, struct bio, bi_bdev), struct block_device, bd_disk);
	__u32 bytes = vst_read(bio, struct bio, bi_iter.bi_size);
	struct vst_state *s = vst_state_get();
	struct vst_inflight *in;
	struct vst_set *set;
	__u32 way;
	__u8 op;

	if (!s || !is_stacked(disk))
		return 0;
	set = vst_inflight_claim(vst_identity(bio, s), &way);
	if (!set) {
		vst_lose(vst_dev_of(disk), VST_LOSS_NO_CELL, 1, bytes);
		return 0;
	}
	op = vst_op_of(vst_read(bio, struct bio, bi_opf));
	if (op == VST_OP_WRITE && !bytes)
		op = VST_OP_FLUSH;
	in = &set->way[way];
	in->queued_ns = 0;
	in->task = TASK_IS_CURRENT;
	vst_decide(s, in, vst_address(bio), VST_SORT(op, VST_LAYER_STACKED, 0), true, bytes);
	in->done = 0;
	in->dev = vst_dev_of(disk);
	vst_inflight_begin(in, bpf_ktime_get_ns());
	return 0;
}

SEC("tp_btf/block_bio_complete")
int BPF_PROG(vst_bio_complete, struct request_queue *q, struct bio *bio)
{
	struct vst_state *s = vst_state_get();
	__u32 way, bytes;
	struct vst_set *set = s ? vst_inflight_find(vst_identity(bio, s), &way) : NULL;
	struct vst_inflight *in;
	__u64 missing;

	/*
	 * Not ours: a leaf's, or under way when the probe was attached. A driver may have sent the bio on to another
	 * device, so its device at the end says nothing.
	 */
	if (!set || set->way[way].issued == set->ended[way])
		return 0;
	in = &set->way[way];
	bytes = vst_inflight_bytes(in);
	missing = in->issued - set->ended[way] - ONE_IO - bytes;
	set->ended[way] = in->issued;
	if (missing) /* of a bio at the same address before: it was freed, so it has ended */
		vst_settle(0, in->dev, missing);
	if (in->row[1])
		bytes = vst_complete_parts(in, in->dev, bytes);
	if (!vst_count(in->row[0], true, bytes, vst_read(bio, struct bio, bi_status), in, bpf_ktime_get_ns()))
		vst_lose(in->dev, VST_LOSS_NO_CELL, 1, bytes);
	return 0;
}
