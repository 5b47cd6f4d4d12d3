/* A scanner with the same idea of strings and comments as libconfuse's lexer. It reports strings
 * and comments without an end at the line where they begin, which the lexer cannot, and lets only
 * plain escapes through. */
#include "config/config_scan.h"

#include <string.h>

struct scan {
    char *text, *at, *end;
    unsigned open; /* braces: how many, and where the last one was */
    const char *opened_at;
    struct config_scan_error *error;
};

static bool fail(struct scan *s, const char *where, const char *message)
{
    *s->error = (struct config_scan_error){1, 1, message};
    for (const char *p = s->text; p < where; p++) {
        s->error->line += *p == '\n';
        s->error->column = *p == '\n' ? 1 : s->error->column + 1;
    }
    return false;
}

static bool next_is(const struct scan *s, char c)
{
    return s->at + 1 < s->end && s->at[1] == c;
}

static void blank(struct scan *s)
{
    if (*s->at != '\n')
        *s->at = ' ';
    s->at++;
}

static void line_comment(struct scan *s)
{
    while (s->at < s->end && *s->at != '\n')
        blank(s);
}

static bool block_comment(struct scan *s)
{
    const char *begin = s->at;
    blank(s);
    blank(s);
    while (s->at < s->end && !(*s->at == '*' && next_is(s, '/')))
        blank(s);
    if (s->at == s->end)
        return fail(s, begin, "this comment has no end: write */ where it ends");
    blank(s);
    blank(s);
    return true;
}

static bool quoted(struct scan *s, char quote)
{
    const char *begin = s->at;
    for (s->at++; s->at < s->end && *s->at != quote; s->at++) {
        if (*s->at == '\n')
            return fail(s, begin, "this text has no end: a quote is missing");
        if (quote == '"' && *s->at == '$' && next_is(s, '{'))
            return fail(s, s->at,
                        "environment variables are not read here: write the value itself, or put "
                        "the text in single quotes");
        if (*s->at != '\\')
            continue;
        if (s->at + 1 == s->end || (quote == '"' && !strchr("\\\"'nt$", s->at[1])))
            return fail(
                s, s->at,
                "unknown escape in a text: after \\ write \\, \", n or t, or put the text in "
                "single quotes");
        if (s->at[1] == '\n')
            return fail(s, begin, "this text has no end: a quote is missing");
        s->at++;
    }
    if (s->at == s->end)
        return fail(s, begin, "this text has no end: a quote is missing");
    s->at++;
    return true;
}

static bool is_word(char c)
{
    return c != '\0' && !strchr(" #\"'\t\n\r={}()+,*$|", c);
}

static bool token(struct scan *s)
{
    char c = *s->at;
    if (c == '#' || (c == '/' && next_is(s, '/'))) {
        line_comment(s);
        return true;
    }
    if (c == '/' && next_is(s, '*'))
        return block_comment(s);
    if (c == '"' || c == '\'')
        return quoted(s, c);
    if (c == '\n' || c == '\r') {
        blank(s);
        return true;
    }
    if (is_word(c)) {
        while (s->at < s->end && is_word(*s->at))
            s->at++;
        return true;
    }
    if (c == '{') {
        s->open++;
        s->opened_at = s->at;
    } else if (c == '}' && s->open-- == 0) {
        return fail(s, s->at, "there is a } too many");
    }
    if (!strchr(" \t={}+,", c))
        return fail(s, s->at, "a character that means nothing here: put texts in \"quotes\"");
    s->at++;
    return true;
}

bool config_scan(char *text, size_t len, struct config_scan_error *ret)
{
    struct scan s = {.text = text, .at = text, .end = text + len, .error = ret};
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f)
            return fail(&s, text + i, "a control character: this is not a text file");
    }
    while (s.at < s.end)
        if (!token(&s))
            return false;
    if (s.open)
        return fail(&s, s.opened_at, "this { has no }: write } where the section or list ends");
    return true;
}
