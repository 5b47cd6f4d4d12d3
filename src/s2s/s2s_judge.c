/* Judge: what a stream's certificate proves (RFC 6120 section 13.7, DANE), and whether a stream is
 * what the policy asks of it - when a domain is about to be believed, and again after a reload. */
#include <stdio.h>

#include "s2s/s2s_conn.h"

#define JUDGE_ASK_MS 3000u /* that a stranger waits for our features at most */

/* RFC 7673 section 4: the records count when the addresses came from a validated answer. */
static bool proves(const struct s2s_conn *c, const char *domain, const struct target *at,
                   const struct tlsa *t)
{
    struct tls_tlsa record = {t->usage, t->selector, t->matching, t->data, t->len};

    return at->secure && t->port == at->at.port && strcmp(t->host, at->host) == 0 &&
           conn_tls_peer_dane(c->conn, s2s_tls_trust(c->s2s->tls), &record, domain, t->host);
}

static bool any_proves(const struct s2s_conn *c, const char *domain, const struct target *at,
                       const struct tlsa *tlsa, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (proves(c, domain, at, &tlsa[i]))
            return true;
    return false;
}

static void judge_chain(struct s2s_conn *c)
{
    c->trusted = conn_tls_peer_trusted(c->conn, s2s_tls_trust(c->s2s->tls), c->certificate_why,
                                       sizeof(c->certificate_why));
}

void s2s_judge_certificate(struct s2s_conn *c)
{
    judge_chain(c);
    if (c->role == S2S_MADE)
        c->dane =
            any_proves(c, c->remote->name, &c->target, c->remote->tlsa, c->remote->tlsa_count);
}

/* Who connects to us shows the certificate that its domain's DNS names for those who connect to it:
 * servers have one for both. */
static void on_answered(struct s2s_query *q, struct s2s_answer *a)
{
    struct s2s_conn *c = MEM_CONTAINER(q, struct s2s_conn, query);

    for (size_t i = 0; i < a->target_count && !c->dane; i++)
        c->dane = any_proves(c, c->peer, &a->targets[i], a->tlsa, a->tlsa_count);
    s2s_in_features(c);
}

bool s2s_judge_ask(struct s2s_conn *c)
{
    struct target configured;

    if (!c->tls || !c->peer || c->authenticated || c->dane || !conn_tls_peer_shown(c->conn) ||
        s2s_judge_certified(c, str_of(c->peer)) || !policy_of(c->s2s, str_of(c->peer)).allowed ||
        policy_hosts(c->s2s, str_of(c->peer), &configured, 1) > 0)
        return false;
    c->query.answered = on_answered;
    s2s_resolve(c->s2s, &c->query, str_of(c->peer), JUDGE_ASK_MS);
    return true;
}

bool s2s_judge_certified(const struct s2s_conn *c, struct str domain)
{
    char name[1024];

    if (c->dane && c->peer && str_is(domain, c->peer))
        return true;
    (void)snprintf(name, sizeof(name), "%.*s", STR_ARG(domain));
    return c->trusted && conn_tls_peer_is(c->conn, name);
}

/* A stream that we made carries our identity by the way that they took; one that they made, theirs.
 */
const char *s2s_judge_proof(const struct s2s_conn *c, struct str domain)
{
    if (c->role == S2S_MADE ? !c->authenticated : !s2s_judge_certified(c, domain))
        return "dialback";
    return c->role == S2S_ACCEPTED && c->dane ? "dane" : "certificate";
}

bool s2s_judge_allows(const struct s2s_conn *c, struct str domain)
{
    struct policy policy = policy_of(c->s2s, domain);

    return policy.allowed && (!policy.tls || c->tls) &&
           (!policy.certificate || s2s_judge_certified(c, domain));
}

/* --- after a reload --- */

static bool still_allowed(const struct s2s_conn *c)
{
    if (c->peer && !policy_of(c->s2s, str_of(c->peer)).allowed)
        return false;
    if (c->state == S2S_OPEN && c->role == S2S_MADE && !s2s_judge_allows(c, str_of(c->peer)))
        return false;
    LIST_EACH (it, &c->pairs)
        if (!s2s_judge_allows(c, remote_name(LIST_ENTRY(it, struct pair, conn_node)->remote)))
            return false;
    LIST_EACH (it, &c->proofs) {
        const struct proof *p = LIST_ENTRY(it, const struct proof, node);
        if (!s2s_judge_allows(c, (struct str){p->remote, p->remote_len}))
            return false;
    }
    return true;
}

void s2s_judge_reload(struct s2s *s)
{
    struct remote *r;

    LIST_EACH_SAFE (it, &s->conns) {
        struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, node);
        if (c->tls && s2s_tls_on(s->tls))
            judge_chain(c); /* other authorities may be trusted now */
        if (!still_allowed(c))
            s2s_conn_error(c, STREAM_ERR_POLICY_VIOLATION,
                           "the policy for this domain has changed");
    }
    for (size_t i = 0; (r = hash_next(&s->remotes, &i)) != NULL;)
        if (!policy_of(s, remote_name(r)).allowed)
            remote_denied(r);
}
