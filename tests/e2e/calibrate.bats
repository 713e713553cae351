# SPDX-License-Identifier: GPL-2.0-only
# vstorctl calibrate, on a loop device over memory. What it says of a disk of known speed is tested in a guest.
# shellcheck shell=bash disable=SC2154 # bats sets status, output, stderr

bats_require_minimum_version 1.5.0
load lib

setup() {
	agent_setup
	image=/dev/shm/vstor-calibrate-$$
	truncate -s 512M "$image"
	loop=$(losetup -f --show "$image")
	mkdir "$dir/mnt"
}

teardown() {
	[ -z "${added-}" ] || delpart "$loop" 1 # it would outlive the loop device
	agent_teardown
}

calibrate() {
	"$VSTORCTL" calibrate --seconds 0.5 "$@"
}

@test "reads alone: a model of three quarters, writes are said not to be measured" {
	run -0 --separate-stderr calibrate "$loop" --json
	jq -e '.schema == 1 and .device == "'"${loop#/dev/}"'" and .write == null and .read.random_iops > 0' <<<"$output"
	jq -e '(.model | capture("rrandiops=(?<n>[0-9]+)").n | tonumber) / .read.random_iops | . > 0.74 and . < 0.76' <<<"$output"
	jq -e '.qos | startswith("enable=1 ctrl=user rpct=95.00 rlat=")' <<<"$output"
	run -0 --separate-stderr calibrate "$loop"
	[[ "$output" == *"writes  not measured"* ]]
	# what it prints is an entry that a policy takes
	{
		echo 'version: 1'
		sed -n '/^iocost:/,/qos:/p' <<<"$output"
		echo 'rules: [{name: a, match: all, weight: 100}]'
	} >"$dir/policy.yaml"
	run -0 --separate-stderr "$VSTORCTL" policy check "$dir/policy.yaml"
	[[ "$output" == *"iocost on ${loop#/dev/}"* ]]
}

@test "--share is the part that the model claims" {
	run -0 --separate-stderr calibrate "$loop" --json --share 50
	jq -e '(.model | capture("rbps=(?<n>[0-9]+)").n | tonumber) / .read.bytes_per_second | . > 0.49 and . < 0.51' <<<"$output"
}

@test "--write-file measures writes on a mounted disk, and leaves nothing" {
	mkfs.ext4 -q "$loop"
	mount "$loop" "$dir/mnt"
	before=$(df --output=used "$dir/mnt" | tail -1)
	run -0 --separate-stderr calibrate "$loop" --json --write-file "$dir/mnt"
	jq -e '.write.random_iops > 0 and .write.bytes_per_second > 0' <<<"$output"
	[ -z "$(find "$dir/mnt" -mindepth 1 -not -name lost+found)" ]
	until_true test "$(df --output=used "$dir/mnt" | tail -1)" -le "$((before + 1024))"
}

@test "what is mounted or in use is never written to" {
	mkfs.ext4 -q "$loop"
	mount "$loop" "$dir/mnt"
	echo kept >"$dir/mnt/file"
	run -1 --separate-stderr calibrate "$loop" --write-raw
	[[ "$stderr" == *"is in use"*"--write-file"* ]]
	umount "$dir/mnt"
	mount "$loop" "$dir/mnt"
	[ "$(cat "$dir/mnt/file")" = kept ]
}

@test "reading leaves the disk as it is" {
	head -c 64M /dev/urandom >"$image"
	truncate -s 512M "$image"
	sum=$(sha256sum <"$image")
	run -0 --separate-stderr calibrate "$loop"
	[ "$(sha256sum <"$image")" = "$sum" ]
}

@test "a directory on another disk is refused before anything is measured" {
	run -2 --separate-stderr calibrate "$loop" --write-file "$dir"
	[[ "$stderr" == *"is not on $loop"* ]]
}

@test "what is no disk is refused, and says what would be" {
	run -2 --separate-stderr calibrate /dev/null
	[[ "$stderr" == *"no block device"* ]]
	run -2 --separate-stderr calibrate no-such-disk
	[[ "$stderr" == *"lsblk"* ]]
	run -2 --separate-stderr calibrate
	run -2 --separate-stderr calibrate "$loop" --share 0
	run -2 --separate-stderr calibrate "$loop" --seconds 1h
	run -2 --separate-stderr calibrate "$loop" --write-raw --write-file /tmp
}

@test "a partition names its disk" {
	addpart "$loop" 1 2048 204800
	added=1
	until_true test -b "${loop}p1"
	run -2 --separate-stderr calibrate "${loop}p1"
	[[ "$stderr" == *"is a partition"*"calibrate ${loop#/dev/}"* ]]
}

@test "a disk without a model name has no entry in the hardware database" {
	run -5 --separate-stderr calibrate "$loop" --hwdb "$dir/x.hwdb"
	[[ "$stderr" == *"no model name"* ]]
	[ ! -e "$dir/x.hwdb" ]
}

@test "an interrupted measurement proposes nothing" {
	"$VSTORCTL" calibrate "$loop" --seconds 60 >"$dir/out" 2>"$dir/err" 3>&- &
	others=($!)
	until_true grep -q '^Threads:[[:space:]]*[1-9][0-9]' "/proc/${others[0]}/status"
	kill -INT "${others[0]}"
	rc=0
	wait "${others[0]}" || rc=$?
	others=()
	[ $rc = 1 ]
	[ ! -s "$dir/out" ]
	grep -q "interrupted" "$dir/err"
}
