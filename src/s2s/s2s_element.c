/* Elements of a stream between servers: which goes where. What may come when is the tables of
 * xmpp/s2s_stream.h; here is what is then done. */
#include "s2s/s2s_conn.h"

static void do_ignore(struct s2s_conn *c, const struct stanza *s)
{
    (void)c, (void)s;
}

static void do_starttls(struct s2s_conn *c, const struct stanza *s)
{
    (void)s;
    if (c->in_feed && parser_rest(c->parser) > 0) /* CVE-2011-0411; B 12 */
        s2s_conn_error(c, STREAM_ERR_POLICY_VIOLATION, "bytes in the clear behind <starttls/>");
    else
        s2s_in_starttls(c);
}

static void do_proceed(struct s2s_conn *c, const struct stanza *s)
{
    (void)s;
    if (c->in_feed && parser_rest(c->parser) > 0)
        s2s_conn_error(c, STREAM_ERR_POLICY_VIOLATION, "bytes in the clear behind <proceed/>");
    else
        s2s_out_proceed(c);
}

static void do_no_tls(struct s2s_conn *c, const struct stanza *s)
{
    (void)s;
    if (c->role == S2S_MADE) {
        s2s_conn_fail(c, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "it offered TLS and then refused it");
        return;
    }
    s2s_conn_write(c, STR("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    s2s_conn_close(c, "STARTTLS not possible now");
}

static void do_sasl_malformed(struct s2s_conn *c, const struct stanza *s)
{
    (void)s;
    if (c->role == S2S_MADE)
        s2s_conn_write(c, STR("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"));
    else
        s2s_conn_write(c, STR("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                              "<malformed-request/></failure>"));
}

static void do_success(struct s2s_conn *c, const struct stanza *s)
{
    (void)s;
    s2s_out_success(c);
}

static void do_bidi(struct s2s_conn *c, const struct stanza *s)
{
    (void)s;
    s2s_in_bidi(c);
}

static enum stanza_condition condition_of_peer_error(const struct stanza *s)
{
    /* Sections 4.9.3.5 and 4.9.3.6: it does not serve the domain at all. */
    if (stanza_child(s, STANZA_ROOT, STR("host-unknown"), STR_NULL) != STANZA_NONE ||
        stanza_child(s, STANZA_ROOT, STR("host-gone"), STR_NULL) != STANZA_NONE)
        return STANZA_ERR_REMOTE_SERVER_NOT_FOUND;
    return STANZA_ERR_REMOTE_SERVER_TIMEOUT;
}

static void do_peer_error(struct s2s_conn *c, const struct stanza *s)
{
    stanza_el first = stanza_first(s, STANZA_ROOT);
    char why[160];

    (void)snprintf(why, sizeof(why), "the other server said %.*s",
                   STR_ARG(first == STANZA_NONE ? STR("error") : stanza_name(s, first)));
    s2s_conn_fail(c, condition_of_peer_error(s), why);
}

static void do_close(struct s2s_conn *c, const struct stanza *s)
{
    (void)s;
    s2s_conn_close(c, "closed by the other server");
}

static void (*const actions[])(struct s2s_conn *c, const struct stanza *s) = {
    [S2S_DO_IGNORE] = do_ignore,
    [S2S_DO_FEATURES] = s2s_out_features,
    [S2S_DO_STARTTLS] = do_starttls,
    [S2S_DO_PROCEED] = do_proceed,
    [S2S_DO_NO_TLS] = do_no_tls,
    [S2S_DO_AUTH] = s2s_in_auth,
    [S2S_DO_SASL_MALFORMED] = do_sasl_malformed,
    [S2S_DO_SUCCESS] = do_success,
    [S2S_DO_FAILURE] = s2s_out_failure,
    [S2S_DO_RESULT] = s2s_dialback_result,
    [S2S_DO_RESULT_ANSWER] = s2s_dialback_result_answer,
    [S2S_DO_VERIFY] = s2s_dialback_verify,
    [S2S_DO_VERIFY_ANSWER] = s2s_dialback_verify_answer,
    [S2S_DO_BIDI] = do_bidi,
    [S2S_DO_SM] = s2s_sm_element,
    [S2S_DO_PEER_ERROR] = do_peer_error,
    [S2S_DO_CLOSE] = do_close,
};

static void on_stanza(void *owner, struct stanza *s)
{
    struct s2s_conn *c = owner;
    enum stream_condition condition;
    enum s2s_action action = s2s_stream_next(c->role, c->state, s2s_stream_classify(s), &condition);

    if (action == S2S_DO_STANZA) {
        s2s_stanza_in(c, s);
        return;
    }
    if (action == S2S_DO_ERROR)
        s2s_conn_error(c, condition, NULL);
    else
        actions[action](c, s);
    stanza_unref(s);
}

static void on_stream_open(void *owner, const struct stanza *header)
{
    struct s2s_conn *c = owner;
    struct s2s_header h;
    enum stream_condition condition;
    enum s2s_action action = s2s_stream_next(c->role, c->state, S2S_IN_HEADER, &condition);

    if (action == S2S_DO_IGNORE)
        return;
    if (action == S2S_DO_OPEN)
        condition = s2s_stream_check_header(header, &h);
    if (condition != STREAM_ERR_NONE)
        s2s_conn_error(c, condition, NULL);
    else if (c->role == S2S_MADE)
        s2s_out_header(c, &h);
    else
        s2s_in_header(c, &h);
}

static void on_stream_close(void *owner)
{
    struct s2s_conn *c = owner;
    enum stream_condition condition;

    if (s2s_stream_next(c->role, c->state, S2S_IN_CLOSE, &condition) == S2S_DO_CLOSE)
        s2s_conn_close(c, "closed by the other server");
}

const struct parser_events s2s_element_events = {
    .stream_open = on_stream_open, .stanza = on_stanza, .stream_close = on_stream_close};
