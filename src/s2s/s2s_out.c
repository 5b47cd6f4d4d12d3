/* Streams that we make: header, TLS, SASL EXTERNAL, and what is left to dialback. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"
#include "xmpp/namespaces.h"
#include "xmpp/sasl.h"

static void write_header(struct s2s_conn *c)
{
    struct buffer out;

    buffer_init(&out, 32768);
    s2s_stream_write_header(&out, str_of(c->local), str_of(c->peer), STR_NULL);
    s2s_conn_write_buffer(c, &out);
    c->header_sent = true;
}

void s2s_out_begin(struct s2s_conn *c)
{
    write_header(c);
    s2s_conn_set_state(c, S2S_WAIT_HEADER, "connected");
}

static void give_up(struct s2s_conn *c, const char *why)
{
    s2s_conn_fail(c, STANZA_ERR_REMOTE_SERVER_TIMEOUT, why);
}

/* --- their certificate --- */

static void refuse_certificate(struct s2s_conn *c)
{
    char why[200];

    (void)snprintf(why, sizeof(why), "its certificate does not prove %.80s: %.80s", c->peer,
                   c->trusted ? "it is for another domain" : c->certificate_why);
    give_up(c, why);
}

void s2s_out_tls_ready(struct s2s_conn *c)
{
    if (!s2s_judge_allows(c, str_of(c->peer))) {
        refuse_certificate(c);
        return;
    }
    write_header(c);
    s2s_conn_set_state(c, S2S_WAIT_HEADER, "TLS handshake finished");
}

/* --- header and features --- */

static void open_stream(struct s2s_conn *c)
{
    s2s_conn_set_state(c, S2S_OPEN, c->authenticated ? "authenticated" : "dialback may begin");
    s2s_conn_used(c);
    remote_conn_open(c);
}

void s2s_out_header(struct s2s_conn *c, const struct s2s_header *h)
{
    free(c->id);
    c->id = h->id.data ? str_dup(h->id) : NULL;
    /* Section 4.7.3: without an id there is nothing to make a key for. */
    if (!c->id || h->id.len > 1023) {
        s2s_conn_error(c, STREAM_ERR_BAD_FORMAT, "the stream has no id, or one that is too long");
        return;
    }
    if (h->version) {
        s2s_conn_set_state(c, S2S_WAIT_FEATURES, "stream header");
        return;
    }
    /* From before RFC 3920: dialback without TLS, if that is allowed at all. */
    c->dialback = true;
    if (!s2s_judge_allows(c, str_of(c->peer)))
        give_up(c, "it knows no TLS, which is required (s2s.tls)");
    else
        open_stream(c);
}

static bool offers(const struct stanza *features, const char *name, struct str ns)
{
    return stanza_child(features, STANZA_ROOT, str_of(name), ns) != STANZA_NONE;
}

static bool offers_external(const struct stanza *features)
{
    stanza_el list = stanza_child(features, STANZA_ROOT, STR("mechanisms"), NS_SASL);
    stanza_el m = list == STANZA_NONE ? STANZA_NONE : stanza_first(features, list);

    for (; m != STANZA_NONE; m = stanza_next(features, m))
        if (str_is(stanza_text(features, m), "EXTERNAL"))
            return true;
    return false;
}

static void remember(struct s2s_conn *c, const struct stanza *features)
{
    stanza_el dialback = stanza_child(features, STANZA_ROOT, STR("dialback"), NS_DIALBACK_FEATURE);

    /* Whether it is announced or not: what else could we try? */
    c->dialback = true;
    if (dialback != STANZA_NONE &&
        stanza_child(features, dialback, STR("errors"), STR_NULL) != STANZA_NONE)
        c->dialback_errors = true;
    c->sm_offered = offers(features, "sm", NS_SM) && s2s_config(c->s2s)->s2s_acks;
}

static void ask_bidi(struct s2s_conn *c, const struct stanza *features)
{
    if (c->bidi || c->authenticated || !s2s_config(c->s2s)->s2s_bidi ||
        !offers(features, "bidi", NS_BIDI_FEATURE))
        return;
    s2s_conn_write(c, STR("<bidi xmlns='urn:xmpp:bidi'/>"));
    c->bidi = true;
}

/* XEP-0178 section 3 step 11: the identity is sent for servers that rely on it. */
static void auth_external(struct s2s_conn *c)
{
    struct buffer out, encoded;

    buffer_init(&encoded, 4096);
    (void)sasl_base64_encode(str_of(c->local), &encoded);
    buffer_init(&out, 8192);
    buffer_printf(&out,
                  "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>%.*s</auth>",
                  STR_ARG(buffer_str(&encoded)));
    s2s_conn_write_buffer(c, &out);
    buffer_finish(&encoded);
    c->tried_external = true;
    s2s_conn_set_state(c, S2S_SASL, "EXTERNAL");
}

void s2s_out_features(struct s2s_conn *c, const struct stanza *s)
{
    if (!c->tls && s2s_tls_on(c->s2s->tls) && offers(s, "starttls", NS_TLS)) {
        s2s_conn_write(c, STR("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
        s2s_conn_set_state(c, S2S_WAIT_PROCEED, "TLS is offered");
        return;
    }
    if (!s2s_judge_allows(c, str_of(c->peer))) {
        give_up(c, "it offers no TLS, which is required (s2s.tls)");
        return;
    }
    remember(c, s);
    ask_bidi(c, s);
    if (c->tls && !c->authenticated && !c->tried_external && offers_external(s))
        auth_external(c);
    else
        open_stream(c);
}

void s2s_out_proceed(struct s2s_conn *c)
{
    parser_restart(c->parser);
    c->header_sent = false;
    s2s_conn_set_state(c, S2S_TLS, "<proceed/>");
    conn_start_tls_client(c->conn, s2s_tls_client(c->s2s->tls, str_of(c->local), false), c->peer);
}

void s2s_out_success(struct s2s_conn *c)
{
    c->authenticated = true;
    s2s_conn_restart(c);
    write_header(c);
}

void s2s_out_failure(struct s2s_conn *c, const struct stanza *s)
{
    stanza_el first = stanza_first(s, STANZA_ROOT);
    struct log log = s2s_conn_log(c);

    log_debug(&log, "EXTERNAL was refused (%.*s); dialback is tried",
              STR_ARG(first == STANZA_NONE ? STR("-") : stanza_name(s, first)));
    c->remote->no_external = true; /* a server that hangs up now need not do so again */
    open_stream(c);
}
