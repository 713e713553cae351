#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# This kernel's verifier takes every program, with at most 10 % more work than what is kept for its series.
set -euo pipefail
# shellcheck source=SCRIPTDIR/insns.bash
. "$(dirname "$(realpath "$0")")/insns.bash"

if [ "$(id -u)" != 0 ]; then
	echo "skip verifier: only root may load programs"
	exit 0
fi
now=$(mktemp)
trap 'rm -f "$now"' EXIT
if ! insns_now >"$now"; then
	echo "not ok verifier: see above"
	exit 1
fi
if [ ! -e "$INSNS_KEPT" ]; then
	sed 's/^\(.*\) \(.*\)$/ok \1: \2 instructions/' "$now"
	echo "skip verifier: nothing is kept for Linux $INSNS_SERIES to compare these with. To keep them: tests/vm/golden/update host"
	exit 0
fi
insns_judge "$now" "tests/vm/golden/update host"
