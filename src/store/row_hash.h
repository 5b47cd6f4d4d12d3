/* Row hash: a sum over rows that does not depend on their order, for comparing copies: the SHA-256
 * of each, added as four numbers modulo 2^64. */
#ifndef JACKDAW_STORE_ROW_HASH_H
#define JACKDAW_STORE_ROW_HASH_H

#include "base/str.h"

enum { ROW_HASH = 32 };

void row_hash_add(unsigned char sum[ROW_HASH], struct str row);

#endif
