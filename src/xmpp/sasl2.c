/* SASL2: see sasl2.h. Sections are those of XEP-0388. */
#include "xmpp/sasl2.h"

#include <ctype.h>

#include "xmpp/namespaces.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_dash(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

bool sasl2_parse_uuid(struct str text, unsigned char ret[16])
{
    size_t digits = 0;

    if (text.len != SASL2_UUID)
        return false;
    for (size_t i = 0; i < SASL2_UUID; i++) {
        int digit = hex_digit(text.data[i]);
        if (is_dash(i)) {
            if (text.data[i] != '-')
                return false;
            continue;
        }
        if (digit < 0)
            return false;
        if (digits % 2 == 0)
            ret[digits / 2] = (unsigned char)(digit << 4);
        else
            ret[digits / 2] |= (unsigned char)digit;
        digits++;
    }
    return true;
}

void sasl2_write_uuid(const unsigned char id[16], char out[SASL2_UUID])
{
    static const char digits[] = "0123456789abcdef";
    size_t digit = 0;

    for (size_t i = 0; i < SASL2_UUID; i++) {
        if (is_dash(i)) {
            out[i] = '-';
            continue;
        }
        out[i] = digits[id[digit / 2] >> (digit % 2 ? 0 : 4) & 15];
        digit++;
    }
}

/* Cut between two characters, not inside one. */
static struct str name_of(const struct stanza *s, stanza_el agent, struct str name)
{
    stanza_el el = stanza_child(s, agent, name, NS_SASL2);
    struct str text = el == STANZA_NONE ? STR_NULL : stanza_text(s, el);

    if (text.len > SASL2_AGENT_TEXT) {
        text.len = SASL2_AGENT_TEXT;
        while (text.len > 0 && ((unsigned char)text.data[text.len] & 0xC0) == 0x80)
            text.len--;
    }
    return text;
}

bool sasl2_read_agent(const struct stanza *authenticate, struct sasl2_agent *ret)
{
    stanza_el agent = stanza_child(authenticate, STANZA_ROOT, STR("user-agent"), NS_SASL2);
    struct str id;

    *ret = (struct sasl2_agent){.has_id = false};
    if (agent == STANZA_NONE)
        return true;
    id = stanza_attr(authenticate, agent, STR("id"));
    ret->software = name_of(authenticate, agent, STR("software"));
    ret->device = name_of(authenticate, agent, STR("device"));
    ret->has_id = id.data && sasl2_parse_uuid(id, ret->id);
    return !id.data || ret->has_id;
}

bool sasl2_true(struct str value)
{
    return str_is(value, "true") || str_is(value, "1");
}

void sasl2_write_failure(struct buffer *out, enum sasl_failure failure, const char *text)
{
    buffer_printf(out,
                  "<failure xmlns='urn:xmpp:sasl:2'>"
                  "<%.*s xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
                  STR_ARG(sasl_failure_element(failure)));
    if (text)
        buffer_printf(out, "<text>%s</text>", text);
    buffer_add_str(out, STR("</failure>"));
}

void sasl2_write_data(struct buffer *out, struct str name, struct str raw)
{
    buffer_add_char(out, '<');
    buffer_add_str(out, name);
    if (raw.len == 0) { /* section 2.2: an empty element is the empty string */
        buffer_add_str(out, STR("/>"));
        return;
    }
    buffer_add_char(out, '>');
    sasl_base64_encode(raw, out);
    buffer_add_str(out, STR("</"));
    buffer_add_str(out, name);
    buffer_add_char(out, '>');
}

#define SEPARATOR '\x1e'
#define LISTS     '\x1f'

/* The next name in the order of i;octet (RFC 4790 section 9.3). */
static const char *next_name(unsigned offered, const char *after)
{
    const char *best = NULL;

    for (const enum sasl_mechanism *m = sasl_preference; *m != SASL_NONE; m++) {
        const char *name = sasl_mechanism_name(*m);
        if ((offered & *m) && (!after || strcmp(name, after) > 0) &&
            (!best || strcmp(name, best) < 0))
            best = name;
    }
    return best;
}

void sasl2_write_announced(struct buffer *out, unsigned offered, bool exporter, bool end_point)
{
    const char *name = next_name(offered, NULL);

    while (name) {
        buffer_add_str(out, str_of(name));
        name = next_name(offered, name);
        if (name)
            buffer_add_char(out, SEPARATOR);
    }
    if (!exporter && !end_point)
        return;
    buffer_add_char(out, LISTS);
    if (exporter)
        buffer_add_str(out, STR("tls-exporter"));
    if (exporter && end_point)
        buffer_add_char(out, SEPARATOR);
    if (end_point)
        buffer_add_str(out, STR("tls-server-end-point"));
}
