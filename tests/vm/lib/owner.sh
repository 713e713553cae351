# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For the tests of who is charged for buffered writes; after lib/test.sh and lib/agent.sh. Two containers, /pod/a and
# /pod/b, write to files in every way that matters; what reached the disk is set against what each of them wrote.

# How far down controllers are enabled. NAME:OF-THE-POD:OF-ITS-CONTAINERS:what the table calls it
readonly CONTROLLERS=(
	"io:+memory +io:+memory +io:memory, io"
	"io-pod:+memory +io:+memory:memory; io for the pod only"
	"memory:+memory:+memory:memory"
	"none:::none"
)
# CASE:BAR:what the table calls it. A plain case's bar is 99 % of the bytes, a shared file's 95 %.
CASES=(
	"files:99:1 two files"
	"halves:95:2 halves"
	"stripes:95:3 stripes"
	"stripes-cached:95:3 stripes, cached"
	"overwritten:95:4 overwritten"
	"root-first:95:5 root's"
	"root-began:95:5 root's, dirty"
	"appended:99:6 appended"
	"mmap:99:7 mmap"
	"copied-up:99:8 copy-up"
	"fsynced:99:9 fsync by the other"
	"direct:99:10 direct"
)
readonly MIB=1048576 OWNER_DIR=/dev/shm/owner
RESULTS=$OWNER_DIR/results OTHERS=$OWNER_DIR/others
WHERE="" TOP="" MNT="" MODE="" CASE="" D="" # of the case that runs
# Each mode's pod has a name of its own: the agent forgets those that are long gone, and their bytes with them.
PODS=0 POD=""

owner_begin() {
	mkdir -p $OWNER_DIR
	defer rm -rf $OWNER_DIR
	: >$RESULTS
	: >$OTHERS
	# written out when the test says so
	sysctl -q vm.dirty_writeback_centisecs=0
	defer sysctl -q vm.dirty_writeback_centisecs=500
	defer containers_gone
	agent_start
}

# --- who ---

containers_new() { # CONTROLLERS-OF-THE-POD CONTROLLERS-OF-ITS-CONTAINERS
	containers_gone
	PODS=$((PODS + 1)) POD=$CGROUPS/pod$PODS
	echo "-memory -io" >"$CGROUPS/cgroup.subtree_control"
	[ -z "$1" ] || echo "$1" >"$CGROUPS/cgroup.subtree_control"
	mkdir "$POD"
	[ -z "$2" ] || echo "$2" >"$POD/cgroup.subtree_control"
	mkdir "$POD/a" "$POD/b"
}

containers_gone() {
	local c
	for c in "pod$PODS"/{a,b,}; do cgroup_gone "${c%/}"; done
}

as() { # a|b|root COMMAND...
	local who=$1
	shift
	if [ "$who" = root ]; then "$@"; else in_cgroup "pod$PODS/$who" "$@"; fi
}

# --- what they do ---

writes() { # WHO FILE OFFSET LENGTH
	as "$1" xfs_io -f -c "pwrite -q -b 1m $3 $4" "$2"
}

# Every third of 384 stripes of 64 KiB is a's: 8 MiB of 24; the others are b's.
stripes() { # WHO FILE
	local i c=()
	for ((i = 0; i < 384; i++)); do
		case $1$((i % 3)) in a0 | b1 | b2) c+=(-c "pwrite -q $((i * 64))k 64k") ;; esac
	done
	as "$1" xfs_io -f "${c[@]}" "$2"
}

maps() { # WHO FILE LENGTH
	as "$1" xfs_io -f -c "truncate $3" -c "mmap -rw 0 $3" -c "mwrite 0 $3" -c munmap "$2"
}

together() { # "COMMAND" "COMMAND"
	local first
	$1 &
	first=$!
	$2
	wait $first
}

# --- what came of it ---

# Lines CGROUP KIND WITNESS BYTES: what was written until now. Nobody's cgroup is "-", this mode's pod is /pod.
written() {
	ctl io --total --json | jq -r --arg pod "/pod$PODS" 'select(.op == "write" and .layer == "leaf") |
		(.cgroup | if . == "" then "-" elif . == $pod or startswith($pod + "/") then "/pod" + .[($pod | length):]
			elif startswith("/pod") then empty else . end) as $who | [$who, .kind, .witness, .bytes] | @tsv'
}

# Lines CGROUP BYTES: what the kernel itself says, where it can.
written_in_kernel() {
	local c words w n
	for c in a b; do
		[ -e "$POD/$c/io.stat" ] || continue
		n=0
		while read -ra words; do
			for w in "${words[@]}"; do [[ $w != wbytes=* ]] || n=$((n + ${w#*=})); done
		done <"$POD/$c/io.stat"
		printf '/pod/%s\t%s\n' $c $n
	done
}

# What was written before does not count. A case begins where the one before it ended; this is for one that writes
# something first.
from_here() {
	sync -f "$MNT"
	written >$OWNER_DIR/before
	written_in_kernel >$OWNER_DIR/before.kernel
}

# Writing out is the work of the flusher's threads, and it is root that asks for it. What a wrote may end with "+": then
# all that is written is a's, and it is at least that much. RESULTS gets a line, tab separated and in bytes:
# WHERE MODE CASE WRITTEN ON-DISK RIGHT TO-THE-OTHER TO-ROOT TO-THE-POD TO-NOBODY KERNEL-RIGHT(-1: it does not say) WITNESSES
# Root's own bytes are left out of all of them: those may be root's or nobody's.
until_here() { # BYTES-OF-A BYTES-OF-B BYTES-OF-ROOT
	sync -f "$MNT"
	written >$OWNER_DIR/after
	written_in_kernel >$OWNER_DIR/after.kernel
	awk -F '\t' -v OFS='\t' -v where="$WHERE" -v mode="$MODE" -v name="$CASE" -v a="$1" -v b="$2" -v root="$3" -v others=$OTHERS '
		function min(x, y) { return x < y ? x : y }
		function over(c) { return got[c] + 0 > truth[c] + 0 ? got[c] - truth[c] : 0 }
		FILENAME ~ /before$/ { change[$1 OFS $2 OFS $3] -= $4 }
		FILENAME ~ /after$/ { change[$1 OFS $2 OFS $3] += $4 }
		FILENAME ~ /before.kernel$/ { kernel[$1] -= $2; says = 1 }
		FILENAME ~ /after.kernel$/ { kernel[$1] += $2 }
		END {
			for (k in change) {
				split(k, f, OFS)
				if (!change[k])
					continue
				# before 6.3 nothing tells that direct I/O on btrfs is of a file, but whose it is
				if (f[2] != "data" && (name != "direct" || f[2] != "unknown")) {
					print where, mode, name, f[2], f[1], f[3], change[k] >>others
					continue
				}
				got[f[1]] += change[k]
				total += change[k]
				if (f[1] ~ /^\/pod\/[ab]$/)
					by[f[3]] += change[k]
			}
			got["/pod/a"] += 0; got["/pod/b"] += 0; got["/"] += 0; got["-"] += 0
			truth["/pod/a"] = a ~ /[+]$/ && total > a + 0 ? total : a + 0
			truth["/pod/b"] = b
			truth["/"] = root
			right = min(got["/pod/a"], truth["/pod/a"]) + min(got["/pod/b"], truth["/pod/b"] + 0)
			kernel_right = min(kernel["/pod/a"] + 0, truth["/pod/a"]) + min(kernel["/pod/b"] + 0, truth["/pod/b"] + 0)
			# what one has too much of, the other lacks; but the kernel may also write a page twice
			other = over("/pod/a") + over("/pod/b")
			if (other > truth["/pod/a"] + b - right)
				other = truth["/pod/a"] + b - right
			nobody = got["-"] - (root - min(got["/"], root))
			if (nobody < 0)
				nobody = 0
			for (w in by)
				if (by[w] > total / 1000)
					witnesses = witnesses (witnesses ? "+" : "") w
			print where, mode, name, truth["/pod/a"] + b, total - root, right, other, over("/"),
				got["/pod"] + 0, nobody, says ? kernel_right : -1, witnesses ? witnesses : "-"
		}' $OWNER_DIR/{before,after,before.kernel,after.kernel} | tee -a $RESULTS
	mv $OWNER_DIR/after $OWNER_DIR/before
	mv $OWNER_DIR/after.kernel $OWNER_DIR/before.kernel
}

# --- the cases: each in a directory of its own, $D ---

case_files() {
	together "writes a $D/a 0 8m" "writes b $D/b 0 12m"
	until_here $((8 * MIB)) $((12 * MIB)) 0
}

case_halves() {
	together "writes a $D/f 0 8m" "writes b $D/f 8m 12m"
	until_here $((8 * MIB)) $((12 * MIB)) 0
}

case_stripes() {
	together "stripes a $D/f" "stripes b $D/f"
	until_here $((8 * MIB)) $((16 * MIB)) 0
}

case_stripes-cached() {
	writes a "$D/f" 0 24m
	from_here
	case_stripes
}

case_overwritten() {
	writes a "$D/f" 0 12m
	from_here
	writes b "$D/f" 0 12m
	sync -f "$MNT"
	writes a "$D/f" 0 4m
	until_here $((4 * MIB)) $((12 * MIB)) 0
}

case_root-first() {
	writes root "$D/f" 0 8m
	from_here
	writes a "$D/f" 0 8m
	sync -f "$MNT"
	writes root "$D/f" 0 4m
	until_here $((8 * MIB)) 0 $((4 * MIB))
}

case_root-began() {
	writes root "$D/f" 0 64k
	writes a "$D/f" 64k 8m
	until_here $((8 * MIB)) 0 65536
}

# Not at a page's border, as logs are; b brings in the pages that a had written before. 2049 pages are
# written; before Linux 6.6 xfs writes a folio of several pages whole.
case_appended() {
	writes a "$D/f" 0 8386560
	sync -f "$MNT"
	xfs_io -r -c "fadvise -d 0 0" "$D/f"
	from_here
	as b cat "$D/f" >/dev/null
	as a xfs_io -a -c "pwrite -q -b 64k 0 8m" "$D/f"
	as b cat "$D/f" >/dev/null
	until_here $((8 * MIB + 4096))+ 0 0
}

case_mmap() {
	together "maps a $D/a 8m" "maps b $D/b 12m"
	until_here $((8 * MIB)) $((12 * MIB)) 0
}

# A page of each of 2,560 files, once more: more files that both write to than a small table would know.
pages() { # WHO PAGE...
	as "$1" python3 -c '
import os, sys
for i in range(2560):
    fd = os.open(f"{sys.argv[1]}/{i}", os.O_CREAT | os.O_WRONLY)
    for page in sys.argv[2:]:
        os.pwrite(fd, bytes([i % 255 + 1]) * 4096, 4096 * int(page))
    os.close(fd)' "$D" "${@:2}"
}

case_many() {
	pages a 0 1
	from_here
	pages b 1
	pages a 0
	until_here $((10 * MIB)) $((10 * MIB)) 0
}

# Each asks for what the other wrote.
case_fsynced() {
	writes a "$D/a" 0 8m
	writes b "$D/b" 0 12m
	as b sync "$D/a"
	as a sync "$D/b"
	until_here $((8 * MIB)) $((12 * MIB)) 0
}

# No page cache: written at once, by the task.
case_direct() {
	as a xfs_io -f -d -c "pwrite -q -b 1m 0 8m" "$D/a"
	as b xfs_io -f -d -c "pwrite -q -b 1m 0 12m" "$D/b"
	until_here $((8 * MIB)) $((12 * MIB)) 0
}

# More pages of another than a table of pages would know.
case_big() {
	writes a "$D/f" 0 320m
	from_here
	writes b "$D/f" 0 320m
	until_here 0 $((320 * MIB)) 0
}

# One write to a file of the lower layer: all of it is copied first, or shares its blocks where the file system can.
case_copied-up() {
	writes a "$TOP/lower-$MODE" 0 64k
	until_here 65536+ 0 0
}

# The file system at $TOP, which is on the one at $MNT. A mode's containers are new ones.
owner_cases() { # WHERE TOP MODES
	local c m pod containers dirs
	WHERE=$1 TOP=$2
	for m in "${CONTROLLERS[@]}"; do
		IFS=: read -r MODE pod containers _ <<<"$m"
		[[ " $3 " == *" $MODE "* ]] || continue
		containers_new "$pod" "$containers"
		dirs=("${CASES[@]%%:*}")
		dirs=("${dirs[@]/#/$TOP/$MODE-}")
		mkdir "${dirs[@]}"
		from_here
		for c in "${CASES[@]}"; do
			CASE=${c%%:*}
			[ "$CASE" != copied-up ] || [ -e "$TOP/lower-$MODE" ] || continue
			D=$TOP/$MODE-$CASE
			"case_$CASE"
		done
		rm -r "${dirs[@]}"
	done
}

owner_file_system() { # FILE-SYSTEM "MODES" ["MODES-OF-OVERLAY"]
	local m
	MNT=/mnt
	mounted "$1" "$(disk fast0)" $MNT
	owner_cases "$1" $MNT "$2"
	if [ -n "${3-}" ]; then
		mkdir -p $MNT/{lower,upper,work} /overlay
		for m in $3; do writes root "$MNT/lower/lower-$m" 0 12m; done
		mount -t overlay -o lowerdir=$MNT/lower,upperdir=$MNT/upper,workdir=$MNT/work overlay /overlay
		defer unmount /overlay
		owner_cases "overlay on $1" /overlay "$3"
		unmount /overlay
	fi
	unmount $MNT
	books_balance "$1"
}

# --- the verdict ---

owner_judge() {
	local where mode name truth total right other root pod nobody witness bar good=0 bad=0 given
	while IFS=$'\t' read -r where mode name truth total right other root pod nobody _ witness; do
		bar=$(printf '%s\n' "${CASES[@]}" | sed -n "s/^$name:\([0-9]*\):.*/\1/p")
		given=$((other + root + pod))
		if [ "$total" -lt $((truth * 99 / 100)) ] || [ "$total" -gt $((truth * 101 / 100)) ]; then
			echo "wrong: $where, $mode, $name: $truth bytes were written and $total data bytes reached the disk"
		elif [ $given -gt $((truth / 1000)) ]; then
			echo "wrong: $where, $mode, $name: of $truth bytes, $other were charged to the other container, $root to root, $pod to the pod"
		elif [ "$right" -lt $((truth * bar / 100)) ]; then
			echo "wrong: $where, $mode, $name: $right of $truth bytes right ($witness), $nobody unattributed; the bar is $bar %"
		else
			good=$((good + 1))
			continue
		fi
		bad=$((bad + 1))
	done <$RESULTS
	echo "$good cases right, $bad wrong"
	[ $bad = 0 ] || fail "buffered writes were not charged to the container that wrote them"
}

# The tables of docs/owners.md, in lines that begin with "|". Percent of the bytes, and the witness.
owner_tables() {
	printf '%s\n' "${CASES[@]}" >$OWNER_DIR/cases
	printf '%s\n' "${CONTROLLERS[@]}" >$OWNER_DIR/controllers
	awk -F '\t' '
		function part(bytes, whole) { return sprintf("%.*f", bytes == whole || !bytes ? 0 : 1, 100 * bytes / whole) }
		function add(bytes, whole, what) {
			if (bytes > whole / 2000)
				text = text (text ? ", " : "") part(bytes, whole) " " what
		}
		FILENAME ~ /cases$/ { split($0, f, ":"); name[++cases] = f[1]; head = head " | " f[3]; line = line "|---"; next }
		FILENAME ~ /controllers$/ { split($0, f, ":"); mode_name[f[1]] = f[4]; next }
		!(($1, $2) in seen) { seen[$1, $2] = ++rows; fs[rows] = $1; mode[rows] = $2 }
		{
			text = ""
			add($6, $4, $12)
			add($7, $4, "to the other")
			add($8, $4, "to root")
			add($9, $4, "to the pod")
			add($10, $4, "to nobody")
			cell[$1, $2, $3] = text
			kernel[$1, $2, $3] = part($11, $4)
		}
		END {
			print "| file system | controllers" head " |"
			print "|---|---" line "|"
			for (i = 1; i <= rows; i++) {
				ours = theirs = ""
				for (c = 1; c <= cases; c++) {
					ours = ours " | " cell[fs[i], mode[i], name[c]]
					theirs = theirs " | " kernel[fs[i], mode[i], name[c]]
				}
				print "| " fs[i] " | " mode_name[mode[i]] ours " |"
				if (mode[i] == "io")
					print "| | *the kernel'\''s io.stat*" theirs " |"
			}
		}' $OWNER_DIR/{cases,controllers,results}
	echo "|"
	awk -F '\t' '
		function who(cgroup) { return cgroup == "-" ? "nobody" : cgroup == "/" ? "root" : cgroup == "/pod" ? "the pod" : "the containers" }
		FILENAME ~ /controllers$/ { split($0, f, ":"); mode_name[f[1]] = f[4]; next }
		!(($1, $2) in seen) { seen[$1, $2] = ++rows; fs[rows] = $1; mode[rows] = $2 }
		{
			name = who($5) " (" $6 ")"
			if (!(name in column)) { column[name] = ++columns; head[columns] = name }
			kinds[$4]
			whole[$1, $2, $4] += $7
			bytes[$1, $2, $4, name] += $7
		}
		END {
			printf "| file system | controllers | kind | KiB"
			for (c = 1; c <= columns; c++)
				printf " | %% %s", head[c]
			printf " |\n|---|---|---|---"
			for (c = 1; c <= columns; c++)
				printf "|---"
			print "|"
			for (i = 1; i <= rows; i++) {
				for (k in kinds) {
					w = whole[fs[i], mode[i], k]
					if (!w)
						continue
					printf "| %s | %s | %s | %d", fs[i], mode_name[mode[i]], k, w / 1024
					for (c = 1; c <= columns; c++)
						printf " | %s", bytes[fs[i], mode[i], k, head[c]] ? sprintf("%.0f", 100 * bytes[fs[i], mode[i], k, head[c]] / w) : ""
					print " |"
				}
			}
		}' $OWNER_DIR/{controllers,others}
}
