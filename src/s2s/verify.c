/* Keys under verification: see remote.h. Bounded per connection and per address, so that nobody can
 * make us ask the whole net (reliability.md B 47). */
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"

#define VERIFY_RETRY_MS 1000u

bool verify_begin(struct s2s_conn *asker, struct str remote, struct str local, struct str key,
                  struct str id)
{
    struct s2s *s = asker->s2s;
    struct s2s_address *a = s2s_address_get(s, conn_peer(asker->conn)->ip);
    struct remote *r = NULL;
    struct verify *v;

    if (asker->verify_count < S2S_PENDING_PER_CONN && a->pending < S2S_PENDING_PER_ADDRESS &&
        !s->stopping)
        r = remote_get(s, remote);
    if (!r) {
        s2s_address_release(s, a);
        return false;
    }
    v = MEM_NEW(struct verify);
    v->remote = r;
    v->asker = asker;
    v->address = a;
    v->since = s2s_now(s);
    v->local = str_dup(local);
    v->key = str_dup(key);
    v->id = str_dup(id);
    a->pending++;
    asker->verify_count++;
    list_push(&asker->verifies, &v->asker_node);
    list_push(&r->verifies, &v->node);
    /* Somebody speaks in its name: it may be back, however long it was to be left alone. */
    if (r->retry_at > s2s_now(s) + VERIFY_RETRY_MS)
        r->retry_at = s2s_now(s) + VERIFY_RETRY_MS;
    remote_poke(r);
    return true;
}

void verify_ask(struct verify *v, struct s2s_conn *via)
{
    struct buffer out;

    v->via = via;
    buffer_init(&out, 32768);
    dialback_write_request(&out, str_of(v->local), remote_name(v->remote), str_of(v->id),
                           str_of(v->key));
    s2s_conn_write_buffer(via, &out);
    s2s_conn_used(via);
}

struct verify *verify_find(struct s2s_conn *via, struct str remote, struct str local, struct str id)
{
    struct remote *r = remote_find(via->s2s, remote);

    if (!r)
        return NULL;
    LIST_EACH (it, &r->verifies) {
        struct verify *v = LIST_ENTRY(it, struct verify, node);
        if (v->via == via && str_is(local, v->local) && str_is(id, v->id))
            return v;
    }
    return NULL;
}

void verify_done(struct verify *v, enum dialback_type type, enum stanza_condition condition)
{
    struct s2s_conn *asker = v->asker;
    struct s2s *s = v->remote->s2s;
    struct str name = remote_name(v->remote);

    list_remove(&v->node);
    list_remove(&v->asker_node);
    v->address->pending--;
    s2s_address_release(s, v->address);
    if (asker) {
        asker->verify_count--;
        s2s_dialback_verified(asker, name, str_of(v->local), type, condition);
    }
    free(v->local);
    free(v->key);
    free(v->id);
    free(v);
}

void verify_fail_all(struct remote *r, enum stanza_condition condition, bool asked_too)
{
    LIST_EACH_SAFE (it, &r->verifies) {
        struct verify *v = LIST_ENTRY(it, struct verify, node);
        if (!v->via || asked_too)
            verify_done(v, DIALBACK_ERROR, condition);
    }
}
