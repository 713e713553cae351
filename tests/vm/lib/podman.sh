# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For a test in a guest with systemd: a container of podman's that does I/O, volumes that come and go, and what a scrape says.
# After lib/test.sh.

readonly SHOP_DATA=/srv/shop VOLUMES=40

# Made of busybox, since the guest has no network.
podman_base() {
	local d=/run/base
	mkdir -p $d/{bin,data,dev,proc,sys,tmp}
	cp "$(command -v busybox)" $d/bin/busybox
	for p in sh dd sleep; do ln -s busybox $d/bin/$p; done
	tar -C $d -c . | podman import -q - localhost/base >/dev/null
	rm -r $d
}

# Direct, so that each write reaches the disk at once and by whom it was sent.
shop_start() {
	mkdir -p $SHOP_DATA
	podman run --detach --name shop --network=none --log-driver=none --volume $SHOP_DATA:/data localhost/base \
		/bin/sh -c 'while :; do dd if=/dev/zero of=/data/file bs=64k count=16 oflag=direct 2>/dev/null; echo >>/data/rounds; sleep 0.2; done' \
		>/dev/null
	defer podman rm --force --time 0 shop
	wait_for 120 "the container to write" test -s $SHOP_DATA/rounds
}

shop_cgroup() {
	find "$CGROUPS/machine.slice" -maxdepth 1 -name "libpod-$(podman inspect --format '{{.Id}}' shop).scope"
}

# The disk below /, as MAJOR:MINOR.
root_disk() {
	mountpoint -d /
}

# A scrape has a line of its bytes.
scrape_names() { # CONTAINER CURL-ARGUMENT...
	local name=$1
	shift
	curl -sS --max-time 60 "$@" >/run/scrape || return 1
	grep -E "^vstor_io_bytes_total\{.*container=\"$name\"" /run/scrape | grep -qv ' 0$'
}

# Each is mounted, written, unmounted, and then opened for somebody alone: nobody may keep it.
volumes_come_and_go() {
	local i loop busy=0 file=/srv/volume
	truncate -s 16M $file.ext4
	mkfs.ext4 -q -F $file.ext4
	mkdir -p /srv/mnt
	for ((i = 0; i < VOLUMES; i++)); do
		cp --sparse=always $file.ext4 $file
		loop=$(losetup --find --show $file)
		mount "$loop" /srv/mnt
		dd if=/dev/zero of=/srv/mnt/file bs=64k count=4 conv=fsync status=none
		umount /srv/mnt || busy=$((busy + 1))
		wipefs -qa "$loop" || busy=$((busy + 1)) # opens it with O_EXCL
		losetup -d "$loop"
	done
	rm -f $file $file.ext4
	same "volumes of $VOLUMES that were busy" $busy 0
	same "loop devices afterwards" "$(losetup -l)" ""
}
