// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a bcache has for whom, what it takes in, and what of the cached device is worth keeping. The owner and the class of
 * an I/O were decided at its submission by stacked.bpf.c, which is attached before this: its entry in the table of I/O in
 * flight is still there when bcache says whether it had the data.
 */
#include "decide.bpf.h"
#include "inflight.bpf.h"
#include "vstor/abi_cache.h"

char LICENSE[] SEC("license") = "GPL";

#define BPF_F_NO_PREALLOC 1 /* include/uapi/linux/bpf.h */

struct vst_cache_state vst_cache_state SEC(".data.cache");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_CACHE_ROWS);
	__type(key, struct vst_cache_key);
	__type(value, struct vst_cache_counts);
} vst_cache_rows SEC(".maps");

/* The agent sets the sizes of these four. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vst_heat);
} vst_heat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, VST_PLACE_WAYS);
	__type(key, __u32);
	__type(value, struct vst_cache_place);
} vst_cache_places SEC(".maps");

/* How often each bucket was emptied, and what its generation was then: see EPOCH. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} vst_cache_epochs SEC(".maps");

/* A bit for each unit of each chunk that a user pinned: it has the highest class, whatever the heat map says. By the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} vst_cache_pins SEC(".maps");

/* Owners all of whose data has the highest class; the key is that of vst_cache_key. By the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_CACHE_KEPT);
	__type(key, __u64);
	__type(value, __u8);
} vst_cache_kept SEC(".maps");

/* Uses of sampled chunks: struct vst_cache_use. The agent reads them once a tick. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, VST_CACHE_USES);
} vst_cache_uses SEC(".maps");

/* Pages that were read, by index of the cached device and class: what the sample stands for. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VST_CACHES * 8);
	__type(key, __u32);
	__type(value, __u64);
} vst_cache_read_pages SEC(".maps");

/* Whose write a task is submitting: bcache shows a copy of its bio when it has decided what to do with it. */
struct recent {
	__u64 task;
	__u32 row;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VST_CACHE_RECENT);
	__type(key, __u32);
	__type(value, struct recent);
} vst_cache_recent SEC(".maps");

/* bcache is a module, and vmlinux.h does not have its types. */
struct bcache_device {
	void *c;
	unsigned int id;
} __attribute__((preserve_access_index));

struct cache {
	void *set;
} __attribute__((preserve_access_index));

/* include/uapi/linux/bcache.h until 5.18, drivers/md/bcache/bcache_ondisk.h since: a format on disks, which stays. */
struct vst_bkey {
	__u64 high;
	__u64 low;
	__u64 ptr[1];
};

#define KEY_INODE(high) ((__u32)(high) & 0xfffff)
#define KEY_SIZE(high) ((__u32)((high) >> 20) & 0xffff)
#define KEY_PTRS(high) ((__u32)((high) >> 60) & 7)
#define PTR_SECTOR(ptr) ((ptr) >> 8 & ((1ULL << 43) - 1))
#define PTR_GEN(ptr) ((__u32)(ptr) & 0xff)

/* --- which device, which class --- */

static __always_inline struct vst_cached *cached_at(__u32 i)
{
	return &vst_cache_state.at[i & (VST_CACHES - 1)];
}

static __always_inline __u32 cached_of(__u32 dev)
{
	for (__u32 i = 0; i < VST_CACHES; i++)
		if (i < vst_cache_state.n && vst_cache_state.at[i].dev == dev)
			return i;
	return VST_CACHES;
}

static __always_inline __u8 class_of(const struct vst_key *key)
{
	__u64 at = VST_CLASS_INDEX(key->kind, key->size);

	barrier_var(at); /* 6.1 loses the bound, the compiler knows it */
	return vst_cache_state.class_of[at & (sizeof(vst_cache_state.class_of) - 1)];
}

/* The row of a bio on a stacked device that has not ended; 0: it is not known. */
static __always_inline __u32 row_in_flight(const struct bio *bio, __u32 *ret_at)
{
	struct vst_state *s = vst_state_get();
	__u64 addr;

	/* since 6.13, and in what stable kernels took over, the verifier says that a module's tracepoint may pass NULL */
	if (!s || !bio)
		return 0;
	addr = vst_identity(bio, s);
	*ret_at = vst_place_find(vst_home_of(addr << 1), addr);
	if (*ret_at >= PLACES || IN_STATE(vst_in(*ret_at)->what) != IN_ISSUED)
		return 0;
	return IN_ROW(vst_in(*ret_at)->what);
}

/* --- counting --- */

enum outcome { HIT, MISS, BYPASSED, WRITTEN };

__noinline int vst_cache_count(__u32 row, __u32 outcome, __u64 bytes)
{
	struct vst_key *of = bpf_map_lookup_elem(&vst_row_keys, &row);
	struct vst_cache_counts zero = {}, *c;
	struct vst_cache_key key = {};

	if (!of)
		return 0;
	key.owner = of->owner << 2 | of->hier;
	key.dev = of->dev;
	key.witness = of->witness;
	key.class = class_of(of);
	c = bpf_map_lookup_elem(&vst_cache_rows, &key);
	if (!c) {
		bpf_map_update_elem(&vst_cache_rows, &key, &zero, BPF_NOEXIST);
		c = bpf_map_lookup_elem(&vst_cache_rows, &key);
	}
	if (!c) {
		__sync_fetch_and_add(&vst_cache_state.lost, 1);
		return 0;
	}
	if (outcome == HIT)
		__sync_fetch_and_add(&c->hits, 1);
	else if (outcome == MISS)
		__sync_fetch_and_add(&c->misses, 1);
	else if (outcome == BYPASSED)
		__sync_fetch_and_add(&c->bypassed, 1);
	if (outcome == MISS || outcome == WRITTEN)
		__sync_fetch_and_add(&c->admitted_bytes, bytes);
	return 0;
}

/* --- the heat map --- */

static __always_inline struct vst_heat *heat_at(__u32 chunk)
{
	return bpf_map_lookup_elem(&vst_heat, &chunk);
}

/* These units of a chunk have this class now. What had another one is overwritten, or was read as part of another file. */
static __always_inline void heat_set(struct vst_heat *heat, __u64 mask, __u8 class, __u32 now)
{
	for (int i = 0; i < VST_HEAT_CLASSES; i++) {
		__u64 was = heat->units[i], is = class == i + VST_HEAT_CLASS_MIN ? was | mask : was & ~mask;

		if (is == was)
			continue;
		if (is & ~was)
			__sync_fetch_and_or(&heat->units[i], mask);
		else
			__sync_fetch_and_and(&heat->units[i], ~mask);
	}
	if (class >= VST_HEAT_CLASS_MIN && heat->seen != now)
		heat->seen = now;
}

struct heating {
	__u64 unit, end; /* the units of the device that the I/O covers */
	__u32 first, chunks;
	__u32 now;
	__u32 class;
};

static long heat_chunk(__u32 n, struct heating *h)
{
	__u64 chunk = h->unit / VST_HEAT_UNITS, from = h->unit % VST_HEAT_UNITS, len = h->end - h->unit, mask;
	struct vst_heat *heat;

	if (h->unit >= h->end || chunk >= h->chunks)
		return 1;
	if (len > VST_HEAT_UNITS - from)
		len = VST_HEAT_UNITS - from;
	mask = (len < VST_HEAT_UNITS ? (1ULL << (len & 63)) - 1 : ~0ULL) << (from & 63);
	heat = heat_at(h->first + chunk);
	if (heat)
		heat_set(heat, mask, h->class, h->now);
	h->unit += len;
	return 0;
}

/* Nobody reads a journal but after a crash: to keep it would take room for nothing. */
static __always_inline __u8 heat_class(const struct vst_key *key)
{
	__u64 owner = key->owner << 2 | key->hier;

	if (key->op == VST_OP_DISCARD || key->kind == VST_KIND_JOURNAL)
		return 0;
	if (vst_cache_state.n_kept && bpf_map_lookup_elem(&vst_cache_kept, &owner))
		return VST_CLASS_MAX;
	return class_of(key);
}

/* Who reads the device itself (a backup, a file system check, the keeper) says nothing about what is in its blocks. */
static __always_inline bool tells_heat(const struct vst_key *key)
{
	return key->op != VST_OP_READ || (key->kind != VST_KIND_RAW && key->kind != VST_KIND_UNKNOWN);
}

#define HEAT_CHUNKS 16 /* of one I/O: 4 MiB, more than a bio has */

/* An I/O of the row to these sectors of a cached device. */
__noinline int vst_cache_heat(__u32 i, __u32 row, __u64 sector, __u64 bytes)
{
	struct vst_key *key = bpf_map_lookup_elem(&vst_row_keys, &row);
	struct vst_cached *c = cached_at(i);
	struct heating h = {};
	__u32 shift = c->unit_shift & 31;

	if (!key || !c->chunks || !tells_heat(key))
		return 0;
	h.unit = sector << 9 >> shift;
	h.end = ((sector << 9) + bytes + (1ULL << shift) - 1) >> shift;
	h.first = c->first;
	h.chunks = c->chunks;
	h.class = heat_class(key);
	h.now = bpf_ktime_get_ns() / 1000000000;
	bpf_loop(HEAT_CHUNKS, heat_chunk, &h, 0);
	return 0;
}

/* --- the sample --- */

#define RB_NO_WAKEUP 1	 /* include/uapi/linux/bpf.h: BPF_RB_NO_WAKEUP */
#define SAMPLE_CHUNKS 64 /* of one I/O: 4 MiB */

struct sampling {
	__u64 page, end; /* of 4 KiB, of the device */
	__u32 threshold;
	__u8 index, class;
};

static long sample_chunk(__u32 n, struct sampling *s)
{
	__u64 chunk = s->page >> (VST_REUSE_CHUNK_SHIFT - 12), from = s->page & 15, len = s->end - s->page;
	struct vst_cache_use use = { .chunk = chunk, .index = s->index, .class = s->class };

	if (s->page >= s->end)
		return 1;
	if (len > 16 - from)
		len = 16 - from;
	s->page += len;
	if (vst_reuse_hash(chunk) > s->threshold)
		return 0;
	use.pages = ((1U << (len & 31)) - 1) << (from & 15);
	if (bpf_ringbuf_output(&vst_cache_uses, &use, sizeof(use), RB_NO_WAKEUP))
		__sync_fetch_and_add(&vst_cache_state.uses_lost, 1);
	return 0;
}

/* Somebody uses these sectors of a cached device; whether the cache has them does not matter. */
__noinline int vst_cache_sample(__u32 i, __u32 row, __u64 sector, __u64 bytes)
{
	struct vst_key *key = bpf_map_lookup_elem(&vst_row_keys, &row);
	struct sampling s = {};
	__u64 *pages;
	__u32 at;

	if (!key || (key->op != VST_OP_READ && key->op != VST_OP_WRITE))
		return 0;
	s.page = sector >> 3;
	s.end = (sector + (bytes >> 9) + 7) >> 3;
	s.threshold = cached_at(i)->threshold;
	s.index = i;
	s.class = class_of(key);
	if (key->op == VST_OP_READ) {
		at = (i & (VST_CACHES - 1)) << 3 | (s.class & 7);
		pages = bpf_map_lookup_elem(&vst_cache_read_pages, &at);
		if (pages)
			*pages += s.end - s.page;
		s.class |= VST_CACHE_USE_READ;
	}
	bpf_loop(SAMPLE_CHUNKS, sample_chunk, &s, 0);
	return 0;
}

static __always_inline bool is_keeper(void)
{
	return vst_cache_state.keeper && bpf_get_current_pid_tgid() >> 32 == vst_cache_state.keeper;
}

SEC("?tp_btf/bcache_request_start")
int BPF_PROG(vst_cache_begin, struct bcache_device *d, struct bio *bio)
{
	__u64 task = (__u64)vst_address(bpf_get_current_task_btf());
	__u32 slot = task >> 6 & (VST_CACHE_RECENT - 1), at = NOWHERE, row = row_in_flight(bio, &at), i, bytes;
	struct vst_cached *c;
	struct recent *r;
	__u64 sector;

	if (!d || !row || at >= PLACES)
		return 0;
	i = cached_of(vst_more(at)->dev);
	if (i >= VST_CACHES)
		return 0;
	c = cached_at(i);
	if (!c->set) {
		c->id = d->id;
		c->set = (__u64)d->c;
	}
	r = bpf_map_lookup_elem(&vst_cache_recent, &slot);
	if (r) {
		r->row = row;
		r->task = task;
	}
	bytes = vst_read(bio, struct bio, bi_iter.bi_size);
	if (bytes && !is_keeper()) {
		sector = vst_read(bio, struct bio, bi_iter.bi_sector) - c->data_sectors;
		vst_cache_heat(i, row, sector, bytes);
		vst_cache_sample(i, row, sector, bytes);
	}
	return 0;
}

/* --- what the cache does --- */

SEC("?tp_btf/bcache_read")
int BPF_PROG(vst_cache_read, struct bio *bio, bool hit, bool bypass)
{
	__u32 at = NOWHERE, row = row_in_flight(bio, &at);
	struct vst_inflight_more *more;
	__u64 bytes = 0;

	if (!row || at >= PLACES)
		return 0;
	more = vst_more(at);
	for (int n = 0; n < PARTS; n++)
		bytes += more->bytes[n];
	vst_cache_count(row, hit ? HIT : bypass ? BYPASSED : MISS, bytes);
	return 0;
}

/* Also for what a read did not find, and is inserted: that was counted above. */
SEC("?tp_btf/bcache_write")
int BPF_PROG(vst_cache_write, void *set, __u64 inode, struct bio *bio, bool writeback, bool bypass)
{
	__u64 task = (__u64)vst_address(bpf_get_current_task_btf());
	__u32 slot = task >> 6 & (VST_CACHE_RECENT - 1);
	struct recent *r;

	if (!bio || !(vst_read(bio, struct bio, bi_opf) & 1))
		return 0;
	r = bpf_map_lookup_elem(&vst_cache_recent, &slot);
	if (!r || r->task != task)
		return 0;
	vst_cache_count(r->row, bypass ? BYPASSED : WRITTEN, vst_read(bio, struct bio, bi_iter.bi_size));
	return 0;
}

/* The cached device of a key; VST_CACHES: none, or several sets have one of that number. */
static __always_inline __u32 cached_of_key(__u32 inode)
{
	__u32 found = VST_CACHES;

	for (__u32 i = 0; i < VST_CACHES; i++) {
		const struct vst_cached *c = &vst_cache_state.at[i];

		if (i >= vst_cache_state.n || !c->set || c->id != inode)
			continue;
		if (found < VST_CACHES)
			return VST_CACHES;
		found = i;
	}
	return found;
}

/* A place for what begins at that page: its own, or the one of the set that is worth least. */
static __always_inline struct vst_cache_place *place_of(__u64 page, __u8 class)
{
	__u32 first = (page * 0x9e3779b97f4a7c15ULL >> 32 & vst_cache_state.place_mask) * VST_PLACE_WAYS, best = ~0U;
	struct vst_cache_place *p, *found = NULL;

	for (__u32 way = 0; way < VST_PLACE_WAYS; way++) {
		__u32 at = first + way, worth, bucket;
		__u64 *epoch;

		p = bpf_map_lookup_elem(&vst_cache_places, &at);
		if (!p)
			return NULL;
		if (p->page == page)
			return p;
		bucket = p->bucket;
		epoch = p->page ? bpf_map_lookup_elem(&vst_cache_epochs, &bucket) : NULL;
		worth = epoch && (__u16)*epoch == p->epoch ? p->class : 0;
		if (worth < best) {
			best = worth;
			found = p;
		}
	}
	return best <= class ? found : NULL;
}

/* Something of that chunk was inserted: is it worth keeping? Into *ret_unit the first unit that is; its class, or 0. */
static __always_inline __u8 worth_of(const struct vst_heat *heat, __u64 pins, __u64 mask, __u32 *ret_unit)
{
	for (int i = VST_HEAT_CLASSES - 1; i >= 0; i--) {
		__u64 units = (heat->units[i] | (i == VST_HEAT_CLASSES - 1 ? pins : 0)) & mask;

		if (!units)
			continue;
		*ret_unit = 0;
		for (int half = 32; half; half /= 2) { /* the lowest bit */
			if (units & ((1ULL << half) - 1))
				continue;
			units >>= half;
			*ret_unit += half;
		}
		return i + VST_HEAT_CLASS_MIN;
	}
	return 0;
}

/*
 * bcache_invalidate is not traced for a bucket in which bcache's garbage collection has counted no sectors, and bcache_alloc
 * shows the reserve instead of the bucket. But bcache gives a bucket another generation whenever it empties it, and each
 * pointer into the bucket holds that generation. Other generation, other epoch.
 */
#define EPOCH_GEN_SHIFT 32
#define EPOCH_KNOWN (1ULL << 40)

static __always_inline __u64 *epoch_follow(__u32 bucket, __u32 gen)
{
	__u64 *epoch = bpf_map_lookup_elem(&vst_cache_epochs, &bucket);
	__u64 is = EPOCH_KNOWN | (__u64)gen << EPOCH_GEN_SHIFT, was;

	if (!epoch)
		return NULL;
	was = *epoch;
	if (was >> EPOCH_GEN_SHIFT != is >> EPOCH_GEN_SHIFT) /* another CPU that is faster writes the same generation */
		__sync_val_compare_and_swap(epoch, was, is | (__u32)(was + 1));
	return epoch;
}

__noinline int vst_cache_place(__u32 i, __u64 sector, __u32 sectors, __u64 ptr)
{
	struct vst_cached *c = cached_at(i);
	__u32 shift = (c->unit_shift - 9) & 31, unit = 0, bucket;
	__u64 first = sector >> shift, end = (sector + sectors + (1ULL << shift) - 1) >> shift, from, len, page;
	struct vst_cache_place *p;
	struct vst_heat *heat;
	__u64 *epoch, *pins;
	__u32 chunk;
	__u8 class;

	if (!c->bucket_sectors)
		return 0;
	bucket = c->first_bucket + PTR_SECTOR(ptr) / c->bucket_sectors;
	epoch = epoch_follow(bucket, PTR_GEN(ptr)); /* of each insertion: also of what is not worth keeping */
	if (!epoch || first / VST_HEAT_UNITS >= c->chunks || end <= first)
		return 0;
	from = first % VST_HEAT_UNITS;
	len = end - first;
	if (len > VST_HEAT_UNITS - from)
		len = VST_HEAT_UNITS - from;
	chunk = c->first + first / VST_HEAT_UNITS;
	heat = heat_at(chunk);
	pins = bpf_map_lookup_elem(&vst_cache_pins, &chunk);
	if (!heat || !pins)
		return 0;
	class = worth_of(heat, *pins, (len < VST_HEAT_UNITS ? (1ULL << (len & 63)) - 1 : ~0ULL) << (from & 63), &unit);
	if (!class)
		return 0;
	page = (first / VST_HEAT_UNITS * VST_HEAT_UNITS + unit) << shift >> 3;
	if (page < sector >> 3)
		page = sector >> 3;
	p = place_of((__u64)(i + 1) << VST_PLACE_SHIFT | page, class);
	if (!p)
		return 0;
	len = ((sector + sectors) >> 3) - page;
	p->page = 0; /* the agent does not take one half for the other */
	barrier();
	p->bucket = bucket;
	p->epoch = *epoch;
	p->pages = len < 255 ? len : 255;
	p->class = class;
	barrier();
	p->page = (__u64)(i + 1) << VST_PLACE_SHIFT | page;
	return 0;
}

SEC("?tp_btf/bcache_cache_insert")
int BPF_PROG(vst_cache_insert, struct vst_bkey *k)
{
	__u64 high, end, ptr, sector;
	__u32 i, sectors;

	if (!k)
		return 0;
	high = vst_word(k, 0);
	end = vst_word(k, 8);
	ptr = vst_word(k, 16);
	i = cached_of_key(KEY_INODE(high));
	sectors = KEY_SIZE(high);
	if (i >= VST_CACHES || !KEY_PTRS(high) || sectors > end)
		return 0;
	sector = end - sectors;
	if (sector < cached_at(i)->data_sectors)
		return 0;
	vst_cache_place(i, sector - cached_at(i)->data_sectors, sectors, ptr);
	return 0;
}

SEC("?tp_btf/bcache_invalidate")
int BPF_PROG(vst_cache_invalidate, struct cache *ca, __u64 bucket)
{
	__u64 set, *epoch;

	if (!ca)
		return 0;
	set = (__u64)ca->set;
	for (__u32 i = 0; i < VST_CACHES; i++) {
		const struct vst_cached *c = &vst_cache_state.at[i];
		__u32 at = c->first_bucket + bucket;

		if (i >= vst_cache_state.n || c->set != set || bucket >= c->buckets)
			continue;
		epoch = bpf_map_lookup_elem(&vst_cache_epochs, &at);
		if (epoch)
			__sync_fetch_and_add(epoch, 1);
		break; /* devices of one set share its buckets */
	}
	return 0;
}
