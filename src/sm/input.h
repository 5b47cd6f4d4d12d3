/* Input: what comes in to an sm, sorted by what it is. The way of a message: on_client_stanza ->
 * send_packet (here the sender's sm ends) -> deliver -> deliver_message -> send_session_packet.
 */
#ifndef JACKDAW_SM_INPUT_H
#define JACKDAW_SM_INPUT_H

#include "sm/sm.h"

/* Every packet of the router's (component_ops.packet). Takes it. */
void input_packet(struct component *c, struct packet *p);
/* A session action that names a user: start, resume, create, delete. Takes the packet and answers
 * it, at once or when the user is loaded. */
void input_user_action(struct sm *sm, struct packet *p);

#endif
