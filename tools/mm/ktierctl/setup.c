// SPDX-License-Identifier: GPL-2.0
/* ktierctl setup-node: make a memory node of persistent or CXL memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "format.h"
#include "ktierctl.h"
#include "setup.h"

static int setup_node(const struct command *self, int argc, char **argv);

const struct command command_setup_node = {
	.name = "setup-node",
	.synopsis = "setup-node [--dry-run] [--force] [DEVICE...]",
	.summary = "make a memory node of persistent memory or CXL memory",
	.text =
"  -n, --dry-run  print what would be run, and run nothing\n"
"  -f, --force    take also what holds data, which is DESTROYED\n"
"  -h, --help     show this\n"
"\n"
"DEVICE is a DAX device (dax0.0), a namespace (namespace0.0) or a region\n"
"(region0), as 'daxctl list' and 'ndctl list -RNi' name them; without any, all\n"
"that there are.\n"
"\n"
"Persistent memory is made a DAX device by ndctl. DAX devices, which CXL memory\n"
"and memory that the firmware has set aside have from the start, are made memory\n"
"by daxctl, so that they can be given back. What is memory already stays so.\n"
"Nothing is asked. After a boot it is a DAX device still, but not memory: run\n"
"this again.\n"
"\n"
"What is mounted, swap, part of a volume or array, or open in a process is never\n"
"taken. Without --force neither is what has a file system or another signature\n"
"that blkid knows, or a PMDK pool; what is not all zero in its first 16 MiB, but\n"
"for DAX devices, which keep what was in memory; and what can't be looked into.\n"
"\n"
"To go back: daxctl reconfigure-device --mode=devdax --force dax0.0\n"
"\n"
"Exit status: 0 all that was asked for is memory in a lower tier, or would be;\n"
"without DEVICE, something is; 1 not so; 2 wrong usage.\n",
	.run = setup_node,
};

#define AUTO_ONLINE	"/sys/devices/system/memory/auto_online_blocks"

/* Less than this is what was left over, and not worth a node. */
#define LEAST_REGION	(256U << 20)

struct setup {
	bool dry;
	bool force;
	char **wanted;		/* names, or none for all */
	int nr_wanted;
	bool *found;		/* of the wanted ones */
	int nodes;		/* that are there, or would be */
	int failed;
};

static struct text size_of(u64 bytes)
{
	return size_text(bytes / 1024);
}

/* Was it asked for, by one of its names? */
static bool is_wanted(struct setup *setup, const char *name, const char *region)
{
	bool wanted = !setup->nr_wanted;

	for (int i = 0; i < setup->nr_wanted; i++) {
		if (strcmp(setup->wanted[i], name) && strcmp(setup->wanted[i], region))
			continue;
		setup->found[i] = true;
		wanted = true;
	}
	return wanted;
}

static void print_command(char *const argv[])
{
	printf(" ");
	for (int i = 0; argv[i]; i++)
		printf(" %s", argv[i]);
	putchar('\n');
}

/* Run one of the tools, or only say so. False after complaining. */
static bool run(const struct setup *setup, const char *first, ...)
{
	char *argv[8] = { (char *)first };
	struct output output;
	va_list more;
	bool good;

	va_start(more, first);
	for (size_t i = 1; i < ARRAY_SIZE(argv) - 1; i++) {
		argv[i] = va_arg(more, char *);
		if (!argv[i])
			break;
	}
	va_end(more);
	print_command(argv);
	if (setup->dry)
		return true;
	output = run_tool(argv);
	good = !output.status;
	if (output.status == EXIT_NOT_FOUND)
		complain("%s is not installed: apt install %s", first, first);
	else if (!good)
		complain("%s failed: %s", first, last_words(&output));
	output_free(&output);
	return good;
}

/* What the kernel does with new memory by itself. False after complaining. */
static bool set_policy(const struct setup *setup, const char *policy)
{
	bool good;
	int fd;

	printf("  echo %s > " AUTO_ONLINE "\n", policy);
	if (setup->dry)
		return true;
	fd = open(AUTO_ONLINE, O_WRONLY | O_CLOEXEC);
	good = fd >= 0 && write(fd, policy, strlen(policy)) > 0;
	if (!good)
		complain(AUTO_ONLINE " can't be written (%s).", strerror(errno));
	if (fd >= 0)
		close(fd);
	return good;
}

/*
 * Where the kernel brings new memory online by itself it would not be movable, that is,
 * it might be full of what can't be moved away, and could not be given back.
 */
static bool make_memory(const struct setup *setup, const char *dax)
{
	char policy[32] = "offline";
	bool other, good;

	read_line(AUTO_ONLINE, policy, sizeof(policy));
	other = strcmp(policy, "offline") != 0;
	if (other && !set_policy(setup, "offline"))
		return false;
	good = run(setup, "daxctl", "reconfigure-device", "--mode=system-ram", "--movable", dax,
		   NULL);
	if (other && !set_policy(setup, policy))
		return false;
	return good;
}

static void print_top_tier(const struct machine *machine)
{
	const char *comma = "";

	printf("the top tier is");
	for (int i = 0; i < machine->nr_nodes; i++) {
		if (machine->nodes[i].lower)
			continue;
		printf("%s node %d (tier %d)", comma, machine->nodes[i].id,
		       machine->nodes[i].tier);
		comma = ",";
	}
	puts(".");
}

/* Is the node there, and in a lower tier? */
static bool check_node(int id)
{
	struct machine machine;
	const struct node *node = NULL;
	bool lower;

	machine_read(&machine);
	for (int i = 0; i < machine.nr_nodes; i++)
		if (machine.nodes[i].id == id)
			node = &machine.nodes[i];
	lower = node && node->lower;
	if (!node) {
		complain("node %d has no memory; 'dmesg' may tell why it did not come online.", id);
	} else if (!lower) {
		complain("node %d is not in a lower tier: the firmware calls it as fast as DRAM.",
			 id);
	} else {
		printf("node %d: %s in tier %d, a lower one; ", id, size_text(node->size_kb).s,
		       node->tier);
		print_top_tier(&machine);
	}
	machine_free(&machine);
	return lower;
}

/* After the tools have run: is it memory now, and where? */
static bool check_dax(const char *name)
{
	struct devices devices;
	struct dax *dax;
	bool good = false;

	if (!devices_find(&devices))
		return false;
	dax = dax_find(&devices, name);
	if (!dax || !dax->memory)
		complain("%s is no memory even so; see 'daxctl list' and 'dmesg'.", name);
	else if (dax->online < dax->blocks)
		complain("%s: only %d of its %d blocks are online; see 'dmesg'.", name,
			 dax->online, dax->blocks);
	else
		good = check_node(dax->node);
	devices_free(&devices);
	return good;
}

static void count(struct setup *setup, bool good)
{
	if (good)
		setup->nodes++;
	else
		setup->failed++;
}

/*
 * May it be taken? If not, says why. Who did not ask for this very one is no worse off
 * if it is left alone.
 */
static bool may_take(struct setup *setup, const char *name, enum holds holds, const char *words)
{
	if (holds == NOTHING)
		return true;
	if (holds == DATA && setup->force) {
		printf("%s %s, which --force gives up.\n", name, words);
		return true;
	}
	if (holds == DATA)
		complain("%s %s and is left alone; --force takes it and DESTROYS what it holds.",
			 name, words);
	else
		complain("%s %s and is left alone.", name, words);
	setup->failed += setup->nr_wanted > 0;
	return false;
}

static void set_up_dax(struct setup *setup, const struct dax *dax)
{
	enum holds holds;
	char words[256];
	bool good;

	if (dax->memory && dax->online == dax->blocks) {
		printf("%s (%s) is memory already.\n", dax->name, size_of(dax->size).s);
		count(setup, check_node(dax->node));
		return;
	}
	holds = dax->memory ? NOTHING : dax_holds(dax, words, sizeof(words));
	if (!may_take(setup, dax->name, holds, words))
		return;
	if (dax->memory) {
		printf("%s is memory, but only %d of its %d blocks are online:\n",
		       dax->name, dax->online, dax->blocks);
		good = run(setup, "daxctl", "online-memory", dax->name, NULL);
	} else {
		printf("%s (%s, DAX device) is made memory:\n", dax->name, size_of(dax->size).s);
		good = make_memory(setup, dax->name);
	}
	count(setup, good && (setup->dry || check_dax(dax->name)));
}

/* The DAX device of a namespace has its numbers. */
static void dax_name_of(const char *namespace, char *dax, int size)
{
	snprintf(dax, size, "dax%s", namespace + strcspn(namespace, "0123456789"));
}

static bool is_devdax(const struct namespace *namespace)
{
	return !strcmp(namespace->mode, "devdax");
}

static void set_up_namespace(struct setup *setup, const struct namespace *namespace)
{
	char words[256], dax[32], what[64];
	bool good;

	/* Its contents are nobody's as long as it is disabled. */
	if (!is_devdax(namespace) &&
	    !may_take(setup, namespace->name, namespace_holds(namespace, words, sizeof(words)),
		      words))
		return;
	dax_name_of(namespace->name, dax, sizeof(dax));
	printf("%s (%s, %s) is made a DAX device, and then memory:\n", namespace->name,
	       size_of(namespace->size).s, namespace->mode);
	snprintf(what, sizeof(what), "--reconfig=%s", namespace->name);
	if (is_devdax(namespace))
		good = run(setup, "ndctl", "enable-namespace", namespace->name, NULL);
	else
		good = run(setup, "ndctl", "create-namespace", "--mode=devdax", what, "--force",
			   NULL);
	good = good && make_memory(setup, dax);
	count(setup, good && (setup->dry || check_dax(dax)));
}

static void set_up_region(struct setup *setup, const struct region *region)
{
	char seed[32], dax[32], what[64];
	bool good;

	if (!find_seed(region->name, seed, sizeof(seed)))
		return;
	dax_name_of(seed, dax, sizeof(dax));
	printf("%s has %s in no namespace; that is made a DAX device, and then memory:\n",
	       region->name, size_of(region->available).s);
	snprintf(what, sizeof(what), "--region=%s", region->name);
	good = run(setup, "ndctl", "create-namespace", "--mode=devdax", what, NULL) &&
	       make_memory(setup, dax);
	count(setup, good && (setup->dry || check_dax(dax)));
}

/* The namespace that a DAX device is, or NULL. */
static const struct namespace *namespace_of(const struct devices *devices, const struct dax *dax)
{
	for (int i = 0; i < devices->nr_namespaces; i++)
		if (!strcmp(devices->namespaces[i].dax, dax->name))
			return &devices->namespaces[i];
	return NULL;
}

static bool dax_is_wanted(struct setup *setup, const struct devices *devices,
			  const struct dax *dax)
{
	const struct namespace *namespace = namespace_of(devices, dax);
	bool wanted = is_wanted(setup, dax->name, dax->name);

	/* All of its names are those of something that is there. */
	if (namespace && is_wanted(setup, namespace->name, namespace->region))
		wanted = true;
	return wanted;
}

static void set_up_all(struct setup *setup, const struct devices *devices)
{
	for (int i = 0; i < devices->nr_dax; i++)
		if (dax_is_wanted(setup, devices, &devices->dax[i]))
			set_up_dax(setup, &devices->dax[i]);
	for (int i = 0; i < devices->nr_namespaces; i++) {
		const struct namespace *namespace = &devices->namespaces[i];

		/* One that has a DAX device was among these. */
		if (is_wanted(setup, namespace->name, namespace->region) &&
		    !(is_devdax(namespace) && dax_find(devices, namespace->dax)))
			set_up_namespace(setup, namespace);
	}
	for (int i = 0; i < devices->nr_regions; i++) {
		const struct region *region = &devices->regions[i];

		if (is_wanted(setup, region->name, region->name) &&
		    region->available >= LEAST_REGION)
			set_up_region(setup, region);
	}
}

/* What was asked for and is not there. */
static void complain_of_missing(struct setup *setup)
{
	for (int i = 0; i < setup->nr_wanted; i++) {
		if (setup->found[i])
			continue;
		complain("there is no '%s'; see 'daxctl list' and 'ndctl list -RNi'.",
			 setup->wanted[i]);
		setup->failed++;
	}
}

static int set_up(struct setup *setup)
{
	struct devices devices;

	if (!devices_find(&devices))
		return EXIT_FAILURE;
	if (!setup->nr_wanted && !devices.nr_dax && !devices.nr_namespaces &&
	    !devices.nr_regions)
		complain("there is neither persistent memory (NVDIMM) nor a DAX device (CXL).\n"
			 "The kernel may tell of some: dmesg | grep -iE 'nfit|pmem|cxl|hmem'");
	set_up_all(setup, &devices);
	complain_of_missing(setup);
	devices_free(&devices);
	return setup->failed || !setup->nodes ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct option options[] = {
	{ "dry-run", no_argument, NULL, 'n' },
	{ "force", no_argument, NULL, 'f' },
	OPTION_HELP,
	OPTION_END,
};

/* Returns -1, or what to exit with. */
static int parse_options(const struct command *self, struct setup *setup, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, ":nfh", options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return wrong_option(self, option, argv);
		if (option == 'h') {
			print_command_help(self);
			return EXIT_SUCCESS;
		}
		setup->dry |= option == 'n';
		setup->force |= option == 'f';
	}
	setup->wanted = argv + optind;
	setup->nr_wanted = argc - optind;
	for (int i = 0; i < setup->nr_wanted; i++)
		if (!strncmp(setup->wanted[i], "/dev/", 5))
			setup->wanted[i] += 5;
	return -1;
}

static int setup_node(const struct command *self, int argc, char **argv)
{
	struct setup setup = { };
	int status = parse_options(self, &setup, argc, argv);

	if (status >= 0)
		return status;
	if (geteuid()) {
		complain("setup-node needs root, to look into devices and to change them.");
		return EXIT_FAILURE;
	}
	setup.found = calloc(setup.nr_wanted + 1, sizeof(*setup.found));
	if (!setup.found)
		abort();
	status = set_up(&setup);
	free(setup.found);
	return status;
}
