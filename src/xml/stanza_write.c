/* Writing a stanza out: a new start tag around the same inner bytes. This is the hot path of every
 * forwarder. */
#include "xml/stanza.h"
#include "xml/block.h"

/* An object of its own: a literal "" may be the same one as somebody's empty value. */
static const char drop_mark[] = "drop";
const struct str STANZA_DROP = {drop_mark, 0};

enum { STAMPS = 4 };

/* The stamped attributes in the order in which missing ones are added. */
static const struct str stamp_names[STAMPS] = {{"from", 4}, {"to", 2}, {"id", 2}, {"type", 4}};

static const struct str *stamp_value(const struct stanza_stamp *stamp, int i)
{
    const struct str *const values[STAMPS] = {&stamp->from, &stamp->to, &stamp->id, &stamp->type};
    return values[i];
}

/* Which stamp an attribute is, or -1. */
static int stamp_index(const struct stanza *s, const struct block_attr *a)
{
    const char *name = s->bytes + a->name.at;
    switch (a->ns.len == 0 ? a->name.len : 0) {
    case 2:
        return name[0] == 't' && name[1] == 'o' ? 1 : name[0] == 'i' && name[1] == 'd' ? 2 : -1;
    case 4:
        return memcmp(name, "from", 4) == 0 ? 0 : memcmp(name, "type", 4) == 0 ? 3 : -1;
    default:
        return -1;
    }
}

static bool is_drop(const struct str *value)
{
    return value->data == STANZA_DROP.data;
}

static size_t attr_size(struct str name, struct str value)
{
    return name.len + 4 + escape_size(ESCAPE_ATTR, value); /* space, =, two quotes */
}

size_t stanza_write_size(const struct stanza *s, const struct stanza_stamp *stamp)
{
    size_t size = s->len;
    if (!stamp)
        return size;
    const struct block_element *root = &s->elements[STANZA_ROOT];
    for (int i = 0; i < STAMPS; i++) {
        const struct str *value = stamp_value(stamp, i);
        if (value->data && !is_drop(value))
            size += attr_size(stamp_names[i], *value);
    }
    for (uint32_t i = root->attrs; i < root->attrs + root->attr_count; i++) {
        int known = stamp_index(s, &s->attrs[i]);
        if (known >= 0 && stamp_value(stamp, known)->data)
            size -= s->attrs[i].raw_len;
    }
    if (stamp->xmlns.data)
        size += attr_size(STR("xmlns"), stamp->xmlns);
    size += stamp->extra.len + stamp->extra_inner.len;
    if (root->inner == root->inner_end && stamp->extra_inner.len > 0)
        size += root->name.len + 2; /* <x></x> for <x/> */
    return size;
}

static char *put(char *out, const char *bytes, size_t len)
{
    memcpy(out, bytes, len);
    return out + len;
}

static char *put_str(char *out, struct str s)
{
    return s.len > 0 ? put(out, s.data, s.len) : out;
}

static char *put_attr(char *out, struct str name, struct str value)
{
    *out++ = ' ';
    out = put(out, name.data, name.len);
    out = put(out, "='", 2);
    out = escape_put(ESCAPE_ATTR, value, out);
    *out++ = '\'';
    return out;
}

/* The root's attributes: plain ones with their stamps in place, stamps that the sender lacked,
 * namespaced ones. */
static char *put_attrs(const struct stanza *s, const struct stanza_stamp *stamp, char *out)
{
    const struct block_element *root = &s->elements[STANZA_ROOT];
    uint32_t i = root->attrs, end = root->attrs + root->attr_count;
    unsigned done = 0;
    for (; i < end && s->attrs[i].ns.len == 0; i++) {
        const struct block_attr *a = &s->attrs[i];
        int known = stamp_index(s, a);
        const struct str *value = known >= 0 ? stamp_value(stamp, known) : NULL;
        if (value && value->data) {
            done |= 1u << known;
            if (!is_drop(value))
                out = put_attr(out, stamp_names[known], *value);
        } else {
            out = put(out, s->bytes + a->raw, a->raw_len);
        }
    }
    for (int k = 0; k < STAMPS; k++) {
        const struct str *value = stamp_value(stamp, k);
        if (value->data && !is_drop(value) && !(done & 1u << k))
            out = put_attr(out, stamp_names[k], *value);
    }
    for (; i < end; i++)
        out = put(out, s->bytes + s->attrs[i].raw, s->attrs[i].raw_len);
    return out;
}

size_t stanza_write_to(const struct stanza *s, const struct stanza_stamp *stamp, char *out)
{
    if (!stamp) {
        memcpy(out, s->bytes, s->len);
        return s->len;
    }
    const struct block_element *root = &s->elements[STANZA_ROOT];
    struct str name = block_view(s, root->name);
    char *begin = out;
    *out++ = '<';
    out = put_str(out, name);
    if (stamp->xmlns.data)
        out = put_attr(out, STR("xmlns"), stamp->xmlns);
    out = put_attrs(s, stamp, out);
    out = put_str(out, stamp->extra);
    uint32_t inner = root->inner_end - root->inner;
    if (inner == 0 && stamp->extra_inner.len == 0) {
        out = put(out, "/>", 2);
    } else {
        *out++ = '>';
        out = put(out, s->bytes + root->inner, inner);
        out = put_str(out, stamp->extra_inner);
        out = put(out, "</", 2);
        out = put_str(out, name);
        *out++ = '>';
    }
    return (size_t)(out - begin);
}

bool stanza_write(const struct stanza *s, const struct stanza_stamp *stamp, struct buffer *out)
{
    char *to = buffer_reserve(out, stanza_write_size(s, stamp));
    if (!to)
        return false;
    buffer_commit(out, stanza_write_to(s, stamp, to));
    return true;
}
