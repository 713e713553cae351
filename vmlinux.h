/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's types, as far as the probes look into them. Written by hand and small on purpose: every offset is
 * relocated at load time against the running kernel's BTF (CO-RE), so only the names matter, members that the
 * kernel keeps in anonymous unions may stand flat here, and what differs between kernels is in bpf/compat.bpf.h.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef _Bool bool;
typedef long long loff_t;
typedef u32 dev_t;
typedef u32 blk_opf_t;
typedef u32 req_flags_t;
typedef u8 blk_status_t;
typedef u64 sector_t;

typedef struct {
	int counter;
} atomic_t;

struct list_head {
	struct list_head *next;
};

enum {
	false = 0,
	true = 1,
};

#define NULL ((void *)0)

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_QUEUE = 22,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_MMAPABLE = 1024,
};

/* --- cgroups --- */
struct kernfs_node {
	const char *name;
	u64 id;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
	unsigned int subsys_mask;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct cgroup_root *root;
	struct kernfs_node *kn;
	int level;
	int nr_descendants;
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

enum cgroup_subsys_id {
	io_cgrp_id = 0,
	memory_cgrp_id = 1,
};

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	struct css_set *cgroups;
	int pid;
	char comm[16];
	void *journal_info;
	unsigned long nvcsw;
	struct files_struct *files;
	struct pipe_inode_info *splice_pipe;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
};

struct obj_cgroup {
	struct mem_cgroup *memcg;
};

struct blkcg {
	struct cgroup_subsys_state css;
};

struct blkcg_gq {
	struct blkcg *blkcg;
};

/* --- files and pages --- */
struct percpu_rw_semaphore {
	void *writer;
};

/* The levels are numbered from 1: SB_FREEZE_WRITE, SB_FREEZE_PAGEFAULT, SB_FREEZE_FS */
#define SB_FREEZE_LEVELS 3

struct sb_writers {
	struct percpu_rw_semaphore rw_sem[SB_FREEZE_LEVELS];
};

struct super_block {
	dev_t s_dev;
	unsigned long s_magic;
	struct block_device *s_bdev;
	struct dentry *s_root;
	struct sb_writers s_writers;
	char s_id[32];
	void *s_fs_info;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct super_block *d_sb;
	union {
		struct hlist_node d_alias;
	} d_u;
};

struct device {
	dev_t devt;
};

struct backing_dev_info {
	struct device *owner;
};

struct bdi_writeback {
	struct backing_dev_info *bdi;
	struct cgroup_subsys_state *memcg_css;
};

struct xarray {
	void *xa_head;
};

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct address_space {
	struct inode *host;
	struct xarray i_pages;
};

struct inode {
	unsigned short i_mode;
	struct bdi_writeback *i_wb;
	struct super_block *i_sb;
	struct address_space *i_mapping;
	unsigned long i_ino;
	unsigned int i_nlink;
	unsigned int i_generation;
	loff_t i_size;
	struct address_space i_data;
	struct hlist_head i_dentry;
};

/* A byte before 6.9, then an enum of one byte. */
enum rw_hint {
	WRITE_LIFE_NOT_SET = 0,
} __attribute__((packed)); /* libbpf relocates no member of another size */

struct inode___hint_u8 {
	u8 i_write_hint;
};

struct inode___hint_enum {
	enum rw_hint i_write_hint;
};

struct file {
	struct inode *f_inode;
	struct address_space *f_mapping;
	unsigned int f_mode;
	loff_t f_pos;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct pipe_buffer {
	struct page *page;
};

struct pipe_inode_info {
	unsigned int tail;
	unsigned int ring_size;
	struct pipe_buffer *bufs;
};

struct kiocb {
	struct file *ki_filp;
	loff_t ki_pos;
	void *ki_complete;
};

struct page {
	unsigned long flags;
	unsigned long compound_head;
	struct list_head lru;
	unsigned int page_type;
};

struct folio {
	unsigned long flags;
	struct address_space *mapping;
	unsigned long index;
	unsigned long memcg_data;
	unsigned int _folio_nr_pages;
	unsigned int _nr_pages;
};

enum pageflags {
	PG_head = 6,
	PG_slab = 8,
	PG_swapcache = 9,
	PG_swapbacked = 17,
};

struct buffer_head {
	void *b_end_io;
};

struct iov_iter {
	unsigned long count;
};

struct iomap_dio {
	struct kiocb *iocb;
	loff_t size;
	struct {
		struct iov_iter *iter;
	} submit;
};

struct iomap_iter {
	struct inode *inode;
	loff_t pos;
	u64 len;
	unsigned int flags;
};

struct dio {
	struct inode *inode;
};

struct ext4_io_end {
	struct inode *inode;
};

struct btrfs_key {
	u64 objectid;
};

struct btrfs_root {
	struct btrfs_key root_key;
};

struct btrfs_inode {
	struct btrfs_root *root;
	struct inode vfs_inode;
};

struct btrfs_device {
	struct block_device *bdev;
};

struct btrfs_fs_devices {
	struct btrfs_device *latest_dev;
};

struct btrfs_fs_info {
	struct btrfs_fs_devices *fs_devices;
};

struct xfs_inode {
	struct inode i_vnode;
};

/* --- locks --- */
typedef struct {
	long counter;
} atomic_long_t;

struct mutex {
	atomic_long_t owner;
};

struct rw_semaphore {
	atomic_long_t owner;
};

struct kmem_cache_order_objects {
	unsigned int x;
};

struct kmem_cache {
	unsigned int size;
	struct kmem_cache_order_objects oo;
	struct kmem_cache_order_objects min;
	const char *name;
	unsigned int red_left_pad;
};

struct slab {
	struct kmem_cache *slab_cache;
};

enum pagetype {
	PGTY_slab = 0xf5,
};

/* --- block --- */
struct bvec_iter {
	sector_t bi_sector;
	unsigned int bi_size;
	unsigned int bi_idx;
	unsigned int bi_bvec_done;
};

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len;
	unsigned int bv_offset;
};

struct bio {
	struct bio *bi_next;
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	unsigned short bi_flags;
	blk_status_t bi_status;
	unsigned short bi_ioprio;
	struct bvec_iter bi_iter;
	void *bi_end_io;
	void *bi_private;
	struct blkcg_gq *bi_blkg;
	unsigned short bi_vcnt;
	struct bio_vec *bi_io_vec;
};

struct btrfs_dio_private {
	struct inode *inode;
};

struct btrfs_bio {
	struct btrfs_inode *inode;
	void *end_io;
	void *private;
	struct bio bio;
};

struct btrfs_io_context {
	struct bio *orig_bio;
};

struct btrfs_io_stripe {
	struct btrfs_io_context *bioc;
};

struct dm_io {
	struct bio *orig_bio;
};

struct dm_target_io {
	struct dm_io *io;
	struct bio clone;
};

struct gendisk {
	char disk_name[32];
	struct request_queue *queue;
	int major;
	int first_minor;
};

struct block_device {
	struct gendisk *bd_disk;
	struct request_queue *bd_queue;
	void *bd_holder;
	const void *bd_holder_ops;
	dev_t bd_dev;
};

struct journal_s {
	unsigned long j_flags;
	struct block_device *j_fs_dev;
};

struct ext4_sb_info {
	struct journal_s *s_journal;
};

struct transaction_s {
	u32 t_tid;
};

struct bdev_inode {
	struct block_device bdev;
	struct inode vfs_inode;
};

struct request_queue {
	const void *mq_ops;
	struct gendisk *disk;
};

enum mq_rq_state {
	MQ_RQ_IDLE = 0,
};

struct blk_mq_tags {
	struct request **static_rqs;
	struct list_head page_list;
};

struct blk_mq_hw_ctx {
	struct blk_mq_tags *tags;
	struct blk_mq_tags *sched_tags;
};

struct request {
	struct request_queue *q;
	struct blk_mq_hw_ctx *mq_hctx;
	enum mq_rq_state state;
	blk_opf_t cmd_flags;
	req_flags_t rq_flags;
	unsigned int __data_len;
	struct bio *bio;
	struct bio *biotail;
	u64 start_time_ns;
	sector_t __sector;
	atomic_t ref;
};

enum req_flag_bits {
	__REQ_META = 12,
	__REQ_PREFLUSH = 18,
	__REQ_SWAP = 24,
	__REQ_ATOMIC = 27,
};

enum special_kfunc_type {
	KF_bpf_rdonly_cast = 10,
};

enum rqf_flags {
	__RQF_FLUSH_SEQ = 1,
};

/* Of x86-64. */
struct pt_regs {
	unsigned long r9;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
};

/* Of <linux/bpf.h>: what a raw tracepoint's program is given. */
struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

/* A large kernel structure of nothing but words, through which any memory can be read as such (compat.bpf.h). */
struct vm_event_state {
	unsigned long event[1];
};

#pragma clang attribute pop
#endif /* __VMLINUX_H__ */
