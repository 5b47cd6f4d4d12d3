/* Delivery to local addresses: the table of RFC 6121 section 8.5.4 and what carries it out.
 *
 * Where the RFC leaves a choice: messages to the bare JID go to every resource that takes messages,
 * not to the "most available" alone; what cannot be delivered is answered with service-unavailable
 * rather than dropped in silence.
 */
#include "sm/deliver.h"

#include "sm/carbons.h"
#include "sm/change.h"
#include "sm/iq.h"
#include "sm/mam.h"
#include "sm/offline.h"
#include "sm/outbox.h"
#include "sm/owed.h"
#include "sm/peer_lists.h"
#include "sm/presence.h"
#include "sm/push.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

/* Columns: normal, chat, groupchat, headline, error. */
static const enum deliver_action table[DELIVER_CASES][DELIVER_KINDS] = {
    /* 8.5.1 */
    [DELIVER_NO_ACCOUNT] = {DELIVER_REFUSE, DELIVER_REFUSE, DELIVER_REFUSE, DELIVER_IGNORE,
                            DELIVER_IGNORE},
    /* 8.5.2.2.1, and 8.5.2.1.1 where all priorities are negative */
    [DELIVER_BARE_NOBODY] = {DELIVER_STORE, DELIVER_STORE, DELIVER_REFUSE, DELIVER_IGNORE,
                             DELIVER_IGNORE},
    /* 8.5.2.1.1 */
    [DELIVER_BARE] = {DELIVER_ALL, DELIVER_ALL, DELIVER_REFUSE, DELIVER_ALL, DELIVER_IGNORE},
    /* 8.5.3.1 */
    [DELIVER_FULL_MATCH] = {DELIVER_ONE, DELIVER_ONE, DELIVER_ONE, DELIVER_ONE, DELIVER_ONE},
    /* 8.5.3.2.1 */
    [DELIVER_FULL_NOBODY] = {DELIVER_REFUSE, DELIVER_STORE, DELIVER_REFUSE, DELIVER_IGNORE,
                             DELIVER_IGNORE},
    [DELIVER_FULL_OTHERS] = {DELIVER_REFUSE, DELIVER_ALL, DELIVER_REFUSE, DELIVER_IGNORE,
                             DELIVER_IGNORE},
};

enum deliver_action deliver_rule(enum deliver_case c, enum deliver_kind k)
{
    return table[c][k];
}

enum deliver_kind deliver_kind_of(const struct stanza *message)
{
    struct str type = send_type(message);
    if (str_is(type, "chat"))
        return DELIVER_CHAT;
    if (str_is(type, "groupchat"))
        return DELIVER_GROUPCHAT;
    if (str_is(type, "headline"))
        return DELIVER_HEADLINE;
    return str_is(type, "error") ? DELIVER_ERROR : DELIVER_NORMAL; /* 5.2.2 */
}

/* --- messages --- */

unsigned deliver_to_all(struct user *user, const struct packet *p)
{
    unsigned count = 0;
    for (struct session *s = user->sessions; s; s = s->next)
        if (session_takes_messages(s)) {
            send_session_packet(s, p);
            count++;
        }
    return count;
}

static bool anybody(const struct user *user)
{
    for (const struct session *s = user->sessions; s; s = s->next)
        if (session_takes_messages(s))
            return true;
    return false;
}

static enum deliver_case case_of(const struct user *user, const struct packet *p,
                                 const struct session *match)
{
    if (!user->active)
        return DELIVER_NO_ACCOUNT;
    if (match)
        return DELIVER_FULL_MATCH;
    if (jid_is_bare(p->to))
        return anybody(user) ? DELIVER_BARE : DELIVER_BARE_NOBODY;
    return anybody(user) ? DELIVER_FULL_OTHERS : DELIVER_FULL_NOBODY;
}

static void store(struct user *user, struct packet *p)
{
    struct path_event e = {.sm = user->sm, .user = user, .packet = p};
    if (path_run(&user->sm->path, PATH_OFFLINE, &e) == PATH_PASS)
        fate_drop(user->sm, p, FATE_REASON_CONTENT);
}

/* What becomes of a message that we had taken is our own word to its sender, not an error of
 * somebody else's as in the table: it waits for him when he has gone meanwhile, for he may have our
 * acknowledgement (reliability.md C.1 c). */
static bool is_own_word(const struct user *user, const struct packet *p)
{
    struct str by = stanza_error_by(p->stanza);
    return user->active && by.data && str_eq(by, jid_domain(user->jid));
}

static void deliver_by_rule(struct user *user, struct packet *p, bool copies)
{
    struct session *match = jid_is_bare(p->to) ? NULL : session_of(user, jid_resource(p->to));
    enum deliver_kind kind = deliver_kind_of(p->stanza);
    enum deliver_action action = deliver_rule(case_of(user, p, match), kind);
    if (kind == DELIVER_ERROR && action == DELIVER_IGNORE && is_own_word(user, p))
        action = DELIVER_STORE;
    if (action == DELIVER_ONE || action == DELIVER_ALL || action == DELIVER_STORE)
        mam_received(user, p);
    if (copies && user->carbons.enabled && action != DELIVER_REFUSE)
        carbons_received(user, p, action);
    if (copies && user->pushes && action != DELIVER_REFUSE)
        push_message(user, p, action);
    switch (action) {
    case DELIVER_ONE:
        send_session_packet(match, p);
        break;
    case DELIVER_ALL:
        if (!p->promise && user->session_count > 1 && owed_durable(p->stanza))
            owed_join(user->sm, p);
        deliver_to_all(user, p);
        break;
    case DELIVER_STORE:
        store(user, p);
        return;
    case DELIVER_REFUSE:
        send_error(user->sm, NULL, p, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
        return;
    case DELIVER_IGNORE:
        fate_drop(user->sm, p, FATE_REASON_TYPE);
        return;
    }
    fate_end(user->sm, p, FATE_DELIVERED);
    packet_destroy(p);
}

void deliver_message(struct user *user, struct packet *p)
{
    deliver_by_rule(user, p, true);
}

/* --- iq: 8.5.1, 8.5.2.1.3, 8.5.3 --- */

static void deliver_iq(struct user *user, struct packet *p)
{
    if (jid_is_bare(p->to)) {
        iq_handle(user->sm, user, NULL, p);
        return;
    }
    if (iq_forbidden(user, p)) {
        send_error(user->sm, NULL, p, STANZA_ERR_FORBIDDEN, NULL);
        return;
    }
    struct session *match = session_of(user, jid_resource(p->to));
    if (!match) {
        send_error(user->sm, NULL, p, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    send_session_packet(match, p);
    packet_destroy(p);
}

/* --- from components of this server --- */

bool deliver_is_internal(const struct packet *p)
{
    return p->stanza && str_eq(stanza_ns(p->stanza, STANZA_ROOT), NS_INTERNAL);
}

static void run_internal(struct sm *sm, struct user *user, struct packet *p)
{
    struct path_event e = {.sm = sm, .user = user, .packet = p};
    if (path_run(&sm->path, PATH_INTERNAL, &e) != PATH_DONE)
        packet_destroy(p);
}

void deliver_internal(struct sm *sm, struct packet *p)
{
    if (p->to && p->to->local_len && !p->error)
        deliver(sm, p); /* comes back to deliver_user when the user is loaded */
    else
        run_internal(sm, NULL, p);
}

/* --- all --- */

void deliver_user(struct user *user, struct packet *p)
{
    struct path_event e = {.sm = user->sm, .user = user, .packet = p};
    if (deliver_is_internal(p)) {
        run_internal(user->sm, user, p);
        return;
    }
    if (user->behind.open) {
        fate_note(user->sm, LEDGER_WAITS, p, jid_full(user->jid),
                  STR("for a change of the roster"));
        if (!change_wait(user, p))
            send_error(user->sm, NULL, p, STANZA_ERR_RESOURCE_CONSTRAINT, NULL);
        return;
    }
    if (user->active && path_run(&user->sm->path, PATH_FROM_ROUTER, &e) == PATH_DONE)
        return;
    switch (send_kind_of(p->stanza)) {
    case SEND_MESSAGE:
        deliver_message(user, p);
        break;
    case SEND_PRESENCE:
        presence_from_router(user, p);
        break;
    case SEND_IQ:
        deliver_iq(user, p);
        break;
    case SEND_UNKNOWN:
        packet_destroy(p);
        break;
    }
}

void deliver_domain(struct sm *sm, struct session *session, struct packet *p)
{
    enum send_kind kind = send_kind_of(p->stanza);
    struct path_event e = {.sm = sm, .session = session, .packet = p};
    if (kind == SEND_IQ && jid_is_bare(p->to))
        iq_handle(sm, NULL, session, p);
    else if (kind == SEND_MESSAGE && path_run(&sm->path, PATH_DOMAIN_MESSAGE, &e) == PATH_DONE)
        return;
    else if (kind == SEND_PRESENCE && path_run(&sm->path, PATH_DOMAIN_PRESENCE, &e) == PATH_DONE)
        return;
    else if (kind == SEND_PRESENCE)
        packet_destroy(p); /* a domain has no presence to tell or to want */
    else
        send_error(sm, session, p, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
}

bool deliver_addresses(struct packet *p)
{
    if (!p->to)
        p->to = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("to")));
    if (!p->from)
        p->from = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("from")));
    return p->to && p->from;
}

void deliver(struct sm *sm, struct packet *p)
{
    if (!deliver_addresses(p)) {
        fate_drop(sm, p, FATE_REASON_NO_ADDRESS);
        return;
    }
    if (!sm_domain(sm, jid_domain(p->to))) {
        send_error(sm, NULL, p, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    if (peer_lists_refuse(sm, p->from)) {
        if (send_kind_of(p->stanza) == SEND_PRESENCE)
            packet_destroy(p);
        else
            send_error(sm, NULL, p, STANZA_ERR_NOT_ALLOWED, NULL);
        return;
    }
    if (!p->to->local_len) {
        deliver_domain(sm, NULL, p);
        return;
    }
    struct user *user = user_get(sm, p->to);
    if (user->state == USER_READY) {
        deliver_user(user, p);
    } else {
        fate_note(sm, LEDGER_WAITS, p, jid_full(user->jid), STR("until the account is loaded"));
        if (!user_wait(user, p))
            send_error(sm, NULL, p, STANZA_ERR_RESOURCE_CONSTRAINT, NULL);
    }
    user_release(user);
}

/* --- back from a client that has gone --- */

/* To those who can take messages only since it was sent: often the same client, which has come back
 * by another stream. */
static bool to_newcomers(const struct user *user, const struct packet *p, uint64_t number)
{
    bool any = false;
    for (struct session *s = number ? user->sessions : NULL; s; s = s->next)
        if (session_takes_messages(s) && s->takes_since > number) {
            send_session_packet(s, p);
            any = true;
        }
    return any;
}

/* What has become of the copies of this message that came back; each delivery may move it. */
static void remember(const struct packet *p, uint64_t done)
{
    uint64_t *place = outbox_returned(p->promise);
    if (place)
        *place = done;
}

/* Each session had a copy, and several may come back: what has been done about one of them is done.
 */
static void return_copy(struct user *user, struct packet *p, uint64_t number)
{
    struct sm *sm = user->sm;
    const uint64_t *place = outbox_returned(p->promise);
    uint64_t done = place ? *place : 0;
    if (done == OUTBOX_STORED) {
        fate_drop(sm, p, FATE_REASON_OTHERS);
    } else if (to_newcomers(user, p, number && done > number ? done : number)) {
        remember(p, receipts_number(sm->receipts));
        fate_end(sm, p, FATE_DELIVERED);
        packet_destroy(p);
    } else if (anybody(user)) {
        fate_drop(sm, p, FATE_REASON_OTHERS);
    } else {
        remember(p, OUTBOX_STORED);
        deliver_by_rule(user, p, false);
    }
}

/* What an account says to one of its own sessions: results from its archive. */
static bool from_own_account(const struct packet *p)
{
    return p->from && p->to && jid_is_bare(p->from) && !jid_is_bare(p->to) &&
           jid_eq_bare(p->from, p->to);
}

/* What went to the bare JID is not repeated to those who got their own copy. A carbon was nobody's
 * only copy: it ends here (XEP-0280 section 10.3). Carbons of the message itself have been sent;
 * but who got one gets the message again, since nobody kept an account of the carbon. */
void deliver_returned(struct sm *sm, struct packet *p, uint64_t number)
{
    if (carbons_is_copy(p->stanza)) {
        packet_destroy(p);
        return;
    }
    if (offline_has(p->promise)) {
        offline_returned(p);
        return;
    }
    if (from_own_account(p)) { /* concerns nobody else */
        packet_destroy(p);
        return;
    }
    fate_take(sm, p, FATE_FROM_RETURNED);
    struct user *user = p->to ? user_find(sm, jid_bare(p->to)) : NULL;
    if (p->to && !sm_owns(sm, p->to)) { /* the sm that has the user now knows better */
        send_moved(sm, p);
        return;
    }
    if (!user || user->state != USER_READY || send_kind_of(p->stanza) != SEND_MESSAGE) {
        deliver(sm, p);
        return;
    }
    user_hold(user);
    if (jid_is_bare(p->to))
        return_copy(user, p, number);
    else
        deliver_by_rule(user, p, false);
    user_release(user);
}
