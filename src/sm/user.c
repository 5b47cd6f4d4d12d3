/* Users in memory: loading, waiting packets, unloading, creation and removal of accounts. See
 * user.h. */
#include "sm/user.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/acks.h"
#include "sm/deliver.h"
#include "sm/mam.h"
#include "sm/offline.h"
#include "sm/privacy_change.h"
#include "sm/push.h"
#include "sm/send.h"
#include "sm/session.h"
#include "sm/slot.h"
#include "sm/subscribe.h"

static int64_t wall_seconds(const struct user *user)
{
    return loop_wall(user->sm->loop) / 1000;
}

struct user *user_find(const struct sm *sm, struct str bare)
{
    return hash_get(&sm->users, bare);
}

void user_destroy(struct user *user)
{
    struct list *node;
    hash_del(&user->sm->users, jid_full(user->jid));
    list_remove(&user->idle);
    list_remove(&user->offline.paused);
    list_remove(&user->offline.unread);
    while ((node = list_pop(&user->waiting)))
        packet_destroy(LIST_ENTRY(node, struct packet, node));
    while ((node = list_pop(&user->offline.held)))
        packet_destroy(LIST_ENTRY(node, struct packet, node));
    while ((node = list_pop(&user->behind.packets)))
        packet_destroy(LIST_ENTRY(node, struct packet, node));
    packet_destroy(user->deletion);
    offline_forget(user);
    while (list_pop(&user->offline.pages))
        continue;
    free(user->carbons.copied);
    push_forget(user);
    privacy_drop_waiting(user->privacy);
    privacy_destroy(user->privacy);
    mam_prefs_destroy(user->mam_prefs);
    mam_recent_forget(user);
    roster_finish(&user->roster);
    free(user->logout_status);
    jid_unref(user->jid);
    free(user);
}

void user_hold(struct user *user)
{
    user->busy++;
    list_remove(&user->idle);
}

void user_release(struct user *user)
{
    struct sm *sm = user->sm;
    if (--user->busy || user->sessions)
        return;
    /* No account: nothing to keep, so that strangers cannot fill the memory with made-up names. */
    if (!user->active || user->load_failed) {
        user_destroy(user);
        return;
    }
    user->idle_since = loop_now(sm->loop);
    list_push(&sm->idle, &user->idle);
    if (!loop_timer_running(&sm->unload))
        loop_timer_start(&sm->unload, (uint64_t)sm->c->env->config->sm_unload_after * 1000);
}

void user_unload_timer(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, unload);
    uint64_t now = loop_now(sm->loop);
    uint64_t keep = (uint64_t)sm->c->env->config->sm_unload_after * 1000;
    while (!list_empty(&sm->idle)) {
        struct user *user = LIST_ENTRY(sm->idle.next, struct user, idle);
        if (user->idle_since + keep > now) {
            loop_timer_start(timer, user->idle_since + keep - now);
            return;
        }
        user_destroy(user);
    }
}

void user_unload_idle(struct sm *sm)
{
    while (!list_empty(&sm->idle))
        user_destroy(LIST_ENTRY(sm->idle.next, struct user, idle));
}

/* --- waiting --- */

bool user_wait(struct user *user, struct packet *p)
{
    if (user->waiting_count >= SM_MAX_WAITING)
        return false;
    user->waiting_count++;
    list_push(&user->waiting, &p->node);
    return true;
}

static void refuse(struct user *user, struct packet *p)
{
    if (p->kind == PACKET_SESSION)
        session_answer(user->sm, p, p->action, STR("internal-server-error"));
    else
        send_error(user->sm, NULL, p, STANZA_ERR_INTERNAL_SERVER_ERROR, NULL);
}

static void dispatch(struct user *user, struct packet *p)
{
    if (p->kind == PACKET_STANZA)
        deliver_user(user, p);
    else if (p->action == SESSION_START)
        session_start(user, p);
    else if (p->action == SESSION_RESUME)
        acks_resume(user, p);
    else if (p->action == SESSION_CREATE)
        user_create(user, p);
    else
        user_delete(user, p);
}

/* Hands out what waited, in order; stops when the user becomes busy with its own deletion. At the
 * end of the instance it stays where it is: the store takes nothing any more. */
static void drain(struct user *user)
{
    struct list *node;
    while (!user->sm->closing && user->state == USER_READY && (node = list_pop(&user->waiting))) {
        user->waiting_count--;
        struct packet *p = LIST_ENTRY(node, struct packet, node);
        if (user->load_failed)
            refuse(user, p);
        else
            dispatch(user, p);
    }
}

/* --- loading --- */

void user_load_begin(struct user *user)
{
    user->reads++;
}

void user_load_end(struct user *user, enum error e)
{
    if (e)
        user->load_failed = true;
    if (--user->reads)
        return;
    if (user->load_failed)
        log_error(&user->sm->c->log, "cannot load %s from the store: %s", user->jid->text,
                  error_text(e ? e : ERR_STORE));
    user->state = USER_READY;
    if (user->active && !user->load_failed) {
        path_run(&user->sm->path, PATH_USER_READY,
                 &(struct path_event){.sm = user->sm, .user = user});
        if (user->is_new)
            user_welcome(user);
    }
    drain(user);
    user_release(user);
}

void user_set_photo(struct user *user, struct str hash)
{
    user->has_photo = hash.len == sizeof user->photo_hash;
    if (user->has_photo)
        memcpy(user->photo_hash, hash.data, hash.len);
}

/* Without its lists a user is not loaded: what they forbid is refused (reliability.md G10). */
static void on_privacy_rows(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    if (!e && store_rows_count(rows))
        privacy_add_rows(user, rows);
    user_load_end(user, e);
}

static void on_push_rows(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    if (!e)
        push_add_rows(user, rows);
    user_load_end(user, e);
}

static void take_mam_prefs(struct user *user, const struct store_rows *rows)
{
    enum { DEFAULT = 8, ALWAYS, NEVER };
    enum mam_default standard;
    if (mam_default_read(store_text(rows, 0, DEFAULT), &standard))
        mam_set_user_prefs(user, standard, store_text(rows, 0, ALWAYS), store_text(rows, 0, NEVER));
}

static void on_user_row(void *arg, enum error e, const struct store_rows *rows)
{
    enum {
        LOGOUT_TIME = 1,
        LOGOUT_STATUS,
        PHOTO_HASH,
        VACATION_START,
        VACATION_END,
        PRIVACY_ITEMS,
        PUSHES,
        NEW = 11
    };
    struct user *user = arg;
    if (!e && store_rows_count(rows) > 0) {
        user->active = true; /* there is a row for active accounts alone */
        user->logout_time = store_int(rows, 0, LOGOUT_TIME);
        struct str status = store_text(rows, 0, LOGOUT_STATUS);
        user->logout_status = status.len ? str_dup(status) : NULL;
        user_set_photo(user, store_text(rows, 0, PHOTO_HASH));
        user->vacation_start = store_int(rows, 0, VACATION_START);
        user->vacation_end = store_int(rows, 0, VACATION_END);
        user->is_new = store_int(rows, 0, NEW) != 0;
        take_mam_prefs(user, rows);
        if (store_int(rows, 0, PRIVACY_ITEMS)) {
            user_load_begin(user);
            privacy_load(user->sm->store, jid_full(user->jid), on_privacy_rows, user);
        }
        if (store_int(rows, 0, PUSHES)) {
            user_load_begin(user);
            push_load(user->sm->store, jid_full(user->jid), on_push_rows, user);
        }
    }
    user_load_end(user, e);
}

static struct user *load(struct sm *sm, struct jid *jid)
{
    struct user *user = MEM_NEW(struct user);
    user->sm = sm;
    user->jid = jid_to_bare(jid);
    list_init(&user->waiting);
    list_init(&user->idle);
    list_init(&user->offline.held);
    list_init(&user->offline.pages);
    list_init(&user->offline.paused);
    list_init(&user->offline.unread);
    list_init(&user->offline.refused);
    list_init(&user->behind.packets);
    hash_put(&sm->users, jid_full(user->jid), user);
    user_hold(user); /* until user_load_end */
    user_load_begin(user);
    users_get(sm->store, jid_full(user->jid), on_user_row, user);
    path_run(&sm->path, PATH_USER_LOAD, &(struct path_event){.sm = sm, .user = user});
    return user;
}

struct user *user_get(struct sm *sm, struct jid *jid)
{
    struct user *user = user_find(sm, jid_bare(jid));
    if (!user)
        user = load(sm, jid);
    user_hold(user);
    return user;
}

/* --- accounts --- */

void user_welcome(struct user *user)
{
    user->is_new = false;
    path_run(&user->sm->path, PATH_USER_NEW, &(struct path_event){.sm = user->sm, .user = user});
    store_commit(users_welcomed(store_begin(user->sm->store), jid_full(user->jid)), NULL, NULL);
}

struct creation {
    struct user *user;
    bool existed;
    struct packet *request;
};

static void on_created(void *arg, enum error e, const struct store_rows *rows)
{
    struct creation *creation = arg;
    struct user *user = creation->user;
    if (e)
        session_answer(user->sm, creation->request, SESSION_CREATE, STR("internal-server-error"));
    else
        session_answer(user->sm, creation->request, SESSION_CREATED, STR_NULL);
    if (e) {
        user->active = creation->existed;
    } else if (!creation->existed) {
        path_run(&user->sm->path, PATH_USER_CREATED,
                 &(struct path_event){.sm = user->sm, .user = user});
        user_welcome(user);
    }
    free(creation);
    user_release(user);
}

void user_create(struct user *user, struct packet *p)
{
    struct creation *creation = MEM_NEW(struct creation);
    creation->user = user;
    creation->request = p;
    creation->existed = user->active;
    user_hold(user);
    user->active = true;
    struct store_txn *t = store_begin(user->sm->store);
    store_commit(users_activate_new(t, jid_full(user->jid), wall_seconds(user)), on_created,
                 creation);
}

/* The rows have gone: now the others hear of it. The one who asked first, because the end of the
 * session that it may have asked from would cut it off from the answer. */
static void finish_deletion(struct user *user)
{
    struct packet *request = user->deletion;
    user->deletion = NULL;
    session_answer(user->sm, request, SESSION_DELETED, STR_NULL);
    while (user->sessions)
        session_close(user->sessions, SESSION_ENDED, STR("not-authorized"));
    slot_revoke(user->sm, jid_full(user->jid), STR(""));
    subscribe_farewell(user);
    roster_finish(&user->roster);
    user->roster.version = 0;
    privacy_destroy(user->privacy);
    user->privacy = NULL;
    user->active = false;
    user->has_photo = false;
    user->vacation_start = user->vacation_end = 0;
    free(user->logout_status);
    user->logout_status = NULL;
    user->logout_time = 0;
    path_run(&user->sm->path, PATH_USER_GONE, &(struct path_event){.sm = user->sm, .user = user});
}

static void on_deleted(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    if (e) {
        struct packet *request = user->deletion;
        user->deletion = NULL;
        log_error(&user->sm->c->log,
                  "cannot delete what %s has stored: %s; delete the account again", user->jid->text,
                  error_text(e));
        session_answer(user->sm, request, SESSION_DELETE, STR("internal-server-error"));
    } else {
        finish_deletion(user);
    }
    user->state = USER_READY;
    drain(user);
    user_release(user);
}

void user_delete_wait(struct user *user)
{
    user->reads++;
}

void user_delete_done(struct user *user, enum error e)
{
    if (e)
        user->deletion_error = e;
    if (--user->reads)
        return;
    if (user->deletion_error)
        on_deleted(user, user->deletion_error, NULL);
    else
        store_commit(users_delete(store_begin(user->sm->store), jid_full(user->jid)), on_deleted,
                     user);
}

void user_delete(struct user *user, struct packet *p)
{
    user_hold(user); /* until on_deleted */
    user->state = USER_DELETING;
    user->deletion = p;
    user->deletion_error = ERR_OK;
    user_delete_wait(user);
    path_run(&user->sm->path, PATH_USER_DELETE, &(struct path_event){.sm = user->sm, .user = user});
    user_delete_done(user, ERR_OK);
}
