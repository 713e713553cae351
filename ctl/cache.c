/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl cache: the caches of this host, what they had for whom, and what of it is kept. */
#include <errno.h>
#include "cache.h"
#include "client.h"
#include "format.h"
#include "replay.h"
#include "table.h"
#include "wire.h"
#include "vstor/abi_cache.h"

const struct vst_option vst_cache_options[] = {
	{ 'd', "delay", "DURATION", "what happens in so long a time; without it, all since the cache is watched" },
	{ 's', "size", "SIZE[,SIZE]",
	  "what-if: of the cache, as in 512M, 10G, or 2x; without it a quarter to four times its size" },
	{ 0 },
};

/* One reply. */
struct sample {
	json_t **devices, **rows, **pins;
	size_t n_devices, cap_devices, n_rows, cap_rows, n_pins, cap_pins;
	double time, lost;
	bool replay; /* a recording does not have what keepers do */
};

static const char *const counters[] = {
#define X(f, d) #f,
	VST_CACHE_COUNTERS(X)
#undef X
};

enum { N_COUNTERS = sizeof(counters) / sizeof(counters[0]) };

static const struct vst_table_column columns[] = {
	{ "CACHE", VST_COL_NAME, 0 },
	{ "CONTAINER", VST_COL_NAME, 0 },
	{ "CLASS", VST_COL_RIGHT, 0 },
	{ "HITS", VST_COL_RIGHT, 0 },
	{ "MISSES", VST_COL_RIGHT, 0 },
	{ "HIT %", VST_COL_RIGHT, 0 },
	{ "BYPASSED", VST_COL_RIGHT, 2 },
	{ "ADMITTED", VST_COL_RIGHT, 1 },
	{ "KEPT", VST_COL_RIGHT | VST_COL_SPARSE, 3 },
	{ "RESIDENT", VST_COL_RIGHT | VST_COL_SPARSE, 3 },
};

static double number(const json_t *line, const char *field)
{
	return json_number_value(json_object_get(line, field));
}

static int take(void *arg, json_t *line)
{
	static const char *const keepers[] = { "keeper", "keeper_reads", "keeper_reads_bytes", "keeper_errors",
					       "keeper_passes" };
	const char *type = vst_wire_text(line, "type");
	struct sample *s = arg;

	if (!strcmp(type, "head")) {
		s->time = number(line, "time");
		s->lost = number(line, "lost");
	}
	if (!strcmp(type, "cached_device")) {
		for (size_t i = 0; s->replay && i < sizeof(keepers) / sizeof(keepers[0]); i++)
			json_object_del(line, keepers[i]);
		s->devices = vst_grow(s->devices, s->n_devices, &s->cap_devices, sizeof(*s->devices));
		s->devices[s->n_devices++] = json_incref(line);
	} else if (!strcmp(type, "cache")) {
		s->rows = vst_grow(s->rows, s->n_rows, &s->cap_rows, sizeof(*s->rows));
		s->rows[s->n_rows++] = json_incref(line);
	} else if (!strcmp(type, "pin")) {
		s->pins = vst_grow(s->pins, s->n_pins, &s->cap_pins, sizeof(*s->pins));
		s->pins[s->n_pins++] = json_incref(line);
	}
	return 0;
}

static void sample_clear(struct sample *s)
{
	for (size_t i = 0; i < s->n_devices; i++)
		json_decref(s->devices[i]);
	for (size_t i = 0; i < s->n_rows; i++)
		json_decref(s->rows[i]);
	for (size_t i = 0; i < s->n_pins; i++)
		json_decref(s->pins[i]);
	free(s->devices);
	free(s->rows);
	free(s->pins);
}

/* --- differences --- */

static bool is_same_row(const json_t *x, const json_t *y)
{
	return number(x, "class") == number(y, "class") &&
	       !strcmp(vst_wire_text(x, "cache"), vst_wire_text(y, "cache")) &&
	       !strcmp(vst_wire_text(x, "cgroup"), vst_wire_text(y, "cgroup")) &&
	       !strcmp(vst_wire_text(x, "container"), vst_wire_text(y, "container"));
}

/* What a row counted since the sample before. Counters that went back are those of an agent that was started anew. */
static void subtract(json_t *row, const struct sample *before)
{
	for (size_t i = 0; i < before->n_rows; i++) {
		if (!is_same_row(row, before->rows[i]))
			continue;
		for (int c = 0; c < N_COUNTERS; c++) {
			json_int_t now = json_integer_value(json_object_get(row, counters[c]));
			json_int_t was = json_integer_value(json_object_get(before->rows[i], counters[c]));

			json_object_set_new(row, counters[c], json_integer(now >= was ? now - was : now));
		}
		return;
	}
}

static bool did_anything(const json_t *row)
{
	for (int c = 0; c < N_COUNTERS; c++)
		if (number(row, counters[c]) > 0)
			return true;
	return false;
}

/* --- output --- */

static const json_t *device_of(const struct sample *s, const json_t *row)
{
	for (size_t i = 0; i < s->n_devices; i++)
		if (!strcmp(vst_wire_text(s->devices[i], "cache"), vst_wire_text(row, "cache")))
			return s->devices[i];
	return NULL;
}

static double resident(const json_t *row)
{
	double kept = number(row, "kept_bytes");

	return kept > 0 ? number(row, "resident_bytes") / kept : -1;
}

static void print_json(const struct sample *s, double interval)
{
	for (size_t i = 0; i < s->n_devices; i++) {
		json_object_del(s->devices[i], "type");
		json_object_set_new(s->devices[i], "is_device", json_true());
		json_object_set_new(s->devices[i], "time", json_real(s->time));
		json_object_set_new(s->devices[i], "interval", vst_json_rounded(interval));
		vst_json_line(json_incref(s->devices[i]));
	}
	for (size_t i = 0; i < s->n_pins; i++) {
		json_object_del(s->pins[i], "type");
		json_object_set_new(s->pins[i], "is_pin", json_true());
		json_object_set_new(s->pins[i], "time", json_real(s->time));
		json_object_set_new(s->pins[i], "interval", vst_json_rounded(interval));
		vst_json_line(json_incref(s->pins[i]));
	}
	for (size_t i = 0; i < s->n_rows; i++) {
		const json_t *device = device_of(s, s->rows[i]);
		json_t *o = json_incref(s->rows[i]);

		if (!did_anything(o)) {
			json_decref(o);
			continue;
		}
		json_object_del(o, "type");
		json_object_del(o, "row"); /* for `top` */
		json_object_set_new(o, "time", json_real(s->time));
		json_object_set_new(o, "interval", vst_json_rounded(interval));
		if (resident(o) >= 0)
			json_object_set_new(o, "resident_estimate", vst_json_rounded(resident(o)));
		if (json_object_get(device, "keeper_reads_bytes"))
			json_object_set(o, "keeper_reads_bytes", json_object_get(device, "keeper_reads_bytes"));
		vst_json_line(o);
	}
}

static double of_classes(const json_t *device, const char *field)
{
	const char *class;
	double sum = 0;
	json_t *n;

	json_object_foreach(json_object_get(device, field), class, n) sum += json_number_value(n);
	return sum;
}

static void print_keeping(const json_t *d)
{
	char kept[VST_CELL], reads[VST_CELL], admitted[VST_CELL];
	double worth = of_classes(d, "kept_bytes");

	vst_format_bytes(kept, worth, VST_UNITS_HUMAN);
	vst_format_bytes(reads, number(d, "keeper_reads_bytes"), VST_UNITS_HUMAN);
	vst_format_bytes(admitted, number(d, "admitted_bytes"), VST_UNITS_HUMAN);
	printf("  worth keeping %s", kept);
	if (worth > 0)
		printf(", of which the cache has at least %.0f %%", 100 * of_classes(d, "resident_bytes") / worth);
	printf("; %s taken in", admitted);
	if (*vst_wire_text(d, "keeper"))
		printf("; keeper %s", vst_wire_text(d, "keeper"));
	if (number(d, "keeper_reads_bytes") > 0)
		printf(", %s read", reads);
	putchar('\n');
}

static void print_hits(const char *what, double hits, double misses)
{
	printf("%s", what);
	if (hits + misses > 0)
		printf(" %.1f %% of %.0f", 100 * hits / (hits + misses), hits + misses);
	else
		printf(" none yet");
}

/* What a dm-cache counts is for all who use it: it does not say who does. */
static void print_dm(const json_t *d)
{
	print_hits("  since it was activated: hits of reads", number(d, "read_hits"), number(d, "read_misses"));
	print_hits(", of writes", number(d, "write_hits"), number(d, "write_misses"));
	printf("; %.0f blocks taken in, %.0f thrown out", number(d, "promoted_blocks"), number(d, "demoted_blocks"));
	if (number(d, "cache_bytes") > 0)
		printf("; %.0f %% full", 100 * number(d, "used_bytes") / number(d, "cache_bytes"));
	putchar('\n');
}

static void print_device(const json_t *d)
{
	char *name = vst_escape(vst_wire_text(d, "cache")), *cache = vst_escape(vst_wire_text(d, "cache_device")),
	     *origin = vst_escape(vst_wire_text(d, "origin"));
	char size[VST_CELL], dirty[VST_CELL];

	vst_format_bytes(size, number(d, "cache_bytes"), VST_UNITS_HUMAN);
	vst_format_bytes(dirty, number(d, "dirty_bytes"), VST_UNITS_HUMAN);
	printf("%s: %s, %s (%s) before %s, %s, %s, %s dirty\n", name, vst_wire_text(d, "cache_type"), cache, size,
	       origin, vst_wire_text(d, "mode"), vst_wire_text(d, "replacement"), dirty);
	if (!strcmp(vst_wire_text(d, "cache_type"), "dm-cache"))
		print_dm(d);
	else
		print_keeping(d);
	free(name);
	free(cache);
	free(origin);
}
static void add_bytes(struct vst_table *t, double bytes)
{
	char cell[VST_CELL];

	vst_format_bytes(cell, bytes, VST_UNITS_HUMAN);
	vst_table_add(t, bytes > 0 ? cell : "-");
}

static void add_percent(struct vst_table *t, double part)
{
	char cell[VST_CELL];

	snprintf(cell, sizeof(cell), "%.1f", 100 * part);
	vst_table_add(t, part >= 0 ? cell : "-");
}

static void add_row(struct vst_table *t, const json_t *row)
{
	double hits = number(row, "hits"), looked = hits + number(row, "misses");
	char class[VST_CELL];

	snprintf(class, sizeof(class), "%.0f", number(row, "class"));
	vst_table_add_name(t, vst_wire_text(row, "cache"));
	vst_table_add_name(t, vst_wire_text(row, "container"));
	vst_table_add(t, class);
	vst_table_add_count(t, hits);
	vst_table_add_count(t, number(row, "misses"));
	add_percent(t, looked > 0 ? hits / looked : -1);
	vst_table_add_count(t, number(row, "bypassed"));
	add_bytes(t, number(row, "admitted_bytes"));
	add_bytes(t, number(row, "kept_bytes"));
	add_percent(t, resident(row));
}

static const struct vst_table_column pin_columns[] = {
	{ "KEPT BY REQUEST", VST_COL_NAME, 0 },
	{ "CACHE", VST_COL_NAME, 0 },
	{ "STATE", 0, 0 },
	{ "FILES", VST_COL_RIGHT, 0 },
	{ "BYTES", VST_COL_RIGHT, 0 },
	{ "RESIDENT", VST_COL_RIGHT, 0 },
	{ "WHY", VST_COL_NAME | VST_COL_SPARSE, 1 },
};

static void print_pins(const struct sample *s)
{
	struct vst_table *t = vst_table_new(pin_columns, sizeof(pin_columns) / sizeof(pin_columns[0]));

	for (size_t i = 0; i < s->n_pins; i++) {
		const json_t *p = s->pins[i];
		const char *cache = vst_wire_text(p, "cache");

		vst_table_add_name(t, vst_wire_text(p, "name"));
		vst_table_add_name(t, *cache ? cache : "-");
		vst_table_add_name(t, vst_wire_text(p, "state"));
		vst_table_add_count(t, number(p, "files"));
		add_bytes(t, number(p, "bytes"));
		add_percent(t, number(p, "bytes") > 0 ? number(p, "resident_bytes") / number(p, "bytes") : -1);
		vst_table_add_name(t, vst_wire_text(p, "text"));
	}
	if (s->n_pins) {
		vst_table_print(t);
		putchar('\n');
	}
	vst_table_free(t);
}

static int by_name(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int d = strcmp(vst_wire_text(x, "cache"), vst_wire_text(y, "cache"));

	d = d ? d : strcmp(vst_wire_text(x, "container"), vst_wire_text(y, "container"));
	return d ? d : (int)(number(y, "class") - number(x, "class"));
}

static void print_text(const struct sample *s)
{
	struct vst_table *t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));

	if (!s->n_devices)
		puts("no device here is cached: there is neither a bcache with a cache attached nor a dm-cache");
	for (size_t i = 0; i < s->n_devices; i++)
		print_device(s->devices[i]);
	if (s->n_devices)
		putchar('\n');
	print_pins(s);
	for (size_t i = 0; i < s->n_rows; i++)
		if (did_anything(s->rows[i]))
			add_row(t, s->rows[i]);
	if (s->n_devices)
		vst_table_print(t);
	if (s->lost > 0)
		printf("\n%.0f I/Os are in no line: there were too many containers for the agent's table of caches\n",
		       s->lost);
	vst_table_free(t);
}

/* --- the command --- */

/* Until the end of the interval, or until the user has seen enough. */
static void pause_for(const struct vst_ctl *ctl, double seconds)
{
	struct vst_client *c = vst_client_new(ctl);

	vst_signals_catch(false);
	vst_client_wait(c, -1, vst_client_now(c) + seconds);
	vst_client_free(c);
}

static int show(const struct vst_ctl *ctl)
{
	struct sample before = { .replay = ctl->replay }, now = before;
	double seconds = 0, interval = 0;
	int rc = vst_opt_seconds(ctl, "cache", 'd', &seconds);

	if (!rc && seconds > 0 && ctl->replay)
		rc = vst_replay_begin(ctl->replay, seconds);
	if (!rc && seconds > 0) {
		rc = vst_get(ctl, "/v1/cache?max_age=0.1", take, &before);
		if (!rc)
			pause_for(ctl, seconds);
	}
	if (!rc)
		rc = vst_get(ctl, "/v1/cache?max_age=0.1", take, &now);
	if (!rc) {
		interval = before.time > 0 ? now.time - before.time : 0;
		for (size_t i = 0; i < now.n_rows; i++)
			subtract(now.rows[i], &before);
		if (now.n_rows)
			qsort(now.rows, now.n_rows, sizeof(*now.rows), by_name);
		if (ctl->json)
			print_json(&now, interval);
		else
			print_text(&now);
	}
	sample_clear(&before);
	sample_clear(&now);
	return rc ? rc : vst_output_end(VST_EXIT_OK);
}

static const struct {
	const char *name, *operand, *help;
} subcommands[] = {
	{ "keep", "PATH | CONTAINER",
	  "keep a file, the files of a directory, or a container's data in the cache of its disk" },
	{ "unkeep", "PATH | CONTAINER", "do so no more" },
	{ "what-if", "[-s SIZE,...]",
	  "the hit ratios that other sizes of the cache, and keepers of other classes, would have" },
};

void vst_cache_help(FILE *out)
{
	fputs("\nCommands:\n", out);
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		char form[40];

		snprintf(form, sizeof(form), "%s %s", subcommands[i].name, subcommands[i].operand);
		fprintf(out, "  %-24s %s\n", form, subcommands[i].help);
	}
	fputs("Without a command it shows the caches. What is kept is so until vstord ends; a rule of the policy with "
	      "'cache: keep' lasts.\n",
	      out);
}

static int run(const struct vst_ctl *ctl, int argc, char **argv)
{
	bool undo = !strcmp(argv[1], "unkeep"), what_if = !strcmp(argv[1], "what-if");

	if (strcmp(argv[1], "keep") != 0 && !undo && !what_if)
		return vst_usage("cache", "there is no '%s': keep, unkeep and what-if are", argv[1]);
	if (ctl->opt['d'])
		return vst_usage("cache", "-d is for what the caches did: %s takes none", argv[1]);
	if (what_if && argc > 2)
		return vst_usage("cache", "unexpected argument '%s': what-if takes none", argv[2]);
	if (what_if)
		return vst_cache_whatif(ctl);
	if (ctl->opt['s'])
		return vst_usage("cache", "--size is for what-if: %s takes none", argv[1]);
	if (argc < 3)
		return vst_usage("cache", "%s needs a path or a container", argv[1]);
	return vst_cache_keep(ctl, argv[2], undo);
}

int vst_cmd_cache(const struct vst_ctl *ctl, int argc, char **argv)
{
	if (argc > 1)
		return run(ctl, argc, argv);
	if (ctl->opt['s'])
		return vst_usage("cache", "--size is for what-if");
	return show(ctl);
}
