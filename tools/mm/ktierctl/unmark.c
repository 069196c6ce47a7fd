// SPDX-License-Identifier: GPL-2.0
/* ktierctl unmark: what 'run --pid' has marked, or the process itself. */
#include <getopt.h>

#include "ktierctl.h"
#include "machine.h"
#include "mark.h"

static const struct option options[] = {
	{ "children", no_argument, NULL, 'c' },
	OPTION_HELP,
	OPTION_END
};

/* All that is left on the command line. */
static bool take_pids(struct pids *pids, char **argv)
{
	for (; *argv; argv++)
		if (!pids_add(pids, *argv))
			return false;
	return true;
}

static int run(const struct command *self, int argc, char **argv)
{
	int option, status = EXIT_REFUSED;
	struct pids pids = { 0 };
	bool children = false;

	while ((option = getopt_long(argc, argv, ":ch", options, NULL)) != -1) {
		if (option == 'h') {
			print_command_help(self);
			return EXIT_SUCCESS;
		}
		if (option != 'c')
			return wrong_option(self, option, argv);
		children = true;
	}
	if (optind == argc)
		complain("unmark needs the number of a process.");
	if (optind == argc || !take_pids(&pids, argv + optind)) {
		pids_free(&pids);
		return usage_error(self);
	}
	if (ktierd_is_there())
		status = mark_all(&pids, children, false);
	pids_free(&pids);
	return status;
}

const struct command command_unmark = {
	.name = "unmark",
	.synopsis = "unmark [--children] PID[,PID...]...",
	.summary = "take the marks off the memory that a running process has now",
	.text =
"ktierd leaves the memory of these processes alone. Its pages stay where they\n"
"are.\n"
"\n"
"  -c, --children  also that of the processes they have started\n"
"  -h, --help      show this\n"
"\n"
"A program that was started by 'ktierctl run -- PROGRAM' still has marked what it\n"
"maps later, and so may one that marks its memory itself. The permissions needed\n"
"are those of 'ktierctl run --pid'.\n"
"\n"
"The exit status is 0 if all were unmarked; 125 if the kernel has no ktierd or\n"
"did not do it for some process; 2 after a usage error.\n",
	.run = run,
};
