/* Client state indication (XEP-0352): while nobody looks at a client, what can wait is held back.
 *
 * Held are presence, messages that only say how the typing goes, and events of PEP; never what the
 * server would keep for an absent user, so what somebody may have been promised is not touched.
 * Whatever is not held sends everything held before it: the order stays, and nothing is numbered
 * (XEP-0198) before it leaves. Of two presences of one full JID, and of two typing notices of one
 * sender, the later is enough.
 */
#include "sm/csi.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/carbons.h"
#include "sm/owed.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

#define MAX_BYTES 524288u /* held for one session */

struct csi {
    struct hash latest; /* key -> struct held: what a later one replaces */
    struct list held;   /* struct held, in the order they came */
    uint32_t count;
    size_t bytes;
    bool flushing;
};

struct held {
    struct list node;
    struct packet *packet;
    size_t key_len; /* 0: nothing replaces it */
    char key[];
};

/* --- what can wait --- */

enum kind { CSI_URGENT, CSI_PRESENCE, CSI_CHAT_STATE, CSI_EVENT };

/* An element with nothing in it but a notice of XEP-0085 and what goes with any message. */
static bool only_chat_state(const struct stanza *s, stanza_el message)
{
    bool chat_state = false;
    for (stanza_el el = stanza_first(s, message); el != STANZA_NONE; el = stanza_next(s, el)) {
        struct str ns = stanza_ns(s, el);
        if (str_eq(ns, NS_CHAT_STATES))
            chat_state = true;
        else if (!str_eq(ns, NS_HINTS) && !str_is(stanza_name(s, el), "thread"))
            return false;
    }
    return chat_state;
}

static enum kind kind_of(const struct config *config, const struct packet *p)
{
    const struct stanza *s = p->stanza;
    struct str type = send_type(s);
    switch (send_kind_of(s)) {
    case SEND_PRESENCE:
        return config->sm_csi_presence && (!type.data || str_is(type, "unavailable")) ? CSI_PRESENCE
                                                                                      : CSI_URGENT;
    case SEND_MESSAGE:
        if (str_is(type, "error") || owed_durable(s))
            return CSI_URGENT;
        if (config->sm_csi_chat_states && only_chat_state(s, carbons_message(s)))
            return CSI_CHAT_STATE;
        return config->sm_csi_events &&
                       stanza_child(s, STANZA_ROOT, STR("event"), NS_PUBSUB_EVENT) != STANZA_NONE
                   ? CSI_EVENT
                   : CSI_URGENT;
    case SEND_IQ:
    case SEND_UNKNOWN:
        break;
    }
    return CSI_URGENT;
}

/* --- holding --- */

static void drop(struct csi *csi, struct held *h)
{
    if (h->key_len)
        hash_del(&csi->latest, (struct str){h->key, h->key_len});
    list_remove(&h->node);
    csi->count--;
    csi->bytes -= packet_size(h->packet);
}

/* Sender and, for carbons, receiver; presence and notices apart. */
static struct held *make(const struct packet *p, enum kind kind)
{
    const struct stanza *s = p->stanza;
    stanza_el message = carbons_message(s);
    struct str from = p->from && message == STANZA_ROOT ? jid_full(p->from)
                                                        : stanza_attr(s, message, STR("from")),
               to = message == STANZA_ROOT ? STR_NULL : stanza_attr(s, message, STR("to"));
    size_t len = kind == CSI_EVENT ? 0 : 2 + from.len + to.len;
    struct held *h = mem_alloc(sizeof *h + len);
    h->key_len = len;
    if (!len)
        return h;
    h->key[0] = (char)kind;
    h->key[1 + from.len] = ' ';
    if (from.len)
        memcpy(h->key + 1, from.data, from.len);
    if (to.len)
        memcpy(h->key + 2 + from.len, to.data, to.len);
    return h;
}

static void hold(struct session *session, struct packet *p, enum kind kind)
{
    struct csi *csi = session->csi;
    struct held *h = make(p, kind);
    struct str key = {h->key, h->key_len};
    struct held *older = h->key_len ? hash_get(&csi->latest, key) : NULL;
    if (older) {
        drop(csi, older);
        packet_destroy(older->packet);
        free(older);
    }
    fate_note(session->user->sm, LEDGER_WAITS, p, jid_full(session->jid),
              STR("until its client is active"));
    owed_drop(p); /* none of these is durable: nobody's acknowledgement waits for it */
    h->packet = p;
    if (h->key_len)
        hash_put(&csi->latest, key, h);
    list_push(&csi->held, &h->node);
    csi->count++;
    csi->bytes += packet_size(p);
}

/* The oldest; NULL: there is none. */
static struct packet *take(struct csi *csi)
{
    if (list_empty(&csi->held))
        return NULL;
    struct held *h = LIST_ENTRY(csi->held.next, struct held, node);
    struct packet *p = h->packet;
    drop(csi, h);
    free(h);
    return p;
}

/* Through the path once more: what has been forbidden meanwhile is not sent. */
static void flush(struct session *session)
{
    struct csi *csi = session->csi;
    struct packet *p;
    csi->flushing = true;
    while ((p = take(csi))) {
        send_session_packet(session, p);
        packet_destroy(p);
    }
    csi->flushing = false;
}

static enum path_result at_to_client(struct path_event *e)
{
    struct csi *csi = e->session->csi;
    const struct config *config = e->sm->c->env->config;
    if (!csi || csi->flushing)
        return PATH_PASS;
    enum kind kind = kind_of(config, e->packet);
    if (kind != CSI_URGENT) {
        hold(e->session, e->packet, kind);
        if (csi->count > (uint32_t)config->sm_csi_max || csi->bytes > MAX_BYTES)
            flush(e->session);
        return PATH_DONE;
    }
    flush(e->session);
    return PATH_PASS;
}

/* --- states --- */

static struct csi *create(struct random *random)
{
    struct csi *csi = MEM_NEW(struct csi);
    uint64_t seed[2];
    random_fill(random, seed, sizeof seed);
    hash_init(&csi->latest, seed);
    list_init(&csi->held);
    return csi;
}

static void destroy(struct csi *csi)
{
    hash_finish(&csi->latest);
    free(csi);
}

void csi_set(struct session *session, bool inactive)
{
    if (inactive == (session->csi != NULL))
        return;
    if (inactive) {
        session->csi = create(session->user->sm->c->env->random);
        return;
    }
    flush(session);
    destroy(session->csi);
    session->csi = NULL;
}

void csi_end(struct session *session)
{
    struct sm *sm = session->user->sm;
    struct csi *csi = session->csi;
    struct packet *p;
    if (!csi)
        return;
    session->csi = NULL;
    while ((p = take(csi))) {
        p->c2s.len = p->sm.len = 0;
        if (send_kind_of(p->stanza) == SEND_PRESENCE || !deliver_addresses(p))
            packet_destroy(p);
        else
            deliver_returned(sm, p, 0);
    }
    destroy(csi);
}

void csi_forget(struct session *session)
{
    struct packet *p;
    if (!session->csi)
        return;
    while ((p = take(session->csi)))
        packet_destroy(p);
    destroy(session->csi);
    session->csi = NULL;
}

const struct feature csi_feature = {
    .name = "csi",
    .at = {[PATH_TO_CLIENT] = at_to_client},
};
