/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Any bytes as what a client sends to the control socket. The server answers with HTTP or not at all, and afterwards still
 * answers a client that asks for its status.
 *
 * LINK: agent/sinks agent/acting agent/snapshot.c agent/base lib policy
 * LIBS: -lmicrohttpd -ljansson -lyaml -lzstd -lz -lbpf -lcap -lseccomp -lm
 * RUN: -dict=tests/fuzz/socket.dict -max_len=4096 -timeout=30
 */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/sinks/server.h"

#define CHECK(what)                                                                                                    \
	do {                                                                                                           \
		if (!(what))                                                                                           \
			__builtin_trap();                                                                              \
	} while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vst_relay *relay;
static struct sockaddr_un addr = { .sun_family = AF_UNIX };

/* What the loop does: a new snapshot whenever a client asks for one. */
static void *make_snapshots(void *arg)
{
	struct pollfd pfd = { .fd = vst_relay_asked_fd(relay), .events = POLLIN };
	const struct vst_snapshot *prev = NULL;

	for (;;) {
		struct vst_tickets asked;
		struct vst_snapshot *next = vst_snapshot_next(prev);

		CHECK(next);
		vst_relay_asked(relay, &asked);
		vst_snapshot_unref(prev);
		prev = vst_snapshot_ref(next);
		vst_relay_publish(relay, next, &asked);
		CHECK(poll(&pfd, 1, -1) == 1);
	}
	return arg;
}

static void remove_directory(void)
{
	unlink(addr.sun_path);
	*strrchr(addr.sun_path, '/') = 0;
	rmdir(addr.sun_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char dir[] = "/tmp/vstor-fuzz-XXXXXX";
	struct vst_server_opts opts = { .path = addr.sun_path, .metrics_series = 1000 };
	struct vst_server *server;
	pthread_t thread;

	CHECK(mkdtemp(dir));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/vstor.sock", dir);
	CHECK(!vst_relay_new(&relay));
	CHECK(!vst_server_new(&opts, relay, &server));
	CHECK(!pthread_create(&thread, NULL, make_snapshots, NULL));
	atexit(remove_directory);
	return 0;
}

#define ANSWER_MS 20	/* who sends half a request gets no answer */
#define STATUS_MS 10000 /* for an answer that has to come */

/* What the server answers: its length. */
static size_t ask(const void *request, size_t size, int ms, char *reply, size_t room)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t got = 0;
	ssize_t n;

	CHECK(fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	/* a server that has refused may close before it has read all of it */
	for (size_t sent = 0; sent < size; sent += (size_t)n) {
		n = send(fd, (const char *)request + sent, size - sent, MSG_NOSIGNAL);
		if (n <= 0)
			break;
	}
	while (got < room && poll(&pfd, 1, got ? ANSWER_MS : ms) == 1) {
		n = recv(fd, reply + got, room - got, 0);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char status[] = "GET /v1/status HTTP/1.1\r\nHost: vstor\r\n\r\n";
	static unsigned int inputs;
	char reply[65536];
	size_t got = ask(data, size, ANSWER_MS, reply, sizeof(reply));

	CHECK(!got || (got > 12 && !memcmp(reply, "HTTP/1.", 7)));
	if (!(inputs++ % 64)) {
		got = ask(status, sizeof(status) - 1, STATUS_MS, reply, sizeof(reply));
		CHECK(got > 12 && !memcmp(reply, "HTTP/1.1 200", 12));
	}
	return 0;
}
