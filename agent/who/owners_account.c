// SPDX-License-Identifier: GPL-2.0-only
/* Whose cgroups take the places, so nobody takes all of them. */
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/who/owners_priv.h"

static __u64 path_account(const char *path, size_t len)
{
	__u32 h = 2166136261U;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)path[i]) * 16777619U;
	return VST_ACCOUNT_CONTAINER | h;
}

/*
 * Whose a cgroup is: that of the user in whose session it is, of the container or unit that made it inside itself, of the user
 * who made it, or the system's.
 */
__u64 vst_owners_account_of(const struct vst_cgpath *cg, size_t path_len, long maker)
{
	if (cg->uid >= 0)
		return (__u32)cg->uid;
	if (cg->outer_len)
		return path_account(cg->path, cg->outer_len);
	if (cg->scope_len < path_len && (cg->kind == VST_CGKIND_CONTAINER || cg->kind == VST_CGKIND_UNIT))
		return path_account(cg->path, cg->scope_len);
	return maker > 0 ? (__u32)maker : VST_ACCOUNT_SYSTEM;
}

struct vst_owners_account *vst_owners_account_get(struct vst_owners *o, __u64 id)
{
	struct vst_owners_account *a;

	HASH_FIND(hh, o->accounts, &id, sizeof(id), a);
	if (a)
		return a;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->id = id;
	HASH_ADD(hh, o->accounts, id, sizeof(a->id), a);
	return a;
}

void vst_owners_account_put(struct vst_owners *o, struct vst_owners_account *a)
{
	if (a->cgroups || a->containers)
		return;
	HASH_DEL(o->accounts, a);
	free(a);
}

/* Is there no place for one more of its cgroups? */
bool vst_owners_is_full(const struct vst_owners *o, const struct vst_owners_account *a)
{
	if (o->n_cgroups >= VST_CGROUPS_MAX)
		return true;
	return a->id != VST_ACCOUNT_SYSTEM && (a->cgroups >= VST_CGROUPS_USER || o->n_users >= VST_CGROUPS_USERS);
}

/* Does it have so many that the dead make room early? */
bool vst_owners_is_crowded(const struct vst_owners *o, const struct vst_owners_account *a)
{
	if (o->n_cgroups >= VST_CGROUPS_MAX / 4 * 3)
		return true;
	return a->id != VST_ACCOUNT_SYSTEM &&
	       (a->cgroups >= VST_CGROUPS_USER / 2 || o->n_users >= VST_CGROUPS_USERS / 2);
}

void vst_owners_overflow_add(struct vst_owners *o, const struct vst_owners_account *a)
{
	if (!o->overflow_said && a->id == VST_ACCOUNT_SYSTEM)
		vst_warn("more than %u cgroups: what the further ones do is shown as one container, 'overflow'",
			 VST_CGROUPS_MAX);
	else if (!o->overflow_said && a->id < VST_ACCOUNT_CONTAINER)
		vst_warn("the user with uid %u made %u cgroups: what its further ones do is shown as one container, "
			 "'overflow'",
			 (unsigned int)a->id, a->cgroups);
	else if (!o->overflow_said)
		vst_warn("a container made %u cgroups inside itself: what its further ones do is shown as one "
			 "container, "
			 "'overflow'",
			 a->cgroups);
	o->overflow_said = true;
	o->overflowed++;
}
