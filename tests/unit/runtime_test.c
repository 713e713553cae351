/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/who/runtime_file.c agent/who/runtime_find.c agent/who/labels.c agent/who/cgpath.c -ljansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <ftw.h>
#include <libgen.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cmocka.h>

#include "agent/who/runtime.c"

#define FIXTURES "tests/fixtures/runtime"

/* Ids of the fixtures. */
#define WEB "73bc1fa1f24dfa30efccc3dd24fe6e7d4c8686c096a9a80bbfdaa2936738ddbe"
#define PAUSE "798851d5d5abc4ce368c65f973630aa1d0d75d3b8f17f18d193c89bd0ee96bd7"
#define OLD "93851a4f92b0c0078296e153130a0db78f4c49ad8b886b141c19db232e228ca7"
#define NERD "8b61387ca3fe83efbd934a286caa2f961023c019b395a9bb91058758ac46f426"
#define K3S "af60535d6418f99e14edbd81f6665391fdf0099c0a16b8ad6287f4ee694ca6c2"
#define CRIO "ad6694f7056a23f6fe4ef85512ca489d0f54cafed09d1320740cb6f36510f6c4"
#define CRIO_PAUSE "3fbe3be1969adeaa398d3d1d70008d31bcfb4a5a4044311764912e7b1e4a345d"
#define PODMAN "b01ef2b76a55f62cab805da20fcad6b18685dcdcd6ccb87c9ecf9c4c88f27dae"
#define PODMAN_RM "2e12d6d669add4097b32cd728cf1948b3639f71ffc86dcc6baa706dc4ad05145"
#define PODMAN_VFS "a9aa71abf2630002fadf1ff70bedead15f9d8fdb58db719f9479ea080c6f7846"
#define DOCKER "77c9e92a4bbdc59d0741c33229e5aa5341fffe4afbc033d7927f19076a524081"
#define DOCKER_KUBE "271c5a0457429f76324a80b816c0eb851a5282a45a3e5f5f23e75c81f9606046"
#define DOCKER_ROOT "c9baab7005dce357e3fa8c687339dfe15c060b337f8c4ab286f71d86224d137b"
#define DOCKER_REMAP "9882bb00bbec6a1c5e848813faad97201d9bcf5cbd93d80187981adae471989c"
#define ALICE "5beb3e3ac02edef7bf2bb9f4a8a066dc832041da92024d9104c7514edd5e286e"
#define ALICE_NERD "f0bb78426a388252b88a8790938f91aa6931e01b8909452fdf604d4a05dbd410"
#define ALICE_DOCKER "7a4583ac630e0c53760bcea80d570659455bae455d737538153a16ee80d5af9a"
#define NOBODY "3f2a1b4c5d6e7f8091a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4"

#define UID "2942c55e-c9cb-428a-93f4-eaf89c1f3ce0"
#define POD "/kubepods.slice/kubepods-pod2942c55e_c9cb_428a_93f4_eaf89c1f3ce0.slice/"
#define ALICES "/user.slice/user-1000.slice/user@1000.service/"

static int lookup_path(struct vst_runtime *rt, const char *path, struct vst_names *n, char *display)
{
	struct vst_cgpath cg;
	int r;

	assert_int_equal(vst_cgpath_parse(path, &cg), 0);
	vst_names_from_path(&cg, n);
	r = vst_runtime_lookup(rt, &cg, n);
	vst_names_display(n, display, VST_DISPLAY_MAX);
	return r;
}

static void hosts_files(void **state)
{
	static const struct {
		const char *path;
		int r;
		const char *display, *runtime, *image;
	} rows[] = {
		{ POD "cri-containerd-" WEB ".scope", 0, "prod/mysql-0/mysqld", "containerd",
		  "docker.io/library/mysql:8.4" },
		{ POD "cri-containerd-" PAUSE ".scope", 0, "prod/mysql-0/POD", "containerd", "" },
		{ POD "cri-containerd-" OLD ".scope", 0, "prod/mysql-0/backup", "containerd", "" },
		{ POD, 0, "prod/mysql-0", "kubernetes", "" },
		{ "/kubepods/pod" UID "/" WEB, 0, "prod/mysql-0/mysqld", "containerd", "docker.io/library/mysql:8.4" },
		{ "/kubepods/pod" UID "/" K3S, 0, "kube-system/traefik-1/traefik", "containerd", "" },
		{ "/default/redis1", 0, "redis1", "ctr", "" },
		{ "/example/redis2", 0, "redis2", "ctr", "" },
		{ "/example/redis3", 0, "example/redis3", "", "" },
		{ "/system.slice/nerdctl-" NERD ".scope", 0, "cache", "nerdctl", "" },
		{ "/default/" NERD, 0, "cache", "nerdctl", "" },
		{ "/kubepods/podx/crio-" CRIO, 0, "openshift-ingress/router-7f/router", "cri-o",
		  "quay.io/openshift/router:4.16" },
		{ "/kubepods/podx/" CRIO_PAUSE, 0, "openshift-ingress/router-7f/POD", "cri-o",
		  "registry.k8s.io/pause:3.9" },
		{ "/machine.slice/libpod-" PODMAN ".scope/container", 0, "web", "podman",
		  "docker.io/library/nginx:1.27" },
		{ "/machine.slice/libpod-" PODMAN_RM ".scope", 0, "job", "podman", "quay.io/fedora/fedora:41" },
		{ "/libpod_parent/libpod-" PODMAN_VFS, 0, "elsewhere", "podman", "x:1" },
		{ "/system.slice/docker-" DOCKER ".scope", 0, "shop-web-1", "docker", "nginx:1.27" },
		{ "/actions_job/" DOCKER, 0, "shop-web-1", "docker", "nginx:1.27" },
		{ "/ecs/x/" DOCKER, 0, "shop-web-1", "docker", "nginx:1.27" },
		{ "/a/b/" PODMAN, 0, "web", "podman", "docker.io/library/nginx:1.27" },
		{ "/kubepods/pod" UID "/" DOCKER_KUBE, 0, "default/dummy-0/dummy", "docker", "sha256:abc" },
		{ "/docker/" DOCKER_ROOT, 0, "moved", "docker", "a:1" },
		{ "/docker/" DOCKER_REMAP, 0, "mapped", "docker", "a:1" },
		{ ALICES "user.slice/libpod-" ALICE ".scope/container", 0, "mine", "podman",
		  "docker.io/library/redis:7" },
		{ ALICES "user.slice/nerdctl-" ALICE_NERD ".scope", 0, "mycache", "nerdctl", "" },
		{ ALICES "user.slice/docker-" ALICE_DOCKER ".scope", 0, "mydocker", "docker", "redis:7" },
		/* not there (yet) */
		{ "/docker/" NOBODY, -ENOENT, "docker/3f2a1b4c5d6e", "docker", "" },
		{ POD "crio-" NOBODY ".scope", -ENOENT, "cri-o/3f2a1b4c5d6e", "cri-o", "" },
		{ "/machine.slice/libpod-" NOBODY ".scope", -ENOENT, "podman/3f2a1b4c5d6e", "podman", "" },
		{ "/a/b/" NOBODY, -ENOENT, "container/3f2a1b4c5d6e", "", "" },
		{ "/kubepods/podmy-uid", -ENOENT, "pod/my-uid", "kubernetes", "" },
		/* a user does not get the system's names, nor another user's, by calling a cgroup so */
		{ ALICES "user.slice/docker-" DOCKER ".scope", -ENOENT, "docker/77c9e92a4bbd", "docker", "" },
		{ ALICES "cri-containerd-" WEB ".scope", -ENOENT, "containerd/73bc1fa1f24d", "containerd", "" },
		{ "/user.slice/user-1001.slice/user@1001.service/user.slice/libpod-" ALICE ".scope", -ENOENT,
		  "podman/5beb3e3ac02e", "podman", "" },
		{ "/user.slice/user-1002.slice/user@1002.service/user.slice/libpod-" ALICE ".scope", -ENOENT,
		  "podman/5beb3e3ac02e", "podman", "" },
		/* nor does a container inside another */
		{ "/docker/" DOCKER "/docker/" DOCKER_ROOT, 0, "shop-web-1/c9baab7005dc", "docker", "" },
		{ "/docker/" NOBODY "/docker/" DOCKER, -ENOENT, "docker/3f2a1b4c5d6e/77c9e92a4bbd", "docker", "" },
		{ "/docker/" DOCKER "/kubelet" POD "cri-containerd-" WEB ".scope", 0, "shop-web-1/73bc1fa1f24d",
		  "containerd", "" },
		/* the path says it all */
		{ "/", 0, "host", "", "" },
		{ "/system.slice/ssh.service", 0, "ssh.service", "systemd", "" },
		{ ALICES "app.slice/foo.service", 0, "user@1000/foo.service", "systemd", "" },
		{ ALICES "init.scope", 0, "user@1000.service", "systemd", "" },
		{ "/lxc.payload.web/init.scope", 0, "web", "lxc", "" },
		{ "/lxc.payload.a/lxc.payload.b", 0, "a/b", "lxc", "" },
		{ "/machine.slice/machine-qemu\\x2d1\\x2dmy\\x2dvm.scope/libvirt", 0, "my-vm", "vm", "" },
		{ "/nomad.slice/4744f0ea-7616-ab3a-a420-8e25056e3861.redis.scope", 0, "4744f0ea.redis", "nomad", "" },
		{ "/docker/buildkit/n4eu0udvbz9vfzjy71jkvgkwh", 0, "buildkit/n4eu0udvbz9v", "buildkit", "" },
		{ "/machine.slice/libpod-conmon-" PODMAN ".scope", 0, "conmon/b01ef2b76a55", "podman", "" },
		{ "/mine/a/b", 0, "mine/a/b", "", "" },
		/* nobody's id leads out of its directory */
		{ "/default/..", 0, "default/..", "", "" },
		{ "/default/.hidden", 0, ".hidden", "ctr", "" },
	};
	struct vst_runtime *rt = vst_runtime_new(FIXTURES);
	char display[VST_DISPLAY_MAX];
	struct vst_names n;
	int bad = 0;

	if (!rt)
		fail_msg("%s: cannot be opened: run the test from the top of the source tree", FIXTURES);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = lookup_path(rt, rows[i].path, &n, display);

		if (r == rows[i].r && !strcmp(display, rows[i].display) &&
		    !strcmp(vst_runtime_name(n.runtime), rows[i].runtime) && !strcmp(n.image, rows[i].image))
			continue;
		bad++;
		print_error("%s: %d \"%s\" \"%s\" \"%s\", wanted %d \"%s\" \"%s\" \"%s\"\n", rows[i].path, r, display,
			    vst_runtime_name(n.runtime), n.image, rows[i].r, rows[i].display, rows[i].runtime,
			    rows[i].image);
	}
	vst_runtime_free(rt);
	assert_int_equal(bad, 0);
}

static void details(void **state)
{
	struct vst_runtime *rt = vst_runtime_new(FIXTURES);
	char display[VST_DISPLAY_MAX];
	struct vst_names n;

	assert_non_null(rt);
	assert_int_equal(lookup_path(rt, POD "cri-containerd-" PAUSE ".scope", &n, display), 0);
	assert_string_equal(n.name, "POD");
	assert_string_equal(n.pod_uid, UID);
	assert_string_equal(n.handle, "containerd/798851d5d5ab");
	assert_int_equal(lookup_path(rt, "/kubepods/podx/crio-" CRIO, &n, display), 0);
	assert_string_equal(n.pod_uid, "aaaa2b4a-f398-41c0-928b-049e1cc4ec40");
	assert_int_equal(lookup_path(rt, "/docker/" DOCKER, &n, display), 0);
	assert_string_equal(n.ns, "");
	assert_int_equal(lookup_path(rt, "/example/redis2", &n, display), 0);
	assert_int_equal(n.kind, VST_CGKIND_CONTAINER);
	vst_runtime_free(rt);
}

/* --- a tree of our own --- */

static char tmp[64];

static char *in_tmp(const char *path)
{
	static char full[4][PATH_MAX]; /* for several at a time */
	static unsigned int i;

	i = (i + 1) % ARRAY_SIZE(full);
	snprintf(full[i], sizeof(full[i]), "%s%s", tmp, path);
	return full[i];
}

static char *make_parents(const char *path)
{
	char *full = in_tmp(path), *slash;

	for (slash = full + strlen(tmp) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(full, 0755);
		*slash = '/';
	}
	remove(full);
	return full;
}

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(make_parents(path), "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int set_up(void **state)
{
	struct vst_runtime *rt;

	strcpy(tmp, "/tmp/vstor-runtime-test.XXXXXX");
	if (!mkdtemp(tmp))
		return -1;
	rt = vst_runtime_new(tmp);
	*state = rt;
	return rt ? 0 : -1;
}

static int tear_down(void **state)
{
	vst_runtime_free(*state);
	return nftw(tmp, rm, 16, FTW_DEPTH | FTW_PHYS);
}

#define CONFIG "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" NOBODY "/config.json"
#define CGROUP "/kubepods/podx/cri-containerd-" NOBODY ".scope"
#define GOOD                                                                                                           \
	"{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"p\",\"io.kubernetes.cri.sandbox-namespace\":\"n\","    \
	"\"io.kubernetes.cri.container-name\":\"%s\"%s}}"

static void write_config(const char *name, const char *more)
{
	char text[8192];
	int len = snprintf(text, sizeof(text), GOOD, name, more);

	assert_true(len < (int)sizeof(text));
	write_file(CONFIG, text, (size_t)len);
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void expect_none(struct vst_runtime *rt, const char *why)
{
	char display[VST_DISPLAY_MAX];
	struct vst_names n;
	int before = open_files();

	print_message("  %s\n", why);
	assert_int_equal(lookup_path(rt, CGROUP, &n, display), -ENOENT);
	assert_string_equal(display, "containerd/3f2a1b4c5d6e");
	assert_int_equal(open_files(), before);
}

/* Not only none, but none for this reason. */
static void expect_refused(struct vst_runtime *rt, const char *why, int want)
{
	json_t *json;

	expect_none(rt, why);
	assert_int_equal(vst_rtfile_json(rt, CONFIG, 65536, &json), want);
}

static void expect(struct vst_runtime *rt, const char *want)
{
	char display[VST_DISPLAY_MAX];
	struct vst_names n;
	int before = open_files();

	assert_int_equal(lookup_path(rt, CGROUP, &n, display), 0);
	assert_string_equal(display, want);
	assert_int_equal(open_files(), before);
}

/* None of them may block: the alarm ends the test if one does. */
static void not_a_regular_file(void **state)
{
	alarm(20);
	expect_none(*state, "no file");
	assert_int_equal(mkfifo(make_parents(CONFIG), 0644), 0);
	expect_refused(*state, "a FIFO", -EINVAL);
	assert_int_equal(mkdir(make_parents(CONFIG), 0755), 0);
	expect_refused(*state, "a directory", -EINVAL);
	assert_int_equal(symlink("/run/real.json", make_parents(CONFIG)), 0);
	write_file("/run/real.json", "{}", 2);
	expect_refused(*state, "a link", -EINVAL);
	if (mknod(make_parents(CONFIG), S_IFCHR | 0600, makedev(5, 0))) /* /dev/tty */
		print_message("  skipped: a device: mknod: %s\n", strerror(errno));
	else
		expect_refused(*state, "a device", -EINVAL);
	write_config("c", "");
	expect(*state, "n/p/c");
	alarm(0);
}

static void links_stay_in_the_root(void **state)
{
	char outside[] = "/tmp/vstor-runtime-out.XXXXXX", path[PATH_MAX];
	FILE *f;

	/* A data directory that was moved: followed, within the root. */
	write_config("c", "");
	assert_int_equal(rename(in_tmp("/run"), in_tmp("/moved")), 0);
	assert_int_equal(symlink("/moved", in_tmp("/run")), 0);
	expect(*state, "n/p/c");

	/* Out of it: not. */
	assert_int_equal(remove(in_tmp("/run")), 0);
	assert_int_equal(rename(in_tmp("/moved"), in_tmp("/run")), 0);
	assert_non_null(mkdtemp(outside));
	snprintf(path, sizeof(path), "%s/config.json", outside);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, GOOD, "outside", "");
	fclose(f);
	make_parents(CONFIG); /* removes the file */
	assert_int_equal(rmdir(dirname(in_tmp(CONFIG))), 0);
	assert_int_equal(symlink(outside, dirname(in_tmp(CONFIG))), 0);
	expect_none(*state, "a link that leads out");
	remove(path);
	rmdir(outside);
}

static char *repeat(const char *what, size_t len)
{
	char *text = malloc(len + 1);
	size_t n = strlen(what);

	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = what[i % n];
	text[len] = 0;
	return text;
}

static void hostile_json(void **state)
{
	static const struct {
		const char *what;
		size_t len;
		int r;
	} bulk[] = {
		{ "[", 60000, -EINVAL },	 { "[", 16 << 20, -E2BIG },   { "[],", 16 << 20, -E2BIG },
		{ "{\"a\":", 16 << 20, -E2BIG }, { "\"", 16 << 20, -EINVAL }, { "0", 16 << 20, -EINVAL },
	};
	static const char *const broken[] = {
		"",
		"{",
		"null",
		"\"annotations\"",
		"[{\"annotations\":{}}]",
		"{\"annotations\":[]}",
		"{\"annotations\":\"io.kubernetes.cri.sandbox-name\"}",
		"{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":1,\"io.kubernetes.cri.sandbox-namespace\":{}}}",
		"{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"\",\"io.kubernetes.cri.sandbox-namespace\":"
		"\"\"}}",
		"{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"p\",\"io.kubernetes.cri.sandbox-namespace\":"
		"null}}",
		"{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"\xff\",\"io.kubernetes.cri.sandbox-namespace\":"
		"\"n\"}}",
		"{\"x\":1e999,\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"p\"}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		write_file(CONFIG, broken[i], strlen(broken[i]));
		expect_none(*state, broken[i]);
	}
	write_file(CONFIG, "{\"annotations\":{}\0}", 19);
	expect_none(*state, "a NUL");
	for (size_t i = 0; i < ARRAY_SIZE(bulk); i++) {
		char *text = repeat(bulk[i].what, bulk[i].len);

		write_file(CONFIG, text, bulk[i].len);
		expect_refused(*state, bulk[i].what, bulk[i].r);
		free(text);
	}
	write_file(CONFIG, "{", 1);
	assert_int_equal(truncate(in_tmp(CONFIG), 100 << 20), 0);
	expect_refused(*state, "100 MB", -EFBIG);
	write_config("c", ",\"x\":\"\\u0000\",\"y\":18446744073709551615");
	expect(*state, "n/p/c");
}

static void hostile_names(void **state)
{
	char *path = strdup("/var/log/containers/p\xff_n\x1b[2J_c\n-" NOBODY ".log"), *pod = repeat("p", 241);
	char display[VST_DISPLAY_MAX], longest[400];
	struct vst_names n;

	write_config("a\\u0000b\\u001b[2J\\n", "");
	expect(*state, "n/p/a\xef\xbf\xbd"
		       "b\x1b[2J\n");
	remove(in_tmp(CONFIG));

	write_file(path, "", 0);
	expect(*state, "n\x1b[2J/p\xef\xbf\xbd/c\n");
	remove(in_tmp(path));

	/* 251 bytes: the id is cut behind 5 digits, which is too few; then behind 12. */
	snprintf(longest, sizeof(longest), "/var/log/containers/%s_n_c-%.5s.log", pod, NOBODY);
	write_file(longest, "", 0);
	expect_none(*state, "a link cut too early");
	remove(in_tmp(longest));
	snprintf(longest, sizeof(longest), "/var/log/containers/%s_n_c-%.12s.log", pod + 7, NOBODY);
	write_file(longest, "", 0);
	assert_int_equal(lookup_path(*state, CGROUP, &n, display), 0);
	assert_string_equal(n.pod, pod + 7);
	assert_string_equal(n.name, "c");
	free(path);
	free(pod);
}

/* Never cut inside a character, never longer than the field. */
static void long_names(void **state)
{
	char *e = repeat("\xc3\xa9", 1000), *name = malloc(5000), display[VST_DISPLAY_MAX], *path;
	struct vst_names n;

	snprintf(name, 5000, "x%s", e);
	write_config(name, "");
	assert_int_equal(lookup_path(*state, CGROUP, &n, display), 0);
	assert_int_equal(strlen(n.name), 255);
	write_config(e, "");
	assert_int_equal(lookup_path(*state, CGROUP, &n, display), 0);
	assert_int_equal(strlen(n.name), 254);

	path = repeat("/abcdefghi", 4096);
	assert_int_equal(lookup_path(*state, path, &n, display), 0);
	assert_int_equal(strlen(display), 255);
	assert_memory_equal(display, "...", 3);
	assert_string_equal(display + 245, "fghi/abcde");
	free(path);
	free(name);
	free(e);
}

static void copies_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain", "plain" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8b", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8b" },
		{ "\x80", "?" }, /* ? is U+FFFD below */
		{ "\xc0\x80", "??" },
		{ "\xe0\x80\x80", "???" },
		{ "\xed\xa0\x80", "???" },
		{ "\xf4\x90\x80\x80", "????" },
		{ "\xf8z", "?z" },
		{ "\xe2\x82", "??" },
		{ "\xe2\x82z", "??z" },
	};
	char out[VST_NAME_MAX], want[VST_NAME_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t to = 0;

		for (const char *p = rows[i].out; *p; p++)
			to += (size_t)snprintf(want + to, sizeof(want) - to, "%.*s", *p == '?' ? 3 : 1,
					       *p == '?' ? "\xef\xbf\xbd" : p);
		vst_names_copy(out, rows[i].in, strlen(rows[i].in));
		assert_string_equal(out, want);
	}
	vst_names_copy(out, "a\0b", 3);
	assert_string_equal(out, "a\xef\xbf\xbd"
				 "b");
}

#define LIST "/var/lib/containers/storage/overlay-containers/containers.json"

/* The entry is found by its bytes: what looks like one inside a string is not one. */
static void podmans_list(void **state)
{
	static const char *const path = "/machine.slice/libpod-" NOBODY ".scope";
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "[{\"id\":\"" NOBODY "\",\"names\":[\"good\"]}]", "good" },
		{ "[{\"id\":\"x\",\"metadata\":\"{\\\"id\\\":\\\"" NOBODY "\\\",\\\"names\\\":[\\\"bad\\\"]}\"}]",
		  NULL },
		{ "[{\"id\":\"" NOBODY "\"", NULL },
		{ "[{\"id\":\"" NOBODY "\",\"names\":[]}]", NULL },
		{ "[{\"id\":\"" NOBODY "\",\"names\":{\"0\":1}}]", NULL },
		{ "[{\"id\":\"" NOBODY "\",\"names\":[7]}]", NULL },
		{ "[{\"id\":\"" NOBODY "\",\"names\":[\"n\"],\"metadata\":\"{{{\"}]", "n" },
		{ "[{\"id\":\"" NOBODY "\",\"names\":[\"n\"],\"metadata\":{\"image-name\":1}}]", "n" },
		{ "[{\"id\":\"" NOBODY "\",\"names\":[\"n\"],\"id\":\"other\"}]", NULL },
	};
	char display[VST_DISPLAY_MAX], *bulk, *text;
	struct vst_names n;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		write_file(LIST, rows[i].text, strlen(rows[i].text));
		assert_int_equal(lookup_path(*state, path, &n, display), rows[i].want ? 0 : -ENOENT);
		assert_string_equal(display, rows[i].want ? rows[i].want : "podman/3f2a1b4c5d6e");
	}
	bulk = repeat("[],", 15 << 20);
	text = malloc(16 << 20);
	snprintf(text, 16 << 20, "[{\"id\":\"" NOBODY "\",\"names\":[\"n\"],\"x\":[%s[]]}]", bulk);
	write_file(LIST, text, strlen(text));
	assert_int_equal(lookup_path(*state, path, &n, display), -ENOENT);
	free(text);
	free(bulk);
}

/* Files come after the cgroup, and are written in pieces. */
static void comes_later(void **state)
{
	expect_none(*state, "not yet");
	write_file(CONFIG, "{\"annotations\":{\"io.kub", 23);
	expect_none(*state, "half");
	write_config("c", "");
	expect(*state, "n/p/c");
}

/* A user's link to somebody else's file is not followed. */
static void users_links(void **state)
{
	static const char *const passwd = "u:x:1000:1000::/home/u:/bin/sh\n";
	static const char *const path = ALICES "user.slice/libpod-" NOBODY ".scope";
	static const char *const list = "[{\"id\":\"" NOBODY "\",\"names\":[\"n\"]}]";
	char display[VST_DISPLAY_MAX];
	struct vst_names n;

	write_file("/etc/passwd", passwd, strlen(passwd));
	write_file("/home/u/.local/share/containers/storage/overlay-containers/containers.json", list, strlen(list));
	assert_int_equal(lookup_path(*state, path, &n, display), 0);
	assert_string_equal(display, "n");
	assert_int_equal(rename(in_tmp("/home/u/.local/share/containers"), in_tmp("/elsewhere")), 0);
	assert_int_equal(symlink("/elsewhere", in_tmp("/home/u/.local/share/containers")), 0);
	assert_int_equal(lookup_path(*state, path, &n, display), -ENOENT);
	/* The restriction was that user's only. */
	write_config("c", "");
	assert_int_equal(rename(in_tmp("/run"), in_tmp("/moved")), 0);
	assert_int_equal(symlink("/moved", in_tmp("/run")), 0);
	expect(*state, "n/p/c");
}

static void remote_file_systems(void **state)
{
	static const char mounts[] = "/dev/vda / ext4 rw 0 0\n"
				     "srv:/home /home nfs4 rw 0 0\n"
				     "auto /net autofs rw 0 0\n"
				     "/dev/vdb /home/local btrfs rw 0 0\n"
				     "sshfs /home/local/u/.local\\040x fuse.sshfs rw 0 0\n"
				     "sshfs /mnt fuse.sshfs rw 0 0\n"
				     "/dev/vdc /mnt xfs rw 0 0\n";
	static const struct {
		const char *path;
		bool remote;
	} rows[] = {
		{ "/var/lib", false },
		{ "/home", true },
		{ "/home/u/x", true },
		{ "/homes/u", false },
		{ "/net/u", true },
		{ "/home/local/v", false },
		{ "/home/local/u", true }, /* because of what is mounted below */
		{ "/home/local/u/.local", false },
		{ "/home/local/u/.local x/y", true },
		{ "/mnt/x", false },
	};

	write_file("/mounts", mounts, strlen(mounts));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (vst_rtfile_is_remote(in_tmp("/mounts"), rows[i].path) != rows[i].remote)
			fail_msg("%s", rows[i].path);
	assert_true(vst_rtfile_is_remote("/nonexistent", "/"));
}

static void no_root(void **state)
{
	assert_null(vst_runtime_new("/nonexistent"));
	assert_int_equal(errno, ENOENT);
	vst_runtime_free(NULL);
}

int main(void)
{
#define IN_TMP(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_files),
		cmocka_unit_test(details),
		IN_TMP(not_a_regular_file),
		IN_TMP(links_stay_in_the_root),
		IN_TMP(hostile_json),
		IN_TMP(hostile_names),
		IN_TMP(long_names),
		cmocka_unit_test(copies_utf8),
		IN_TMP(podmans_list),
		IN_TMP(comes_later),
		IN_TMP(users_links),
		IN_TMP(remote_file_systems),
		cmocka_unit_test(no_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
