/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/who/limits.c agent/who/labels.c agent/who/cgpath.c agent/who/runtime.c agent/who/runtime_file.c agent/who/runtime_find.c agent/base/log.c agent/base/caps.c -ljansson -lcap -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/who/lookups.c"

#define NAMED "/docker/77c9e92a4bbdc59d0741c33229e5aa5341fffe4afbc033d7927f19076a524081"

/* What is saved has an end, a debt is paid off with time, and the larger of the two debts counts. */
static void accounts(void **state)
{
	const struct vst_account_rate rate = { .bytes = 100, .bytes_max = 300, .seconds = 0.1, .seconds_max = 0.5 };
	struct vst_account a = { 0 };

	vst_account_fill(&a, &rate, 1000);
	assert_true(a.bytes == 300 && a.seconds == 0.5);
	vst_account_pay(&a, 250, 0.1);
	assert_true(vst_account_wait(&a, &rate) == 0);
	vst_account_pay(&a, 250, 0);
	assert_true(a.bytes == -200);
	assert_true(vst_account_wait(&a, &rate) == 2);
	vst_account_pay(&a, 0, 0.7);
	assert_true(vst_account_wait(&a, &rate) > 2.9 && vst_account_wait(&a, &rate) < 3.1);
	vst_account_fill(&a, &rate, 1001);
	assert_true(a.bytes == -100);
	vst_account_fill(&a, &rate, 1000); /* a clock that stands still gives nothing */
	assert_true(a.bytes == -100);
	vst_account_fill(&a, &rate, 2000);
	assert_true(a.bytes == 300 && a.seconds == 0.5);
}

static struct vst_lookups *fresh(void)
{
	struct vst_lookups *l;

	assert_int_equal(vst_lookups_new("tests/fixtures/runtime", &l), 0);
	return l;
}

static void ask(struct vst_lookups *l, __u64 account, const char *path, int want)
{
	struct vst_lookup *k = vst_lookup_new(VST_LOOKUP_NAMES, account, path);

	assert_non_null(k);
	assert_int_equal(vst_lookups_ask(l, k), want);
}

/* The next answer. */
static struct vst_lookup *next(struct vst_lookups *l)
{
	struct vst_lookup *k;

	for (int i = 0; i < 10000; i++) {
		k = vst_lookups_take(l);
		if (k)
			return k;
		usleep(1000);
	}
	fail_msg("no answer");
	return NULL;
}

static void answered(void **state)
{
	struct vst_lookups *l = fresh();
	struct vst_lookup *k;
	char *file;
	__u64 stamp;

	ask(l, VST_ACCOUNT_SYSTEM, NAMED, 0);
	k = next(l);
	assert_int_equal(k->err, 0);
	assert_string_equal(k->names->name, "shop-web-1");
	assert_true(k->n_labels >= 2);
	assert_string_equal(k->labels[0].value, "shop");
	assert_non_null(k->file);
	file = k->file;
	stamp = k->stamp;
	k->file = NULL;
	vst_lookup_free(k);
	/* a file that has not changed is not read again */
	k = vst_lookup_new(VST_LOOKUP_NAMES, VST_ACCOUNT_SYSTEM, NAMED);
	k->file = strdup(file);
	k->stamp = stamp;
	assert_int_equal(vst_lookups_ask(l, k), 0);
	k = next(l);
	assert_int_equal(k->err, -EALREADY);
	vst_lookup_free(k);
	k = vst_lookup_new(VST_LOOKUP_NAMES, VST_ACCOUNT_SYSTEM, NAMED);
	k->file = file;
	k->stamp = stamp + 1;
	assert_int_equal(vst_lookups_ask(l, k), 0);
	k = next(l);
	assert_int_equal(k->err, 0);
	vst_lookup_free(k);
	assert_int_equal(vst_lookups_waiting(l, true), 0);
	vst_lookups_free(l);
}

/* A cgroup that a user made outside its session is not called like a container of the system's. */
static void what_a_user_made_is_looked_for_in_its_own_files(void **state)
{
	struct vst_lookups *l = fresh();
	struct vst_lookup *k = vst_lookup_new(VST_LOOKUP_NAMES, 4711, NAMED);

	k->maker = 4711;
	assert_int_equal(vst_lookups_ask(l, k), 0);
	k = next(l);
	assert_int_equal(k->err, -ENOENT);
	vst_lookup_free(k);
	vst_lookups_free(l);
}

/* Whoever asks for too much is turned away, and nobody else is. */
static void one_user_cannot_fill_the_queue(void **state)
{
	struct vst_lookups *l = fresh();
	unsigned int refused = 0;

	pthread_mutex_lock(&l->lock); /* so that none is answered before all are asked */
	l->lane[LANE_USERS].account.seconds = -1e9;
	l->lane[LANE_USERS].account.at = clock_now();
	pthread_mutex_unlock(&l->lock);
	for (int i = 0; i < WAITING_MAX + 10; i++) {
		struct vst_lookup *k = vst_lookup_new(VST_LOOKUP_NAMES, 1000, NAMED);

		refused += vst_lookups_ask(l, k) == -ENOBUFS;
	}
	assert_in_range(refused, 9, 10); /* one may be under way */
	assert_int_equal(vst_lookups_refused(l), refused);
	ask(l, 1001, NAMED, 0);
	ask(l, VST_ACCOUNT_SYSTEM, NAMED, 0);
	vst_lookup_free(next(l)); /* the system's does not wait for theirs */
	assert_true(vst_lookups_waiting(l, true) > WAITING_MAX - 10);
	assert_int_equal(vst_lookups_waiting(l, false), 0);
	vst_lookups_free(l);
}

/* Users take turns, whoever asked first and most. */
static void users_take_turns(void **state)
{
	struct vst_lookups *l = fresh();
	struct vst_lookup *k;
	unsigned int others = 0;

	pthread_mutex_lock(&l->lock);
	for (int user = 1000; user < 1003; user++) {
		for (int i = 0; i < (user == 1000 ? 100 : 2); i++) {
			struct queue *q = queue_of(&l->lane[LANE_USERS], user);

			k = vst_lookup_new(VST_LOOKUP_NAMES, user, NAMED);
			*q->last = k;
			q->last = &k->next;
			q->n++;
			l->waiting[LANE_USERS]++;
		}
	}
	pthread_cond_signal(&l->lane[LANE_USERS].wake);
	pthread_mutex_unlock(&l->lock);
	for (int i = 0; i < 8; i++) {
		k = next(l);
		others += k->account != 1000;
		vst_lookup_free(k);
	}
	assert_int_equal(others, 4);
	vst_lookups_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accounts),
		cmocka_unit_test(answered),
		cmocka_unit_test(what_a_user_made_is_looked_for_in_its_own_files),
		cmocka_unit_test(one_user_cannot_fill_the_queue),
		cmocka_unit_test(users_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
