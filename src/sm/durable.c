/* Durable: see durable.h. */
#include "sm/durable.h"

#include "store/users.h"

static void on_committed(void *arg, enum error e, const struct store_rows *rows)
{
    struct sm *sm = arg;
    (void)rows;
    if (e == ERR_CANCELLED)
        return;
    sm->durable.asked = false;
    sm->durable.yes = e == ERR_OK;
}

bool durable(struct sm *sm)
{
    if (!sm->durable.yes && !sm->durable.asked) {
        sm->durable.asked = true;
        /* A row that nobody has: a transaction, with nothing in it. */
        store_commit(outbox_delete(store_begin(sm->store), STR(""), 0), on_committed, sm);
    }
    return sm->durable.yes;
}

void durable_init(struct sm *sm)
{
    (void)durable(sm);
}
