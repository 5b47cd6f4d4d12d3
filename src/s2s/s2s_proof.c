/* Proofs: which of their domains was proven to speak to which of ours, on one stream. A proof keeps
 * its domain's struct remote: that is where the limits of a domain are counted, over all its
 * streams. */
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"

struct proof *s2s_proof_find(const struct s2s_conn *c, struct str remote, struct str local)
{
    LIST_EACH (it, &c->proofs) {
        struct proof *p = LIST_ENTRY(it, struct proof, node);
        if (str_eq((struct str){p->remote, p->remote_len}, remote) &&
            str_eq((struct str){p->local, p->local_len}, local))
            return p;
    }
    return NULL;
}

static struct proof *create(struct remote *source, struct str remote, struct str local)
{
    struct proof *p = mem_alloc(sizeof(*p) + remote.len + local.len + 2);

    memcpy(p->remote, remote.data, remote.len);
    p->remote_len = remote.len;
    p->local = p->remote + remote.len + 1;
    memcpy(p->local, local.data, local.len);
    p->local_len = local.len;
    p->source = source;
    source->proof_count++;
    return p;
}

bool s2s_proof_add(struct s2s_conn *c, struct str remote, struct str local)
{
    struct log log = s2s_conn_log(c);
    struct remote *r;
    struct proof *p;

    if (s2s_proof_find(c, remote, local))
        return true;
    r = c->proof_count < S2S_PAIRS_PER_CONN ? remote_get(c->s2s, remote) : NULL;
    if (!r)
        return false;
    p = create(r, remote, local);
    list_push(&c->proofs, &p->node);
    c->proof_count++;
    log_info(&log, "%s may send to %s on this stream", p->remote, p->local);
    s2s_conn_raise_limits(c);
    s2s_conn_used(c);
    s2s_flow_check_domain(c, local);
    /* What waits for the other direction may flow here now (XEP-0288). */
    remote_poke(r);
    return true;
}

static void forget(struct s2s_conn *c, struct proof *p)
{
    list_remove(&p->node);
    c->proof_count--;
    p->source->proof_count--;
    remote_poke(p->source);
    free(p);
}

void s2s_proof_forget_all(struct s2s_conn *c)
{
    LIST_EACH_SAFE (it, &c->proofs)
        forget(c, LIST_ENTRY(it, struct proof, node));
}

void s2s_proof_forget_if(struct s2s_conn *c, bool (*dead)(const struct s2s *s, struct str local))
{
    LIST_EACH_SAFE (it, &c->proofs) {
        struct proof *p = LIST_ENTRY(it, struct proof, node);
        if (dead(c->s2s, (struct str){p->local, p->local_len}))
            forget(c, p);
    }
}
