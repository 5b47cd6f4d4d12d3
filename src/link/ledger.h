/* Ledger: where every message has been. A message gets an id where it comes in, and keeps it on
 * packets, on the way between processes, in the outbox and in the offline queue; whoever does
 * something with it or decides its fate notes that in the ledger of his process: a ring on the
 * disk, which `jackdaw trace` reads (docs/decisions/0081-ledger.md). No bodies but for a while, of
 * an account whose administrator asked.
 */
#ifndef JACKDAW_LINK_LEDGER_H
#define JACKDAW_LINK_LEDGER_H

#include "link/packet.h"
#include "loop/loop.h"

enum ledger_event {
#define X(id, word, text) LEDGER_##id,
#include "link/ledger.def"
#undef X
    LEDGER_EVENTS
};
const char *ledger_word(enum ledger_event e);
const char *ledger_text(enum ledger_event e);

/* --- a process's ledger; from any thread --- */
struct ledger;
struct ring;

/* Owns the ring; NULL: messages get their ids and nothing is noted. `first` is random: ids go on
 * from there, so that two processes or two lives of one have no id in common. */
struct ledger *ledger_create(struct ring *ring, uint64_t first);
void ledger_destroy(struct ledger *l); /* NULL is fine */
/* While no other thread writes; NULL is fine. Whether bodies are noted, of everybody; or of the
 * bare JID until that time. */
void ledger_set_bodies(struct ledger *l, bool all);
void ledger_watch_bodies(struct ledger *l, const char *jid, int64_t until_us);

/* --- who writes --- */
struct ledger_pen {
    struct ledger *ledger; /* NULL: nothing is noted, and messages get no ids */
    const struct loop *loop;
    struct str name; /* of the component */
};

/* Gives a message that has none its id, and notes that it came in; nothing for other stanzas. */
void ledger_enter(const struct ledger_pen *pen, struct packet *p);
/* Any of the texts may be STR_NULL. What is too long is cut. */
void ledger_write(const struct ledger_pen *pen, enum ledger_event e, uint64_t id, struct str from,
                  struct str to, struct str detail);
/* An event about a message, with one address or reason. Nothing for what has no id. */
static inline void ledger_note(const struct ledger_pen *pen, enum ledger_event e, uint64_t id,
                               struct str to, struct str detail)
{
    if (id)
        ledger_write(pen, e, id, STR_NULL, to, detail);
}

/* --- ids as people write them: 13 characters of 0-9 a-z without i l o u --- */
#define LEDGER_ID 13
const char *ledger_id_text(uint64_t id, char out[LEDGER_ID + 1]); /* returns `out` */
bool ledger_id_parse(struct str text, uint64_t *ret);

/* --- records --- */
struct ledger_record {
    uint64_t id;
    int64_t time; /* wall clock, us */
    enum ledger_event event;
    bool cut; /* one of the texts is not whole */
    struct str component, from, to, detail;
};
/* `bytes` as ring_get gave them; the record's texts are views of them. False when it is none. */
bool ledger_record_read(struct str bytes, struct ledger_record *ret);

#endif
