/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/record_fields.h"

#define SIZE_OF(t_, m_) sizeof(((t_ *)0)->m_)
#define FIELD(t_, m_, n_, type_, size_) { .name = (n_), .type = (type_), .size = (size_), .offset = offsetof(t_, m_) }
#define NUMBER_AS(t_, m_, n_) FIELD(t_, m_, n_, VST_RECORD_NUMBER, SIZE_OF(t_, m_))
#define NUMBER(t_, m_) NUMBER_AS(t_, m_, #m_)
#define BOOL(t_, m_) FIELD(t_, m_, #m_, VST_RECORD_BOOL, 1)
#define REAL(t_, m_) FIELD(t_, m_, #m_, VST_RECORD_REAL, 8)
#define TEXT(t_, m_) FIELD(t_, m_, #m_, VST_RECORD_TEXT, 0)
#define HIST(t_, m_, n_) FIELD(t_, m_, n_, VST_RECORD_HIST, 0)
#define TEXTS(t_, m_, width_)                                                                                          \
	{ .name = #m_,                                                                                                 \
	  .type = VST_RECORD_TEXTS,                                                                                    \
	  .width = (width_),                                                                                           \
	  .offset = offsetof(t_, m_),                                                                                  \
	  .count = offsetof(t_, n_##m_) }
#define TIMES(t_, m_, n_)                                                                                              \
	HIST(t_, m_.hist, n_), NUMBER_AS(t_, m_.sum_ns, n_ "_sum"), NUMBER_AS(t_, m_.max_ns, n_ "_max")

_Static_assert(sizeof(struct vst_label) == 2 * sizeof(char *), "a label is its texts");
_Static_assert(sizeof(struct vst_limit) == 3 * sizeof(char *), "a limit is its texts");

/* instance and kernel are in the head of the file: they are the same as long as the agent runs. */
#define T struct vst_snapshot
static const struct vst_record_field moment[] = {
	NUMBER(T, seq),
	REAL(T, time),
	REAL(T, unix_time),
	REAL(T, started),
	REAL(T, interval),
	REAL(T, self.cpu_percent),
	NUMBER(T, self.rss_bytes),
	REAL(T, self.tick_us),
	REAL(T, self.tick_max_us),
	REAL(T, self.event_ns),
	REAL(T, self.cost_percent),
	REAL(T, self.budget_percent),
	{ .name = "self.given_up",
	  .type = VST_RECORD_TEXTS,
	  .max = SIZE_OF(T, self.given_up) / sizeof(char *),
	  .offset = offsetof(T, self.given_up),
	  .count = offsetof(T, self.n_given_up),
	  .count_is_int = true },
	NUMBER(T, self.rows),
	NUMBER(T, self.rows_max),
	NUMBER(T, self.slots),
	NUMBER(T, self.slots_max),
	NUMBER(T, self.containers),
	BOOL(T, self.watch_locks),
#define X(e, n, ...) NUMBER_AS(T, self.lost[VST_LOSS_##e], "self.lost." n),
	VST_LOSSES(X)
#undef X
#define X(e, n, ...) NUMBER_AS(T, self.lock_lost[VST_LOCK_LOSS_##e], "self.lock_lost." n),
		VST_LOCK_LOSSES(X)
#undef X
			NUMBER(T, self.journal_lost),
	NUMBER(T, self.pause_lost),
	NUMBER(T, self.overflow_cgroups),
	NUMBER(T, self.hints_refused),
	REAL(T, self.insight),
	NUMBER(T, self.insight_mode),
	BOOL(T, self.insight_given_up),
	NUMBER(T, self.files_lost),
	NUMBER(T, self.encryption_alarms),
	NUMBER(T, self.cache_lost),
};
#undef T

#define T struct vst_snap_probe
static const struct vst_record_field probes[] = {
	TEXT(T, name), TEXT(T, tracepoint), TEXT(T, group),  TEXT(T, state),
	TEXT(T, why),  REAL(T, run_ns),	    NUMBER(T, runs), NUMBER(T, missed),
};
#undef T

#define T struct vst_snap_container
static const struct vst_record_field containers[] = {
	NUMBER(T, id),	    BOOL(T, own),	  BOOL(T, listed),	  TEXT(T, cgroup),     NUMBER(T, cgroup_ino),
	TEXT(T, display),   TEXT(T, ns),	  TEXT(T, pod),		  TEXT(T, name),       TEXT(T, image),
	TEXT(T, cid),	    TEXT(T, runtime),	  TEXTS(T, labels, 2),	  TEXTS(T, limits, 3), REAL(T, since),
	REAL(T, ended),	    NUMBER(T, restarts),  NUMBER(T, ios),	  NUMBER(T, bytes),    NUMBER(T, encrypting),
	NUMBER(T, insight), BOOL(T, insight_set), REAL(T, insight_since),
};
#undef T

#define T struct vst_snap_io
static const struct vst_record_field ios[] = {
	NUMBER(T, id),
	NUMBER(T, container),
	NUMBER(T, dev),
	NUMBER(T, layer),
	NUMBER(T, op),
	NUMBER(T, kind),
	NUMBER(T, size),
	NUMBER(T, witness),
	NUMBER(T, patterns),
	NUMBER(T, hint),
#define X(f, ...) NUMBER_AS(T, counts.counter[VST_COUNTER_##f], #f),
	VST_COUNTERS(X)
#undef X
#define X(e, f, ...) TIMES(T, counts.time[VST_TIME_##e], #f),
		VST_TIMES(X)
#undef X
			NUMBER(T, in_flight),
	NUMBER(T, oldest_ns),
	NUMBER(T, in_flight_sum),
};
#undef T

#define T struct vst_snap_wait
static const struct vst_record_field waits[] = {
	NUMBER(T, id),	    NUMBER(T, type),	  NUMBER(T, side),   NUMBER(T, lock_type), NUMBER(T, named_by),
	TEXT(T, evidence),  NUMBER(T, waiter),	  NUMBER(T, holder), NUMBER(T, dev),	   TEXT(T, name),
	TEXT(T, object),    TEXTS(T, stack, 1),	  NUMBER(T, waits),  NUMBER(T, total_ns),  TIMES(T, times, "times"),
	NUMBER(T, waiting), NUMBER(T, oldest_ns),
};
#undef T

#define T struct vst_snap_device
static const struct vst_record_field devices[] = {
	NUMBER(T, dev),
	NUMBER(T, layer),
	TEXT(T, name),
	TEXTS(T, links, 1),
	BOOL(T, present),
	BOOL(T, accounted),
	TEXT(T, not_judged),
#define X(s, f, ...) NUMBER_AS(T, counter[VST_DEVICE_##s##_##f], #s "." #f),
	VST_DEVICE_COUNTERS(X)
#undef X
#define X(e, n, ...) NUMBER_AS(T, lost[VST_LOSS_##e], "lost." n),
		VST_LOSSES(X)
#undef X
			NUMBER(T, in_flight),
};
#undef T

#define T struct vst_snap_slow
#define SERVED(i_)                                                                                                     \
	NUMBER_AS(T, meanwhile[i_].container, "meanwhile." #i_ ".container"),                                          \
		NUMBER_AS(T, meanwhile[i_].ios, "meanwhile." #i_ ".ios")
static const struct vst_record_field slows[] = {
	NUMBER(T, container),
	NUMBER(T, dev),
	NUMBER(T, layer),
	NUMBER(T, op),
	NUMBER(T, kind),
	NUMBER(T, size),
	NUMBER(T, bytes),
	NUMBER(T, queue_ns),
	NUMBER(T, device_ns),
	NUMBER(T, ended_ns),
	TEXT(T, file),
	SERVED(0),
	SERVED(1),
	SERVED(2),
};
_Static_assert(VST_SERVED == 3, "all of them");
#undef T

#define T struct vst_snap_pattern
static const struct vst_record_field patterns[] = {
	NUMBER(T, container), NUMBER(T, dev), NUMBER(T, pattern), REAL(T, confidence), NUMBER(T, bytes),
	NUMBER(T, last_ns),   TEXT(T, file),  TEXT(T, source),	  TEXT(T, evidence),
};
#undef T

#define T struct vst_snap_cache
static const struct vst_record_field caches[] = { NUMBER(T, dev),
						  TEXT(T, type),
						  TEXT(T, name),
						  TEXT(T, origin),
						  TEXT(T, cache),
						  TEXT(T, set),
						  TEXT(T, mode),
						  TEXT(T, replacement),
						  NUMBER(T, bytes),
						  NUMBER(T, cache_bytes),
						  NUMBER(T, bucket_bytes),
						  NUMBER(T, dirty_bytes),
						  NUMBER(T, admitted_bytes),
						  NUMBER_AS(T, kept_bytes[0], "kept_bytes.3"),
						  NUMBER_AS(T, kept_bytes[1], "kept_bytes.4"),
						  NUMBER_AS(T, kept_bytes[2], "kept_bytes.5"),
						  NUMBER_AS(T, resident_bytes[0], "resident_bytes.3"),
						  NUMBER_AS(T, resident_bytes[1], "resident_bytes.4"),
						  NUMBER_AS(T, resident_bytes[2], "resident_bytes.5"),
						  NUMBER(T, used_bytes),
#define X(f, ...) NUMBER(T, f),
						  VST_DM_CACHE_COUNTERS(X)
#undef X
};
_Static_assert(VST_HEAT_CLASSES == 3, "each class of a cache is recorded");
#undef T

#define T struct vst_snap_cache_row
static const struct vst_record_field cache_rows[] = { NUMBER(T, container), NUMBER(T, dev), NUMBER(T, class),
#define X(f, ...) NUMBER_AS(T, counts.f, #f),
						      VST_CACHE_COUNTERS(X)
#undef X
};
#undef T

#define T struct vst_snap_life
static const struct vst_record_field lives[] = {
	NUMBER(T, container),
	NUMBER(T, end),
	NUMBER_AS(T, bytes[0], "bytes.0"),
	NUMBER_AS(T, bytes[1], "bytes.1"),
	NUMBER_AS(T, bytes[2], "bytes.2"),
	NUMBER_AS(T, bytes[3], "bytes.3"),
	NUMBER_AS(T, bytes[4], "bytes.4"),
	NUMBER_AS(T, bytes[5], "bytes.5"),
	NUMBER_AS(T, bytes[6], "bytes.6"),
	NUMBER_AS(T, bytes[7], "bytes.7"),
	NUMBER(T, dead_bytes),
};
_Static_assert(VST_LIFE_BUCKETS == 8, "all of them");
#undef T

#define T struct vst_snap_pin
static const struct vst_record_field pins[] = {
	NUMBER(T, dev),	  BOOL(T, is_container),     TEXT(T, name),  TEXT(T, state), TEXT(T, text), NUMBER(T, files),
	NUMBER(T, bytes), NUMBER(T, resident_bytes), REAL(T, since),
};
#undef T

#define T struct vst_snap_curve
static const struct vst_record_field curves[] = {
	NUMBER(T, dev), NUMBER(T, kept), NUMBER(T, class), NUMBER(T, kept_bytes),
	REAL(T, total), REAL(T, reads),	 REAL(T, first),   TEXT(T, at),
};
#undef T

#define LIST(fields_) .field = (fields_), .n = sizeof(fields_) / sizeof((fields_)[0])
const struct vst_record_list vst_record_lists[VST_RECORD_LISTS] = {
	[VST_RECORD_MOMENT] = { "moment", -1, sizeof(struct vst_snapshot), -1, -1, LIST(moment) },
	[VST_RECORD_PROBES] = { "probes", -1, sizeof(struct vst_snap_probe), -1, -1, LIST(probes) },
#define VALUES(e_, t_, fields_, id_, changed_)                                                                         \
	[VST_RECORD_VALUES + VST_SNAP_##e_] = { #fields_, VST_SNAP_##e_, sizeof(t_), id_, changed_, LIST(fields_) }
	VALUES(CONTAINERS, struct vst_snap_container, containers, offsetof(struct vst_snap_container, id), -1),
	VALUES(IOS, struct vst_snap_io, ios, offsetof(struct vst_snap_io, id),
	       offsetof(struct vst_snap_io, changed_seq)),
	VALUES(WAITS, struct vst_snap_wait, waits, offsetof(struct vst_snap_wait, id),
	       offsetof(struct vst_snap_wait, changed_seq)),
	VALUES(DEVICES, struct vst_snap_device, devices, offsetof(struct vst_snap_device, dev), -1),
	VALUES(SLOWS, struct vst_snap_slow, slows, -1, -1),
	VALUES(PATTERNS, struct vst_snap_pattern, patterns, -1, -1),
	VALUES(CACHES, struct vst_snap_cache, caches, offsetof(struct vst_snap_cache, dev), -1),
	VALUES(CACHE_ROWS, struct vst_snap_cache_row, cache_rows, offsetof(struct vst_snap_cache_row, dev), -1),
	VALUES(LIVES, struct vst_snap_life, lives, -1, -1),
	VALUES(PINS, struct vst_snap_pin, pins, -1, -1),
	VALUES(CURVES, struct vst_snap_curve, curves, -1, -1),
};

#define FITS(fields_) _Static_assert(sizeof(fields_) / sizeof((fields_)[0]) <= VST_RECORD_FIELDS_MAX, #fields_)
FITS(moment);
FITS(probes);
FITS(containers);
FITS(ios);
FITS(waits);
FITS(devices);
FITS(slows);
FITS(patterns);
FITS(caches);
FITS(cache_rows);
FITS(lives);
FITS(pins);
FITS(curves);
_Static_assert(VST_SNAP__N == 11, "a list of the snapshot that is not recorded: give it a row above");
