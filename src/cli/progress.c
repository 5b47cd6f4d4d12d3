/* Bars on stderr. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR = 40 };

void progress_init(struct progress *p)
{
    *p = (struct progress){.tty = isatty(STDERR_FILENO) != 0};
}

void progress_show(struct progress *p, const char *doing, uint64_t done, uint64_t total)
{
    int percent = total ? (int)(done * 100 / total) : 0, step = p->tty ? 1 : 10;
    percent = percent > 100 ? 100 : percent; /* there may come more than was counted */
    if (percent / step == p->shown / step)
        return;
    p->shown = percent;
    if (p->tty) {
        char bar[BAR + 1];
        for (int i = 0; i < BAR; i++)
            bar[i] = i < percent * BAR / 100 ? '#' : '.';
        bar[BAR] = '\0';
        fprintf(stderr, "\r[%s] %3d%%  %s\033[K", bar, percent, doing);
    } else {
        fprintf(stderr, "%3d%%  %s\n", percent, doing);
    }
}

void progress_clear(const struct progress *p)
{
    if (p->tty)
        fprintf(stderr, "\r\033[K");
}
