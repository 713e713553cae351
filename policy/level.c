/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <string.h>

#include "agent/who/cgpath.h"
#include "policy/level.h"

/* Length of the pod's own cgroup, which is the longest part of the path before the container that is one; 0: none. */
static size_t pod_len(const struct vst_cgpath *cg)
{
	struct vst_cgpath above;

	if (cg->kind == VST_CGKIND_POD)
		return cg->scope_len;
	if (!*cg->pod_uid)
		return 0;
	for (size_t len = cg->scope_len; len-- > 1;)
		if (cg->path[len] == '/' && !vst_cgpath_parse_len(cg->path, len, &above) &&
		    above.kind == VST_CGKIND_POD)
			return len;
	return 0;
}

int vst_levels_of(const char *path, struct vst_levels *ret, char text[VST_TEXT_MAX])
{
	struct vst_cgpath cg;

	if (vst_cgpath_parse(path, &cg) || cg.kind == VST_CGKIND_HOST) {
		vst_explain(text, "the root cgroup has no weight and no limit");
		return -EPERM;
	}
	if (cg.kind != VST_CGKIND_CONTAINER && !*cg.pod_uid && strstr(path, "kubepods")) {
		vst_explain(
			text,
			"%s is the kubelet's: it sets the weights of its root and its QoS classes itself. Name pods or "
			"containers",
			path);
		return -EPERM;
	}
	*ret = (struct vst_levels){ .scope_len = cg.scope_len, .pod_len = pod_len(&cg) };
	return 0;
}

int vst_level_check(const char *path, char text[VST_TEXT_MAX])
{
	struct vst_levels levels;
	int err = vst_levels_of(path, &levels, text);

	if (err || levels.scope_len == strlen(path))
		return err;
	vst_explain(text, "%s is inside %.*s: a weight there counts only within it. Set it there", path,
		    (int)levels.scope_len, path);
	return -EPERM;
}
