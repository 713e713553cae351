#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: buffered writes to btrfs are charged to the container that wrote them: overlay x controllers
# needs: fast-disk 1G
# needs: fast-disk 512M
# needs: time 1800
# needs: package jq bpftool xfsprogs btrfs-progs
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
# shellcheck source=SCRIPTDIR/../lib/owner.sh
. "$(dirname "$0")/../lib/owner.sh"

owner_begin
owner_file_system btrfs "io memory none" "io memory"
owner_tables
owner_judge
agent_stop
