/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fsync_rows PID: what the probes of fsync have counted for the agent PID, a line each:
 *   row CGROUP-ID HIERARCHY MAJOR:MINOR COUNT SUM_NS MAX_NS IN-HISTOGRAM
 *   open THREAD CGROUP-ID HIERARCHY MAJOR:MINOR AGE_NS
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "vstor/abi_fsync.h"

/* The map of that name among those that the process holds; -1: none. */
static int map_of(const char *pid, const char *name)
{
	char path[512], line[128];
	struct dirent *e;
	int found = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo", pid);
	dir = opendir(path);
	while (dir && found < 0 && (e = readdir(dir))) {
		struct bpf_map_info info = {};
		__u32 len = sizeof(info), id = 0;
		FILE *f;
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, e->d_name);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "map_id: %u", &id) == 1)
				break;
		if (f)
			fclose(f);
		fd = id ? bpf_map_get_fd_by_id(id) : -1;
		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) && !strncmp(info.name, name, sizeof(info.name) - 1))
			found = fd;
		else
			close(fd);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void print_key(const struct vst_fsync_key *k)
{
	printf(" %llu %llu %u:%u", k->owner >> 2, k->owner & 3, k->dev >> 20, k->dev & 0xfffff);
}

int main(int argc, char **argv)
{
	int rows = argc == 2 ? map_of(argv[1], "vst_fsync_rows") : -1;
	int open = argc == 2 ? map_of(argv[1], "vst_fsync_open") : -1;
	struct vst_fsync_key key, next;
	struct vst_fsync_open o;
	struct vst_fsync_row row;
	struct timespec t;
	__u32 tid;

	if (rows < 0 || open < 0) {
		fprintf(stderr, "fsync_rows: usage: fsync_rows PID, of an agent that measures fsync\n");
		return 2;
	}
	for (void *last = NULL; !bpf_map_get_next_key(rows, last, &next); last = &key) {
		unsigned long long in_hist = 0;

		key = next;
		if (bpf_map_lookup_elem(rows, &key, &row))
			continue;
		for (int i = 0; i < VST_HIST_BUCKETS; i++)
			in_hist += row.hist[i];
		printf("row");
		print_key(&key);
		printf(" %llu %llu %llu %llu\n", row.count, row.total_ns, row.max_ns, in_hist);
	}
	for (__u32 at, *last = NULL; !bpf_map_get_next_key(open, last, &tid); last = &at) {
		at = tid;
		if (bpf_map_lookup_elem(open, &tid, &o))
			continue;
		clock_gettime(CLOCK_MONOTONIC, &t);
		printf("open %u", tid);
		print_key(&o.key);
		printf(" %lld\n", t.tv_sec * 1000000000LL + t.tv_nsec - (long long)o.begin_ns);
	}
	return 0;
}
