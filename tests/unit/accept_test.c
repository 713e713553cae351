/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/sinks/accept.c agent/sinks/address.c */
/* What clients of HTTP accept, and addresses as users write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/sinks/accept.h"
#include "agent/sinks/address.h"

#define NAMED(header, type, q) assert_true(fabs(vst_accept_weight(header, type) - (q)) < 1e-9)

static void test_a_weight_is_found(void **state)
{
	NAMED(NULL, "gzip", -1);
	NAMED("", "gzip", -1);
	NAMED("gzip", "gzip", 1);
	NAMED("deflate, gzip;q=0.5, br", "gzip", 0.5);
	NAMED("gzip;q=0", "gzip", 0);
	NAMED("x-gzip, gzipped", "gzip", -1);
	NAMED("GZIP ; Q=0.25", "gzip", 0.25);
	NAMED("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain", 0.5);
	NAMED("text/plain;q=0.2,text/plain;version=1;q=0.7", "text/plain", 0.7);
	NAMED("gzip;q=7", "gzip", 1);
	NAMED("gzip;q=nan", "gzip", 0);
	NAMED(",,;q=1,", "gzip", -1);
	NAMED("gzip;quality=0", "gzip", 1);
	NAMED("gzip;q", "gzip", 1);
	NAMED("gzip,;q=0.1", "gzip", 1);
}

static void test_who_gets_openmetrics(void **state)
{
	assert_false(vst_accept_openmetrics(NULL));
	assert_false(vst_accept_openmetrics("*/*"));
	assert_false(vst_accept_openmetrics("text/html,application/xhtml+xml,*/*;q=0.8"));
	/* Prometheus 2.42 and 2.53 */
	assert_true(vst_accept_openmetrics("application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
					   "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
	assert_true(vst_accept_openmetrics("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;"
					   "q=0.3,*/*;q=0.2"));
	assert_false(vst_accept_openmetrics("text/plain,application/openmetrics-text;q=0.9"));
	assert_false(vst_accept_openmetrics("application/openmetrics-text;q=0"));
}

static void test_who_gets_gzip(void **state)
{
	assert_true(vst_accept_gzip("gzip, deflate"));
	assert_false(vst_accept_gzip("identity"));
	assert_false(vst_accept_gzip("gzip;q=0, *"));
	assert_false(vst_accept_gzip(NULL));
}

static void is(const char *text, const char *want, bool loopback)
{
	struct sockaddr_storage addr;
	const char *why = "";
	char buf[64];
	socklen_t len;

	if (vst_address_parse(text, &addr, &len, &why))
		fail_msg("%s: %s", text, why);
	vst_address_text(&addr, buf, sizeof(buf));
	assert_string_equal(buf, want);
	assert_int_equal(vst_address_is_loopback(&addr), loopback);
}

static void test_addresses(void **state)
{
	is("9469", "127.0.0.1:9469", true);
	is("0", "127.0.0.1:0", true);
	is("127.3.2.1:1", "127.3.2.1:1", true);
	is("0.0.0.0:9469", "0.0.0.0:9469", false);
	is("10.1.2.3:65535", "10.1.2.3:65535", false);
	is("[::1]:9469", "[::1]:9469", true);
	is("[::]:9469", "[::]:9469", false);
	is("[2001:DB8::1]:80", "[2001:db8::1]:80", false);
}

static void test_what_is_no_address_is_told_why(void **state)
{
	static const char *const bad[] = { "",
					   ":9469",
					   "localhost:9469",
					   "9469x",
					   "65536",
					   "-1",
					   " 1",
					   "1.2.3:1",
					   "1.2.3.4",
					   "1.2.3.4:",
					   "1.2.3.4:x",
					   "::1:9469",
					   "[::1]",
					   "[::1]9469",
					   "[::1]:",
					   "[1.2.3.4]:1",
					   "[]:1",
					   "[::1",
					   "+1",
					   "1.2.3.4:1:2",
					   "[::1]:70000",
					   "[::1%lo]:1",
					   "99999999999999999999999",
					   "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sockaddr_storage addr;
		const char *why = NULL;
		socklen_t len;

		if (!vst_address_parse(bad[i], &addr, &len, &why))
			fail_msg("'%s' was taken for an address", bad[i]);
		assert_non_null(why);
		assert_true(strlen(why) > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_weight_is_found),
		cmocka_unit_test(test_who_gets_openmetrics),
		cmocka_unit_test(test_who_gets_gzip),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_what_is_no_address_is_told_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
