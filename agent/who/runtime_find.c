/* SPDX-License-Identifier: GPL-2.0-only */
/* Where each runtime keeps its containers' names. docs/names.md has the versions that were looked at. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/who/runtime_priv.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* An OCI configuration has some 2,000 values. */
#define CONFIG_TOKENS 65536
#define ENTRY_MAX ((size_t)256 << 10) /* of podman's list; a usual one has 600 bytes */

/* A string that is there and not empty. */
static bool take(char ret[VST_NAME_MAX], const json_t *object, const char *key)
{
	const json_t *s = json_object_get(object, key);

	if (!json_is_string(s) || !json_string_length(s))
		return false;
	vst_names_copy(ret, json_string_value(s), json_string_length(s));
	return true;
}

static bool has_value(const json_t *object, const char *key, const char *value)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s && !strcmp(s, value);
}

static void take_uid(struct vst_names *n, const json_t *object, const char *key)
{
	char uid[VST_NAME_MAX];

	if (take(uid, object, key) && strlen(uid) < sizeof(n->pod_uid))
		memcpy(n->pod_uid, uid, strlen(uid) + 1);
}

/* Both, or none. */
static bool take_pod(struct vst_names *n, const json_t *object, const char *pod, const char *ns)
{
	char p[VST_NAME_MAX], s[VST_NAME_MAX];

	if (!take(p, object, pod) || !take(s, object, ns))
		return false;
	memcpy(n->pod, p, sizeof(p));
	memcpy(n->ns, s, sizeof(s));
	return true;
}

/* The pod's own (pause) container. */
static void set_sandbox(struct vst_names *n)
{
	strcpy(n->name, "POD");
}

__attribute__((format(printf, 2, 3))) static bool make_path(char ret[PATH_MAX], const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(ret, PATH_MAX, format, args);
	va_end(args);
	return n > 0 && n < PATH_MAX;
}

/* --- containerd: the bundle's config.json, written before the cgroup is made --- */

static int containerd_bundle(struct vst_runtime *rt, const char *base, const char *ns, const char *id,
			     struct vst_names *names)
{
	struct vst_names n = *names;
	char path[PATH_MAX];
	json_t *config, *a;
	int r;

	if (!make_path(path, "%s/io.containerd.runtime.v2.task/%s/%s/config.json", base, ns, id))
		return -ENOENT;
	r = vst_rtfile_json(rt, path, CONFIG_TOKENS, &config);
	if (r < 0)
		return r;
	a = json_object_get(config, "annotations");
	if (take_pod(&n, a, "io.kubernetes.cri.sandbox-name", "io.kubernetes.cri.sandbox-namespace")) {
		n.runtime = VST_RUNTIME_CONTAINERD;
		take(n.name, a, "io.kubernetes.cri.container-name");
		take(n.image, a, "io.kubernetes.cri.image-name");
		take_uid(&n, a, "io.kubernetes.cri.sandbox-uid");
		if (has_value(a, "io.kubernetes.cri.container-type", "sandbox"))
			set_sandbox(&n);
	} else if (take(n.name, a, "nerdctl/name")) {
		n.runtime = VST_RUNTIME_NERDCTL;
	} else if (!strcmp(ns, "k8s.io")) {
		r = -ENOENT; /* before 1.5; the kubelet's links tell */
	} else if (n.kind == VST_CGKIND_OTHER || n.runtime == VST_RUNTIME_CTR) {
		n.runtime = VST_RUNTIME_CTR;
		if (n.kind == VST_CGKIND_OTHER)
			vst_names_copy(n.name, id, strlen(id));
	}
	if (!r) {
		n.kind = VST_CGKIND_CONTAINER;
		*names = n;
		vst_labels_take(&rt->labels, a);
	}
	json_decref(config);
	return r;
}

static int containerd_any_namespace(struct vst_runtime *rt, const char *base, const char *id, struct vst_names *names)
{
	char path[PATH_MAX];
	struct dirent *e;
	int r = -ENOENT;
	DIR *dir;

	if (!make_path(path, "%s/io.containerd.runtime.v2.task", base))
		return -ENOENT;
	dir = vst_rtfile_opendir(rt, path);
	if (!dir)
		return -ENOENT;
	/* docker's is in there too, but its names are not. */
	while (r && r != -ENOMEM && (e = vst_rtfile_readdir(rt, dir)))
		if (e->d_name[0] != '.' && strcmp(e->d_name, "moby"))
			r = containerd_bundle(rt, base, e->d_name, id, names);
	closedir(dir);
	return r;
}

int vst_find_containerd(struct vst_runtime *rt, const struct vst_cgpath *cg, const char *id, const char *home,
			struct vst_names *names)
{
	static const char *const system[] = { "/run/containerd", "/run/k3s/containerd", "/run/k0s/containerd",
					      "/var/snap/microk8s/common/run/containerd", NULL };
	char of_user[64], ns[VST_NAME_MAX] = "";
	const char *const user[] = { of_user, NULL };
	const char *const *base = home ? user : system;
	int r = -ENOENT;

	snprintf(of_user, sizeof(of_user), "/run/user/%ld/containerd", cg->uid);
	if (cg->ns)
		snprintf(ns, sizeof(ns), "%.*s", (int)cg->ns_len, cg->ns);
	else if (cg->runtime == VST_RUNTIME_CONTAINERD || cg->runtime == VST_RUNTIME_KUBERNETES)
		strcpy(ns, "k8s.io");
	for (; r && r != -ENOMEM && *base; base++)
		r = *ns ? containerd_bundle(rt, *base, ns, id, names) : containerd_any_namespace(rt, *base, id, names);
	return r;
}

/* --- containers/storage: CRI-O and podman --- */

#define STORAGE_ROOTS 4
struct storage {
	char root[STORAGE_ROOTS][PATH_MAX];
	size_t n;
};

/* "key = "value"" of the TOML that storage.conf is. */
static bool storage_conf_value(const char *line, const char *key, char ret[PATH_MAX])
{
	const char *end;

	line += strspn(line, " \t");
	if (strncmp(line, key, strlen(key)))
		return false;
	line += strlen(key);
	line += strspn(line, " \t");
	if (*line++ != '=')
		return false;
	line += strspn(line, " \t");
	if (*line != '"' && *line != '\'')
		return false;
	end = strchr(line + 1, *line);
	return end && line[1] == '/' && make_path(ret, "%.*s", (int)(end - line - 1), line + 1);
}

static void storage_conf(struct vst_runtime *rt, struct storage *s)
{
	char *text, *line, *rest;
	size_t len;

	if (vst_rtfile_read(rt, "/etc/containers/storage.conf", &text, &len) &&
	    vst_rtfile_read(rt, "/usr/share/containers/storage.conf", &text, &len))
		return;
	for (rest = text; s->n < STORAGE_ROOTS && (line = strsep(&rest, "\n"));)
		if (storage_conf_value(line, "graphroot", s->root[s->n]) ||
		    storage_conf_value(line, "runroot", s->root[s->n]))
			s->n++;
	free(text);
}

static void storage_roots(struct vst_runtime *rt, const struct vst_cgpath *cg, const char *home, struct storage *s)
{
	s->n = 2;
	if (home) {
		make_path(s->root[0], "%s/.local/share/containers/storage", home);
		make_path(s->root[1], "/run/user/%ld/containers", cg->uid);
	} else {
		strcpy(s->root[0], "/run/containers/storage");
		strcpy(s->root[1], "/var/lib/containers/storage");
		storage_conf(rt, s);
	}
}

typedef int storage_fn(struct vst_runtime *rt, const char *dir, const char *id, struct vst_names *names);

static int storage_each(struct vst_runtime *rt, const struct vst_cgpath *cg, const char *id, const char *home,
			storage_fn *fn, struct vst_names *names)
{
	static const char *const drivers[] = { "overlay", "vfs", "btrfs", "zfs" };
	char dir[PATH_MAX];
	struct storage s;
	int r = -ENOENT;

	storage_roots(rt, cg, home, &s);
	for (size_t i = 0; r && r != -ENOMEM && i < s.n; i++)
		for (size_t d = 0; r && r != -ENOMEM && d < ARRAY_SIZE(drivers); d++)
			if (make_path(dir, "%s/%s-containers", s.root[i], drivers[d]))
				r = fn(rt, dir, id, names);
	return r;
}

/* The pod's labels are one annotation, as JSON. */
static void take_crio_labels(struct vst_runtime *rt, const json_t *annotations)
{
	const json_t *text = json_object_get(annotations, "io.kubernetes.cri-o.Labels");
	json_t *labels;

	if (!json_is_string(text) ||
	    vst_rtfile_json_parse(json_string_value(text), json_string_length(text), CONFIG_TOKENS, &labels))
		return;
	vst_labels_take(&rt->labels, labels);
	json_decref(labels);
}

static int crio_config(struct vst_runtime *rt, const char *dir, const char *id, struct vst_names *names)
{
	struct vst_names n = *names;
	char path[PATH_MAX];
	json_t *config, *a;
	int r;

	if (!make_path(path, "%s/%s/userdata/config.json", dir, id))
		return -ENOENT;
	r = vst_rtfile_json(rt, path, CONFIG_TOKENS, &config);
	if (r < 0)
		return r;
	a = json_object_get(config, "annotations");
	r = -ENOENT;
	if (take_pod(&n, a, "io.kubernetes.pod.name", "io.kubernetes.pod.namespace") &&
	    take(n.name, a, "io.kubernetes.container.name")) {
		n.runtime = VST_RUNTIME_CRIO;
		take_uid(&n, a, "io.kubernetes.pod.uid");
		if (!take(n.image, a, "io.kubernetes.cri-o.ImageName"))
			take(n.image, a, "io.kubernetes.cri-o.Image");
		if (has_value(a, "io.kubernetes.cri-o.ContainerType", "sandbox"))
			set_sandbox(&n);
		*names = n;
		vst_labels_take(&rt->labels, a);
		take_crio_labels(rt, a);
		r = 0;
	}
	json_decref(config);
	return r;
}

int vst_find_crio(struct vst_runtime *rt, const struct vst_cgpath *cg, const char *id, const char *home,
		  struct vst_names *names)
{
	return home ? -ENOENT : storage_each(rt, cg, id, home, crio_config, names);
}

static int podman_entry(const json_t *c, const char *id, struct vst_names *names)
{
	const json_t *name = json_array_get(json_object_get(c, "names"), 0);
	const json_t *metadata = json_object_get(c, "metadata");
	json_t *m = NULL;

	if (!has_value(c, "id", id) || !json_is_string(name) || !json_string_length(name))
		return -ENOENT;
	vst_names_copy(names->name, json_string_value(name), json_string_length(name));
	names->runtime = VST_RUNTIME_PODMAN;
	if (json_is_string(metadata) &&
	    !vst_rtfile_json_parse(json_string_value(metadata), json_string_length(metadata), CONFIG_TOKENS, &m))
		take(names->image, m, "image-name");
	json_decref(m);
	return 0;
}

/*
 * All containers are in one list, which podman writes anew at each start: parsing 1 MB of it twenty times a second would
 * cost a fifth of a CPU, finding one entry in it costs 1 % of that. The bytes looked for cannot stand inside a JSON
 * string, where a quote has a backslash before it; "id" comes first in an entry in every version (it is the first field
 * of containers/storage's type Container).
 */
static int podman_list(struct vst_runtime *rt, const char *path, const char *id, struct vst_names *names)
{
	char key[VST_NAME_MAX + 16];
	const char *entry;
	size_t len;
	json_t *c;
	char *text;
	int r;

	r = vst_rtfile_read(rt, path, &text, &len);
	if (r < 0)
		return r;
	snprintf(key, sizeof(key), "{\"id\":\"%s\"", id);
	entry = memmem(text, len, key, strlen(key));
	r = -ENOENT;
	if (entry)
		len -= (size_t)(entry - text);
	if (entry && !vst_rtfile_json_parse(entry, len < ENTRY_MAX ? len : ENTRY_MAX, CONFIG_TOKENS, &c)) {
		r = podman_entry(c, id, names);
		json_decref(c);
	}
	free(text);
	return r;
}

/* What podman was told with --annotation, or by a pod's YAML; its labels are in a database only. */
static void podman_annotations(struct vst_runtime *rt, const char *dir, const char *id)
{
	char path[PATH_MAX], file[PATH_MAX];
	__u64 stamp = rt->stamp;
	json_t *config;

	memcpy(file, rt->file, sizeof(file)); /* that told the name, and tells when it changes */
	if (!make_path(path, "%s/%s/userdata/config.json", dir, id) ||
	    vst_rtfile_json(rt, path, CONFIG_TOKENS, &config))
		return;
	vst_labels_take(&rt->labels, json_object_get(config, "annotations"));
	json_decref(config);
	memcpy(rt->file, file, sizeof(file));
	rt->stamp = stamp;
}

static int podman_storage(struct vst_runtime *rt, const char *dir, const char *id, struct vst_names *names)
{
	/* The second: podman run --rm, since containers/storage 1.43 (podman 4.4). */
	static const char *const files[] = { "containers.json", "volatile-containers.json" };
	char path[PATH_MAX];
	int r = -ENOENT;

	for (size_t i = 0; r && r != -ENOMEM && i < ARRAY_SIZE(files); i++)
		if (make_path(path, "%s/%s", dir, files[i]))
			r = podman_list(rt, path, id, names);
	if (!r)
		podman_annotations(rt, dir, id);
	return r;
}

int vst_find_podman(struct vst_runtime *rt, const struct vst_cgpath *cg, const char *id, const char *home,
		    struct vst_names *names)
{
	return storage_each(rt, cg, id, home, podman_storage, names);
}

/* --- docker --- */

static int docker_config(struct vst_runtime *rt, const char *root, const char *id, struct vst_names *names)
{
	struct vst_names n = *names;
	json_t *file, *config, *labels;
	char path[PATH_MAX];
	int r;

	if (!make_path(path, "%s/containers/%s/config.v2.json", root, id))
		return -ENOENT;
	r = vst_rtfile_json(rt, path, CONFIG_TOKENS, &file);
	if (r < 0)
		return r;
	config = json_object_get(file, "Config");
	labels = json_object_get(config, "Labels");
	r = -ENOENT;
	if (take(n.name, file, "Name")) {
		if (n.name[0] == '/')
			memmove(n.name, n.name + 1, strlen(n.name));
		n.runtime = VST_RUNTIME_DOCKER;
		take(n.image, config, "Image");
		if (take_pod(&n, labels, "io.kubernetes.pod.name", "io.kubernetes.pod.namespace")) {
			take(n.name, labels, "io.kubernetes.container.name");
			take_uid(&n, labels, "io.kubernetes.pod.uid");
			if (has_value(labels, "io.kubernetes.docker.type", "podsandbox"))
				set_sandbox(&n);
		}
		*names = n;
		vst_labels_take(&rt->labels, labels);
		r = 0;
	}
	json_decref(file);
	return r;
}

/* Where the daemon was told to keep its files. */
static int docker_data_root(struct vst_runtime *rt, char ret[VST_NAME_MAX])
{
	json_t *conf;
	int r;

	r = vst_rtfile_json(rt, "/etc/docker/daemon.json", CONFIG_TOKENS, &conf);
	if (r < 0)
		return r;
	r = take(ret, conf, "data-root") && ret[0] == '/' ? 0 : -ENOENT;
	json_decref(conf);
	return r;
}

/* With userns-remap, in a directory called <uid>.<gid>. */
static int docker_remapped(struct vst_runtime *rt, const char *root, const char *id, struct vst_names *names)
{
	char path[PATH_MAX];
	struct dirent *e;
	int r = -ENOENT;
	DIR *dir = vst_rtfile_opendir(rt, root);

	if (!dir)
		return -ENOENT;
	while (r && r != -ENOMEM && (e = vst_rtfile_readdir(rt, dir)))
		if (strspn(e->d_name, "0123456789.") == strlen(e->d_name) && e->d_name[0] != '.' &&
		    make_path(path, "%s/%s", root, e->d_name))
			r = docker_config(rt, path, id, names);
	closedir(dir);
	return r;
}

int vst_find_docker(struct vst_runtime *rt, const struct vst_cgpath *cg, const char *id, const char *home,
		    struct vst_names *names)
{
	static const char *const system[] = { "/var/lib/docker", "/var/snap/docker/common/var-lib-docker", NULL };
	char data_root[VST_NAME_MAX], of_user[PATH_MAX];
	const char *const user[] = { of_user, NULL };
	const char *const *root;
	int r = -ENOENT;

	if (!make_path(of_user, "%s/.local/share/docker", home ? home : ""))
		return -ENOENT;
	for (root = home ? user : system; r && r != -ENOMEM && *root; root++)
		r = docker_config(rt, *root, id, names);
	if (!r || r == -ENOMEM || home)
		return r;
	if (docker_data_root(rt, data_root))
		strcpy(data_root, system[0]);
	else
		r = docker_config(rt, data_root, id, names);
	return r ? docker_remapped(rt, data_root, id, names) : 0;
}

/* --- kubelet: what its log files are called --- */

/* "<pod>_<namespace>_<container>-<id>.log", of which the part before ".log" is cut at 251 bytes. */
static bool parse_log_name(const char *file, const char *id, struct vst_names *n)
{
	size_t len = strlen(file), want = strlen(id);
	const char *ns, *name, *dash;

	if (len < 5 || strcmp(file + len - 4, ".log"))
		return false;
	len -= 4;
	ns = memchr(file, '_', len);
	name = ns ? memchr(ns + 1, '_', (size_t)(file + len - ns - 1)) : NULL;
	dash = name ? memrchr(name, '-', (size_t)(file + len - name)) : NULL;
	if (!dash)
		return false;
	if (len == 251 && (size_t)(file + len - dash - 1) < want)
		want = (size_t)(file + len - dash - 1);
	if (want < 12 || (size_t)(file + len - dash - 1) != want || memcmp(dash + 1, id, want))
		return false;
	vst_names_copy(n->pod, file, (size_t)(ns - file));
	vst_names_copy(n->ns, ns + 1, (size_t)(name - ns - 1));
	vst_names_copy(n->name, name + 1, (size_t)(dash - name - 1));
	return true;
}

int vst_find_kubelet_log(struct vst_runtime *rt, const struct vst_cgpath *cg, const char *id, const char *home,
			 struct vst_names *names)
{
	struct dirent *e;
	int r = -ENOENT;
	DIR *dir = home ? NULL : vst_rtfile_opendir(rt, "/var/log/containers");

	if (!dir)
		return -ENOENT;
	while (r && (e = vst_rtfile_readdir(rt, dir)))
		if (parse_log_name(e->d_name, id, names))
			r = 0;
	closedir(dir);
	return r;
}

/* /var/log/pods/<namespace>_<pod>_<uid> */
int vst_find_pod(struct vst_runtime *rt, const char *uid, struct vst_names *names)
{
	struct dirent *e;
	int r = -ENOENT;
	DIR *dir = vst_rtfile_opendir(rt, "/var/log/pods");

	if (!dir)
		return -ENOENT;
	while (r && (e = vst_rtfile_readdir(rt, dir))) {
		const char *pod = strchr(e->d_name, '_');
		const char *last = pod ? strchr(pod + 1, '_') : NULL;

		if (!last || strcmp(last + 1, uid))
			continue;
		vst_names_copy(names->ns, e->d_name, (size_t)(pod - e->d_name));
		vst_names_copy(names->pod, pod + 1, (size_t)(last - pod - 1));
		r = 0;
	}
	closedir(dir);
	return r;
}
