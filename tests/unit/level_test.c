/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/level.c policy/step.c agent/who/cgpath.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "policy/level.h"

#define POD "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod2942c55e_c9cb_428a_93f4_eaf89c1f3ce0.slice"
#define ID "3f2a1b4c5d6e7f8091a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4"
#define POD_CGROUPFS "/kubepods/burstable/pod6a4ce4a0-ba47-11ea-b2a7-0cc47ac5979e"

static void knobs_belong_to_containers_and_pods(void **state)
{
	static const struct {
		const char *path, *scope, *pod;
	} rows[] = {
		{ POD "/cri-containerd-" ID ".scope", POD "/cri-containerd-" ID ".scope", POD },
		{ POD "/crio-" ID ".scope/container/system.slice/foo.service", POD "/crio-" ID ".scope", POD },
		{ POD, POD, POD },
		{ POD_CGROUPFS "/" ID, POD_CGROUPFS "/" ID, POD_CGROUPFS },
		{ POD_CGROUPFS, POD_CGROUPFS, POD_CGROUPFS },
		{ "/system.slice/docker-" ID ".scope", "/system.slice/docker-" ID ".scope", "" },
		{ "/system.slice/postgresql.service", "/system.slice/postgresql.service", "" },
		{ "/bulk.slice", "/bulk.slice", "" }, /* a slice that a rule names */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct vst_levels levels;
		char text[VST_TEXT_MAX] = "";

		assert_int_equal(vst_levels_of(rows[i].path, &levels, text), 0);
		assert_int_equal(levels.scope_len, strlen(rows[i].scope));
		assert_memory_equal(rows[i].path, rows[i].scope, levels.scope_len);
		assert_int_equal(levels.pod_len, strlen(rows[i].pod));
		assert_int_equal(vst_level_check(rows[i].path, text),
				 strlen(rows[i].path) == strlen(rows[i].scope) ? 0 : -EPERM);
	}
}

static void no_knob_on_what_is_the_kubelet_s(void **state)
{
	static const char *const paths[] = {
		"/",
		"",
		"/kubepods.slice",
		"/kubepods.slice/kubepods-burstable.slice",
		"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice",
		"/kubepods",
		"/kubepods/besteffort",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char text[VST_TEXT_MAX] = "";

		assert_int_equal(vst_level_check(paths[i], text), -EPERM);
		assert_true(*text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knobs_belong_to_containers_and_pods),
		cmocka_unit_test(no_knob_on_what_is_the_kubelet_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
