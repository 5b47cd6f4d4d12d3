/* Client SASL2: the exchange of XEP-0388; see client_sasl2.h. Sections are those of that XEP. */
#include "c2s/client_sasl2.h"

#include <stdlib.h>

#include "base/mem.h"
#include "c2s/client_acks.h"
#include "xmpp/namespaces.h"

#define SASL2_DATA_MAX    8192
#define SASL2_SUCCESS_MAX 32768

/* --- what is offered --- */

/* Section 3: only behind TLS. Where the operator has switched TLS off, something in front has it.
 */
bool client_sasl2_possible(const struct client *c)
{
    return c2s_config(c->c2s)->c2s_sasl2 &&
           (c->tls || c2s_tls_of(c->c2s, c->domain) == C2S_TLS_OFF);
}

void client_sasl2_features(struct client *c, unsigned offer, struct buffer *out)
{
    struct negotiation *n = c->negotiation;

    n->tokens = 0;
    n->sasl2_offered = client_sasl2_possible(c) ? offer & ~n->lacking : 0;
    if (n->sasl2_offered == 0)
        return;
    buffer_add_str(out, STR("<authentication xmlns='urn:xmpp:sasl:2'>"));
    client_stream_mechanisms(n->sasl2_offered, out);
    buffer_add_str(out, STR("<inline>"));
    client_bind2_features(c, out);
    n->tokens = client_token_features(c, out);
    buffer_add_str(out, STR("</inline>"));
    client_upgrade_features(c, out);
    buffer_add_str(out, STR("</authentication>"));
}

/* --- begin and end --- */

static struct sasl2 *create(struct stanza *request)
{
    struct sasl2 *x = MEM_NEW(struct sasl2);

    x->request = request ? stanza_ref(request) : NULL;
    buffer_init(&x->data, SASL2_DATA_MAX);
    return x;
}

void client_sasl2_close(struct negotiation *n)
{
    struct sasl2 *x = n->sasl2;

    if (!x)
        return;
    stanza_unref(x->request);
    buffer_finish(&x->data);
    client_token_destroy(x->token);
    mem_wipe(&x->keys, sizeof(x->keys));
    free(x);
    n->sasl2 = NULL;
}

enum sasl_failure client_sasl2_open(struct client *c, struct stanza *authenticate,
                                    struct str *ret_initial)
{
    struct negotiation *n = c->negotiation;
    stanza_el el = stanza_child(authenticate, STANZA_ROOT, STR("initial-response"), NS_SASL2);

    client_sasl2_close(n);
    n->sasl2 = create(authenticate);
    *ret_initial = el == STANZA_NONE ? STR_NULL : stanza_text(authenticate, el);
    if (!n->sasl2_offered)
        return SASL_FAIL_INVALID_MECHANISM;
    if (!sasl2_read_agent(authenticate, &n->sasl2->agent)) /* section 2.3: "MUST be a UUID" */
        return SASL_FAIL_MALFORMED_REQUEST;
    return SASL_FAIL_NONE;
}

void client_sasl2_announced(struct negotiation *n, bool exporter, bool end_point)
{
    bool bindings = n->sasl2_offered & SASL_PLUS;
    struct buffer text;

    buffer_init(&text, 1024);
    sasl2_write_announced(&text, n->sasl2_offered, exporter && bindings, end_point && bindings);
    sasl_announced(n->sasl, buffer_str(&text));
    buffer_finish(&text);
}

void client_sasl2_malformed(struct client *c)
{
    if (!c->negotiation->sasl2)
        c->negotiation->sasl2 = create(NULL);
    client_auth_fail(c, SASL_FAIL_MALFORMED_REQUEST);
}

/* --- success: section 2.6.1 --- */

void client_sasl2_proved(struct negotiation *n, struct str data)
{
    buffer_clear(&n->sasl2->data);
    buffer_add_str(&n->sasl2->data, data);
    client_upgrade_begin(n);
}

void client_sasl2_authenticated(struct negotiation *n)
{
    struct client *c = n->client;
    struct log log;

    if (!client_authenticated(c, sasl_username(n->sasl))) {
        client_auth_fail(c, SASL_FAIL_NOT_AUTHORIZED);
        return;
    }
    sasl_destroy(n->sasl);
    n->sasl = NULL;
    c->has_device = n->sasl2->agent.has_id;
    memcpy(c->device, n->sasl2->agent.id, sizeof(c->device));
    log = client_log(c);
    log_debug(&log, "authenticated");
    client_bind2_begin(c);
}

void client_sasl2_succeed(struct client *c, struct str inner, bool features)
{
    struct sasl2 *x = c->negotiation->sasl2;
    struct buffer out;

    buffer_init(&out, SASL2_SUCCESS_MAX);
    buffer_add_str(&out, STR("<success xmlns='urn:xmpp:sasl:2'>"));
    if (buffer_len(&x->data) > 0)
        sasl2_write_data(&out, STR("additional-data"), buffer_str(&x->data));
    buffer_add_str(&out, STR("<authorization-identifier>"));
    builder_escape_text(&out, jid_full(c->jid));
    buffer_add_str(&out, STR("</authorization-identifier>"));
    if (x->resume_failed.data)
        client_acks_write_failed(&out, x->resume_failed, x->resume_known ? &x->resume_h : NULL);
    buffer_add_str(&out, inner);
    client_token_write(x, &out);
    buffer_add_str(&out, STR("</success>"));
    client_write_buffer(c, &out);
    client_sasl2_close(c->negotiation);
    if (features)
        client_stream_features(c);
}
