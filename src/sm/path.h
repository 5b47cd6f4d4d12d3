/* Path: the named points of path.def, and the one runner that calls the features' handlers at them.
 */
#ifndef JACKDAW_SM_PATH_H
#define JACKDAW_SM_PATH_H

#include <stdint.h>
#include <jansson.h>
#include "link/packet.h"
#include "xml/builder.h"
#include "xmpp/stanza_error.h"

struct sm;
struct user;
struct session;
struct iq;
struct command;

enum path_point {
#define X(point, help) PATH_##point,
#include "sm/path.def"
#undef X
    PATH_POINTS
};

enum path_result {
    PATH_PASS, /* go on */
    PATH_DONE  /* the handler took event->packet: it owns it, nobody else sees it */
};

struct path_event {
    struct sm *sm;
    struct user *user;       /* NULL where there is none */
    struct session *session; /* NULL where there is none */
    struct packet *packet; /* NULL at points without a stanza. A handler may change it in place. */
};
typedef enum path_result (*path_fn)(struct path_event *e);

/* --- features --- */

#define IQ_TO_SERVER  1u /* addressed to a served domain */
#define IQ_TO_ACCOUNT 2u /* addressed to a user's bare JID, or by a client to nobody */
#define IQ_GET        4u
#define IQ_SET        8u
#define IQ_GUARDED    16u /* a full JID gets it from those alone who may see the user's presence */

/* An iq request: answered by iq_result*, or by returning a condition, or later after iq_take. */
struct iq_handler {
    const struct str *ns;
    const char *name; /* of the payload element */
    unsigned flags;
    enum stanza_condition (*fn)(struct iq *iq);
};

#define NODE_PREFIX 32u /* every node that begins like that */

/* A node of disco (XEP-0030 section 3.2, 4.2). The functions answer the request, which may come
 * from anybody who may ask the account or the domain; NULL: item-not-found. */
struct feature_node {
    const struct str *node; /* NULL ends a list */
    unsigned flags;         /* IQ_TO_SERVER, IQ_TO_ACCOUNT, NODE_PREFIX */
    enum stanza_condition (*info)(struct iq *iq);
    enum stanza_condition (*items)(struct iq *iq);
};

struct feature_identity {
    const char *category, *type, *name; /* name may be NULL */
};

/* One per file under features/, the last thing in it. Lists may be NULL. */
struct feature {
    const char *name;
    path_fn at[PATH_POINTS];
    /* Whether the configuration wants it on the way of stanzas at all; NULL: always. Where it does
     * not, its handlers from FROM_CLIENT on are not called. */
    bool (*wanted)(const struct sm *sm);
    const struct iq_handler *iqs;              /* ends with ns == NULL */
    const struct feature_node *nodes;          /* ends with node == NULL */
    const struct str *const *server_features;  /* disco#info of a domain; ends with NULL */
    const struct str *const *account_features; /* disco#info of an account; ends with NULL */
    const struct feature_identity *server_identity, *account_identity; /* one each */
    /* A command of the control socket; NULL: not mine. */
    json_t *(*control)(struct sm *sm, const json_t *request);
    const struct command *commands; /* XEP-0050; ends with node == NULL */
    /* Adds to the disco#info of an account what depends on who asks. */
    void (*extend_account)(struct iq *iq, struct builder *b);
    void (*extend)(struct sm *sm, struct str domain,
                   struct builder *b); /* adds forms (XEP-0128) to a domain's disco#info */
};

#define X(id) extern const struct feature id##_feature;
#include "sm/features.def"
#undef X

enum {
#define X(id) FEATURE_##id,
#include "sm/features.def"
#undef X
    FEATURES
};
extern const struct feature *const path_features[FEATURES]; /* in the order of features.def */

/* Per instance: for each point the handlers that there are, without gaps. */
struct path {
    path_fn fns[PATH_POINTS][FEATURES];
    uint8_t counts[PATH_POINTS];
};
/* Anew after a reload. */
void path_init(struct path *path, const struct sm *sm);
enum path_result path_run(struct path *path, enum path_point point, struct path_event *e);
/* The handler for a request, or NULL. `to` is IQ_TO_SERVER or IQ_TO_ACCOUNT, `type` IQ_GET or
 * IQ_SET. */
const struct iq_handler *path_iq(struct str ns, struct str name, unsigned to, unsigned type);

#endif
