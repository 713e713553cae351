/* SPDX-License-Identifier: GPL-2.0-only */
/* What both programs have in common for those who type them: where they meet, and how they end. */
#ifndef VSTOR_CLI_H
#define VSTOR_CLI_H

#define VST_SOCKET_DEFAULT "/run/vstor/vstor.sock"

enum vst_exit {
	VST_EXIT_OK = 0,
	VST_EXIT_FAILED = 1, /* or a check that does not hold */
	VST_EXIT_USAGE = 2,
	VST_EXIT_UNREACHABLE = 3,
	VST_EXIT_DENIED = 4,
	VST_EXIT_UNSUPPORTED = 5,
	VST_EXIT_INTERRUPTED = 256, /* SIGINT or SIGTERM; never leaves the program */
};

#endif /* VSTOR_CLI_H */
