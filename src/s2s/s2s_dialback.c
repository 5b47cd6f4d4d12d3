/* Dialback (XEP-0220): our keys shown to others, others' keys checked, and what others ask about
 * keys that claim to be ours. */
#include "s2s/s2s_conn.h"

/* --- our identity, on streams that we make --- */

static void make_key(const struct s2s *s, struct str receiving, struct str originating,
                     struct str id, char key[DIALBACK_KEY])
{
    dialback_key((struct str){s->secret, sizeof(s->secret)}, receiving, originating, id, key);
}

void s2s_dialback_prove(struct pair *pair, struct s2s_conn *c)
{
    struct str remote = remote_name(pair->remote), local = pair_local(pair);
    struct buffer out;
    char key[DIALBACK_KEY];

    make_key(c->s2s, remote, local, str_of(c->id), key);
    buffer_init(&out, 16384);
    dialback_write_request(&out, local, remote, STR_NULL, (struct str){key, sizeof(key)});
    s2s_conn_write_buffer(c, &out);
    pair->state = PAIR_PROVING;
    pair->since = s2s_now(c->s2s);
    pair->conn = c;
    list_push(&c->pairs, &pair->conn_node);
    s2s_conn_used(c);
}

void s2s_dialback_result_answer(struct s2s_conn *c, const struct stanza *s)
{
    struct dialback d;
    struct remote *r;
    struct pair *pair;

    if (!dialback_parse(s, &d) || d.type == DIALBACK_UNKNOWN) {
        s2s_conn_error(c, STREAM_ERR_IMPROPER_ADDRESSING, NULL);
        return;
    }
    r = remote_find(c->s2s, d.from);
    pair = r ? pair_find(r, d.to) : NULL;
    if (!pair || pair->conn != c || pair->state != PAIR_PROVING) {
        /* Nobody asked (B 47). */
        s2s_conn_error(c, STREAM_ERR_INVALID_FROM, "an answer to a key that was not sent");
        return;
    }
    if (d.type == DIALBACK_VALID)
        pair_open(pair, c);
    else
        pair_refused(pair, d.type == DIALBACK_ERROR ? d.condition : STANZA_ERR_NONE);
}

/* --- their identity, on streams that we accepted --- */

static void answer(struct s2s_conn *c, struct str remote, struct str local, struct str id,
                   enum dialback_type type, enum stanza_condition condition)
{
    struct buffer out;

    buffer_init(&out, 16384);
    dialback_write_answer(&out, local, remote, id, type, condition);
    s2s_conn_write_buffer(c, &out);
}

/* Why a claim is refused without looking at the key; NONE: look. */
static enum stanza_condition objection(const struct s2s_conn *c, const struct dialback *d,
                                       bool certified)
{
    struct policy policy = policy_of(c->s2s, d->from);

    if (!s2s_is_local(c->s2s, d->to))
        return STANZA_ERR_ITEM_NOT_FOUND; /* XEP-0220 section 2.4 */
    if (!policy.allowed || !policy_federates(c->s2s, d->to))
        return STANZA_ERR_NOT_AUTHORIZED;
    if (policy.tls && !c->tls)
        return STANZA_ERR_POLICY_VIOLATION;
    if (policy.certificate && !certified)
        return STANZA_ERR_NOT_AUTHORIZED;
    if (c->proof_count >= S2S_PAIRS_PER_CONN)
        return STANZA_ERR_RESOURCE_CONSTRAINT;
    /* XEP-0288 section 2.2: who did not ask for both ways does not get them. */
    if (c->role == S2S_MADE && !c->bidi)
        return STANZA_ERR_NOT_ACCEPTABLE;
    return STANZA_ERR_NONE;
}

void s2s_dialback_result(struct s2s_conn *c, const struct stanza *s)
{
    struct dialback d;
    enum stanza_condition condition;
    bool certified;

    if (!dialback_parse(s, &d)) {
        s2s_conn_error(c, STREAM_ERR_IMPROPER_ADDRESSING, NULL);
        return;
    }
    if (s2s_is_local(c->s2s, d.from)) { /* B 47 */
        s2s_conn_error(c, STREAM_ERR_INVALID_FROM, "that domain is served here");
        return;
    }
    certified = s2s_judge_certified(c, d.from);
    condition = objection(c, &d, certified);
    if (condition == STANZA_ERR_NONE && certified)
        /* XEP-0220 section 1.2: the certificate says it all, nobody need be asked. */
        s2s_dialback_verified(c, d.from, d.to, DIALBACK_VALID, STANZA_ERR_NONE);
    else if (condition == STANZA_ERR_NONE && !verify_begin(c, d.from, d.to, d.key, str_of(c->id)))
        condition = STANZA_ERR_RESOURCE_CONSTRAINT;
    if (condition != STANZA_ERR_NONE)
        answer(c, d.from, d.to, STR_NULL, DIALBACK_ERROR, condition);
}

void s2s_dialback_verified(struct s2s_conn *c, struct str remote, struct str local,
                           enum dialback_type type, enum stanza_condition condition)
{
    struct log log = s2s_conn_log(c);

    if (c->state != S2S_OPEN && c->state != S2S_NEGOTIATING)
        return;
    if (type == DIALBACK_VALID && !s2s_proof_add(c, remote, local)) {
        type = DIALBACK_ERROR;
        condition = STANZA_ERR_RESOURCE_CONSTRAINT;
    }
    answer(c, remote, local, STR_NULL, type, condition);
    if (type == DIALBACK_VALID) {
        c->s2s->count.dialback_valid++;
        if (c->state == S2S_NEGOTIATING)
            s2s_conn_set_state(c, S2S_OPEN, "proven by dialback");
        return;
    }
    c->s2s->count.dialback_invalid++;
    log_info(&log, "%.*s was not proven by dialback", STR_ARG(remote));
    /* XEP-0220 section 2.2.1: who lies about the only domain that it has named is not listened to
     * any more. */
    if (type == DIALBACK_INVALID && c->proof_count == 0 && c->verify_count == 0)
        s2s_conn_close(c, "its only key was invalid");
}

/* --- asked by others, and asking others --- */

/* XEP-0220 section 2.2.2: is this key ours? Nothing is kept; the key says it by itself
 * (XEP-0185). */
void s2s_dialback_verify(struct s2s_conn *c, const struct stanza *s)
{
    struct dialback d;
    char key[DIALBACK_KEY];
    bool valid;

    if (!dialback_parse(s, &d)) {
        s2s_conn_error(c, STREAM_ERR_IMPROPER_ADDRESSING, NULL);
        return;
    }
    if (!s2s_is_local(c->s2s, d.to)) {
        answer(c, d.from, d.to, d.id, DIALBACK_ERROR, STANZA_ERR_ITEM_NOT_FOUND);
        return;
    }
    make_key(c->s2s, d.from, d.to, d.id, key);
    valid = str_eq_secret(d.key, (struct str){key, sizeof(key)});
    answer(c, d.from, d.to, d.id, valid ? DIALBACK_VALID : DIALBACK_INVALID, STANZA_ERR_NONE);
    s2s_conn_used(c);
}

void s2s_dialback_verify_answer(struct s2s_conn *c, const struct stanza *s)
{
    struct dialback d;
    struct verify *v;

    if (!dialback_parse(s, &d) || d.type == DIALBACK_UNKNOWN) {
        s2s_conn_error(c, STREAM_ERR_IMPROPER_ADDRESSING, NULL);
        return;
    }
    v = verify_find(c, d.from, d.to, d.id);
    if (!v) {
        s2s_conn_error(c, STREAM_ERR_INVALID_FROM, "an answer about a key that was not asked");
        return;
    }
    /* Section 2.4: an error of the authority is not one of the asker's. */
    verify_done(v, d.type,
                d.type == DIALBACK_ERROR ? STANZA_ERR_REMOTE_SERVER_NOT_FOUND : STANZA_ERR_NONE);
}
