/* What an <authenticate/> asks for beside the login: the old stream (XEP-0198 section 9.2), or a
 * new resource with what belongs to it (XEP-0386), in one step with the login. The session manager
 * is told all of it when the session starts, so that nothing reaches the client between the binding
 * and what it has enabled.
 */
#include "c2s/client_acks.h"
#include "c2s/client_sasl2.h"

#include "base/mem.h"
#include "link/traits.h"
#include "xmpp/namespaces.h"
#include "xmpp/scram_crypto.h"

#define BIND2_TAG    128 /* bytes of a tag that is taken over */
#define BOUND_MAX    2048
#define RESOURCE_MAX (BIND2_TAG + 1 + BIND2_ID)

void client_bind2_features(const struct client *c, struct buffer *out)
{
    bool acks = c2s_config(c->c2s)->c2s_acks;

    if (acks) /* XEP-0198 section 9.2 */
        buffer_add_str(out, STR("<sm xmlns='urn:xmpp:sm:3'/>"));
    buffer_add_str(out, STR("<bind xmlns='urn:xmpp:bind:0'><inline>")); /* XEP-0386 section 3.1 */
    buffer_add_str(out, STR("<feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/>"));
    if (acks)
        buffer_add_str(out, STR("<feature var='urn:xmpp:sm:3'/>"));
    buffer_add_str(out, STR("</inline></bind>"));
}

/* --- the resource: XEP-0386 section 3.2.1 --- */

void client_bind2_keyed(const struct c2s *s, const char *what, const unsigned char device[16],
                        struct str bare, char out[BIND2_ID])
{
    unsigned char mac[SCRAM_MAX_HASH];
    struct scram_crypto crypto;
    struct buffer text, encoded;

    buffer_init(&text, 4096);
    buffer_init(&encoded, 128);
    buffer_add_str(&text, str_of(what));
    buffer_add(&text, (const char *)device, 16);
    buffer_add_str(&text, bare);
    buffer_add_char(&text, '\0');
    scram_crypto_init(&crypto, SCRAM_SHA_256);
    scram_crypto_hmac(&crypto, s->fake_secret, sizeof(s->fake_secret), buffer_str(&text), mac);
    scram_crypto_finish(&crypto);
    sasl_base64_encode((struct str){(const char *)mac, BIND2_ID}, &encoded);
    for (size_t i = 0; i < BIND2_ID; i++) {
        char ch = buffer_str(&encoded).data[i];
        out[i] = ch;
        if (ch == '+')
            out[i] = '-';
        else if (ch == '/')
            out[i] = '_';
    }
    buffer_finish(&text);
    buffer_finish(&encoded);
}

static struct jid *with_tag(const struct client *c, struct str tag, const char id[BIND2_ID])
{
    char resource[RESOURCE_MAX];
    size_t len = 0;

    if (tag.len > 0) {
        memcpy(resource, tag.data, tag.len);
        len = tag.len;
        resource[len++] = '/';
    }
    memcpy(resource + len, id, BIND2_ID);
    return jid_with_resource(c->jid, (struct str){resource, len + BIND2_ID});
}

/* A tag that is too long, or that no resource can begin with, counts as none. */
static struct jid *choose_jid(const struct client *c, const struct sasl2 *x, stanza_el bind)
{
    stanza_el el = stanza_child(x->request, bind, STR("tag"), NS_BIND2);
    struct str tag = el == STANZA_NONE ? STR("") : stanza_text(x->request, el);
    struct jid *jid;
    char id[BIND2_ID];

    if (tag.len > BIND2_TAG)
        tag = STR("");
    /* The same client gets the same one every time, so that its new session takes the place of its
     * old one. With another tag it does, too: the session manager looks at the id alone. */
    if (x->agent.has_id)
        client_bind2_keyed(c->c2s, "resource", x->agent.id, jid_bare(c->jid), id);
    else
        random_token(c->c2s->component->env->random, id, sizeof(id));
    jid = with_tag(c, tag, id);
    return jid ? jid : with_tag(c, STR(""), id);
}

/* --- in the order of XEP-0386 section 3.2 --- */

static stanza_el wanted(const struct sasl2 *x, const char *name, struct str ns)
{
    return stanza_child(x->request, STANZA_ROOT, str_of(name), ns);
}

/* No session yet: the client goes on with the bind of RFC 6120. */
static void login_alone(struct client *c)
{
    client_set_state(c, STREAM_UNBOUND, "SASL2 success");
    client_sasl2_succeed(c, STR(""), true);
    client_resume(c, CLIENT_PAUSE_BUSY);
}

static void bind_resource(struct client *c)
{
    const struct sasl2 *x = c->negotiation->sasl2;
    stanza_el bind = wanted(x, "bind", NS_BIND2), enable;
    struct jid *full = bind == STANZA_NONE ? NULL : choose_jid(c, x, bind);

    if (!full) {
        login_alone(c);
        return;
    }
    c->traits = TRAIT_BIND2;
    if (stanza_child(x->request, bind, STR("enable"), NS_CARBONS) != STANZA_NONE)
        c->traits |= TRAIT_CARBONS;
    if (stanza_child(x->request, bind, STR("inactive"), NS_CSI) != STANZA_NONE)
        c->traits |= TRAIT_INACTIVE;
    enable = stanza_child(x->request, bind, STR("enable"), NS_SM);
    if (enable != STANZA_NONE && c2s_config(c->c2s)->c2s_acks)
        client_acks_prepare(c, x->request, enable);
    client_bind_begin(c, full);
}

void client_bind2_begin(struct client *c)
{
    struct sasl2 *x = c->negotiation->sasl2;
    stanza_el resume = wanted(x, "resume", NS_SM);

    if (resume != STANZA_NONE)
        x->resume_failed = client_acks_resume(c, x->request, resume);
    if (resume == STANZA_NONE || x->resume_failed.data)
        bind_resource(c);
}

void client_bind2_not_resumed(struct client *c, struct str condition, const uint32_t *h)
{
    struct sasl2 *x = c->negotiation->sasl2;

    x->resume_failed = condition;
    x->resume_known = h != NULL;
    x->resume_h = h ? *h : 0;
    bind_resource(c);
}

bool client_bind2_on(const struct client *c)
{
    return c->negotiation && c->negotiation->sasl2 && c->state == STREAM_BINDING;
}

/* --- how it went --- */

static void write_end(struct buffer *out, const char *name, struct str *rest)
{
    struct str id, stamp;

    if (str_split(rest, ' ', &id) && str_split(rest, ' ', &stamp))
        buffer_printf(out, "<%s id='%.*s' timestamp='%.*s'/>", name, STR_ARG(id), STR_ARG(stamp));
}

/* XEP-0386 section 3.2: where the archive stands. */
static void write_metadata(struct buffer *out, struct str reason)
{
    struct str word;

    (void)str_split(&reason, ' ', &word);
    if (!str_split(&reason, ' ', &word) || !str_is(word, "archive"))
        return;
    buffer_add_str(out, STR("<metadata xmlns='urn:xmpp:mam:2'>"));
    write_end(out, "start", &reason);
    write_end(out, "end", &reason);
    buffer_add_str(out, STR("</metadata>"));
}

void client_bind2_started(struct client *c, struct str reason)
{
    const struct sasl2 *x = c->negotiation->sasl2;
    stanza_el bind = wanted(x, "bind", NS_BIND2);
    bool enable = stanza_child(x->request, bind, STR("enable"), NS_SM) != STANZA_NONE;
    struct buffer inner;

    buffer_init(&inner, BOUND_MAX);
    buffer_add_str(&inner, STR("<bound xmlns='urn:xmpp:bind:0'>"));
    write_metadata(&inner, reason);
    if (enable && c->acks && !c->sm_counts) { /* a session manager of jabberd2 */
        client_acks_end(c);
        client_acks_write_failed(&inner, STR("feature-not-implemented"), NULL);
    } else if (enable && c->acks) {
        client_acks_write_enabled(c, &inner);
    } else if (enable) {
        client_acks_write_failed(&inner, STR("unexpected-request"), NULL);
    }
    buffer_add_str(&inner, STR("</bound>"));
    client_sasl2_succeed(c, buffer_str(&inner), true);
    buffer_finish(&inner);
    client_bound(c, "session started");
}

/* The login stands. With the bind of RFC 6120, which the features offer, the client is told what is
 * in its way. */
void client_bind2_failed(struct client *c)
{
    client_acks_end(c);
    c->traits = 0;
    login_alone(c);
    client_stream_continue(c);
}
