// SPDX-License-Identifier: GPL-2.0
/*
 * Loaded by GNU make for "make vm": make ends with 2 whatever the status of a
 * failed command was. With this it ends with the status that the recipe left in
 * build/status.PID, where PID is that of make.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int plugin_is_GPL_compatible;

static pid_t make;

static void exit_with_status(void)
{
	char name[64];
	int status;
	FILE *file;

	if (getpid() != make)
		return;
	snprintf(name, sizeof(name), "build/status.%d", make);
	file = fopen(name, "r");
	if (!file)
		return;
	if (fscanf(file, "%d", &status) != 1)
		status = 2;
	unlink(name);
	fflush(NULL);
	_exit(status);
}

int exit_status_gmk_setup(void);
int exit_status_gmk_setup(void)
{
	make = getpid();
	return atexit(exit_with_status) == 0;
}
