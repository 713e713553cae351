// SPDX-License-Identifier: GPL-2.0-only
/*
 * stats COMMAND [ARG]...: runs a command while the kernel takes the time of every BPF program. It is switched on by a
 * descriptor, not by the sysctl kernel.bpf_stats_enabled, so nothing stays on whatever happens.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: stats COMMAND [ARG]...\n");
		return 2;
	}
	/* the descriptor is closed by exec: the command ends, this process ends, the statistics end */
	if (bpf_enable_stats(BPF_STATS_RUN_TIME) < 0) {
		fprintf(stderr, "stats: cannot switch the run-time statistics on: %s; are you root?\n",
			strerror(errno));
		return 1;
	}
	pid = fork();
	if (!pid) {
		execvp(argv[1], argv + 1);
		fprintf(stderr, "stats: cannot run %s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		fprintf(stderr, "stats: cannot run %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
