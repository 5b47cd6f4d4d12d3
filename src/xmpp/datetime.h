/* Dates and times as XMPP writes them (XEP-0082): CCYY-MM-DDThh:mm:ss[.sss]TZD. */
#ifndef JACKDAW_XMPP_DATETIME_H
#define JACKDAW_XMPP_DATETIME_H

#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

#define DATETIME_LEN 20                    /* 2026-01-01T00:00:00Z */
#define DATETIME_MAX INT64_C(253402300799) /* 9999-12-31T23:59:59Z, in seconds since 1970 */

/* Seconds since 1970; fractions are cut off. False for what is no such time. */
bool datetime_parse(struct str text, int64_t *ret);
/* 0 to DATETIME_MAX, in UTC; no NUL. */
void datetime_write(int64_t seconds, char out[DATETIME_LEN]);

#endif
