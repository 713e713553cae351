// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is written to files: does it look random (encrypted or compressed), and is it what the task has read (a copy)?
 *
 * vst_sample looks at one of so many requests when it is issued, whoever wrote it, and at the first bytes of files. The agent
 * sets how many requests, and says how many samples may be taken until it comes again. vst_copy_folio runs where a task makes a
 * page dirty, and compares 64 bytes of it with the file that the task reads. Even a program that returns at once costs a small write some percent there, so the
 * agent attaches it for moments ("windows"), unless it is told to watch somebody all the time.
 *
 * The agent names the containers that are watched otherwise than the rest, by their cgroups, in vst_scopes.
 */
#include "decide.bpf.h"
#include "file.bpf.h"
#include "inflight.bpf.h"

#define BPF_F_NO_PREALLOC 1 /* include/uapi/linux/bpf.h */

char LICENSE[] SEC("license") = "GPL";

struct vst_insight vst_insight SEC(".data.insight") = {
	.every = 1,
	.chunks_left = VST_CHUNKS_PER_SECOND,
	.heads_left = VST_HEADS_PER_SECOND,
	.mode = VST_INSIGHT_SAMPLED,
};
struct vst_file vst_files[VST_FILES] SEC(".data.files");
const struct vst_file vst_file_none = {};

struct vst_scratch {
	__u8 data[VST_CHUNK];
	__u8 count[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vst_scratch);
} vst_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_SCOPE_CGROUPS);
	__type(key, __u64);
	__type(value, struct vst_scope_cgroup);
} vst_scopes SEC(".maps");

#define PAGE_STRUCT 64 /* x86-64: struct page */
#define CLAIM_AGE 1000000000ULL
#define NO_FILE VST_FILES

/* --- who is watched --- */

/* How the container of a cgroup is watched; owner: packed, 0: nobody is known. */
__noinline __u32 vst_scope_of(__u64 owner)
{
	const struct vst_scope_cgroup *c = NULL;

	if (vst_insight.scoped)
		c = bpf_map_lookup_elem(&vst_scopes, &owner);
	return c ? c->mode : vst_insight.mode;
}

#include "lives.bpf.h"

/* --- memory --- */

/*
 * The kernel's own view of all memory: a page's address follows from that of its struct page, and the difference is the same
 * for all. A request's tags tell it: static_rqs[0] lies at the beginning of the first page of their list, and knows its
 * queue. The difference is a multiple of 1 GiB, as KASLR places both regions.
 */
static __always_inline bool vst_learn_from(__u64 tags, __u64 queue)
{
	__u64 head = tags + bpf_core_field_offset(struct blk_mq_tags, page_list), first, page, rqs, virt = 0, direct;

	if (!tags)
		return false;
	first = vst_ptr(tags, struct blk_mq_tags, page_list.next);
	rqs = vst_ptr(tags, struct blk_mq_tags, static_rqs);
	if (!first || first == head || !rqs)
		return false;
	page = first - bpf_core_field_offset(struct page, lru);
	virt = vst_word(rqs, 0);
	direct = virt - page * PAGE_STRUCT;
	if (!virt || virt & 4095 || direct & ((1ULL << 30) - 1) || vst_ptr(virt, struct request, q) != queue)
		return false;
	vst_insight.direct = direct;
	return true;
}

__noinline int vst_learn(__u64 rq)
{
	__u64 hctx = vst_ptr(rq, struct request, mq_hctx), queue = vst_ptr(rq, struct request, q);

	if (bpf_core_type_size(struct page) != PAGE_STRUCT || !hctx)
		return 0;
	return vst_learn_from(vst_ptr(hctx, struct blk_mq_hw_ctx, tags), queue) ||
	       vst_learn_from(vst_ptr(hctx, struct blk_mq_hw_ctx, sched_tags), queue);
}

static __always_inline __u64 vst_virtual(__u64 page)
{
	return page * PAGE_STRUCT + vst_insight.direct;
}

/* --- the table of files --- */

static __always_inline struct vst_file *vst_file_at(__u32 at)
{
	return &vst_files[at & (VST_FILES - 1)];
}

/* The place of an inode; if it has none, one is made. NO_FILE: those that it may have are in use. */
__noinline __u32 vst_file_claim(__u64 inode)
{
	__u32 first = (inode >> 5) * 0x9e3779b97f4a7c15ULL >> 54 & (VST_FILES - VST_FILE_WAYS), best = NO_FILE, i;
	__u64 ino = vst_read(inode, struct inode, i_ino), now = bpf_ktime_get_ns(), oldest = ~0ULL;
	struct vst_file *f;

#pragma unroll
	for (i = 0; i < VST_FILE_WAYS; i++) {
		f = vst_file_at(first + i);
		if (f->inode == inode && f->ino == ino) {
			f->last_ns = now;
			return first + i;
		}
		if (f->last_ns < oldest) {
			oldest = f->last_ns;
			best = first + i;
		}
	}
	if (best >= VST_FILES || (oldest && now - oldest < CLAIM_AGE)) {
		__sync_fetch_and_add(&vst_insight.lost, 1);
		return NO_FILE;
	}
	f = vst_file_at(best);
	f->inode = 0;
	bpf_probe_read_kernel(f, sizeof(*f), &vst_file_none);
	f->ino = ino;
	f->first_ns = f->last_ns = now;
	vst_file_name_read(&f->name, inode);
	barrier();
	f->inode = inode;
	return best;
}

/* --- samples --- */

/* Adds a chunk to what is known of a file: its chi square, and if that is small the bytes themselves. */
__noinline int vst_chunk_add(__u32 at, __u64 address)
{
	struct vst_file *f = vst_file_at(at);
	struct vst_scratch *s;
	__u32 zero = 0, i, squares = 0, n;

	s = bpf_map_lookup_elem(&vst_scratch, &zero);
	if (!s || bpf_probe_read_kernel(s->data, VST_CHUNK, (const void *)address))
		return 0;
	__builtin_memset(s->count, 0, sizeof(s->count));
	for (i = 0; i < VST_CHUNK; i++) {
		n = s->count[s->data[i]]++;
		squares += 2 * n + 1;
	}
	f->chunks++;
	/* 256 bytes, so one of each kind is expected: chi square is the sum of the squares, less 256 */
	if (squares - VST_CHUNK >= VST_CHUNK_LOW)
		f->low++;
	if (squares - VST_CHUNK > VST_CHUNK_HIGH)
		return 0;
	f->high++;
	if (f->sum > VST_FILE_BYTES_MAX)
		return 0;
	for (i = 0; i < VST_CHUNK; i++)
		f->count[s->data[i]]++;
	f->sum += VST_CHUNK;
	return 0;
}

/* Takes one of what the agent allows. CPUs may overwrite each other's number, so a few more are taken. */
static __always_inline bool vst_take(__u32 *left)
{
	__u32 n = *(volatile __u32 *)left;

	if (!n)
		return false;
	*(volatile __u32 *)left = n - 1;
	return true;
}

/* How many of the bytes at the begin of a page belong to its file: the rest of the file's last page is zeros. */
static __always_inline __u32 vst_page_bytes(__u64 page, __u64 inode)
{
	__u64 folio = vst_page_folio(page), size = vst_read(inode, struct inode, i_size), at;

	if (vst_ptr(vst_ptr(folio, struct folio, mapping), struct address_space, host) != inode)
		return ~0U; /* direct I/O, or a page that the filesystem made: its place in the file is not known */
	at = (vst_ptr(folio, struct folio, index) << 12) + (page - folio) / bpf_core_type_size(struct page) * 4096;
	if (size <= at)
		return 0;
	return size - at > ~0U ? ~0U : size - at;
}

#define VECS_MAX 64

/* How many vectors a bio has. One that was split off does not say (its bi_vcnt is 0), so they are counted, up to VECS_MAX. */
__noinline __u32 vst_vecs_of_bio(__u64 bio)
{
	__u32 idx = vst_read(bio, struct bio, bi_iter.bi_idx), n = vst_read(bio, struct bio, bi_vcnt), left, len;
	__u64 vec;

	if (n > idx)
		return n - idx;
	left = vst_read(bio, struct bio, bi_iter.bi_size) + vst_read(bio, struct bio, bi_iter.bi_bvec_done);
	vec = vst_ptr(bio, struct bio, bi_io_vec) + idx * sizeof(struct bio_vec);
	for (n = 0; n < VECS_MAX && left; n++) {
		len = vst_read(vec, struct bio_vec, bv_len);
		if (!len)
			break;
		left = left > len ? left - len : 0;
		vec += sizeof(struct bio_vec);
	}
	return n ?: 1;
}

/* A chunk of a bio of n vectors, anywhere in it. */
__noinline int vst_chunk_of_bio(__u32 at, __u64 bio, __u64 inode, __u32 n)
{
	__u32 random = bpf_get_prandom_u32(), len, offset, valid;
	__u64 vec = vst_ptr(bio, struct bio, bi_io_vec), page;

	vec += (vst_read(bio, struct bio, bi_iter.bi_idx) + random % (n ?: 1)) * sizeof(struct bio_vec);
	len = vst_read(vec, struct bio_vec, bv_len);
	page = vst_ptr(vec, struct bio_vec, bv_page);
	offset = vst_read(vec, struct bio_vec, bv_offset);
	if (!page)
		return 0;
	valid = vst_page_bytes(page, inode);
	valid = valid > offset ? valid - offset : 0;
	if (len > valid)
		len = valid;
	if (len < VST_CHUNK || !vst_take(&vst_insight.chunks_left))
		return 0;
	return vst_chunk_add(at, vst_virtual(page) + (random >> 12) % (len / VST_CHUNK) * VST_CHUNK + offset);
}

#define CHUNKS_MAX 8
#define CHUNK_EVERY 65536 /* bytes of a request for each chunk */

/* The first bytes of a file, at which the bio begins. */
static __always_inline void vst_head_take(struct vst_file *f, __u64 bio)
{
	__u64 vec, page;

	if (f->has_head)
		return;
	vec = vst_ptr(bio, struct bio, bi_io_vec) + vst_read(bio, struct bio, bi_iter.bi_idx) * sizeof(struct bio_vec);
	page = vst_ptr(vec, struct bio_vec, bv_page);
	if (!bpf_probe_read_kernel(f->head, sizeof(f->head),
				   (const void *)(vst_virtual(page) + vst_read(vec, struct bio_vec, bv_offset))))
		f->has_head = 1;
}

/* The row of a request; addr: its identity. 0: not known. */
static __always_inline __u32 vst_row_of_request(__u64 addr)
{
	__u32 place = vst_place_find(vst_home_of(addr), addr), row;

	if (place >= PLACES)
		return 0;
	row = IN_ROW(vst_in(place)->what);
	return vst_in(place)->what & IN_MORE && !row ? vst_more(place)->row[0] : row;
}

/* How the owner of a row is watched. */
__noinline __u32 vst_scope_of_row(__u32 row)
{
	const struct vst_key *key;

	if (!vst_insight.scoped || !row)
		return vst_insight.mode;
	key = bpf_map_lookup_elem(&vst_row_keys, &row);
	return key ? vst_scope_of(key->owner << 2 | key->hier) : vst_insight.mode;
}

/* The bios of a request: those of several small files that lie side by side on the disk are merged into one. */
struct vst_bios {
	__u64 rq, addr, bio;
	__u32 every; /* 0: the turn of this request has not come, but the begins of files are looked at */
	__u32 bytes;
};

__noinline int vst_sample_bio(struct vst_bios *w, bool begins)
{
	__u64 bio, what, inode;
	struct vst_state *s = vst_state_get();
	struct vst_file *f;
	__u32 at, i, bytes, n;

	if (!s || !w)
		return 0;
	bio = w->bio;
	what = vst_what_decide(s, bio, vst_read(w->rq, struct request, cmd_flags));
	inode = VST_WHAT_KIND(what >> 56) == VST_KIND_DATA ? vst_inode_of_what(what) : 0;
	at = inode ? vst_file_claim(inode) : NO_FILE;
	if (at >= VST_FILES)
		return 0;
	f = vst_file_at(at);
	i = vst_row_of_request(w->addr);
	if (i)
		f->row = i;
	bytes = w->bytes;
	f->bytes += (__u64)bytes * (begins ? 1 : w->every);
	if (begins)
		vst_head_take(f, bio);
	n = vst_vecs_of_bio(bio);
	for (i = 0; i < CHUNKS_MAX; i++)
		if (!i || begins || bytes > i * CHUNK_EVERY)
			vst_chunk_of_bio(at, bio, inode, n);
	__sync_fetch_and_add(&vst_insight.sampled, 1);
	return 0;
}

/* Does the bio begin with the first page of a file? */
static __always_inline bool vst_bio_begins(__u64 bio)
{
	__u64 folio = vst_bio_folio(bio), mapping;

	if (!folio || vst_ptr(folio, struct folio, index))
		return false;
	mapping = vst_ptr(folio, struct folio, mapping);
	return mapping && !(mapping & MAPPING_FLAGS);
}

#define BIOS_MAX 64 /* of a request that are looked at */

static long vst_bio_look(__u32 i, struct vst_bios *w)
{
	bool begins = vst_insight.heads_left && vst_bio_begins(w->bio) && vst_take(&vst_insight.heads_left);

	if (begins || (!i && w->every)) {
		if (i)
			w->bytes = vst_read(w->bio, struct bio, bi_iter.bi_size);
		vst_sample_bio(w, begins);
	}
	w->bio = vst_ptr(w->bio, struct bio, bi_next);
	return !w->bio;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(vst_sample, struct request *rq)
{
	struct vst_state *s = vst_state_get();
	struct vst_bios w = { .rq = vst_address(rq), .every = vst_insight.every };
	__u64 turn;

	if (!s)
		return 0;
	if (!vst_insight.direct) /* from reads too: a copy may be the first that is written */
		vst_learn(vst_address(rq));
	if ((rq->cmd_flags & REQ_OP_MASK) != 1 || !vst_insight.direct)
		return 0;
	w.bio = vst_ptr(rq, struct request, bio);
	turn = vst_insight.writes++; /* an approximation: CPUs may overwrite each other's */
	if (w.every > 1 && turn % w.every)
		w.every = 0;
	if (!w.bio || !vst_insight.chunks_left || (!w.every && !vst_insight.heads_left))
		return 0;
	w.addr = vst_identity(rq, s);
	w.bytes = rq->__data_len;
	if (vst_scope_of_row(vst_row_of_request(w.addr)) == VST_INSIGHT_OFF)
		return 0;
	bpf_loop(BIOS_MAX, vst_bio_look, &w, 0);
	return 0;
}

/* --- copies --- */

#define NR_write 1
#define NR_pwrite64 18
#define NR_writev 20
#define NR_sendfile 40
#define NR_copy_file_range 326
#define FMODE_READ 1
#define FD_MAX 32 /* descriptors among which the source is looked for */
#define COMPARED 64

/* The file of a descriptor of the current task; 0: none. */
static __always_inline __u64 vst_file_of_fd(__u64 files, __u32 fd)
{
	__u64 table = vst_ptr(files, struct files_struct, fdt), array;

	if (!table || fd >= vst_read(table, struct fdtable, max_fds))
		return 0;
	array = vst_ptr(table, struct fdtable, fd);
	return vst_word(array + 8 * fd, 0);
}

static __always_inline bool vst_file_is_source(__u64 file)
{
	__u64 inode = vst_ptr(file, struct file, f_inode);

	return vst_read(file, struct file, f_mode) & FMODE_READ && vst_read(file, struct file, f_pos) > 0 &&
	       (vst_read(inode, struct inode, i_mode) & S_IFMT) == S_IFREG;
}

struct vst_fd_look {
	__u64 files;
	__u64 except;
	__u64 found;
};

static long vst_fd_look(__u32 fd, struct vst_fd_look *look)
{
	__u64 file = vst_file_of_fd(look->files, fd);

	if (!file || file == look->except || !vst_file_is_source(file))
		return 0;
	look->found = file;
	return 1;
}

/* The folio of a page of a mapping; 0: it is not cached. Nothing keeps it there: what is read is compared only. */
__noinline __u64 vst_cached(__u64 mapping, __u64 index)
{
	__u64 entry = vst_ptr(mapping, struct address_space, i_pages.xa_head), next;
	__u32 shift, offset;

#pragma unroll
	for (int level = 0; level < 7; level++) {
		if ((entry & 3) != 2 || entry < 4096)
			break;
		entry -= 2;
		shift = vst_read(entry, struct xa_node, shift) & 63;
		if (!level && index >> shift > 63)
			return 0;
		offset = index >> shift & 63;
		next = vst_word(entry + bpf_core_field_offset(struct xa_node, slots) + 8 * offset, 0);
		if ((next & 3) == 2 && next < 256) /* a large folio: another slot has it */
			next = vst_word(entry + bpf_core_field_offset(struct xa_node, slots) + 8 * (next >> 2 & 63), 0);
		entry = next;
		if (!shift)
			break;
	}
	return entry & 3 ? 0 : entry;
}

/* 1: equal; 0: not; -1: they say nothing, all words of them are the same, or they cannot be read. */
__noinline int vst_compare(__u64 x, __u64 y)
{
	__u64 a[COMPARED / 8], b[COMPARED / 8], differ = 0, varies = 0;

	if (bpf_probe_read_kernel(a, sizeof(a), (const void *)x) ||
	    bpf_probe_read_kernel(b, sizeof(b), (const void *)y))
		return -1;
#pragma unroll
	for (int i = 0; i < COMPARED / 8; i++) {
		differ |= a[i] ^ b[i];
		varies |= a[i] ^ a[0];
	}
	return !varies && !differ ? -1 : !differ;
}

static __always_inline __u64 vst_folio_address(__u64 folio, __u64 position)
{
	__u64 index = (position >> 12) - vst_ptr(folio, struct folio, index);

	return vst_virtual(folio + index * PAGE_STRUCT) + (position & 4095);
}

/* The kernel copies by itself (cp, sendfile, splice, an overlay's copy-up): the page's source is in the task's pipe. */
static __always_inline __u64 vst_inode_of_pipe(__u64 pipe)
{
	__u32 tail = vst_read(pipe, struct pipe_inode_info, tail),
	      size = vst_read(pipe, struct pipe_inode_info, ring_size);
	__u64 bufs = vst_ptr(pipe, struct pipe_inode_info, bufs), page, mapping;

	page = vst_ptr(bufs + (__u64)(tail & (size - 1)) * bpf_core_type_size(struct pipe_buffer), struct pipe_buffer,
		       page);
	if (!page)
		return 0;
	mapping = vst_ptr(vst_page_folio(page), struct folio, mapping);
	return mapping && !(mapping & MAPPING_FLAGS) ? vst_ptr(mapping, struct address_space, host) : 0;
}

__noinline int vst_copy_note(__u64 inode, __u64 source, int equal, bool in_kernel)
{
	__u32 at = vst_file_claim(inode);
	struct vst_file *f;

	if (at >= VST_FILES)
		return 0;
	f = vst_file_at(at);
	if (!equal) {
		f->differs++;
		return 0;
	}
	f->matches++;
	f->in_kernel += in_kernel;
	if (source && f->source.ino != vst_read(source, struct inode, i_ino))
		vst_file_name_read(&f->source, source);
	return 0;
}

/* The task's source file and where in it the page at `to` comes from; compares. */
__noinline int vst_copy_compare(__u64 folio, __u64 inode, __u64 files, __u32 to_fd, __u64 count)
{
	struct vst_fd_look look = { .files = files };
	__u32 from_fd = to_fd >> 16;
	__u64 to, at, from, source, begin;
	int equal;

	to_fd &= 0xffff;
	look.except = to = vst_file_of_fd(files, to_fd);
	if (!to || vst_ptr(to, struct file, f_inode) != inode)
		return 0;
	if (from_fd != 0xffff)
		look.found = vst_file_of_fd(files, from_fd);
	else
		bpf_loop(FD_MAX, vst_fd_look, &look, 0);
	if (!look.found)
		return 0;
	at = vst_ptr(folio, struct folio, index) << 12;
	begin = vst_read(to, struct file, f_pos);
	if (at < begin)
		at = begin;
	from = at + vst_read(look.found, struct file, f_pos) - count - begin;
	if ((at & 4095) > 4096 - COMPARED || (from & 4095) > 4096 - COMPARED)
		return 0;
	source = vst_cached(vst_ptr(look.found, struct file, f_mapping), from >> 12);
	if (!source)
		return 0;
	equal = vst_compare(vst_folio_address(folio, at), vst_folio_address(source, from));
	if (equal >= 0)
		vst_copy_note(inode, vst_ptr(look.found, struct file, f_inode), equal, false);
	return 0;
}

SEC("tp_btf/writeback_dirty_folio")
int BPF_PROG(vst_copy_folio, struct folio *page, struct address_space *mapping)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct pipe_inode_info *pipe;
	const struct files_struct *files;
	__u64 folio = vst_address(page), inode, source, count = 0;
	const struct pt_regs *regs;
	__u32 to = 0xffff, from = 0xffff, mode;

	if (!vst_insight.direct || task->flags & PF_KTHREAD)
		return 0;
	mode = vst_scope_of(vst_insight.scoped ? vst_task_owner(vst_state_get()) : 0);
	if (mode == VST_INSIGHT_OFF || (mode == VST_INSIGHT_SAMPLED && !vst_insight.window))
		return 0;
	inode = vst_ptr(vst_address(mapping), struct address_space, host);
	if (!inode || (vst_read(inode, struct inode, i_mode) & S_IFMT) != S_IFREG)
		return 0;
	pipe = task->splice_pipe;
	source = pipe ? vst_inode_of_pipe(vst_address(pipe)) : 0;
	if (source && source != inode) {
		vst_copy_note(inode, source, 1, true);
		return 0;
	}
	regs = (const struct pt_regs *)bpf_task_pt_regs(task);
	switch (regs->orig_ax) {
	case NR_write:
	case NR_pwrite64:
		to = regs->di;
		count = regs->dx;
		break;
	case NR_copy_file_range:
		to = regs->dx;
		from = regs->di;
		break;
	case NR_sendfile:
		to = regs->di;
		from = regs->si;
		break;
	default:
		return 0;
	}
	if (to >= 0xffff || from > 0xffff)
		return 0;
	files = task->files;
	if (files)
		vst_copy_compare(folio, inode, vst_address(files), to | from << 16, count);
	return 0;
}
