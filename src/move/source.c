/* What readers of other servers' data share. */
#include "move/source.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 1024 };

static void say(struct move_notes *notes, const char *text)
{
    char clean[TEXT_MAX];
    size_t n = 0;
    for (; text[n] && n < sizeof clean - 1; n++)
        clean[n] = (unsigned char)text[n] < ' ' || text[n] == 0x7f ? '?' : text[n];
    clean[n] = '\0';
    if (notes->say)
        notes->say(notes->arg, clean);
}

void move_leave_out(struct move_notes *notes, const char *owner, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;
    int len = owner ? snprintf(text, sizeof text, "%.200s: ", owner) : 0;
    va_start(args, fmt);
    vsnprintf(text + len, sizeof text - (size_t)len, fmt, args);
    va_end(args);
    notes->left_out++;
    say(notes, text);
}

void move_remark(struct move_notes *notes, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    say(notes, text);
}

enum error move_fail(struct move_why why, enum error e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why.text, why.size, fmt, args);
    va_end(args);
    return e;
}

void move_close(struct move_source *s)
{
    if (s)
        s->ops->close(s);
}
