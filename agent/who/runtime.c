/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/who/runtime_priv.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define SHORT_ID 12 /* as docker ps and crictl ps show it */

/* --- what the path tells --- */

static int short_len(const struct vst_cgpath *cg)
{
	return cg->id_len > 24 ? SHORT_ID : (int)cg->id_len;
}

/* systemd's "\xNN" in place of what may not stand in a unit's name. */
static void machine_name(char ret[VST_NAME_MAX], const char *s, size_t len)
{
	char plain[VST_NAME_MAX];
	size_t to = 0, i;

	for (i = 0; i < len && to < sizeof(plain); i++) {
		unsigned int byte;
		char hex[3];

		if (s[i] == '\\' && i + 3 < len && s[i + 1] == 'x') {
			memcpy(hex, s + i + 2, 2);
			hex[2] = 0;
			if (strspn(hex, "0123456789abcdef") == 2) {
				byte = (unsigned int)strtoul(hex, NULL, 16);
				plain[to++] = (char)byte;
				i += 3;
				continue;
			}
		}
		plain[to++] = s[i];
	}
	vst_names_copy(ret, plain, to);
}

/* The end of a path tells more than its beginning. */
static void path_name(char ret[VST_NAME_MAX], const char *path, size_t len)
{
	static const char dots[] = "...";
	char buf[VST_NAME_MAX];

	while (len && *path == '/') {
		path++;
		len--;
	}
	if (len < VST_NAME_MAX) {
		vst_names_copy(ret, path, len);
		return;
	}
	len -= VST_NAME_MAX - sizeof(dots);
	snprintf(buf, sizeof(buf), "%s%.*s", dots, VST_NAME_MAX - (int)sizeof(dots), path + len);
	vst_names_copy(ret, buf, strlen(buf));
}

static void container_from_path(const struct vst_cgpath *cg, struct vst_names *n)
{
	const char *runtime = cg->runtime == VST_RUNTIME_NONE ? "container" : vst_runtime_name(cg->runtime);
	char handle[VST_NAME_MAX];

	/* Inside another container, "outer/" stands before it instead: three parts would look like Kubernetes. */
	if (cg->outer_len)
		snprintf(handle, sizeof(handle), "%.*s", short_len(cg), cg->id);
	else
		snprintf(handle, sizeof(handle), "%s/%.*s", runtime, short_len(cg), cg->id);
	vst_names_copy(n->handle, handle, strlen(handle));
	switch (cg->runtime) {
	case VST_RUNTIME_LXC:
	case VST_RUNTIME_VM:
	case VST_RUNTIME_NSPAWN:
	case VST_RUNTIME_SLURM:
	case VST_RUNTIME_HTCONDOR:
		machine_name(n->name, cg->id, cg->id_len);
		break;
	case VST_RUNTIME_NOMAD: /* <allocation>.<task>, with the allocation as short as nomad itself shows it */
		snprintf(handle, sizeof(handle), "%.8s%.*s", cg->id, (int)cg->id_len - 36, cg->id + 36);
		vst_names_copy(n->name, handle, strlen(handle));
		break;
	case VST_RUNTIME_CTR:
		if (cg->id_len != 64)
			vst_names_copy(n->name, cg->id, cg->id_len);
		break;
	default:
		break;
	}
}

static void unit_from_path(const struct vst_cgpath *cg, struct vst_names *n)
{
	char name[2 * VST_NAME_MAX];
	int len;

	/* What systemctl --user -M UID@ calls it. The manager itself is one of the system's units. */
	if (cg->uid >= 0 && (cg->id_len < 5 || memcmp(cg->id, "user@", 5)))
		len = snprintf(name, sizeof(name), "user@%ld/%.*s", cg->uid, (int)cg->id_len, cg->id);
	else
		len = snprintf(name, sizeof(name), "%.*s", (int)cg->id_len, cg->id);
	vst_names_copy(n->name, name, (size_t)len < sizeof(name) ? (size_t)len : sizeof(name) - 1);
}

void vst_names_from_path(const struct vst_cgpath *cg, struct vst_names *ret)
{
	char buf[VST_DISPLAY_MAX];
	struct vst_names outer;
	struct vst_cgpath o;

	memset(ret, 0, sizeof(*ret));
	ret->kind = cg->kind;
	ret->runtime = cg->runtime;
	memcpy(ret->pod_uid, cg->pod_uid, sizeof(ret->pod_uid));
	if (cg->outer_len && !vst_cgpath_parse_len(cg->path, cg->outer_len, &o)) {
		vst_names_from_path(&o, &outer);
		vst_names_display(&outer, buf, sizeof(buf));
		vst_names_copy(ret->outer, buf, strlen(buf));
	}
	switch (cg->kind) {
	case VST_CGKIND_HOST:
		strcpy(ret->name, "host");
		break;
	case VST_CGKIND_CONTAINER:
		container_from_path(cg, ret);
		break;
	case VST_CGKIND_POD:
		if (cg->pod_uid[0])
			snprintf(ret->handle, sizeof(ret->handle), "pod/%s", cg->pod_uid);
		else
			snprintf(ret->handle, sizeof(ret->handle), "pod/%.*s", SHORT_ID, cg->id);
		break;
	case VST_CGKIND_UNIT:
		unit_from_path(cg, ret);
		break;
	case VST_CGKIND_HELPER:
		snprintf(buf, sizeof(buf), "%s/%.*s", cg->runtime == VST_RUNTIME_LXC ? "lxc.monitor" : "conmon",
			 short_len(cg), cg->id);
		vst_names_copy(ret->name, buf, strlen(buf));
		break;
	default:
		path_name(ret->name, cg->path, cg->scope_len);
		break;
	}
}

const char *vst_names_display(const struct vst_names *n, char *buf, size_t size)
{
	const char *sep = n->outer[0] ? "/" : "";

	if (n->ns[0] && n->pod[0])
		snprintf(buf, size, "%s%s%s/%s%s%s", n->outer, sep, n->ns, n->pod, n->name[0] ? "/" : "", n->name);
	else
		snprintf(buf, size, "%s%s%s", n->outer, sep, n->name[0] ? n->name : n->handle);
	return buf;
}

/* --- what the files tell --- */

#define BIT(runtime) (1U << VST_RUNTIME_##runtime)

/* Asked in this order. A path that does not tell of its runtime is asked of all. */
static const struct {
	unsigned int runtimes;
	vst_find_fn *find;
} sources[] = {
	{ BIT(CONTAINERD) | BIT(NERDCTL) | BIT(CTR) | BIT(KUBERNETES) | BIT(NONE), vst_find_containerd },
	{ BIT(CRIO) | BIT(KUBERNETES), vst_find_crio },
	{ BIT(DOCKER) | BIT(KUBERNETES) | BIT(ECS) | BIT(CTR) | BIT(NONE), vst_find_docker },
	{ BIT(PODMAN) | BIT(NONE), vst_find_podman },
	{ BIT(CONTAINERD) | BIT(CRIO) | BIT(DOCKER) | BIT(KUBERNETES), vst_find_kubelet_log },
};

static bool has_source(enum vst_runtime_type runtime)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (sources[i].runtimes & 1U << runtime)
			return true;
	return false;
}

/* May it stand in a file's path? containerd's identifiers are the widest. */
static bool is_file_name(const char *s, size_t len)
{
	if (!len || len > 76 || s[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!memchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", s[i], 65))
			return false;
	return true;
}

/* The user's line in passwd. */
static int user_home(struct vst_runtime *rt, long uid, char ret[VST_NAME_MAX])
{
	char *text, *rest, *line, *field;
	int r, n = -ENOENT;
	size_t len;

	r = vst_rtfile_read(rt, "/etc/passwd", &text, &len);
	if (r < 0)
		return r;
	for (rest = text; n && (line = strsep(&rest, "\n"));) {
		char *f[6] = { NULL };
		size_t i = 0;

		while (i < ARRAY_SIZE(f) && (field = strsep(&line, ":")))
			f[i++] = field;
		if (i < ARRAY_SIZE(f) || strtol(f[2], &field, 10) != uid || *field || !*f[2])
			continue;
		n = snprintf(ret, VST_NAME_MAX, "%s", f[5]) < VST_NAME_MAX && f[5][0] == '/' ? 0 : -EINVAL;
	}
	free(text);
	return n;
}

static bool reading_can_wait(struct vst_runtime *rt, const char *path)
{
	char full[PATH_MAX + VST_NAME_MAX + 64];

	snprintf(full, sizeof(full), "%s%s", rt->prefix, path);
	return vst_rtfile_is_remote(rt->mounts, full);
}

/*
 * In a user's own tree, everything is the user's to make: the cgroup, the files, what is mounted and linked where. So a
 * name is looked for in that user's files only, never through a link, and never where reading can wait for another
 * machine or a process.
 */
static int find_of_user(struct vst_runtime *rt, const struct vst_cgpath *cg, const char *id, struct vst_names *names)
{
	char home[VST_NAME_MAX], share[VST_NAME_MAX + 16], containers[64], containerd[64];
	int r = -ENOENT;

	if (user_home(rt, cg->uid, home))
		return -ENOENT;
	snprintf(share, sizeof(share), "%s/.local/share", home);
	snprintf(containers, sizeof(containers), "/run/user/%ld/containers", cg->uid);
	snprintf(containerd, sizeof(containerd), "/run/user/%ld/containerd", cg->uid);
	if (reading_can_wait(rt, share) || reading_can_wait(rt, containers) || reading_can_wait(rt, containerd))
		return -ENOENT;
	rt->resolve |= RESOLVE_NO_SYMLINKS;
	rt->of_user = true;
	for (size_t i = 0; r && r != -ENOMEM && i < ARRAY_SIZE(sources); i++)
		if (sources[i].runtimes & 1U << cg->runtime)
			r = sources[i].find(rt, cg, id, home, names);
	rt->resolve &= ~(unsigned long long)RESOLVE_NO_SYMLINKS;
	rt->of_user = false;
	return r;
}

static int find_container(struct vst_runtime *rt, const struct vst_cgpath *cg, struct vst_names *names)
{
	char id[VST_NAME_MAX];
	int r = -ENOENT;

	if (!is_file_name(cg->id, cg->id_len) || (cg->ns && !is_file_name(cg->ns, cg->ns_len)))
		return 0;
	snprintf(id, sizeof(id), "%.*s", (int)cg->id_len, cg->id);
	if (cg->uid >= 0)
		return find_of_user(rt, cg, id, names);
	for (size_t i = 0; r && r != -ENOMEM && i < ARRAY_SIZE(sources); i++)
		if (sources[i].runtimes & 1U << cg->runtime)
			r = sources[i].find(rt, cg, id, NULL, names);
	return r;
}

static int lookup(struct vst_runtime *rt, const struct vst_cgpath *cg, struct vst_names *names)
{
	switch (cg->kind) {
	case VST_CGKIND_CONTAINER:
		return has_source(cg->runtime) ? find_container(rt, cg, names) : 0;
	case VST_CGKIND_POD:
		return cg->pod_uid[0] ? vst_find_pod(rt, cg->pod_uid, names) : 0;
	case VST_CGKIND_OTHER:
		/* containerd writes a container's files before it makes the cgroup: none now is none ever. */
		if (cg->id && is_file_name(cg->id, cg->id_len) && is_file_name(cg->ns, cg->ns_len)) {
			char id[VST_NAME_MAX];

			snprintf(id, sizeof(id), "%.*s", (int)cg->id_len, cg->id);
			vst_find_containerd(rt, cg, id, NULL, names);
		}
		return 0;
	default:
		return 0;
	}
}

/*
 * What runs inside a container names its cgroups as it likes, also like another container of the host: the host's files
 * are not asked about it, only about the container around it.
 */
static int lookup_nested(struct vst_runtime *rt, const struct vst_cgpath *cg, struct vst_names *names)
{
	char buf[VST_DISPLAY_MAX];
	struct vst_names outer;
	struct vst_cgpath o;
	int r;

	r = vst_cgpath_parse_len(cg->path, cg->outer_len, &o);
	if (r < 0)
		return r;
	vst_names_from_path(&o, &outer);
	r = lookup(rt, &o, &outer);
	if (r < 0)
		return r;
	vst_names_display(&outer, buf, sizeof(buf));
	vst_names_copy(names->outer, buf, strlen(buf));
	return 0;
}

bool vst_runtime_has_files(const struct vst_cgpath *cg)
{
	struct vst_cgpath outer;

	if (cg->outer_len)
		return !vst_cgpath_parse_len(cg->path, cg->outer_len, &outer) && vst_runtime_has_files(&outer);
	switch (cg->kind) {
	case VST_CGKIND_CONTAINER:
		return has_source(cg->runtime) && is_file_name(cg->id, cg->id_len) &&
		       (!cg->ns || is_file_name(cg->ns, cg->ns_len));
	case VST_CGKIND_POD:
		return cg->pod_uid[0];
	case VST_CGKIND_OTHER:
		return cg->id && is_file_name(cg->id, cg->id_len) && is_file_name(cg->ns, cg->ns_len);
	default:
		return false;
	}
}

int vst_runtime_lookup(struct vst_runtime *rt, const struct vst_cgpath *cg, struct vst_names *names)
{
	int r;

	vst_labels_free(rt->labels.label, rt->labels.n);
	rt->labels = (struct vst_labels){ 0 };
	rt->bytes = rt->entries = 0;
	rt->file[0] = 0;
	r = cg->outer_len ? lookup_nested(rt, cg, names) : lookup(rt, cg, names);
	return !r || r == -ENOMEM ? r : -ENOENT;
}

size_t vst_runtime_bytes(const struct vst_runtime *rt)
{
	return rt->bytes;
}

char *vst_runtime_take_file(struct vst_runtime *rt, __u64 *ret_stamp)
{
	*ret_stamp = rt->stamp;
	return rt->file[0] ? strdup(rt->file) : NULL;
}

struct vst_label *vst_runtime_take_labels(struct vst_runtime *rt, size_t *ret_n)
{
	struct vst_label *label = rt->labels.label;

	*ret_n = rt->labels.n;
	rt->labels = (struct vst_labels){ 0 };
	return label;
}

/*
 * The root of another process, /proc/PID/root, may lie in another mount namespace: realpath() would say "/" of it, which
 * is a different directory here, and its mounts are in /proc/PID/mounts.
 */
static int root_open(struct vst_runtime *rt, const char *root)
{
	size_t n = strlen(root);

	snprintf(rt->mounts, sizeof(rt->mounts), "/proc/self/mounts");
	if (n > 5 && !strncmp(root, "/proc/", 6) && !strcmp(root + n - 5, "/root")) {
		snprintf(rt->mounts, sizeof(rt->mounts), "%.*s/mounts", (int)(n - 5), root);
		return open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return realpath(root, rt->prefix) ? open(rt->prefix, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

struct vst_runtime *vst_runtime_new(const char *root)
{
	struct vst_runtime *rt = calloc(1, sizeof(*rt));
	DIR *dir;

	if (!rt)
		return NULL;
	rt->resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
	rt->root = root_open(rt, root);
	if (rt->root < 0) {
		free(rt);
		return NULL;
	}
	/* a filter of system calls may forbid openat2(), by which all files are opened */
	dir = vst_rtfile_opendir(rt, "/");
	if (!dir) {
		int err = errno;

		vst_runtime_free(rt);
		errno = err;
		return NULL;
	}
	closedir(dir);
	if (!strcmp(rt->prefix, "/"))
		rt->prefix[0] = 0;
	return rt;
}

void vst_runtime_free(struct vst_runtime *rt)
{
	if (!rt)
		return;
	vst_labels_free(rt->labels.label, rt->labels.n);
	close(rt->root);
	free(rt);
}
