// SPDX-License-Identifier: GPL-2.0-only
/*
 * kind_trace MAJOR:MINOR FILE: writes a line for each bio that is given to the device until standard input ends:
 * time, sector, bytes, op, kind, size, request flags, completion function, page, inode number, task.
 * Says "ready" when it has attached. Exit code 1 if an event was lost.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bpf/kind_trace.h"
#include "vstor/abi.h"

#include "kind_trace.skel.h"

struct symbol {
	unsigned long long addr;
	char name[64];
};

static struct symbol *symbols;
static size_t n_symbols;

/* The functions by whose address the product knows an I/O, and all that may be a bio's completion, for the reader. */
static int symbols_read(struct vst_state *state)
{
	__u64 known[VST_ORIGIN__N] = { 0 };
	unsigned long long addr;
	char line[512], name[256];
	FILE *f = fopen("/proc/kallsyms", "re");

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %*c %255s", &addr, name) != 2)
			continue;
#define X(field, symbol, why)                                                                                          \
	if (!strcmp(name, symbol))                                                                                     \
		known[VST_ORIGIN_##field] = addr;
		VST_SYMBOLS(X)
#undef X
		if (!strstr(name, "end") || strncmp(name, "__pfx", 5) == 0)
			continue;
		if (!(n_symbols & (n_symbols + 1))) {
			void *more = realloc(symbols, (2 * n_symbols + 2) * sizeof(*symbols));

			if (!more)
				break;
			symbols = more;
		}
		symbols[n_symbols].addr = addr;
		snprintf(symbols[n_symbols++].name, sizeof(symbols->name), "%.63s", name);
	}
	fclose(f);
	return vst_origins_set(&state->origins, known) ? 0 : -EINVAL;
}

static const char *symbol_of(unsigned long long addr)
{
	for (size_t i = 0; i < n_symbols; i++)
		if (symbols[i].addr == addr)
			return symbols[i].name;
	return addr ? "?" : "-";
}

static int on_event(void *out, void *data, size_t len)
{
	static unsigned long long last_addr;
	static const char *last_name = "-";
	const struct kt_event *e = data;

	if (e->end_io != last_addr) {
		last_addr = e->end_io;
		last_name = symbol_of(last_addr);
	}
	fprintf(out, "%llu\t%llu\t%u\t%s\t%s\t%s\t%x\t%s\t%s\t%llu\t%.16s\n", e->time, e->sector, e->bytes,
		vst_op_name(e->op), vst_kind_name(e->kind), vst_size_name(e->size), e->opf, last_name,
		!e->mapping	 ? "none"
		: e->mapping & 3 ? "anon"
				 : "file",
		e->ino, e->comm);
	return 0;
}

/* The product's maps of counters are not needed here, and large. */
static int load(struct kind_trace_bpf *skel)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
	{
		if (strncmp(bpf_map__name(map), "vst_", 4) == 0)
			bpf_map__set_autocreate(map, false);
	}
	return kind_trace_bpf__load(skel);
}

static int run(struct ring_buffer *ring, FILE *out)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int err = ring_buffer__poll(ring, 20);

		if (err < 0 && err != -EINTR)
			return err;
		if (poll(&in, 1, 0) > 0 && read(STDIN_FILENO, &c, 1) <= 0)
			break;
	}
	ring_buffer__consume(ring);
	return fflush(out) ? -errno : 0;
}

int main(int argc, char **argv)
{
	struct ring_buffer *ring = NULL;
	struct kind_trace_bpf *skel;
	unsigned int major, minor;
	FILE *out = NULL;
	int err = 1;

	if (argc != 3 || sscanf(argv[1], "%u:%u", &major, &minor) != 2) {
		fprintf(stderr, "usage: kind_trace MAJOR:MINOR FILE\n");
		return 2;
	}
	skel = kind_trace_bpf__open();
	if (!skel)
		return 1;
	skel->rodata->kt_dev = major << 20 | minor;
	out = fopen(argv[2], "we");
	if (!out || load(skel) || symbols_read(&skel->data_state->vst_state) || kind_trace_bpf__attach(skel))
		goto out;
	ring = ring_buffer__new(bpf_map__fd(skel->maps.kt_events), on_event, out, NULL);
	if (!ring || run(ring, out))
		goto out;
	kind_trace_bpf__detach(skel);
	if (skel->bss->kt_lost)
		fprintf(stderr, "kind_trace: %llu events lost: the trace is not complete\n", skel->bss->kt_lost);
	else
		err = 0;
out:
	if (err)
		fprintf(stderr, "kind_trace: failed: %s\n", strerror(errno));
	ring_buffer__free(ring);
	if (out)
		fclose(out);
	kind_trace_bpf__destroy(skel);
	free(symbols);
	return err;
}
