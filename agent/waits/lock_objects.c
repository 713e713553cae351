// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "agent/waits/lock_objects.h"

/* Copies what the probe may be writing to meanwhile. False: it does, or it is another's. */
static bool copy(void *to, const void *from, size_t size, const __u64 *busy, const __u64 *key, __u64 is)
{
	if (__atomic_load_n(key, __ATOMIC_ACQUIRE) != is || __atomic_load_n(busy, __ATOMIC_ACQUIRE))
		return false;
	memcpy(to, from, size);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(key, __ATOMIC_RELAXED) == is && !__atomic_load_n(busy, __ATOMIC_RELAXED);
}

/* "…/directory/name", from the name upwards. */
static void path_text(const struct vst_lock_object *o, char *text, size_t size)
{
	int n = 0, len;

	while (n < VST_LOCK_PATH && *o->path[n])
		n++;
	if (n == 1 && !strcmp(o->path[0], "/")) {
		snprintf(text, size, "/ ");
		return;
	}
	len = snprintf(text, size, "%s", n && o->more ? "…" : "");
	while (n)
		len += snprintf(text + len, size - len, "/%.*s", (int)sizeof(o->path[0]) - 1, o->path[--n]);
	if (len)
		snprintf(text + len, size - len, " ");
}

bool vst_lock_object_text(const struct vst_lock_object *objects, __u64 lock, char text[VST_LOCK_OBJECT_TEXT])
{
	const struct vst_lock_object *at = &objects[vst_lock_hash(lock) >> (64 - VST_LOCK_OBJECT_BITS)];
	struct vst_lock_object o;
	char path[VST_LOCK_PATH * sizeof(o.path[0]) + 8];

	if (!lock || !copy(&o, at, sizeof(o), &at->busy, &at->lock, lock))
		return false;
	o.device[sizeof(o.device) - 1] = 0;
	switch (o.kind) {
	case VST_LOCK_OBJECT_INODE:
		path_text(&o, path, sizeof(path));
		snprintf(text, VST_LOCK_OBJECT_TEXT, *path ? "%s(inode %llu on %s)" : "%sinode %llu on %s", path, o.ino,
			 o.device);
		return true;
	case VST_LOCK_OBJECT_SUPER:
		snprintf(text, VST_LOCK_OBJECT_TEXT, "file system on %s", o.device);
		return true;
	case VST_LOCK_OBJECT_QUEUE:
		snprintf(text, VST_LOCK_OBJECT_TEXT, "disk %s", o.device);
		return true;
	}
	return false;
}

bool vst_lock_stack_read(const struct vst_lock_holder_stack *stacks, __u64 waiter, __u64 holder, __u64 what,
			 struct vst_lock_holder_stack *ret)
{
	const struct vst_lock_holder_stack *at;

	what = VST_LOCK_WHAT_LOCK(what);
	at = &stacks[vst_lock_mix(vst_lock_mix(waiter, holder), what) >> (64 - VST_LOCK_STACK_BITS)];
	if (!copy(ret, at, sizeof(*ret), &at->busy, &at->what, what) || ret->waiter != waiter || ret->holder != holder)
		return false;
	if (ret->n > VST_LOCK_STACK_FRAMES)
		ret->n = VST_LOCK_STACK_FRAMES;
	for (__u32 i = 0; i < ret->n; i++)
		ret->frame[i][sizeof(ret->frame[i]) - 1] = 0;
	return ret->n > 0;
}
