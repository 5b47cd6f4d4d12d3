/* What every setting's way from theirs to ours is made of: see making.h. */
#include "move/making.h"

#include <stdio.h>

#include "move/xml_file.h"

const char *const making_files[FILES] = {"router", "sm", "c2s", "s2s"};

/* --- reading theirs --- */

stanza_el making_find(const struct making *m, int file, const char *path)
{
    struct str rest = str_of(path), name;
    stanza_el el = m->files[file] ? STANZA_ROOT : STANZA_NONE;
    while (el != STANZA_NONE && str_split(&rest, '/', &name))
        el = stanza_child(m->files[file], el, name, STR_NULL);
    return el;
}

static bool blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str making_trimmed(struct str s)
{
    while (s.len && blank(*s.data))
        s = (struct str){s.data + 1, s.len - 1};
    while (s.len && blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

struct str making_text_of(const struct making *m, int file, stanza_el el)
{
    return el == STANZA_NONE ? STR_NULL : making_trimmed(stanza_text(m->files[file], el));
}

struct str making_text_at(const struct making *m, int file, const char *path)
{
    return making_text_of(m, file, making_find(m, file, path));
}

stanza_el making_same_after(const struct making *m, int file, stanza_el el)
{
    struct str name = stanza_name(m->files[file], el);
    do
        el = stanza_next(m->files[file], el);
    while (el != STANZA_NONE && !str_eq(stanza_name(m->files[file], el), name));
    return el;
}

struct stanza *making_document_at(struct making *m, int file, const char *element)
{
    struct str name = making_text_at(m, file, element);
    struct stanza *document = NULL;
    char path[4096], why[512] = "";
    if (!name.len)
        return NULL;
    snprintf(path, sizeof path, "%.*s", STR_ARG(name));
    if (xml_file_read(path, &document, (struct move_why){why, sizeof why}) == ERR_OK)
        return document;
    move_leave_out(m->notes, NULL, "%s.xml: %s: %s", making_files[file], element, why);
    return NULL;
}

/* --- writing ours --- */

void making_quote(struct buffer *out, struct str s)
{
    buffer_add_char(out, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '\'' || s.data[i] == '\\')
            buffer_add_char(out, '\\');
        buffer_add_char(out, (unsigned char)s.data[i] < ' ' ? ' ' : s.data[i]);
    }
    buffer_add_char(out, '\'');
}

void making_put(struct making *m, int section, const char *key, struct str value)
{
    struct buffer *out = &m->sections[section];
    buffer_printf(out, "    %s = ", key);
    making_quote(out, value);
    buffer_add_char(out, '\n');
}

void making_put_word(struct making *m, int section, const char *key, const char *word)
{
    buffer_printf(&m->sections[section], "    %s = %s\n", key, word);
}

void making_put_texts(struct making *m, int section, const char *key, int file, stanza_el el)
{
    struct buffer *out = &m->sections[section];
    buffer_printf(out, "    %s = {", key);
    for (size_t n = 0; el != STANZA_NONE; el = making_same_after(m, file, el)) {
        buffer_add_str(out, n++ ? STR(", ") : STR(""));
        making_quote(out, making_text_of(m, file, el));
    }
    buffer_add_str(out, STR("}\n"));
}
