/* Inside config/ only: a configuration file as a series of values with their lines, read by
 * libconfuse. */
#ifndef JACKDAW_CONFIG_CONFIG_FILE_H
#define JACKDAW_CONFIG_CONFIG_FILE_H

#include "config/setting.h"

enum { CONFIG_FILE_MAX = 1 << 20 };

struct config_place {
    unsigned line, column; /* from 1; 0: not known */
};

struct config_file_reader {
    /* A section `domain "NAME"`, before its values; also when it has none. */
    void (*domain)(struct config_file_reader *r, const char *name, struct config_place at);
    /* One setting of the file, of that domain (NULL: of no domain's section). Texts are borrowed.
     * The line is 0 when not known (an empty list). */
    void (*value)(struct config_file_reader *r, const char *domain, const struct setting *s,
                  char *const *texts, size_t count, struct config_place at);
    void (*problem)(struct config_file_reader *r, struct config_place at, const char *message);
    const char *text; /* what is being read, comments blanked: config_file_read's own */
};

/* `text` is changed. False when reading stopped at a problem (told to r->problem). */
bool config_file_read(char *text, size_t len, struct config_file_reader *r);

#endif
