/* Dialback keys and elements: see dialback.h. */
#include "xmpp/dialback.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"
#include "xmpp/jid.h"
#include "xmpp/namespaces.h"

#define ELEMENT_MAX 16384 /* two domains of 1 KB, every character escaped */

void dialback_key(struct str secret, struct str receiving, struct str originating,
                  struct str stream_id, char out[DIALBACK_KEY])
{
    unsigned char hash[EVP_MAX_MD_SIZE], mac[EVP_MAX_MD_SIZE];
    char hash_hex[DIALBACK_KEY];
    struct buffer text;
    unsigned len = 0;

    buffer_init(&text, ELEMENT_MAX);
    buffer_add_str(&text, receiving);
    buffer_add_char(&text, ' ');
    buffer_add_str(&text, originating);
    buffer_add_char(&text, ' ');
    buffer_add_str(&text, stream_id);
    EVP_Digest(secret.data, secret.len, hash, &len, EVP_sha256(), NULL);
    str_hex(hash, 32, hash_hex); /* section 2: the hash in hex is the HMAC's key */
    HMAC(EVP_sha256(), hash_hex, sizeof(hash_hex), (const unsigned char *)buffer_str(&text).data,
         buffer_len(&text), mac, &len);
    str_hex(mac, 32, out);
    mem_wipe(hash, sizeof(hash));
    mem_wipe(hash_hex, sizeof(hash_hex));
    buffer_finish(&text);
}

static struct str trim(struct str s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && strchr(" \t\r\n", s.data[s.len - 1]))
        s.len--;
    return s;
}

static bool prepare(struct str text, char *buffer, struct str *ret)
{
    size_t len;

    if (!text.data || !jid_prepare_domain(text, buffer, &len))
        return false;
    *ret = (struct str){buffer, len};
    return true;
}

static enum dialback_type parse_type(struct str type)
{
    if (!type.data)
        return DIALBACK_REQUEST;
    if (str_is(type, "valid"))
        return DIALBACK_VALID;
    if (str_is(type, "invalid"))
        return DIALBACK_INVALID;
    return str_is(type, "error") ? DIALBACK_ERROR : DIALBACK_UNKNOWN;
}

bool dialback_parse(const struct stanza *s, struct dialback *ret)
{
    ret->verify = str_is(stanza_name(s, STANZA_ROOT), "verify");
    ret->type = parse_type(stanza_attr(s, STANZA_ROOT, STR("type")));
    ret->id = stanza_attr(s, STANZA_ROOT, STR("id"));
    ret->key = trim(stanza_text(s, STANZA_ROOT));
    ret->condition = STANZA_ERR_NONE;
    if (ret->type == DIALBACK_ERROR)
        ret->condition = stanza_error_parse(s);
    if (ret->verify && !ret->id.data)
        return false;
    return prepare(stanza_attr(s, STANZA_ROOT, STR("from")), ret->from_buffer, &ret->from) &&
           prepare(stanza_attr(s, STANZA_ROOT, STR("to")), ret->to_buffer, &ret->to);
}

static void open_tag(struct buffer *out, struct str from, struct str to, struct str id)
{
    buffer_add_str(out, id.data ? STR("<db:verify") : STR("<db:result"));
    builder_write_attr(out, "from", from);
    builder_write_attr(out, "to", to);
    builder_write_attr(out, "id", id);
}

static bool take(struct buffer *out, struct buffer *element)
{
    bool ok = !element->overflowed && buffer_add_str(out, buffer_str(element));

    buffer_finish(element);
    return ok;
}

bool dialback_write_request(struct buffer *out, struct str from, struct str to, struct str id,
                            struct str key)
{
    struct buffer e;

    buffer_init(&e, ELEMENT_MAX);
    open_tag(&e, from, to, id);
    buffer_add_char(&e, '>');
    builder_escape_text(&e, key);
    buffer_printf(&e, "</db:%s>", id.data ? "verify" : "result");
    return take(out, &e);
}

bool dialback_write_answer(struct buffer *out, struct str from, struct str to, struct str id,
                           enum dialback_type type, enum stanza_condition condition)
{
    struct buffer e;

    buffer_init(&e, ELEMENT_MAX);
    open_tag(&e, from, to, id);
    if (type != DIALBACK_ERROR) {
        buffer_printf(&e, " type='%s'/>", type == DIALBACK_VALID ? "valid" : "invalid");
        return take(out, &e);
    }
    buffer_printf(&e, " type='error'><error type='%s'><%.*s xmlns='%s'/></error></db:%s>",
                  stanza_error_type(condition), STR_ARG(stanza_error_element(condition)),
                  NS_STANZA_ERROR.data, id.data ? "verify" : "result");
    return take(out, &e);
}
