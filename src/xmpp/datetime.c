/* Dates and times: see datetime.h. */
#include "xmpp/datetime.h"

#include <time.h>

/* Takes `len` digits off the front. */
static bool digits(struct str *text, size_t len, int *ret)
{
    int n = 0;
    if (text->len < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text->data[i] < '0' || text->data[i] > '9')
            return false;
        n = n * 10 + (text->data[i] - '0');
    }
    *text = (struct str){text->data + len, text->len - len};
    *ret = n;
    return true;
}

static bool character(struct str *text, char c)
{
    if (!text->len || text->data[0] != c)
        return false;
    *text = (struct str){text->data + 1, text->len - 1};
    return true;
}

/* Digits behind a point; at least one. */
static bool fraction(struct str *text)
{
    int digit;
    if (!character(text, '.'))
        return true;
    if (!digits(text, 1, &digit))
        return false;
    while (digits(text, 1, &digit))
        ;
    return true;
}

/* Z, or the distance from it in seconds. */
static bool zone(struct str *text, int64_t *ret)
{
    int hours = 0, minutes = 0;
    *ret = 0;
    if (character(text, 'Z'))
        return true;
    bool minus = text->len && text->data[0] == '-';
    if (!character(text, minus ? '-' : '+') || !digits(text, 2, &hours) || !character(text, ':') ||
        !digits(text, 2, &minutes) || hours > 14 || minutes > 59)
        return false;
    *ret = (minus ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

bool datetime_parse(struct str text, int64_t *ret)
{
    struct tm tm = {0};
    int64_t offset;
    if (!digits(&text, 4, &tm.tm_year) || !character(&text, '-') || !digits(&text, 2, &tm.tm_mon) ||
        !character(&text, '-') || !digits(&text, 2, &tm.tm_mday) || !character(&text, 'T') ||
        !digits(&text, 2, &tm.tm_hour) || !character(&text, ':') || !digits(&text, 2, &tm.tm_min) ||
        !character(&text, ':') || !digits(&text, 2, &tm.tm_sec) || !fraction(&text) ||
        !zone(&text, &offset) || text.len)
        return false;
    if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    int month = --tm.tm_mon, day = tm.tm_mday;
    tm.tm_year -= 1900;
    struct tm normal = tm;
    normal.tm_hour = normal.tm_min = normal.tm_sec = 0;
    int64_t midnight = (int64_t)timegm(&normal);
    if (normal.tm_mon != month || normal.tm_mday != day) /* the 31st of April */
        return false;
    *ret = midnight + tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec - offset;
    return true;
}

void datetime_write(int64_t seconds, char out[DATETIME_LEN])
{
    struct tm tm;
    char text[DATETIME_LEN + 1] = "";
    time_t t = (time_t)seconds;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    memcpy(out, text, DATETIME_LEN);
}
