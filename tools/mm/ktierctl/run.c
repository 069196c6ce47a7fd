// SPDX-License-Identifier: GPL-2.0
/* ktierctl run: a program, or what is running, with all of its memory tiered. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ktierctl.h"
#include "machine.h"
#include "mark.h"

#ifndef PR_SET_TIER
#define PR_SET_TIER	0x54494552
#endif

static const struct option options[] = {
	{ "pid", required_argument, NULL, 'p' },
	{ "children", no_argument, NULL, 'c' },
	OPTION_HELP,
	OPTION_END
};

/* Things that keep ktierd from moving anything but not a program from running. */
static void warn_if_idle(void)
{
	u64 enabled;

	if (read_number(KTIERD_DIR "/enabled", &enabled) && !enabled)
		complain("ktierd is switched off, so no page moves until root does this:\n"
			 "  echo 1 > " KTIERD_DIR "/enabled");
	if (!has_lower_tier())
		complain("this machine has no memory node in a lower tier, so no page moves.\n"
			 "'ktierctl setup-node' makes one of persistent or CXL memory, if there is any.");
}

static int tier_this_process(void)
{
	if (!prctl(PR_SET_TIER, 1, 0, 0, 0))
		return 0;
	if (errno == EINVAL)
		complain("the running kernel has no ktierd; boot one built with CONFIG_KTIERD=y.");
	else
		complain("the kernel refused to tier this process (%s); see its log, 'dmesg'.",
			 strerror(errno));
	return EXIT_REFUSED;
}

static int run_program(char **argv)
{
	int error = tier_this_process();

	if (error)
		return error;
	warn_if_idle();
	execvp(argv[0], argv);
	if (errno == ENOENT) {
		complain("'%s' was not found; check the name or give its path.", argv[0]);
		return EXIT_NOT_FOUND;
	}
	complain("'%s' could not be executed (%s); check that it is a program and its permissions.",
		 argv[0], strerror(errno));
	return EXIT_NOT_EXECUTABLE;
}

static int mark_processes(struct pids *pids, bool children)
{
	int status = EXIT_REFUSED;

	if (ktierd_is_there()) {
		status = mark_all(pids, children, true);
		warn_if_idle();
	}
	pids_free(pids);
	return status;
}

static int execute(const struct command *self, int argc, char **argv)
{
	struct pids pids = { 0 };
	bool children = false;
	int option;

	while ((option = getopt_long(argc, argv, "+:p:ch", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			if (!pids_add(&pids, optarg)) {
				pids_free(&pids);
				return usage_error(self);
			}
			break;
		case 'c':
			children = true;
			break;
		case 'h':
			print_command_help(self);
			return EXIT_SUCCESS;
		default:
			return wrong_option(self, option, argv);
		}
	}
	if (pids.number && optind == argc)
		return mark_processes(&pids, children);
	if (!pids.number && !children && optind < argc)
		return run_program(argv + optind);
	pids_free(&pids);
	complain("run needs either the name of a program or --pid, and --children needs --pid.");
	return usage_error(self);
}

const struct command command_run = {
	.name = "run",
	.synopsis = "run [--] PROGRAM [ARGUMENT...]\n"
		    "run [--children] --pid PID[,PID...]",
	.summary = "run a program, or a running process, with all of its memory tiered",
	.text =
"All memory of PROGRAM, heap and stack included, is left to ktierd, and so is\n"
"that of every process it starts. The program itself needs no change.\n"
"\n"
"  -p, --pid PID[,PID...]  mark the memory that these processes have now\n"
"  -c, --children          and that of the processes they have started\n"
"  -h, --help              show this\n"
"\n"
"With --pid only mappings that are there now are marked. What the process maps\n"
"later is not, nor is a program that it executes. Processes that it forks have\n"
"its marks. A line for each process tells how much was marked, and what was\n"
"passed over because it can't be tiered. 'ktierctl unmark' undoes it.\n"
"\n"
"--pid needs CAP_SYS_NICE and the right to trace the process: be root.\n"
"\n"
"The exit status is that of PROGRAM; 127 if it was not found, 126 if it could\n"
"not be executed, 125 if the kernel has no ktierd or did not mark the memory of a\n"
"process, 2 after a usage error.\n",
	.run = execute,
};
