/* Small tables in memory. See kept.h. */
#include "sm/kept.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

struct list *kept_start(struct sm *sm, int feature)
{
    struct list *list = MEM_NEW(struct list);
    list_init(list);
    sm->state[feature] = list;
    return list;
}

void kept_stop(struct sm *sm, int feature, void (*drop)(struct list *node))
{
    struct list *list = sm->state[feature];
    if (list)
        kept_clear(list, drop);
    free(list);
    sm->state[feature] = NULL;
}

void kept_clear(struct list *list, void (*drop)(struct list *node))
{
    while (!list_empty(list))
        drop(list->next);
}

void kept_tell(struct sm *sm, struct builder *b)
{
    struct packet *p = packet_create(PACKET_BROADCAST, STR_NULL, str_of(sm->c->id));
    p->stanza = builder_finish(b);
    component_send(sm->c, p);
}

bool kept_told(const struct packet *p, const char *name)
{
    return !p->error && stanza_is(p->stanza, STANZA_ROOT, str_of(name), NS_INTERNAL);
}

bool kept_read(const struct sm *sm, enum error e, const char *what)
{
    if (e && e != ERR_CANCELLED)
        log_error(&sm->c->log, "cannot read the %s: %s", what, error_text(e));
    return !e;
}

struct kept_change {
    struct command_call *call;
    void (*reload)(struct sm *sm);
    const char *word, *done;
};

static void on_committed(void *arg, enum error e, const struct store_rows *rows)
{
    struct kept_change *c = arg;
    struct sm *sm = c->call->sm;
    if (e) {
        command_refuse(c->call, send_condition(e));
    } else {
        c->reload(sm);
        kept_tell(sm, builder_create(str_of(c->word), NS_INTERNAL));
        command_done(c->call, "%s", c->done);
    }
    free(c);
}

void kept_commit(struct command_call *call, struct store_txn *t, void (*reload)(struct sm *sm),
                 const char *word, const char *done)
{
    struct kept_change *c = MEM_NEW(struct kept_change);
    *c = (struct kept_change){call, reload, word, done};
    store_commit(t, on_committed, c);
}
