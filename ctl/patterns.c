// SPDX-License-Identifier: GPL-2.0-only
/* vstorctl patterns: which files are copied, encrypted or compressed, by whom, and how that is known. */
#include "files.h"
#include "format.h"

const struct vst_option vst_patterns_options[] = {
	{ 'd', "delay", "DURATION", "files written to in that time, up to 30s (default 30s)" },
	{ 0 },
};

static const struct vst_table_column columns[] = {
	{ "PATTERN", 0, 0 },
	{ "CONTAINER", VST_COL_NAME, 0 },
	{ "DEVICE", 0, 2 },
	{ "FILE", VST_COL_NAME, 0 },
	{ "SOURCE", VST_COL_NAME | VST_COL_SPARSE, 1 },
	{ "BYTES", VST_COL_RIGHT, 0 },
	{ "SURE", VST_COL_RIGHT, 1 },
	{ "BECAUSE", VST_COL_NAME, 3 },
};

static void add_row(struct vst_table *t, const json_t *line)
{
	char buf[VST_CELL];

	vst_table_add_name(t, vst_files_text(line, "pattern"));
	vst_table_add_name(t, vst_files_text(line, "label"));
	vst_table_add_name(t, vst_files_text(line, "device"));
	vst_table_add_name(t, vst_files_text(line, "file"));
	vst_table_add_name(t, vst_files_text(line, "source"));
	vst_format_bytes(buf, vst_files_number(line, "bytes"), VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	snprintf(buf, sizeof(buf), "%.0f %%", vst_files_number(line, "confidence") * 100);
	vst_table_add(t, buf);
	vst_table_add_name(t, vst_files_text(line, "evidence"));
}

int vst_cmd_patterns(const struct vst_ctl *ctl, int argc, char **argv)
{
	static const char *const fields[] = { "container", "cgroup", "file",	   "device",   "pattern", "source",
					      "bytes",	   "age",    "confidence", "evidence", NULL };
	static const struct vst_files_list list = {
		.command = "patterns",
		.path = "/v1/patterns",
		.type = "pattern",
		.columns = columns,
		.ncolumns = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
		.fields = fields,
		.seconds = 30,
		.unobserved = "the agent does not look at what files are: start vstord with --insight sampled, or "
			      "full, or use "
			      "vstorctl insight CONTAINER on",
		.nothing = "no file is being copied, encrypted or compressed, as far as was seen",
	};

	return vst_files_run(ctl, &list, argv[1]);
}
