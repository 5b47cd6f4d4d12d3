/* Inside store/ only: what a driver runs. One row of statements.def is one statement; typed functions
 * (accounts.c, users.c) put them into requests, drivers run requests. */
#ifndef JACKDAW_STORE_DRIVER_H
#define JACKDAW_STORE_DRIVER_H

#include "store/store.h"

/* The store's owner decides further contents: see store.c */

#endif
