/* A simulated disk: a SQLite VFS in memory that remembers what has been synced. When the power
 * goes, everything that was not may be lost, or be there in part; when only a process dies, what it
 * has written stays. Slow, full and broken at will. */
#ifndef JACKDAW_TESTS_SIM_DISK_H
#define JACKDAW_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include "base/random.h"

struct sim_disk;

/* `name` is that of the VFS: "memory:FILE?vfs=NAME" is a database on it. `random` is borrowed. */
struct sim_disk *sim_disk_create(const char *name, struct random *random);
void sim_disk_destroy(struct sim_disk *d); /* every database on it is closed */

/* How long a batch of requests waits before it is run, and how long until the word comes back; each
 * at most, in milliseconds. */
void sim_disk_set_delay(struct sim_disk *d, uint32_t before, uint32_t after);

enum sim_disk_fault { SIM_DISK_WORKS, SIM_DISK_FULL, SIM_DISK_SYNC_FAILS };
void sim_disk_set_fault(struct sim_disk *d, enum sim_disk_fault fault);
bool sim_disk_refused(const struct sim_disk *d); /* something, since that fault was set */

/* Whoever writes is dead from now on: nothing is changed any more. `after_writes` > 0: only when so
 * many more writes and syncs have been done (in the middle of a commit). */
void sim_disk_halt(struct sim_disk *d, uint32_t after_writes);
bool sim_disk_halted(const struct sim_disk *d);
bool sim_disk_halted_accounts(const struct sim_disk *d); /* and who died wrote the accounts */
/* Every database is closed, and can be opened again; with `power_lost` what was not synced is lost
 * or torn. */
void sim_disk_restart(struct sim_disk *d, bool power_lost);

#endif
