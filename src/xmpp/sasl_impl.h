/* Inside SASL: what sasl.c and the mechanisms share. Nobody else includes this. */
#ifndef JACKDAW_XMPP_SASL_IMPL_H
#define JACKDAW_XMPP_SASL_IMPL_H

#include "xmpp/sasl.h"

#define SASL_MESSAGE_MAX                                                                           \
    8192                    /* decoded; a prepared name has at most 1023 bytes, a password too     \
                             */
#define SASL_BINDING_MAX 64 /* channel binding data: 32 (RFC 9266), a hash (RFC 5929) */

enum sasl_state {
    SASL_STATE_START,      /* nothing yet */
    SASL_STATE_WAIT_FIRST, /* an empty challenge asked for the initial response */
    SASL_STATE_LOOKUP,     /* the account is being fetched */
    SASL_STATE_WAIT_FINAL, /* SCRAM: server-first sent */
    SASL_STATE_VERIFY,     /* PLAIN: PBKDF2 under way */
    SASL_STATE_DONE
};

struct sasl_bytes {
    unsigned char data[SASL_BINDING_MAX];
    size_t len; /* 0: not available */
};

struct sasl {
    enum sasl_mechanism mechanism;
    unsigned offered;
    enum sasl_state state;
    enum sasl_failure failure;
    const char *why;
    struct random *random;
    char *domain;
    struct sasl_bytes exporter, end_point, unique;
    unsigned char fake_secret[32];
    char username[1024];
    size_t username_len;
    struct scram_keys keys;
    bool fake; /* no such account, or without keys for our hash: goes all the way, then fails */
    /* SCRAM */
    char *announced;       /* XEP-0474; NULL: nothing is proved */
    struct buffer binding; /* what c= must decode to: gs2-header, then channel binding data;
                              HT: that data alone */
    struct buffer
        auth_message;    /* RFC 5802 section 3, as far as it is known; HT: the client's hash */
    struct buffer nonce; /* the client's, then ours */
    /* PLAIN */
    char *password;
    size_t password_len;
    bool verified;
};

/* Ends the exchange. */
enum sasl_action sasl_fail(struct sasl *s, enum sasl_failure failure, const char *why);
/* Prepares the name into s->username; false when it is no localpart. */
bool sasl_set_username(struct sasl *s, struct str name);
/* RFC 6120 section 6.3.8: no authorization identity, or the user's own bare JID (compared
 * prepared). */
bool sasl_authzid_ok(const struct sasl *s, struct str authzid);

enum sasl_action sasl_scram_first(struct sasl *s, struct str in);
enum sasl_action sasl_scram_account(struct sasl *s, struct buffer *out);
enum sasl_action sasl_scram_final(struct sasl *s, struct str in, struct buffer *out);
enum sasl_action sasl_ht_first(struct sasl *s, struct str in);
enum sasl_action sasl_plain_first(struct sasl *s, struct str in);

#endif
