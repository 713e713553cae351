/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VSTOR_CTL_POLICY_CHECK_H
#define VSTOR_CTL_POLICY_CHECK_H

#include <stdbool.h>

/*
 * Is the file a policy? Prints what it says, or each of its errors on stderr; with json one line that holds either.
 * Returns VST_EXIT_OK, VST_EXIT_FAILED if the policy is bad, or VST_EXIT_USAGE without a path.
 */
int vst_policy_check_file(const char *path, bool json);

#endif /* VSTOR_CTL_POLICY_CHECK_H */
