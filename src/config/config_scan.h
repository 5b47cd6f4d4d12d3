/* Inside config/ only: makes a file's text safe and simple for libconfuse, whose lexer counts lines
 * wrongly after comments, ends the text at a NUL, takes a file that ends inside a section, and
 * expands environment variables. */
#ifndef JACKDAW_CONFIG_CONFIG_SCAN_H
#define JACKDAW_CONFIG_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>

struct config_scan_error {
    unsigned line, column;
    const char *message; /* constant text: what is wrong and what to write */
};

/* Overwrites comments with spaces in place, keeping lines. False on what must not reach libconfuse.
 */
bool config_scan(char *text, size_t len, struct config_scan_error *ret);

#endif
