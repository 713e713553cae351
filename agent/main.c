// SPDX-License-Identifier: GPL-2.0-only
/* vstord: starts the parts, runs the loop, and ends. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/acting/acting.h"
#include "agent/agent.h"
#include "agent/base/log.h"
#include "agent/base/notify.h"
#include "agent/loop.h"
#include "agent/options.h"
#include "agent/sinks/metrics.h"
#include "agent/sinks/server.h"
#include "agent/start.h"
#include "agent/tick.h"
#include "vstor/cli.h"

static int run(struct vst_agent *a, const struct vst_options *o, int signal_fd)
{
	const struct vst_server_opts serve = {
		.path = o->socket,
		.metrics = o->metrics,
		.metrics_series = o->metrics_series,
	};
	struct vst_acting_opts acting = o->acting;
	struct vst_server *server = NULL;
	int err;

	acting.fresh = vst_tick_fresh;
	acting.choose = vst_tick_choose;
	acting.pin = vst_tick_pin;
	acting.kept = vst_tick_kept;
	acting.keeper = vst_tick_keeper;
	acting.insight = vst_watch_ask;
	acting.ctx = a;
	err = vst_relay_new(&a->relay);
	if (err)
		return err;
	/* the socket first: a second agent is told so before it loads anything */
	err = vst_server_new(&serve, a->relay, &server);
	if (err)
		return err;
	err = vst_start_probes(a, o->host_root);
	err = err ?: vst_tick_publish(a);
	err = err ?: vst_acting_new(&acting, &a->acting);
	if (!err)
		vst_tick_act(a);
	vst_self_update(&a->self);
	if (err)
		vst_err("cannot start: %s; `vstorctl doctor` shows what this host has and lacks", strerror(-err));
	err = err ?: vst_recorder_new(&o->recorder, a->acting, &a->recorder);
	if (!err) {
		vst_server_acting(server, a->acting);
		a->always_fsync = o->fsync;
		vst_tick_follow_fsync(a);
		err = vst_loop_run(a, o, signal_fd);
		vst_notify("STOPPING=1");
	}
	vst_server_free(server);
	vst_recorder_free(a->recorder);
	vst_acting_free(a->acting);
	if (!err)
		vst_info("stopped");
	return err;
}

int main(int argc, char **argv)
{
	struct vst_options o = { .socket = VST_SOCKET_DEFAULT,
				 .host_root = "/",
				 .metrics_series = VST_METRICS_SERIES,
				 .interval = 1,
				 .budget = 20,
				 .insight = VST_INSIGHT_OFF,
				 .recorder.size = VST_RECORDER_SIZE };
	struct vst_agent a = { .started = vst_now() };
	struct utsname name;
	uint64_t random;
	int signal_fd, err;

	err = vst_options_parse(argc, argv, &o);
	if (err)
		return err - 1;
	vst_log_open(o.verbose ? VST_LOG_DEBUG : VST_LOG_INFO);
	vst_start_settle();
	vst_start_join_cgroups(o.host_root);
	err = vst_start_check_host();
	if (err)
		return err;
	if (vst_start_raise_files())
		return VST_EXIT_FAILED;
	a.interval = o.interval;
	a.budget.limit = o.budget;
	a.watch.scopes.mode = o.insight;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)(a.started * 1e9) ^ getpid();
	snprintf(a.instance, sizeof(a.instance), "%016llx", (unsigned long long)random);
	if (!uname(&name))
		snprintf(a.kernel, sizeof(a.kernel), "%.64s", name.release);
	signal_fd = vst_loop_signals();
	if (signal_fd < 0) {
		vst_err("cannot receive signals: %s", strerror(errno));
		return VST_EXIT_FAILED;
	}
	err = run(&a, &o, signal_fd);
	vst_start_undo(&a);
	close(signal_fd);
	return err ? VST_EXIT_FAILED : VST_EXIT_OK;
}
