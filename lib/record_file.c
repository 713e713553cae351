/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "lib/record_file.h"

/* --- writing --- */

static void put(struct vst_record_buf *b, const char *text)
{
	size_t n = strlen(text);
	unsigned char *to = vst_record_buf_room(b, n);

	if (!to)
		return;
	memcpy(to, text, n);
	b->len += n;
}

/* A name from outside has no line ends in the head. */
static void put_line(struct vst_record_buf *b, const char *key, const char *value)
{
	char line[256];

	snprintf(line, sizeof(line), "%s %.*s\n", key, (int)strcspn(value, "\n"), value);
	put(b, line);
}

static void put_list(struct vst_record_buf *b, const struct vst_record_list *list)
{
	put(b, "list ");
	put(b, list->name);
	for (unsigned int i = 0; i < list->n; i++) {
		char type[3] = { ':', list->field[i].type, '\0' };

		put(b, " ");
		put(b, list->field[i].name);
		put(b, type);
	}
	put(b, "\n");
}

int vst_record_head(struct vst_record_buf *b, const struct vst_record_about *about)
{
	struct vst_record_file_head head = { .magic = VST_RECORD_MAGIC };

	b->len = 0;
	if (!vst_record_buf_room(b, sizeof(head)))
		return -ENOMEM;
	b->len = sizeof(head);
#define X(f) put_line(b, #f, about->f);
	VST_RECORD_ABOUT(X)
#undef X
	for (int i = 0; i < VST_RECORD_LISTS; i++)
		put_list(b, &vst_record_lists[i]);
	if (b->failed)
		return -ENOMEM;
	head.len = (__u32)(b->len - sizeof(head));
	head.crc = vst_crc32c(b->data + sizeof(head), head.len);
	memcpy(b->data, &head, sizeof(head));
	return 0;
}

static __u32 sum_of(const struct vst_record_frame *frame, const void *compressed)
{
	struct vst_record_frame head = *frame;

	head.crc = 0;
	return vst_crc32c_more(vst_crc32c(&head, sizeof(head)), compressed, frame->len);
}

void vst_record_frame_seal(struct vst_record_frame *frame, const void *compressed)
{
	frame->crc = sum_of(frame, compressed);
}

/* --- reading --- */

int vst_record_head_check(const void *data, size_t len)
{
	struct vst_record_file_head head;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, data, sizeof(head));
	if (memcmp(head.magic, VST_RECORD_MAGIC, sizeof(head.magic)) != 0 || head.len > VST_RECORD_HEAD_MAX)
		return -EBADMSG;
	return 0;
}

static int take_line(struct vst_record_file *f, char *line)
{
	char *value = strchr(line, ' ');

	if (!value)
		return -EBADMSG;
	*value++ = '\0';
#define X(field)                                                                                                       \
	if (!strcmp(line, #field)) {                                                                                   \
		snprintf(f->about.field, sizeof(f->about.field), "%s", value);                                         \
		return 0;                                                                                              \
	}
	VST_RECORD_ABOUT(X)
#undef X
	if (!strcmp(line, "list")) {
		char *fields = value + strcspn(value, " ");

		if (*fields)
			*fields++ = '\0';
		return vst_record_decoder_add(&f->decoder, value, fields);
	}
	return 0; /* from a newer writer */
}

static int take_head(struct vst_record_file *f, const unsigned char *data, size_t len)
{
	struct vst_record_file_head head;
	char *text, *line, *rest;
	int err = 0;

	if (vst_record_head_check(data, len))
		return -EBADMSG;
	memcpy(&head, data, sizeof(head));
	if (head.len > len - sizeof(head) || vst_crc32c(data + sizeof(head), head.len) != head.crc)
		return -EBADMSG;
	text = strndup((const char *)data + sizeof(head), head.len);
	if (!text)
		return -ENOMEM;
	for (line = strtok_r(text, "\n", &rest); line && !err; line = strtok_r(NULL, "\n", &rest))
		err = take_line(f, line);
	free(text);
	f->end = sizeof(head) + head.len;
	return err;
}

static int add_frame(struct vst_record_file *f, const struct vst_record_frame *frame, size_t offset)
{
	if (!(f->n_frames & (f->n_frames - 1))) { /* a power of two: it is full */
		void *more = realloc(f->frame, (f->n_frames ? f->n_frames * 2 : 1) * sizeof(*f->frame));

		if (!more)
			return -ENOMEM;
		f->frame = more;
	}
	f->frame[f->n_frames].offset = offset;
	f->frame[f->n_frames].len = frame->len;
	f->frame[f->n_frames].raw = frame->raw;
	f->frame[f->n_frames++].time_us = frame->time_us;
	return 0;
}

/* 0 and a frame at f->end; 1: there is none, and f says why. -ENOMEM */
static int take_frame(struct vst_record_file *f, const unsigned char *data, size_t len)
{
	size_t left = len - f->end, offset = f->end + sizeof(struct vst_record_frame);
	struct vst_record_frame frame;
	bool is_good;

	if (!left)
		return 1;
	f->torn = left < sizeof(frame);
	if (f->torn)
		return 1;
	memcpy(&frame, data + f->end, sizeof(frame));
	is_good = frame.magic == VST_RECORD_FRAME_MAGIC && frame.raw <= VST_RECORD_RAW_MAX &&
		  frame.len <= VST_RECORD_RAW_MAX;
	f->torn = is_good && frame.len > len - offset;
	if (f->torn)
		return 1;
	if (!is_good || sum_of(&frame, data + offset) != frame.crc) {
		/* after a crash of the host the end may have its length, but not its bytes */
		f->torn = is_good && frame.len == len - offset;
		f->broken = !f->torn;
		return 1;
	}
	f->end = offset + frame.len;
	return add_frame(f, &frame, offset);
}

int vst_record_file_parse(struct vst_record_file *f, const unsigned char *data, size_t len)
{
	int err;

	*f = (struct vst_record_file){ 0 };
	err = take_head(f, data, len);
	while (!err)
		err = take_frame(f, data, len);
	return err < 0 ? err : 0;
}

void vst_record_file_clear(struct vst_record_file *f)
{
	vst_record_decoder_clear(&f->decoder);
	free(f->frame);
	*f = (struct vst_record_file){ 0 };
}
