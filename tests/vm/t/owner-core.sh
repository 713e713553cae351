#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: buffered writes to ext4, and to an overlay on it, are charged to the container that wrote them
# needs: fast-disk 1G
# needs: fast-disk 512M
# needs: time 600
# needs: package jq bpftool xfsprogs e2fsprogs
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
# shellcheck source=SCRIPTDIR/../lib/owner.sh
. "$(dirname "$0")/../lib/owner.sh"

# t/owner-*.sh have the other file systems and controllers
CASES+=("many:95:many files of both" "big:95:a large file of both")
owner_begin
owner_file_system ext4 io io
owner_judge
agent_stop
