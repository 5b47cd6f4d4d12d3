/* The plan of a run: what its seed chooses. */
#ifndef JACKDAW_TESTS_SIM_PLAN_H
#define JACKDAW_TESTS_SIM_PLAN_H

#include "sim.h"

struct sim_sums {
    uint64_t messages, acknowledged, copies, errors, faults, kills, resumed, refused, tokens;
};

/* One run; `story` gets what happens, NULL: nobody reads it. False: something was not as it must
 * be. */
bool sim_plan_run(uint64_t seed, FILE *story, struct sim_sums *sums);

#endif
