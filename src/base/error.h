/* The one error enum, from errors.def. Results come in ret_ out-parameters that stay untouched on
 * failure. */
#ifndef JACKDAW_BASE_ERROR_H
#define JACKDAW_BASE_ERROR_H

enum error {
#define X(name, text) ERR_##name,
#include "base/errors.def"
#undef X
};

const char *error_text(enum error e);
/* The nearest of ours to an errno value. */
enum error error_from_errno(int errnum);
/* The system's own words for an errno value; never NULL, constant. */
const char *error_errno_text(int errnum);

#endif
