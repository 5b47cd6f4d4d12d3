/* Client SASL2: one exchange of XEP-0388, from <authenticate/> to <success/>, with what it asks for
 * in the same breath - a resource (XEP-0386), an old stream (XEP-0198 section 9). The mechanism's
 * own steps are client_auth.c's. Inside c2s/ only.
 */
#ifndef JACKDAW_C2S_CLIENT_SASL2_H
#define JACKDAW_C2S_CLIENT_SASL2_H

#include "c2s/client.h"
#include "xmpp/sasl2.h"

/* Of a negotiation, from <authenticate/> until <success/> or <failure/> is written. */
struct sasl2 {
    struct stanza *request; /* <authenticate/>; NULL: there was none, and a failure is due */
    struct sasl2_agent agent;
    struct buffer data;       /* what the mechanism says with its success; empty: nothing */
    struct str resume_failed; /* stanza condition of <resume/>; data == NULL: not asked, or done */
};

/* --- client_sasl2.c --- */
/* <authentication/>, when the stream may have it; `offer` is what <mechanisms/> has. */
void client_sasl2_features(struct client *c, unsigned offer, struct buffer *out);
/* Takes up an <authenticate/> (not moved); its first message into *ret_initial, data == NULL: none.
 */
enum sasl_failure client_sasl2_open(struct client *c, struct stanza *authenticate,
                                    struct str *ret_initial);
void client_sasl2_malformed(struct client *c);  /* an element without its exchange: <failure/> */
void client_sasl2_close(struct negotiation *n); /* nothing of it is needed any more */
/* The mechanism has succeeded; `data` of it is copied. */
void client_sasl2_proved(struct negotiation *n, struct str data);
/* The login is complete: <success/> with `inner` in it (may be NULL) and the features of what
 * comes next, except behind a resumption. The exchange is closed. */
void client_sasl2_succeed(struct client *c, struct str inner, bool features);

/* --- client_bind2.c --- */
void client_bind2_features(const struct client *c, struct buffer *out); /* into <inline/> */
/* Does what the <authenticate/> asked for beside the login: resumption, or else a resource. */
void client_bind2_begin(struct client *c);
/* There was nothing to resume (XEP-0198 section 9.2.1): now the resource. */
void client_bind2_not_resumed(struct client *c, struct str condition);
/* A session is being asked for that way. */
bool client_bind2_on(const struct client *c);
void client_bind2_started(struct client *c);
void client_bind2_failed(struct client *c);

#endif
