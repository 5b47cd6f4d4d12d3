/* The simulator: the whole server on a simulated clock, network and disk, with clients that count
 * what becomes of every message, and faults; all of it chosen by one seed. README.md says what is
 * simulated and what must hold. */
#ifndef JACKDAW_TESTS_SIM_H
#define JACKDAW_TESTS_SIM_H

#include <stdbool.h>
#include <stdio.h>
#include "../scenario/scenario.h"
#include "sim_disk.h"

enum { SIM_CLIENTS = 10, SIM_MESSAGES = 4000, SIM_FAULTS = 256, SIM_NOBODY = -1 };

/* --- the account: what was sent, and what became of it --- */
struct sim_message {
    int from, to;         /* clients */
    uint32_t number;      /* of its pair */
    uint64_t sent, acked; /* loop_now; 0: not */
    uint64_t first, last; /* copies that arrived */
    uint64_t returned;    /* the last error */
    uint32_t place;       /* of its first copy among all first copies */
    uint16_t copies, errors;
    bool late_unmarked; /* a later copy without <delay/> */
    bool given_up;      /* its sender could not come back to its session */
    bool sent_again;    /* by its sender, after a resumption */
};
/* Something was broken from `begun` to `over`, for everybody or for one client. */
struct sim_fault {
    uint64_t begun, over;
    int client; /* SIM_NOBODY: not of one client */
    bool c2s;   /* its clients were disconnected */
    bool disk;  /* it was full, or could not sync */
    bool mute;  /* the client went without reading what had been written to it */
};

struct sim;

/* --- a client --- */
enum sim_client_state {
    SIM_OFF,
    SIM_CONNECTING,
    SIM_FEATURES,
    SIM_CHALLENGE,
    SIM_SUCCESS,
    SIM_FEATURES_AGAIN,
    SIM_RESUMING,
    SIM_BINDING,
    SIM_ENABLING,
    SIM_ON,
    SIM_LEAVING
};
struct sim_sent {
    struct list node;
    int message; /* -1: none of the account's */
    size_t len;
    char xml[];
};
struct sim_client {
    struct sim *sim;
    int index;
    char local[16];
    bool acks; /* it speaks XEP-0198 */
    enum sim_client_state state;
    bool wanted; /* it is to be there */
    uint64_t next_try, next_write, since;
    struct conn *conn;
    struct parser *parser;
    struct scram_client *scram;
    bool header_seen, paused;
    char session[128]; /* its SM-ID; "": none */
    uint32_t heard, told;
    struct list unacked; /* struct sim_sent */
    bool asked;
};
void sim_client_init(struct sim_client *c, struct sim *sim, int index, bool acks);
void sim_client_finish(struct sim_client *c);
void sim_client_connect(struct sim_client *c);
/* The connection is gone without a word. */
void sim_client_vanish(struct sim_client *c);
/* Ends its stream as it should; its session ends with it. */
void sim_client_leave(struct sim_client *c);
void sim_client_write(struct sim_client *c, int to);
void sim_client_ask(struct sim_client *c);            /* <r/> when something is not acknowledged */
void sim_client_pause(struct sim_client *c, bool on); /* it reads nothing */

/* --- the world --- */
struct sim {
    uint64_t seed;
    struct random *random; /* what happens; the world has its own */
    struct random *disk_random;
    struct world world;
    struct sim_disk *disk;
    FILE *trace; /* NULL: nobody reads it */
    FILE *log;
    struct sim_client clients[SIM_CLIENTS];
    int client_count;
    struct sim_message *messages;
    int message_count;
    uint32_t numbers[SIM_CLIENTS][SIM_CLIENTS];
    uint32_t places;
    struct sim_fault faults[SIM_FAULTS];
    int fault_count;
    bool writing;              /* clients write */
    unsigned resumed, refused; /* resumptions */
    int complaints;
};

static inline uint64_t sim_now(const struct sim *s)
{
    return loop_now(s->world.loop);
}
static inline uint32_t sim_dice(struct sim *s, uint32_t bound)
{
    return random_below(s->random, bound);
}
__attribute__((format(printf, 2, 3))) void sim_trace(struct sim *s, const char *fmt, ...);
/* Something is not as it must be. */
__attribute__((format(printf, 2, 3))) void sim_complain(struct sim *s, const char *fmt, ...);

/* --- sim_account.c --- */
int sim_account_sent(struct sim *s, int from, int to); /* the message's index; -1: no more room */
void sim_account_came(struct sim *s, int client, const struct stanza *message);
struct sim_fault *sim_account_fault(struct sim *s, int client);
void sim_account_check(struct sim *s);

#endif
