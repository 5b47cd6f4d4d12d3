/* Inside config/ only: settings.def as a table. */
#ifndef JACKDAW_CONFIG_SETTING_H
#define JACKDAW_CONFIG_SETTING_H

#include "base/str.h"
#include "config/config.h"

enum setting_type { SETTING_STRING, SETTING_LIST, SETTING_NUMBER, SETTING_BOOL, SETTING_CHOICE };

struct setting {
    enum setting_type type;
    const char *section, *key;
    const char *text; /* the default; of numbers and booleans: `number` */
    int64_t number, min, max;
    const char *choices; /* "a|b|c" */
    bool live;
    const char *help;
    size_t offset; /* in struct config */
};

enum {
#define STRING(section, key, ...) SETTING_INDEX_##section##_##key,
#define LIST(section, key, ...)   SETTING_INDEX_##section##_##key,
#define NUMBER(section, key, ...) SETTING_INDEX_##section##_##key,
#define BOOL(section, key, ...)   SETTING_INDEX_##section##_##key,
#define CHOICE(section, key, ...) SETTING_INDEX_##section##_##key,
#include "config/settings.def"
#undef STRING
#undef LIST
#undef NUMBER
#undef BOOL
#undef CHOICE
    SETTINGS
};

extern const struct setting settings[SETTINGS];

/* By "section.key", or by the one name that stands without a section (`admins`); NULL when there is
 * none. */
const struct setting *setting_find(struct str name);
/* The section whose name is nearest to `name`; NULL when none is near. */
const char *setting_nearest_section(struct str name);
/* What somebody who wrote `name` most likely meant, as "section.key", in `out`; false when nothing
 * is near. `section` (may be NULL) is where it was written. */
bool setting_nearest(const char *section, struct str name, char *out, size_t size);
/* The nearest of "a|b|c"; data == NULL when none is near. */
struct str setting_nearest_choice(const char *choices, struct str text);
/* How a value is written: "a number from 0 to 65535". */
void setting_describe(const struct setting *s, char *out, size_t size);

#endif
