/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/actor.c policy/actor_msg.c policy/journal_format.c policy/journal.c policy/step.c policy/actuators.c policy/actuator_cgroup_io.c policy/actuator_ioprio.c policy/actuator_cache.c policy/bcache_file.c policy/keep.c policy/actor_reads.c policy/cgroup_file.c policy/disks.c lib/crc32c.c */
/* What the actor does with steps, on knobs in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/actor.h"
#include "policy/actor_msg.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

/* --- knobs in memory: target "0".."9" --- */

static struct fake {
	char value[VST_VALUE_MAX];
	uint64_t id;
	int read_err, write_err;
	unsigned int writes;
	bool ignores; /* a write succeeds and changes nothing */
} fakes[10];
static char order[64]; /* targets in the order in which they were written */
static int probe_err;

static int fake_check(const struct vst_knob *knob, const char *wanted, char *text)
{
	return !strcmp(wanted, "forbidden") ? -EPERM : 0;
}

static int fake_probe(const struct vst_roots *roots, const char *attr, const char *key, char *text)
{
	return probe_err;
}

static int fake_read(const struct vst_roots *roots, struct vst_knob *knob, char ret[VST_VALUE_MAX], char *text)
{
	struct fake *f = &fakes[atoi(knob->target)];

	if (f->read_err)
		return f->read_err;
	if (knob->target_id && knob->target_id != f->id)
		return -ESTALE;
	knob->target_id = f->id;
	strcpy(ret, f->value);
	return 0;
}

static int fake_write(const struct vst_roots *roots, const struct vst_knob *knob, const char *value, char *text)
{
	struct fake *f = &fakes[atoi(knob->target)];

	if (f->write_err)
		return f->write_err;
	f->writes++;
	strcat(order, knob->target);
	if (!f->ignores)
		strcpy(f->value, value);
	return 0;
}

static bool fake_equal(const struct vst_knob *knob, const char *now, const char *written)
{
	return !strcmp(now, written);
}

/* "9" may have its value from "8", and then from "7". */
static int fake_origin(const struct vst_roots *roots, const struct vst_knob *knob, unsigned int i,
		       char ret[VST_TARGET_MAX])
{
	if (i >= 2 || *knob->target != '9')
		return -ENOENT;
	strcpy(ret, i ? "7" : "8");
	return 0;
}

static const struct vst_actuator fake = {
	"fake", "for tests", fake_check, fake_probe, fake_read, fake_write, fake_equal, NULL, fake_origin,
};
static const struct vst_actuator *const fake_table[VST_ACTUATOR__N] = { &fake, &fake };

struct fixture {
	struct vst_act act;
	char dir[32];
	struct vst_outcome out;
	uint64_t id;
};

static int begin(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/vstor-actor-XXXXXX");
	if (!f || !mkdtemp(f->dir))
		return -1;
	f->act.actuators = fake_table;
	for (int i = 0; i < 10; i++)
		fakes[i] = (struct fake){ "old", 100 + i, 0, 0, 0, false };
	*order = 0;
	probe_err = 0;
	*state = f;
	return vst_journal_open(&f->act.journal, f->dir, BOOT, 0);
}

static int finish(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++)
		fakes[i].read_err = fakes[i].write_err = 0;
	vst_act_revert_all(&f->act, false, NULL, NULL);
	vst_journal_close(&f->act.journal);
	assert_int_equal(rmdir(f->dir), 0); /* nothing is left in it */
	free(f);
	return 0;
}

/* The process is killed, and another starts with what is on the disk. */
static void killed(struct fixture *f)
{
	struct vst_entries entries = f->act.journal.entries;

	vst_entries_free(&entries);
	f->act.journal.entries = (struct vst_entries){ 0 };
	close(f->act.journal.fd);
	close(f->act.journal.dir);
	assert_int_equal(vst_journal_open(&f->act.journal, f->dir, BOOT, 0), 0);
}

static int step(struct fixture *f, const char *target, const char *wanted)
{
	struct vst_step s = { .id = ++f->id };

	vst_knob_init(&s.knob, VST_ACTUATOR_CGROUP_IO, target, 0, "attr", "key");
	strcpy(s.wanted, wanted);
	strcpy(s.rule, "rule");
	vst_act_step(&f->act, &s, 1000 + f->id, &f->out);
	assert_int_equal(f->out.id, f->id);
	return f->out.state;
}

static void count(void *ctx, const struct vst_outcome *o)
{
	unsigned int *n = ctx;

	n[o->state]++;
}

static unsigned int in_journal(struct fixture *f)
{
	struct vst_entries entries = { 0 };
	struct vst_journal_replayed replay;
	unsigned int n;

	assert_int_equal(vst_journal_peek(f->dir, BOOT, &entries, &replay), 0);
	assert_int_equal(replay.end, VST_REPLAY_CLEAN);
	n = entries.n;
	vst_entries_free(&entries);
	return n;
}

static void steps_are_written_and_undone_last_first(void **state)
{
	struct fixture *f = *state;
	unsigned int n[VST_KNOB_STATE__N] = { 0 };

	assert_int_equal(step(f, "1", "a"), VST_KNOB_APPLIED);
	assert_string_equal(f->out.old, "old");
	assert_string_equal(f->out.now, "a");
	assert_int_equal(f->out.knob.target_id, 101);
	assert_int_equal(step(f, "2", "a"), VST_KNOB_APPLIED);
	assert_int_equal(step(f, "1", "b"), VST_KNOB_APPLIED);
	assert_string_equal(f->out.old, "old"); /* of before the first step */
	assert_int_equal(step(f, "3", "c"), VST_KNOB_APPLIED);
	assert_int_equal(in_journal(f), 3);
	*order = 0;
	assert_int_equal(vst_act_revert_all(&f->act, false, count, n), 0);
	assert_int_equal(n[VST_KNOB_REVERTED], 3);
	assert_string_equal(order, "321");
	assert_string_equal(fakes[1].value, "old");
	assert_int_equal(in_journal(f), 0);
}

static void what_is_so_already_is_not_written(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(step(f, "1", "old"), VST_KNOB_APPLIED);
	assert_string_equal(f->out.written,
			    "old"); /* vstord sends a step again while this differs from what it wants */
	assert_string_equal(f->out.old, "old");
	assert_int_equal(fakes[1].writes, 0);
	assert_int_equal(in_journal(f), 0);
	step(f, "1", "a");
	step(f, "1", "a");
	assert_string_equal(f->out.written, "a");
	assert_int_equal(fakes[1].writes, 1);
	step(f, "1", "old"); /* a step to the old value, not a revert */
	assert_int_equal(step(f, "1", ""), VST_KNOB_REVERTED);
	assert_int_equal(fakes[1].writes, 2);
	assert_int_equal(step(f, "1", ""), VST_KNOB_REVERTED); /* again: nothing to do */
	assert_int_equal(fakes[1].writes, 2);
}

static void a_kill_between_journal_and_knob_is_undone_either_way(void **state)
{
	struct fixture *f = *state;
	char text[VST_TEXT_MAX];
	struct vst_entry *e;

	for (int written = 0; written < 2; written++) {
		strcpy(fakes[1].value, "old");
		step(f, "1", "a");
		e = f->act.journal.entries.at[0];
		strcpy(e->pending, "b");
		assert_int_equal(vst_journal_intent(&f->act.journal, e, text), 0);
		if (written)
			strcpy(fakes[1].value, "b");
		killed(f);
		assert_int_equal(f->act.journal.entries.n, 1);
		assert_int_equal(vst_act_revert_all(&f->act, false, NULL, NULL), 0);
		assert_string_equal(fakes[1].value, "old");
	}
}

static void a_foreign_value_survives_steps_reverts_and_kills(void **state)
{
	struct fixture *f = *state;

	step(f, "1", "a");
	strcpy(fakes[1].value, "theirs");
	for (int i = 0; i < 5; i++) { /* one change is one conflict, however often we look */
		assert_int_equal(step(f, "1", "b"), VST_KNOB_CONFLICT);
		assert_int_equal(f->out.conflicts, 1);
		assert_int_equal(f->out.result, -EBUSY);
	}
	assert_int_equal(step(f, "1", ""), VST_KNOB_CONFLICT);
	assert_int_equal(step(f, "1", "b"), VST_KNOB_CONFLICT); /* the revert did not make it ours to change */
	killed(f);
	assert_int_equal(f->act.journal.entries.at[0]->conflicts, 1);
	assert_int_equal(step(f, "1", "b"), VST_KNOB_CONFLICT);
	assert_int_equal(vst_act_revert_all(&f->act, false, NULL, NULL), 0);
	assert_string_equal(fakes[1].value, "theirs");
	assert_int_equal(fakes[1].writes, 1);
	assert_int_equal(f->act.conflicts, 1);
}

/* Somebody changed the knob, and the actor was killed before it noticed. */
static void a_foreign_value_that_nobody_saw_survives_a_kill(void **state)
{
	struct fixture *f = *state;

	step(f, "1", "a");
	strcpy(fakes[1].value, "theirs");
	killed(f);
	assert_int_equal(vst_act_revert_all(&f->act, true, NULL, NULL), 0);
	assert_int_equal(step(f, "1", "a"), VST_KNOB_CONFLICT);
	assert_string_equal(fakes[1].value, "theirs");
	assert_int_equal(vst_act_revert_all(&f->act, false, NULL, NULL), 0);
	assert_string_equal(fakes[1].value, "theirs");
	assert_int_equal(in_journal(f), 0);
}

static void after_three_conflicts_it_stands_aside(void **state)
{
	struct fixture *f = *state;

	step(f, "1", "a");
	for (int i = 1; i <= 2; i++) {
		strcpy(fakes[1].value, "old"); /* somebody puts the old value back */
		assert_int_equal(step(f, "1", "a"), VST_KNOB_CONFLICT);
		assert_int_equal(f->out.conflicts, i);
		assert_int_equal(step(f, "1", "a"), VST_KNOB_APPLIED); /* tried again */
	}
	strcpy(fakes[1].value, "old");
	for (int i = 0; i < 3; i++)
		assert_int_equal(step(f, "1", "a"), VST_KNOB_CONFLICT);
	assert_string_equal(fakes[1].value, "old");
	vst_act_forget_conflicts(&f->act);
	assert_int_equal(step(f, "1", "a"), VST_KNOB_APPLIED);
	assert_int_equal(f->out.conflicts, 0);
}

static void a_foreign_change_that_is_taken_back_is_over(void **state)
{
	struct fixture *f = *state;

	step(f, "1", "a");
	strcpy(fakes[1].value, "theirs");
	step(f, "1", "b");
	strcpy(fakes[1].value, "a");
	assert_int_equal(step(f, "1", "b"), VST_KNOB_APPLIED);
	assert_int_equal(step(f, "1", ""), VST_KNOB_REVERTED);
}

static void what_the_kernel_ignores_is_a_conflict(void **state)
{
	struct fixture *f = *state;

	fakes[1].ignores = true;
	assert_int_equal(step(f, "1", "a"), VST_KNOB_CONFLICT);
	assert_string_equal(f->out.now, "old");
}

static void a_write_that_fails_leaves_what_was_before(void **state)
{
	struct fixture *f = *state;

	fakes[1].write_err = -EINVAL;
	assert_int_equal(step(f, "1", "a"), VST_KNOB_REFUSED);
	assert_int_equal(f->out.result, -EINVAL);
	assert_int_equal(in_journal(f), 0);
	fakes[1].write_err = 0;
	step(f, "1", "a");
	fakes[1].write_err = -EIO;
	assert_int_equal(step(f, "1", "b"), VST_KNOB_REFUSED);
	assert_string_equal(f->out.written, "a");
	assert_int_equal(step(f, "1", "forbidden"), VST_KNOB_REFUSED);
	assert_string_equal(f->out.written, "a"); /* still there, and to be undone */
	assert_int_equal(vst_act_revert_all(&f->act, false, NULL, NULL),
			 1); /* cannot be undone: stays in the journal */
	assert_int_equal(in_journal(f), 1);
	fakes[1].write_err = 0;
	killed(f);
	assert_int_equal(vst_act_revert_all(&f->act, false, NULL, NULL), 0);
	assert_string_equal(fakes[1].value, "old");
}

static void nothing_is_written_that_is_not_allowed_or_has_no_effect(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(step(f, "1", "forbidden"), VST_KNOB_REFUSED);
	assert_int_equal(f->out.result, -EPERM);
	assert_true(*f->out.text);
	probe_err = -EOPNOTSUPP;
	assert_int_equal(step(f, "1", "a"), VST_KNOB_REFUSED);
	assert_int_equal(f->out.result, -EOPNOTSUPP);
	assert_int_equal(fakes[1].writes, 0);
	assert_int_equal(in_journal(f), 0);
}

static void a_target_that_is_gone_has_nothing_to_undo(void **state)
{
	struct fixture *f = *state;
	unsigned int n[VST_KNOB_STATE__N] = { 0 };

	step(f, "1", "a");
	step(f, "2", "a");
	step(f, "3", "a");
	fakes[1].read_err = -ENOENT;
	fakes[2].id = 999; /* another target of this name, which happens to hold the same value */
	vst_act_list(&f->act, count, n);
	assert_int_equal(n[VST_KNOB_REVERTED], 2);
	assert_int_equal(n[VST_KNOB_APPLIED], 1);
	assert_int_equal(in_journal(f), 1);
	step(f, "4", "a");
	fakes[4].id = 999;
	strcpy(fakes[4].value, "x");
	assert_int_equal(step(f, "4", "b"), VST_KNOB_APPLIED);
	assert_string_equal(f->out.old, "x"); /* of the new one */
	assert_int_equal(step(f, "1", "b"), VST_KNOB_REFUSED);
	assert_int_equal(vst_act_revert_all(&f->act, false, NULL, NULL), 0);
	assert_string_equal(fakes[2].value, "a");
	assert_string_equal(fakes[4].value, "x");
}

static void what_is_inherited_is_undone_too(void **state)
{
	struct fixture *f = *state;

	strcpy(fakes[9].value, "a");
	assert_int_equal(step(f, "9", "a"), VST_KNOB_APPLIED); /* its own: nobody had it before */
	assert_int_equal(in_journal(f), 0);
	step(f, "7", "a");
	step(f, "8", "b");
	assert_int_equal(step(f, "9", "a"), VST_KNOB_APPLIED);
	assert_string_equal(f->out.old, "old");
	assert_int_equal(in_journal(f), 3);
	assert_int_equal(step(f, "9", ""), VST_KNOB_REVERTED);
	assert_string_equal(fakes[9].value, "old");
	strcpy(fakes[9].value, "a");
	fakes[7].id = 999; /* a stranger with the number of the origin, which has not inherited anything */
	assert_int_equal(step(f, "9", "a"), VST_KNOB_APPLIED);
	assert_string_equal(f->out.old, "a");
	assert_int_equal(step(f, "9", ""), VST_KNOB_REVERTED);
	assert_string_equal(fakes[9].value, "a");
}

static void without_its_journal_it_changes_nothing_but_undoes(void **state)
{
	struct fixture *f = *state;
	char path[64];

	step(f, "1", "a");
	snprintf(path, sizeof(path), "%s/journal", f->dir);
	assert_int_equal(truncate(path, 30), 0);
	assert_int_equal(step(f, "2", "a"), VST_KNOB_REFUSED);
	assert_int_equal(f->out.result, -EUCLEAN);
	assert_true(strstr(f->out.text, "changed by somebody else") != NULL);
	assert_int_equal(fakes[2].writes, 0);
	assert_int_equal(vst_act_revert_all(&f->act, false, NULL, NULL), 0);
	assert_string_equal(fakes[1].value, "old");
	unlink(path); /* it is not trusted, so the actor does not remove it */
}

/* --- messages --- */

static void only_whole_messages_are_taken(void **state)
{
	struct vst_actor_msg msg = { .type = VST_MSG_STEP };
	size_t len = vst_actor_msg_len(VST_MSG_STEP);

	assert_true(vst_actor_msg_valid(&msg, len));
	assert_false(vst_actor_msg_valid(&msg, len - 1));
	assert_false(vst_actor_msg_valid(&msg, len + 1));
	assert_false(vst_actor_msg_valid(&msg, 3));
	memset(msg.step.why, 'x', sizeof(msg.step.why));
	assert_false(vst_actor_msg_valid(&msg, len));
	msg.step.why[10] = 0;
	msg.step.knob.actuator = VST_ACTUATOR__N;
	assert_false(vst_actor_msg_valid(&msg, len));
	for (uint32_t type = 0; type <= VST_MSG__N; type++) {
		struct vst_actor_msg empty = { .type = type };

		if (type == VST_MSG_READ)
			empty.reads.n = 1; /* to read nothing is no message */
		assert_int_equal(vst_actor_msg_valid(&empty, vst_actor_msg_len(type)), type > 0 && type < VST_MSG__N);
	}
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, finish)
	const struct CMUnitTest tests[] = {
		TEST(steps_are_written_and_undone_last_first),
		TEST(what_is_so_already_is_not_written),
		TEST(a_kill_between_journal_and_knob_is_undone_either_way),
		TEST(a_foreign_value_survives_steps_reverts_and_kills),
		TEST(a_foreign_value_that_nobody_saw_survives_a_kill),
		TEST(after_three_conflicts_it_stands_aside),
		TEST(a_foreign_change_that_is_taken_back_is_over),
		TEST(what_the_kernel_ignores_is_a_conflict),
		TEST(a_write_that_fails_leaves_what_was_before),
		TEST(nothing_is_written_that_is_not_allowed_or_has_no_effect),
		TEST(a_target_that_is_gone_has_nothing_to_undo),
		TEST(what_is_inherited_is_undone_too),
		TEST(without_its_journal_it_changes_nothing_but_undoes),
		cmocka_unit_test(only_whole_messages_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
