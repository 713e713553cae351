# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The verifier's work on each program, and what it was: for tests/bpf/verifier.sh here and tests/vm/t/verifier.sh in a
# guest. Figures are kept by kernel series in tests/vm/golden/insns-SERIES.

INSNS_TREE=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
INSNS_SERIES=$(uname -r | cut -d. -f1,2)
INSNS_KEPT=${INSNS_KEPT:-$INSNS_TREE/tests/vm/golden/insns-$INSNS_SERIES}

insns_now() { # prints lines "OBJECT PROGRAM INSTRUCTIONS"
	local bin=$INSNS_TREE/build/tests/bpf/insns src=$INSNS_TREE/tests/bpf/insns.c
	if ! [ "$bin" -nt "$src" ]; then
		mkdir -p "$(dirname "$bin")"
		cc -O1 -std=gnu11 -D_GNU_SOURCE -I"$INSNS_TREE/include" -Wall -Wextra -Werror -o "$bin" "$src" -lbpf || return
	fi
	compgen -G "$INSNS_TREE/build/*.bpf.o" >/dev/null || {
		echo "no $INSNS_TREE/build/*.bpf.o: run make first" >&2
		return 1
	}
	# the verifier's log is long, and its reason stands at the end
	{ "$bin" "$INSNS_TREE"/build/*.bpf.o 2>&1 >&3 | tail -n 30 >&2; } 3>&1
}

# Prints a line for each program, "ok ..." or "not ok ...", and fails if there is one that is not.
insns_judge() { # NOW HOW-TO-ACCEPT
	[ -s "$1" ] || { echo "not ok no program was loaded"; return 1; }
	awk -v accept="$2" '
	NR == FNR { kept[$1 " " $2] = $3; next }
	{
		p = $1 " " $2
		seen[p] = 1
		if (!(p in kept))
			bad(p ": " $3 " instructions, and none are kept for this program")
		else if ($3 * 10 > kept[p] * 11)
			bad(sprintf("%s: %d instructions, %.1f %% more than the %d kept (at most 10 %%)", p, $3,
				($3 / kept[p] - 1) * 100, kept[p]))
		else
			printf "ok %s: %d instructions, %d kept\n", p, $3, kept[p]
	}
	function bad(text) {
		print "not ok " text ". If that is right: " accept
		failed = 1
	}
	END {
		for (p in kept)
			if (!(p in seen))
				bad(p ": kept with " kept[p] " instructions, but there is no such program")
		exit failed
	}' "$INSNS_KEPT" "$1"
}
