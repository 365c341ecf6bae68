/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Test harness in one header: the subset of the kernel's kselftest_harness.h
 * that these tests need, with its spelling, so that a test moves to
 * tools/testing/selftests unchanged.
 *
 *	FIXTURE(ring) { struct guest *g; };
 *	FIXTURE_VARIANT(ring) { bool event_idx; };		optional
 *	FIXTURE_VARIANT_ADD(ring, event_idx) { .event_idx = true };
 *	FIXTURE_SETUP(ring) { self->g = ...; }
 *	FIXTURE_TEARDOWN(ring) { guest_free(self->g); }
 *	TEST_F(ring, serves_a_full_ring) { ASSERT_EQ(0, ...); }
 *	TEST(without_a_fixture) { ... }
 *	TEST_HARNESS_MAIN
 *
 * Each test, times each variant of its fixture, runs in a child of its own,
 * in a process group of its own, with a time limit: 30 s, or what
 * TEST_F_TIMEOUT() says, times KSFT_TIME_SCALE. The output is KTAP. A child that
 * cannot even be killed (stuck in the kernel) ends the program with "Bail out!".
 *
 * Differences from the kernel's: ASSERT_*, EXPECT_* and SKIP() work in any
 * function, not only in the test's body; operands are compared as long long;
 * the teardown also runs after a failed assertion.
 *
 * Command line: [-l] [-t PATTERN] [ARGUMENT...]; -l lists the tests, -t runs those
 * that match a shell pattern. The arguments are left in ksft.argv.
 */
#ifndef KSFT_H
#define KSFT_H

#include <errno.h>
#include <fnmatch.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KSFT_PASS 0
#define KSFT_FAIL 1
#define KSFT_SKIP 4
#define KSFT_TIMEOUT_S 30
#define KSFT_SLOW_S 5		/* from here on it is said how long a test took */

struct ksft_variant {
	const char *name;
	const void *data;
	struct ksft_variant *next;
};

struct ksft_fixture {
	struct ksft_variant *variants, **tail;
};

struct ksft_test {
	const char *fixture_name, *name;
	struct ksft_fixture *fixture;
	void (*run)(const void *variant);
	unsigned int timeout;
	struct ksft_test *next;
};

/* What a child tells its parent besides the exit status. */
struct ksft_note {
	char skip[200];
};

static struct {
	struct ksft_test *tests, **tail;
	struct ksft_note *note;
	int argc;
	char **argv;
	jmp_buf env;		/* where a failed ASSERT_* goes ... */
	bool env_set;		/* ... while this is set; else the child exits */
	bool failed, skipped;
} ksft;

/* KSFT_TIME_SCALE: how much slower than usual this kernel is (KASAN, lockdep). */
static inline unsigned int ksft_scale(void)
{
	const char *s = getenv("KSFT_TIME_SCALE");
	int v = s ? atoi(s) : 1;

	return v > 0 ? v : 1;
}

static inline void __attribute__((format(printf, 1, 2)))
ksft_log(const char *fmt, ...)
{
	char text[1000];
	char *line, *save = NULL;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		printf("# %s\n", line);
}

static inline void __attribute__((format(printf, 4, 5)))
ksft_fail(bool fatal, const char *file, int line, const char *fmt, ...)
{
	char text[800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ksft_log("%s:%d: %s", file, line, text);
	ksft.failed = true;
	if (!fatal)
		return;
	if (ksft.env_set)
		longjmp(ksft.env, 1);
	exit(KSFT_FAIL);
}

#define ksft_compare(fatal, a, op, b) do {				\
	long long _a = (long long)(a), _b = (long long)(b);		\
	if (!(_a op _b))						\
		ksft_fail(fatal, __FILE__, __LINE__,			\
			  "%s (%lld, %#llx) %s %s (%lld, %#llx) is not true", \
			  #a, _a, _a, #op, #b, _b, _b);			\
} while (0)

#define ksft_true(fatal, x) do {					\
	if (!(x))							\
		ksft_fail(fatal, __FILE__, __LINE__, "%s is not true", #x); \
} while (0)

#define ksft_streq(fatal, a, b) do {					\
	const char *_a = (a), *_b = (b);				\
	if (strcmp(_a, _b))						\
		ksft_fail(fatal, __FILE__, __LINE__,			\
			  "%s (\"%s\") is not %s (\"%s\")", #a, _a, #b, _b); \
} while (0)

/* A system call that must fail with one errno. */
#define ksft_errno(fatal, err, call) do {				\
	int _want = (err), _got;					\
	errno = 0;							\
	_got = (call) < 0 ? errno : 0;					\
	if (_got != _want)						\
		ksft_fail(fatal, __FILE__, __LINE__, "%s: %s instead of %s", \
			  #call, _got ? strerror(_got) : "success",	\
			  strerror(_want));				\
} while (0)

#define ASSERT_EQ(a, b)		ksft_compare(true, a, ==, b)
#define ASSERT_NE(a, b)		ksft_compare(true, a, !=, b)
#define ASSERT_LT(a, b)		ksft_compare(true, a, <, b)
#define ASSERT_LE(a, b)		ksft_compare(true, a, <=, b)
#define ASSERT_GT(a, b)		ksft_compare(true, a, >, b)
#define ASSERT_GE(a, b)		ksft_compare(true, a, >=, b)
#define ASSERT_TRUE(x)		ksft_true(true, x)
#define ASSERT_FALSE(x)		ksft_true(true, !(x))
#define ASSERT_STREQ(a, b)	ksft_streq(true, a, b)
#define ASSERT_ERRNO(e, call)	ksft_errno(true, e, call)
#define EXPECT_EQ(a, b)		ksft_compare(false, a, ==, b)
#define EXPECT_NE(a, b)		ksft_compare(false, a, !=, b)
#define EXPECT_LT(a, b)		ksft_compare(false, a, <, b)
#define EXPECT_LE(a, b)		ksft_compare(false, a, <=, b)
#define EXPECT_GT(a, b)		ksft_compare(false, a, >, b)
#define EXPECT_GE(a, b)		ksft_compare(false, a, >=, b)
#define EXPECT_TRUE(x)		ksft_true(false, x)
#define EXPECT_FALSE(x)		ksft_true(false, !(x))
#define EXPECT_STREQ(a, b)	ksft_streq(false, a, b)
#define EXPECT_ERRNO(e, call)	ksft_errno(false, e, call)

#define TH_LOG(...)		ksft_log(__VA_ARGS__)

#define SKIP(statement, ...) do {					\
	snprintf(ksft.note->skip, sizeof(ksft.note->skip), __VA_ARGS__);	\
	ksft.skipped = true;						\
	statement;							\
} while (0)

#define FIXTURE(f)							\
	struct f##_variant;						\
	static struct ksft_fixture f##_fixture = {			\
		.tail = &f##_fixture.variants				\
	};								\
	struct f##_data

#define FIXTURE_VARIANT(f)	struct f##_variant

#define FIXTURE_VARIANT_ADD(f, v)					\
	static const struct f##_variant f##_##v;			\
	static void __attribute__((constructor)) f##_##v##_add(void)	\
	{								\
		static struct ksft_variant node = { #v, &f##_##v, NULL }; \
		*f##_fixture.tail = &node;				\
		f##_fixture.tail = &node.next;				\
	}								\
	static const struct f##_variant f##_##v =

/* Not inlined next to setjmp(): locals of a test are safe from it. */
#define ksft_body	static void __attribute__((noinline))

#define FIXTURE_SETUP(f)						\
	ksft_body f##_setup(struct f##_data *self __attribute__((unused)), \
			      const struct f##_variant *variant		\
			      __attribute__((unused)))

#define FIXTURE_TEARDOWN(f)						\
	ksft_body f##_teardown(struct f##_data *self __attribute__((unused)))

#define ksft_register(test, fixture_string, fix, limit)			\
	static void __attribute__((constructor)) test##_add(void)	\
	{								\
		static struct ksft_test node = {			\
			fixture_string, #test, fix, test##_run, limit, NULL \
		};							\
		if (!ksft.tail)						\
			ksft.tail = &ksft.tests;			\
		*ksft.tail = &node;					\
		ksft.tail = &node.next;					\
	}

#define TEST_F_TIMEOUT(f, t, limit)					\
	ksft_body f##_##t(struct f##_data *self,			\
			  const struct f##_variant *variant);		\
	static void f##_##t##_run(const void *variant)			\
	{								\
		static struct f##_data self;				\
		static bool set_up;					\
		ksft.env_set = true;					\
		if (!setjmp(ksft.env)) {				\
			f##_setup(&self, variant);			\
			set_up = true;					\
			if (!ksft.skipped)				\
				f##_##t(&self, variant);		\
		}							\
		ksft.env_set = false;					\
		if (set_up)						\
			f##_teardown(&self);				\
	}								\
	ksft_register(f##_##t, #f, &f##_fixture, limit)			\
	ksft_body f##_##t(struct f##_data *self __attribute__((unused)), \
			  const struct f##_variant *variant		\
			  __attribute__((unused)))

#define TEST_F(f, t)	TEST_F_TIMEOUT(f, t, KSFT_TIMEOUT_S)

#define TEST_TIMEOUT(t, limit)						\
	static void t(void);						\
	static void t##_run(const void *variant __attribute__((unused)))	\
	{								\
		t();							\
	}								\
	ksft_register(t, NULL, NULL, limit)				\
	static void t(void)

#define TEST(t)		TEST_TIMEOUT(t, KSFT_TIMEOUT_S)

/* "fixture.variant.test", "fixture.test" or "test". */
static inline void ksft_name(char *name, size_t size,
			     const struct ksft_test *test,
			     const struct ksft_variant *variant)
{
	const char *own = test->name;

	if (!test->fixture) {
		snprintf(name, size, "%s", own);
		return;
	}
	own += strlen(test->fixture_name) + 1;
	snprintf(name, size, "%s%s%s.%s", test->fixture_name,
		 variant ? "." : "", variant ? variant->name : "", own);
}

/* Wait for @pid to end, at most @ms; false if it did not. */
static inline bool ksft_wait(pid_t pid, int ms, int *status)
{
	struct pollfd p = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool ended;
	int n;

	do {
		n = poll(&p, 1, ms);
	} while (n < 0 && errno == EINTR);
	ended = n > 0;
	close(p.fd);
	return ended && waitpid(pid, status, 0) == pid;
}

static inline int ksft_run_one(const struct ksft_test *test,
			       const struct ksft_variant *variant,
			       unsigned int number, const char *name)
{
	unsigned int limit = test->timeout * ksft_scale();
	struct timespec start, end;
	bool late = false;
	int status = 0;
	pid_t pid;

	clock_gettime(CLOCK_MONOTONIC, &start);
	memset(ksft.note, 0, sizeof(*ksft.note));
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		printf("not ok %u %s # fork: %s\n", number, name, strerror(errno));
		return KSFT_FAIL;
	}
	if (!pid) {
		setpgid(0, 0);
		test->run(variant ? variant->data : NULL);
		exit(ksft.failed ? KSFT_FAIL :
		     ksft.skipped ? KSFT_SKIP : KSFT_PASS);
	}
	setpgid(pid, pid);
	if (!ksft_wait(pid, limit * 1000, &status)) {
		late = true;
		kill(-pid, SIGKILL);
		if (!ksft_wait(pid, 20000 * ksft_scale(), &status)) {
			printf("not ok %u %s # not finished in %u s\n", number,
			       name, limit);
			printf("Bail out! %s cannot be killed\n", name);
			exit(KSFT_FAIL);
		}
	}
	kill(-pid, SIGKILL);	/* children it left behind */
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (end.tv_sec - start.tv_sec > KSFT_SLOW_S)
		printf("# took %lld s\n", (long long)(end.tv_sec - start.tv_sec));

	if (late)
		printf("not ok %u %s # not finished in %u s\n", number, name,
		       limit);
	else if (WIFSIGNALED(status))
		printf("not ok %u %s # killed by signal %d (%s)\n", number, name,
		       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == KSFT_SKIP)
		printf("ok %u %s # SKIP %s\n", number, name, ksft.note->skip);
	else if (WEXITSTATUS(status) != KSFT_PASS)
		printf("not ok %u %s\n", number, name);
	else
		printf("ok %u %s\n", number, name);
	fflush(stdout);

	if (late || !WIFEXITED(status))
		return KSFT_FAIL;
	return WEXITSTATUS(status);
}

/* Walks tests x variants; with @run false only counts or lists them. */
static inline unsigned int ksft_walk(const char *pattern, bool run, bool list,
				     unsigned int *failed, unsigned int *skipped)
{
	const struct ksft_variant *v;
	const struct ksft_test *t;
	unsigned int n = 0;
	char name[300];
	int ret;

	for (t = ksft.tests; t; t = t->next) {
		v = t->fixture ? t->fixture->variants : NULL;
		do {
			ksft_name(name, sizeof(name), t, v);
			if (pattern && fnmatch(pattern, name, 0))
				continue;
			n++;
			if (list)
				puts(name);
			if (!run)
				continue;
			ret = ksft_run_one(t, v, n, name);
			*failed += ret != KSFT_PASS && ret != KSFT_SKIP;
			*skipped += ret == KSFT_SKIP;
		} while (v && (v = v->next));
	}
	return n;
}

static inline int ksft_main(int argc, char **argv)
{
	unsigned int failed = 0, skipped = 0, n;
	const char *pattern = NULL;
	bool list = false;
	int c;

	while ((c = getopt(argc, argv, "lt:")) != -1) {
		if (c == 'l') {
			list = true;
		} else if (c == 't') {
			pattern = optarg;
		} else {
			fprintf(stderr, "usage: %s [-l] [-t PATTERN] [ARGUMENT...]\n",
				argv[0]);
			return 2;
		}
	}
	ksft.argc = argc - optind;
	ksft.argv = argv + optind;
	n = ksft_walk(pattern, false, list, NULL, NULL);
	if (list)
		return 0;

	ksft.note = mmap(NULL, sizeof(*ksft.note), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ksft.note == MAP_FAILED)
		return KSFT_FAIL;
	printf("KTAP version 1\n1..%u\n", n);
	ksft_walk(pattern, true, false, &failed, &skipped);
	printf("# Totals: pass:%u fail:%u skip:%u\n", n - failed - skipped, failed,
	       skipped);
	if (!n)
		return KSFT_FAIL;
	return failed ? KSFT_FAIL : skipped == n ? KSFT_SKIP : KSFT_PASS;
}

#define TEST_HARNESS_MAIN						\
	int main(int argc, char **argv)					\
	{								\
		return ksft_main(argc, argv);				\
	}

#endif /* KSFT_H */
