// SPDX-License-Identifier: GPL-2.0-only
/* vstorctl slow: the slowest requests of the last seconds, and who was served meanwhile. */
#include "files.h"
#include "format.h"

const struct vst_option vst_slow_options[] = {
	{ 'd', "delay", "DURATION", "of that time until now, up to 10s (default 10s)" },
	{ 0 },
};

static const struct vst_table_column columns[] = {
	{ "LATENCY", VST_COL_RIGHT, 0 },
	{ "QUEUE", VST_COL_RIGHT, 1 },
	{ "DEVICE TIME", VST_COL_RIGHT, 1 },
	{ "CONTAINER", VST_COL_NAME, 0 },
	{ "DEVICE", 0, 0 },
	{ "OP", 0, 0 },
	{ "KIND", 0, 2 },
	{ "BYTES", VST_COL_RIGHT, 3 },
	{ "FILE", VST_COL_NAME | VST_COL_SPARSE, 0 },
	{ "MEANWHILE", VST_COL_SPARSE, 4 },
};

static void add_meanwhile(struct vst_table *t, const json_t *line)
{
	char text[512] = "";
	size_t i, len = 0;
	json_t *m;

	json_array_foreach(json_object_get(line, "meanwhile"), i, m) if (len < sizeof(text)) len +=
		(size_t)snprintf(text + len, sizeof(text) - len, "%s%.0f of %s", i ? ", " : "",
				 vst_files_number(m, "ios"), vst_files_text(m, "label"));
	vst_table_add_name(t, text);
}

static void add_row(struct vst_table *t, const json_t *line)
{
	char buf[VST_CELL];

	vst_table_add_us(t, vst_files_number(line, "latency_us"));
	vst_table_add_us(t, vst_files_number(line, "queue_us"));
	vst_table_add_us(t, vst_files_number(line, "device_us"));
	vst_table_add_name(t, vst_files_text(line, "label"));
	vst_table_add_name(t, vst_files_text(line, "device"));
	vst_table_add_name(t, vst_files_text(line, "op"));
	vst_table_add_name(t, vst_files_text(line, "kind"));
	vst_format_bytes(buf, vst_files_number(line, "bytes"), VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	vst_table_add_name(t, vst_files_text(line, "file"));
	add_meanwhile(t, line);
}

int vst_cmd_slow(const struct vst_ctl *ctl, int argc, char **argv)
{
	static const char *const fields[] = { "container",  "cgroup",	"device",    "layer",	  "op",
					      "kind",	    "size",	"file",	     "bytes",	  "age",
					      "latency_us", "queue_us", "device_us", "meanwhile", NULL };
	static const struct vst_files_list list = {
		.command = "slow",
		.path = "/v1/slow",
		.type = "slow",
		.columns = columns,
		.ncolumns = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
		.fields = fields,
		.seconds = 10,
		.nothing = "no request completed",
	};

	return vst_files_run(ctl, &list, argv[1]);
}
