/* SCRAM attributes: "key=value" separated by commas. */
#include "xmpp/scram_attr.h"

/* attr-val: ALPHA "=" 1*value-char; the comma is split off before. */
static bool is_attribute(struct str part)
{
    if (part.len < 3 || part.data[1] != '=')
        return false;
    char letter = (char)(part.data[0] | 0x20);
    return letter >= 'a' && letter <= 'z';
}

bool scram_attr_take(struct str *rest, char key, struct str *ret)
{
    struct str part;
    if (!str_split(rest, ',', &part) || !is_attribute(part) || part.data[0] != key)
        return false;
    *ret = (struct str){part.data + 2, part.len - 2};
    return true;
}

bool scram_attr_skip(struct str rest)
{
    struct str part;
    while (str_split(&rest, ',', &part))
        if (!is_attribute(part) || part.data[0] == 'm' || part.data[0] == 'p')
            return false;
    return true;
}

void scram_attr_encode_name(struct buffer *out, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == ',')
            buffer_add_str(out, STR("=2C"));
        else if (name.data[i] == '=')
            buffer_add_str(out, STR("=3D"));
        else
            buffer_add_char(out, name.data[i]);
    }
}

bool scram_attr_decode_name(struct buffer *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = {text.data + i, text.len - i};
        char c = text.data[i];
        if (c == '=') {
            if (str_starts(rest, STR("=2C")))
                c = ',';
            else if (!str_starts(rest, STR("=3D")))
                return false;
            i += 2;
        }
        if (!buffer_add_char(out, c))
            return false;
    }
    return text.len > 0;
}
