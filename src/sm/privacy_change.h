/* Changes of privacy lists: one at a time for each user, in the order of the requests. A change
 * takes effect when it is committed; then those who may see more or less of each other now are told
 * (XEP-0016 sections 2.9, 2.10; XEP-0191 section 3), the request is answered, and the other
 * resources get their pushes. */
#ifndef JACKDAW_SM_PRIVACY_CHANGE_H
#define JACKDAW_SM_PRIVACY_CHANGE_H

#include "sm/iq.h"
#include "sm/privacy.h"

struct privacy_change {
    struct str list;             /* whose content changes; data == NULL: none */
    struct privacy_items items;  /* its content from now on, moved; empty: it is removed */
    bool set_standard;           /* the default list changes ... */
    struct str standard;         /* ... to this one; data == NULL: to none */
    bool set_active;             /* the session's active list changes ... */
    struct privacy_list *active; /* ... to this one; NULL: to none */
    bool blocking;               /* the request was one of XEP-0191 */
    bool all;                    /* ... to unblock everybody */
};

/* True when the request has to wait for a change under way; `run` is called again later. */
bool privacy_wait(struct iq *iq, enum stanza_condition (*run)(struct iq *iq));
/* Takes the request and answers it. The texts are copied. */
void privacy_commit(struct iq *iq, struct privacy_change *change);
/* A session other than this one uses the list (section 2.2). */
bool privacy_in_use(const struct user *user, const struct privacy_list *list,
                    const struct session *except);
/* Frees requests that wait, unanswered: at the end of the instance. */
void privacy_drop_waiting(struct privacy *privacy);

#endif
