/* Acks: see acks.h. Sections are those of XEP-0198. */
#include "sm/acks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "link/traits.h"
#include "sm/csi.h"
#include "sm/sleeper.h"
#include "sm/slot.h"

#define TICK_MS     1000u
#define PATIENCE_MS 3000u /* a resumption waits so long for what its client sent last */

void acks_unref(struct acks *acks)
{
    if (acks && --acks->refs == 0)
        free(acks);
}

/* --- what comes from the client --- */

void acks_came(struct acks *acks, struct acks_place *place, uint32_t number)
{
    place->acks = acks;
    place->number = number;
    if (!acks)
        return;
    acks->refs++;
    acks->in = number;
    list_push(&acks->places, &place->node);
}

void acks_handled(struct acks_place *place)
{
    struct acks *acks = place->acks;
    if (!acks)
        return;
    list_remove(&place->node);
    place->acks = NULL;
    /* What is given up at the end has not been handled. */
    struct session *session =
        acks->session && !acks->session->user->sm->closing ? acks->session : NULL;
    if (session)
        slot_count(session);
    if (session && list_empty(&acks->places) && acks->resume)
        acks_go_on(session, acks->resume);
    else if (session && list_empty(&acks->places) && acks->kept)
        sleeper_write(session);
    acks_unref(acks);
}

uint32_t acks_h(const struct acks *acks)
{
    if (list_empty(&acks->places))
        return acks->in;
    return LIST_ENTRY(acks->places.next, const struct acks_place, node)->number - 1;
}

/* --- enabling --- */

static bool number(struct str *rest, uint32_t *ret)
{
    struct str word;
    uint64_t value;
    if (!str_split(rest, ' ', &word) || !str_to_u64(word, UINT32_MAX, &value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

bool acks_enable(struct session *session, struct str text)
{
    uint32_t max, in, out;
    struct str id;
    if (session->acks || !number(&text, &max) || !str_split(&text, ' ', &id) ||
        id.len > ACKS_ID_MAX || !number(&text, &in) || !number(&text, &out))
        return false;
    session->presence_due = str_is(text, "presence");
    struct acks *acks = session->acks = MEM_NEW(struct acks);
    acks->refs = 1;
    acks->session = session;
    acks->max = max;
    acks->in = in;
    acks->out = out;
    memcpy(acks->id, id.data, id.len);
    list_init(&acks->places);
    list_init(&acks->node);
    acks->slot = BOARD_NONE;
    slot_write(session);
    return true;
}

bool acks_is(const struct session *session, struct str id)
{
    return session->acks && str_is(id, session->acks->id);
}

void acks_forget(struct session *session)
{
    struct acks *acks = session->acks;
    if (!acks)
        return;
    list_remove(&acks->node);
    if (acks->resume)
        session_answer(session->user->sm, acks->resume, SESSION_RESUME, STR("item-not-found"));
    sleeper_forget(session);
    slot_free(session);
    acks->resume = NULL;
    acks->session = NULL;
    session->acks = NULL;
    acks_unref(acks);
}

/* --- bounds: reliability.md B 39 and 41 --- */

static struct session *oldest_asleep(const struct user *user, int64_t *ret_count)
{
    struct session *oldest = NULL;
    *ret_count = 0;
    for (struct session *s = user->sessions; s; s = s->next)
        if (s->asleep) {
            ++*ret_count;
            if (!oldest || s->acks->deadline < oldest->acks->deadline)
                oldest = s;
        }
    return oldest;
}

static void overfull(struct session *session)
{
    struct sm *sm = session->user->sm;
    list_remove(&session->acks->node);
    list_push(&sm->overfull, &session->acks->node);
    loop_timer_start(&sm->acks, 0);
}

/* B 41: all that sleep may keep as much together as one that is awake: the oldest makes room. */
static void shed(const struct user *user)
{
    size_t bytes = 0;
    int64_t count;
    for (const struct session *s = user->sessions; s; s = s->next)
        bytes += s->asleep ? s->acks->bytes : 0;
    if (bytes > (size_t)user->sm->c->env->config->sm_max_unacked_bytes)
        overfull(oldest_asleep(user, &count));
}

void acks_count(struct session *session, const struct packet *p, bool more)
{
    struct acks *acks = session->acks;
    const struct config *config = session->user->sm->c->env->config;
    size_t size = packet_size(p);
    if (!more) {
        acks->bytes -= size;
        acks->waiting--;
        return;
    }
    acks->bytes += size;
    acks->waiting++;
    acks->out++;
    if (acks->bytes > (size_t)config->sm_max_unacked_bytes ||
        acks->waiting > (uint32_t)config->sm_max_unacked)
        overfull(session);
    else if (session->asleep)
        shed(session->user);
}

/* --- sleeping: section 7 --- */

bool acks_sleep(struct session *session)
{
    struct user *user = session->user;
    struct sm *sm = user->sm;
    struct acks *acks = session->acks;
    int64_t count, most = sm->c->env->config->sm_max_sleeping;
    if (!acks || !acks->max || most == 0 || session->presence_due)
        return false;
    if (session->asleep)
        return true;
    struct session *oldest = oldest_asleep(user, &count);
    if (oldest && count >= most) {
        sleeper_late(oldest);
        session_end(oldest);
    }
    session->asleep = true;
    session->stale = false;
    list_remove(&session->peer_node);
    acks->deadline = loop_now(sm->loop) + (uint64_t)acks->max * 1000;
    list_remove(&acks->node); /* it may have been overfull a moment ago */
    list_push(&sm->sleeping, &acks->node);
    flight_sleep(session);
    sleeper_write(session);
    slot_write(session);
    if (!loop_timer_running(&sm->acks))
        loop_timer_start(&sm->acks, TICK_MS);
    shed(user);
    return true;
}

void acks_wake(struct session *session)
{
    session->asleep = false;
    list_remove(&session->acks->node);
    sleeper_forget(session);
    slot_write(session);
}

static void end_overfull(struct session *session)
{
    struct user *user = session->user;
    log_info(&user->sm->c->log, "%s acknowledges nothing: its session ends (sm.max_unacked)",
             session->jid->text);
    user_hold(user);
    if (session->asleep) {
        sleeper_late(session);
        session_end(session);
        shed(user);
    } else {
        session_close(session, SESSION_ENDED, STR("policy-violation"));
    }
    user_release(user);
}

void acks_timer(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, acks);
    struct list *node;
    while ((node = list_pop(&sm->overfull)))
        end_overfull(LIST_ENTRY(node, struct acks, node)->session);
    uint64_t now = loop_now(sm->loop);
    LIST_EACH_SAFE (it, &sm->sleeping) {
        struct acks *acks = LIST_ENTRY(it, struct acks, node);
        if (acks->deadline > now)
            continue;
        if (acks->resume) {
            acks_go_on(acks->session, acks->resume);
        } else {
            sleeper_late(acks->session);
            session_end(acks->session);
        }
    }
    if (!list_empty(&sm->sleeping))
        loop_timer_start(timer, TICK_MS);
}

/* --- resumption: section 5 --- */

/* A c2s that dies later may be asked by another sm what the presence was. */
void acks_tell_presence(const struct session *session)
{
    struct sm *sm = session->user->sm;
    struct packet *p = packet_create(PACKET_STANZA, peer_name(session->peer), str_of(sm->c->id));
    p->stanza = stanza_ref(session->presence);
    p->c2s = session->c2s;
    p->sm = session->sm;
    p->failed = true;
    component_send(sm->c, p);
}

void acks_go_on(struct session *session, struct packet *request)
{
    struct sm *sm = session->user->sm;
    struct acks *acks = session->acks;
    if (acks->kept) { /* which comes back here */
        acks->resume = request;
        sleeper_release(session);
        return;
    }
    char text[48 + TRAITS_TEXT], words[TRAITS_TEXT];
    struct str traits = traits_write(session->carbons ? TRAIT_CARBONS : 0, words);
    int len = snprintf(text, sizeof text, "%" PRIu32 " %" PRIu32 "%s%.*s", acks_h(acks), acks->max,
                       traits.len ? " " : "", STR_ARG(traits));
    acks->resume = NULL;
    acks_wake(session);
    session_take(session, request);
    struct packet *answer =
        packet_create_session(request->route_from, str_of(sm->c->id), SESSION_RESUMED, session->jid,
                              (struct str){text, (size_t)len});
    answer->c2s = session->c2s;
    answer->sm = session->sm;
    answer->request = request->request;
    packet_destroy(request);
    component_send(sm->c, answer);
    if (session->presence)
        acks_tell_presence(session);
    flight_repeat(session);
    csi_set(session, false); /* XEP-0352 section 5.2 */
    path_run(&sm->path, PATH_SESSION_WAKE,
             &(struct path_event){.sm = sm, .user = session->user, .session = session});
}

struct session *acks_find(const struct user *user, struct str id)
{
    for (struct session *s = user->sessions; s; s = s->next)
        if (s->acks && s->acks->max && acks_is(s, id))
            return s;
    return NULL;
}

void acks_resume(struct user *user, struct packet *p)
{
    struct sm *sm = user->sm;
    struct str rest = p->reason;
    uint32_t h;
    bool known = number(&rest, &h);
    struct session *session = known ? acks_find(user, rest) : NULL;
    struct acks *acks = session ? session->acks : NULL;
    uint32_t news = acks ? h - (acks->out - acks->waiting) : 0;
    if (session && session->presence_due) { /* its new stream is over, too: it is what it was */
        user_hold(user);
        session_close(session, SESSION_REPLACED, STR_NULL);
        sleeper_resume(user, p, rest, h);
        user_release(user);
        return;
    }
    if (known && !session) {
        sleeper_resume(user, p, rest, h);
        return;
    }
    /* What it has not got went out in a former life of ours, and its c2s is dead, too: nobody has
     * it any more but the outbox. */
    bool behind = acks && news > UINT32_MAX / 2;
    if (acks && !behind && news > acks->waiting) { /* section 6 */
        char text[32];
        int len = snprintf(text, sizeof text, "too-high %" PRIu32, acks->out);
        session_answer(sm, p, SESSION_RESUME, (struct str){text, (size_t)len});
        return;
    }
    if (!acks || behind) {
        session_answer(sm, p, SESSION_RESUME, STR("item-not-found"));
        return;
    }
    user_hold(user);
    for (; news > 0; news--)
        flight_handled(sm, LIST_ENTRY(session->flights.next, struct flight, node)->number);
    if (!session->asleep) { /* its old stream is still there */
        session_tell(session, SESSION_REPLACED, STR_NULL);
        acks_sleep(session);
    }
    if (acks->resume)
        packet_destroy(acks->resume);
    acks->resume = p;
    acks->deadline = loop_now(sm->loop) + PATIENCE_MS;
    if (list_empty(&acks->places))
        acks_go_on(session, p);
    user_release(user);
}
