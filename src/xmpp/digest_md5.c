/* DIGEST-MD5, both sides, as far as jabberd2's processes speak it: one realm, qop=auth,
 * algorithm=md5-sess, no reauthentication (RFC 2831; jabberd2.md section 1.2). MD5 protects little;
 * the secret is a random one and the listener a loopback one, and our own processes use SCRAM
 * instead. */
#include "xmpp/digest_md5.h"

#include <stdlib.h>
#include <openssl/evp.h>
#include "base/mem.h"

#define NONCE      26 /* characters: 134 bits */
#define HASH       16
#define HEX        (2 * HASH)
#define VALUE      256 /* bytes of any value of a message */
#define MESSAGE    2048
#define DIRECTIVES 24 /* in one message */

struct value {
    char data[VALUE];
    size_t len;
    bool present;
};

/* The directives we understand (RFC 2831 section 2.1); others are ignored. */
enum directive {
    REALM,
    NONCE_,
    CNONCE,
    NC,
    QOP,
    DIGEST_URI,
    RESPONSE,
    USERNAME,
    AUTHZID,
    RSPAUTH,
    ALGORITHM,
    KINDS
};
static const char *const directives[KINDS] = {[REALM] = "realm",
                                              [NONCE_] = "nonce",
                                              [CNONCE] = "cnonce",
                                              [NC] = "nc",
                                              [QOP] = "qop",
                                              [DIGEST_URI] = "digest-uri",
                                              [RESPONSE] = "response",
                                              [USERNAME] = "username",
                                              [AUTHZID] = "authzid",
                                              [RSPAUTH] = "rspauth",
                                              [ALGORITHM] = "algorithm"};

struct digest_md5 {
    struct value fields[KINDS]; /* what is known of the exchange, ours and the peer's */
    struct value service;       /* the digest-uri must begin with it (server) */
    char *secret;               /* client */
    size_t secret_len;
    char expected[HEX]; /* client: the server's rspauth */
    bool answered;
};

static bool value_set(struct value *v, struct str s)
{
    if (s.len > sizeof(v->data))
        return false;
    if (s.len)
        memcpy(v->data, s.data, s.len);
    v->len = s.len;
    v->present = true;
    return true;
}

static struct str value_str(const struct value *v)
{
    return (struct str){v->data, v->len};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct str *in)
{
    while (in->len && is_space(in->data[0])) {
        in->data++;
        in->len--;
    }
}

/* A quoted-string or a token (RFC 2831 section 7.1) off the front. */
static bool take_value(struct str *in, struct value *ret)
{
    bool quoted = in->len && in->data[0] == '"', escaped = false;
    size_t i = quoted ? 1 : 0;
    *ret = (struct value){.present = true};
    for (; i < in->len; i++) {
        char c = in->data[i];
        if (c == '\0')
            return false;
        if (quoted && !escaped && c == '\\') {
            escaped = true;
            continue;
        }
        if (quoted ? !escaped && c == '"' : c == ',' || is_space(c))
            break;
        if (ret->len == sizeof(ret->data))
            return false;
        ret->data[ret->len++] = c;
        escaped = false;
    }
    if (quoted && i++ >= in->len)
        return false; /* no closing quote */
    in->data += i;
    in->len -= i;
    return true;
}

/* Reads the directives into `fields`; false when the message is malformed or repeats one. */
static bool parse(struct str in, struct value fields[KINDS])
{
    if (in.len > MESSAGE)
        return false;
    for (int count = 0; count < DIRECTIVES; count++) {
        skip_space(&in);
        const char *equals = in.len ? memchr(in.data, '=', in.len) : NULL;
        if (!equals)
            return false;
        struct str key = {in.data, (size_t)(equals - in.data)};
        struct value v;
        in.len -= key.len + 1;
        in.data += key.len + 1;
        while (key.len && is_space(key.data[key.len - 1]))
            key.len--;
        skip_space(&in);
        if (!take_value(&in, &v))
            return false;
        for (int k = 0; k < KINDS; k++) {
            if (!str_is(key, directives[k]))
                continue;
            if (fields[k].present && k != REALM)
                return false;
            if (!fields[k].present) /* of several realms the first: section 2.1.1 */
                fields[k] = v;
        }
        skip_space(&in);
        if (in.len == 0)
            return true;
        if (in.data[0] != ',')
            return false;
        in.data++;
        in.len--;
    }
    return false;
}

static bool md5(struct str in, unsigned char out[HASH])
{
    return EVP_Digest(in.data, in.len, out, NULL, EVP_md5(), NULL) == 1;
}

/* RFC 2831 section 2.1.2.1: H(user:realm:secret) raw, then ":nonce:cnonce[:authzid]" - that is
 * md5-sess. */
static bool hash_a1(const struct value *f, struct str secret, char ret_hex[HEX])
{
    unsigned char inner[HASH], outer[HASH];
    struct buffer text;
    buffer_init(&text, 8 * VALUE);
    buffer_add_str(&text, value_str(&f[USERNAME]));
    buffer_add_char(&text, ':');
    buffer_add_str(&text, value_str(&f[REALM]));
    buffer_add_char(&text, ':');
    buffer_add_str(&text, secret);
    bool ok = !text.overflowed && md5(buffer_str(&text), inner);
    mem_wipe(text.data, text.cap);
    buffer_clear(&text);
    buffer_add(&text, inner, sizeof(inner));
    buffer_add_char(&text, ':');
    buffer_add_str(&text, value_str(&f[NONCE_]));
    buffer_add_char(&text, ':');
    buffer_add_str(&text, value_str(&f[CNONCE]));
    if (f[AUTHZID].present) {
        buffer_add_char(&text, ':');
        buffer_add_str(&text, value_str(&f[AUTHZID]));
    }
    ok = ok && !text.overflowed && md5(buffer_str(&text), outer);
    if (ok)
        str_hex(outer, sizeof(outer), ret_hex);
    mem_wipe(text.data, text.cap);
    buffer_finish(&text);
    mem_wipe(inner, sizeof(inner));
    return ok;
}

/* RFC 2831 sections 2.1.2.1 (prefix "AUTHENTICATE") and 2.1.3 (empty prefix). */
static bool respond(const struct value *f, struct str secret, const char *prefix, char ret[HEX])
{
    char a1[HEX], a2[HEX];
    unsigned char hash[HASH];
    struct buffer text;
    buffer_init(&text, 8 * VALUE);
    buffer_printf(&text, "%s:%.*s", prefix, STR_ARG(value_str(&f[DIGEST_URI])));
    bool ok = hash_a1(f, secret, a1) && !text.overflowed && md5(buffer_str(&text), hash);
    if (ok) {
        str_hex(hash, sizeof(hash), a2);
        buffer_clear(&text);
        buffer_add(&text, a1, HEX);
        buffer_printf(&text, ":%.*s:%.*s:%.*s:auth:", STR_ARG(value_str(&f[NONCE_])),
                      STR_ARG(value_str(&f[NC])), STR_ARG(value_str(&f[CNONCE])));
        buffer_add(&text, a2, HEX);
        ok = !text.overflowed && md5(buffer_str(&text), hash);
        if (ok)
            str_hex(hash, sizeof(hash), ret);
    }
    mem_wipe(a1, sizeof(a1));
    buffer_finish(&text);
    return ok;
}

static void make_nonce(struct random *random, struct value *v)
{
    random_token(random, v->data, NONCE);
    v->len = NONCE;
    v->present = true;
}

struct digest_md5 *digest_md5_server(struct str realm, struct str service, struct random *random)
{
    struct digest_md5 *d = MEM_NEW(struct digest_md5);
    value_set(&d->fields[REALM], realm);
    value_set(&d->service, service);
    make_nonce(random, &d->fields[NONCE_]);
    return d;
}

struct digest_md5 *digest_md5_client(struct str user, struct str secret, struct str service,
                                     struct str host, struct random *random)
{
    struct digest_md5 *d = MEM_NEW(struct digest_md5);
    char uri[VALUE];
    int len = snprintf(uri, sizeof(uri), "%.*s/%.*s", STR_ARG(service), STR_ARG(host));
    value_set(&d->fields[USERNAME], user);
    if (len > 0 && (size_t)len < sizeof(uri))
        value_set(&d->fields[DIGEST_URI], (struct str){uri, (size_t)len});
    value_set(&d->fields[NC], STR("00000001"));
    make_nonce(random, &d->fields[CNONCE]);
    d->secret = mem_strndup(secret.data ? secret.data : "", secret.len);
    d->secret_len = secret.len;
    return d;
}

void digest_md5_destroy(struct digest_md5 *d)
{
    if (!d)
        return;
    if (d->secret)
        mem_wipe(d->secret, d->secret_len);
    free(d->secret);
    mem_wipe(d, sizeof(*d));
    free(d);
}

/* A quoted-string; RFC 2831 section 7.1 escapes the two characters that would end it. */
static void add_quoted(struct buffer *out, const char *key, struct str value)
{
    buffer_printf(out, "%s=\"", key);
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '"' || value.data[i] == '\\')
            buffer_add_char(out, '\\');
        buffer_add_char(out, value.data[i]);
    }
    buffer_add_char(out, '"');
}

void digest_md5_challenge(struct digest_md5 *d, struct buffer *out)
{
    add_quoted(out, "realm", value_str(&d->fields[REALM]));
    add_quoted(out, ",nonce", value_str(&d->fields[NONCE_]));
    buffer_add_str(out, STR(",qop=\"auth\",charset=utf-8,algorithm=md5-sess"));
}

/* RFC 2831 section 2.1.2: nonce, realm, count, protection and service must be what we sent or
 * serve. */
static bool response_fits(const struct digest_md5 *d, const struct value *f)
{
    struct str uri = value_str(&f[DIGEST_URI]), service = value_str(&d->service);
    if (!f[USERNAME].len || !f[CNONCE].len || f[RESPONSE].len != HEX)
        return false;
    if (!str_eq(value_str(&f[NONCE_]), value_str(&d->fields[NONCE_])) ||
        !str_eq(value_str(&f[NC]), STR("00000001")))
        return false;
    if (f[REALM].present && !str_eq(value_str(&f[REALM]), value_str(&d->fields[REALM])))
        return false;
    if (f[QOP].present && !str_eq(value_str(&f[QOP]), STR("auth")))
        return false;
    return str_starts(uri, service) && uri.len > service.len + 1 && uri.data[service.len] == '/';
}

bool digest_md5_response(struct digest_md5 *d, struct str in, struct str *ret_user)
{
    struct value fields[KINDS] = {{{0}, 0, false}};
    if (d->answered || !parse(in, fields) || !response_fits(d, fields))
        return false;
    /* A realm left out is the empty one (section 2.1.2), and is hashed so. */
    memcpy(d->fields, fields, sizeof(fields));
    d->answered = true;
    *ret_user = value_str(&d->fields[USERNAME]);
    return true;
}

bool digest_md5_check(struct digest_md5 *d, struct str secret, struct buffer *out_rspauth)
{
    char right[HEX], rspauth[HEX];
    if (!d->answered || !secret.data || !respond(d->fields, secret, "AUTHENTICATE", right) ||
        !str_eq_secret((struct str){right, HEX}, value_str(&d->fields[RESPONSE])))
        return false;
    if (!respond(d->fields, secret, "", rspauth))
        return false;
    d->answered = false; /* one success a nonce */
    d->fields[NONCE_].len = 0;
    return buffer_add_str(out_rspauth, STR("rspauth=")) && buffer_add(out_rspauth, rspauth, HEX);
}

/* The challenge may offer several protections: qop is then a list. */
static bool offers_auth(const struct value *qop)
{
    struct str rest = value_str(qop), one;
    if (!qop->present)
        return true; /* the default: section 2.1.1 */
    while (str_split(&rest, ',', &one)) {
        skip_space(&one);
        while (one.len && is_space(one.data[one.len - 1]))
            one.len--;
        if (str_is(one, "auth"))
            return true;
    }
    return false;
}

bool digest_md5_answer(struct digest_md5 *d, struct str challenge, struct buffer *out)
{
    struct value theirs[KINDS] = {{{0}, 0, false}}, *f = d->fields;
    char response[HEX];
    if (d->answered || !f[DIGEST_URI].present || !f[USERNAME].present ||
        !parse(challenge, theirs) || !theirs[NONCE_].len || !offers_auth(&theirs[QOP]) ||
        !str_eq(value_str(&theirs[ALGORITHM]), STR("md5-sess")))
        return false;
    f[NONCE_] = theirs[NONCE_];
    f[REALM] = theirs[REALM];
    struct str secret = {d->secret, d->secret_len};
    if (!respond(f, secret, "AUTHENTICATE", response) || !respond(f, secret, "", d->expected))
        return false;
    d->answered = true;
    add_quoted(out, "username", value_str(&f[USERNAME]));
    if (f[REALM].present)
        add_quoted(out, ",realm", value_str(&f[REALM]));
    add_quoted(out, ",nonce", value_str(&f[NONCE_]));
    add_quoted(out, ",cnonce", value_str(&f[CNONCE]));
    add_quoted(out, ",digest-uri", value_str(&f[DIGEST_URI]));
    buffer_add_str(out, STR(",nc=00000001,qop=auth,charset=utf-8,response="));
    return buffer_add(out, response, HEX) && !out->overflowed;
}

bool digest_md5_verify(struct digest_md5 *d, struct str rspauth)
{
    struct value theirs[KINDS] = {{{0}, 0, false}};
    return d->answered && parse(rspauth, theirs) &&
           str_eq_secret(value_str(&theirs[RSPAUTH]), (struct str){d->expected, HEX});
}
