/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KTIERD_PURE_KUNIT_TEST_H
#define _KTIERD_PURE_KUNIT_TEST_H
/*
 * As much of KUnit as the suites of the pure files use: a suite becomes a
 * program that prints TAP.
 */

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>

#include <linux/types.h>
#include <linux/limits.h>

struct kunit {
	bool failed;
	jmp_buf abort;
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
};

struct kunit_suite {
	const char name[256];
	int (*init)(struct kunit *test);
	struct kunit_case *test_cases;
};

#define KUNIT_CASE(function)	{ .run_case = function, .name = #function }

enum kunit_relation { KUNIT_EQ, KUNIT_NE, KUNIT_LT, KUNIT_LE, KUNIT_GT, KUNIT_GE };

/*
 * A place in a test, and what to do when an expectation is not met there.
 * What is compared is made an __int128, which holds any number.
 */
struct kunit_place {
	const char *file;
	int line;
	const char *what;
	bool fatal;
};

static inline void kunit_fail(struct kunit *test, const struct kunit_place *at,
			      __int128 left, __int128 right)
{
	test->failed = true;
	printf("# %s:%d: %s: %lld, %lld\n", at->file, at->line, at->what,
	       (long long)left, (long long)right);
	if (at->fatal)
		longjmp(test->abort, 1);
}

static inline bool kunit_holds(enum kunit_relation relation, __int128 left,
			       __int128 right)
{
	switch (relation) {
	case KUNIT_EQ:
		return left == right;
	case KUNIT_NE:
		return left != right;
	case KUNIT_LT:
		return left < right;
	case KUNIT_LE:
		return left <= right;
	case KUNIT_GT:
		return left > right;
	case KUNIT_GE:
		return left >= right;
	}
	return false;
}

static inline void kunit_compare(struct kunit *test, __int128 left,
				 enum kunit_relation relation,
				 __int128 right,
				 const struct kunit_place *at)
{
	if (!kunit_holds(relation, left, right))
		kunit_fail(test, at, left, right);
}

#define KUNIT_AT(what, fatal) \
	(&(const struct kunit_place){ __FILE__, __LINE__, what, fatal })

#define KUNIT_BINARY(test, left, relation, right, fatal)		\
	kunit_compare(test, left, relation, right,			\
		      KUNIT_AT(#left " " #relation " " #right, fatal))

#define KUNIT_EXPECT_EQ(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_EQ, right, false)
#define KUNIT_EXPECT_NE(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_NE, right, false)
#define KUNIT_EXPECT_LT(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_LT, right, false)
#define KUNIT_EXPECT_LE(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_LE, right, false)
#define KUNIT_EXPECT_GT(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_GT, right, false)
#define KUNIT_EXPECT_GE(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_GE, right, false)
#define KUNIT_EXPECT_TRUE(test, condition) \
	KUNIT_BINARY(test, !!(condition), KUNIT_EQ, 1, false)
#define KUNIT_EXPECT_FALSE(test, condition) \
	KUNIT_BINARY(test, !!(condition), KUNIT_EQ, 0, false)

#define KUNIT_ASSERT_EQ(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_EQ, right, true)
#define KUNIT_ASSERT_LT(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_LT, right, true)
#define KUNIT_ASSERT_LE(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_LE, right, true)
#define KUNIT_ASSERT_GT(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_GT, right, true)
#define KUNIT_ASSERT_GE(test, left, right) \
	KUNIT_BINARY(test, left, KUNIT_GE, right, true)

static inline bool kunit_run_case(const struct kunit_suite *suite,
				  const struct kunit_case *which)
{
	struct kunit test = {};

	if (setjmp(test.abort))
		return false;
	if (suite->init && suite->init(&test))
		return false;
	which->run_case(&test);
	return !test.failed;
}

static inline int kunit_run_suite(const struct kunit_suite *suite)
{
	const struct kunit_case *at;
	int number = 0, failed = 0;
	bool passed;

	for (at = suite->test_cases; at->run_case; at++)
		number++;
	printf("TAP version 13\n1..%d\n", number);
	number = 0;
	for (at = suite->test_cases; at->run_case; at++) {
		passed = kunit_run_case(suite, at);
		failed += !passed;
		printf("%sok %d %s.%s\n", passed ? "" : "not ", ++number,
		       suite->name, at->name);
		fflush(stdout);
	}
	return failed != 0;
}

/* There is one in a program. */
extern const struct kunit_suite *const kunit_suite;

#define kunit_test_suite(suite) \
	const struct kunit_suite *const kunit_suite = &(suite)

int main(void)
{
	return kunit_run_suite(kunit_suite);
}

#endif /* _KTIERD_PURE_KUNIT_TEST_H */
