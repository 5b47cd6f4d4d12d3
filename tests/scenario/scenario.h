/* Scenarios: scripts run against the whole server on a simulated clock and network. README.md
 * describes the language; scenario_main.c runs a script, the rest is what its lines are made of. */
#ifndef JACKDAW_TESTS_SCENARIO_H
#define JACKDAW_TESTS_SCENARIO_H

#include <stdbool.h>
#include <stdio.h>
#include "base/buffer.h"
#include "base/list.h"
#include "component/component.h"
#include "xml/parser.h"

/* ---- script: lines, continuation lines joined ---- */
struct script_line {
    int number;
    char *text;
    const char *comment; /* the nearest comment above; NULL when none */
};
struct script {
    char *storage;
    struct script_line *lines;
    size_t count;
    char **comments;
    size_t comment_count;
};
bool script_load(struct script *s, const char *path); /* false after a message */
void script_finish(struct script *s);
/* Takes the next word off the front; empty at the end. */
struct str script_word(struct str *rest);
bool script_duration(struct str text, uint64_t *ret_ms); /* 500ms, 30s, 2m, 1h, 3d */

/* ---- vars: what {name} stands for ---- */
enum { VARS_MAX = 256 };
struct vars {
    struct {
        char *name, *value;
    } entries[VARS_MAX];
    size_t count;
};
struct str vars_get(const struct vars *v, struct str name); /* data == NULL when it has no value */
void vars_set(struct vars *v, struct str name, struct str value);
void vars_truncate(struct vars *v, size_t count); /* forgets the newest */
/* Replaces every {name} that has a value. */
void vars_expand(const struct vars *v, struct str text, bool escape, struct buffer *out);

/* ---- match ---- */
struct match_mode {
    bool contains; /* ~ */
    bool exact;    /* = */
};
/* Compares; takes values into `vars`. On failure `why` says the first difference and vars are as
 * before. */
bool match_stanza(const struct stanza *expected, const struct stanza *actual,
                  struct match_mode mode, struct vars *vars, char *why, size_t why_size);
void match_print(FILE *to, const struct stanza *s);

/* ---- world: the server ---- */
enum placement { PLACEMENT_INLINE, PLACEMENT_PROCESSES, PLACEMENT_THREADS, PLACEMENTS };
extern const char *const placement_names[PLACEMENTS];
/* Seats: the loops of placement `threads`. Here all are the one simulated loop, but components of
 * different seats meet through thread links alone. */
enum { WORLD_PROCESSES = 12, WORLD_SETS = 128, WORLD_SEATS = 2 };

struct process {
    char name[16]; /* "router", "sm-1" ... */
    const struct component_ops *ops;
    unsigned seat;
    struct env env;
    struct config *config;
    struct component *component; /* NULL: not running */
    struct ring *notes;          /* stays when it is killed; NULL: it wants none */
    struct board *board;         /* stays when it is killed; NULL: it wants none */
    const char *ordered;         /* an administrator's order: "restart", "shutdown"; NULL: none */
};
struct world {
    enum placement placement;
    struct loop *loop;
    struct net *net;
    struct random *random;
    struct parser_pool *parsers;
    struct log_sink *log_sink;
    struct ledger *ledger; /* of all its processes */
    struct shared *shared; /* of placement `threads` */
    struct store *keep[2]; /* keep the in-memory databases alive while components come and go */
    struct process processes[WORLD_PROCESSES];
    size_t process_count;
    char *sets[WORLD_SETS];
    size_t set_count;
    char *domains; /* comma-separated; NULL: example.net */
    int sms;
    bool started;
    /* Another server, in the same net; NULL: there is none. In scenarios always one process. */
    struct world *abroad;
    bool federates;                       /* it has an s2s */
    const struct component_ops *resolver; /* it finds the other by; NULL: each knows where */
    const char *ip;                       /* of all that this server opens */
    uint64_t seed;                        /* 0 in scenarios */
    const char *disk;                     /* the VFS that its databases are in; NULL: in memory */
};
void world_init(struct world *w, enum placement placement, FILE *log, bool verbose);
/* The simulator's (tests/simulator). */
struct world_options {
    FILE *log;
    bool verbose;
    uint64_t seed;
    const char *disk;
};
void world_init_seeded(struct world *w, enum placement placement,
                       const struct world_options *options);
void world_set(struct world *w, const char *setting);
void world_add_domain(struct world *w, struct str domain);
bool world_start(struct world *w); /* false after a message */
void world_run(struct world *w, uint64_t ms);
bool world_kill(struct world *w, struct str names); /* at the same moment */
bool world_start_one(struct world *w, struct str name);
/* The whole server, by kill -9 or with the machine. */
bool world_kill_all(struct world *w, bool power);
bool world_start_all(struct world *w);
/* The same while the clock stands still. */
bool world_kill_now(struct world *w, struct str name);
bool world_start_now(struct world *w, struct str name);
bool world_stop(struct world *w, struct str name);
/* The machine has lost its power: what the system had in memory is gone. All have been killed. */
void world_power_lost(struct world *w);
/* Another server comes to be, which serves that domain; both speak with each other. */
void world_add_abroad(struct world *w, struct str domain);
/* `options` gives the disk and the log (NULL: that of `w`). */
void world_add_abroad_seeded(struct world *w, struct str domain, enum placement placement,
                             const struct world_options *options);
/* Which of the two a user belongs to. */
struct world *world_of(struct world *w, struct str domain);
bool world_kill_abroad(struct world *w);
bool world_start_abroad(struct world *w);
/* An account that has keys for SCRAM-SHA-256 alone; false when it cannot be written. */
bool world_import(struct world *w, struct str local, struct str domain, struct str password);
void world_cut_abroad(struct world *w);              /* the connections between the two */
void world_silence_abroad(struct world *w, bool on); /* nothing gets through, nobody is told */
/* What an administrator has ordered of all but the router; "nothing", or "not of all". */
const char *world_ordered(const struct world *w);
/* Every message that a session manager took on is somewhere; `why` says whose are not. */
bool world_balances(const struct world *w, char *why, size_t size);
/* All processes or none; false when it did not go as expected. */
bool world_reload(struct world *w, const char *setting, bool refused);
void world_finish(struct world *w);

/* ---- client ---- */
enum item_kind { ITEM_HEADER, ITEM_STANZA, ITEM_END, ITEM_BAD };
struct item {
    struct list node;
    enum item_kind kind;
    struct stanza *stanza; /* ITEM_HEADER, ITEM_STANZA */
    const char *why;       /* ITEM_BAD: what the parser said */
};
struct client {
    char name[64];
    struct world *world;
    struct conn *conn; /* NULL: closed */
    struct parser *parser;
    struct list inbox;
    bool header_seen, verbose;
    char *lang;      /* of its stream headers; NULL: none */
    char why[128];   /* why the connection closed */
    char error[512]; /* what a failed function says */
};
struct client *actor_create(struct world *w, struct str name, bool verbose);
void actor_destroy(struct client *c);
bool actor_open(struct client *c); /* each: false with c->error set */
bool actor_header(struct client *c, struct str domain);
/* XEP-0388 with SCRAM-SHA-256, up to the proof; `more` goes into the <authenticate/>. */
bool actor_auth2(struct client *c, struct str local, struct str password, const char *more);
bool actor_auth(struct client *c, struct str local, struct str domain, struct str password);
/* data == NULL: server-made. The bound JID is added to `full`. */
bool actor_bind(struct client *c, struct str resource, struct buffer *full);
bool actor_register(struct client *c, struct str local, struct str domain, struct str password);
bool actor_close(struct client *c);
bool actor_send(struct client *c, struct str bytes); /* then runs the world a little */
/* The next item, waiting up to `ms`; NULL when nothing comes. Stays in the inbox. */
struct item *actor_next(struct client *c, uint64_t ms);
void actor_take(struct client *c, struct item *item); /* removes and frees it */
void actor_forget(struct client *c);

/* Text of a script -> stanza, in a stream of jabber:client; "<stream:stream ..." gives the header.
 * NULL with `why`. */
struct stanza *actor_parse(struct parser_pool *pool, struct str xml, bool *ret_header, char *why,
                           size_t why_size);
/* Adds the stream's namespace declarations to a "<stream:stream ..." without them. */
void actor_complete_header(struct str xml, struct buffer *out);

#endif
