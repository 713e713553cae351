/* SPDX-License-Identifier: GPL-2.0-only */
/* GET from the agent's socket; the lines of the reply are parsed while they arrive. Waits for keys and signals too. */
#ifndef VSTOR_CTL_CLIENT_H
#define VSTOR_CTL_CLIENT_H

#include "ctl.h"

/* An agent that is silent for longer hangs, as far as a user is concerned. */
#define VST_SILENCE_S 5.0

struct vst_client;

/* A line of the reply, borrowed. 0, or -errno to end the request: the line is not what was asked for. */
typedef int vst_line_fn(void *arg, json_t *line);

enum vst_woken {
	VST_WAIT_TIME,	 /* the deadline */
	VST_WAIT_DONE,	 /* the request under way has ended: see vst_client_result() */
	VST_WAIT_INPUT,	 /* fd can be read */
	VST_WAIT_SIGNAL, /* see vst_stopped(), vst_resized() */
};

/* Asks the agent, or the recording if ctl has one. Never NULL; ctl is borrowed. */
struct vst_client *vst_client_new(const struct vst_ctl *ctl);
void vst_client_free(struct vst_client *c);

/* Begin a request; one at a time. */
void vst_client_start(struct vst_client *c, const char *path, vst_line_fn *line, void *arg);
/* The next request is a POST of this, which is borrowed until it has ended. */
void vst_client_body(struct vst_client *c, const char *body, size_t len);
bool vst_client_busy(const struct vst_client *c);
/* Drive the request, if any, until something happens. fd -1: none. deadline in vst_now() time. */
enum vst_woken vst_client_wait(struct vst_client *c, int fd, double deadline);
/* The clock that deadlines are of: vst_now(), or that of the recording, which goes to the deadline at once unless fd is given. */
double vst_client_now(const struct vst_client *c);
/* Of the last request: 0 or an enum vst_exit, and a sentence that says what happened and what to do. */
int vst_client_result(const struct vst_client *c);
const char *vst_client_error(const struct vst_client *c);

/* All of it: request, wait, result. With VST_EXIT_INTERRUPTED nothing needs to be said. */
int vst_client_get(struct vst_client *c, const char *path, vst_line_fn *line, void *arg);
/* The same for commands that ask once: own client, the error is printed. Returns an exit code. */
int vst_get(const struct vst_ctl *ctl, const char *path, vst_line_fn *line, void *arg);
int vst_post(const struct vst_ctl *ctl, const char *path, const char *body, size_t len, vst_line_fn *line, void *arg);
/* "PATH?KEY=value" with the value as an URL wants it. The caller frees. */
char *vst_query(const char *path, const char *key, const char *value);

/* From now on SIGINT, SIGTERM and SIGHUP (and SIGWINCH, if resize) end vst_client_wait() instead of the program. */
void vst_signals_catch(bool resize);
bool vst_stopped(void);
bool vst_resized(void); /* since it was last asked */
double vst_now(void);	/* seconds, monotonic */
#endif			/* VSTOR_CTL_CLIENT_H */
