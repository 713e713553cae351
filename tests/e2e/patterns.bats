#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What is done to files, by real programs: a labelled corpus, and a table of what was said of it.
bats_require_minimum_version 1.5.0
load lib
load locks
load insight

setup() {
	insight_setup
	filesystem_make ext4
}

teardown() {
	insight_teardown
}

# Files of $dir/in, on another filesystem: sources that hold programs and text, MB large each.
sources_make() { # N MB
	local i skip=0
	mkdir -p "$dir/in"
	find -L /usr/lib /usr/share -xdev -type f -size +100k -size -8M \( -name '*.so*' -o -name '*.py' -o -name '*.h' -o -name '*.a' -o -name '*.txt' \) \
		2>/dev/null | sort | head -n 2000 | tr '\n' '\0' | xargs -0 cat 2>/dev/null | head -c $(($1 * $2 << 20)) >"$dir/all" || true
	for ((i = 0; i < $1; i++)); do
		dd if="$dir/all" of="$dir/in/s$i" bs=1M skip=$skip count="$2" status=none
		skip=$((skip + $2))
	done
	rm "$dir/all"
}

# LABEL NAME COMMAND...: the command makes $dir/mnt/NAME; in a line of $dir/truth.
make_file() {
	"${@:3}" || { echo "failed: ${*:3}"; return 1; }
	echo "$1 $2" >>"$dir/truth"
}

# Takes what the agent knows now into $dir/said: "PATTERN NAME".
note_said() {
	sync -f "$dir/mnt"
	sleep 1.2 # a tick
	ctl patterns --json | jq -r --arg mnt "$dir/mnt/" 'select(.file // "" | startswith($mnt)) |
		"\(.pattern) \(.file | ltrimstr($mnt))"' >>"$dir/said"
}

# Prints the confusion table; fails if a recall, or the precision of what is claimed, is below what is given.
judge() { # PRECISION RECALL
	awk -v precise="$1" -v found="$2" '
	FILENAME ~ /said$/ { said[$2] = $1; next }
	{
		is = $1; as = ($2 in said) ? said[$2] : "plain"
		n[is, as]++; row[is]++; col[as]++
		if (is != as) wrong = wrong sprintf("  %s is %s, and was called %s\n", $2, is, as)
	}
	END {
		split("copy encrypt compress plain", c)
		printf "%-10s %8s %8s %8s %8s %8s\n", "is \\ said", c[1], c[2], c[3], c[4], "recall"
		for (i = 1; i <= 4; i++) {
			printf "%-10s", c[i]
			for (j = 1; j <= 4; j++) printf " %8d", n[c[i], c[j]]
			r = row[c[i]] ? n[c[i], c[i]] / row[c[i]] : 0
			p = col[c[i]] ? n[c[i], c[i]] / col[c[i]] : 0
			printf " %8.2f\n", r
			precision = precision sprintf(" %8.2f", p)
			if (r < found || (p < precise && c[i] != "plain")) bad = 1
		}
		printf "%-10s%s\n%s", "precision", precision, wrong
		exit bad
	}' "$dir/said" "$dir/truth"
}

encrypt_parts() { # FROM TO: every other 64 KiB
	python3 - "$1" "$2" <<-'END'
		import os, subprocess, sys
		data = open(sys.argv[1], "rb").read()
		cipher = subprocess.run(["openssl", "enc", "-aes-256-ctr", "-pass", "pass:k", "-pbkdf2", "-nosalt"], input=data,
		                        stdout=subprocess.PIPE, check=True).stdout
		out = open(sys.argv[2], "wb", buffering=0)
		for i in range(0, len(data), 65536):
		    out.write((cipher if i // 65536 % 2 else data)[i:i + 65536])
	END
}

gpg_to() { # FROM TO
	GNUPGHOME=$dir/gnupg gpg --batch --quiet --yes --pinentry-mode loopback --passphrase k --compress-algo none -o "$2" -c "$1" 2>/dev/null
}

to_stdout() { # TO COMMAND...
	"${@:2}" >"$1"
}

corpus() { # ROUNDS
	local i src m=$dir/mnt
	mkdir -p -m 700 "$dir/gnupg"
	for ((i = 0; i < $1; i++)); do
		src=$dir/in/s$i
		make_file copy cp$i cp "$src" "$m/cp$i"
		make_file copy cat$i to_stdout "$m/cat$i" cat "$src"
		make_file copy dd$i dd if="$src" of="$m/dd$i" bs=64K status=none
		make_file copy tar$i tar -C "$dir/in" -cf "$m/tar$i" "s$i"
		make_file copy media$i cp "$dir/media$i.jpg" "$m/media$i"
		note_said
		make_file encrypt ctr$i openssl enc -aes-256-ctr -pass pass:k -pbkdf2 -nosalt -in "$src" -out "$m/ctr$i"
		make_file encrypt cbc$i openssl enc -aes-128-cbc -pass pass:k -pbkdf2 -in "$src" -out "$m/cbc$i"
		make_file encrypt gpg$i gpg_to "$src" "$m/gpg$i"
		make_file encrypt parts$i encrypt_parts "$src" "$m/parts$i"
		note_said
		make_file compress gz$i to_stdout "$m/gz$i" gzip -1 -c "$src"
		make_file compress zst$i zstd -q -c "$src" -o "$m/zst$i"
		make_file compress xz$i to_stdout "$m/xz$i" xz -0 -c "$src"
		make_file compress bz$i to_stdout "$m/bz$i" bzip2 -1 -c "$src"
		note_said
		make_file plain text$i to_stdout "$m/text$i" base64 "$src"
		make_file plain hex$i to_stdout "$m/hex$i" od -An -v -tx1 "$src"
		make_file plain db$i database_make "$m/db$i" "$src"
		make_file plain png$i to_stdout "$m/png$i" cat "$dir/media$i.jpg" </dev/null
		sed -i "\$s/plain png/copy png/" "$dir/truth"
		note_said
	done
}

database_make() { # TO FROM
	python3 - "$1" "$2" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		db.execute("create table t (a integer primary key, b text)")
		for i, line in enumerate(open(sys.argv[2], "rb").read(4 << 20).split(b"\n")):
		    db.execute("insert into t values (?, ?)", (i, line.hex()))
		db.commit()
	END
}

# A picture of random dots, so that it is as random as pictures are.
media_make() { # N
	local i
	for ((i = 0; i < $1; i++)); do
		python3 - "$dir/media$i.jpg" <<-'END'
			import os, sys
			# a jpeg's scan: no 0xff but with a 0 behind it
			data = os.urandom(6 << 20).replace(b"\xff", b"\xff\0")
			open(sys.argv[1], "wb").write(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + data + b"\xff\xd9")
		END
	done
}

@test "a corpus by cp, cat, dd, tar, openssl, gpg, gzip, zstd, xz, bzip2, sqlite and others: full mode" {
	for program in openssl gpg gzip zstd xz bzip2 tar; do
		command -v $program >/dev/null || skip "not installed: $program"
	done
	sources_make 3 12
	media_make 3
	: >"$dir/truth"
	: >"$dir/said"
	agent_start --insight full
	in_group "$a" true
	corpus 3
	judge 0.95 0.75 >"$dir/table" || { cat "$dir/table"; return 1; }
	sed 's/^/# /' "$dir/table" >&3
}

@test "what is known of a file reaches the rows of its I/O, written out by whoever" {
	sources_make 1 48
	agent_start --insight full
	dd if="$dir/in/s0" of="$dir/mnt/x" bs=64K status=none
	ctl patterns >/dev/null # decides: nothing of it has been written
	sync -f "$dir/mnt"
	sleep 1.2
	dd if="$dir/in/s0" of="$dir/mnt/x" bs=64K conv=notrunc status=none
	sync -f "$dir/mnt"
	n=$(bytes_of '.op == "write" and .kind == "data" and (.patterns | index("copy"))')
	echo "$n bytes are called copied"
	[ "$n" -ge $((48 << 20)) ]
}

@test "slow tells the slowest requests with their file; off is off" {
	agent_start --insight off
	dd if=/dev/zero of="$dir/mnt/slow" bs=1M count=64 oflag=direct status=none
	ctl slow --json >"$dir/slow"
	cat "$dir/slow" | head -3
	jq -se --arg f "$dir/mnt/slow" 'any(.file == $f and .op == "write" and .bytes > 0 and
		(.latency_us - .queue_us - .device_us | fabs) < 1)' "$dir/slow"
	jq -se 'length > 0 and ([.[].latency_us] | . == (sort | reverse))' "$dir/slow"
	run -0 ctl patterns
	[[ "$output" = *"the agent does not look at what files are: start vstord with --insight sampled, or full"* ]]
	# a container is named as everywhere: by a part of its name, and who is not there is told
	name=$(jq -rse --arg f "$dir/mnt/slow" 'map(select(.file == $f))[0].container' "$dir/slow")
	run -0 ctl slow --json "${name:0:-1}"
	jq -se --arg f "$dir/mnt/slow" 'any(.file == $f)' <<<"$output"
	run -1 ctl slow there-is-no-such-container
	[[ "$output" = *"there-is-no-such-container"* ]]
	ctl status --json | jq -se '.[0].probes | map(select(.name == "sample")) | .[0].state != "attached"'
}

# Overwrites each file with what openssl makes of it, as ransomware does.
encrypt_all() { # FILE...
	local f
	for f in "$@"; do
		openssl enc -aes-256-ctr -pbkdf2 -k secret -in "$f" -out "$f.tmp" && mv "$f.tmp" "$f"
	done
}

many_files() { # N KB
	local i
	mkdir -p "$dir/mnt/many"
	for ((i = 0; i < $1; i++)); do
		dd if="$dir/in/s0" of="$dir/mnt/many/$i" bs=1K skip=$((i * $2)) count="$2" status=none
	done
	sync -f "$dir/mnt"
}

alarms_are() { # N
	ctl status --json | jq -e --argjson n "$1" '.self.encryption_alarms == $n'
}

rings() { # MODE
	agent_start --insight "$1"
	for i in $(seq 60); do # media copied again, and archives
		head -c 200000 "$dir/media0.jpg" >"$dir/mnt/media$i.jpg"
		dd if="$dir/in/s0" bs=64K skip="$i" count=4 status=none | gzip -c >"$dir/mnt/archive$i.gz"
	done
	sync -f "$dir/mnt"
	sleep 1.2
	alarms_are 0
	encrypt_all "$dir"/mnt/many/*
	sync -f "$dir/mnt"
	until_true alarms_are 1
	grep -q "files that look encrypted within 60 s" "$dir/log"
	ctl ps --json | jq -es 'any(.encrypting >= 20)'
	run -0 ctl top -b -n 1
	[[ "${lines[1]}" = "ALARM: "*" files that look encrypted in the last minute" ]]
	agent_stop
}

@test "many files that are encrypted within a minute raise an alarm; copies of media and compression do not" {
	command -v openssl >/dev/null || skip "not installed: openssl"
	sources_make 1 24
	media_make 1
	many_files 150 64
	rings full
	rings sampled
}
