/* Deliver: RFC 6121 section 8.5 - what becomes of a stanza for a local address. */
#ifndef JACKDAW_SM_DELIVER_H
#define JACKDAW_SM_DELIVER_H

#include "sm/session.h"

/* A stanza from the router. Takes the packet; loads the user first where needed. */
void deliver(struct sm *sm, struct packet *p);
/* The same for a user that is ready. */
void deliver_user(struct user *user, struct packet *p);
/* A stanza for a served domain itself; `session` is the sender's when it came straight from our
 * client. Takes p. */
void deliver_domain(struct sm *sm, struct session *session, struct packet *p);
/* From another component of this server, for a user (loaded first) or for nobody in particular:
 * PATH_INTERNAL. Takes p. */
void deliver_internal(struct sm *sm, struct packet *p);
bool deliver_is_internal(const struct packet *p);
/* A message for a user, past the FROM_ROUTER point (again). Takes the packet. */
void deliver_message(struct user *user, struct packet *p);
/* A stanza for a client that has gone, which did not get it; the session has ended before. It is
 * tried again without it, so that it reaches another resource or the offline queue. `number`: of
 * its flight, which tells who was there when it was sent; 0: not known. Takes p. */
void deliver_returned(struct sm *sm, struct packet *p, uint64_t number);
/* Parses from and to where the link has not: false when either is missing. */
bool deliver_addresses(struct packet *p);
/* To each session that takes messages; how many there were. The packet stays the caller's. */
unsigned deliver_to_all(struct user *user, const struct packet *p);

/* --- the table, pure: for tests --- */
enum deliver_kind {
    DELIVER_NORMAL,
    DELIVER_CHAT,
    DELIVER_GROUPCHAT,
    DELIVER_HEADLINE,
    DELIVER_ERROR,
    DELIVER_KINDS
};
enum deliver_case {
    DELIVER_NO_ACCOUNT,
    DELIVER_BARE_NOBODY, /* bare JID, no resource that takes messages */
    DELIVER_BARE,        /* bare JID, at least one that does */
    DELIVER_FULL_MATCH,
    DELIVER_FULL_NOBODY, /* no such resource, and no other takes messages */
    DELIVER_FULL_OTHERS, /* no such resource, others take messages */
    DELIVER_CASES
};
enum deliver_action {
    DELIVER_IGNORE,
    DELIVER_REFUSE, /* service-unavailable */
    DELIVER_STORE,  /* offline */
    DELIVER_ONE,    /* the resource addressed */
    DELIVER_ALL     /* all resources whose priority is not negative */
};
enum deliver_action deliver_rule(enum deliver_case c, enum deliver_kind k);
enum deliver_kind deliver_kind_of(const struct stanza *message);

#endif
