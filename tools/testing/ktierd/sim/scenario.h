/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_SIM_SCENARIO_H
#define KTIERD_SIM_SCENARIO_H
/* Large machines, of which a sample of blocks stands for the rest. */
#include "machine.h"

/**
 * struct scenario - what a machine's memory is used for
 * @name: of the scenario
 * @kind: of blocks that are touched
 * @busy: part of all blocks
 * @hot: in those, part of the pages that gets most accesses
 * @warm: part of the pages that gets the rest; what is left gets none
 */
struct scenario {
	const char *name;
	enum block_kind kind;
	double busy;
	double hot;
	double warm;
};

/**
 * struct size - how large a machine is
 * @memory: bytes, of both tiers
 * @dram: bytes of the top tier; 0: an eighth
 * @busy: bytes in tables that are touched; 0: what the scenario says
 * @mms: processes
 * @sample: small or huge pages that are held one by one, at least
 */
struct size {
	u64 memory;
	u64 dram;
	u64 busy;
	u64 mms;
	u32 sample;
};

/* NULL if there is none of this name. */
const struct scenario *scenario_find(const char *name);

void scenario_begin(const struct scenario *scenario, const struct size *size,
		    struct machine *machine);

#endif
