/* Disco of accounts: what features/disco.c asks of features/disco_items.c. */
#ifndef JACKDAW_SM_DISCO_ITEMS_H
#define JACKDAW_SM_DISCO_ITEMS_H

#include "sm/iq.h"

/* Answer, later, a request for an account by somebody entitled: what the user has published under
 * the request's node, and for the account itself its resources. */
enum stanza_condition disco_items_answer(struct iq *iq);
enum stanza_condition disco_items_answer_info(struct iq *iq);

#endif
