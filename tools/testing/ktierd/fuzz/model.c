// SPDX-License-Identifier: GPL-2.0
/* What tierfuzz knows of the arena, and whether the kernel has it so. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "fuzz.h"

bool kind_is_tierable(enum kind kind)
{
	return kind != DROPPABLE && kind != SECRET;
}

/* The pages of the arena that a span, which may go beyond it, has a part of. */
static size_t first_page(struct span span)
{
	if (span.addr >= ARENA_END)
		return ARENA_PAGES;
	return span.addr < ARENA ? 0 : (span.addr - ARENA) / PAGE_SIZE;
}

static size_t end_page(struct span span)
{
	unsigned long end = span.addr + span.length;

	if (end <= ARENA)
		return 0;
	return end >= ARENA_END ? ARENA_PAGES : (end - ARENA + PAGE_SIZE - 1) / PAGE_SIZE;
}

static bool goes_beyond(struct span span)
{
	return span.length && (span.addr < ARENA || span.addr + span.length > ARENA_END);
}

void model_set(struct model *model, struct span span, enum kind kind, bool mark)
{
	for (size_t i = first_page(span); i < end_page(span); i++) {
		model->page[i].kind = kind;
		model->page[i].mark = kind != NOTHING && mark;
	}
}

bool model_has_hole(const struct model *model, struct span span)
{
	for (size_t i = first_page(span); i < end_page(span); i++)
		if (model->page[i].kind == NOTHING)
			return true;
	return goes_beyond(span);
}

bool model_is_empty(const struct model *model, struct span span)
{
	for (size_t i = first_page(span); i < end_page(span); i++)
		if (model->page[i].kind != NOTHING)
			return false;
	return true;
}

int model_advise(struct model *model, struct span span, int advice)
{
	for (size_t i = first_page(span); i < end_page(span); i++) {
		enum kind kind = model->page[i].kind;

		if (kind == NOTHING)
			continue;
		if (advice == MADV_TIER && !kind_is_tierable(kind) && damage != REFUSAL_IGNORED)
			return EINVAL;
		model->page[i].mark = advice == MADV_TIER && damage != MARK_FORGOTTEN;
	}
	return model_has_hole(model, span) && damage != HOLE_IGNORED ? ENOMEM : 0;
}

void model_set_process(struct model *model, bool on)
{
	model->process = on;
	for (size_t i = 0; i < ARENA_PAGES; i++) {
		if (!on)
			model->page[i].mark = false;
		else if (model->page[i].kind != NOTHING && kind_is_tierable(model->page[i].kind))
			model->page[i].mark = true;
	}
}

/* A mapping, as smaps has it. */
struct found {
	unsigned long start, end;
	bool mark, droppable;
	char name[64];
};

static FILE *open_smaps(pid_t pid)
{
	char path[32] = "/proc/self/smaps";
	FILE *smaps;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	smaps = fopen(path, "re");
	if (!smaps)
		fail("cannot read %s (%s).", path, strerror(errno));
	return smaps;
}

static bool has_flag(const char *flags, const char *flag)
{
	return !!strstr(flags, flag);
}

static bool next_mapping(FILE *smaps, struct found *found)
{
	unsigned long start, end;
	char line[512];
	int name;

	memset(found, 0, sizeof(*found));
	while (fgets(line, sizeof(line), smaps)) {
		name = 0;
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &start, &end, &name) == 2) {
			found->start = start;
			found->end = end;
			line[strcspn(line, "\n")] = '\0';
			snprintf(found->name, sizeof(found->name), "%.60s", line + name);
		}
		if (strncmp(line, "VmFlags:", 8))
			continue;
		found->mark = has_flag(line, " ti");
		found->droppable = has_flag(line, " dp");
		return true;
	}
	return false;
}

static const char *describe(bool mapped, bool mark)
{
	if (!mapped)
		return "not mapped";
	return mark ? "marked" : "not marked";
}

/* What is found of the arena, as a model: of any kind. */
static void look(struct model *seen, pid_t pid)
{
	FILE *smaps = open_smaps(pid);
	struct found found;

	memset(seen, 0, sizeof(*seen));
	while (next_mapping(smaps, &found))
		if (found.start < ARENA_END && found.end > ARENA)
			model_set(seen, (struct span){
				.addr = found.start, .length = found.end - found.start,
			}, ANONYMOUS, found.mark);
	fclose(smaps);
}

void model_compare(const struct model *model, pid_t pid)
{
	struct model seen;

	look(&seen, pid);
	for (size_t i = 0; i < ARENA_PAGES; i++) {
		bool mapped = model->page[i].kind != NOTHING;
		bool is_mapped = seen.page[i].kind != NOTHING;

		if (mapped != is_mapped || model->page[i].mark != seen.page[i].mark)
			wrong("page %zu%s is %s, not %s", i, pid ? " of another process" : "",
			      describe(is_mapped, seen.page[i].mark),
			      describe(mapped, model->page[i].mark));
	}
}

void model_take_holes(struct model *model, struct span span)
{
	struct model seen;

	look(&seen, 0);
	for (size_t i = first_page(span); i < end_page(span); i++)
		if (seen.page[i].kind == NOTHING)
			model_set(model, (struct span){
				.addr = ARENA + i * PAGE_SIZE, .length = PAGE_SIZE,
			}, NOTHING, false);
}

void model_check_unknown(bool process_was_on)
{
	FILE *smaps = open_smaps(0);
	struct found found;

	while (next_mapping(smaps, &found)) {
		bool in_arena = found.start < ARENA_END && found.end > ARENA;

		if (!found.mark || process_was_on)
			continue;
		if (!in_arena)
			wrong("%lx-%lx %s is marked, out of the arena", found.start, found.end,
			      found.name);
		if (found.droppable || strstr(found.name, "secretmem"))
			wrong("%lx-%lx %s is marked, and can't be tiered", found.start,
			      found.end, found.name);
	}
	fclose(smaps);
}

void model_check_none_marked(void)
{
	FILE *smaps = open_smaps(0);
	struct found found;

	while (next_mapping(smaps, &found))
		if (found.mark)
			wrong("%lx-%lx %s is still marked", found.start, found.end, found.name);
	fclose(smaps);
}
