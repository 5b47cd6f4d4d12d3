/* Client acks: this end of stream management (XEP-0198). The c2s counts; what is kept for a client
 * and what is known of a stream that broke is the session manager's. Inside c2s/ only.
 */
#ifndef JACKDAW_C2S_CLIENT_ACKS_H
#define JACKDAW_C2S_CLIENT_ACKS_H

#include "c2s/client.h"

/* An SM-ID: a letter and a mark that tell which client of the account has the stream, so that its
 * streams can be told from others when its login is revoked, and random characters. */
#define CLIENT_ACKS_MARK   13 /* "d" and a mark (client_bind2_keyed); "n": it did not say */
#define CLIENT_ACKS_RANDOM 26 /* 134 bits */
#define CLIENT_ACKS_ID     (CLIENT_ACKS_MARK + CLIENT_ACKS_RANDOM)

enum client_acks_state {
    CLIENT_ACKS_ASKED,    /* <enable/> has come, the sm has not answered */
    CLIENT_ACKS_RESUMING, /* <resume/> has come */
    CLIENT_ACKS_ON
};

/* One of ours to the client: it waits there for the receipt. */
struct client_sent {
    uint64_t number; /* 0: nobody waits */
    struct jid *origin;
};

struct client_acks {
    struct client *client;
    struct list node; /* in c2s->acking */
    enum client_acks_state state;
    struct unhandled in;             /* of the client's */
    struct unhandled_stanza *stanza; /* the one that is being worked on */
    uint32_t told;                   /* h, as the client knows it */
    bool owed;                       /* it asked, and more had come than was handled */
    bool ask;                        /* <r/> is due at the end of this turn */
    bool asked;                      /* <r/> is out */
    uint32_t acked;                  /* its h: how many of ours it has */
    struct client_sent *sent;        /* a ring: what it has not acknowledged */
    uint32_t first, waiting, room;
    uint32_t max;      /* seconds it can be resumed; 0: not */
    uint32_t resume_h; /* of <resume/> */
    char id[104];      /* the SM-ID; of <resume/>: what the client says */
};

static inline bool client_acks_on(const struct client *c)
{
    return c->acks && c->acks->state == CLIENT_ACKS_ON;
}

/* <enable/> is granted as soon as the session manager counts: <enabled/> is written then. */
void client_acks_prepare(struct client *c, const struct stanza *s, stanza_el enable);
/* <resume/>: the old session is asked for, or a stanza condition says why not. */
struct str client_acks_resume(struct client *c, const struct stanza *s, stanza_el resume);
/* <enabled/>: from here on stanzas are counted. */
void client_acks_write_enabled(struct client *c, struct buffer *out);
/* h: of a stream that is known and whose time is over; NULL: none. */
void client_acks_write_failed(struct buffer *out, struct str condition, const uint32_t *h);
/* What the SM-IDs of the streams begin with that this client of the account has; device NULL: any
 * that said which one it is. */
struct str client_acks_mark(const struct c2s *s, struct str bare, const unsigned char *device,
                            char out[CLIENT_ACKS_MARK]);

/* An element of urn:xmpp:sm:3; moves. */
void client_acks_element(struct client *c, struct stanza *s);
/* Around the work on one stanza of the client's. */
void client_acks_open(struct client *c);
void client_acks_close(struct client *c);
/* The packet carries what becomes of that stanza. */
void client_acks_sending(struct client *c, struct packet *p);
/* The packet's stanza has been written to the client. */
void client_acks_wrote(struct client *c, const struct packet *p);
/* A receipt, for receipts_create. */
void client_acks_handled(void *c2s, uint64_t number);
void client_acks_run(struct loop_task *task); /* c2s->acks_task */
/* The session is attached to an sm (again): what that has not handled goes there. */
void client_acks_repeat(struct client *c);
/* Sends <r/>, as a sign of life. */
void client_acks_ping(struct client *c);
/* The parameters of a session that the sm must know (docs/decisions/0050-receipts.md): at most
 * CLIENT_ACKS_TEXT bytes into `out`. */
#define CLIENT_ACKS_TEXT 256
struct str client_acks_text(const struct client *c, char *out);
void client_acks_enabled(struct client *c);                         /* the sm counts */
void client_acks_resumed(struct client *c, const struct packet *p); /* attached */
/* There is no such session: CONDITION [H], or "too-high COUNT" when the client's h is. */
void client_acks_not_resumed(struct client *c, struct str reason);
void client_acks_end(struct client *c); /* the stream ends; its session does or does not */

#endif
