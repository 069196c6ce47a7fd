// SPDX-License-Identifier: GPL-2.0
/* Operations with processes. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operations.h"

#ifndef PR_SET_TIER
#define PR_SET_TIER		0x54494552
#define PR_GET_TIER		0x54494553
#endif

#define CHILD_STEPS		100
#define CHILD_PAGES		128		/* that it verifies in the end */
#define READING_US		4000		/* at most, from page to page if it only reads */

/* While a child does, too. ktierd gets to see it. */
static void read_slowly(struct worker *me)
{
	for (int i = 0; i < CHILD_PAGES; i++) {
		verify(me, some_page(me));
		usleep(below(me, READING_US));
	}
}

/* All that the child has is a copy, and so is what it expects; or else both are shared. */
static void be_child(struct worker *me, bool only_read)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me->child = true;
	me->dice.state ^= 0x6368696c64ULL;
	if (only_read)
		read_slowly(me);
	for (int i = 0; i < CHILD_STEPS && !only_read; i++)
		step(me);
	for (int i = 0; i < CHILD_PAGES; i++)
		verify(me, below(me, me->region.pages));
	_exit(EXIT_SUCCESS);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid() failed (%s).", strerror(errno));
	return status;
}

static void end_child(struct worker *me, int status)
{
	if (!status)
		return;
	if (WIFSIGNALED(status))
		wrong(me, "a child was killed by signal %d", WTERMSIG(status));
	_exit(WEXITSTATUS(status));
}

/*
 * Go on beside the child, so that both write what they share until then. Of memory that
 * stays shared both read, or the child alone does all that it likes.
 */
bool do_fork(struct worker *me)
{
	bool only_read = is_shared(me) && below(me, 2);
	pid_t pid;

	record(me, me->region.pages);
	pid = fork();
	if (!pid)
		be_child(me, only_read);
	if (pid < 0)
		return false;
	if (only_read)
		read_slowly(me);
	for (int i = 0; i < CHILD_STEPS && !is_shared(me); i++)
		write_somehow(me, some_page(me));
	end_child(me, wait_for(pid));
	return true;
}

/* All of the process is marked and unmarked: of a child, as what is known must stay unmarked. */
bool do_process(struct worker *me)
{
	struct range all = { .first = 0, .pages = me->region.pages };

	if (prctl(PR_SET_TIER, 1, 0, 0, 0))
		return false;
	if (prctl(PR_GET_TIER, 0, 0, 0, 0) != 1)
		wrong(me, "PR_GET_TIER does not know of PR_SET_TIER");
	use_range(me, all);
	if (prctl(PR_SET_TIER, 0, 0, 0, 0) || prctl(PR_GET_TIER, 0, 0, 0, 0))
		wrong(me, "PR_SET_TIER 0 has failed");
	use_range(me, all);
	mark_memory(&me->region, me->region.base, me->region.pages * PAGE_SIZE);
	return true;
}

/* Core dumps */

/* Its pages are its own, and ktierd gets to see them, before it dumps some of them. */
static void be_dumped(struct worker *me, struct range range)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct range beside = {
		.first = (range.first + range.pages) % me->region.pages, .pages = 1,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me->child = true;
	for (unsigned int i = 0; i < option.threads; i++)
		madvise(workers[i].region.base, workers[i].region.pages * PAGE_SIZE,
			MADV_DONTDUMP);
	madvise(page_at(&me->region, range.first), range.pages * PAGE_SIZE, MADV_DODUMP);
	for (size_t i = range.first; i < range.first + range.pages; i++)
		fill(me, i);
	use_range(me, beside);
	setrlimit(RLIMIT_CORE, &unlimited);
	abort();
}

/* The same writes as the child's, to what is expected only. */
static void expect_dump(struct worker *me, struct range range, struct expected *expected)
{
	struct worker twin = *me;
	u64 *scratch = page_buffer(1);

	for (size_t i = 0; i < range.pages; i++) {
		expected[i] = me->region.expected[range.first + i];
		page_fill(scratch, &expected[i], page_id(me, range.first + i), draw(&twin));
	}
	free(scratch);
}

/* Where in the file an address is that was dumped, or -1. */
static off_t place_in_core(int core, u64 address)
{
	Elf64_Ehdr header;
	Elf64_Phdr part;

	if (pread(core, &header, sizeof(header), 0) != sizeof(header))
		return -1;
	for (unsigned int i = 0; i < header.e_phnum; i++) {
		if (pread(core, &part, sizeof(part), header.e_phoff + i * sizeof(part)) !=
		    sizeof(part))
			return -1;
		if (part.p_type == PT_LOAD && address >= part.p_vaddr &&
		    address + PAGE_SIZE <= part.p_vaddr + part.p_filesz)
			return part.p_offset + (address - part.p_vaddr);
	}
	return -1;
}

static void verify_core(struct worker *me, int core, struct range range,
			const struct expected *dumped)
{
	struct expected *expected = &me->region.expected[range.first];
	u64 *copy = page_buffer(1);

	for (size_t i = 0; i < range.pages; i++) {
		u64 address = (uintptr_t)page_at(&me->region, range.first + i);
		off_t where = place_in_core(core, address);
		struct expected before = expected[i];

		if (where < 0 || pread(core, copy, PAGE_SIZE, where) != PAGE_SIZE)
			wrong(me, "page %zu is not in the core dump", range.first + i);
		expected[i] = dumped[i];
		verify_copy(me, range.first + i, copy);
		expected[i] = before;
	}
	free(copy);
}

/* A child dies, and what is left of it is what it has written. */
bool do_core(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);
	struct expected dumped[MAX_RANGE];
	char path[4096];
	int status, core;
	pid_t pid;

	if (!option.core)
		return false;
	record_range(me, range);
	expect_dump(me, range, dumped);
	pid = fork();
	if (!pid)
		be_dumped(me, range);
	if (pid < 0)
		return false;
	status = wait_for(pid);
	if (damage_inside(me, IN_CORE))
		dumped[0].sum ^= 1;
	draw(me);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		wrong(me, "the child that was to be dumped ended with status %#x", status);
	snprintf(path, sizeof(path), "%s/core.%d", option.core, pid);
	core = open(path, O_RDONLY | O_CLOEXEC);
	if (core >= 0 && WCOREDUMP(status))
		verify_core(me, core, range, dumped);
	if (core >= 0)
		close(core);
	unlink(path);
	return core >= 0 && WCOREDUMP(status);
}
