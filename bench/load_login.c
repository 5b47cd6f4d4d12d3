/* From the stream's features to a bound session: STARTTLS, registration, SCRAM or PLAIN, bind,
 * legacy session. */
#include "load.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What follows `name=` or `name>` is copied up to the delimiter; "" when it is not there. */
static void value_after(const char *text, const char *name, char until, char *out, size_t size)
{
    const char *at = strstr(text, name);
    size_t n = 0;

    if (at)
        for (at += strlen(name); at[n] && at[n] != until && n + 1 < size; n++)
            out[n] = at[n];
    out[n] = '\0';
}

static int base64(const unsigned char *in, int len, char *out)
{
    return EVP_EncodeBlock((unsigned char *)out, in, len);
}

static int unbase64(const char *in, unsigned char *out)
{
    int len = (int)strlen(in), n = EVP_DecodeBlock(out, (const unsigned char *)in, len);

    while (len > 0 && in[--len] == '=')
        n--;
    return n;
}

static bool sha256(const struct session *s)
{
    return strstr(s->load->options.mechanism, "256") != NULL;
}

static const EVP_MD *digest(const struct session *s)
{
    return sha256(s) ? EVP_sha256() : EVP_sha1();
}

static int digest_size(const struct session *s)
{
    return sha256(s) ? 32 : 20;
}

static void hmac(const struct session *s, const void *key, int key_len, const void *data,
                 size_t len, unsigned char *out)
{
    HMAC(digest(s), key, key_len, data, len, out, NULL);
}

static struct account_keys *keys_of(struct session *s, const char *salt64, int iterations)
{
    struct account_keys *k = &s->load->keys[s->who.user];
    unsigned char salt[64], salted[32];
    const char *password = s->load->options.password;

    if (strcmp(k->salt, salt64) == 0 && k->iterations == iterations)
        return k;
    (void)snprintf(k->salt, sizeof(k->salt), "%s", salt64);
    k->iterations = iterations;
    s->load->keys_changed = true;
    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, unbase64(salt64, salt), iterations,
                      digest(s), digest_size(s), salted);
    hmac(s, salted, digest_size(s), "Client Key", 10, k->client_key);
    return k;
}

static FILE *keys_file(const struct load *l, const char *mode)
{
    char path[512];

    if (!l->options.keys)
        return NULL;
    (void)snprintf(path, sizeof(path), "%s-%s", l->options.keys, l->options.prefix);
    return fopen(path, mode);
}

void keys_load(struct load *l, size_t count)
{
    FILE *f = keys_file(l, "rb");

    l->key_count = count;
    l->keys = calloc(count, sizeof(*l->keys));
    if (!l->keys)
        abort();
    if (f && fread(l->keys, sizeof(*l->keys), count, f) > 0)
        l->keys_changed = false;
    if (f)
        fclose(f);
}

void keys_save(const struct load *l)
{
    FILE *f = l->keys_changed ? keys_file(l, "r+b") : NULL;

    if (!f && l->keys_changed)
        f = keys_file(l, "wb");
    if (!f)
        return;
    (void)fwrite(l->keys, sizeof(*l->keys), l->key_count, f);
    fclose(f);
}

static void auth_plain(struct session *s)
{
    char raw[256], text[512];
    int len = snprintf(raw, sizeof(raw), "%c%s%d%c%s", 0, s->load->options.prefix, s->who.user, 0,
                       s->load->options.password);

    base64((const unsigned char *)raw, len, text);
    session_printf(s, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>",
                   text);
    s->stage = STAGE_FINAL;
}

static void auth_scram(struct session *s)
{
    unsigned char random[15];
    char raw[256], text[512];
    int len;

    RAND_bytes(random, sizeof(random));
    base64(random, sizeof(random), s->nonce);
    len = snprintf(raw, sizeof(raw), "n,,n=%s%d,r=%s", s->load->options.prefix, s->who.user,
                   s->nonce);
    (void)snprintf(s->auth_message, sizeof(s->auth_message), "%s", raw + 3);
    base64((const unsigned char *)raw, len, text);
    session_printf(s, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='%s'>%s</auth>",
                   s->load->options.mechanism, text);
    s->stage = STAGE_CHALLENGE;
}

static void answer_challenge(struct session *s, const char *xml)
{
    char text[1024], nonce[256], salt[64], iterations[16], without[320], final[512], encoded[1024];
    unsigned char challenge[1024] = {0}, stored[32], proof[32];
    struct account_keys *k;
    unsigned int stored_len;
    size_t used = strlen(s->auth_message);

    value_after(xml, ">", '<', text, sizeof(text));
    challenge[unbase64(text, challenge)] = '\0';
    value_after((char *)challenge, "r=", ',', nonce, sizeof(nonce));
    value_after((char *)challenge, "s=", ',', salt, sizeof(salt));
    value_after((char *)challenge, "i=", ',', iterations, sizeof(iterations));
    if (strncmp(nonce, s->nonce, strlen(s->nonce)) != 0 || atoi(iterations) < 1) {
        session_fail(s, "unusable challenge: %s", challenge);
        return;
    }
    (void)snprintf(without, sizeof(without), "c=biws,r=%s", nonce);
    (void)snprintf(s->auth_message + used, sizeof(s->auth_message) - used, ",%s,%s", challenge,
                   without);
    k = keys_of(s, salt, atoi(iterations));
    EVP_Digest(k->client_key, (size_t)digest_size(s), stored, &stored_len, digest(s), NULL);
    hmac(s, stored, digest_size(s), s->auth_message, strlen(s->auth_message), proof);
    for (int i = 0; i < digest_size(s); i++)
        proof[i] ^= k->client_key[i];
    base64(proof, digest_size(s), encoded);
    base64((const unsigned char *) final,
           snprintf(final, sizeof(final), "%s,p=%s", without, encoded), text);
    session_printf(s, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>", text);
    s->stage = STAGE_FINAL;
}

static void on_features(struct session *s, const char *xml)
{
    const struct options *o = &s->load->options;

    if (s->authenticated && s->who.resume_id[0]) {
        session_printf(s, "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%u'/>", s->who.resume_id,
                       s->who.handled);
        s->stage = STAGE_RESUME;
    } else if (s->authenticated) {
        s->needs_session =
            strstr(xml, "urn:ietf:params:xml:ns:xmpp-session") && !strstr(xml, "<optional/>");
        session_printf(s,
                       "<iq type='set' id='b'><bind "
                       "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r%d</resource>"
                       "</bind></iq>",
                       s->who.resource);
        s->stage = STAGE_BIND;
    } else if (o->tls && !s->secure) {
        session_printf(s, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        s->stage = STAGE_PROCEED;
    } else if (s->who.registering) {
        session_printf(
            s,
            "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>%s%d</username>"
            "<password>%s</password></query></iq>",
            o->prefix, s->who.user, o->password);
        s->stage = STAGE_REGISTER;
    } else if (!strstr(xml, o->mechanism)) {
        session_fail(s, "%s is not offered: %s", o->mechanism, xml);
    } else if (strncmp(o->mechanism, "SCRAM", 5) == 0) {
        auth_scram(s);
    } else {
        auth_plain(s);
    }
}

static void ready(struct session *s)
{
    if (s->who.managed && s->stage != STAGE_ENABLE && s->stage != STAGE_RESUME) {
        session_printf(s, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        s->stage = STAGE_ENABLE;
        return;
    }
    s->stage = STAGE_READY;
    s->load->ready++;
}

/* XEP-0198 section 5 */
static void on_enabled(struct session *s, const char *xml)
{
    struct identity *who = &s->who;

    if (strncmp(xml, "<enabled", 8) != 0)
        return; /* something for the session came before */
    value_after(xml, " id='", '\'', who->resume_id, sizeof(who->resume_id));
    if (!who->resume_id[0])
        value_after(xml, " id=\"", '"', who->resume_id, sizeof(who->resume_id));
    if (!who->resume_id[0])
        session_fail(s, "the stream cannot be resumed: %s", xml);
    else
        ready(s);
}

/* XEP-0198 section 4: what comes is counted, and told to who asks. */
static void on_managed(struct session *s, const char *xml, size_t len)
{
    if (len > 3 && memcmp(xml, "<r", 2) == 0 && strchr(" /", xml[2]))
        session_printf(s, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", s->who.handled);
    else if (len > 3 && !(xml[1] == 'a' && strchr(" /", xml[2])))
        s->who.handled++;
}

static void on_login(struct session *s, const char *xml)
{
    switch (s->stage) {
    case STAGE_FEATURES:
        if (strstr(xml, "features"))
            on_features(s, xml);
        return;
    case STAGE_PROCEED:
        session_start_tls(s);
        return;
    case STAGE_REGISTER:
        if (strstr(xml, "error") && !strstr(xml, "conflict"))
            session_fail(s, "registration refused: %s", xml);
        else
            ready(s);
        return;
    case STAGE_CHALLENGE:
        answer_challenge(s, xml);
        return;
    case STAGE_FINAL:
        if (strncmp(xml, "<challenge", 10) ==
            0) { /* the server's signature as a challenge of its own */
            session_printf(s, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
            return;
        }
        if (strncmp(xml, "<success", 8) != 0) {
            session_fail(s, "login refused: %s", xml);
            return;
        }
        s->authenticated = true;
        session_header(s);
        return;
    case STAGE_BIND:
        if (!strstr(xml, "result")) {
            session_fail(s, "bind refused: %s", xml);
        } else if (s->needs_session) {
            session_printf(s, "<iq type='set' id='s'><session "
                              "xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
            s->stage = STAGE_SESSION;
        } else {
            ready(s);
        }
        return;
    case STAGE_SESSION:
        ready(s);
        return;
    case STAGE_ENABLE:
        on_enabled(s, xml);
        return;
    case STAGE_RESUME:
        if (strncmp(xml, "<resumed", 8) != 0)
            session_fail(s, "resumption refused: %s", xml);
        else
            ready(s);
        return;
    default:
        return;
    }
}

void login_on_stanza(struct session *s, const char *xml, size_t len)
{
    char *text;

    if (s->stage == STAGE_READY) {
        s->received++;
        if (s->who.managed)
            on_managed(s, xml, len);
        return;
    }
    text = strndup(xml, len);
    if (!text)
        abort();
    if (strncmp(text, "<stream:error", 13) == 0)
        session_fail(s, "%s", text);
    else
        on_login(s, text);
    free(text);
}
