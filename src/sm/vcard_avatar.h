/* The hash of the vCard's picture in presence: what features/vcard.c tells features/vcard_avatar.c.
 */
#ifndef JACKDAW_SM_VCARD_AVATAR_H
#define JACKDAW_SM_VCARD_AVATAR_H

#include "sm/user.h"

/* The user has another picture, or none any more: whoever sees its presence learns of it. */
void vcard_avatar_changed(struct user *user);

#endif
