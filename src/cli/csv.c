/* A CSV reader: one state per position in a record (RFC 4180 section 2). */
#include "cli/csv.h"

#include <string.h>

#include "base/mem.h"

void csv_init(struct csv *c, FILE *from)
{
    *c = (struct csv){.from = from, .next_line = 1};
    buffer_init(&c->text, CSV_RECORD_MAX);
}

static void wipe(struct csv *c)
{
    if (c->text.data)
        mem_wipe(c->text.data, c->text.cap);
    buffer_clear(&c->text);
    c->count = 0;
}

void csv_finish(struct csv *c)
{
    wipe(c);
    buffer_finish(&c->text);
}

struct str csv_field(const struct csv *c, size_t i)
{
    if (i >= c->count)
        return STR_NULL;
    size_t start = i ? c->ends[i - 1] : 0;
    return (struct str){buffer_str(&c->text).data + start, c->ends[i] - start};
}

static int get(struct csv *c)
{
    int ch = getc(c->from);
    if (ch == '\n')
        c->next_line++;
    return ch;
}

static void problem(struct csv *c, const char *text)
{
    if (!c->problem)
        c->problem = text;
}

static void put(struct csv *c, int ch)
{
    if (!buffer_add_char(&c->text, (char)ch))
        problem(c, "the line is longer than 64 KB");
    if (ch == '\0')
        problem(c, "there is a NUL byte in the line: this is not a text file");
}

static void end_field(struct csv *c)
{
    if (c->count == CSV_FIELDS_MAX)
        problem(c, "there are too many fields: write JID,PASSWORD");
    else
        c->ends[c->count++] = buffer_len(&c->text);
}

/* The rest of a quoted field; returns what follows the closing quote. */
static int quoted(struct csv *c)
{
    for (;;) {
        int ch = get(c);
        if (ch == EOF) {
            problem(c, "a quoted field has no closing quote");
            return EOF;
        }
        if (ch != '"') {
            put(c, ch);
            continue;
        }
        ch = get(c);
        if (ch != '"')
            return ch;
        put(c, '"');
    }
}

static bool ends_field(int ch)
{
    return ch == ',' || ch == '\n' || ch == EOF;
}

/* A field from its first character; returns what ends it: a comma, a newline or EOF. */
static int field(struct csv *c, int ch)
{
    bool was_quoted = ch == '"';
    if (was_quoted)
        ch = quoted(c);
    while (!ends_field(ch)) {
        int next = get(c);
        if (ch == '\r' && (next == '\n' || next == EOF)) {
            ch = next;
            break;
        }
        if (was_quoted)
            problem(c,
                    "there is text behind a closing quote: inside quotes write \"\" for a quote");
        else if (ch == '"')
            problem(c,
                    "there is a quote inside a field: quote the whole field and write \"\" for it");
        put(c, ch);
        ch = next;
    }
    end_field(c);
    return ch;
}

enum csv_result csv_next(struct csv *c)
{
    int ch;
    wipe(c);
    c->problem = NULL;
    do {
        c->line = c->next_line;
        ch = get(c);
    } while (ch == '\n' || ch == '\r');
    if (ch == EOF)
        return CSV_END;
    while (field(c, ch) == ',')
        ch = get(c);
    return c->problem ? CSV_BAD : CSV_RECORD;
}
