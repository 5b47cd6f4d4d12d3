/* The accounts store: SCRAM keys alone are kept, derived from the password on a pool thread; what
 * an imported account has instead is checked there, too. */
#include "c2s/auth.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "component/database.h"
#include "xmpp/old_password.h"

struct auth_store {
    struct auth base;
    struct store *accounts;
    struct loop *loop;
    struct random *random; /* in simulation; else each derivation makes its own on its thread */
    struct list changes;
};

/* What an imported account has. */
struct old {
    char *password; /* xmpp/old_password.h; NULL: none */
    struct scram_keys keys;
    bool has_keys;
};

/* A write to an account, and the derivation before it. */
struct change {
    struct list node;
    struct auth_store *store; /* NULL: closed, and the thread still has it */
    struct jid *account;
    auth_fn fn;
    void *arg;
    struct random *random;
    struct store_txn *(*write)(struct store_txn *t, struct str user, struct str realm,
                               const struct scram_keys keys[SCRAM_HASHES]);
    struct scram_keys keys[SCRAM_HASHES];
    struct loop_work work;
    bool derived, threaded;
    uint8_t reading; /* reads under way, of `old` */
    enum error failed;
    struct old *old; /* the password must be this one first; NULL: none */
    size_t password_len;
    char password[];
};

static struct auth_store *store_of(struct auth *a)
{
    return MEM_CONTAINER(a, struct auth_store, base);
}

static void change_free(struct change *ch)
{
    list_remove(&ch->node);
    mem_wipe(ch->password, ch->password_len);
    mem_wipe(ch->keys, sizeof(ch->keys));
    if (ch->old) {
        free(ch->old->password);
        mem_wipe(ch->old, sizeof(*ch->old));
    }
    free(ch->old);
    jid_unref(ch->account);
    free(ch);
}

static void finish(struct change *ch, enum error e)
{
    auth_fn fn = ch->fn;
    void *arg = ch->arg;

    change_free(ch);
    fn(arg, e);
}

static void on_committed(void *arg, enum error e, const struct store_rows *rows)
{
    (void)rows;
    finish(arg, e);
}

static bool is_old(const struct old *old, struct str password)
{
    return (old->password && old_password_check(str_of(old->password), password)) ||
           (old->has_keys && scram_verify_password(&old->keys, password));
}

/* A wrong password costs as much as a right one. */
static void run_derive(struct loop_work *work)
{
    struct change *ch = MEM_CONTAINER(work, struct change, work);
    struct random *own = ch->random ? NULL : random_create();
    struct str password = {ch->password, ch->password_len};
    bool right = !ch->old || is_old(ch->old, password);

    ch->derived = accounts_derive(ch->random ? ch->random : own, password, ch->keys) && right;
    random_destroy(own);
}

static void derived(struct loop_work *work)
{
    struct change *ch = MEM_CONTAINER(work, struct change, work);

    ch->threaded = false;
    if (!ch->store) {
        change_free(ch);
        return;
    }
    if (!ch->derived) {
        finish(ch, ch->old ? ERR_NOT_FOUND : ERR_INVALID);
        return;
    }
    store_commit(ch->write(store_begin(ch->store->accounts), jid_local(ch->account),
                           jid_domain(ch->account), ch->keys),
                 on_committed, ch);
}

static struct change *change_create(struct auth *a, struct jid *account, struct str password,
                                    auth_fn fn, void *arg)
{
    struct auth_store *s = store_of(a);
    struct change *ch = mem_alloc(sizeof(*ch) + password.len);

    ch->store = s;
    ch->account = jid_to_bare(account);
    ch->fn = fn;
    ch->arg = arg;
    ch->random = s->random;
    ch->password_len = password.len;
    if (password.len > 0)
        memcpy(ch->password, password.data, password.len);
    list_push(&s->changes, &ch->node);
    return ch;
}

static void derive(struct change *ch)
{
    ch->threaded = true;
    ch->work.run = run_derive;
    ch->work.done = derived;
    loop_work(ch->store->loop, &ch->work);
}

/* Once both reads are there. */
static void begin_upgrade(struct change *ch)
{
    if (ch->reading > 0)
        return;
    if (ch->failed != ERR_OK)
        finish(ch, ch->failed);
    else
        derive(ch);
}

static void create(struct auth *a, struct jid *account, struct str password, auth_fn fn, void *arg)
{
    struct change *ch = change_create(a, account, password, fn, arg);

    ch->write = accounts_create;
    derive(ch);
}

static void set_password(struct auth *a, struct jid *account, struct str password, auth_fn fn,
                         void *arg)
{
    struct change *ch = change_create(a, account, password, fn, arg);

    ch->write = accounts_set_keys;
    derive(ch);
}

/* --- the first login of an imported account --- */

static void on_old_password(void *arg, enum error e, const struct store_rows *rows)
{
    struct change *ch = arg;

    ch->reading--;
    ch->failed = ch->failed != ERR_OK ? ch->failed : e;
    if (e == ERR_OK && store_rows_count(rows) > 0 && store_text(rows, 0, 0).data)
        ch->old->password = str_dup(store_text(rows, 0, 0));
    begin_upgrade(ch);
}

static void on_old_keys(void *arg, enum error e, const struct store_rows *rows)
{
    struct change *ch = arg;

    ch->reading--;
    ch->failed = ch->failed != ERR_OK ? ch->failed : e;
    for (size_t i = 0; e == ERR_OK && i < store_rows_count(rows) && !ch->old->has_keys; i++)
        ch->old->has_keys = accounts_take_keys(rows, i, &ch->old->keys);
    begin_upgrade(ch);
}

static void upgrade(struct auth *a, struct str user, struct str realm, struct str password,
                    auth_fn fn, void *arg)
{
    struct store *accounts = store_of(a)->accounts;
    struct jid *account = jid_from_parts(user, realm, STR_NULL);
    struct change *ch = change_create(a, account, password, fn, arg);

    jid_unref(account);
    ch->write = accounts_set_keys;
    ch->old = MEM_NEW(struct old);
    ch->reading = 2;
    accounts_read(accounts, user, realm, on_old_password, ch);
    accounts_read_keys(accounts, user, realm, on_old_keys, ch);
}

static void remove_account(struct auth *a, struct jid *account, auth_fn fn, void *arg)
{
    struct change *ch = change_create(a, account, STR(""), fn, arg);

    store_commit(accounts_delete(store_begin(store_of(a)->accounts), jid_local(account),
                                 jid_domain(account)),
                 on_committed, ch);
}

static void keys(struct auth *a, struct str user, struct str realm, enum scram_hash hash,
                 account_fn fn, void *arg)
{
    accounts_get(store_of(a)->accounts, user, realm, hash, fn, arg);
}

static void close_store(struct auth *a)
{
    struct auth_store *s = store_of(a);

    store_close(s->accounts); /* its callbacks come now */
    while (!list_empty(&s->changes)) {
        struct change *ch = LIST_ENTRY(s->changes.next, struct change, node);
        list_remove(&ch->node);
        ch->store = NULL; /* the thread still writes to it: it is freed when that is over */
        ch->fn(ch->arg, ERR_CANCELLED);
    }
    free(s);
}

static const struct auth_driver driver;

struct store *auth_accounts(const struct auth *a)
{
    return a->driver == &driver ? MEM_CONTAINER(a, struct auth_store, base)->accounts : NULL;
}

static const struct auth_driver driver = {
    .mechanisms = ~(unsigned)SASL_ANONYMOUS,
    .keys = keys,
    .upgrade = upgrade,
    .create = create,
    .set_password = set_password,
    .remove = remove_account,
    .close = close_store,
};

struct auth *auth_store_open(const struct component *c)
{
    struct auth_store *s = MEM_NEW(struct auth_store);
    char url[4096], why[1024] = "";
    enum error e;

    s->base.driver = &driver;
    s->loop = c->env->loop;
    s->random = loop_is_sim(s->loop) ? c->env->random : NULL;
    list_init(&s->changes);
    database_url(c->env->config, c->env->data_dir, STORE_ACCOUNTS, url, sizeof(url));
    e = store_open_shared(c->env->shared, s->loop, c->log, STORE_ACCOUNTS, url, &s->accounts, why,
                          sizeof(why));
    mem_wipe(url, sizeof(url)); /* there may be a password in it */
    if (e == ERR_OK)
        return &s->base;
    log_error(&c->log, "cannot open the accounts: %s", why);
    free(s);
    return NULL;
}
