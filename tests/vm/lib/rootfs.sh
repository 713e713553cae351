# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The root file system of a guest with systemd: a Debian installed by mmdebstrap into an ext4 image, $CACHE/root_HASH.ext4.

readonly ROOTFS_SUITE=bookworm ROOTFS_SIZE=3G

# The image depends on the list of packages and on this file: another list is another image.
rootfs_path() {
	local hash
	hash=$(cat "$VM/rootfs-packages" "$VM/lib/rootfs.sh" | sha256sum | cut -c 1-12)
	echo "$CACHE/root_$hash.ext4"
}

# The rest of the image's configuration. Nothing may start by itself that holds apt's lock or asks at the console.
rootfs_configure() { # DIRECTORY
	local unit
	for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
		systemd-logind.service systemd-firstboot.service podman-auto-update.timer; do
		ln -sf /dev/null "$1/etc/systemd/system/$unit"
	done
	echo guest >"$1/etc/hostname"
	echo '127.0.0.1 localhost guest' >"$1/etc/hosts"
	echo 0123456789abcdef0123456789abcdef >"$1/etc/machine-id" # an empty one means "first boot", which asks
	rm -f "$1"/etc/resolv.conf "$1"/etc/apt/sources.list
}

# Runs as root, or as what fakeroot makes of a user.
rootfs_image() { # TAR IMAGE
	local dir=$2.dir
	rm -rf "$dir" && mkdir "$dir"
	tar -C "$dir" --exclude='./dev/*' -xf "$1" && rootfs_configure "$dir" &&
		truncate -s $ROOTFS_SIZE "$2" && mke2fs -q -F -t ext4 -L vm-root -d "$dir" "$2" && rm -rf "$dir"
}

rootfs_build() { # IMAGE
	local list
	list=$(sed 's/[# ].*//' "$VM/rootfs-packages" | sed '/^$/d' | paste -sd ,)
	mmdebstrap --quiet --variant=apt --include="$list" --aptopt='Apt::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' $ROOTFS_SUITE "$1.tar" >&2 || return
	if [ "$(id -u)" = 0 ]; then
		rootfs_image "$1.tar" "$1.new"
	else
		export -f rootfs_image rootfs_configure
		export ROOTFS_SIZE
		fakeroot bash -c 'rootfs_image "$@"' - "$1.tar" "$1.new"
	fi
}

# Prints the image's path. Several may ask at once; one builds.
rootfs_fetch() {
	local image
	image=$(rootfs_path)
	need mmdebstrap mke2fs flock fakeroot
	mkdir -p "$CACHE"
	exec 8>"$CACHE/rootfs.lock"
	flock -n 8 || { say "another run is building the root file system: waiting for it"; flock 8; }
	if [ ! -e "$image" ]; then
		say "building the root file system of a guest with systemd: some minutes, once"
		rootfs_build "$image" || {
			rm -rf "$image".*
			die "$E_MISSING" "mmdebstrap or mke2fs failed; their own words are above. Is the network reachable?"
		}
		rm -f "$image.tar"
		mv "$image.new" "$image"
		# those of other lists, unless another tree uses them: a guest that runs on one keeps its open file
		find "$CACHE" -maxdepth 1 -name 'root_*.ext4' -atime +7 ! -path "$image" -delete
	fi
	exec 8>&-
	echo "$image"
}
