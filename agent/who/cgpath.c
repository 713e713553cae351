/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "agent/who/cgpath.h"

/* A piece of the path. */
struct span {
	const char *p;
	size_t len;
};

/* What an id must look like. */
enum form {
	HEX64,	/* every OCI engine's container id */
	BASE36, /* BuildKit's: 25 of [a-z0-9] */
	UUID,	/* hex digits and dashes */
	TASK,	/* Fargate's: 32 hex digits, dash, number */
	NUMBER,
	NAME, /* anything */
};

#define ANY_OR_NO_SCOPE NULL

/* A component that names a thing by itself: prefix + id + suffix. The first row that matches wins. */
static const struct by_prefix {
	const char *prefix;
	const char *suffix; /* ANY_OR_NO_SCOPE: ".scope" or nothing */
	enum form form;
	enum vst_cgkind kind;
	enum vst_runtime_type runtime;
} by_prefix[] = {
	{ "cri-containerd-", ANY_OR_NO_SCOPE, HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_CONTAINERD },
	{ "crio-conmon-", ANY_OR_NO_SCOPE, HEX64, VST_CGKIND_HELPER, VST_RUNTIME_CRIO },
	{ "crio-", ANY_OR_NO_SCOPE, HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_CRIO },
	{ "docker-", ANY_OR_NO_SCOPE, HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_DOCKER },
	{ "docker-", ANY_OR_NO_SCOPE, BASE36, VST_CGKIND_CONTAINER, VST_RUNTIME_BUILDKIT },
	{ "libpod-conmon-", ANY_OR_NO_SCOPE, HEX64, VST_CGKIND_HELPER, VST_RUNTIME_PODMAN },
	{ "libpod-payload-", ANY_OR_NO_SCOPE, HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_PODMAN },
	{ "libpod-", ANY_OR_NO_SCOPE, HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_PODMAN },
	{ "nerdctl-", ANY_OR_NO_SCOPE, HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_NERDCTL },
	{ "kata_", ANY_OR_NO_SCOPE, HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_KUBERNETES },
	{ "lxc.payload.", "", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_LXC },
	{ "lxc.monitor.", "", NAME, VST_CGKIND_HELPER, VST_RUNTIME_LXC },
	{ "machine-lxc\\x2d", ".scope", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_LXC },
	{ "machine-qemu\\x2d", ".scope", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_VM },
	{ "machine-", ".scope", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_NSPAWN },
	{ "systemd-nspawn@", ".service", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_NSPAWN },
	{ "container@", ".service", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_NSPAWN }, /* NixOS */
	{ "", ".libvirt-lxc", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_LXC },
	{ "", ".libvirt-qemu", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_VM },
};

/* A component that is one because of the component above it. */
static const struct by_parent {
	const char *parent; /* a trailing '*' matches the rest */
	const char *suffix;
	enum form form;
	enum vst_cgkind kind;
	enum vst_runtime_type runtime;
} by_parent[] = {
	{ "docker", "", HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_DOCKER },
	{ "moby", "", HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_DOCKER },
	{ "buildkit", "", BASE36, VST_CGKIND_CONTAINER, VST_RUNTIME_BUILDKIT },
	{ "k8s.io", "", HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_CONTAINERD },
	{ "libpod_parent", "", HEX64, VST_CGKIND_POD, VST_RUNTIME_PODMAN },
	{ "podman-*", "", HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_PODMAN }, /* before 2.0, rootless */
	{ "kata_overhead", "", HEX64, VST_CGKIND_CONTAINER, VST_RUNTIME_KUBERNETES },
	{ "lxc", "", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_LXC },	    /* LXC 3, Proxmox, /libvirt/lxc/ */
	{ "lxc.payload", "", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_LXC }, /* LXC 3.1 to 3.2 */
	{ "lxc.monitor", "", NAME, VST_CGKIND_HELPER, VST_RUNTIME_LXC },
	{ "qemu", "", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_VM },		  /* /libvirt/qemu/ */
	{ "qemu.slice", ".scope", NUMBER, VST_CGKIND_CONTAINER, VST_RUNTIME_VM }, /* Proxmox */
	{ "garden", "", UUID, VST_CGKIND_CONTAINER, VST_RUNTIME_GARDEN },
	{ "mesos", "", UUID, VST_CGKIND_CONTAINER, VST_RUNTIME_MESOS },
	{ "htcondor", "", NAME, VST_CGKIND_CONTAINER, VST_RUNTIME_HTCONDOR }, /* BASE_CGROUP's default */
};

/* How far the walk has come. */
struct walk {
	size_t pos; /* end of the component looked at */
	size_t n;   /* components so far, without leading ".." */
	struct span first, parent, comp;
	bool kubepods;	      /* below a kubelet's root, and in no container since */
	bool nomad;	      /* below nomad's */
	bool user_unit;	      /* below user@N.service, and in no unit since */
	size_t container_len; /* end of the last container */
};

static bool is(struct span s, const char *str)
{
	return s.len == strlen(str) && !memcmp(s.p, str, s.len);
}

static bool begins(struct span s, const char *str)
{
	size_t n = strlen(str);

	return s.len >= n && !memcmp(s.p, str, n);
}

static bool ends(struct span s, const char *str)
{
	size_t n = strlen(str);

	return s.len >= n && !memcmp(s.p + s.len - n, str, n);
}

static struct span after(struct span s, size_t n)
{
	return (struct span){ s.p + n, s.len - n };
}

static size_t all_of(struct span s, const char *set)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!memchr(set, s.p[i], strlen(set)))
			break;
	return i;
}

#define HEX "0123456789abcdef"

static bool has_form(struct span s, enum form form)
{
	switch (form) {
	case HEX64:
		return s.len == 64 && all_of(s, HEX) == 64;
	case BASE36:
		return s.len == 25 && all_of(s, "0123456789abcdefghijklmnopqrstuvwxyz") == 25;
	case UUID:
		return s.len >= 16 && s.len <= 64 && memchr(s.p, '-', s.len) && all_of(s, HEX "ABCDEF-") == s.len;
	case TASK:
		return s.len > 33 && s.p[32] == '-' && all_of(s, HEX) == 32 && has_form(after(s, 33), NUMBER);
	case NUMBER:
		return s.len && s.len < 20 && all_of(s, "0123456789") == s.len;
	case NAME:
		return s.len;
	}
	return false;
}

/* Takes prefix and suffix off *s. */
static bool strip(struct span *s, const char *prefix, const char *suffix)
{
	struct span t = *s;

	if (suffix == ANY_OR_NO_SCOPE)
		suffix = ends(t, ".scope") ? ".scope" : "";
	if (!begins(t, prefix) || t.len < strlen(prefix) + strlen(suffix) || !ends(t, suffix))
		return false;
	t = after(t, strlen(prefix));
	t.len -= strlen(suffix);
	*s = t;
	return true;
}

static void found(struct walk *w, struct vst_cgpath *r, enum vst_cgkind kind, enum vst_runtime_type runtime,
		  struct span id)
{
	/* A runtime inside a container wrote this; the first container is the one that this host knows. */
	if (w->container_len && !r->outer_len)
		r->outer_len = w->container_len;
	if (kind == VST_CGKIND_CONTAINER)
		w->container_len = w->pos;
	r->kind = kind;
	r->runtime = runtime;
	r->id = id.p;
	r->id_len = id.len;
	r->ns = NULL;
	r->ns_len = 0;
	r->scope_len = w->pos;
}

/* The pod's uid in "kubepods-burstable-pod<uid>" or, below a kubelet's root, "pod<uid>". */
static bool pod_uid(const struct walk *w, struct span s, char ret[VST_POD_UID_MAX])
{
	const char *k = memmem(s.p, s.len, "kubepods", 8);
	const char *pod;
	struct span uid;

	if (k) {
		pod = memmem(k, (size_t)(s.p + s.len - k), "-pod", 4);
		if (!pod)
			return false;
		uid = after(s, (size_t)(pod + 4 - s.p));
	} else if (w->kubepods && begins(s, "pod")) {
		uid = after(s, 3);
	} else {
		return false;
	}
	if (!uid.len || uid.len >= VST_POD_UID_MAX ||
	    all_of(uid, "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != uid.len)
		return false;
	for (size_t i = 0; i < uid.len; i++)
		ret[i] = uid.p[i] == '_' ? '-' : uid.p[i];
	ret[uid.len] = 0;
	return true;
}

static bool try_pod(struct walk *w, struct vst_cgpath *r)
{
	char uid[VST_POD_UID_MAX];
	struct span s = w->comp;
	const char *p;

	if (ends(s, ".slice"))
		s.len -= 6;
	if (pod_uid(w, s, uid)) {
		found(w, r, VST_CGKIND_POD, VST_RUNTIME_KUBERNETES, (struct span){ NULL, 0 });
		memcpy(r->pod_uid, uid, sizeof(uid));
		return true;
	}
	p = memmem(s.p, s.len, "libpod_pod_", 11);
	if (p && has_form(after(s, (size_t)(p + 11 - s.p)), HEX64)) {
		found(w, r, VST_CGKIND_POD, VST_RUNTIME_PODMAN, after(s, (size_t)(p + 11 - s.p)));
		r->pod_uid[0] = 0;
		return true;
	}
	return false;
}

/*
 * "<slice>:<prefix>:<id>": a runtime told to use systemd's form whose low-level runtime made it a directory's name.
 */
static bool try_colons(struct walk *w, struct vst_cgpath *r)
{
	const char *end = w->comp.p + w->comp.len;
	const char *a = memchr(w->comp.p, ':', w->comp.len);
	const char *b = a ? memchr(a + 1, ':', (size_t)(end - a - 1)) : NULL;
	struct span slice, name, id;
	size_t i;

	if (!b)
		return false;
	slice = (struct span){ w->comp.p, (size_t)(a - w->comp.p) };
	name = (struct span){ a + 1, (size_t)(b - a - 1) };
	id = (struct span){ b + 1, (size_t)(end - b - 1) };
	for (i = 0; i < sizeof(by_prefix) / sizeof(by_prefix[0]); i++) {
		size_t n = strlen(by_prefix[i].prefix);

		if (n != name.len + 1 || by_prefix[i].prefix[n - 1] != '-' ||
		    memcmp(by_prefix[i].prefix, name.p, name.len) || !has_form(id, by_prefix[i].form))
			continue;
		found(w, r, by_prefix[i].kind, by_prefix[i].runtime, id);
		if (ends(slice, ".slice"))
			slice.len -= 6;
		if (!pod_uid(w, slice, r->pod_uid))
			r->pod_uid[0] = 0;
		return true;
	}
	return false;
}

/* systemd writes '-' within a machine's name as "\x2d"; libvirt's names begin with the driver and a number. */
static struct span without_number(struct span s)
{
	const char *p = memmem(s.p, s.len, "\\x2d", 4);
	struct span n = { s.p, p ? (size_t)(p - s.p) : 0 };

	return p && has_form(n, NUMBER) && s.len > n.len + 4 ? after(s, n.len + 4) : s;
}

static bool try_prefix(struct walk *w, struct vst_cgpath *r)
{
	size_t i;

	for (i = 0; i < sizeof(by_prefix) / sizeof(by_prefix[0]); i++) {
		const struct by_prefix *b = &by_prefix[i];
		struct span id = w->comp;

		if (!strip(&id, b->prefix, b->suffix) || !has_form(id, b->form))
			continue;
		if (ends((struct span){ b->prefix, strlen(b->prefix) }, "\\x2d"))
			id = without_number(id);
		found(w, r, b->kind, b->runtime, id);
		return true;
	}
	return false;
}

static bool try_parent(struct walk *w, struct vst_cgpath *r)
{
	size_t i;

	for (i = 0; i < sizeof(by_parent) / sizeof(by_parent[0]); i++) {
		const struct by_parent *b = &by_parent[i];
		size_t n = strlen(b->parent);
		bool star = b->parent[n - 1] == '*';
		struct span id = w->comp;

		if (star ? w->parent.len < n || memcmp(w->parent.p, b->parent, n - 1) : !is(w->parent, b->parent))
			continue;
		if (!strip(&id, "", b->suffix) || !has_form(id, b->form))
			continue;
		found(w, r, b->kind, b->runtime, id);
		return true;
	}
	return false;
}

/* /nomad.slice/share.slice/<allocation>.<task>.scope, /nomad/<allocation>.<task> */
static bool try_nomad(struct walk *w, struct vst_cgpath *r)
{
	struct span id = w->comp;

	if (!w->nomad || !strip(&id, "", ANY_OR_NO_SCOPE) || id.len < 38 || id.p[36] != '.' ||
	    !has_form((struct span){ id.p, 36 }, UUID))
		return false;
	found(w, r, VST_CGKIND_CONTAINER, VST_RUNTIME_NOMAD, id);
	return true;
}

/* .../slurmstepd.scope/job_101 (cgroup v2; the scope may have the node's name before it), /slurm[_<node>]/uid_0/job_101 */
static bool try_slurm(struct walk *w, struct vst_cgpath *r)
{
	struct span id = w->comp;

	if (!strip(&id, "job_", "") || !has_form(id, NUMBER))
		return false;
	if (!ends(w->parent, "slurmstepd.scope") && !(begins(w->parent, "uid_") && begins(w->first, "slurm")))
		return false;
	found(w, r, VST_CGKIND_CONTAINER, VST_RUNTIME_SLURM, w->comp);
	return true;
}

/* An id alone: what is above it has to tell whose it is. */
static bool try_bare(struct walk *w, struct vst_cgpath *r)
{
	bool ecs = is(w->first, "ecs");

	if (has_form(w->comp, HEX64)) {
		found(w, r, VST_CGKIND_CONTAINER,
		      w->kubepods			       ? VST_RUNTIME_KUBERNETES
		      : ecs				       ? VST_RUNTIME_ECS
		      : w->n == 2 && !ends(w->first, ".slice") ? VST_RUNTIME_CTR
							       : VST_RUNTIME_NONE,
		      w->comp);
	} else if (ecs && has_form(w->comp, TASK)) {
		found(w, r, VST_CGKIND_CONTAINER, VST_RUNTIME_ECS, w->comp);
	} else if (w->n == 2 && is(w->first, "default")) {
		found(w, r, VST_CGKIND_CONTAINER, VST_RUNTIME_CTR, w->comp);
	} else {
		return false;
	}
	if (r->runtime == VST_RUNTIME_CTR) {
		r->ns = w->first.p;
		r->ns_len = w->first.len;
	}
	return true;
}

static const char *const unit_suffixes[] = { ".service", ".scope", ".slice", ".socket", ".mount", ".swap" };

/*
 * The innermost slice, or what is in it: a service's own sub-cgroups belong to it, but user@N.service is a manager with
 * units of its own (its init.scope is the manager itself).
 */
static void try_unit(struct walk *w, struct vst_cgpath *r)
{
	struct span uid = w->comp;
	size_t i;

	if (r->kind != VST_CGKIND_OTHER && r->kind != VST_CGKIND_UNIT)
		return;
	if (r->kind == VST_CGKIND_UNIT) {
		if (!w->user_unit && !ends((struct span){ r->id, r->id_len }, ".slice"))
			return;
		if (w->user_unit && is(w->comp, "init.scope"))
			return;
	} else if (w->n > 1) {
		return; /* below something that is not systemd's */
	}
	for (i = 0; i < sizeof(unit_suffixes) / sizeof(unit_suffixes[0]); i++)
		if (ends(w->comp, unit_suffixes[i]) && w->comp.len > strlen(unit_suffixes[i]))
			break;
	if (i == sizeof(unit_suffixes) / sizeof(unit_suffixes[0]))
		return;
	found(w, r, VST_CGKIND_UNIT, VST_RUNTIME_SYSTEMD, w->comp);
	w->user_unit = w->user_unit && ends(w->comp, ".slice");
	if (r->uid < 0 && strip(&uid, "user@", ".service") && has_form(uid, NUMBER) && uid.len < 11) {
		r->uid = 0;
		for (i = 0; i < uid.len; i++)
			r->uid = r->uid * 10 + (uid.p[i] - '0');
		w->user_unit = true;
	}
}

static void component(struct walk *w, struct vst_cgpath *r)
{
	size_t container = w->container_len;

	if (is(w->comp, "kubepods") ||
	    (memmem(w->comp.p, w->comp.len, "kubepods", 8) && memmem(w->comp.p, w->comp.len, ".slice", 6)))
		w->kubepods = true;
	if (is(w->comp, "nomad") || is(w->comp, "nomad.slice"))
		w->nomad = true;
	if (!try_colons(w, r) && !try_pod(w, r) && !try_prefix(w, r) && !try_parent(w, r) && !try_nomad(w, r) &&
	    !try_slurm(w, r) && !try_bare(w, r))
		try_unit(w, r);
	if (w->container_len != container) {
		/* Whose pod it is was told above; what comes below is another kubelet's. */
		if (container && !w->kubepods)
			r->pod_uid[0] = 0;
		w->kubepods = false;
		w->nomad = false;
	}
}

/* Moves on to the next component that is not empty. */
static bool next(struct walk *w, const char *path, size_t len)
{
	size_t begin = w->pos, end;

	while (begin < len && path[begin] == '/')
		begin++;
	for (end = begin; end < len && path[end] != '/'; end++)
		;
	if (end == begin)
		return false;
	w->pos = end;
	w->comp = (struct span){ path + begin, end - begin };
	return true;
}

int vst_cgpath_parse_len(const char *path, size_t len, struct vst_cgpath *ret)
{
	struct vst_cgpath r = { .path = path, .kind = VST_CGKIND_OTHER, .uid = -1 };
	struct walk w = { 0 };
	bool up = false; /* the reader's cgroup namespace is below: "/../.." */

	if (!path)
		return -EINVAL;
	while (next(&w, path, len)) {
		up = up || is(w.comp, "..");
		if (is(w.comp, ".") || is(w.comp, "..")) {
			w.parent = (struct span){ "", 0 };
			continue;
		}
		if (!w.n++)
			w.first = w.comp;
		component(&w, &r);
		w.parent = w.comp;
	}
	if (!w.n && !up) {
		r.kind = VST_CGKIND_HOST;
	} else if (r.kind == VST_CGKIND_OTHER) {
		r.scope_len = w.pos;
		if (w.n == 2 && !up) { /* perhaps a container of ctr's: vst_runtime_lookup() can tell */
			r.ns = w.first.p;
			r.ns_len = w.first.len;
			r.id = w.comp.p;
			r.id_len = w.comp.len;
		}
	}
	*ret = r;
	return 0;
}

int vst_cgpath_parse(const char *path, struct vst_cgpath *ret)
{
	return vst_cgpath_parse_len(path, path ? strlen(path) : 0, ret);
}

bool vst_cgpath_delegate(struct vst_cgpath *cg, size_t path_len)
{
	/* systemd's documentation of delegation and the services themselves: udevd, nspawn, podman, container engines */
	static const char *const own[] = { "init", "init.scope", "supervisor", "payload", "runtime", "udev",
					   "main", "manager",	 "daemon",     "control", ".control" };
	struct walk w = { .pos = cg->scope_len };
	size_t i;

	if (cg->kind != VST_CGKIND_UNIT || !next(&w, cg->path, path_len))
		return false;
	if (is(w.comp, ".") || is(w.comp, ".."))
		return false;
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (is(w.comp, own[i]))
			return false;
	cg->id_len = (size_t)(w.comp.p + w.comp.len - cg->id);
	cg->scope_len = w.pos;
	return true;
}

const char *vst_cgkind_name(enum vst_cgkind kind)
{
#define X(e, n, d) n,
	static const char *const names[] = { VST_CGKINDS(X) };
#undef X
	return (unsigned int)kind < VST_CGKIND__N ? names[kind] : "";
}

const char *vst_runtime_name(enum vst_runtime_type runtime)
{
#define X(e, n) n,
	static const char *const names[] = { VST_RUNTIMES(X) };
#undef X
	return (unsigned int)runtime < VST_RUNTIME__N ? names[runtime] : "";
}
