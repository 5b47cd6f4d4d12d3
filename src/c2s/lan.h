/* Lan: what clients on the local network are told by DNS-SD (lan.announce): each domain's ports.
 * Inside c2s/ only. */
#ifndef JACKDAW_C2S_LAN_H
#define JACKDAW_C2S_LAN_H

#include "c2s/c2s.h"

/* Makes what is announced what domains, ports and settings say now. */
void lan_update(struct c2s *s);
void lan_stop(struct c2s *s);

#endif
