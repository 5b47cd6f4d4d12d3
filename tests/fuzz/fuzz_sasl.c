/* SASL: no sequence of messages, answers and calls may crash, and none may end in success without
 * the password, or without the token.
 *
 * The input is a script. Its first two bytes choose the mechanism (one by token from 0x80 on) and
 * what was offered; then each
 * line is a call: its first byte says which, the rest is the message. One call builds a right proof
 * and changes it as the line says: base64 and syntax being strict, any change at all must fail. */
#include <stdint.h>
#include <stdlib.h>

#include "xmpp/sasl.h"
#include "xmpp/scram_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PASSWORD STR("not to be guessed: 8f2b61d07c")
#define GS2      STR("n,,")
#define BARE     STR("n=user,r=fuzz")

struct run {
    struct sasl *s;
    enum scram_hash hash;
    struct scram_keys keys;
    struct buffer out;
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* The right client-final-message for the challenge in r->out. */
static void right_final(struct run *r, struct buffer *final)
{
    unsigned char salted[64], key[64], mac[64];
    struct scram_crypto c;
    struct buffer auth;
    buffer_init(&auth, 65536);
    struct str challenge = buffer_str(&r->out), rest = challenge, nonce;
    str_split(&rest, ',', &nonce);
    buffer_add_str(final, STR("c=biws,"));
    buffer_add_str(final, nonce);
    buffer_add_str(&auth, BARE);
    buffer_add_char(&auth, ',');
    buffer_add_str(&auth, challenge);
    buffer_add_char(&auth, ',');
    buffer_add_str(&auth, buffer_str(final));
    scram_crypto_init(&c, r->hash);
    /* one iteration of PBKDF2: the MAC of salt and block number */
    char salt_block[68];
    memcpy(salt_block, r->keys.salt, r->keys.salt_len);
    memcpy(salt_block + r->keys.salt_len, "\0\0\0\1", 4);
    scram_crypto_hmac(&c, (const unsigned char *)PASSWORD.data, PASSWORD.len,
                      (struct str){salt_block, r->keys.salt_len + 4}, salted);
    scram_crypto_hmac(&c, salted, c.size, STR("Client Key"), key);
    scram_crypto_hmac(&c, r->keys.stored_key, c.size, buffer_str(&auth), mac);
    for (size_t i = 0; i < c.size; i++)
        key[i] ^= mac[i];
    buffer_add_str(final, STR(",p="));
    sasl_base64_encode((struct str){(const char *)key, c.size}, final);
    scram_crypto_finish(&c);
    buffer_finish(&auth);
}

/* change: one byte of position, then bytes that are written there; beyond the end they are added.
 */
static void change(struct buffer *message, struct str how)
{
    if (how.len == 0)
        return;
    size_t at = (unsigned char)how.data[0] % (buffer_len(message) + 1);
    for (size_t i = 1; i < how.len; i++, at++) {
        if (at < buffer_len(message))
            message->data[message->start + at] = how.data[i];
        else
            buffer_add_char(message, how.data[i]);
    }
}

/* A whole exchange, right up to the change. */
static void nearly_right(struct run *r, unsigned offered, struct str how)
{
    struct buffer first, final, changed;
    static const enum sasl_mechanism by_hash[] = {SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_256,
                                                  SASL_SCRAM_SHA_512};
    static const unsigned char fake[32] = {1};
    struct random *random = random_create_seeded(7);
    struct sasl *s = sasl_create(by_hash[r->hash], offered | by_hash[r->hash], STR("example.com"),
                                 NULL, fake, random);
    buffer_init(&first, 100);
    buffer_init(&final, 65536);
    buffer_init(&changed, 65536);
    buffer_clear(&r->out);
    buffer_add_str(&first, GS2);
    buffer_add_str(&first, BARE);
    must(sasl_step(s, buffer_str(&first), &r->out) == SASL_LOOKUP);
    must(sasl_account(s, &r->keys, false, &r->out) == SASL_CHALLENGE);
    right_final(r, &final);
    buffer_add_str(&changed, buffer_str(&final));
    change(&changed, how);
    buffer_clear(&r->out);
    bool success = sasl_step(s, buffer_str(&changed), &r->out) == SASL_SUCCESS;
    must(success == str_eq(buffer_str(&changed), buffer_str(&final)));
    sasl_destroy(s);
    random_destroy(random);
    buffer_finish(&first);
    buffer_finish(&final);
    buffer_finish(&changed);
}

static const struct str tokens[] = {{"not to be guessed: 77a0c1", 25}, {"nor this: 0f4e21", 16}};

/* HT-SHA-256: the right message, up to the change. */
static void nearly_right_token(struct run *r, struct str how)
{
    static const unsigned char fake[32] = {1};
    struct buffer right, changed;
    unsigned char mac[SCRAM_MAX_HASH];
    struct scram_crypto c;
    struct random *random = random_create_seeded(7);
    struct sasl *s =
        sasl_create(SASL_HT_SHA_256_NONE, SASL_BY_TOKEN, STR("example.com"), NULL, fake, random);
    size_t which = 0;
    buffer_init(&right, 100);
    buffer_init(&changed, 65536);
    buffer_clear(&r->out);
    scram_crypto_init(&c, SCRAM_SHA_256);
    scram_crypto_hmac(&c, (const unsigned char *)tokens[1].data, tokens[1].len, STR("Initiator"),
                      mac);
    buffer_add(&right, "user", 5);
    buffer_add(&right, (const char *)mac, c.size);
    scram_crypto_finish(&c);
    buffer_add_str(&changed, buffer_str(&right));
    change(&changed, how);
    bool success = sasl_step(s, buffer_str(&changed), &r->out) == SASL_LOOKUP &&
                   sasl_tokens(s, tokens, 2, &which, &r->out) == SASL_SUCCESS;
    /* the name may change: whose tokens were looked up is the caller's to say */
    struct str hash = {buffer_str(&right).data + 5, 32}, said = buffer_str(&changed);
    bool same = said.len >= 33 && str_eq((struct str){said.data + said.len - 32, 32}, hash);
    must(!success || (same && which == 1 && buffer_len(&r->out) == 32));
    must(success || !str_eq(said, buffer_str(&right)));
    sasl_destroy(s);
    random_destroy(random);
    buffer_finish(&right);
    buffer_finish(&changed);
}

static enum sasl_action step_decoded(struct run *r, struct str text)
{
    struct buffer decoded;
    buffer_init(&decoded, 65536);
    enum sasl_action action = SASL_FAILURE;
    if (sasl_base64_decode(text, &decoded)) {
        struct buffer again;
        buffer_init(&again, 65536 * 2);
        must(sasl_base64_encode(buffer_str(&decoded), &again));
        must(text.len == 0 || str_eq(buffer_str(&again), text)); /* one spelling only */
        buffer_finish(&again);
        action = sasl_step(r->s, buffer_str(&decoded), &r->out);
    }
    buffer_finish(&decoded);
    return action;
}

static void call(struct run *r, unsigned offered, struct str line)
{
    struct str message = {line.data + 1, line.len - 1};
    enum sasl_action action = SASL_FAILURE;
    struct scram_keys other = r->keys;
    size_t which;
    switch (line.data[0]) {
    case 's':
        action = sasl_step(r->s, message, &r->out);
        break;
    case 'b':
        action = step_decoded(r, message);
        break;
    case 'n':
        action = sasl_step(r->s, STR_NULL, &r->out);
        break;
    case 'a':
        action = sasl_account(r->s, &r->keys, false, &r->out);
        break;
    case 'o':
        other.hash = (enum scram_hash)((r->hash + 1) % SCRAM_HASHES);
        action = sasl_account(r->s, &other, false, &r->out);
        break;
    case 'u':
        action = sasl_account(r->s, NULL, false, &r->out);
        break;
    case 't':
        action = sasl_account(r->s, NULL, true, &r->out);
        break;
    case 'v':
        sasl_verify_run(r->s);
        break;
    case 'd':
        action = sasl_verify_done(r->s, &r->out);
        break;
    case 'k':
        action = sasl_tokens(r->s, tokens, message.len % 4, &which, &r->out);
        break;
    case 'h':
        nearly_right_token(r, message);
        break;
    case 'p':
        sasl_announced(r->s, message);
        break;
    case 'x':
        nearly_right(r, offered, message);
        break;
    default:
        break;
    }
    must(action != SASL_SUCCESS);
    must(action != SASL_FAILURE || sasl_why(r->s) != NULL);
    must(sasl_username(r->s).len <= 1023);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char fake[32] = {1}, salt[16] = "0123456789abcde";
    static const struct sasl_channel channel = {{"exporter", 8}, {"end point", 9}, {"unique", 6}};
    if (size < 2)
        return 0;
    struct run r = {0};
    struct random *random = random_create_seeded(size);
    bool by_token = data[0] & 0x80;
    enum sasl_mechanism m =
        by_token ? sasl_token_preference[data[0] % 4] : sasl_preference[data[0] % 7];
    unsigned offered = data[1] | (by_token ? SASL_BY_TOKEN : 0);
    buffer_init(&r.out, 65536);
    r.s = sasl_create(m, offered, STR("example.com"), &channel, fake, random);
    r.hash = sasl_hash(r.s);
    must(scram_derive(r.hash, PASSWORD, salt, sizeof(salt), 1, &r.keys));
    struct str rest = {(const char *)data + 2, size - 2}, line;
    for (int calls = 0; calls < 32 && str_split(&rest, '\n', &line); calls++)
        if (line.len)
            call(&r, offered, line);
    sasl_destroy(r.s);
    random_destroy(random);
    buffer_finish(&r.out);
    return 0;
}
