/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a recording keeps of a snapshot: one list of fields for each kind of value. The writer and the reader both follow these
 * lists, and the lists of the writer are in the head of each file, by name and type. So a reader of another version
 * finds the fields that it knows, skips those that it does not know, and reads 0 or "" for those that the file does not have.
 * A field that a sink shows, or that the policy engine looks at, has to be here; tests/unit/record_code_test.c fails if a
 * field of a snapshot is in no list.
 */
#ifndef VST_RECORD_FIELDS_H
#define VST_RECORD_FIELDS_H

#include "agent/snapshot.h"

/* The letter of a type is what a file's head says. */
enum vst_record_type {
	VST_RECORD_NUMBER = 'n', /* unsigned, of 1, 2, 4 or 8 bytes */
	VST_RECORD_BOOL = 'b',
	VST_RECORD_REAL = 'r',	/* a double, stored exactly */
	VST_RECORD_TEXT = 't',	/* char * */
	VST_RECORD_TEXTS = 'l', /* an array of structs that consist of `width` char * */
	VST_RECORD_HIST = 'h',	/* struct vst_sparse */
};

struct vst_record_field {
	const char *name;
	char type;
	unsigned char size;  /* of a number, in bytes */
	unsigned char width; /* of TEXTS; 0 in `count`: the array is inside the struct, and has `max` elements */
	unsigned char max;
	unsigned short offset;
	unsigned short count; /* of TEXTS: where their number is */
	bool count_is_int;    /* it is an unsigned int, not a size_t */
};

#define VST_RECORD_FIELDS_MAX 64 /* a bit for each in the mask of what changed */

struct vst_record_list {
	const char *name;
	int list; /* enum vst_snap_list; -1: not a list of the snapshot */
	size_t size;
	int id; /* offset of the __u32 that tells a value from an earlier one at the same index; -1: there is none */
	int changed; /* offset of .changed_seq; -1: there is none */
	const struct vst_record_field *field;
	unsigned int n;
};

enum {
	VST_RECORD_MOMENT, /* the snapshot itself: one value, at index 0 */
	VST_RECORD_PROBES,
	VST_RECORD_VALUES, /* the first of VST_SNAP_LISTS */
	VST_RECORD_LISTS = VST_RECORD_VALUES + VST_SNAP__N
};

extern const struct vst_record_list vst_record_lists[VST_RECORD_LISTS];

#endif /* VST_RECORD_FIELDS_H */
