/* Survivors: see survivors.h. */
#include "component/survivors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/board.h"
#include "base/ring.h"

static struct ring *open_ring(const struct runner_options *o, const struct log *log)
{
    char path[4096];
    struct ring *ring;

    if (o->config->ledger_size == 0)
        return NULL;
    (void)snprintf(path, sizeof(path), "%s/ledger", o->data_dir);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s/ledger/%s.ring", o->data_dir, o->name);
    if (ring_open(path, (size_t)o->config->ledger_size, RING_RECORD, &ring) == ERR_OK)
        return ring;
    log_warn(log, "cannot open %s: %s; `jackdaw trace` will show nothing of this process", path,
             strerror(errno));
    return NULL;
}

struct ledger *survivors_ledger(const struct runner_options *o, const struct log *log)
{
    struct random *random = random_create();
    uint64_t first;

    random_fill(random, &first, sizeof(first));
    random_destroy(random);
    return ledger_create(open_ring(o, log), first);
}

struct ring *survivors_notes(const struct runner_options *o, const struct log *log)
{
    char path[4096];
    size_t wanted = 0;
    struct ring *ring = NULL;

    for (size_t i = 0; i < o->component_count; i++)
        wanted += o->components[i]->notes;
    (void)snprintf(path, sizeof(path), "%s/run/%s.notes", o->data_dir, o->name);
    if (wanted && ring_open(path, wanted * COMPONENT_NOTE_PLACE, COMPONENT_NOTE, &ring) != ERR_OK)
        log_warn(log,
                 "cannot open %s: %s; should this process be killed, messages that come again may "
                 "bear another stanza-id (XEP-0359)",
                 path, strerror(errno));
    return ring;
}

struct board *survivors_board(const struct runner_options *o, const struct component_ops *ops,
                              const char *id, const struct log *log)
{
    char path[4096], boot[BOARD_BOOT];
    struct board *board = NULL;

    (void)snprintf(path, sizeof(path), "%s/run/%s.board", o->data_dir, id);
    if (board_open(path, board_boot(boot), ops->board, &board) != ERR_OK)
        log_warn(log,
                 "cannot open %s: %s; should this process be killed, clients cannot resume their "
                 "sessions (XEP-0198) and log in anew",
                 path, strerror(errno));
    return board;
}
