/* Forms that are out. See command_sessions.h. */
#include "sm/command_sessions.h"

#include <stdlib.h>
#include "base/mem.h"

/* Ids of ended sessions that are remembered, to tell old ones from wrong ones. */
#define ENDED_IDS 64u

struct command_sessions {
    struct loop *loop;
    struct list open; /* oldest first */
    unsigned count;
    struct loop_timer timer;
    char ended[ENDED_IDS][COMMAND_SESSION_ID + 1];
    unsigned next_ended;
};

void command_session_end(struct command_sessions *cs, struct command_session *s)
{
    memcpy(cs->ended[cs->next_ended++ % ENDED_IDS], s->id, sizeof s->id);
    list_remove(&s->node);
    cs->count--;
    jid_unref(s->from);
    jid_unref(s->to);
    free(s);
}

static struct command_session *oldest(const struct command_sessions *cs)
{
    return LIST_ENTRY(cs->open.next, struct command_session, node);
}

static void on_timer(struct loop_timer *timer)
{
    struct command_sessions *cs = MEM_CONTAINER(timer, struct command_sessions, timer);
    uint64_t now = loop_now(cs->loop);
    while (!list_empty(&cs->open)) {
        struct command_session *s = oldest(cs);
        if (s->deadline > now) {
            loop_timer_start(timer, s->deadline - now);
            return;
        }
        command_session_end(cs, s);
    }
}

static void make_room(struct command_sessions *cs, const struct jid *from)
{
    struct command_session *first = NULL;
    unsigned own = 0;
    LIST_EACH (it, &cs->open) {
        struct command_session *s = LIST_ENTRY(it, struct command_session, node);
        if (!jid_eq(s->from, from))
            continue;
        own++;
        if (!first)
            first = s;
    }
    if (own >= COMMAND_MAX_PER_REQUESTER)
        command_session_end(cs, first);
    else if (cs->count >= COMMAND_MAX_SESSIONS)
        command_session_end(cs, oldest(cs));
}

void command_session_begin(struct command_sessions *cs, const struct command_call *call,
                           struct jid *to)
{
    struct jid *from = command_requester(call);
    make_room(cs, from);
    struct command_session *s = MEM_NEW(struct command_session);
    s->from = jid_ref(from);
    s->to = jid_ref(to);
    s->command = call->command;
    s->deadline = loop_now(cs->loop) + COMMAND_SESSION_MS;
    memcpy(s->id, call->session, sizeof s->id);
    list_push(&cs->open, &s->node);
    cs->count++;
    if (!loop_timer_running(&cs->timer))
        loop_timer_start(&cs->timer, COMMAND_SESSION_MS);
}

struct command_session *command_session_find(const struct command_sessions *cs, struct str id,
                                             const struct jid *from, const struct jid *to)
{
    LIST_EACH (it, &cs->open) {
        struct command_session *s = LIST_ENTRY(it, struct command_session, node);
        if (str_is(id, s->id) && jid_eq(s->from, from) && jid_eq(s->to, to))
            return s;
    }
    return NULL;
}

bool command_session_has_ended(const struct command_sessions *cs, struct str id)
{
    for (unsigned i = 0; i < ENDED_IDS; i++)
        if (cs->ended[i][0] && str_is(id, cs->ended[i]))
            return true;
    return false;
}

struct command_sessions *command_sessions_create(struct loop *loop)
{
    struct command_sessions *cs = MEM_NEW(struct command_sessions);
    cs->loop = loop;
    list_init(&cs->open);
    loop_timer_init(&cs->timer, loop, on_timer);
    return cs;
}

void command_sessions_destroy(struct command_sessions *cs)
{
    if (!cs)
        return;
    while (!list_empty(&cs->open))
        command_session_end(cs, oldest(cs));
    loop_timer_stop(&cs->timer);
    free(cs);
}
