/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * insns OBJECT...: loads BPF objects and prints, for each program, how many instructions the kernel's verifier walked
 * until it was content: "block rq_issue 8123". It refuses at a million, and takes its time whenever the agent starts.
 * The objects' constants stay as compiled, so that the figures do not depend on how this host is set up.
 */
#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "vstor/probe_list.h"

static int complain(const char *what, const char *name, int err)
{
	char why[128];

	libbpf_strerror(err, why, sizeof(why));
	fprintf(stderr, "insns: %s %s: %s\n", what, name, why);
	return err;
}

static int print_program(const char *object, const struct bpf_program *prog)
{
	const char *name = bpf_program__name(prog);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int err;

	err = bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len);
	if (!err && !info.verified_insns)
		err = -ENODATA;
	if (err)
		return complain("the kernel does not tell of", name, err);
	printf("%s %s %u\n", object, strncmp(name, "vst_", 4) ? name : name + 4, info.verified_insns);
	return 0;
}

static bool has_tracepoint(const char *module, const char *tracepoint)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	struct btf *btf = kernel ? btf__load_module_btf(module, kernel) : NULL;
	char name[128];
	bool has;

	snprintf(name, sizeof(name), "btf_trace_%s", tracepoint);
	has = btf && btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) > 0;
	btf__free(btf);
	btf__free(kernel);
	return has;
}

/* As the agent does: a program about a module that not every host has is loaded where the module is. */
static void choose_program(struct bpf_program *prog)
{
	static const struct {
		const char *name, *tracepoint;
		int args;
		const char *module, *one_of;
	} rows[] = {
#define X(g, p, t, args, module, one_of, cost) { "vst_" #p, #t, args, module, one_of },
		VST_PROBES(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].name, bpf_program__name(prog)) && rows[i].module && !rows[i].one_of &&
		    rows[i].args > 0 && !bpf_program__autoload(prog))
			bpf_program__set_autoload(prog, has_tracepoint(rows[i].module, rows[i].tracepoint));
}

static int print_object(char *path)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_program *prog;
	char *name = basename(path);
	int err;

	if (!obj)
		return complain("cannot open", path, -errno);
	name[strcspn(name, ".")] = 0;
	bpf_object__for_each_program(prog, obj) choose_program(prog);
	err = bpf_object__load(obj); /* libbpf prints the verifier's log if it refuses */
	if (err)
		complain("this kernel does not load", name, err);
	bpf_object__for_each_program(prog, obj)
	{
		if (!err && bpf_program__autoload(prog)) /* else for some kernels only */
			err = print_program(name, prog);
	}
	bpf_object__close(obj);
	return err;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;

	if (failed)
		fprintf(stderr, "usage: insns OBJECT...\n");
	for (int i = 1; i < argc; i++)
		failed |= !!print_object(argv[i]);
	return failed;
}
