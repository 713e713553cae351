# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The guest's kernels: fetched with apt, unpacked to $CACHE/SERIES_VERSION, a directory each.

# shellcheck disable=SC2034 # read by the scripts that source this
readonly KERNELS="6.1 6.12" E_MISSING=120

kernel_known() { # SERIES
	[[ " $KERNELS " == *" $1 "* ]] || die 2 "no kernel '$1' here: there are $KERNELS"
}

# Prints "PACKAGE VERSION". The versioned packages are looked up by their form and not through linux-image-amd64, since
# what that depends on changes with each Debian release. No -cloud (it has no 9p) and no -rt.
kernel_newest_in_apt() { # SERIES
	local pkg ver
	apt-cache pkgnames "linux-image-$1." | grep -E '^linux-image-[0-9.]+(-[0-9]+)?(\+[a-z0-9]+)?-amd64$' | sort -Vr |
		while read -r pkg; do
			ver=$(apt-cache policy "$pkg" | awk '$1 == "Candidate:" { print $2 }')
			[ "$ver" = "(none)" ] || { echo "$pkg $ver"; break; }
		done
}

# Prints the directory of the newest kernel that was fetched; nothing if there is none.
kernel_cached() { # SERIES
	find "$CACHE" -maxdepth 1 -type d -name "${1}_*" 2>/dev/null | sort -V | tail -1
}

kernel_unpack() { # PACKAGE DIRECTORY
	local tmp=$2.new pkg=$1 release
	rm -rf "$tmp" && mkdir -p "$tmp/deb" || return
	# as root: the user that apt downloads as is not let into everybody's cache
	(cd "$tmp/deb" && apt-get download -q -o APT::Sandbox::User=root "$pkg") >&2 || return
	dpkg -x "$tmp/deb/$pkg"_*.deb "$tmp" && rm -r "$tmp/deb" || return
	[ -e "$tmp/lib" ] || ln -s usr/lib "$tmp/lib"
	release=$(ls "$tmp/lib/modules")
	# the package brings no modules.dep
	depmod -b "$tmp" "$release" && echo "$release" >"$tmp/release" && mv "$tmp" "$2"
}

# A guest holds its kernel's directory locked as long as it runs.
kernel_remove_older() { # SERIES DIRECTORY-TO-KEEP
	local d
	for d in "$CACHE/${1}"_*; do
		[ -d "$d" ] || continue
		[ "$d" != "$2" ] || continue
		exec 6<"$d"
		if flock -n 6; then rm -rf "$d"; else say "$d stays for now: a guest runs on it"; fi
		exec 6<&-
	done
}

kernel_fetch() { # SERIES
	local pkg="" ver="" dir have
	need apt-get dpkg depmod flock xz
	mkdir -p "$CACHE"
	exec 8>"$CACHE/lock"
	flock -n 8 || { say "another run is fetching kernels: waiting for it"; flock 8; }
	have=$(kernel_cached "$1")
	read -r pkg ver < <(kernel_newest_in_apt "$1") || true
	if [ -z "$pkg" ] && [ -z "$have" ]; then
		apt-get update -q >&2 || true
		read -r pkg ver < <(kernel_newest_in_apt "$1") || true
	fi
	dir=$CACHE/${1}_${ver//[:\/]/_}
	if [ -z "$pkg" ]; then
		[ -n "$have" ] || die $E_MISSING "apt knows no package linux-image-$1.*-amd64: see /etc/apt/sources.list*"
		say "apt knows no package linux-image-$1.*-amd64: staying with $have"
		dir=$have
	elif [ ! -d "$dir" ]; then
		say "fetching $pkg $ver"
		# a list older than the archive names files that are gone: renew it, once
		if ! kernel_unpack "$pkg" "$dir" && ! { apt-get update -q >&2 && kernel_unpack "$pkg" "$dir"; }; then
			rm -rf "$dir.new"
			[ -n "$have" ] || die $E_MISSING "package $pkg could not be fetched and no other $1 kernel is in $CACHE"
			say "package $pkg could not be fetched: staying with $have"
			dir=$have
		fi
	fi
	kernel_remove_older "$1" "$dir"
	exec 8>&-
	echo "$1: $(<"$dir/release") in $dir"
}
