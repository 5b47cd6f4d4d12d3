/* Client SASL2: one exchange of XEP-0388, from <authenticate/> to <success/>, with what it asks for
 * in the same breath - a resource (XEP-0386), an old stream (XEP-0198 section 9). The mechanism's
 * own steps are client_auth.c's. Inside c2s/ only.
 */
#ifndef JACKDAW_C2S_CLIENT_SASL2_H
#define JACKDAW_C2S_CLIENT_SASL2_H

#include "link/traits.h"
#include "c2s/client.h"
#include "xmpp/sasl2.h"

/* Of a negotiation, from <authenticate/> until <success/> or <failure/> is written. */
struct sasl2 {
    struct stanza *request; /* <authenticate/>; NULL: there was none, and a failure is due */
    struct sasl2_agent agent;
    struct buffer data;         /* what the mechanism says with its success; empty: nothing */
    struct client_token *token; /* XEP-0484, with what is known of the client; NULL: nothing is */
    unsigned upgrades;          /* XEP-0480: tasks that are still to be done, bits */
    struct scram_keys keys;     /* of the task under way */
    struct str resume_failed; /* stanza condition of <resume/>; data == NULL: not asked, or done */
    bool resume_known;        /* ... the stream's time is over, and this was its h */
    uint32_t resume_h;
};

/* --- client_sasl2.c --- */
/* Whether this stream may have it at all. */
bool client_sasl2_possible(const struct client *c);
/* <authentication/>, when the stream may have it; `offer` is what <mechanisms/> has. */
void client_sasl2_features(struct client *c, unsigned offer, struct buffer *out);
/* Takes up an <authenticate/> (not moved); its first message into *ret_initial, data == NULL: none.
 */
enum sasl_failure client_sasl2_open(struct client *c, struct stanza *authenticate,
                                    struct str *ret_initial);
/* Has the mechanism prove what <authentication/> and XEP-0440 said. */
void client_sasl2_announced(struct negotiation *n, bool exporter, bool end_point);
void client_sasl2_malformed(struct client *c);  /* an element without its exchange: <failure/> */
void client_sasl2_close(struct negotiation *n); /* nothing of it is needed any more */
/* The mechanism has succeeded; `data` of it is copied. */
void client_sasl2_proved(struct negotiation *n, struct str data);
/* The login is complete: <success/> with `inner` in it (may be NULL) and the features of what
 * comes next, except behind a resumption. The exchange is closed. */
void client_sasl2_succeed(struct client *c, struct str inner, bool features);

/* The bookkeeping of the login is done: the client is authenticated. */
void client_sasl2_authenticated(struct negotiation *n);

/* --- client_upgrade.c --- */
void client_upgrade_features(const struct client *c, struct buffer *out); /* <upgrade/> */
/* XEP-0388 section 2.1: only what the account of the stream's `from` can log in with is offered.
 * True: the features are written when that is known. */
bool client_upgrade_look_up(struct client *c);
/* The mechanism has succeeded: what the client asked for and the account lacks is done, then goes
 * on with client_token_settle. */
void client_upgrade_begin(struct negotiation *n);
void client_upgrade_next(struct client *c, struct stanza *next); /* <next/>; moves */
void client_upgrade_data(struct client *c, struct stanza *data); /* <task-data/>; moves */

/* --- client_token.c --- */
/* The mechanisms by token that the stream may use; written into <inline/>. */
unsigned client_token_features(struct client *c, struct buffer *out);
/* Checks what <authenticate/> says of tokens. */
enum sasl_failure client_token_open(struct client *c, enum sasl_mechanism m);
void client_token_look_up(struct negotiation *n);
/* The mechanism has succeeded: the device is written down, tokens are used and made. Goes on with
 * client_sasl2_authenticated, or fails the login. */
void client_token_settle(struct negotiation *n);
void client_token_write(const struct sasl2 *x, struct buffer *out); /* into <success/> */
void client_token_destroy(struct client_token *t);                  /* NULL is fine */

/* --- client_auth.c, for the others --- */
/* From here on an answer from elsewhere is due. */
void client_auth_await(struct negotiation *n);
/* It came; false when nobody is left to hear it, and then `n` is gone. */
bool client_auth_awaited(struct negotiation *n);
void client_auth_act(struct negotiation *n, enum sasl_action action, struct buffer *out);
/* Not the account's: counted for the address, told after a delay. */
void client_auth_fail_slowly(struct negotiation *n, enum sasl_failure failure, const char *why);

/* --- client_bind2.c --- */
void client_bind2_features(const struct client *c, struct buffer *out); /* into <inline/> */
/* Does what the <authenticate/> asked for beside the login: resumption, or else a resource. */
void client_bind2_begin(struct client *c);
/* There was nothing to resume (XEP-0198 section 9.2.1): now the resource. `condition` stays; h as
 * client_acks_write_failed has it. */
void client_bind2_not_resumed(struct client *c, struct str condition, const uint32_t *h);
/* A name for what that client of that account has: always the same, and nobody can tell the
 * client's id from it. */
void client_bind2_keyed(const struct c2s *s, const char *what, const unsigned char device[16],
                        struct str bare, char out[BIND2_ID]);
/* A session is being asked for that way. */
bool client_bind2_on(const struct client *c);
/* `reason`: "receipts [archive [ID STAMP ID STAMP]]". */
void client_bind2_started(struct client *c, struct str reason);
void client_bind2_failed(struct client *c);

#endif
