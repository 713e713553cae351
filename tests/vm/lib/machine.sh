# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The guest as a machine: its initrd, its disks, its QEMU, and how it ended.

readonly E_QEMU=121 E_KERNEL=122 E_HANG=123 E_TIME=124
readonly BOOT_LIMIT=${VSTOR_GUEST_BOOT_LIMIT:-300} # seconds; it takes 5 to 20 on a free machine, but not all are free
readonly CRASH='Kernel panic|Oops: |kernel BUG at|BUG: |general protection fault'

RUN_DIR=
CHILDREN=()

# Also of runs that were killed: their lock is gone with them.
machine_clean() {
	local d
	[ ${#CHILDREN[@]} = 0 ] || kill "${CHILDREN[@]}" 2>/dev/null || true
	wait
	for d in "$RUN_DIR" "$CACHE"/run.*; do
		[ -d "$d" ] || continue
		[ "$d" != "$RUN_DIR" ] || exec 7<&-
		exec 6<"$d"
		! flock -n 6 || rm -rf "$d"
		exec 6<&-
	done
}

machine_initrd() { # KERNEL-DIRECTORY OUTPUT
	local d f name modules="virtio_pci 9pnet_virtio 9p overlay"
	[ -z "$SYSTEMD_IMAGE" ] || modules+=" virtio_blk ext4"
	d=$(mktemp -d "$RUN_DIR/initrd.XXXX")
	mkdir -p "$d"/{bin,m,proc,sys,dev,lower,rw,newroot}
	cp "$(command -v busybox)" "$d/bin/busybox"
	ln -s busybox "$d/bin/sh"
	for f in mount mkdir insmod poweroff cp ln switch_root; do ln -s busybox "$d/bin/$f"; done
	cp "$VM/lib/early-init" "$d/init"
	cp "$VM/lib/init" "$d/vm-init"
	cp "$VM/lib/vm.service" "$d/vm.service"
	chmod +x "$d/init"
	for f in $modules; do
		modprobe -d "$1" -S "$(<"$1/release")" --show-depends "$f"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r f; do
		name=$(basename "$f")
		case $f in # busybox loads no compressed module
		*.xz) name=${name%.xz}; xz -dc "$f" >"$d/m/$name" ;;
		*.zst) name=${name%.zst}; zstd -qdc "$f" >"$d/m/$name" ;;
		*) cp "$f" "$d/m/$name" ;;
		esac
		echo "$name" >>"$d/m/order"
	done
	(cd "$d" && find . | cpio -o -H newc --quiet) >"$2"
	rm -r "$d"
}

SYSTEMD_IMAGE=
DISK_ARGS=()
declare -A DISK_COUNT=([fast]=0 [slow]=0)

# qemu's virtio disk takes 256 requests at once. A scheduler has nothing to order until a disk is full, and a real disk is full
# with 32 (SATA's NCQ) or fewer: DEPTH makes this one so.
machine_disk() { # fast|slow SIZE [IOPS[,MB[,DEPTH]]]
	local serial=$1${DISK_COUNT[$1]} throttle="" queue="" iops mb depth
	[[ "$2 ${3-1}" =~ ^[1-9][0-9]*[KMG]\ [1-9][0-9]*(,[1-9][0-9]*(,(4|8|16|32|64|128))?)?$ ]] ||
		die 2 "not a disk: '$1 ${3+$3:}$2' (like 512M, 300:1G; 1000,50:1G is 1000 I/Os and 50 MB a second; 1000,50,32:1G the same with 32 requests at once, a power of 2 from 4 to 128)"
	IFS=, read -r iops mb depth <<<"${3-}"
	[ -z "$iops" ] || throttle=",throttling.iops-total=$iops"
	[ -z "$mb" ] || throttle+=",throttling.bps-total=${mb}000000"
	[ -z "$depth" ] || queue=",num-queues=1,queue-size=$depth"
	DISK_COUNT[$1]=$((DISK_COUNT[$1] + 1))
	truncate -s "$2" "$RUN_DIR/$serial"
	# unsafe: the guest's flushes are requests as on any disk, and wait for nothing here
	DISK_ARGS+=(-drive "if=none,id=$serial,file=$RUN_DIR/$serial,format=raw,cache=unsafe,aio=threads,discard=unmap$throttle"
		-device "virtio-blk-pci,drive=$serial,serial=$serial$queue")
}

# The three file systems that it shares: this root (with --systemd only the tree), the kernel's directory, and a directory to talk through.
machine_qemu_args() { # KERNEL-DIRECTORY MB
	local images=("$1"/boot/vmlinuz-*) share=/ options=""
	if [ -n "$SYSTEMD_IMAGE" ]; then
		share=$(realpath "$VM/../..")
		options="vm.systemd systemd.show_status=no systemd.getty_auto=no"
		# what the guest writes goes to a file of qemu's that has no name
		DISK_ARGS+=(-drive "if=none,id=root,file=$SYSTEMD_IMAGE,format=raw,cache=unsafe,aio=threads,snapshot=on"
			-device "virtio-blk-pci,drive=root,serial=root")
	fi
	# thread=single: with a thread a CPU the 6.12 kernel once ran into the int3 of code that it was patching.
	# no_timer_check: it panics ("IO-APIC + timer doesn't work!") if 4 ticks do not come within 160 million cycles, and qemu
	# that waits for a CPU just then does not bring them. Seen on a busy machine; stopping qemu for 60 ms at a time does it.
	# -erms, -smap, -smep: emulated, `rep movsb` copies byte by byte, and stac and clac end a block of translated code. Measured:
	# 300 MB to a tmpfs take 8.1 s with them, 1.5 s without.
	QEMU_ARGS=(-M q35 -accel "tcg,thread=single,tb-size=512" -cpu "max,-erms,-smap,-smep" -smp 2 -m "$2" -nodefaults -display none -no-reboot
		-serial "file:$RUN_DIR/console" -kernel "${images[0]}" -initrd "$RUN_DIR/initrd"
		-append "console=ttyS0 panic=-1 oops=panic nowatchdog no_timer_check mitigations=off nokaslr tsc=reliable cgroup_no_v1=all psi=1 $options"
		-fsdev "local,id=root,path=$share,security_model=none,readonly=on,multidevs=remap"
		-device "virtio-9p-pci,fsdev=root,mount_tag=root"
		-fsdev "local,id=kernel,path=$1,security_model=none,readonly=on"
		-device "virtio-9p-pci,fsdev=kernel,mount_tag=kernel"
		-fsdev "local,id=host,path=$RUN_DIR/host,security_model=none"
		-device "virtio-9p-pci,fsdev=host,mount_tag=host"
		-device virtio-serial-pci -chardev "file,id=out,path=/dev/fd/3" -device "virtserialport,chardev=out,name=out"
		"${DISK_ARGS[@]}")
}

# It crashed or hung, and the command had not begun: so that is not to be blamed. Says so.
machine_stillborn() { # STATUS-OF-QEMU
	local why
	[ ! -e "$RUN_DIR/host/booted" ] || return 1
	if why=$(grep -m 1 -E "$CRASH" "$RUN_DIR/console"); then
		why="the kernel crashed ($why)"
	elif [ "$1" = 124 ]; then
		why="the guest did not boot within $BOOT_LIMIT s"
	else
		return 1
	fi
	say "$why before the command began: booting once more"
}

# Says how it ended, and exits with the status that tells it.
machine_verdict() { # STATUS-OF-QEMU LIMIT
	local status=none
	[ ! -e "$RUN_DIR/host/status" ] || status=$(<"$RUN_DIR/host/status")
	if grep -qE "$CRASH" "$RUN_DIR/console"; then
		say "the kernel crashed. Its console, from there on:"
		awk -v re="$CRASH" '$0 ~ re { on = 1 } on { print "  " $0 }' "$RUN_DIR/console" | head -60 >&2
		exit $E_KERNEL
	fi
	grep -E 'WARNING: |detected stalls' "$RUN_DIR/console" | sed 's/^/guest: note: the kernel said: /' | head -5 >&2 || true
	case $status in
	none) ;;
	late)
		say "the command was ended after its limit of $2 s (-t). The console's end:"
		tail -40 "$RUN_DIR/console" | sed 's/^/  /' >&2
		exit $E_TIME
		;;
	*) exit "$status" ;;
	esac
	[ ! -s "$RUN_DIR/stderr" ] || sed 's/^/guest: qemu: /' "$RUN_DIR/stderr" >&2
	if [ "$1" = 124 ] && [ ! -e "$RUN_DIR/host/booted" ]; then
		say "the guest did not boot within $BOOT_LIMIT s. The console's end:"
	elif [ "$1" = 124 ]; then
		say "the guest hung: nothing of it came back within its limit of $2 s (-t) and $BOOT_LIMIT s more. The console's end:"
	else
		say "qemu ended (status $1) before the command did. The console's end:"
	fi
	tail -20 "$RUN_DIR/console" 2>/dev/null | sed 's/^/  /' >&2
	[ "$1" != 124 ] || exit $E_HANG
	exit $E_QEMU
}

machine_run() {
	local series="" mb=2048 limit=300 verbose="" systemd="" disks=() kernel d status=0
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) usage; exit 0 ;;
		-v) verbose=1; shift; continue ;;
		--systemd) systemd=1; shift; continue ;;
		--) shift; break ;;
		-?*) [ $# -gt 1 ] || die 2 "option $1 needs a value" ;;&
		-k) series=$2 ;;
		-m) mb=$2 ;;
		-t) limit=$2 ;;
		--fast-disk) disks+=("fast:$2") ;;
		--slow-disk) disks+=("slow:$2") ;;
		-*) die 2 "no option '$1': see guest --help" ;;
		*) break ;;
		esac
		shift 2
	done
	[ -n "$series" ] || die 2 "which kernel? -k $KERNELS"
	kernel_known "$series"
	[[ $mb =~ ^[1-9][0-9]*$ && $limit =~ ^[1-9][0-9]*$ ]] || die 2 "-m and -t take a number above 0"
	[ $# -gt 0 ] || die 2 "no command to run: see guest --help"
	need qemu-system-x86_64 busybox cpio xz zstd modprobe setpriv flock
	kernel=$(kernel_cached "$series")
	[ -n "$kernel" ] || die "$E_MISSING" "no $series kernel in $CACHE: run '$0 kernels' (package linux-image-$series.*-amd64)"
	exec 9<"$kernel"
	flock -s 9
	[ -z "$systemd" ] || SYSTEMD_IMAGE=$(rootfs_fetch) || exit

	trap machine_clean EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	RUN_DIR=$(mktemp -d "$CACHE/run.XXXXXXXX")
	exec 7<"$RUN_DIR"
	flock 7
	for d in "${disks[@]}"; do
		case $d in
		slow:*:*) machine_disk slow "${d##*:}" "$(cut -d: -f2 <<<"$d")" ;;
		slow:*) die 2 "--slow-disk takes IOPS:SIZE, IOPS,MB:SIZE or IOPS,MB,DEPTH:SIZE" ;;
		fast:*) machine_disk fast "${d#fast:}" ;;
		esac
	done
	mkdir "$RUN_DIR/host"
	printf '%s\0' "$@" >"$RUN_DIR/host/command"
	echo "$PWD" >"$RUN_DIR/host/cwd"
	realpath "$VM/../.." >"$RUN_DIR/host/tree"
	echo "$limit" >"$RUN_DIR/host/limit"
	echo "$series" >"$RUN_DIR/host/kernel"
	export TMPDIR=$RUN_DIR # of qemu's
	machine_initrd "$kernel" "$RUN_DIR/initrd"
	machine_qemu_args "$kernel" "$mb"
	machine_start "$limit" || status=$?
	if machine_stillborn $status; then
		status=0
		machine_start "$limit" || status=$?
	fi
	machine_verdict $status "$limit"
}

# Waits until the command begins or qemu ends; not for ever.
machine_booted() { # PID
	local end=$((SECONDS + BOOT_LIMIT))
	until [ -e "$RUN_DIR/host/booted" ] || ! kill -0 "$1" 2>/dev/null; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# qemu's life hangs on timeout's, and that on ours.
machine_start() { # LIMIT
	local qemu out late="" status=0
	: >"$RUN_DIR/console"
	rm -f "$RUN_DIR/out"
	mkfifo "$RUN_DIR/out"
	cat "$RUN_DIR/out" 7<&- 9<&- &
	out=$!
	setpriv --pdeathsig KILL timeout -k 10 $((BOOT_LIMIT + $1)) \
		setpriv --pdeathsig KILL qemu-system-x86_64 "${QEMU_ARGS[@]}" \
		</dev/null 3>"$RUN_DIR/out" 2>"$RUN_DIR/stderr" &
	qemu=$!
	CHILDREN=("$qemu" "$out")
	if [ -n "$verbose" ]; then
		tail -n +1 -f --pid="$qemu" "$RUN_DIR/console" >&2 7<&- 9<&- &
		CHILDREN+=($!)
	fi
	machine_booted "$qemu" || { late=124; kill "$qemu"; }
	wait "$qemu" || status=$?
	wait "$out" || true
	CHILDREN=()
	return ${late:-$status}
}
