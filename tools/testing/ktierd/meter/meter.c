// SPDX-License-Identifier: GPL-2.0
/*
 * meter: a plugin for QEMU's TCG that counts the guest's loads and stores by
 * the tier of the memory they go to.
 *
 *	-plugin meter.so,out=FILE[,pages=FILE][,cache=KIB][,verify=1]
 *
 * out=FILE	gets a line of JSON at each mark that a program in the guest sets
 * pages=FILE	gets the counts by page at each snapshot
 * cache=KIB	size of the modelled cache, a power of two (1024); 0: none
 * verify=1	ask QEMU at each access and report if it is not where it was
 *
 * It does nothing until a program in the guest says so: mark.h has the channel,
 * and meterctl speaks it for scripts.
 *
 * An access is one that QEMU makes: a vector may be loaded in two. Fetching
 * instructions, walking page tables, devices' own accesses and those to devices
 * do not count, and an instruction that atomically reads and writes counts as
 * one store where QEMU has it done by the host atomically (with -smp 2 or more
 * and a thread for each), and as a load and a store else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"
#define METER_PLUGIN
#include "mark.h"

typedef uint32_t u32;
typedef uint64_t u64;

#define CACHE_LINE		64	/* the host's */
#define LINE_SHIFT		6	/* of the modelled cache */
#define CACHE_WAYS		8
#define MAX_CACHE_KIB		1048576
#define TLB_ENTRIES		1024	/* what a vCPU keeps, see struct translation */
#define MAX_RANGES		32
#define MAX_MESSAGES		64
#define MAX_ERRORS		20	/* that are told; more are not */
#define MAX_WATCH		0x10000000000UL

#define ARRAY_SIZE(x)	(sizeof(x) / sizeof((x)[0]))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

PLUGIN_EXPORT int qemu_plugin_version = METER_API;

/* By what the second index is: 0 loads, 1 stores. */
struct tally {
	u64 access[2];
	u64 miss[2];
};

/*
 * Asking QEMU for the physical address costs more than all the rest, and so it
 * is kept for a page until the guest does what an x86 guest has to do before it
 * may use the page's address for another one: write to a control register or
 * invalidate the page. See is_flush().
 */
struct translation {
	u64 tag;	/* virtual address of a page | generation */
	u64 value;	/* address of the page | tier */
};

/*
 * With one thread for all vCPUs (-icount), QEMU 10.0 tells a callback the vCPU
 * that the code was translated for and not the one that runs it: what is kept
 * may be another one's. But there asking is cheap. Counts are sums over all
 * vCPUs and don't suffer; the modelled caches do, if several vCPUs are busy.
 */
#define KEEP_TRANSLATIONS	(METER_API < 3)

#define PAGE_MASK	(~(METER_PAGE_SIZE - 1))
#define NO_MEMORY	(~0ULL)

/* Lines of the modelled cache that share a place, by when they were used last. */
struct cache_set {
	u32 line[CACHE_WAYS];	/* 0: none */
};

/*
 * What one vCPU counts. Only the thread that runs the vCPU writes here, so there
 * is nothing to lock; the counts never go back, so that anyone may read them.
 */
struct vcpu {
	alignas(CACHE_LINE) struct tally user[METER_TIERS];
	struct tally kernel[METER_TIERS];
	struct tally watched[METER_TIERS];
	struct cache_set *cache;
	u64 generation;		/* of translations, from 1 to ~PAGE_MASK */
	struct translation tlb[TLB_ENTRIES];
};

static struct vcpu *vcpus;
static unsigned int nr_vcpus;
static bool counting;
static bool modelling;
static bool verifying;
static u32 cache_sets;

/* Known ranges in terms of QEMU's addresses, the top tier's first. */
struct interval {
	u64 start;
	u64 size;
	enum meter_tier tier;
};

static struct interval intervals[MAX_RANGES];
static unsigned int nr_intervals;

struct page_count {
	u32 access[2];
};

/*
 * The watched addresses. A change makes a new one of these; the old one is never
 * freed, as another vCPU may be about to count there.
 */
struct watch {
	u64 start;
	u64 size;
	u64 pages;
	struct page_count *before;	/* sums at the last snapshot */
	struct page_count *of_vcpu[];
};

static struct watch nothing;
static struct watch *watch = &nothing;

/* Errors: they are part of each mark from then on, and QEMU's stderr has them. */

/* Of errors and messages. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static char *errors[MAX_ERRORS];
static unsigned int nr_errors;

static void keep_error(char *text)
{
	if (nr_errors < MAX_ERRORS) {
		errors[nr_errors++] = text;
		fprintf(stderr, "meter: %s\n", text);
	} else {
		free(text);
	}
}

#define error(format, ...)						\
	do {								\
		char *text;						\
									\
		if (asprintf(&text, format, ##__VA_ARGS__) >= 0)	\
			keep_error(text);				\
	} while (0)

/* Counting. This is run at each access to memory. */

static __always_inline enum meter_tier tier_of(u64 address)
{
	for (unsigned int i = 0; i < nr_intervals; i++)
		if (address - intervals[i].start < intervals[i].size)
			return intervals[i].tier;
	return METER_OTHER;
}

/* What QEMU says: the address of the page | tier, or NO_MEMORY. */
static u64 ask(qemu_plugin_meminfo_t info, u64 vaddr)
{
	const struct qemu_plugin_hwaddr *hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
	u64 address;

	if (!hwaddr || qemu_plugin_hwaddr_is_io(hwaddr))
		return NO_MEMORY;
	address = qemu_plugin_hwaddr_phys_addr(hwaddr);
	return (address & PAGE_MASK) | tier_of(address);
}

static void verify(qemu_plugin_meminfo_t info, u64 vaddr, u64 kept)
{
	u64 value = ask(info, vaddr);

	if (value == kept)
		return;
	pthread_mutex_lock(&lock);
	error("%#lx is at %#lx, and not at %#lx", vaddr, value, kept);
	pthread_mutex_unlock(&lock);
}

static u64 ask_and_keep(struct translation *kept, u64 tag, qemu_plugin_meminfo_t info,
			u64 vaddr)
{
	u64 value = ask(info, vaddr);

	if (value != NO_MEMORY) {
		kept->tag = tag;
		kept->value = value;
	}
	return value;
}

static __always_inline u64 translate(struct vcpu *vcpu, qemu_plugin_meminfo_t info, u64 vaddr)
{
	u64 tag = (vaddr & PAGE_MASK) | vcpu->generation;
	struct translation *kept = &vcpu->tlb[(vaddr >> METER_PAGE_SHIFT) % TLB_ENTRIES];

	if (!KEEP_TRANSLATIONS)
		return ask(info, vaddr);
	if (unlikely(kept->tag != tag))
		return ask_and_keep(kept, tag, info, vaddr);
	if (unlikely(verifying))
		verify(info, vaddr, kept->value);
	return kept->value;
}

static __always_inline bool cache_misses(struct vcpu *vcpu, u64 address)
{
	u32 line = (address >> LINE_SHIFT) + 1, before;
	u32 *kept = vcpu->cache[line & (cache_sets - 1)].line;

	if (likely(*kept == line))
		return false;
	before = *kept;
	*kept = line;
	for (int i = 1; i < CACHE_WAYS; i++) {
		u32 moves = before;

		before = kept[i];
		kept[i] = moves;
		if (before == line)
			return false;
	}
	return true;
}

static __always_inline void add(struct tally *tally, bool store, bool miss)
{
	tally->access[store]++;
	tally->miss[store] += miss;
}

static __always_inline void count(unsigned int index, qemu_plugin_meminfo_t info, u64 vaddr,
				  bool user)
{
	struct vcpu *vcpu = &vcpus[index];
	bool store = qemu_plugin_mem_is_store(info);
	u64 value = translate(vcpu, info, vaddr);
	enum meter_tier tier = value & ~PAGE_MASK;
	struct watch *w;
	bool miss;

	if (unlikely(value == NO_MEMORY))
		return;
	miss = modelling && cache_misses(vcpu, (value & PAGE_MASK) | (vaddr & ~PAGE_MASK));
	add(user ? &vcpu->user[tier] : &vcpu->kernel[tier], store, miss);
	if (!user)
		return;
	w = __atomic_load_n(&watch, __ATOMIC_ACQUIRE);
	if (vaddr - w->start < w->size) {
		add(&vcpu->watched[tier], store, miss);
		w->of_vcpu[index][(vaddr - w->start) >> METER_PAGE_SHIFT].access[store]++;
	}
}

static void user_access(unsigned int index, qemu_plugin_meminfo_t info, u64 vaddr, void *unused)
{
	(void)unused;
	if (__atomic_load_n(&counting, __ATOMIC_RELAXED))
		count(index, info, vaddr, true);
}

static void kernel_access(unsigned int index, qemu_plugin_meminfo_t info, u64 vaddr, void *unused)
{
	(void)unused;
	if (__atomic_load_n(&counting, __ATOMIC_RELAXED))
		count(index, info, vaddr, false);
}

static void flush(struct vcpu *vcpu)
{
	if (vcpu->generation++ == ~PAGE_MASK) {
		memset(vcpu->tlb, 0, sizeof(vcpu->tlb));
		vcpu->generation = 1;
	}
}

static void flushing(unsigned int index, void *unused)
{
	(void)unused;
	flush(&vcpus[index]);
}

/* Output */

static const char *const tier_names[METER_TIERS] = { "top", "lower", "other" };

static FILE *out, *pages_out;
static const char *out_name, *pages_name;

static void add_up(struct tally *sum, const struct tally *tally)
{
	for (int store = 0; store < 2; store++) {
		sum->access[store] += __atomic_load_n(&tally->access[store], __ATOMIC_RELAXED);
		sum->miss[store] += __atomic_load_n(&tally->miss[store], __ATOMIC_RELAXED);
	}
}

static void write_tally(const char *separator, const char *name, const struct tally *tally)
{
	fprintf(out, "%s\"%s\":{\"load\":%lu,\"store\":%lu", separator, name,
		tally->access[0], tally->access[1]);
	fprintf(out, ",\"load_miss\":%lu,\"store_miss\":%lu}",
		tally->miss[0], tally->miss[1]);
}

static void write_tiers(const struct vcpu *sum)
{
	for (int tier = 0; tier < METER_TIERS; tier++) {
		fprintf(out, ",\"%s\":{", tier_names[tier]);
		write_tally("", "user", &sum->user[tier]);
		write_tally(",", "kernel", &sum->kernel[tier]);
		fprintf(out, "}");
	}
	fprintf(out, ",\"watch\":{");
	for (int tier = 0; tier < METER_TIERS; tier++)
		write_tally(tier ? "," : "", tier_names[tier], &sum->watched[tier]);
	fprintf(out, "}");
}

static void write_mark(u64 number)
{
	struct vcpu sum = { 0 };

	for (unsigned int i = 0; i < nr_vcpus; i++) {
		for (int tier = 0; tier < METER_TIERS; tier++) {
			add_up(&sum.user[tier], &vcpus[i].user[tier]);
			add_up(&sum.kernel[tier], &vcpus[i].kernel[tier]);
			add_up(&sum.watched[tier], &vcpus[i].watched[tier]);
		}
	}
	fprintf(out, "{\"mark\":%lu", number);
	write_tiers(&sum);
	fprintf(out, ",\"errors\":[");
	for (unsigned int i = 0; i < nr_errors; i++)
		fprintf(out, "%s\"%s\"", i ? "," : "", errors[i]);
	fprintf(out, "]}\n");
	if (fflush(out))
		error("cannot write to %s: %s", out_name, strerror(errno));
}

/* What precedes the loads and then the stores of each page, as u32. */
struct snapshot_head {
	char magic[8];
	u64 number;
	u64 start;	/* virtual address */
	u64 pages;
};

static u32 page_sum(u64 page, int store)
{
	u32 sum = 0;

	for (unsigned int i = 0; i < nr_vcpus; i++)
		sum += __atomic_load_n(&watch->of_vcpu[i][page].access[store], __ATOMIC_RELAXED);
	return sum;
}

/* Nothing is zeroed, as another vCPU may be counting: the difference is right. */
static void write_snapshot(u64 number)
{
	struct snapshot_head head = {
		.magic = "KTMETER1",
		.number = number,
		.start = watch->start,
		.pages = watch->pages,
	};

	fwrite(&head, sizeof(head), 1, pages_out);
	for (int store = 0; store < 2; store++) {
		for (u64 page = 0; page < watch->pages; page++) {
			u32 now = page_sum(page, store);
			u32 *before = &watch->before[page].access[store];
			u32 since = now - *before;

			*before = now;
			fwrite(&since, sizeof(since), 1, pages_out);
		}
	}
	if (fflush(pages_out))
		error("cannot write to %s: %s", pages_name, strerror(errno));
}

/* Where the tiers are */

/* What a program says. Several may be under way, as guests change between tasks. */
struct message {
	u64 mailbox;		/* virtual page */
	u64 address;		/* QEMU's of the mailbox, once all is said */
	const struct operation *operation;
	unsigned int digits;	/* so far */
	u64 number[METER_NUMBERS];
};

/*
 * Memory as the guest knows it. QEMU 7.2 has addresses of its own for it, the
 * offset in all of its blocks of RAM, and 10.0 those of the guest. In both a
 * range is contiguous, so that one page of it tells where all of it is.
 */
struct range {
	u64 start;
	u64 end;
	enum meter_tier tier;
	bool learned;
	u64 offset;	/* to be added for an address of QEMU's */
};

static struct range ranges[MAX_RANGES];
static unsigned int nr_ranges;

static void make_intervals(void)
{
	nr_intervals = 0;
	for (int tier = 0; tier < METER_OTHER; tier++) {
		for (unsigned int i = 0; i < nr_ranges; i++) {
			if (ranges[i].tier != (enum meter_tier)tier || !ranges[i].learned)
				continue;
			intervals[nr_intervals].start = ranges[i].start + ranges[i].offset;
			intervals[nr_intervals].size = ranges[i].end - ranges[i].start;
			intervals[nr_intervals++].tier = tier;
		}
	}
}

static bool may_calibrate(const char *what)
{
	if (counting)
		error("%s while counting is on", what);
	return !counting;
}

static void forget(const struct message *unused)
{
	(void)unused;
	if (!may_calibrate("ranges are forgotten"))
		return;
	nr_ranges = 0;
	make_intervals();
}

static void add_range(const struct message *message)
{
	struct range range = {
		.start = message->number[0] << METER_PAGE_SHIFT,
		.end = message->number[1] << METER_PAGE_SHIFT,
		.tier = message->number[2],
	};

	if (!may_calibrate("a range is told"))
		return;
	if (range.start >= range.end || range.tier >= METER_OTHER || nr_ranges == MAX_RANGES) {
		error("cannot take range %#lx-%#lx of tier %lu", range.start, range.end,
		      message->number[2]);
		return;
	}
	for (unsigned int i = 0; i < nr_ranges; i++) {
		if (range.start < ranges[i].end && ranges[i].start < range.end) {
			error("range %#lx-%#lx overlaps another one", range.start, range.end);
			return;
		}
	}
	ranges[nr_ranges++] = range;
}

static void learn(struct range *range, u64 offset)
{
	if (!range->learned) {
		range->offset = offset;
		range->learned = true;
		make_intervals();
	} else if (range->offset != offset) {
		error("range %#lx-%#lx is not contiguous: offsets %#lx and %#lx",
		      range->start, range->end, range->offset, offset);
	}
}

static void take_sample(const struct message *message)
{
	u64 guest = message->number[0] << METER_PAGE_SHIFT;

	if (!may_calibrate("a sample is given"))
		return;
	for (unsigned int i = 0; i < nr_ranges; i++) {
		if (guest >= ranges[i].start && guest < ranges[i].end) {
			learn(&ranges[i], message->address - guest);
			return;
		}
	}
	error("the sample %#lx is in no range", guest);
}

static void check_tier(const struct message *message)
{
	enum meter_tier tier = tier_of(message->address);

	if (message->number[0] >= METER_TIERS)
		error("there is no tier %lu to check for", message->number[0]);
	else if (tier != message->number[0])
		error("a page that should be in tier %s is in tier %s",
		      tier_names[message->number[0]], tier_names[tier]);
}

/* What else a program may ask for */

static void start_counting(const struct message *unused)
{
	(void)unused;
	if (counting)
		return;
	for (unsigned int i = 0; i < nr_vcpus; i++) {
		/* Pages' tiers may have been learned anew. */
		flush(&vcpus[i]);
		if (modelling)
			memset(vcpus[i].cache, 0, cache_sets * sizeof(*vcpus[i].cache));
	}
	__atomic_store_n(&counting, true, __ATOMIC_RELEASE);
}

static void stop_counting(const struct message *unused)
{
	(void)unused;
	__atomic_store_n(&counting, false, __ATOMIC_RELEASE);
}

static void set_mark(const struct message *message)
{
	write_mark(message->number[0]);
}

static void take_snapshot(const struct message *message)
{
	if (pages_out)
		write_snapshot(message->number[0]);
	else
		error("a snapshot is asked for, but there is no pages=FILE to write it to");
}

static struct watch *new_watch(u64 start, u64 size)
{
	u64 pages = size >> METER_PAGE_SHIFT;
	struct watch *w;
	bool failed;

	w = calloc(1, sizeof(*w) + nr_vcpus * sizeof(w->of_vcpu[0]));
	if (!w)
		return NULL;
	w->start = start;
	w->size = size;
	w->pages = pages;
	w->before = calloc(pages, sizeof(*w->before));
	failed = !w->before;
	for (unsigned int i = 0; i < nr_vcpus; i++) {
		w->of_vcpu[i] = calloc(pages, sizeof(*w->of_vcpu[i]));
		failed |= !w->of_vcpu[i];
	}
	return failed ? NULL : w;
}

static void set_watch(const struct message *message)
{
	u64 start = message->number[0], end = message->number[1];
	struct watch *w = NULL;

	if (start < end && end - start <= MAX_WATCH && !(start % METER_PAGE_SIZE) &&
	    !(end % METER_PAGE_SIZE))
		w = new_watch(start, end - start);
	if (w)
		__atomic_store_n(&watch, w, __ATOMIC_RELEASE);
	else
		error("cannot watch %#lx-%#lx", start, end);
}

/* Messages */

struct operation {
	unsigned int numbers;
	void (*perform)(const struct message *message);
};

static const struct operation operations[] = {
	[METER_FORGET] = { 0, forget },
	[METER_RANGE] = { 3, add_range },
	[METER_SAMPLE] = { 1, take_sample },
	[METER_CHECK] = { 1, check_tier },
	[METER_COUNT] = { 0, start_counting },
	[METER_STOP] = { 0, stop_counting },
	[METER_MARK] = { 1, set_mark },
	[METER_WATCH] = { 2, set_watch },
	[METER_SNAPSHOT] = { 1, take_snapshot },
};

static struct message messages[MAX_MESSAGES];

static struct message *find_message(u64 mailbox)
{
	for (int i = 0; i < MAX_MESSAGES; i++)
		if (messages[i].operation && messages[i].mailbox == mailbox)
			return &messages[i];
	return NULL;
}

static struct message *free_message(void)
{
	for (int i = 0; i < MAX_MESSAGES; i++)
		if (!messages[i].operation)
			return &messages[i];
	return NULL;
}

static struct message *begin_message(u64 mailbox, unsigned int operation)
{
	struct message *message = find_message(mailbox);

	if (message)
		error("a message ended early");
	else
		message = free_message();
	if (!operation || operation >= ARRAY_SIZE(operations) || !message) {
		error("cannot take a message of kind %u", operation);
		return NULL;
	}
	memset(message, 0, sizeof(*message));
	message->mailbox = mailbox;
	message->operation = &operations[operation];
	return message;
}

static struct message *take_digit(u64 mailbox, unsigned int digit)
{
	struct message *message = find_message(mailbox);
	u64 *number;

	if (!message) {
		error("a number came without a message");
		return NULL;
	}
	number = &message->number[message->digits++ / METER_DIGITS];
	*number = *number << METER_DIGIT_BITS | digit;
	return message;
}

static void take_symbol(unsigned int index, qemu_plugin_meminfo_t info, u64 vaddr, void *unused)
{
	unsigned int symbol = vaddr % METER_PAGE_SIZE;
	u64 mailbox = vaddr >> METER_PAGE_SHIFT;
	const struct qemu_plugin_hwaddr *hwaddr;
	struct message *message;

	(void)index;
	(void)unused;
	pthread_mutex_lock(&lock);
	if (symbol >= METER_START)
		message = begin_message(mailbox, symbol - METER_START);
	else
		message = take_digit(mailbox, symbol);
	if (message && message->digits == message->operation->numbers * METER_DIGITS) {
		hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
		message->address = qemu_plugin_hwaddr_phys_addr(hwaddr) - symbol;
		message->operation->perform(message);
		message->operation = NULL;
	}
	pthread_mutex_unlock(&lock);
}

/* Translation */

#define MAX_INSN	15

static size_t get_bytes(const struct qemu_plugin_insn *insn, unsigned char bytes[MAX_INSN])
{
	size_t size = qemu_plugin_insn_size(insn);

#if METER_API < 3
	memcpy(bytes, qemu_plugin_insn_data(insn), size);
	return size;
#else
	return qemu_plugin_insn_data(insn, bytes, size);
#endif
}

static bool is_prefix(unsigned char byte)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e:	/* segments */
	case 0x64: case 0x65:
	case 0x66: case 0x67:				/* sizes */
	case 0xf0: case 0xf2: case 0xf3:		/* lock, repeat */
	case 0x40 ... 0x4f:				/* REX */
		return true;
	}
	return false;
}

/* Whether an instruction ends what the processor knows of page tables. */
static bool is_flush(const unsigned char *byte, size_t size)
{
	const unsigned char *end = byte + size;

	while (byte < end && is_prefix(*byte))
		byte++;
	if (end - byte < 3 || byte[0] != 0x0f)
		return false;
	if (byte[1] == 0x22)	/* mov to %cr */
		return true;
	if (byte[1] == 0x01)	/* invlpg, and not what has a register there */
		return (byte[2] & 0x38) == 0x38 && byte[2] < 0xc0;
	return byte[1] == 0x38 && byte[2] == 0x82;	/* invpcid */
}

static bool is_symbol(const unsigned char *bytes, size_t size)
{
	return size == sizeof(METER_INSTRUCTION) - 1 &&
	       !memcmp(bytes, METER_INSTRUCTION, size);
}

/*
 * One callback for loads and stores: with one for each, some versions of QEMU
 * call neither or both for what an instruction does in a function of QEMU's.
 */
static void instrument(struct qemu_plugin_insn *insn)
{
	qemu_plugin_vcpu_mem_cb_t access = user_access;
	unsigned char bytes[MAX_INSN];
	size_t size = get_bytes(insn, bytes);

	if (qemu_plugin_insn_vaddr(insn) >> 63)
		access = kernel_access;
	else if (is_symbol(bytes, size))
		access = take_symbol;
	if (KEEP_TRANSLATIONS && is_flush(bytes, size))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, flushing, QEMU_PLUGIN_CB_NO_REGS,
						       NULL);
	qemu_plugin_register_vcpu_mem_cb(insn, access, QEMU_PLUGIN_CB_NO_REGS,
					 QEMU_PLUGIN_MEM_RW, NULL);
}

static void instrument_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++)
		instrument(qemu_plugin_tb_get_insn(tb, i));
}

/* Setup */

static bool complain(const char *what, const char *value)
{
	fprintf(stderr, "meter: %s%s\n", what, value);
	return false;
}

static bool open_file(FILE **file, const char *name)
{
	*file = fopen(name, "w");
	if (!*file)
		fprintf(stderr, "meter: cannot write to %s: %s\n", name, strerror(errno));
	return *file;
}

static bool take_cache_size(const char *text)
{
	unsigned long kib;
	char *end;

	kib = strtoul(text, &end, 10);
	if (end == text || *end || kib > MAX_CACHE_KIB || kib & (kib - 1))
		return complain("cache= takes a power of two in KiB, or 0, and not ", text);
	modelling = kib;
	cache_sets = (kib << 10 >> LINE_SHIFT) / CACHE_WAYS;
	return true;
}

static bool take_option(const char *option)
{
	if (!strncmp(option, "out=", 4)) {
		out_name = option + 4;
		return open_file(&out, out_name);
	}
	if (!strncmp(option, "pages=", 6)) {
		pages_name = option + 6;
		return open_file(&pages_out, pages_name);
	}
	if (!strncmp(option, "cache=", 6))
		return take_cache_size(option + 6);
	if (!strcmp(option, "verify=1")) {
		verifying = true;
		return true;
	}
	return complain("there is no option ", option);
}

static bool make_vcpus(unsigned int number)
{
	vcpus = aligned_alloc(CACHE_LINE, number * sizeof(*vcpus));
	if (!vcpus)
		return complain("out of memory", "");
	memset(vcpus, 0, number * sizeof(*vcpus));
	nr_vcpus = number;
	for (unsigned int i = 0; modelling && i < number; i++) {
		vcpus[i].cache = calloc(cache_sets, sizeof(*vcpus[i].cache));
		if (!vcpus[i].cache)
			return complain("out of memory", "");
	}
	return true;
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info,
				      int argc, char **argv)
{
	take_cache_size("1024");
	for (int i = 0; i < argc; i++) {
		argv[i] = strdup(argv[i]);
		if (!argv[i] || !take_option(argv[i]))
			return -1;
	}
	if (!out)
		return complain("it needs out=FILE", "") - 1;
	if (!info->system_emulation || strcmp(info->target_name, "x86_64"))
		return complain("it is for qemu-system-x86_64", "") - 1;
	if (!make_vcpus(info->system.max_vcpus))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, instrument_block);
	return 0;
}
