# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What a test's head says, and how its result is told. Needs $VM, and $TMP for results.

tests_all() {
	find "$VM/t" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

# Lines "# needs: WHAT VALUE" at a test's head. WHAT: fast-disk SIZE, slow-disk IOPS[,MB-PER-SECOND[,DEPTH]]:SIZE, memory MB, time SECONDS,
# package NAME..., make TARGET...; or "# needs: systemd".
test_needs() { # TEST WHAT
	sed -n "s/^# needs: $2 //p" "$VM/t/$1.sh"
}

test_desc() { # TEST
	sed -n 's/^# desc: //p' "$VM/t/$1.sh"
}

test_has_systemd() { # TEST
	grep -qx '# needs: systemd' "$VM/t/$1.sh"
}

test_disks() { # TEST → options of `guest run`
	sed -n 's/^# needs: \(fast\|slow\)-disk /--\1-disk /p; s/^# needs: \(systemd\)$/--\1/p' "$VM/t/$1.sh" | paste -sd ' '
}

test_limit() { # TEST → seconds
	local s
	s=$(test_needs "$1" time)
	echo "${s:-120}"
}

# A line; what a file says below it stays with it.
result() { # ok|"not ok"|skip KERNEL TEST TEXT [FILE]
	{
		echo "$1 $2 $3: $4"
		[ -z "${5-}" ] || sed 's/^/#   /' "$5"
	} >"$TMP/$2.result"
	flock "$TMP/lock" cat "$TMP/$2.result"
	echo "$1" >>"$TMP/$2.count"
}
