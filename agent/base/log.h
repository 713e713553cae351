/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages to people, on stderr; under systemd with the priority that journald reads. */
#ifndef VST_LOG_H
#define VST_LOG_H

enum vst_log_level {
	VST_LOG_ERR = 3,
	VST_LOG_WARN = 4,
	VST_LOG_INFO = 6,
	VST_LOG_DEBUG = 7,
};

void vst_log_open(enum vst_log_level max);
void vst_log(enum vst_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define vst_err(...) vst_log(VST_LOG_ERR, __VA_ARGS__)
#define vst_warn(...) vst_log(VST_LOG_WARN, __VA_ARGS__)
#define vst_info(...) vst_log(VST_LOG_INFO, __VA_ARGS__)
#define vst_debug(...) vst_log(VST_LOG_DEBUG, __VA_ARGS__)

#endif /* VST_LOG_H */
