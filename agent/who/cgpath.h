/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a cgroup's path says about whose it is. Pure: no allocation, no I/O, no state. docs/names.md has the forms.
 */
#ifndef VSTOR_CGPATH_H
#define VSTOR_CGPATH_H

#include <stdbool.h>
#include <stddef.h>

/* X(ENUM, "name", "what it is") */
#define VST_CGKINDS(X)                                                                                                 \
	X(HOST, "host", "the root cgroup")                                                                             \
	X(CONTAINER, "container", "a container, a pod's sandbox or a virtual machine")                                 \
	X(POD, "pod", "a pod's own cgroup, above its containers")                                                      \
	X(UNIT, "unit", "a systemd unit: service, scope, slice, ...")                                                  \
	X(HELPER, "helper", "a runtime's monitor process (conmon, lxc.monitor): not a container")                      \
	X(OTHER, "other", "none of these")

/* Who made it. X(ENUM, "name") */
#define VST_RUNTIMES(X)                                                                                                \
	X(NONE, "")                                                                                                    \
	X(CONTAINERD, "containerd")                                                                                    \
	X(CRIO, "cri-o")                                                                                               \
	X(DOCKER, "docker")                                                                                            \
	X(PODMAN, "podman")                                                                                            \
	X(NERDCTL, "nerdctl")                                                                                          \
	X(CTR, "ctr")                                                                                                  \
	X(KUBERNETES, "kubernetes") /* in a pod; the path does not tell of which runtime */                            \
	X(BUILDKIT, "buildkit")                                                                                        \
	X(LXC, "lxc") /* LXC, LXD, Incus, libvirt-lxc */                                                               \
	X(NSPAWN, "nspawn")                                                                                            \
	X(VM, "vm") /* libvirt, Proxmox */                                                                             \
	X(GARDEN, "garden")                                                                                            \
	X(MESOS, "mesos")                                                                                              \
	X(NOMAD, "nomad")                                                                                              \
	X(SLURM, "slurm")                                                                                              \
	X(HTCONDOR, "htcondor")                                                                                        \
	X(ECS, "ecs")                                                                                                  \
	X(SYSTEMD, "systemd")

enum vst_cgkind {
#define X(e, n, d) VST_CGKIND_##e,
	VST_CGKINDS(X)
#undef X
		VST_CGKIND__N
};

enum vst_runtime_type {
#define X(e, n) VST_RUNTIME_##e,
	VST_RUNTIMES(X)
#undef X
		VST_RUNTIME__N
};

#define VST_POD_UID_MAX 64

/* All pointers point into the path that was parsed. */
struct vst_cgpath {
	const char *path;
	enum vst_cgkind kind;
	enum vst_runtime_type runtime;
	/*
	 * Of a container, a podman pod, a machine or a unit; NULL: none. Of kind other only where the path is "/a/b": that
	 * may be containerd's namespace and id, as ctr makes them, and vst_runtime_lookup() can tell.
	 */
	const char *id;
	size_t id_len;
	const char *ns; /* containerd's namespace, of /<namespace>/<id>; NULL: none */
	size_t ns_len;
	char pod_uid[VST_POD_UID_MAX]; /* with '-', also where systemd's escape wrote '_'; "": none */
	long uid;		       /* it runs in this user's session manager (rootless); -1: in nobody's */
	size_t scope_len; /* path[0..scope_len) is the cgroup that is the identity: what is below belongs to it */
	size_t outer_len; /* path[0..outer_len) is the outermost container around this one; 0: none */
};

/*
 * path: relative to the root of its hierarchy, "/" or "" for the root; any bytes, any length.
 * The innermost container wins (kind, minikube, docker in docker); what a container's own init system makes inside
 * belongs to the container.
 * 0 or -EINVAL (NULL; *ret is unchanged).
 */
int vst_cgpath_parse(const char *path, struct vst_cgpath *ret);

/* The same of the first len bytes, none of which is NUL: vst_cgpath_parse_len(cg.path, cg.outer_len, &outer). */
int vst_cgpath_parse_len(const char *path, size_t len, struct vst_cgpath *ret);

/*
 * The unit in *cg is marked: systemd has delegated the tree below it, and whoever runs in it makes cgroups there for what it
 * manages. So a cgroup directly below the unit is told apart, as "unit/cgroup", with all that is below it; unless it has a
 * name under which services keep their own processes. True: *cg is that cgroup now.
 */
bool vst_cgpath_delegate(struct vst_cgpath *cg, size_t path_len);

const char *vst_cgkind_name(enum vst_cgkind kind);
const char *vst_runtime_name(enum vst_runtime_type runtime);

#endif /* VSTOR_CGPATH_H */
