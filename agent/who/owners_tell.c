// SPDX-License-Identifier: GPL-2.0-only
/* What the probes are told of cgroups: which are no container's, and who shares rows. */
#include <string.h>

#include <bpf/bpf.h>

#include "agent/who/owners_priv.h"

#define PLAIN_GONE_MAX 1024 /* bits of cgroups that are gone make others look like them: one in 64 then */

void vst_owners_plain_set(struct vst_owners *o, const struct cgroup *cg)
{
	__u32 bit = VST_PLAIN_BIT(cg->key);

	if (o->plain && cg->plain)
		__atomic_or_fetch(&o->plain[bit / 64], 1ULL << (bit % 64), __ATOMIC_RELAXED);
}

/* Word by word: a bit that stays is never 0 meanwhile. */
void vst_owners_plain_again(struct vst_owners *o)
{
	static __u64 bits[(1 << VST_PLAIN_BITS) / 64];
	struct cgroup *cg;
	__u32 bit;

	if (!o->plain || o->plain_gone < PLAIN_GONE_MAX)
		return;
	o->plain_gone = 0;
	memset(bits, 0, sizeof(bits));
	for (cg = o->cgroups; cg < o->cgroups + o->places; cg++) {
		if (!cg->c || !cg->plain || cg->ended > 0)
			continue;
		bit = VST_PLAIN_BIT(cg->key);
		bits[bit / 64] |= 1ULL << (bit % 64);
	}
	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++)
		__atomic_store_n(&o->plain[i], bits[i], __ATOMIC_RELAXED);
}

void vst_owners_each_cgroup(const struct vst_owners *o, vst_owners_cgroup_fn *fn, void *ctx)
{
	for (const struct cgroup *cg = o->cgroups; cg < o->cgroups + o->places; cg++)
		if (cg->c && !(cg->ended > 0))
			fn(ctx, cg->key, cg->c);
}

void vst_owners_tell(struct vst_owners *o, __u64 *plain, int shares_fd)
{
	o->plain = plain;
	o->shares_fd = shares_fd;
}

/*
 * A container and a unit (but a slice, which is not one thing) have a share of the rows with all that they make inside
 * themselves; so has a user. The probes have entered what was made inside of what they know.
 */
void vst_owners_share_set(struct vst_owners *o, const struct cgroup *cg, const struct vst_cgpath *p)
{
	static const char slice[] = ".slice";
	__u64 *top = &cg->account->share[cg->key & 3], own = cg->key, *value = top;
	bool is_slice = p->kind == VST_CGKIND_UNIT && p->id_len >= sizeof(slice) - 1 &&
			!memcmp(p->id + p->id_len - (sizeof(slice) - 1), slice, sizeof(slice) - 1);

	if (o->shares_fd < 0)
		return;
	if (cg->account->id == VST_ACCOUNT_SYSTEM) {
		if (is_slice || (p->kind != VST_CGKIND_CONTAINER && p->kind != VST_CGKIND_UNIT))
			return;
		value = &own;
	} else if (!*top) {
		*top = cg->key;
	}
	/* a container in a runtime's unit has been entered as the unit's */
	bpf_map_update_elem(o->shares_fd, &cg->key, value, value == &own ? BPF_ANY : BPF_NOEXIST);
}
