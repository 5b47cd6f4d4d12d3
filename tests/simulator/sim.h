/* The simulator: the whole server on a simulated clock, network and disk, with clients that count
 * what becomes of every message, and faults; all of it chosen by one seed. README.md says what is
 * simulated and what must hold. */
#ifndef JACKDAW_TESTS_SIM_H
#define JACKDAW_TESTS_SIM_H

#include <stdbool.h>
#include <stdio.h>
#include "../scenario/scenario.h"
#include "sim_disk.h"
#include "xmpp/scram.h"

enum {
    SIM_CLIENTS = 10,
    SIM_SERVERS = 2,
    SIM_MESSAGES = 4000,
    SIM_IQS = 1000,
    SIM_FAULTS = 256,
    SIM_NOBODY = -1,
    SIM_RECOVERY_MS = 15000 /* after a start: sessions are found again, lanes released */
};

/* --- the account: what was sent, and what became of it --- */
struct sim_message {
    int from;             /* a client */
    int to;               /* a user */
    bool full;            /* for one client of theirs alone */
    uint32_t number;      /* of its pair */
    uint64_t sent, acked; /* loop_now; 0: not */
    uint64_t first, last; /* copies that arrived */
    uint64_t heard;       /* the last carbon for its sender's other clients */
    uint64_t returned;    /* the last error */
    struct {
        uint64_t first;  /* its first copy, and ... */
        uint32_t place;  /* ... the place of that among all first copies */
        uint16_t copies; /* of each client of `to`; carbons of what others of them got are copies */
        uint16_t sent;   /* carbons (XEP-0280) for the other clients of who wrote it */
        bool directly;   /* one of the copies was no carbon */
        bool read;       /* its account had been told of the archive before its first copy came */
        bool expected;   /* it was there when the message was sent, and had been for a while */
    } at[SIM_CLIENTS];
    uint16_t copies, errors;
    uint16_t kept[2];  /* in the archives: of `to`, of who wrote it */
    uint32_t row[2];   /* the first of them, in the order of that archive */
    bool forgotten[2]; /* when it came again it was too old to be known */
    struct {
        char first[40]; /* stanza-id (XEP-0359) of the first copy that bore one */
        bool other;     /* another copy, or the archive, has another */
    } ids[2];           /* given by the same two */
    bool late_unmarked; /* a later copy without <delay/> */
    bool misplaced;     /* in an archive, behind what was sent later */
    bool given_up;      /* its sender could not come back to its session */
    bool sent_again;    /* by its sender, after a resumption */
};
/* A contact was put into the roster: "cN", N being the place of this among all. */
struct sim_iq {
    int from; /* a client */
    uint64_t sent, acked;
    uint64_t last; /* answer */
    uint16_t results, errors;
    bool kept; /* it is in the roster at the end */
};
/* Something was broken from `begun` to `over`, for everybody or for one client. */
struct sim_fault {
    uint64_t begun, over;
    int client;                      /* SIM_NOBODY: not of one client */
    const struct sim_server *server; /* NULL: of all */
    bool abroad;                     /* what goes from server to server alone */
    bool wire;                       /* connections between them were lost */
    bool sm;                         /* the session manager died, and c2s did not */
    bool c2s;                        /* its clients were disconnected */
    bool disk;                       /* it was full, or could not sync */
    bool power;                      /* of the whole machine: what was in memory alone is gone */
    bool mute; /* the client went without reading what had been written to it */
};

struct sim;

/* --- what the components say --- */
struct sim_line {
    uint64_t at;
    enum log_level level;
    char component[16]; /* "sm-1" */
    char text[232];     /* from the component on */
};
/* Somebody is to say something. */
struct sim_due {
    uint64_t from, until;
    enum log_level level; /* at least as loud as that */
    char component[16];   /* "": whoever */
    char word[64];
    bool excused; /* it has died since */
};
struct sim_log {
    FILE *file;
    struct sim_line *lines;
    size_t count, room;
    struct sim_due *due;
    size_t due_count, due_room;
};

/* --- a server: its world, its disk, and what breaks in it --- */
struct sim_server {
    struct sim *sim;
    struct world *world;
    const char *domain;
    struct sim_log log;
    struct sim_disk *disk;
    struct random *disk_random;
    struct scram_memory scram;             /* every account's password is the same, salt and all */
    bool s2s_acks;                         /* what it sends to the other is acknowledged there */
    struct process *dead[WORLD_PROCESSES]; /* killed and not started again */
    size_t dead_count;
    struct sim_fault *fault; /* of the dead */
    uint64_t start_at;
    uint64_t resume_ms;           /* so long after its stream broke a session can be resumed */
    uint64_t outbox_ms;           /* so long what has not been confirmed is in memory alone */
    uint64_t power;               /* when it went for the last time */
    bool trap, trap_power;        /* the next writes are the last ones of whoever writes */
    struct sim_fault *disk_fault; /* NULL: the disk works */
    struct {
        struct sim_fault *fault; /* NULL: it answers */
        bool fails, filled;
        uint64_t delay, mend_at;
    } dns;
    uint64_t mend_at, next_fault;
    uint32_t fault_pause;
};
/* The seed chooses its settings, disk, and how often it breaks. */
void sim_server_init(struct sim *s, struct world *world, const char *domain);
void sim_server_finish(struct sim_server *v); /* after its world */
void sim_server_make_users(struct sim_server *v);
/* Each millisecond: true when something new has been broken. */
bool sim_server_breaks(struct sim_server *v);
void sim_server_mend(struct sim_server *v); /* nothing breaks any more */

/* --- sim_log.c --- */
FILE *sim_log_open(struct sim_server *v); /* for the log of its world; ends with sim_log_finish */
void sim_log_finish(struct sim_server *v);
/* From now on, and soon: a line of that component ("": of any) of this level or a louder one. */
void sim_log_expect(struct sim_server *v, const char *component, enum log_level level,
                    const char *word);
void sim_log_died(struct sim_server *v, const char *component); /* it cannot say anything more */
/* Whether anybody has said since then, or before and nothing since, that the database fails. */
bool sim_log_disk_failed(const struct sim_server *v, uint64_t from);
void sim_log_check(struct sim_server *v);

/* --- sim_dns.c --- */
void sim_dns_fill(struct sim_server *v); /* its resolver, if it has one, may have been started */
void sim_dns_break(struct sim_server *v);
void sim_dns_mend(struct sim_server *v, bool now); /* else when it is time */

/* --- sim_between.c: the connections between the two servers --- */
void sim_between_init(struct sim *s);
bool sim_between_breaks(struct sim *s);
void sim_between_mend(struct sim *s);

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
    int message, iq; /* -1: none of the account's */
    size_t len;
    char xml[];
};
/* A token (XEP-0484), and what its client knows of it. */
struct sim_token {
    char text[64];         /* "": none */
    int64_t expires;       /* seconds since 1970 */
    uint32_t count, taken; /* the last one said; the last one that it was let in with. 0: none */
    bool used;             /* the client has seen that it let it in */
};
enum sim_wrong {
    SIM_RIGHT,
    SIM_CORRUPTED,
    SIM_ANOTHERS,
    SIM_ELSEWHERE,
    SIM_REPLAYED,
    SIM_DEAD,
    SIM_WRONGS
};
struct sim_fast {
    bool speaks, counts;     /* it asks for tokens; it counts its logins (section 3.4) */
    struct sim_token own;    /* the newest that it has shown, or may have */
    struct sim_token fresh;  /* given, and not shown yet */
    struct sim_token before; /* what `own` was before the login that shows it for the first time */
    struct sim_token dead;   /* lets nobody in any more */
    /* of the login under way */
    bool shows, asks, invalidates;
    enum sim_wrong wrong;
    struct sim_token shown;
    int64_t sent;
    bool tried; /* something wrong, so that the next one has to wait */
};
struct sim_client {
    struct sim *sim;
    struct sim_server *home;
    int index, user; /* a user's first client has the user's number */
    char local[16];  /* of its account */
    char name[16];   /* of itself */
    char resource[64];
    bool acks;                                 /* it speaks XEP-0198 */
    bool sasl2;                                /* it logs in by XEP-0388, and XEP-0386 */
    bool inlined, inactive_from, has_resource; /* of such a login: what it asked for, and got */
    struct sim_fast fast;
    enum sim_client_state state;
    bool wanted; /* it is to be there */
    uint64_t next_try, next_write, since;
    uint64_t bound; /* since when it has this session */
    enum sim_asking { SIM_ASKS_NOTHING, SIM_ASKS_ROSTER, SIM_ASKS_ARCHIVE } asking;
    struct conn *conn;
    struct parser *parser;
    struct scram_client *scram;
    bool header_seen, paused;
    uint64_t read_again;                                     /* paused: when it reads again */
    bool inactive;                                           /* XEP-0352 */
    enum sim_lie { SIM_HONEST, SIM_SILENT, SIM_BEHIND } lie; /* what it says of h */
    char session[128];                                       /* its SM-ID; "": none */
    uint64_t lost; /* when it lost the stream of that; 0: it has not */
    uint32_t heard, said, told;
    struct list unacked; /* struct sim_sent */
    bool asked;
};
/* Of an account of its own, or of another client's. */
void sim_client_init(struct sim_client *c, struct sim *sim, int index, int user, bool acks);
void sim_client_finish(struct sim_client *c);
void sim_client_connect(struct sim_client *c);
/* The connection is gone without a word. */
void sim_client_vanish(struct sim_client *c);
/* Ends its stream as it should; its session ends with it. */
void sim_client_leave(struct sim_client *c);
/* To a client's user, or to that client alone. */
void sim_client_write(struct sim_client *c, int to, bool full);
/* Puts a contact into the roster. */
void sim_client_add(struct sim_client *c);
/* Reads its account's roster and archive: sim_kept.c gets them. */
void sim_client_read_all(struct sim_client *c);
void sim_client_ask(struct sim_client *c);            /* <r/> when something is not acknowledged */
void sim_client_pause(struct sim_client *c, bool on); /* it reads nothing */
/* It says that nobody looks at it, or that somebody does again (XEP-0352). */
void sim_client_look_away(struct sim_client *c);

/* For sim_login.c: */
void sim_client_send(struct sim_client *c, struct str bytes);
__attribute__((format(printf, 2, 3))) void sim_client_printf(struct sim_client *c, const char *fmt,
                                                             ...);
/* What it says that it has heard (XEP-0198 section 4). */
uint32_t sim_client_heard(struct sim_client *c);
/* What is not acknowledged is nothing to its next session. */
void sim_client_give_up(struct sim_client *c);
/* It has a session, in which carbons are on already or not. */
void sim_client_begin(struct sim_client *c, bool carbons);
/* It has its session again; `el` is the <resumed/>. */
void sim_client_resumed(struct sim_client *c, const struct stanza *s, stanza_el el);

/* --- sim_login.c --- */
void sim_login_start(struct sim_client *c); /* it is connected */
/* What comes before it is there; false: not what was due. */
bool sim_login_step(struct sim_client *c, const struct stanza *s);
void sim_login_done(const struct sim_client *c); /* it is there */

/* --- sim_token.c --- */
#define SIM_TOKEN_MECHANISM "HT-SHA-256-NONE"
/* Whether it shows a token at this login; that, or what is wrong with it, is chosen. */
bool sim_token_choose(struct sim_client *c);
void sim_token_message(const struct sim_client *c, struct buffer *out); /* of the mechanism */
void sim_token_request(const struct sim_client *c, struct buffer *out); /* the other elements */
/* It was let in; what the server proves itself by, and the token that it gives (data == NULL). */
void sim_token_accepted(struct sim_client *c, struct str data, struct str token, struct str expiry);
void sim_token_refused(struct sim_client *c, struct str condition);

/* --- the world --- */
struct sim {
    uint64_t seed;
    struct random *random;  /* what happens; the world has its own */
    struct random *choices; /* what kind of run it is, so that another kind changes no other run */
    bool modern;            /* some clients log in by SASL2 */
    bool calm;              /* nothing of the servers breaks */
    struct world world;
    struct sim_server servers[SIM_SERVERS];
    int server_count;
    struct {
        struct sim_fault *fault; /* NULL: it works */
        uint64_t mend_at, next_fault;
        uint32_t fault_pause;
    } between;
    FILE *trace; /* NULL: nobody reads it */
    struct sim_client clients[SIM_CLIENTS];
    int client_count;
    struct sim_message *messages;
    int message_count;
    struct sim_iq *iqs;
    int iq_count;
    uint64_t told_archive[SIM_CLIENTS]; /* when a client of that user was told where it stands */
    uint32_t numbers[SIM_CLIENTS][SIM_CLIENTS];
    uint32_t archived[2][SIM_CLIENTS][SIM_CLIENTS]; /* the last of each pair */
    uint32_t rows[SIM_CLIENTS];                     /* of each user's archive, read so far */
    uint32_t places;
    struct sim_fault faults[SIM_FAULTS];
    int fault_count;
    bool writing;              /* clients write */
    unsigned resumed, refused; /* resumptions */
    unsigned tokens;           /* logins by them */
    uint64_t kills;
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
/* The message's index; -1: no more room. */
int sim_account_sent(struct sim *s, int from, int to, bool full);
void sim_account_came(struct sim *s, int client, const struct stanza *message);
struct sim_fault *sim_account_fault(struct sim *s, int client);
/* A client cannot resume its session, whose stream broke at c->lost. */
void sim_account_refused(struct sim *s, const struct sim_client *c);
/* Whether something that concerns everybody at that server was broken since then, or what was
 * broken is not as it was yet. */
bool sim_account_broken(const struct sim *s, const struct sim_server *home, uint64_t since);
void sim_account_check(struct sim *s);
/* From one server to the other. */
bool sim_crosses(const struct sim *s, const struct sim_message *m);
/* Whether what a server lost concerns who is at that one; both may be the same. */
bool sim_account_concerns(const struct sim_fault *f, const struct sim_server *from,
                          const struct sim_server *to);
/* For sim_kept.c. NULL: none of the account's. */
struct sim_message *sim_account_find(struct sim *s, const struct stanza *stanza, stanza_el message);
/* The id that it has in the archive of `to` (side 0) or of who wrote it (1). */
void sim_account_id(struct sim *s, struct sim_message *m, int side, struct str id);
unsigned sim_account_faults(const struct sim *s, const struct sim_message *m, uint64_t end);
/* Whether its sender's acknowledgement says nothing of its recipient. */
bool sim_account_unknown(const struct sim *s, const struct sim_message *m);
/* XEP-0386 section 3.2: what waited and is in the archive is not sent to a client that is told
 * where that stands: it reads it there. When the archive has been read. */
bool sim_account_left(const struct sim *s, const struct sim_message *m);
/* The server of that account may not know any more which id the message had. */
bool sim_account_forgets_ids(const struct sim *s, const struct sim_message *m,
                             const struct sim_server *home);
void sim_account_print(struct sim *s, const struct sim_message *m, const char *what);

/* --- sim_kept.c --- */
int sim_kept_set(struct sim *s, int from); /* the roster's contact; -1: no more room */
void sim_kept_answered(struct sim *s, int client, const struct stanza *iq);
void sim_kept_roster(struct sim *s, int user, const struct stanza *result);
/* A result of a query of the archive (XEP-0313 section 4.2); false: this is none. */
bool sim_kept_archived(struct sim *s, int user, const struct stanza *message);
void sim_kept_check(struct sim *s);

#endif
