/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Any bytes as each of the files that container runtimes write.
 *
 * LINK: agent/who/cgpath.c agent/who/runtime.c agent/who/runtime_file.c agent/who/runtime_find.c agent/who/labels.c
 * LIBS: -ljansson
 * RUN: -max_len=5000
 * SEED: tests/fixtures/runtime
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/who/runtime.h"

#define ID "3f2a1b4c5d6e7f8091a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4"

/* All of them are one file. */
static const char *const files[] = {
	"/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json",
	"/run/containerd/io.containerd.runtime.v2.task/default/" ID "/config.json",
	"/run/containers/storage/overlay-containers/" ID "/userdata/config.json",
	"/var/lib/containers/storage/overlay-containers/containers.json",
	"/var/lib/docker/containers/" ID "/config.v2.json",
	"/etc/containers/storage.conf",
	"/etc/docker/daemon.json",
	"/etc/passwd",
};

static const char *const paths[] = {
	"/kubepods/podx/cri-containerd-" ID,
	"/default/" ID,
	"/kubepods/podx/crio-" ID,
	"/machine.slice/libpod-" ID ".scope",
	"/docker/" ID,
	"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope",
};

static char root[] = "/dev/shm/vstor-runtime-fuzz.XXXXXX";

static int make_tree(void)
{
	char path[512], data[64];

	if (!mkdtemp(root))
		abort();
	snprintf(data, sizeof(data), "%s/data", root);
	close(open(data, O_CREAT | O_WRONLY, 0600));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", root, files[i]);
		for (char *s = path + sizeof(root); (s = strchr(s, '/')); s++) {
			*s = 0;
			mkdir(path, 0700);
			*s = '/';
		}
		if (link(data, path))
			abort();
	}
	return open(data, O_RDWR | O_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vst_runtime *rt;
	static int fd = -1;
	char buf[VST_DISPLAY_MAX];
	struct vst_names names;
	struct vst_cgpath cg;

	if (!rt) {
		fd = make_tree();
		rt = vst_runtime_new(root);
		fprintf(stderr, "in %s, which can be removed afterwards\n", root);
	}
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		vst_cgpath_parse(paths[i], &cg);
		vst_names_from_path(&cg, &names);
		vst_runtime_lookup(rt, &cg, &names);
		if (!*vst_names_display(&names, buf, sizeof(buf)))
			abort();
	}
	return 0;
}
