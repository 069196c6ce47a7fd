// SPDX-License-Identifier: GPL-2.0
/* What persistent memory and which DAX devices there are, as ndctl and daxctl list them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ktierctl.h"
#include "setup.h"

#define ND_DEVICES	"/sys/bus/nd/devices"
#define DAX_DEVICES	"/sys/bus/dax/devices"

/* For names and the like. */
static void get_text(struct json_object *object, const char *key, char *text, int size)
{
	struct json_object *value;

	text[0] = '\0';
	if (json_object_object_get_ex(object, key, &value) && json_object_get_string(value))
		snprintf(text, size, "%s", json_object_get_string(value));
}

static long long get_number(struct json_object *object, const char *key, long long otherwise)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		return otherwise;
	return json_object_get_int64(value);
}

/* The array below a key, or NULL. */
static struct json_object *get_array(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_array))
		return NULL;
	return value;
}

static int length_of(struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

/* Room for one more at the end of an array, of which this is the size of each. */
static void *add_to(void **array, int *number, size_t size)
{
	char *added;

	*array = realloc(*array, (*number + 1) * size);
	if (!*array)
		abort();
	added = (char *)*array + (*number)++ * size;
	return memset(added, 0, size);
}

static void add_dax(struct devices *devices, struct json_object *object)
{
	struct dax *dax = add_to((void **)&devices->dax, &devices->nr_dax, sizeof(*dax));
	char mode[32];

	get_text(object, "chardev", dax->name, sizeof(dax->name));
	get_text(object, "mode", mode, sizeof(mode));
	dax->size = get_number(object, "size", 0);
	dax->align = get_number(object, "align", 2 << 20);
	dax->node = get_number(object, "target_node", -1);
	dax->memory = !strcmp(mode, "system-ram");
	dax->movable = get_number(object, "movable", 1);
	dax->blocks = get_number(object, "total_memblocks", 0);
	dax->online = get_number(object, "online_memblocks", 0);
}

static void add_namespace(struct devices *devices, const char *region,
			  struct json_object *object)
{
	struct namespace *namespace;
	char state[32];

	/* That of size 0 is not one yet. */
	if (!get_number(object, "size", 0))
		return;
	namespace = add_to((void **)&devices->namespaces, &devices->nr_namespaces,
			   sizeof(*namespace));
	snprintf(namespace->region, sizeof(namespace->region), "%s", region);
	get_text(object, "dev", namespace->name, sizeof(namespace->name));
	get_text(object, "mode", namespace->mode, sizeof(namespace->mode));
	get_text(object, "blockdev", namespace->block, sizeof(namespace->block));
	get_text(object, "chardev", namespace->dax, sizeof(namespace->dax));
	get_text(object, "state", state, sizeof(state));
	namespace->size = get_number(object, "size", 0);
	namespace->enabled = strcmp(state, "disabled") != 0;
}

static void add_region(struct devices *devices, struct json_object *object)
{
	struct json_object *namespaces = get_array(object, "namespaces");
	struct region *region;

	region = add_to((void **)&devices->regions, &devices->nr_regions, sizeof(*region));
	get_text(object, "dev", region->name, sizeof(region->name));
	region->available = get_number(object, "max_available_extent",
				       get_number(object, "available_size", 0));
	for (int i = 0; i < length_of(namespaces); i++)
		add_namespace(devices, region->name, json_object_array_get_idx(namespaces, i));
}

static void add_regions(struct devices *devices, struct json_object *list)
{
	struct json_object *regions;

	/* Without DIMMs the list is the regions. */
	regions = json_object_is_type(list, json_type_array) ? list :
		  get_array(list, "regions");
	for (int i = 0; i < length_of(regions); i++)
		add_region(devices, json_object_array_get_idx(regions, i));
}

static void add_dax_devices(struct devices *devices, struct json_object *list)
{
	if (!json_object_is_type(list, json_type_array))
		return;
	for (int i = 0; i < length_of(list); i++)
		add_dax(devices, json_object_array_get_idx(list, i));
}

/* Is there anything of this kind, such as "region0"? */
static bool any_device(const char *path, const char *kind)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = !strncmp(entry->d_name, kind, strlen(kind));
	if (dir)
		closedir(dir);
	return found;
}

/* Run a tool that lists devices as JSON. False after complaining. */
static bool read_list(struct devices *devices, char *const argv[],
		      void (*add)(struct devices *devices, struct json_object *list))
{
	struct output output = run_tool(argv);
	struct json_object *json = NULL;
	bool good = !output.status;

	if (output.status == EXIT_NOT_FOUND)
		complain("%s is needed here and not installed: apt install %s", argv[0], argv[0]);
	else if (!good)
		complain("'%s list' failed: %s", argv[0], last_words(&output));
	/* With nothing to list there is no output. */
	if (good && output.out[0]) {
		json = json_tokener_parse(output.out);
		if (!json)
			complain("what '%s list' printed is no JSON.", argv[0]);
		good = json;
	}
	if (json)
		add(devices, json);
	json_object_put(json);
	output_free(&output);
	return good;
}

bool devices_find(struct devices *devices)
{
	static char *const ndctl[] = { "ndctl", "list", "-RNDi", NULL };
	static char *const daxctl[] = { "daxctl", "list", NULL };
	bool regions = any_device(ND_DEVICES, "region");

	*devices = (struct devices) { };
	if (regions && !read_list(devices, ndctl, add_regions))
		return false;
	if (!regions && !any_device(DAX_DEVICES, "dax"))
		return true;
	return read_list(devices, daxctl, add_dax_devices);
}

void devices_free(struct devices *devices)
{
	free(devices->dax);
	free(devices->namespaces);
	free(devices->regions);
}

struct dax *dax_find(const struct devices *devices, const char *name)
{
	for (int i = 0; i < devices->nr_dax; i++)
		if (!strcmp(devices->dax[i].name, name))
			return &devices->dax[i];
	return NULL;
}

bool find_seed(const char *region, char *name, int size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), ND_DEVICES "/%s/namespace_seed", region);
	return read_line(path, name, size) && name[0];
}
