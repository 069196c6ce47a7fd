// SPDX-License-Identifier: GPL-2.0
/*
 * mark: have ktierd look after a large buffer, and work in a tenth of it.
 *
 * Build with the kernel's headers of user space, or with the directory that has
 * linux/ktierd.h:  cc -I DIRECTORY mark.c -o mark
 *
 * usage: mark [MIB [SECONDS]]
 */
#include <errno.h>
#include <linux/ktierd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Can the running kernel do it? Without memory this asks and changes nothing. */
static int has_ktierd(void)
{
	return madvise(NULL, 0, MADV_TIER) == 0;
}

/*
 * Memory of which ktierd keeps in DRAM what is used, and in slow memory what is not.
 * Without ktierd it is memory as any other: a program needs no other way for that.
 * Tiering goes by pages; malloc() would put other things beside the buffer.
 */
static void *tiered_alloc(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	if (!has_ktierd()) {
		fprintf(stderr, "mark: this kernel has no ktierd, going on without\n");
		return mem;
	}
	/* EAGAIN: there was no memory for it just now. EINVAL: it can't be tiered. */
	if (madvise(mem, size, MADV_TIER))
		fprintf(stderr, "mark: the buffer is not marked (%s), going on without\n",
			strerror(errno));
	return mem;
}

/* How much of this process ktierd has found in the top tier and below, in KiB. */
static void print_where(void)
{
	FILE *file = fopen("/proc/self/ktierd_stat", "r");
	unsigned long top = 0, low = 0;
	char line[128];

	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "top_kb %lu", &top) != 1 &&
		    sscanf(line, "low_kb %lu", &low) == 1)
			break;
	fclose(file);
	printf("%lu KiB in the top tier, %lu KiB in lower tiers\n", top, low);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 256) << 20;
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 300), shown = 0;
	char *mem = size ? tiered_alloc(size) : NULL;
	long page = sysconf(_SC_PAGESIZE);

	if (!mem) {
		fprintf(stderr, "usage: mark [MIB [SECONDS]], with as many MiB as there are\n");
		return EXIT_FAILURE;
	}
	memset(mem, 1, size);
	do {
		for (size_t i = 0; i < size / 10; i += page)
			mem[i]++;
		if (time(NULL) < shown + 5)
			continue;
		shown = time(NULL);
		print_where();
	} while (time(NULL) < end);
	/* What is no longer of use to tier; munmap() alone would do here. */
	if (has_ktierd() && madvise(mem, size, MADV_NOTIER))
		perror("mark: MADV_NOTIER");
	munmap(mem, size);
	return EXIT_SUCCESS;
}
