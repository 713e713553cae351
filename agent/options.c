// SPDX-License-Identifier: GPL-2.0-only
/* The command line of vstord. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/options.h"
#include "agent/sinks/address.h"
#include "agent/sinks/metrics.h"
#include "lib/duration.h"
#include "policy/actor_client.h"
#include "vstor/cli.h"

static void print_help(void)
{
	printf("Usage: vstord [OPTION]...\n"
	       "Watch the block I/O of this host's containers; see it with vstorctl. Runs in the foreground.\n"
	       "\n"
	       "      --socket PATH       control socket [" VST_SOCKET_DEFAULT "]\n"
	       "  -i, --interval DURATION between two readings of the counters, 100ms to 60s [1s]\n"
	       "      --budget PERCENT    of all processors that may be taken before waits are given up; 0: all [20]\n"
	       "      --metrics ADDR:PORT serve metrics for Prometheus there; PORT alone is on 127.0.0.1\n"
	       "      --metrics-series N  at most so many series, 500 to 1000000 [10000]\n"
	       "      --policy FILE       rules about containers and disks; vstor.policy(5) describes them\n"
	       "      --act               act on the policy; without it, only plan\n"
	       "      --state DIR         where vstor-actor keeps its journal [" VST_STATE_DIR "]\n"
	       "      --handover DURATION after SIGTERM, keep what was set for so long for the next vstord, up to 1h "
	       "[0]\n"
	       "      --record DIR        record what is seen, for vstorctl --at\n"
	       "      --record-size SIZE  of the recording, at most: 200M, 1G [200M]\n"
	       "      --insight MODE      look at what is written to files: off, sampled (moments of each second) or "
	       "full\n"
	       "                          [off]\n"
	       "      --host-root DIR     where the files of container runtimes are, for names: in a container "
	       "/proc/1/root [/]\n"
	       "      --fsync             measure how long fsync takes, also without a rule that protects it\n"
	       "  -v, --verbose           log more\n"
	       "  -h, --help              show this\n"
	       "      --version           show the version\n"
	       "\n"
	       "Without --act it changes nothing on the host. Stop it with ^C or SIGTERM; nothing is left behind. "
	       "SIGHUP\n"
	       "reads the policy again.\n");
}

static int parse_handover(const char *text, unsigned int *ret)
{
	double v;

	if (vst_duration_parse(text, 0, 3600, &v)) {
		fprintf(stderr, "vstord: --handover '%s' is not a duration from 0 to 1h: give 30s or 2m\n", text);
		return -EINVAL;
	}
	*ret = (unsigned int)v;
	return 0;
}

static int parse_insight(const char *text, enum vst_insight_mode *ret)
{
	for (unsigned int i = 0; i < VST_INSIGHT__N; i++) {
		if (!strcmp(text, vst_insight_mode_name(i))) {
			*ret = (enum vst_insight_mode)i;
			return 0;
		}
	}
	fprintf(stderr, "vstord: --insight '%s' is none of off, sampled and full\n", text);
	return -EINVAL;
}

static int parse_metrics(const char *text, const char **ret)
{
	struct sockaddr_storage addr;
	const char *why;
	socklen_t len;

	if (vst_address_parse(text, &addr, &len, &why)) {
		fprintf(stderr, "vstord: --metrics '%s' is not ADDR:PORT: %s\n", text, why);
		return -EINVAL;
	}
	*ret = text;
	return 0;
}

static int parse_metrics_series(const char *text, unsigned int *ret)
{
	unsigned long n;
	char *rest;

	n = strtoul(text, &rest, 10);
	if (*text < '0' || *text > '9' || *rest || n < VST_METRICS_SERIES_MIN || n > VST_METRICS_SERIES_MAX) {
		fprintf(stderr, "vstord: --metrics-series '%s' is not a number from %d to %d\n", text,
			VST_METRICS_SERIES_MIN, VST_METRICS_SERIES_MAX);
		return -EINVAL;
	}
	*ret = (unsigned int)n;
	return 0;
}

int vst_options_parse(int argc, char **argv, struct vst_options *o)
{
	enum {
		OPT_SOCKET = 256,
		OPT_BUDGET,
		OPT_FSYNC,
		OPT_HOST_ROOT,
		OPT_INSIGHT,
		OPT_METRICS,
		OPT_METRICS_SERIES,
		OPT_POLICY,
		OPT_ACT,
		OPT_STATE,
		OPT_HANDOVER,
		OPT_RECORD,
		OPT_RECORD_SIZE,
		OPT_VERSION
	};
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, OPT_SOCKET },
		{ "interval", required_argument, NULL, 'i' },
		{ "budget", required_argument, NULL, OPT_BUDGET },
		{ "metrics", required_argument, NULL, OPT_METRICS },
		{ "metrics-series", required_argument, NULL, OPT_METRICS_SERIES },
		{ "policy", required_argument, NULL, OPT_POLICY },
		{ "act", no_argument, NULL, OPT_ACT },
		{ "state", required_argument, NULL, OPT_STATE },
		{ "handover", required_argument, NULL, OPT_HANDOVER },
		{ "record", required_argument, NULL, OPT_RECORD },
		{ "record-size", required_argument, NULL, OPT_RECORD_SIZE },
		{ "host-root", required_argument, NULL, OPT_HOST_ROOT },
		{ "fsync", no_argument, NULL, OPT_FSYNC },
		{ "insight", required_argument, NULL, OPT_INSIGHT },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ 0 },
	};
	char *rest;
	int c;

	while ((c = getopt_long(argc, argv, "i:vh", longs, NULL)) != -1) {
		switch (c) {
		case OPT_SOCKET:
			if (!*optarg) {
				fprintf(stderr,
					"vstord: --socket is empty: give the path of the control socket, or leave it "
					"out for " VST_SOCKET_DEFAULT "\n");
				return VST_EXIT_USAGE + 1;
			}
			o->socket = optarg;
			break;
		case 'i':
			if (vst_duration_parse(optarg, 0.1, 60, &o->interval)) {
				fprintf(stderr,
					"vstord: --interval '%s' is not a duration from 100ms to 60s: give 1 or "
					"500ms\n",
					optarg);
				return VST_EXIT_USAGE + 1;
			}
			break;
		case OPT_BUDGET:
			o->budget = strtod(optarg, &rest);
			if (rest == optarg || *rest || !(o->budget >= 0 && o->budget <= 100)) {
				fprintf(stderr, "vstord: --budget '%s' is not a percentage from 0 to 100\n", optarg);
				return VST_EXIT_USAGE + 1;
			}
			break;
		case OPT_METRICS:
			if (parse_metrics(optarg, &o->metrics))
				return VST_EXIT_USAGE + 1;
			break;
		case OPT_METRICS_SERIES:
			if (parse_metrics_series(optarg, &o->metrics_series))
				return VST_EXIT_USAGE + 1;
			break;
		case OPT_POLICY:
			o->acting.policy = optarg;
			break;
		case OPT_ACT:
			o->acting.act = true;
			break;
		case OPT_STATE:
			o->acting.state_dir = optarg;
			break;
		case OPT_HANDOVER:
			if (parse_handover(optarg, &o->acting.handover_s))
				return VST_EXIT_USAGE + 1;
			break;
		case OPT_RECORD:
			o->recorder.dir = optarg;
			break;
		case OPT_RECORD_SIZE:
			if (vst_recorder_parse_size(optarg, &o->recorder.size)) {
				fprintf(stderr, "vstord: --record-size '%s' is not a size from 4M to 1024G\n", optarg);
				return VST_EXIT_USAGE + 1;
			}
			break;
		case OPT_INSIGHT:
			if (parse_insight(optarg, &o->insight))
				return VST_EXIT_USAGE + 1;
			break;
		case OPT_HOST_ROOT:
			if (access(optarg, X_OK)) {
				fprintf(stderr,
					"vstord: --host-root '%s': %s; in a container give /proc/1/root, with the "
					"host's "
					"process namespace and CAP_SYS_PTRACE\n",
					optarg, strerror(errno));
				return VST_EXIT_USAGE + 1;
			}
			o->host_root = optarg;
			break;
		case OPT_FSYNC:
			o->fsync = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'h':
			print_help();
			return VST_EXIT_OK + 1;
		case OPT_VERSION:
			printf("vstord " VSTOR_VERSION "\n");
			return VST_EXIT_OK + 1;
		default: /* getopt_long has said what is wrong */
			fprintf(stderr, "vstord: `vstord --help` lists the options\n");
			return VST_EXIT_USAGE + 1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vstord: unexpected '%s': there are only options; `vstord --help` lists them\n",
			argv[optind]);
		return VST_EXIT_USAGE + 1;
	}
	return 0;
}
