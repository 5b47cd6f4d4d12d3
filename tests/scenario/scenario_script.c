/* Reading scripts: lines, words, durations, and the values of {names}. */
#include "scenario.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "xml/builder.h"

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t used = 0, got;

    if (!f)
        return NULL;
    do {
        text = mem_realloc(text, used + 65537);
        got = fread(text + used, 1, 65536, f);
        used += got;
    } while (got > 0);
    fclose(f);
    text[used] = '\0';
    return text;
}

static void add_line(struct script *s, int number, char *text)
{
    const char *comment = s->comment_count ? s->comments[s->comment_count - 1] : NULL;

    s->lines = mem_realloc(s->lines, (s->count + 1) * sizeof(*s->lines));
    s->lines[s->count++] = (struct script_line){number, text, comment};
}

static void add_comment(struct script *s, char *text)
{
    s->comments = mem_realloc(s->comments, (s->comment_count + 1) * sizeof(*s->comments));
    s->comments[s->comment_count++] = text;
}

/* A continuation is joined in place: the newline that the line before ended with comes back. */
bool script_load(struct script *s, const char *path)
{
    int number = 0;
    char *last_end = NULL; /* the NUL that ended the line a continuation would join */

    memset(s, 0, sizeof(*s));
    s->storage = read_file(path);
    if (!s->storage) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    for (char *line = s->storage, *next; *line; line = next) {
        char *end = line + strcspn(line, "\n");
        bool more = *end == '\n';

        next = end + (more ? 1 : 0);
        *end = '\0';
        number++;
        if (*line == '#') {
            add_comment(s, line + 1 + strspn(line + 1, " "));
            last_end = NULL;
        } else if ((*line == ' ' || *line == '\t') && last_end && line[strspn(line, " \t")]) {
            *last_end = '\n';
            last_end = end;
        } else if (line[strspn(line, " \t")] == '\0') {
            last_end = NULL;
        } else {
            add_line(s, number, line);
            last_end = end;
        }
    }
    return true;
}

void script_finish(struct script *s)
{
    free(s->lines);
    free(s->comments);
    free(s->storage);
}

struct str script_word(struct str *rest)
{
    struct str word;
    size_t i = 0;

    while (i < rest->len && strchr(" \t\n", rest->data[i]))
        i++;
    word.data = rest->data + i;
    while (i < rest->len && !strchr(" \t\n", rest->data[i]))
        i++;
    word.len = (size_t)(rest->data + i - word.data);
    while (i < rest->len && strchr(" \t\n", rest->data[i]))
        i++;
    *rest = (struct str){rest->data + i, rest->len - i};
    return word;
}

bool script_duration(struct str text, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = 0;
    uint64_t number;

    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    if (!str_to_u64((struct str){text.data, digits}, 1000000, &number))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (str_is((struct str){text.data + digits, text.len - digits}, units[i].unit)) {
            *ret_ms = number * units[i].ms;
            return true;
        }
    }
    return false;
}

struct str vars_get(const struct vars *v, struct str name)
{
    for (size_t i = 0; i < v->count; i++)
        if (str_is(name, v->entries[i].name))
            return str_of(v->entries[i].value);
    return STR_NULL;
}

void vars_set(struct vars *v, struct str name, struct str value)
{
    for (size_t i = 0; i < v->count; i++) {
        if (str_is(name, v->entries[i].name)) {
            free(v->entries[i].value);
            v->entries[i].value = mem_strndup(value.data, value.len);
            return;
        }
    }
    if (v->count == VARS_MAX) {
        fprintf(stderr, "more than %d names in one script\n", VARS_MAX);
        exit(2);
    }
    v->entries[v->count].name = mem_strndup(name.data, name.len);
    v->entries[v->count].value = mem_strndup(value.data, value.len);
    v->count++;
}

void vars_truncate(struct vars *v, size_t count)
{
    while (v->count > count) {
        v->count--;
        free(v->entries[v->count].name);
        free(v->entries[v->count].value);
    }
}

void vars_expand(const struct vars *v, struct str text, bool escape, struct buffer *out)
{
    size_t i = 0;

    while (i < text.len) {
        const char *close = text.data[i] == '{' ? memchr(text.data + i, '}', text.len - i) : NULL;
        struct str value = STR_NULL;

        if (close)
            value =
                vars_get(v, (struct str){text.data + i + 1, (size_t)(close - text.data) - i - 1});
        if (!value.data) {
            buffer_add_char(out, text.data[i++]);
            continue;
        }
        if (escape)
            builder_escape_attr(out, value);
        else
            buffer_add_str(out, value);
        i = (size_t)(close - text.data) + 1;
    }
}
