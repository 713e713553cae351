#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# vstorctl locks, blame and explain against agents that play a part: who waits for whom.

bats_require_minimum_version 1.5.0
load play

@test "locks and blame: rows that differ in nothing that is shown are one, an object and other resources are shown" {
	play normal
	run ctl locks --json -d 0.1
	jq -es 'length == 3 and .[0].wait_us == 30000 and .[0].object == "/data/x" and (.[2] | has("object") | not)
		and (map(select(.container == "batch/etl"))[0] | .waits == 8 and .wait_us == 8000)' <<<"$output"
	run ctl locks -d 0.1
	ends 0 '^prod/mysql-0/mysqld +ext4_inode_info.vfs_inode.i_rwsem +/data/x +rwsem +field +10 +30.0ms'
	run ctl blame -d 0.1
	ends 0 '^prod/mysql-0/mysqld +batch/etl +journal:vda +- +share +10 +40.0ms$'
	run ctl blame --json -d 0.1
	jq -es 'length == 6 and (map(.resource) | sort | unique) == ["device:vda", "journal:vda",
		"lock:ext4_inode_info.vfs_inode.i_rwsem", "lock:rq.__lock"]' <<<"$output"
}

@test "explain: sentences, then where they come from, then its I/O" {
	play normal
	run --separate-stderr ctl explain prod/mysql-0/mysqld -d 0.1
	ends 0 "^prod/mysql-0/mysqld waited [0-9]+ ms/s: [0-9]+ on vda's journal \(batch/etl\), [0-9]+ on vfs_inode.i_rwsem of /data/x \(73 % batch/etl, 27 % .self.\), [0-9]+ in vda's queue behind batch/copy\.$"
	ends 0 '^In all because of batch/etl 76 %, batch/copy 15 %, .self. 10 %\.$'
	ends 0 '^It made others wait [0-9]+ ms/s: batch/etl [0-9]+\.$'
	ends 0 '^lock:ext4_inode_info.vfs_inode.i_rwsem +/data/x +[0-9.]+ms +10 % +.self. +owner$'
	ends 0 '^and 1 shorter: '
	ends 0 '^I/O on vda: read [0-9.]+/s .*B/s, write .*, p99 172us \(before the disk 39us, in it 172us\); data 73 %, journal 18 %, metadata 9 %\.$'
	ends 0 '^Evidence: 63 % is divided among those who were served meanwhile\.$'
	ends 0 '^Parts may be the same time: a wait for a lock or a journal may contain a wait for a disk\.$'
	[ -z "$stderr" ]
	run ctl explain host -d 0.1
	ends 0 '^.host. waited for nothing that vstor watches\.$'
	ends 0 '^It did no I/O\.$'
	ends 0 '^Not watched: '
	run ctl explain mysql -d 0.1 --json
	[ "${#lines[@]}" -eq 1 ]
	jq -e '.schema == 1 and .interval >= 0.09 and .container == "prod/mysql-0/mysqld" and .wait_us == 82010 and .locks_watched
		and (.causes | length) == 5 and .causes[0] == {resource: "journal:vda", holder: "batch/etl",
			holder_cgroup: "/slice/batch/etl", self: false, wait_us: 40000, share: 0.488, evidence: "share"}
		and (.causes | map(.wait_us) | add) == .wait_us and (.caused | map(.waiter)) == ["batch/etl"]
		and (.io | map(select(has("kind") | not)) | length) == 1 and (.io | map(.kind // empty) | sort) == ["data", "journal", "metadata"]
		and (.sentences | length) == 3 and (.remarks | length) == 3' <<<"$output"
	run ctl explain mysql --total
	ends 0 '^prod/mysql-0/mysqld waited'
	run ctl explain mysql -d 0.1 -n 2
	[ "$(grep -c 'waited [0-9]' <<<"$output")" -eq 2 ]
}

@test "explain: who is meant, and what is said if that is not clear" {
	play_own <<-'END'
		def containers(path):
		    for name, cgroup, state, id in (("prod/db-0/db", "/p0", "running", "abcdef012345"), ("prod/db-1/db", "/p1", "running", ""),
		                                    ("db.service", "/s", "running", ""), ("gone\x1b[2J", "/g", "exited", ""),
		                                    ("twin", "/t1", "running", ""), ("twin", "/t2", "running", ""),
		                                    ("anew", "/a1", "exited", ""), ("anew", "/a2", "running", "")):
		        yield r.line(type="container", container=name, runtime="", id=id, cgroup=cgroup, namespace="", pod="",
		                     name=name, image="", state=state, age=1, ios=0, bytes=0)
		replies["/v1/ps"] = containers
	END
	while read -r typed name; do
		typed=${typed/.kernel./[kernel]}
		run ctl explain "$typed" -d 0.05
		ends 0 "^$name waited"
	done <<-'END'
		prod/db-0/db prod/db-0/db
		db-1 prod/db-1/db
		abcdef prod/db-0/db
		/s db.service
		/sys/fs/cgroup/s/ db.service
		/s/below/it db.service
		SERVICE db.service
		/t2 twin .t2.
		anew anew .a2.
		kernel .kernel.
		.kernel. .kernel.
		unattributed .unattributed.
		host .host.
	END
	run ctl explain db
	ends 2 "'db' may be any of 3: give more of the name"
	[ "${lines[1]} ${lines[3]}" = "  prod/db-0/db  /p0   db.service  /s" ]
	run ctl explain twin
	ends 2 "'twin' may be any of 2: give more of the name, or the cgroup"
	[ "${lines[1]}, ${lines[2]}" = "  twin (t1)  /t1,   twin (t2)  /t2" ]
	run ctl explain 'twin (t1)' -d 0.05
	ends 0 '^twin .t1. waited'
	run ctl explain ''
	ends 2 'which container'
	run ctl explain $'mysq\x1b'
	ends 1 "no container, unit or cgroup is called 'mysq.x1b', or has that in its name or path: 'vstorctl ps --all' lists them"
	run ctl explain gone -d 0.05
	ends 0 '^gone.x1b.2J waited for nothing'
}

@test "an agent that has just begun is asked until it watches locks" {
	play_own <<-'END'
		asked = 0
		def soon():
		    global asked
		    asked += 1
		    for text in r.reply_locks("/v1/locks"):
		        yield text.replace('"watched": true', '"watched": ' + ("true" if asked > 3 else "false"))
		r.STARTED -= 2
		replies["lock"] = lambda: iter(())
		replies["/v1/locks"] = lambda path: soon()
	END
	run ctl locks --total
	ends 0
	[[ "$output" != *watch* ]]
	[[ "$output" == *"interval 2."* ]] # since its start
}

@test "where locks are not watched it is said, and the rest is told" {
	play_own <<-'END'
		r.STARTED -= 60 # it does not just begin
		def unwatched(reply):
		    def answer(path):
		        for text in reply(path):
		            yield text.replace('"watched": true', '"watched": false')
		    return answer
		replies["lock"] = lambda: iter(())
		replies["blame"] = lambda: iter([])
		replies["/v1/locks"] = unwatched(r.reply_locks)
		replies["/v1/blame"] = unwatched(r.reply_blame)
	END
	for c in locks blame; do
		run ctl $c
		ends 5 "does not watch locks now: 'vstorctl status' says why"
	done
	run ctl explain mysql -d 0.1
	ends 0 '^prod/mysql-0/mysqld waited for nothing'
	ends 0 "^Locks are not watched now, 'vstorctl status' says why"
	ends 0 '^I/O on vda: read'
	run ctl top -b -n 1 -d 0.1 --view locks
	ends 0 "^locks are not watched now: 'vstorctl status' says why"
	run ctl top -b -n 1 -d 0.1
	ends 0 '^batch/copy'
}

@test "what is under way is told first, by all views, and never denied" {
	play stuck
	run ctl explain x -d 0.1
	[[ "${lines[1]}" =~ ^"x has waited 1"[0-9]" s for loop4: 1 write is in flight and has not completed."$ ]]
	absent grep -q 'waited for nothing\|did no I/O' <<<"$output"
	ends 0 '^None of its I/O completed in this interval\.$'
	ends 0 '^A limit is set: io.max 7:4 riops=5 on /x\. vstor does not measure how long it holds x back\.$'
	ends 0 '^Not watched: the time before a request exists \(limits of io.max'
	run ctl explain x -d 0.1 --json
	jq -e '.under_way[0].resource == "device:loop4" and .under_way[0].in_flight.ios == 1 and .under_way[0].in_flight.oldest_us > 11e6
		and .limits[0].attribute == "io.max" and (.sentences[0] | test("^x has waited 1[0-9] s for loop4"))' <<<"$output"
	run ctl explain y -d 0.1
	[[ "${lines[1]}" =~ ^"y has waited 1"[0-9]" s for the frozen file system of loop3: 1 task waits."$ ]]
	ends 0 '^y waited [0-9]+ ms/s: [0-9]+ on the frozen file system of loop3 \(nobody known\)\.$'
	ends 0 '^It was in fsync on loop3 for [0-9]+ ms/s; other waits can be a part of that\.$'
	run ctl explain z -d 0.1 # ps does not have it
	[[ "${lines[1]}" =~ ^"z has waited 1"[0-9]" s on rename_lock because of y: 1 task waits."$ ]]
	run ctl io -d 0.1
	ends 0 '^CONTAINER .* IN FLIGHT +OLDEST '
	ends 0 '^x +loop4 .* 1 +1[0-9]\.[0-9]s '
	run ctl io -d 0.1 --json
	jq -e '.in_flight.ios == 1 and .in_flight.oldest_us > 11e6 and .in_flight.sum_us > 11e6 and .ios == 0' <<<"$output"
	run ctl locks -d 0.1
	ends 0 '^z +rename_lock .* 1 +1[0-9]\.[0-9]s$'
	run ctl blame -d 0.1
	ends 0 '^z +y +lock:rename_lock .* 1 +1[0-9]\.[0-9]s$'
	ends 0 '^y +.unattributed. +freeze:loop3 .* 1 +1[0-9]\.[0-9]s$'
	run ctl blame -d 0.1 --json
	jq -es 'map(select(.waiter == "z"))[0].waiting | .tasks == 1 and .oldest_us > 11e6' <<<"$output"
	for view in io locks blame; do
		run ctl top -n 1 -d 0.1 --view $view
		ends 0 '^x has waited 1[0-9] s for loop4: 1 write in flight$'
		ends 0 '^y has waited 1[0-9] s for the frozen file system of loop3: 1 task waits$'
		ends 0 '^z has waited 1[0-9] s on rename_lock because of y: 1 task waits$'
	done
	run ctl top -n 1 -d 0.1
	ends 0 '^x +loop4 .* 1 +1[0-9]\.[0-9]s '
	run ctl ps --all
	ends 0 '^x .* loop4 for 1[0-9] s'
	ends 0 '^z .* rename_lock for 1[0-9] s'
	run ctl ps --json
	jq -es 'map(select(.container == "x"))[0] | .limits[0].value == "7:4 riops=5" and .under_way[0].resource == "device:loop4"' <<<"$output"
}

@test "io, locks, blame and ps of one container, by whatever it is called" {
	play stuck
	for typed in x /x /x/below; do
		run ctl ps "$typed" --json
		[ "$(jq -r .container <<<"$output" | xargs)" = x ]
		run ctl io "$typed" -d 0.1 --json
		[ "$(jq -r .container <<<"$output" | xargs)" = x ]
	done
	run ctl ps z --json
	[ "$(jq -r '.container + " " + .state' <<<"$output")" = "z unknown" ]
	run ctl io y -d 0.1
	ends 0 'no I/O$'
	run ctl locks z -d 0.1 --json
	[ "$(jq -r .container <<<"$output" | xargs)" = z ]
	run ctl locks x -d 0.1
	ends 0 'nobody waited for a lock$'
	run ctl blame y -d 0.1 --json # as a waiter, and as a holder
	[ "$(jq -r .waiter <<<"$output" | sort | xargs)" = "y z" ]
	run ctl io nobody -d 0.1
	ends 1 "no container, unit or cgroup is called 'nobody'"
}

@test "two containers of one name are told apart, and vstor's own words from containers that have such a name" {
	play_own <<-'END'
		def rows():
		    for i, (name, cgroup) in enumerate((("web", "/docker/" + "1" * 64), ("web", "/docker/" + "2" * 64), ("kernel", "/docker/k"),
		                                        ("unattributed", ""), ("[host]", "/evil"), ("web", "/docker/" + "1" * 64))):
		        yield r.row(i + 1, name, "read", "data", "lt1m", 4, 10, 4096, 40, cgroup=cgroup)
		replies["rows"] = rows
		replies["/v1/ps"] = lambda path: (r.line(type="container", container=row["container"], runtime="", id="", cgroup=row["cgroup"],
		    namespace="", pod="", name="", image="", state="running", age=1, ios=1, bytes=1) for row in rows())
		replies["blame"] = lambda: iter(())
	END
	for c in "io -d 0.1" "top -n 1 -d 0.1" ps; do
		# shellcheck disable=SC2086 # words
		run ctl $c
		[ "$(grep -c '^web' <<<"$output")" -eq 2 ]
		ends 0 '^web .111111111111. '
		ends 0 '^web .222222222222. '
		ends 0 '^kernel '
		ends 0 '^.unattributed. '
		ends 0 '^.x5bhost. '
	done
	run ctl io -d 0.1 --json
	jq -es 'length == 5 and (map(select(.cgroup | startswith("/docker/1")))[0].ios == 20)
		and (map(select(.own)) | map(.container)) == ["unattributed"]' <<<"$output"
	run ctl explain web -d 0.1
	ends 2 "'web' may be any of 2"
	run ctl explain 222222222222 -d 0.1
	ends 0 '^web .222222222222. waited for nothing'
	run ctl explain unattributed -d 0.1
	ends 0 '^.unattributed. is not a container: '
	run ctl explain kernel
	ends 2 "'kernel' may be any of 2"
	run ctl explain /docker/k -d 0.1
	ends 0 '^kernel waited for nothing'
}
