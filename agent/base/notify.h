/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VST_NOTIFY_H
#define VST_NOTIFY_H

/* Tells systemd a state such as "READY=1", if systemd asked for it ($NOTIFY_SOCKET). */
void vst_notify(const char *state);

/* Tells systemd that the loop runs, if it watches for that (WatchdogSec=). */
void vst_notify_watchdog(void);

#endif /* VST_NOTIFY_H */
