/* A client's stream (RFC 6120 sections 4 and 5): headers, features, STARTTLS, and which element
 * goes where. What may come when is the table of xmpp/stream.h; here is what is then done. Elements
 * that come while something must be answered first wait in the backlog, in order; so do those of a
 * bound client whose session manager is away.
 */
#include "c2s/client_acks.h"
#include "c2s/client_sasl2.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "c2s/certificates.h"
#include "xmpp/namespaces.h"

/* Limits that nobody has needed to change (reliability.md B): the others are settings. */
#define STREAM_NAMESPACES        32
#define STREAM_CHILDREN          8192
#define STREAM_CHILDREN_PREAUTH  64
#define STREAM_BACKLOG_MAX       262144u             /* of one client */
#define STREAM_BACKLOG_TOTAL_MAX (64u * 1024 * 1024) /* of all */
#define STREAM_BACKLOG_ENTRY     64u                 /* what an entry counts beside its bytes */
#define STREAM_LANG_MAX          35                  /* RFC 5646 section 4.4.1 */

struct waiting_stanza {
    struct list node;
    struct stanza *stanza;
    uint64_t trace;
};

void client_stream_limits(const struct client *c, struct parser_limits *ret)
{
    const struct config *config = c2s_config(c->c2s);
    bool known = c->jid != NULL;

    *ret = (struct parser_limits){
        .stanza_bytes = (size_t)(known ? config->c2s_max_stanza : config->c2s_max_stanza_preauth),
        .total_bytes = known ? 0 : (size_t)config->c2s_max_preauth,
        .depth = (uint32_t)config->c2s_max_depth,
        .attributes = (uint32_t)config->c2s_max_attributes,
        .namespaces = STREAM_NAMESPACES,
        .children = known ? STREAM_CHILDREN : STREAM_CHILDREN_PREAUTH,
    };
}

/* --- headers --- */

void client_stream_header(struct client *c, struct str to, struct str lang)
{
    struct c2s *s = c->c2s;
    struct buffer out;
    char id[26];

    random_token(s->component->env->random, id, sizeof(id));
    buffer_init(&out, 32768); /* `to` may be 3 KB of characters that must be escaped */
    stream_write_header(&out, str_of(c->domain ? c->domain : s->domains.names[0]), to,
                        (struct str){id, sizeof(id)}, lang);
    client_write_buffer(c, &out);
    c->header_sent = true;
}

void client_stream_mechanisms(unsigned offer, struct buffer *out)
{
    for (const enum sasl_mechanism *m = sasl_preference; *m != SASL_NONE; m++)
        if (offer & *m) {
            buffer_add_str(out, STR("<mechanism>"));
            buffer_add_str(out, str_of(sasl_mechanism_name(*m)));
            buffer_add_str(out, STR("</mechanism>"));
        }
}

static void write_mechanisms(struct client *c, struct buffer *out)
{
    unsigned offer = client_auth_offer(c);
    unsigned char exporter[32];

    c->negotiation->offered = offer;
    client_sasl2_features(c, offer, out);
    if (offer == 0)
        return;
    buffer_add_str(out, STR("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"));
    client_stream_mechanisms(offer, out);
    buffer_add_str(out, STR("</mechanisms>"));
    if (!(offer & SASL_PLUS))
        return;
    /* XEP-0440 */
    buffer_add_str(out, STR("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"));
    if (conn_tls_exporter(c->conn, exporter))
        buffer_add_str(out, STR("<channel-binding type='tls-exporter'/>"));
    if (conn_tls(c->conn)->end_point_len > 0)
        buffer_add_str(out, STR("<channel-binding type='tls-server-end-point'/>"));
    buffer_add_str(out, STR("</sasl-channel-binding>"));
}

/* XEP-0478: what we accept, so that a client need not find out by being cut off. */
static void write_limits(const struct client *c, struct buffer *out)
{
    const struct config *config = c2s_config(c->c2s);
    struct parser_limits limits;

    client_stream_limits(c, &limits);
    buffer_printf(out, "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>%zu</max-bytes>",
                  limits.stanza_bytes);
    if (c->jid && config->c2s_ping_after > 0)
        buffer_printf(out, "<idle-seconds>%" PRId64 "</idle-seconds>",
                      config->c2s_ping_after + config->c2s_ping_timeout);
    buffer_add_str(out, STR("</limits>"));
}

/* <session/> is for clients of RFC 3921; optional tells the others to leave it out. <ver/> and
 * <sub/> speak for the session manager (RFC 6121 sections 2.6.1 and 3.4.1), who has no stream of
 * its own. */
static void write_authenticated(const struct client *c, struct buffer *out)
{
    if (jid_is_bare(c->jid))
        buffer_add_str(
            out, STR("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
                     "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"));
    buffer_add_str(out, STR("<ver xmlns='urn:xmpp:features:rosterver'/>"
                            "<sub xmlns='urn:xmpp:features:pre-approval'/>"
                            "<csi xmlns='urn:xmpp:csi:0'/>")); /* XEP-0352 section 4.1 */
    if (c2s_config(c->c2s)->c2s_acks && !c->acks)              /* XEP-0198 section 2 */
        buffer_add_str(out, STR("<sm xmlns='urn:xmpp:sm:3'/>"));
}

static void write_features(struct client *c, struct buffer *out)
{
    enum c2s_tls tls = c2s_tls_of(c->c2s, c->domain);
    bool may_encrypt = !c->tls && tls != C2S_TLS_OFF;

    buffer_add_str(out, STR("<stream:features>"));
    if (c->jid) {
        write_authenticated(c, out);
    } else {
        if (may_encrypt)
            buffer_add_str(out, tls == C2S_TLS_REQUIRED
                                    ? STR("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"
                                          "<required/></starttls>")
                                    : STR("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
        write_mechanisms(c, out);
        if (client_register_possible(c))
            buffer_add_str(out, STR("<register xmlns='http://jabber.org/features/iq-register'/>"));
    }
    write_limits(c, out);
    buffer_add_str(out, STR("</stream:features>"));
}

void client_stream_features(struct client *c)
{
    struct buffer out;

    buffer_init(&out, 8192);
    write_features(c, &out);
    client_write_buffer(c, &out);
}

/* The identity that a header's `from` claims must not change what was authenticated (RFC 6120
 * section 4.7.1), and before that it must be one of this domain (XEP-0388 section 2.1). */
static bool from_agrees(const struct client *c, const struct jid *from)
{
    if (!from)
        return true;
    if (c->jid)
        return jid_eq_bare(c->jid, from);
    return !c2s_config(c->c2s)->c2s_sasl2 || str_eq(jid_domain(from), str_of(c->domain));
}

static void remember_from(struct client *c, struct jid *from)
{
    struct negotiation *n = c->negotiation;

    jid_unref(n->from);
    n->from = from && jid_local(from).len ? jid_to_bare(from) : NULL;
}

static enum stream_condition choose_domain(struct client *c, struct str to)
{
    const char *domain = to.data ? domains_find(&c->c2s->domains, to) : c->domain;

    if (!domain)
        return to.data ? STREAM_ERR_HOST_UNKNOWN : STREAM_ERR_IMPROPER_ADDRESSING;
    /* An account of one domain is nothing in another. */
    if (c->jid && !str_eq(str_of(domain), jid_domain(c->jid)))
        return STREAM_ERR_NOT_AUTHORIZED;
    c->domain = domain;
    return STREAM_ERR_NONE;
}

/* RFC 6120 section 4.7.4: a language tag, or it is as if there were none. */
static struct str take_lang(struct client *c, struct str lang)
{
    bool ok = lang.len > 0 && lang.len <= STREAM_LANG_MAX;

    for (size_t i = 0; ok && i < lang.len; i++)
        ok = isalnum((unsigned char)lang.data[i]) || lang.data[i] == '-';
    free(c->lang);
    c->lang = ok ? str_dup(lang) : NULL;
    return ok ? lang : STR("en");
}

static void on_stream_open(void *owner, const struct stanza *header)
{
    struct client *c = owner;
    struct str to = STR_NULL, from = stanza_attr(header, STANZA_ROOT, STR("from")),
               lang = stanza_lang(header, STANZA_ROOT);
    struct jid *sender = from.data ? jid_parse(from) : NULL;
    enum stream_condition condition = STREAM_ERR_NONE;
    enum stream_action action = stream_next(c->state, STREAM_IN_HEADER, &condition);
    char to_out[1024];

    c->header_sent = false;
    lang = take_lang(c, lang);
    if (action == STREAM_DO_OPEN)
        condition = stream_check_header(header, to_out, &to);
    if (condition == STREAM_ERR_NONE)
        condition = choose_domain(c, to);
    if (condition == STREAM_ERR_NONE && !from_agrees(c, sender))
        condition = STREAM_ERR_INVALID_FROM;
    client_stream_header(c, sender ? jid_full(sender) : STR_NULL, lang);
    if (c->negotiation)
        remember_from(c, sender);
    jid_unref(sender);
    if (condition != STREAM_ERR_NONE) {
        client_error(c, condition, NULL);
        return;
    }
    client_set_state(c, c->jid ? STREAM_UNBOUND : STREAM_NEGOTIATING, "stream header");
    if (!client_upgrade_look_up(c))
        client_stream_features(c);
}

/* --- the backlog --- */

struct backlog *client_stream_backlog(struct client *c)
{
    if (!c->backlog) {
        c->backlog = MEM_NEW(struct backlog);
        list_init(&c->backlog->stanzas);
    }
    return c->backlog;
}

bool client_stream_busy(const struct client *c)
{
    return (c->paused & CLIENT_PAUSE_BUSY) ||
           (c->state == STREAM_BOUND && c->phase != SESSION_ATTACHED);
}

static size_t held_size(const struct stanza *s)
{
    return stanza_size(s) + STREAM_BACKLOG_ENTRY;
}

void client_stream_hold(struct client *c, struct stanza *s, bool returned, uint64_t trace)
{
    struct backlog *b = client_stream_backlog(c);
    struct waiting_stanza *w = MEM_NEW(struct waiting_stanza);

    w->stanza = s;
    w->trace = trace;
    if (returned) {
        /* Behind those that came back before it; they were all sent before anything that waits. */
        list_push(b->returned ? b->returned->next : b->stanzas.next, &w->node);
        b->returned = &w->node;
    } else {
        list_push(&b->stanzas, &w->node);
    }
    b->bytes += held_size(s);
    c->c2s->backlog_bytes += held_size(s);
    if (b->bytes > STREAM_BACKLOG_MAX || c->c2s->backlog_bytes > STREAM_BACKLOG_TOTAL_MAX)
        client_pause(c, CLIENT_PAUSE_BACKLOG);
}

static struct stanza *take(struct client *c)
{
    struct backlog *b = c->backlog;
    struct list *node = b ? list_pop(&b->stanzas) : NULL;
    struct waiting_stanza *w;
    struct stanza *s;

    if (!node)
        return NULL;
    if (b->returned == node)
        b->returned = NULL;
    w = LIST_ENTRY(node, struct waiting_stanza, node);
    s = w->stanza;
    c->trace = w->trace;
    free(w);
    b->bytes -= held_size(s);
    c->c2s->backlog_bytes -= held_size(s);
    return s;
}

static bool waits(const struct client *c)
{
    return c->backlog && !list_empty(&c->backlog->stanzas);
}

bool client_stream_holds(const struct client *c, const struct stanza *s)
{
    if (c->backlog)
        LIST_EACH (it, &c->backlog->stanzas)
            if (LIST_ENTRY(it, struct waiting_stanza, node)->stanza == s)
                return true;
    return false;
}

static void free_backlog(struct client *c)
{
    client_session_forget_old(c);
    free(c->backlog);
    c->backlog = NULL;
    client_resume(c, CLIENT_PAUSE_BACKLOG);
}

void client_stream_continue(struct client *c)
{
    bool closing;

    if (c->draining)
        return;
    c->draining = true;
    while (c->state != STREAM_CLOSED && !client_stream_busy(c) && waits(c))
        client_stream_element(c, take(c));
    c->draining = false;
    c->trace = 0;
    if (c->state == STREAM_CLOSED || client_stream_busy(c) || !c->backlog)
        return;
    closing = c->backlog->closing;
    free_backlog(c);
    if (closing)
        client_close(c, "closed by the client");
}

void client_stream_give_up(struct client *c, bool tell)
{
    struct stanza *s;

    if (!c->backlog)
        return;
    while ((s = take(c)) != NULL) {
        /* RFC 6121 sections 8.2, 8.5: presence is not worth an error, the rest must not vanish
         * silently. */
        if (tell && c->state == STREAM_BOUND && !c->acks &&
            !str_is(stanza_name(s, STANZA_ROOT), "presence"))
            client_refuse(c, s, STANZA_ERR_SERVICE_UNAVAILABLE,
                          "not sent: the session manager has been away too long");
        stanza_unref(s);
    }
    free_backlog(c);
}

/* --- elements --- */

static void do_ignore(struct client *c, struct stanza *s)
{
    stanza_unref(s);
}

static void do_starttls(struct client *c, struct stanza *s)
{
    stanza_unref(s);
    if (c->tls || c2s_tls_of(c->c2s, c->domain) == C2S_TLS_OFF) {
        /* RFC 6120 section 5.4.2.2: the failure case ends the stream. */
        client_write(c, STR("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
        client_close(c, "STARTTLS not possible");
        return;
    }
    /* Whatever stands behind <starttls/> in the clear was put there by a man in the middle or a
     * broken client (CVE-2011-0411; reliability.md B 12): nothing of it may be taken for what came
     * inside TLS. */
    if (waits(c) || (c->in_feed && parser_rest(c->parser) > 0)) {
        client_error(c, STREAM_ERR_POLICY_VIOLATION, "bytes in the clear behind <starttls/>");
        return;
    }
    client_write(c, STR("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    parser_restart(c->parser);
    c->header_sent = false;
    client_set_state(c, STREAM_TLS, "<starttls/>");
    conn_start_tls_server(c->conn, certificates_starttls(c->c2s->certificates), c->domain);
}

static void do_response(struct client *c, struct stanza *s)
{
    client_auth_response(c, s);
    stanza_unref(s);
}

static void do_abort(struct client *c, struct stanza *s)
{
    stanza_unref(s);
    client_auth_fail(c, SASL_FAIL_ABORTED); /* RFC 6120 section 6.4.4 */
}

static void do_sasl_malformed(struct client *c, struct stanza *s)
{
    stanza_unref(s);
    client_auth_fail(c, SASL_FAIL_MALFORMED_REQUEST);
}

static void do_sasl2_malformed(struct client *c, struct stanza *s)
{
    stanza_unref(s);
    client_sasl2_malformed(c);
}

static void do_tls_failure(struct client *c, struct stanza *s)
{
    stanza_unref(s);
    client_write(c, STR("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    client_close(c, "STARTTLS not possible now");
}

static void do_session(struct client *c, struct stanza *s)
{
    client_bind_session(c, s);
    stanza_unref(s);
}

static void do_csi(struct client *c, struct stanza *s)
{
    client_session_state(c, str_is(stanza_name(s, STANZA_ROOT), "inactive"));
    stanza_unref(s);
}

static void do_close(struct client *c, struct stanza *s)
{
    stanza_unref(s);
    client_close(c, "closed by the client");
}

static void (*const actions[])(struct client *c, struct stanza *s) = {
    [STREAM_DO_IGNORE] = do_ignore,
    [STREAM_DO_STARTTLS] = do_starttls,
    [STREAM_DO_AUTH] = client_auth_begin,
    [STREAM_DO_RESPONSE] = do_response,
    [STREAM_DO_ABORT] = do_abort,
    [STREAM_DO_SASL_MALFORMED] = do_sasl_malformed,
    [STREAM_DO_AUTHENTICATE] = client_auth_begin,
    [STREAM_DO_NEXT] = client_upgrade_next,
    [STREAM_DO_TASK_DATA] = client_upgrade_data,
    [STREAM_DO_SASL2_MALFORMED] = do_sasl2_malformed,
    [STREAM_DO_TLS_FAILURE] = do_tls_failure,
    [STREAM_DO_REGISTER] = client_register,
    [STREAM_DO_BIND] = client_bind,
    [STREAM_DO_SESSION] = do_session,
    [STREAM_DO_STANZA] = client_stanza,
    [STREAM_DO_SM] = client_acks_element,
    [STREAM_DO_CSI] = do_csi,
    [STREAM_DO_CLOSE] = do_close,
};

void client_stream_element(struct client *c, struct stanza *s)
{
    enum stream_condition condition = STREAM_ERR_NONE;
    enum stream_input input = stream_classify(s, str_of(c->domain));
    enum stream_action action = stream_next(c->state, input, &condition);

    if (action == STREAM_DO_ERROR) {
        stanza_unref(s);
        client_error(c, condition, NULL);
        return;
    }
    if (!c->acks || action == STREAM_DO_SM || action == STREAM_DO_CSI) { /* not stanzas */
        actions[action](c, s);
        return;
    }
    client_acks_close(c); /* the one before, if it had to wait */
    client_acks_open(c);
    actions[action](c, s);
    client_acks_close(c);
}

static void on_stanza(void *owner, struct stanza *s)
{
    struct client *c = owner;

    c->c2s->count.stanzas_in++;
    c->stanzas++;
    if (client_stream_busy(c) || waits(c))
        client_stream_hold(c, s, false, 0);
    else
        client_stream_element(c, s);
}

static void on_stream_close(void *owner)
{
    struct client *c = owner;
    enum stream_condition condition = STREAM_ERR_NONE;

    if (c->paused & CLIENT_PAUSE_BUSY)
        client_stream_backlog(c)->closing = true;
    else if (stream_next(c->state, STREAM_IN_CLOSE, &condition) == STREAM_DO_ERROR)
        client_error(c, condition, NULL);
    else
        client_close(c, "closed by the client");
}

static void on_space(void *owner)
{
    struct client *c = owner;
    enum stream_condition condition = STREAM_ERR_NONE;

    if (stream_next(c->state, STREAM_IN_SPACE, &condition) == STREAM_DO_ERROR)
        client_error(c, condition, "white space inside an exchange of XEP-0388");
}

const struct parser_events client_stream_events = {.stream_open = on_stream_open,
                                                   .stanza = on_stanza,
                                                   .stream_close = on_stream_close,
                                                   .space = on_space};
