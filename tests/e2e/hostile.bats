#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# An unprivileged user who makes thousands of cgroups, with huge files where a rootless runtime keeps its own: it hurts
# nobody but the user.
bats_require_minimum_version 1.5.0
load lib
load containers

USER_ID=54321

setup() {
	agent_setup /dev/shm
	containers_setup
	command -v setpriv >/dev/null || skip "not installed: setpriv"
	[ -x /usr/bin/python3 ] || skip "not installed: /usr/bin/python3, which a user can run"
	unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$unified" ] && [ -w "$unified" ] || skip "no cgroup 2 file system that can be written to"
	session=$unified/user.slice/user-$USER_ID.slice/user@$USER_ID.service
	[ ! -d "$session" ] || skip "a user with uid $USER_ID has a session here"
	made_user_slice=
	[ -d "$unified/user.slice" ] || { mkdir "$unified/user.slice" && made_user_slice=1; }
	mkdir "$unified/user.slice/user-$USER_ID.slice" "$session" "$session/app.slice"
	chown -R $USER_ID "$session"
	# the agent sees a passwd in which the user has a home
	{ cat /etc/passwd; echo "mallory:x:$USER_ID:$USER_ID::$dir/home:/bin/sh"; } >"$dir/passwd"
	sed -i "s|mount --bind \"$root/run\" /run|& \&\& mount --bind \"$dir/passwd\" /etc/passwd|" "$dir/vstord"
	mkdir "$dir/home"
	chown $USER_ID "$dir/home"
}

teardown() {
	agent_teardown
	if [ -d "${session-}" ]; then
		find "$unified/user.slice/user-$USER_ID.slice" -depth -type d -exec rmdir {} +
		[ -z "$made_user_slice" ] || rmdir "$unified/user.slice"
	fi
	containers_teardown
}

as_user() { # COMMAND...
	setpriv --reuid $USER_ID --regid $USER_ID --clear-groups "$@"
}

# Files of SIZE that the user made, valid to the last byte, as docker and podman would have them for these ids. One file, by links.
user_files() { # MIB ID...
	as_user /usr/bin/python3 - "$dir/home" "$@" <<-'END'
		import os, sys
		home, mib, ids = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
		share = home + "/.local/share"
		os.makedirs(share + "/docker/containers")
		pad = (mib << 20) - 64
		with open(home + "/docker", "w") as f:
		    f.write('{"pad":"' + "a" * pad + '","Name":"/evil","Config":{}}')
		with open(home + "/podman", "w") as f:
		    f.write('[{"id":"none","pad":"' + "a" * pad + '"}]')
		for driver in "overlay", "vfs", "btrfs", "zfs":
		    d = f"{share}/containers/storage/{driver}-containers"
		    os.makedirs(d)
		    for name in "containers.json", "volatile-containers.json":
		        os.link(home + "/podman", d + "/" + name)
		for i in ids:
		    d = share + "/docker/containers/" + i
		    os.mkdir(d)
		    os.link(home + "/docker", d + "/config.v2.json")
	END
}

# So many cgroups, half of them called as docker's and half as podman's.
user_cgroups() { # COUNT
	as_user /usr/bin/python3 - "$session/app.slice" "$1" <<-'END'
		import os, sys
		for i in range(int(sys.argv[2])):
		    os.mkdir("%s/%s-%064x.scope" % (sys.argv[1], ("docker", "libpod")[i % 2], i))
	END
}

# The longest of the answers that the loop gives, in ms, while FILE is there.
watch_loop() { # FILE
	while [ -e "$1" ]; do
		get /v1/status -o /dev/null -w '%{time_total}\n' || echo 20
		sleep 0.02
	done | sort -g | tail -n 1 | awk '{ print int($1 * 1000) }'
}

# Others' containers, one after the other, must be named soon; prints for how long the slowest had none, in ms.
name_others() { # FIRST LAST
	local i begin worst=0 took
	for ((i = $1; i <= $2; i++)); do
		container_new "$(printf %04x "$i")" "other-$i"
		begin=${EPOCHREALTIME/[.,]/}
		until_true named "other-$i"
		took=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
		[ "$took" -le "$worst" ] || worst=$took
	done
	echo "$worst"
}

named() { # NAME
	get "/v1/ps?max_age=0" | jq -se --arg c "$1" 'any(.[]; .container == $c)' >/dev/null
}

@test "2,000 cgroups of a user with files of 16 MiB: neither the loop nor other containers' names wait" {
	mapfile -t ids < <(for ((i = 0; i < 2000; i += 2)); do printf '%064x\n' $i; done)
	for mib in 16 3; do # too large to be read, and as large as may be
		user_files $mib "${ids[@]}"
		agent_start
		touch "$dir/watch"
		watch_loop "$dir/watch" >"$dir/alone" &
		others_alone=$(name_others $((mib * 100)) $((mib * 100 + 9)))
		rm "$dir/watch"
		wait $!
		before=$(agent_kib)
		touch "$dir/watch"
		watch_loop "$dir/watch" >"$dir/beside" &
		watcher=$!
		user_cgroups 2000
		others_beside=$(name_others $((mib * 100 + 10)) $((mib * 100 + 19)))
		sleep 3 # more of the user's files are read meanwhile
		rm "$dir/watch"
		wait $watcher
		tick=$(get /v1/status | jq .self.tick_max_us)
		echo "# files of $mib MiB: longest answer $(<"$dir/alone") ms alone, $(<"$dir/beside") ms beside the user; slowest name" \
			"$others_alone and $others_beside ms; longest tick $tick us; memory $before and $(agent_kib) KiB" >&3
		# A loop that reads the files itself stops for minutes. The machine may be busy with the user's own work, too.
		[ "$(<"$dir/beside")" -le $((4 * $(<"$dir/alone") + 1000)) ]
		[ "$others_beside" -le $((2 * others_alone + 1000)) ]
		[ $(($(agent_kib) - before)) -le 16384 ]
		agent_stop
		find "$session/app.slice" -mindepth 1 -depth -type d -exec rmdir {} +
		as_user rm -rf "$dir/home/.local" "$dir/home/docker" "$dir/home/podman"
	done
}

@test "a user's cgroups beyond a share of the places are one container, and others have theirs" {
	device_make 16
	agent_start
	user_cgroups 9000
	told() { grep -q "the user with uid $USER_ID made" "$dir/log"; }
	until_true told
	# one that has no place does I/O
	last=$(printf '%s/libpod-%064x.scope' "$session/app.slice" 8999)
	(echo $BASHPID >"$last/cgroup.procs" && exec dd if="$loop" of=/dev/null bs=4k count=3 iflag=direct status=none)
	container_new abcd after
	in_container abcd dd if="$loop" of=/dev/null bs=4k count=2 iflag=direct status=none
	counted() { # NAME IOS
		ctl io --total --json | jq -se --arg c "$1" --argjson n "$2" --arg d "${loop#/dev/}" \
			'[.[] | select(.container == $c and .device == $d) | .ios] | add == $n' >/dev/null
	}
	until_true counted after 2
	until_true counted overflow 3
	echo "# memory $(agent_kib) KiB" >&3
	[ "$(agent_kib)" -le 49152 ]
}
