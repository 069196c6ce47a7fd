// SPDX-License-Identifier: GPL-2.0
/* Run other programs and catch what they print. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktierctl.h"
#include "setup.h"

/* All that was written to a file, as a string. */
static char *take_text(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, size > 0 ? size + 1 : 1);

	if (!text || (size > 0 && pread(fd, text, size, 0) < 0))
		abort();
	close(fd);
	return text;
}

static int memory_file(void)
{
	int fd = memfd_create("output", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	return fd;
}

struct output run_tool(char *const argv[])
{
	struct output output = { .status = EXIT_NOT_EXECUTABLE };
	int out = memory_file(), err = memory_file();
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid)
		output.status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_NOT_EXECUTABLE;
	output.out = take_text(out);
	output.err = take_text(err);
	return output;
}

void output_free(struct output *output)
{
	free(output->out);
	free(output->err);
}

const char *last_words(struct output *output)
{
	static char words[256];
	char *line, *rest = output->err;

	snprintf(words, sizeof(words), "exit status %d", output->status);
	while ((line = strsep(&rest, "\n")))
		if (line[strspn(line, " \t")])
			snprintf(words, sizeof(words), "%s", line + strspn(line, " \t"));
	return words;
}
