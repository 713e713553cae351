// SPDX-License-Identifier: GPL-2.0-only
#include "client.h"
#include "lib/cleanup.h"
#include "meant.h"
#include "whom.h"
#include "wire.h"

static int find_container(void *arg, json_t *line)
{
	bool *found = arg;

	*found = *found || !strcmp(vst_wire_text(line, "type"), "container");
	return 0;
}

char *vst_cgroup_meant(const struct vst_ctl *ctl, const char *typed, const char *own, int *ret_rc)
{
	_cleanup_free_ char *query = vst_query("/v1/policy/explain", "container", typed);
	struct vst_whom whom = { 0 };
	char *cgroup = NULL;
	bool found = false;

	/* The agent knows cgroups that `vstorctl ps` does not list, because nothing in them did I/O yet. */
	*ret_rc = *typed == '/' ? vst_get(ctl, query, find_container, &found) : 0;
	if (*ret_rc)
		return NULL;
	if (found)
		return vst_dup(typed);
	*ret_rc = vst_whom_ask(ctl, typed, &whom);
	if (!*ret_rc && vst_who_is_own(&(struct vst_who){ whom.name, whom.cgroup })) {
		vst_error("%s %s", vst_who_own_meaning(whom.name), own);
		*ret_rc = VST_EXIT_FAILED;
	} else if (!*ret_rc) {
		cgroup = vst_dup(whom.cgroup);
	}
	vst_whom_clear(&whom);
	return cgroup;
}
