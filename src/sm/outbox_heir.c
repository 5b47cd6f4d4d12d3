/* The outbox of a session manager that does not come back (killed for good, renamed): whoever has
 * its users now sends what it had accepted. A row is claimed before, so that only one does. */
#include <stdlib.h>

#include "base/mem.h"
#include "sm/outbox.h"
#include "store/users.h"

#define PAGE     100u
#define AWAY_MS  60000u /* it had so long to come back */
#define NAME_MAX 256

struct claim {
    struct sm *sm;
    struct jid *owner;
    uint64_t id, trace;
    size_t len;
    char xml[];
};

static void on_claimed(void *arg, enum error e, const struct store_rows *rows)
{
    struct claim *c = arg;
    (void)rows;
    if (e == ERR_OK && !c->sm->closing)
        outbox_restore(c->sm, c->owner, c->id, (struct str){c->xml, c->len}, c->trace);
    jid_unref(c->owner);
    free(c);
}

static void claim(struct sm *sm, struct jid *owner, uint64_t id, struct str xml, struct str former,
                  uint64_t trace)
{
    struct claim *c = mem_alloc(sizeof *c + xml.len);
    c->sm = sm;
    c->owner = jid_ref(owner);
    c->id = id;
    c->trace = trace;
    c->len = xml.len;
    memcpy(c->xml, xml.data, xml.len);
    store_commit(outbox_claim(store_begin(sm->store), jid_full(owner), id, former,
                              component_common_name(sm->c)),
                 on_claimed, c);
}

/* The sm on the loops of one process have one name in the outbox, and NAME-1 ... at the router. */
static bool lives(const struct sm *sm, struct str name)
{
    char first[NAME_MAX + 3];
    int len = snprintf(first, sizeof first, "%.*s-1", STR_ARG(name));
    return name.len > NAME_MAX || component_peer_up(sm->c, name) ||
           component_peer_up(sm->c, (struct str){first, (size_t)len});
}

static void look(struct sm *sm, uint64_t after);

static void on_others(void *arg, enum error e, const struct store_rows *rows)
{
    enum { OWNER, ID, XML, SM, TRACE };
    struct sm *sm = arg;
    size_t count = e ? 0 : store_rows_count(rows), claimed = 0;
    if (e == ERR_CANCELLED || sm->closing)
        return;
    if (e)
        loop_timer_start(&sm->flights.heir, AWAY_MS);
    for (size_t i = 0; i < count; i++) {
        struct jid *owner = jid_parse(store_text(rows, i, OWNER));
        struct str former = store_text(rows, i, SM);
        if (owner && !lives(sm, former) && sm_domain(sm, jid_domain(owner)) && sm_owns(sm, owner)) {
            claim(sm, owner, (uint64_t)store_int(rows, i, ID), store_text(rows, i, XML), former,
                  (uint64_t)store_int(rows, i, TRACE));
            claimed++;
        }
        jid_unref(owner);
    }
    if (claimed)
        log_info(&sm->c->log,
                 "%zu messages wait in the outbox of a session manager that did not come back: "
                 "they are sent from here",
                 claimed);
    if (count == PAGE)
        look(sm, (uint64_t)store_int(rows, count - 1, ID));
}

static void look(struct sm *sm, uint64_t after)
{
    outbox_of_others(sm->store, component_common_name(sm->c), after, PAGE, on_others, sm);
}

static void on_heir(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, flights.heir);
    if (link_is_up(sm->c->link)) /* else nobody can be seen; the timer starts again with it */
        look(sm, 0);
}

void outbox_watch_others(struct sm *sm)
{
    loop_timer_start(&sm->flights.heir, AWAY_MS);
}

void outbox_heir_init(struct sm *sm)
{
    loop_timer_init(&sm->flights.heir, sm->loop, on_heir);
}
