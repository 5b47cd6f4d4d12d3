/* A parser by recursive descent, no deeper than LUA_DEPTH_MAX. The grammar is that of constants in
 * the Lua 5.4 manual, section 3: strings with every escape, long strings, numbers, comments. */
#include "move/lua_table.h"

#include <errno.h>
#include <stdlib.h>

struct lua {
    struct arena *arena;
    const char *at, *end;
    unsigned line, depth;
    const char *problem;
};

static bool fail(struct lua *l, const char *what)
{
    if (!l->problem)
        l->problem = what;
    return false;
}

/* --- tokens --- */

/* [[ or [=[ ...: how many =, or -1. */
static int long_bracket(const struct lua *l)
{
    const char *p = l->at + 1;
    while (p < l->end && *p == '=')
        p++;
    return l->at < l->end && *l->at == '[' && p < l->end && *p == '[' ? (int)(p - l->at - 1) : -1;
}

/* Behind the closing bracket; the text between them in *ret. */
static bool long_text(struct lua *l, int level, struct str *ret)
{
    const char *from = l->at + level + 2;
    if (from < l->end && *from == '\r')
        from++;
    if (from < l->end && *from == '\n')
        from++;
    for (const char *p = l->at + level + 2; p < l->end; p++) {
        const char *q = p + 1;
        l->line += *p == '\n';
        if (*p != ']')
            continue;
        while (q < l->end && *q == '=' && q - p - 1 < level)
            q++;
        if (q - p - 1 != level || q >= l->end || *q != ']')
            continue;
        *ret = (struct str){from, p > from ? (size_t)(p - from) : 0};
        l->at = q + 1;
        return true;
    }
    return fail(l, "a long string or comment has no end");
}

static bool skip_comment(struct lua *l)
{
    struct str ignored;
    l->at += 2;
    int level = long_bracket(l);
    if (level >= 0)
        return long_text(l, level, &ignored);
    while (l->at < l->end && *l->at != '\n')
        l->at++;
    return true;
}

static bool blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* White space and comments. */
static bool skip(struct lua *l)
{
    while (l->at < l->end) {
        if (*l->at == '\n')
            l->line++;
        if (blank(*l->at))
            l->at++;
        else if (l->end - l->at > 1 && l->at[0] == '-' && l->at[1] == '-') {
            if (!skip_comment(l))
                return false;
        } else
            break;
    }
    return true;
}

static bool take(struct lua *l, char c)
{
    if (!skip(l) || l->at >= l->end || *l->at != c)
        return false;
    l->at++;
    return true;
}

static bool name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static struct str take_name(struct lua *l)
{
    struct str name = {l->at, 0};
    while (l->at < l->end && name_char(*l->at, name.len == 0)) {
        l->at++;
        name.len++;
    }
    return name;
}

/* --- strings --- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool put_utf8(struct lua *l, uint32_t c, char **out)
{
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return fail(l, "\\u{} names no character");
    if (c < 0x80) {
        *(*out)++ = (char)c;
    } else if (c < 0x800) {
        *(*out)++ = (char)(0xC0 | c >> 6);
        *(*out)++ = (char)(0x80 | (c & 63));
    } else {
        if (c < 0x10000) {
            *(*out)++ = (char)(0xE0 | c >> 12);
        } else {
            *(*out)++ = (char)(0xF0 | c >> 18);
            *(*out)++ = (char)(0x80 | (c >> 12 & 63));
        }
        *(*out)++ = (char)(0x80 | (c >> 6 & 63));
        *(*out)++ = (char)(0x80 | (c & 63));
    }
    return true;
}

/* \u{} with digits of hex; l->at is behind the u. */
static bool unicode_escape(struct lua *l, char **out)
{
    uint32_t c = 0;
    int digits = 0;
    if (l->at >= l->end || *l->at++ != '{')
        return fail(l, "\\u wants {");
    while (l->at < l->end && hex_digit(*l->at) >= 0 && digits++ < 8)
        c = c << 4 | (uint32_t)hex_digit(*l->at++);
    if (!digits || l->at >= l->end || *l->at++ != '}')
        return fail(l, "\\u{ wants digits and }");
    return put_utf8(l, c, out);
}

static bool decimal_escape(struct lua *l, char **out)
{
    int value = 0;
    for (int i = 0; i < 3 && l->at < l->end && *l->at >= '0' && *l->at <= '9'; i++)
        value = 10 * value + (*l->at++ - '0');
    if (value > 255)
        return fail(l, "an escape is larger than 255");
    *(*out)++ = (char)value;
    return true;
}

/* Behind the backslash. What comes out is never longer than what goes in. */
static bool escape(struct lua *l, char **out)
{
    static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
    if (l->at >= l->end)
        return fail(l, "a string has no end");
    const char *known = memchr(from, *l->at, sizeof from - 1);
    if (known) {
        *(*out)++ = to[known - from];
        l->at++;
        return true;
    }
    if (*l->at >= '0' && *l->at <= '9')
        return decimal_escape(l, out);
    switch (*l->at++) {
    case '\n':
        l->line++;
        *(*out)++ = '\n';
        return true;
    case 'x':
        if (l->end - l->at < 2 || hex_digit(l->at[0]) < 0 || hex_digit(l->at[1]) < 0)
            return fail(l, "\\x wants two digits");
        *(*out)++ = (char)(hex_digit(l->at[0]) << 4 | hex_digit(l->at[1]));
        l->at += 2;
        return true;
    case 'z':
        while (l->at < l->end && blank(*l->at))
            l->line += *l->at++ == '\n';
        return true;
    case 'u':
        return unicode_escape(l, out);
    default:
        return fail(l, "an escape in a string is unknown");
    }
}

static bool string(struct lua *l, struct lua_value *ret)
{
    char quote = *l->at++;
    const char *p = l->at;
    while (p < l->end && *p != quote) /* as long as it can become */
        p += *p == '\\' && l->end - p > 1 ? 2 : 1;
    char *bytes = arena_alloc(l->arena, (size_t)(p - l->at) + 1), *out = bytes;
    if (!bytes)
        return fail(l, "there is too much in the file");
    while (l->at < l->end && *l->at != quote) {
        if (*l->at == '\n')
            return fail(l, "a string goes over the end of its line");
        if (*l->at != '\\') {
            *out++ = *l->at++;
            continue;
        }
        l->at++;
        if (!escape(l, &out))
            return false;
    }
    if (l->at >= l->end)
        return fail(l, "a string has no end");
    l->at++;
    *ret = (struct lua_value){.type = LUA_STRING, .text = {bytes, (size_t)(out - bytes)}};
    return true;
}

/* --- numbers --- */

/* Also (1/0), (-1/0) and (0/0), which are no times, counts or versions: 0. */
static bool number(struct lua *l, struct lua_value *ret)
{
    char text[64], *end;
    size_t n = 0;
    while (l->at < l->end && n < sizeof text - 1 &&
           (name_char(*l->at, false) || *l->at == '.' || *l->at == '-' || *l->at == '+'))
        text[n++] = *l->at++;
    text[n] = '\0';
    double value = n ? strtod(text, &end) : 0;
    if (!n || *end || name_char(text[0], true))
        return fail(l, "this is neither a string, number, table, true, false nor nil");
    *ret = (struct lua_value){.type = LUA_NUMBER, .number = value};
    return true;
}

static bool not_a_number(struct lua *l, struct lua_value *ret)
{
    static const char *const forms[] = {"(1/0)", "(-1/0)", "(0/0)"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t len = strlen(forms[i]);
        if ((size_t)(l->end - l->at) >= len && memcmp(l->at, forms[i], len) == 0) {
            l->at += len;
            *ret = (struct lua_value){.type = LUA_NUMBER};
            return true;
        }
    }
    return fail(l, "calculations are not read");
}

/* --- values --- */

static bool value(struct lua *l, struct lua_value *ret);

static bool word(struct lua *l, struct lua_value *ret)
{
    struct str name = take_name(l);
    *ret = (struct lua_value){.type = str_is(name, "nil") ? LUA_NIL : LUA_BOOLEAN,
                              .boolean = str_is(name, "true")};
    return str_is(name, "nil") || str_is(name, "true") || str_is(name, "false")
               ? true
               : fail(l, "a word stands where a value should");
}

/* KEY = in front of a value, in either form; *ret_keyed false: there is none. */
static bool key(struct lua *l, struct lua_value *ret, bool *ret_keyed)
{
    *ret_keyed = false;
    if (*l->at == '[' && long_bracket(l) < 0) {
        l->at++;
        *ret_keyed = true;
        return (value(l, ret) && take(l, ']') && take(l, '=')) || fail(l, "a key wants ] and =");
    }
    if (!name_char(*l->at, true))
        return true;
    struct lua before = *l;
    struct str name = take_name(l);
    if (take(l, '=')) {
        *ret_keyed = true;
        *ret = (struct lua_value){.type = LUA_STRING, .text = name};
    } else {
        *l = before; /* true, false, nil */
    }
    return true;
}

static bool fields(struct lua *l, struct lua_value *ret)
{
    struct lua_pair **end = &ret->first;
    double position = 1;
    for (;;) {
        if (take(l, '}'))
            return true;
        if (l->problem || l->at >= l->end)
            return fail(l, "a table has no end");
        struct lua_pair *pair = arena_alloc(l->arena, sizeof *pair);
        bool keyed;
        if (!pair)
            return fail(l, "there is too much in the file");
        if (!key(l, &pair->key, &keyed) || !value(l, &pair->value))
            return false;
        if (!keyed)
            pair->key = (struct lua_value){.type = LUA_NUMBER, .number = position++};
        *end = pair;
        end = &pair->next;
        if (!take(l, ';') && !take(l, ',')) {
            if (l->problem)
                return false;
            return take(l, '}') ? true : fail(l, "a table wants ; or } here");
        }
    }
}

static bool table(struct lua *l, struct lua_value *ret)
{
    l->at++;
    *ret = (struct lua_value){.type = LUA_TABLE};
    if (++l->depth > LUA_DEPTH_MAX)
        return fail(l, "tables are nested too deep");
    bool ok = fields(l, ret);
    l->depth--;
    return ok;
}

static bool value(struct lua *l, struct lua_value *ret)
{
    struct str text;
    if (!skip(l))
        return false;
    if (l->at >= l->end)
        return fail(l, "a value is missing at the end");
    int level = long_bracket(l);
    if (level >= 0) {
        if (!long_text(l, level, &text))
            return false;
        *ret = (struct lua_value){.type = LUA_STRING, .text = text};
        return true;
    }
    switch (*l->at) {
    case '"':
    case '\'':
        return string(l, ret);
    case '{':
        return table(l, ret);
    case '(':
        return not_a_number(l, ret);
    default:
        return name_char(*l->at, true) ? word(l, ret) : number(l, ret);
    }
}

/* --- files --- */

static void begin(struct lua *l, struct arena *arena, struct str text)
{
    *l = (struct lua){.arena = arena, .at = text.data, .end = text.data + text.len, .line = 1};
}

static bool finish(const struct lua *l, bool ok, struct lua_error *ret_error)
{
    if (!ok)
        *ret_error = (struct lua_error){l->line, l->problem ? l->problem : "this is no Lua table"};
    return ok;
}

bool lua_parse(struct arena *arena, struct str text, struct lua_value *ret,
               struct lua_error *ret_error)
{
    struct lua l;
    begin(&l, arena, text);
    bool ok = skip(&l) && str_is(take_name(&l), "return") && value(&l, ret);
    if (ok) {
        (void)take(&l, ';');
        ok = skip(&l) && (l.at == l.end || fail(&l, "there is something behind the table"));
    }
    return finish(&l, ok, ret_error);
}

bool lua_parse_list(struct arena *arena, struct str text, struct lua_value *ret,
                    struct lua_error *ret_error)
{
    struct lua l;
    struct lua_pair **end = &ret->first;
    double position = 1;
    bool ok = true;
    begin(&l, arena, text);
    *ret = (struct lua_value){.type = LUA_TABLE};
    while ((ok = ok && skip(&l)) && l.at < l.end) {
        struct lua_pair *pair = arena_alloc(arena, sizeof *pair);
        ok = pair && str_is(take_name(&l), "item") && take(&l, '(') && value(&l, &pair->value) &&
             take(&l, ')');
        if (!ok)
            break;
        (void)take(&l, ';');
        pair->key = (struct lua_value){.type = LUA_NUMBER, .number = position++};
        *end = pair;
        end = &pair->next;
    }
    return finish(&l, ok, ret_error);
}

/* --- looking things up --- */

const struct lua_value *lua_get(const struct lua_value *table, const char *name)
{
    if (!table || table->type != LUA_TABLE)
        return NULL;
    for (const struct lua_pair *p = table->first; p; p = p->next)
        if (p->key.type == LUA_STRING && str_is(p->key.text, name))
            return &p->value;
    return NULL;
}

const struct lua_value *lua_get_false(const struct lua_value *table)
{
    if (!table || table->type != LUA_TABLE)
        return NULL;
    for (const struct lua_pair *p = table->first; p; p = p->next)
        if (p->key.type == LUA_BOOLEAN && !p->key.boolean)
            return &p->value;
    return NULL;
}

struct str lua_text(const struct lua_value *table, const char *name)
{
    const struct lua_value *v = lua_get(table, name);
    return v && v->type == LUA_STRING ? v->text : STR_NULL;
}

bool lua_true(const struct lua_value *v)
{
    return v && v->type != LUA_NIL && (v->type != LUA_BOOLEAN || v->boolean);
}

double lua_number(const struct lua_value *table, const char *name, double otherwise)
{
    const struct lua_value *v = lua_get(table, name);
    return v && v->type == LUA_NUMBER ? v->number : otherwise;
}
