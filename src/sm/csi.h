/* CSI: client state indication (XEP-0352), as far as others ask for it. What is held back and why
 * it is held here and not in c2s: docs/decisions/0069-mobile.md. */
#ifndef JACKDAW_SM_CSI_H
#define JACKDAW_SM_CSI_H

#include "sm/session.h"

/* The client says that nobody looks at it, or that somebody does: then it gets what was held back.
 */
void csi_set(struct session *session, bool inactive);
/* The session has ended, its flights are over: what was held for it goes where they went. */
void csi_end(struct session *session);
/* Forgets what was held: the instance ends. */
void csi_forget(struct session *session);

#endif
