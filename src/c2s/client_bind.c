/* Resource binding (RFC 6120 section 7): the client's stream gets its full JID, and the session
 * manager a session. The answer waits for the session manager; what the client sends meanwhile
 * waits, too.
 */
#include "c2s/client_sasl2.h"

#include "base/mem.h"
#include "xmpp/namespaces.h"

#define BIND_RESOURCE_CHARS 12 /* of a server-made resource: 62 bits */

static struct jid *server_made(struct client *c)
{
    char resource[BIND_RESOURCE_CHARS];

    random_token(c->c2s->component->env->random, resource, sizeof(resource));
    return jid_with_resource(c->jid, (struct str){resource, sizeof(resource)});
}

static struct jid *choose_jid(struct client *c, const struct stanza *iq)
{
    stanza_el bind = stanza_child(iq, STANZA_ROOT, STR("bind"), NS_BIND);
    stanza_el el =
        bind == STANZA_NONE ? STANZA_NONE : stanza_child(iq, bind, STR("resource"), NS_BIND);
    struct str resource = el == STANZA_NONE ? STR_NULL : stanza_text(iq, el);

    /* Sections 7.6 and 7.7: none asked for, or an empty one, is the server's to choose. */
    return resource.len == 0 ? server_made(c) : jid_with_resource(c->jid, resource);
}

void client_bind_begin(struct client *c, struct jid *full)
{
    jid_unref(c->jid);
    c->jid = full;
    client_set_state(c, STREAM_BINDING, "bind asked");
    client_pause(c, CLIENT_PAUSE_BUSY);
    client_session_start(c);
}

void client_bind(struct client *c, struct stanza *iq)
{
    struct jid *full;

    if (!str_is(stanza_attr(iq, STANZA_ROOT, STR("type")), "set") ||
        stanza_attr(iq, STANZA_ROOT, STR("id")).len == 0 || stanza_children(iq, STANZA_ROOT) != 1) {
        client_refuse(c, iq, STANZA_ERR_BAD_REQUEST, "bind is an iq set with an id and one child");
        stanza_unref(iq);
        return;
    }
    full = choose_jid(c, iq);
    if (!full) {
        /* Section 7.7.2.1 */
        client_refuse(c, iq, STANZA_ERR_BAD_REQUEST, "this resource is not valid");
        stanza_unref(iq);
        return;
    }
    c->negotiation->request = iq;
    client_bind_begin(c, full);
}

void client_bind_started(struct client *c, struct str reason)
{
    struct stanza *request = c->negotiation->request, *result;
    struct builder *b;

    if (client_bind2_on(c)) {
        client_bind2_started(c, reason);
        return;
    }
    b = stanza_result_open(request, STR_NULL, STR_NULL);
    builder_start(b, STR("bind"), NS_BIND);
    builder_leaf(b, STR("jid"), NS_BIND, jid_full(c->jid));
    builder_end(b);
    result = builder_finish(b);
    client_reply(c, result);
    client_bound(c, "session started");
}

void client_bound(struct client *c, const char *cause)
{
    struct log log;

    client_set_state(c, STREAM_BOUND, cause);
    client_auth_release(c->negotiation);
    c->negotiation = NULL;
    log = client_log(c);
    log_info(&log, "%s%s", cause, c->tls ? " over TLS" : "");
    client_keepalive_start(c);
    client_resume(c, CLIENT_PAUSE_BUSY);
}

static enum stanza_condition condition_of(struct str reason)
{
#define X(id, element, type, code)                                                                 \
    if (str_is(reason, element))                                                                   \
        return STANZA_ERR_##id;
#include "xmpp/stanza_error.def"
#undef X
    return STANZA_ERR_INTERNAL_SERVER_ERROR;
}

void client_bind_failed(struct client *c, struct str reason)
{
    struct negotiation *n = c->negotiation;
    enum stanza_condition condition = condition_of(reason);
    struct stanza *request = n->request;
    struct jid *full;

    if (condition == STANZA_ERR_CONFLICT && !n->renamed &&
        str_is(str_of("rename"), c2s_config(c->c2s)->c2s_conflict)) {
        n->renamed = true;
        client_bind_begin(c, server_made(c)); /* section 7.7.2.2, the server's own choice instead */
        return;
    }
    n->request = NULL;
    full = c->jid;
    c->jid = jid_to_bare(full);
    jid_unref(full);
    if (client_bind2_on(c)) {
        client_bind2_failed(c);
        return;
    }
    if (condition == STANZA_ERR_RESOURCE_CONSTRAINT)
        client_reply(c, stanza_error_reply_app(request, STR_NULL, STR_NULL, condition,
                                               "too many resources of this account are connected",
                                               STR("resource-limit-exceeded"),
                                               STR("urn:xmpp:errors")));
    else
        client_reply(c, stanza_error_reply(request, STR_NULL, STR_NULL, condition, NULL));
    stanza_unref(request);
    client_set_state(c, STREAM_UNBOUND, "bind refused");
    client_resume(c, CLIENT_PAUSE_BUSY);
    client_stream_continue(c);
}

void client_bind_session(struct client *c, const struct stanza *iq)
{
    if (c->state != STREAM_BOUND)
        client_refuse(c, iq, STANZA_ERR_NOT_ALLOWED, "bind a resource first");
    else if (!str_is(stanza_attr(iq, STANZA_ROOT, STR("type")), "set") ||
             stanza_attr(iq, STANZA_ROOT, STR("id")).len == 0)
        client_refuse(c, iq, STANZA_ERR_BAD_REQUEST, NULL);
    else
        /* In the name of whom it was sent to (RFC 6120 section 8.1.2.1), which cannot be but us. */
        client_reply(c, stanza_result(iq, stanza_attr(iq, STANZA_ROOT, STR("to")), STR_NULL));
}
