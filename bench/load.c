/* load COMMAND [options]: drives a server and prints what that cost it, as one JSON object on
 * stdout.
 *
 *   register   makes the accounts PREFIX0 .. PREFIX(count-1) in-band
 *   login      count logins, at most 16 at once: microseconds of server CPU each
 *   message    count pairs, `window` chat messages in flight on each: microseconds a delivered
 *              message; with --far-port one of each pair is on another server, --far-domain; with
 *              --privacy N everybody has an active privacy list of N items, none of which matches;
 *              with --crowd N so many sessions of other users (of all --users) do nothing beside;
 *              with --drain what the server still does when nobody writes any more counts, too
 *   carbons    the same, and one of each pair has three more devices that get copies (XEP-0280)
 *              (fanout and roster: with --filled the contacts are in the rosters already)
 *   ping       count clients ping the server, one in flight each
 *   fanout     one user with count contacts sends `rounds` presences: microseconds a delivered one
 *   roster     one user with count contacts in the roster logs in `rounds` times and gets it:
 *              microseconds each time
 *   offline    `each` messages to each of count offline users, then they come back: microseconds a
 *              message, both ways
 *   mam        one user reads at most `count` pages of 50 from an archive (XEP-0313), from the
 *              newest on, for at most `seconds`: microseconds each
 *   storm      count sessions of so many --users lose their streams and resume them (XEP-0198):
 *              microseconds each, and how long it took
 *   idle       count sessions that do nothing: bytes each
 *
 * Options: --host --port --domain --password --prefix --mechanism --tls --raw --count --window
 * --each --rounds --privacy --crowd --users --at-once (logins) --keys FILE --seconds --pids 1,2,3
 * (the server's processes).
 */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const struct {
    const char *name;
    void (*run)(struct load *l);
} commands[] = {
    {"register", command_register}, {"login", command_login},   {"message", command_message},
    {"carbons", command_carbons},   {"ping", command_ping},     {"fanout", command_fanout},
    {"offline", command_offline},   {"roster", command_roster}, {"idle", command_idle},
    {"mam", command_mam},           {"storm", command_storm},
};

static void parse_pids(struct options *o, char *list)
{
    for (char *pid = strtok(list, ","); pid && o->pid_count < LOAD_PIDS; pid = strtok(NULL, ","))
        o->pids[o->pid_count++] = (pid_t)atoi(pid);
}

static void set_option(struct options *o, const char *name, char *value)
{
    if (strcmp(name, "host") == 0)
        o->host = value;
    else if (strcmp(name, "port") == 0)
        o->port = (uint16_t)atoi(value);
    else if (strcmp(name, "domain") == 0)
        o->domain = value;
    else if (strcmp(name, "far-port") == 0)
        o->far_port = (uint16_t)atoi(value);
    else if (strcmp(name, "far-domain") == 0)
        o->far_domain = value;
    else if (strcmp(name, "password") == 0)
        o->password = value;
    else if (strcmp(name, "keys") == 0)
        o->keys = value;
    else if (strcmp(name, "prefix") == 0)
        o->prefix = value;
    else if (strcmp(name, "mechanism") == 0)
        o->mechanism = value;
    else if (strcmp(name, "count") == 0)
        o->count = atoi(value);
    else if (strcmp(name, "window") == 0)
        o->window = atoi(value);
    else if (strcmp(name, "each") == 0)
        o->each = atoi(value);
    else if (strcmp(name, "privacy") == 0)
        o->privacy = atoi(value);
    else if (strcmp(name, "crowd") == 0)
        o->crowd = atoi(value);
    else if (strcmp(name, "users") == 0)
        o->users = atoi(value);
    else if (strcmp(name, "at-once") == 0)
        o->at_once = atoi(value);
    else if (strcmp(name, "rounds") == 0)
        o->rounds = atoi(value);
    else if (strcmp(name, "seconds") == 0)
        o->seconds = atof(value);
    else if (strcmp(name, "pids") == 0)
        parse_pids(o, value);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"host", 1, NULL, 0},     {"port", 1, NULL, 0},       {"domain", 1, NULL, 0},
        {"far-port", 1, NULL, 0}, {"far-domain", 1, NULL, 0}, {"password", 1, NULL, 0},
        {"prefix", 1, NULL, 0},   {"count", 1, NULL, 0},      {"mechanism", 1, NULL, 0},
        {"window", 1, NULL, 0},   {"each", 1, NULL, 0},       {"rounds", 1, NULL, 0},
        {"seconds", 1, NULL, 0},  {"pids", 1, NULL, 0},       {"privacy", 1, NULL, 0},
        {"crowd", 1, NULL, 0},    {"users", 1, NULL, 0},      {"at-once", 1, NULL, 0},
        {"keys", 1, NULL, 0},     {"drain", 0, NULL, 'd'},    {"filled", 0, NULL, 'f'},
        {"tls", 0, NULL, 't'},    {"raw", 0, NULL, 'r'},      {NULL, 0, NULL, 0}};
    int index, c;

    *o = (struct options){.host = "127.0.0.1",
                          .domain = "bench.test",
                          .password = "secret",
                          .prefix = "u",
                          .mechanism = "SCRAM-SHA-1",
                          .port = 5222,
                          .count = 50,
                          .window = 1,
                          .each = 100,
                          .rounds = 200,
                          .users = 1000,
                          .at_once = 16,
                          .seconds = 3};
    while ((c = getopt_long(argc, argv, "", names, &index)) != -1) {
        if (c == 't')
            o->tls = true;
        else if (c == 'd')
            o->drain = true;
        else if (c == 'f')
            o->filled = true;
        else if (c == 'r')
            o->raw = true;
        else if (c == 0)
            set_option(o, names[index].name, optarg);
        else
            exit(2);
    }
}

int main(int argc, char **argv)
{
    struct load l = {0};

    if (argc < 2)
        die("usage: load COMMAND [--option value ...]; what there is stands in bench/load.c");
    signal(SIGPIPE, SIG_IGN);
    parse_options(&l.options, argc - 1, argv + 1);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(l.tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            commands[i].run(&l);
            keys_save(&l);
            fflush(stdout);
            _exit(0); /* thousands of sockets close faster by themselves */
        }
    }
    die("no such command");
}
