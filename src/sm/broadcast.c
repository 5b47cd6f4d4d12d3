/* One message to everybody who is there. See broadcast.h. */
#include "sm/broadcast.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/send.h"

#define AT_ONCE 200u /* sessions in one turn */
#define PAUSE   5u   /* ms until the next ones */

struct broadcast {
    struct list node;
    struct broadcasts *all;
    struct sm *sm;
    struct jid *domain;
    struct stanza *message;
    int64_t motd_time;
    struct loop_timer timer;
    size_t count, at;
    struct session_id *ids; /* sessions may end meanwhile: found again by their ids */
};

static void end(struct broadcast *b)
{
    list_remove(&b->node);
    b->all->count--;
    loop_timer_stop(&b->timer);
    jid_unref(b->domain);
    stanza_unref(b->message);
    free(b->ids);
    free(b);
}

static void on_timer(struct loop_timer *timer)
{
    struct broadcast *b = MEM_CONTAINER(timer, struct broadcast, timer);
    struct store_txn *t = b->motd_time ? store_begin(b->sm->store) : NULL;
    for (unsigned i = 0; i < AT_ONCE && b->at < b->count; i++) {
        struct session *s = session_find(b->sm, &b->ids[b->at++]);
        if (!s || !session_takes_messages(s))
            continue;
        send_session(s, b->message, b->domain, s->jid);
        if (t)
            t = motd_seen(t, jid_bare(s->jid), b->motd_time);
    }
    if (t)
        store_commit(t, NULL, NULL);
    if (b->at < b->count)
        loop_timer_start(timer, PAUSE);
    else
        end(b);
}

bool broadcast_start(struct broadcasts *bs, struct sm *sm, struct jid *domain,
                     struct stanza *message, int64_t motd_time)
{
    struct session *s;
    if (bs->count >= BROADCAST_MAX)
        return false;
    struct broadcast *b = MEM_NEW(struct broadcast);
    b->all = bs;
    b->sm = sm;
    b->domain = jid_ref(domain);
    b->message = stanza_ref(message);
    b->motd_time = motd_time;
    b->ids = mem_alloc_array(sm->sessions.count + 1, sizeof *b->ids);
    for (size_t i = 0; (s = hash_next(&sm->sessions, &i));)
        if (str_eq(jid_domain(s->jid), jid_domain(domain)))
            b->ids[b->count++] = s->sm;
    loop_timer_init(&b->timer, sm->loop, on_timer);
    list_push(&bs->jobs, &b->node);
    bs->count++;
    loop_timer_start(&b->timer, 0);
    return true;
}

void broadcasts_init(struct broadcasts *bs)
{
    list_init(&bs->jobs);
    bs->count = 0;
}

void broadcasts_finish(struct broadcasts *bs)
{
    while (!list_empty(&bs->jobs))
        end(LIST_ENTRY(bs->jobs.next, struct broadcast, node));
}
