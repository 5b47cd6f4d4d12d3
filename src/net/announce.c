/* Announcements over libavahi-client: see announce.h. Owner and thread share the struct under its
 * lock; whoever leaves last frees it, so that the owner never waits for D-Bus. */
#include "net/announce.h"

#include <avahi-client/client.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/simple-watch.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ANNOUNCE_RETRY_MS 5000

struct service {
    struct announce *announce;
    struct announcement what;
    AvahiEntryGroup *group;
};

struct announce {
    pthread_mutex_t lock;
    struct log log;
    unsigned refs;
    bool stop, changed;
    struct announcement wanted[ANNOUNCE_MAX];
    size_t wanted_count;
    AvahiSimplePoll *poll; /* the thread's, but for its wakeup */
    /* The thread's own: */
    AvahiClient *client;
    struct service services[ANNOUNCE_MAX];
    size_t count;
    bool broken, complained;
};

/* Nothing is said when the owner has gone: its log may have gone with it. */
#define say(a, level, ...)                                                                         \
    do {                                                                                           \
        pthread_mutex_lock(&(a)->lock);                                                            \
        if (!(a)->stop)                                                                            \
            log_write(&(a)->log, level, __VA_ARGS__);                                              \
        pthread_mutex_unlock(&(a)->lock);                                                          \
    } while (0)

/* --- services --- */

static void publish(struct service *s);

static void rename_service(struct service *s)
{
    char *other = avahi_alternative_service_name(s->what.name);

    say(s->announce, LOG_WARNING,
        "\"%s\" is announced by another machine; this one is announced as \"%s\"", s->what.name,
        other);
    (void)snprintf(s->what.name, sizeof(s->what.name), "%s", other);
    avahi_free(other);
    publish(s);
}

static void on_group(AvahiEntryGroup *group, AvahiEntryGroupState state, void *arg)
{
    struct service *s = arg;

    s->group = group; /* may be called before avahi_entry_group_new returns */
    if (state == AVAHI_ENTRY_GROUP_ESTABLISHED)
        say(s->announce, LOG_INFO, "announced on the local network: \"%s\" (%s, port %u)",
            s->what.name, s->what.type, s->what.port);
    else if (state == AVAHI_ENTRY_GROUP_COLLISION)
        rename_service(s);
    else if (state == AVAHI_ENTRY_GROUP_FAILURE)
        s->announce->broken = true;
}

static void publish(struct service *s)
{
    struct announce *a = s->announce;
    int e = AVAHI_OK;

    if (!s->group)
        s->group = avahi_entry_group_new(a->client, on_group, s);
    if (!s->group) {
        a->broken = true;
        return;
    }
    (void)avahi_entry_group_reset(s->group);
    e = avahi_entry_group_add_service(s->group, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, 0,
                                      s->what.name, s->what.type, NULL, NULL, s->what.port, NULL);
    if (e == AVAHI_OK)
        e = avahi_entry_group_commit(s->group);
    if (e == AVAHI_ERR_COLLISION)
        rename_service(s);
    else if (e != AVAHI_OK)
        say(a, LOG_WARNING, "cannot announce \"%s\" on the local network: %s", s->what.name,
            avahi_strerror(e));
}

static void withdraw(struct announce *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->services[i].group)
            avahi_entry_group_free(a->services[i].group);
    a->count = 0;
}

static void publish_all(struct announce *a)
{
    withdraw(a);
    pthread_mutex_lock(&a->lock);
    a->changed = false;
    a->count = a->wanted_count;
    for (size_t i = 0; i < a->count; i++)
        a->services[i] = (struct service){.announce = a, .what = a->wanted[i]};
    pthread_mutex_unlock(&a->lock);
    for (size_t i = 0; i < a->count && !a->broken; i++)
        publish(&a->services[i]);
}

/* --- Avahi itself --- */

static void on_client(AvahiClient *client, AvahiClientState state, void *arg)
{
    struct announce *a = arg;

    a->client = client; /* may be called before avahi_client_new returns */
    switch (state) {
    case AVAHI_CLIENT_S_RUNNING:
        a->complained = false;
        publish_all(a);
        break;
    case AVAHI_CLIENT_FAILURE:
        a->broken = true;
        break;
    case AVAHI_CLIENT_S_COLLISION: /* of the host's name: it will get another */
    case AVAHI_CLIENT_S_REGISTERING:
        withdraw(a);
        break;
    case AVAHI_CLIENT_CONNECTING:
        if (!a->complained)
            say(a, LOG_WARNING,
                "lan.announce: avahi-daemon does not run; the server is announced once it does");
        a->complained = true;
        break;
    }
}

static bool stopped(struct announce *a)
{
    pthread_mutex_lock(&a->lock);
    bool stop = a->stop;
    pthread_mutex_unlock(&a->lock);
    return stop;
}

static bool take_change(struct announce *a)
{
    pthread_mutex_lock(&a->lock);
    bool changed = a->changed;
    pthread_mutex_unlock(&a->lock);
    return changed && avahi_client_get_state(a->client) == AVAHI_CLIENT_S_RUNNING;
}

/* Until the connection to D-Bus breaks, or the owner has had enough. */
static void session(struct announce *a)
{
    int e = 0;

    a->broken = false;
    a->client =
        avahi_client_new(avahi_simple_poll_get(a->poll), AVAHI_CLIENT_NO_FAIL, on_client, a, &e);
    if (!a->client && !a->complained)
        say(a, LOG_WARNING, "lan.announce: cannot reach avahi-daemon: %s; trying again",
            avahi_strerror(e));
    a->complained = a->complained || !a->client;
    while (a->client && !a->broken && !stopped(a)) {
        if (take_change(a))
            publish_all(a);
        if (avahi_simple_poll_iterate(a->poll, -1) != 0)
            break;
    }
    a->count = 0; /* groups go with the client */
    if (a->client)
        avahi_client_free(a->client);
    a->client = NULL;
}

static void unref(struct announce *a)
{
    pthread_mutex_lock(&a->lock);
    unsigned left = --a->refs;
    pthread_mutex_unlock(&a->lock);
    if (left > 0)
        return;
    pthread_mutex_destroy(&a->lock);
    if (a->poll)
        avahi_simple_poll_free(a->poll);
    free(a);
}

static void *run(void *arg)
{
    struct announce *a = arg;

    while (!stopped(a)) {
        session(a);
        if (!stopped(a))
            (void)avahi_simple_poll_iterate(a->poll, ANNOUNCE_RETRY_MS);
    }
    unref(a);
    return NULL;
}

/* --- the owner --- */

struct announce *announce_create(struct log log)
{
    struct announce *a = MEM_NEW(struct announce);
    sigset_t all, old;
    pthread_t thread;
    int e;

    pthread_mutex_init(&a->lock, NULL);
    a->log = log;
    a->refs = 2;
    a->poll = avahi_simple_poll_new();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the loop's */
    e = a->poll ? pthread_create(&thread, NULL, run, a) : ENOMEM;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e == 0) {
        pthread_detach(thread);
        return a;
    }
    log_error(&log, "lan.announce: cannot begin a thread: %s", strerror(e));
    unref(a);
    unref(a);
    return NULL;
}

void announce_set(struct announce *a, const struct announcement *list, size_t count)
{
    pthread_mutex_lock(&a->lock);
    a->wanted_count = count < ANNOUNCE_MAX ? count : ANNOUNCE_MAX;
    memcpy(a->wanted, list, a->wanted_count * sizeof(*list));
    a->changed = true;
    avahi_simple_poll_wakeup(a->poll);
    pthread_mutex_unlock(&a->lock);
}

void announce_destroy(struct announce *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    avahi_simple_poll_wakeup(a->poll);
    pthread_mutex_unlock(&a->lock);
    unref(a);
}
