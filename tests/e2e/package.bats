#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What a package brings beside the programs: the unit, completions, and what `make install` puts where.
bats_require_minimum_version 1.5.0
load lib

setup() {
	repo=$BATS_TEST_DIRNAME/../..
	others=()
	dir=$(mktemp -d /tmp/vstor-e2e-XXXXXX)
}

teardown() {
	local p
	# strace ignores signals, and ends when the agent does
	for p in "${others[@]}"; do pgrep -P "$p" | xargs -r kill 2>/dev/null || true; done
	wait "${others[@]}" || true
	rm -rf "$dir"
}

@test "the unit is valid, and exposes no more than 4.0 of 10" {
	command -v systemd-analyze >/dev/null || skip "not installed: systemd-analyze (apt-get install systemd)"
	sed 's|/usr/sbin/vstor[a-z-]*|/bin/true|' "$repo/deploy/systemd/vstor.service" >"$dir/vstor.service"
	systemd-analyze verify --man=no "$dir/vstor.service"
	systemd-analyze security --offline=yes --threshold=40 --no-pager "$repo/deploy/systemd/vstor.service" >"$dir/said" ||
		{ tail -n 1 "$dir/said" >&2; false; }
}

@test "every system call of an agent that acts is in the unit's filter" {
	command -v strace >/dev/null || skip "not installed: strace"
	command -v systemd-analyze >/dev/null || skip "not installed: systemd-analyze (apt-get install systemd)"
	[ "$(id -u)" = 0 ] || skip "needs root"
	printf 'version: 1\nrules:\n  - {name: x, match: {cgroup: /vstor-none.slice}, weight: 200}\n' >"$dir/policy.yaml"
	strace -f -qq -o "$dir/calls" "$VSTORD" --socket "$dir/s.sock" --state "$dir/state" --policy "$dir/policy.yaml" --act \
		--fsync --metrics 0 2>"$dir/log" 3>&- &
	tracer=$!
	others+=("$tracer")
	within 300 grep -q ready: "$dir/log"
	ctl() { "$VSTORCTL" --socket "$dir/s.sock" "$@"; }
	acting() { ctl policy status | grep -q "vstor-actor is ready"; }
	until_true acting
	ctl policy revert
	curl -sS --max-time 20 --compressed "$(sed -n 's|.* metrics at \(http.*\)|\1|p' "$dir/log")" >/dev/null
	kill -TERM "$(ctl status --json | jq .pid)"
	wait "$tracer"
	others=()
	python3 - "$dir/calls" "$repo/deploy/systemd/vstor.service" <<-'END'
		import re, subprocess, sys
		used = set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)", open(sys.argv[1]).read(), re.M))
		def calls(name):
		    if name[0] != "@":
		        return {name}
		    lines = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout.split("\n")
		    words = [w.strip() for w in lines[1:] if w.strip() and not w.strip().startswith("#")]
		    return set().union(*map(calls, words)) if words else set()
		allowed = set()
		for deny, words in re.findall(r"^SystemCallFilter=(~?)(.*)$", open(sys.argv[2]).read(), re.M):
		    for w in words.split():
		        allowed = allowed - calls(w) if deny else allowed | calls(w)
		assert len(used) > 40, used
		assert used <= allowed, f"not in the filter: {sorted(used - allowed)}"
	END
}

@test "completions know every command and option of the table" {
	"$repo/scripts/completion" "$VSTORCTL" bash >"$dir/c.bash"
	commands=$("$VSTORCTL" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | tr '\n' ' ')
	complete_words() { # WORD...
		bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vstorctl; echo "${COMPREPLY[@]}"' bash "$dir/c.bash" "$@"
	}
	[ "$(complete_words vstorctl '') " = "$commands" ]
	[ "$(complete_words vstorctl --socket /x io --del)" = --delay ]
	[[ " $(complete_words vstorctl policy '') " == *" apply "*" revert "* ]]
	for shell in zsh fish; do
		"$repo/scripts/completion" "$VSTORCTL" $shell >"$dir/c.$shell"
		for c in $commands; do grep -q "\b$c\b" "$dir/c.$shell"; done
		if command -v $shell >/dev/null; then $shell -n "$dir/c.$shell"; else echo "# not installed: $shell" >&3; fi
	done
}

@test "make install puts everything below DESTDIR, and keeps a configuration" {
	command -v scdoc >/dev/null || skip "not installed: scdoc"
	mkdir -p "$dir/etc/vstor"
	echo "VSTORD_OPTIONS=--verbose" >"$dir/etc/vstor/vstord.conf"
	make -s -C "$repo" install DESTDIR="$dir" PREFIX=/opt/v
	grep -q -- --verbose "$dir/etc/vstor/vstord.conf"
	grep -q '^ExecStart=/opt/v/sbin/vstord' "$dir/opt/v/lib/systemd/system/vstor.service"
	grep -q '^ExecStopPost=/opt/v/sbin/vstor-actor' "$dir/opt/v/lib/systemd/system/vstor.service"
	for f in sbin/vstord sbin/vstor-actor bin/vstorctl share/man/man8/vstord.8 share/man/man5/vstor.policy.5 lib/sysusers.d/vstor.conf \
		share/bash-completion/completions/vstorctl share/vstor/dashboards/rules.yaml share/vstor/dashboards/fleet.json; do
		[ -s "$dir/opt/v/$f" ]
	done
	[ -z "$(find "$dir" -newer "$repo/Makefile" -type f -path "*/usr/*")" ]
}

@test "the image has the programs and their libraries, and they run from it" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	"$repo/scripts/image" "$(dirname "$VSTORD")" 1.2.3 "$dir/one.tar"
	"$repo/scripts/image" "$(dirname "$VSTORD")" 1.2.3 "$dir/two.tar"
	cmp "$dir/one.tar" "$dir/two.tar"
	[ "$(stat -c %s "$dir/one.tar")" -le $((60 << 20)) ]
	mkdir -p "$dir/archive" "$dir/root"
	tar -C "$dir/archive" -xf "$dir/one.tar"
	layer=$(jq -r '.[0].Layers[0]' "$dir/archive/manifest.json")
	[ "$(jq -r '.rootfs.diff_ids[0]' "$dir/archive/$(jq -r '.[0].Config' "$dir/archive/manifest.json")")" = "sha256:${layer%.tar}" ]
	tar -C "$dir/root" -xf "$dir/archive/$layer"
	[ -z "$(find "$dir/root" -name '*sh' -type f -perm /111)" ] # no shell
	[[ "$(chroot "$dir/root" /usr/sbin/vstord --version)" == "vstord "* ]]
	chroot "$dir/root" /usr/bin/vstorctl --version
	chroot "$dir/root" /usr/sbin/vstor-actor --help >/dev/null
	if command -v podman >/dev/null; then
		podman --root "$dir/storage" --runroot "$dir/run" --storage-driver vfs load -q -i "$dir/one.tar" | grep -q localhost/vstor:1.2.3
		podman --root "$dir/storage" --runroot "$dir/run" --storage-driver vfs rmi -f -a >/dev/null
	else
		echo "# not loaded: podman is not installed" >&3
	fi
}
