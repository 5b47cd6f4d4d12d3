/* What is left of anonymous users (XEP-0175 section 4): their c2s has them removed with their
 * session, but not when it was killed. So those who lost their session that way go here, and, some
 * time after the start, those whom nobody has brought back since a life before. Only names that a
 * server makes up: should somebody have written a domain with accounts into auth.anonymous, they
 * stay. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/ask.h"

#define NAME_LEN 26u    /* xmpp/sasl.c: anonymous */
#define LOOK_MS  60000u /* after the start: who lives has come back by then */
#define PAUSE_MS 500u
#define AT_ONCE  50u
#define LEFT_MAX 100000u

struct anonymous {
    struct sm *sm;
    struct loop_timer timer;
    struct jid **left; /* perhaps to be removed */
    size_t count, cap;
    bool looked;
};

static struct anonymous *state_of(const struct sm *sm)
{
    return sm->state[FEATURE_anonymous];
}

static bool is_made_up(const struct sm *sm, const struct jid *jid)
{
    const struct config_list *domains = &sm->c->env->config->auth_anonymous;
    struct str local = jid_local(jid);
    if (local.len != NAME_LEN)
        return false;
    for (size_t i = 0; i < local.len; i++)
        if (!(local.data[i] >= 'a' && local.data[i] <= 'z') &&
            !(local.data[i] >= '0' && local.data[i] <= '9'))
            return false;
    for (size_t i = 0; i < domains->count; i++)
        if (str_is(jid_domain(jid), domains->items[i]))
            return true;
    return false;
}

static void add(struct anonymous *a, struct jid *jid)
{
    if (a->count == LEFT_MAX || !is_made_up(a->sm, jid))
        return;
    if (a->count == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 16;
        a->left = mem_realloc(a->left, a->cap * sizeof(void *));
    }
    a->left[a->count++] = jid_ref(jid);
}

/* --- removing --- */

static void on_removed(void *arg, const struct stanza *answer)
{
    /* One that stays is found at the next start. */
}

static void remove_user(struct sm *sm, struct jid *jid)
{
    const struct user *user = user_find(sm, jid_full(jid));
    if (!(user && user->sessions) && sm_owns(sm, jid))
        ask_session(ask_begin(sm, on_removed, NULL), SESSION_DELETE, jid);
}

/* Of one domain; rows: bare JID. */
static void on_users(void *arg, enum error e, const struct store_rows *rows)
{
    struct anonymous *a = arg;
    if (e)
        return;
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        struct jid *jid = jid_parse(store_text(rows, i, 0));
        if (jid)
            add(a, jid);
        jid_unref(jid);
    }
    if (a->count)
        loop_timer_start(&a->timer, PAUSE_MS);
}

static void look(struct anonymous *a)
{
    const struct config_list *domains = &a->sm->c->env->config->auth_anonymous;
    a->looked = true;
    for (size_t i = 0; i < domains->count; i++)
        users_list(a->sm->store, str_of(domains->items[i]), on_users, a);
}

static void on_timer(struct loop_timer *timer)
{
    struct anonymous *a = MEM_CONTAINER(timer, struct anonymous, timer);
    if (!a->looked)
        look(a);
    for (unsigned i = 0; i < AT_ONCE && a->count; i++) {
        struct jid *jid = a->left[--a->count];
        remove_user(a->sm, jid);
        jid_unref(jid);
    }
    if (a->count)
        loop_timer_start(timer, PAUSE_MS);
}

/* --- when --- */

static enum path_result at_session_end(struct path_event *e)
{
    struct anonymous *a = state_of(e->sm);
    if (!e->session->lost || e->user->session_count > 1 || e->user->state == USER_DELETING ||
        !e->sm->c->env->config->auth_anonymous.count)
        return PATH_PASS;
    add(a, e->user->jid);
    if (!loop_timer_running(&a->timer))
        loop_timer_start(&a->timer, a->looked ? PAUSE_MS : LOOK_MS);
    return PATH_PASS;
}

static enum path_result at_start(struct path_event *e)
{
    struct anonymous *a = MEM_NEW(struct anonymous);
    a->sm = e->sm;
    loop_timer_init(&a->timer, e->sm->loop, on_timer);
    if (e->sm->c->env->config->auth_anonymous.count)
        loop_timer_start(&a->timer, LOOK_MS);
    e->sm->state[FEATURE_anonymous] = a;
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    struct anonymous *a = state_of(e->sm);
    if (!a)
        return PATH_PASS;
    loop_timer_stop(&a->timer);
    for (size_t i = 0; i < a->count; i++)
        jid_unref(a->left[i]);
    free(a->left);
    free(a);
    e->sm->state[FEATURE_anonymous] = NULL;
    return PATH_PASS;
}

const struct feature anonymous_feature = {
    .name = "anonymous",
    .at = {[PATH_START] = at_start, [PATH_STOP] = at_stop, [PATH_SESSION_END] = at_session_end},
};
