/* A session manager under test: the real router and sm on a simulated loop, the store in memory,
 * and in place of c2s and of other servers bare links whose packets are recorded as text. */
#ifndef JACKDAW_TESTS_SM_WORLD_H
#define JACKDAW_TESTS_SM_WORLD_H

#include "unit.h"

#include "component/component.h"

#define INBOX_MAX  4096
#define CLIENT_MAX 64

struct inbox {
    char *texts[INBOX_MAX];
    size_t count, taken;
};

struct sm_world;

struct client {
    struct sm_world *world;
    struct jid *jid;
    struct session_id c2s, sm;
    bool up;
    enum session_action last; /* what the sm said last about the session */
    bool failed;
    char reason[64];
    struct inbox in;
};

struct sm_world {
    struct env env;
    struct config config;
    struct component *router, *sm;
    struct link *c2s, *remote; /* the c2s; the server that answers for every other domain */
    struct client *clients[CLIENT_MAX];
    size_t client_count;
    struct inbox from_sm;       /* stanzas that reached `remote` */
    enum session_action answer; /* to create and delete */
    bool answered, answer_failed;
};

/* For cmocka: *state becomes a world with the domain example.net; members of `config` may be
 * changed at any time. */
int world_setup(void **state);
int world_teardown(void **state);
void world_settle(struct sm_world *w); /* runs what is ready */
/* The c2s loses its link (and its sessions their clients); a new one binds its name. */
void world_c2s_gone(struct sm_world *w);
void world_c2s_back(struct sm_world *w);

/* Starts a session; `reason` NULL or "resumed". Look at ->up. */
struct client *client_start(struct sm_world *w, const char *jid, const char *reason);
/* The same, must succeed; then roster and initial presence, and what came of it is forgotten. */
struct client *client_online(struct sm_world *w, const char *jid);
void client_end(struct client *c);
void client_send(struct client *c, const char *xml);
void client_post(struct client *c, const char *xml);        /* on its way, nothing has run yet */
void client_expect(struct client *c, const char *xml);      /* the next one, exactly */
void client_expect_some(struct client *c, const char *xml); /* anywhere among what is unread */
void client_nothing(struct client *c);
void client_forget(struct client *c);
void world_forget(struct sm_world *w); /* everybody's */

/* A stanza from another server; what has come there. */
void remote_send(struct sm_world *w, const char *xml);
void remote_expect(struct sm_world *w, const char *xml);
void remote_nothing(struct sm_world *w);

/* create or delete an account, as registration does; answered? */
void account_action(struct sm_world *w, enum session_action action, const char *jid);
void account_post(struct sm_world *w, enum session_action action,
                  const char *jid); /* nothing has run yet */
json_int_t world_status(struct sm_world *w, const char *name);

#endif
