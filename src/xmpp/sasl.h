/* SASL server side (RFC 4422, 5802, 7677, 4616), pure: input in, actions out. The account lookup is
 * an action, so the loop never waits. One object per exchange. Timing and answers are the same for
 * unknown users.
 */
#ifndef JACKDAW_XMPP_SASL_H
#define JACKDAW_XMPP_SASL_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buffer.h"
#include "base/random.h"
#include "base/str.h"
#include "xmpp/scram.h"

enum sasl_mechanism {
    SASL_NONE = 0,
    SASL_SCRAM_SHA_1 = 1 << 0,
    SASL_SCRAM_SHA_256 = 1 << 1,
    SASL_SCRAM_SHA_512 = 1 << 2,
    SASL_SCRAM_SHA_1_PLUS = 1 << 3,
    SASL_SCRAM_SHA_256_PLUS = 1 << 4,
    SASL_SCRAM_SHA_512_PLUS = 1 << 5,
    SASL_PLAIN = 1 << 6,
    SASL_ANONYMOUS = 1 << 7, /* RFC 4505, XEP-0175: a name is made up */
    /* by token: XEP-0484 offers them, and nobody else */
    SASL_HT_SHA_256_NONE = 1 << 8,
    SASL_HT_SHA_256_UNIQ = 1 << 9,
    SASL_HT_SHA_256_ENDP = 1 << 10,
    SASL_HT_SHA_256_EXPR = 1 << 11,
};
const char *sasl_mechanism_name(enum sasl_mechanism m);
enum sasl_mechanism sasl_mechanism_parse(struct str name); /* SASL_NONE when unknown */
#define SASL_PLUS (SASL_SCRAM_SHA_1_PLUS | SASL_SCRAM_SHA_256_PLUS | SASL_SCRAM_SHA_512_PLUS)
/* Every mechanism, strongest first, ends with SASL_NONE: the order in which they are offered. */
extern const enum sasl_mechanism sasl_preference[];
/* The same for the mechanisms by token. */
extern const enum sasl_mechanism sasl_token_preference[];
#define SASL_BY_TOKEN                                                                              \
    (SASL_HT_SHA_256_NONE | SASL_HT_SHA_256_UNIQ | SASL_HT_SHA_256_ENDP | SASL_HT_SHA_256_EXPR)

/* Failure conditions: RFC 6120 section 6.5. */
enum sasl_failure {
    SASL_FAIL_NONE,
    SASL_FAIL_ABORTED,
    SASL_FAIL_ACCOUNT_DISABLED,
    SASL_FAIL_CREDENTIALS_EXPIRED,
    SASL_FAIL_ENCRYPTION_REQUIRED,
    SASL_FAIL_INCORRECT_ENCODING,
    SASL_FAIL_INVALID_AUTHZID,
    SASL_FAIL_INVALID_MECHANISM,
    SASL_FAIL_MALFORMED_REQUEST,
    SASL_FAIL_NOT_AUTHORIZED,
    SASL_FAIL_TEMPORARY_AUTH_FAILURE,
};
struct str sasl_failure_element(enum sasl_failure f);

/* What the stream can bind to. data == NULL: not available. */
struct sasl_channel {
    struct str exporter;  /* RFC 9266 */
    struct str end_point; /* RFC 5929 */
    struct str unique;    /* RFC 5929; never announced, docs/decisions/0006-tls-unique.md */
};

struct sasl;

/* `offered` is what this stream announced: it decides what the gs2 y flag may say (RFC 5802 section
 * 6). `domain` and `channel` are copied. `fake_secret` (32 bytes, constant per installation) makes
 * stable salts for unknown users. */
struct sasl *sasl_create(enum sasl_mechanism m, unsigned offered, struct str domain,
                         const struct sasl_channel *channel, const unsigned char fake_secret[32],
                         struct random *random);
void sasl_destroy(struct sasl *s); /* wipes; NULL is fine */
/* Before the first step: SCRAM is to prove what was announced (XEP-0474); `text` is the string S of
 * its section 6.1, copied. */
void sasl_announced(struct sasl *s, struct str text);

enum sasl_action {
    SASL_CHALLENGE, /* send `out` (raw, not yet base64) as <challenge/> */
    SASL_LOOKUP,    /* fetch the account sasl_username() with SCRAM keys of sasl_hash(), then call
                       sasl_account */
    SASL_VERIFY,    /* PLAIN: run sasl_verify_run (PBKDF2: expensive) on a pool thread, then
                       sasl_verify_done */
    SASL_SUCCESS,   /* send `out` as the success data (empty: none); sasl_username() is who */
    SASL_FAILURE    /* sasl_failure() tells which */
};
/* The decoded initial response (data == NULL: none given; then an empty challenge is asked for) or
 * a response. */
enum sasl_action sasl_step(struct sasl *s, struct str input, struct buffer *out);
/* The answer to SASL_LOOKUP. keys == NULL: no such account. `temporary`: the store failed. */
enum sasl_action sasl_account(struct sasl *s, const struct scram_keys *keys, bool temporary,
                              struct buffer *out);
/* PLAIN where somebody else checks passwords: instead of sasl_account, `ok` says what the check of
 * sasl_password came to. */
enum sasl_action sasl_checked(struct sasl *s, bool ok, bool temporary);
struct str sasl_password(const struct sasl *s); /* PLAIN, after SASL_LOOKUP; else data == NULL */
void sasl_verify_run(struct sasl *s);           /* any thread; touches only *s */
enum sasl_action sasl_verify_done(struct sasl *s, struct buffer *out);

/* A mechanism by token: SASL_LOOKUP is answered by sasl_tokens, or by sasl_account when it failed.
 */
bool sasl_by_token(const struct sasl *s);
#define SASL_TOKENS_MAX 2 /* that one client can have: XEP-0484 section 5.1 */
/* Those that may be used with this mechanism. *ret_which: the one it is, with SASL_SUCCESS. */
enum sasl_action sasl_tokens(struct sasl *s, const struct str *tokens, size_t count,
                             size_t *ret_which, struct buffer *out);

struct str sasl_username(const struct sasl *s); /* prepared localpart; valid from SASL_LOOKUP on */
enum scram_hash sasl_hash(const struct sasl *s);
enum sasl_failure sasl_failure(const struct sasl *s);
const char *sasl_why(const struct sasl *s); /* for the log; never a credential */

/* base64 as RFC 6120 section 6.4.2 wants it ("=" is the empty value); false: incorrect-encoding. */
bool sasl_base64_decode(struct str in, struct buffer *out);
bool sasl_base64_encode(struct str in, struct buffer *out);

#endif
