/* Accepted streams: headers, features, STARTTLS, SASL EXTERNAL (RFC 6120 sections 4 to 6, XEP-0178
 * section 3). */
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"
#include "xmpp/sasl.h"

/* --- headers --- */

static void write_header(struct s2s_conn *c, struct str from, struct str to)
{
    struct buffer out;
    char id[32];

    random_token(c->s2s->component->env->random, id, sizeof(id));
    free(c->id);
    c->id = mem_strndup(id, sizeof(id));
    buffer_init(&out, 32768);
    s2s_stream_write_header(&out, from, to, (struct str){id, sizeof(id)});
    s2s_conn_write_buffer(c, &out);
    c->header_sent = true;
}

void s2s_in_error_header(struct s2s_conn *c)
{
    write_header(c, c->local ? str_of(c->local) : str_of(c->s2s->domains.names[0]), STR_NULL);
}

static bool offers_tls(const struct s2s_conn *c)
{
    return !c->tls && s2s_tls_on(c->s2s->tls);
}

/* Whether this peer may log in by its certificate: the name it gave is in it, and somebody we trust
 * says so (XEP-0178 section 3 step 10). */
static bool offers_external(const struct s2s_conn *c)
{
    return c->tls && !c->authenticated && c->peer && policy_of(c->s2s, str_of(c->peer)).allowed &&
           s2s_judge_certified(c, str_of(c->peer));
}

void s2s_in_features(struct s2s_conn *c)
{
    const struct config *config = s2s_config(c->s2s);
    struct policy policy = policy_of(c->s2s, str_of(c->peer ? c->peer : ""));
    struct buffer out;

    buffer_init(&out, 4096);
    buffer_add_str(&out, STR("<stream:features>"));
    if (offers_tls(c))
        buffer_add_str(&out, policy.tls
                                 ? STR("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"
                                       "<required/></starttls>")
                                 : STR("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    if (offers_external(c))
        buffer_add_str(&out, STR("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                                 "<mechanism>EXTERNAL</mechanism></mechanisms>"));
    if (c->tls || !policy.tls) {
        buffer_add_str(&out,
                       STR("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"));
        if (config->s2s_bidi && !c->authenticated)
            buffer_add_str(&out, STR("<bidi xmlns='urn:xmpp:features:bidi'/>"));
        if (config->s2s_acks)
            buffer_add_str(&out, STR("<sm xmlns='urn:xmpp:sm:3'/>"));
    }
    buffer_printf(&out,
                  "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>%lld</max-bytes>"
                  "<idle-seconds>%lld</idle-seconds></limits></stream:features>",
                  (long long)config->s2s_max_stanza, (long long)config->s2s_idle);
    s2s_conn_write_buffer(c, &out);
}

/* After a restart the header must name whom SASL authenticated (RFC 6120 section 4.7.1). */
static enum stream_condition check_domains(const struct s2s_conn *c, const struct s2s_header *h)
{
    if (h->to.data && !s2s_is_local(c->s2s, h->to))
        return STREAM_ERR_HOST_UNKNOWN; /* section 4.9.3.6 */
    if (h->to.data && !policy_federates(c->s2s, h->to))
        return STREAM_ERR_POLICY_VIOLATION; /* section 4.9.3.14 */
    if (h->from.data && s2s_is_local(c->s2s, h->from))
        return STREAM_ERR_INVALID_FROM; /* our own name from outside; B 47 */
    if (h->from.data && !policy_of(c->s2s, h->from).allowed)
        return STREAM_ERR_POLICY_VIOLATION;
    if (!c->authenticated)
        return STREAM_ERR_NONE;
    if (h->from.data && !str_is(h->from, c->peer))
        return STREAM_ERR_INVALID_FROM;
    return h->to.data || c->local ? STREAM_ERR_NONE : STREAM_ERR_IMPROPER_ADDRESSING;
}

void s2s_in_header(struct s2s_conn *c, const struct s2s_header *h)
{
    enum stream_condition condition = check_domains(c, h);
    struct str local = h->to.data ? h->to : c->local ? str_of(c->local) : STR_NULL;
    struct str peer = c->authenticated ? str_of(c->peer) : h->from;

    if (condition == STREAM_ERR_NONE)
        s2s_conn_set_domains(c, local, peer);
    write_header(c,
                 local.data && condition != STREAM_ERR_HOST_UNKNOWN
                     ? str_of(c->local ? c->local : c->s2s->domains.names[0])
                     : str_of(c->s2s->domains.names[0]),
                 h->from);
    if (condition != STREAM_ERR_NONE) {
        s2s_conn_error(c, condition, NULL);
        return;
    }
    s2s_conn_set_state(c, c->authenticated ? S2S_OPEN : S2S_NEGOTIATING, "stream header");
    if (h->version && !s2s_judge_ask(c))
        s2s_in_features(c);
    if (c->authenticated && !s2s_proof_add(c, str_of(c->peer), str_of(c->local)))
        s2s_conn_error(c, STREAM_ERR_RESOURCE_CONSTRAINT, "too many domains (s2s.max_domains)");
}

/* --- TLS --- */

void s2s_in_starttls(struct s2s_conn *c)
{
    if (!offers_tls(c)) {
        s2s_conn_write(c, STR("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
        s2s_conn_close(c, "STARTTLS not possible");
        return;
    }
    s2s_conn_write(c, STR("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    parser_restart(c->parser);
    c->header_sent = false;
    s2s_conn_set_state(c, S2S_TLS, "<starttls/>");
    conn_start_tls_server(c->conn, s2s_tls_server(c->s2s->tls, false), c->local);
}

void s2s_in_tls_ready(struct s2s_conn *c)
{
    s2s_conn_set_state(c, S2S_WAIT_HEADER, "TLS handshake finished");
}

/* --- SASL EXTERNAL --- */

static void refuse_sasl(struct s2s_conn *c, const char *condition)
{
    struct buffer out;

    buffer_init(&out, 256);
    buffer_printf(&out, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><%s/></failure>",
                  condition);
    s2s_conn_write_buffer(c, &out);
}

/* The authorization identity is nobody's but the header's domain (RFC 6120 section 6.3.8). */
static bool authzid_ok(const struct s2s_conn *c, struct str text)
{
    struct buffer decoded;
    char prepared[1024];
    size_t len;
    bool ok;

    if (text.len == 0 || str_is(text, "="))
        return true;
    buffer_init(&decoded, 4096);
    ok = sasl_base64_decode(text, &decoded) &&
         jid_prepare_domain(buffer_str(&decoded), prepared, &len) &&
         str_is((struct str){prepared, len}, c->peer);
    buffer_finish(&decoded);
    return ok;
}

void s2s_in_auth(struct s2s_conn *c, const struct stanza *s)
{
    if (!str_is(stanza_attr(s, STANZA_ROOT, STR("mechanism")), "EXTERNAL")) {
        refuse_sasl(c, "invalid-mechanism");
    } else if (!c->tls) {
        refuse_sasl(c, "encryption-required");
    } else if (!offers_external(c)) {
        refuse_sasl(c, "not-authorized");
    } else if (!authzid_ok(c, stanza_text(s, STANZA_ROOT))) {
        refuse_sasl(c, "invalid-authzid");
    } else {
        c->authenticated = true;
        s2s_conn_write(c, STR("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"));
        s2s_conn_restart(c);
    }
}

void s2s_in_bidi(struct s2s_conn *c)
{
    /* XEP-0288 section 2.2: TLS first, where it is used at all. */
    if (s2s_config(c->s2s)->s2s_bidi && (c->tls || !offers_tls(c)))
        c->bidi = true;
}
