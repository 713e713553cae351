// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "agent/insight/file_text.h"

void vst_file_text(const struct vst_file_name *f, char text[VST_FILE_TEXT])
{
	int n = 0, len = 0;

	*text = 0;
	if (!f->ino)
		return;
	while (n < VST_FILE_NAMES && *f->path[n])
		n++;
	if (n && f->more)
		len = snprintf(text, VST_FILE_TEXT, "…");
	for (int i = n; i-- > 0;)
		len += snprintf(text + len, VST_FILE_TEXT - (size_t)len, "/%.*s", (int)sizeof(f->path[0]) - 1,
				f->path[i]);
	snprintf(text + len, VST_FILE_TEXT - (size_t)len, n ? " (inode %llu on %.*s)" : "inode %llu on %.*s", f->ino,
		 (int)sizeof(f->device) - 1, f->device);
}
