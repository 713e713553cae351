// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/sinks/relay.h"

struct vst_relay {
	pthread_mutex_t lock; /* of all below; held for a few instructions only */
	const struct vst_snapshot *newest;
	struct vst_tickets asked, answered;
	int asked_fd, wake_fd;
};

int vst_relay_new(struct vst_relay **ret)
{
	struct vst_relay *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->wake_fd = -1;
	f->asked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->asked_fd < 0) {
		err = -errno;
		free(f);
		return err;
	}
	pthread_mutex_init(&f->lock, NULL);
	*ret = f;
	return 0;
}

void vst_relay_free(struct vst_relay *f)
{
	if (!f)
		return;
	vst_snapshot_unref(f->newest);
	pthread_mutex_destroy(&f->lock);
	close(f->asked_fd);
	free(f);
}

/* An eventfd that cannot be written to is at its maximum: it is readable. */
static void notify(int fd)
{
	uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

const struct vst_snapshot *vst_relay_get(struct vst_relay *f, struct vst_tickets *ret_answered)
{
	const struct vst_snapshot *s;

	pthread_mutex_lock(&f->lock);
	s = vst_snapshot_ref(f->newest);
	*ret_answered = f->answered;
	pthread_mutex_unlock(&f->lock);
	return s;
}

__u64 vst_relay_ask(struct vst_relay *f, enum vst_ask ask)
{
	__u64 ticket;

	pthread_mutex_lock(&f->lock);
	ticket = ++f->asked.n[ask];
	pthread_mutex_unlock(&f->lock);
	notify(f->asked_fd);
	return ticket;
}

void vst_relay_wake(struct vst_relay *f, int event_fd)
{
	pthread_mutex_lock(&f->lock);
	f->wake_fd = event_fd;
	pthread_mutex_unlock(&f->lock);
}

int vst_relay_asked_fd(const struct vst_relay *f)
{
	return f->asked_fd;
}

void vst_relay_asked(struct vst_relay *f, struct vst_tickets *ret)
{
	uint64_t n;

	/* first: who asks from here on makes it readable again */
	if (read(f->asked_fd, &n, sizeof(n)) < 0)
		n = 0;
	pthread_mutex_lock(&f->lock);
	*ret = f->asked;
	pthread_mutex_unlock(&f->lock);
}

void vst_relay_publish(struct vst_relay *f, const struct vst_snapshot *s, const struct vst_tickets *answered)
{
	const struct vst_snapshot *old;
	bool wake = false;

	pthread_mutex_lock(&f->lock);
	old = f->newest;
	f->newest = s;
	for (int i = 0; i < VST_ASK__N; i++) {
		if (answered->n[i] <= f->answered.n[i])
			continue;
		f->answered.n[i] = answered->n[i];
		wake = true;
	}
	if (wake)
		notify(f->wake_fd);
	pthread_mutex_unlock(&f->lock);
	vst_snapshot_unref(old); /* outside: it may be the last reference to thousands of values */
}
