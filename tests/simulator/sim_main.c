/* Runs seeds: sim [--seeds N] [--from SEED] [--seed SEED] [--story] [--twice]. A seed that fails is
 * run again and tells its story. With --twice each is run twice, and both stories must be the same.
 */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim_plan.h"

void sim_trace(struct sim *s, const char *fmt, ...)
{
    if (!s->trace)
        return;
    va_list args;
    va_start(args, fmt);
    fprintf(s->trace, "%7" PRIu64 "  ", sim_now(s));
    vfprintf(s->trace, fmt, args);
    fputc('\n', s->trace);
    va_end(args);
}

void sim_complain(struct sim *s, const char *fmt, ...)
{
    va_list args;
    FILE *to = s->trace ? s->trace : stdout;
    s->complaints++;
    va_start(args, fmt);
    fprintf(to, "%7" PRIu64 "  WRONG: ", sim_now(s));
    vfprintf(to, fmt, args);
    fprintf(to, " (seed %" PRIu64 ")\n", s->seed);
    va_end(args);
}

struct options {
    uint64_t first, count;
    bool story, twice;
};

static uint64_t number(const char *text)
{
    uint64_t n = 0;
    if (!text || !str_to_u64(str_of(text), UINT32_MAX, &n)) {
        fprintf(stderr, "a number is wanted, not '%s'\n", text ? text : "");
        exit(2);
    }
    return n;
}

static void read_options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--story") == 0) {
            o->story = true;
            continue;
        }
        if (strcmp(argv[i], "--twice") == 0) {
            o->twice = true;
            continue;
        }
        if (strcmp(argv[i], "--seeds") == 0) {
            o->count = number(value);
        } else if (strcmp(argv[i], "--from") == 0) {
            o->first = number(value);
        } else if (strcmp(argv[i], "--seed") == 0) {
            o->first = number(value);
            o->count = 1;
        } else {
            fprintf(stderr, "usage: sim [--seeds N] [--from SEED] [--seed SEED] [--story] "
                            "[--twice]\n");
            exit(2);
        }
        i++;
    }
}

static bool run_told(uint64_t seed, char **ret_story, size_t *ret_len)
{
    struct sim_sums sums = {0};
    FILE *f = open_memstream(ret_story, ret_len);
    bool ok = f && sim_plan_run(seed, f, &sums);
    if (f)
        fclose(f);
    return ok;
}

/* What a seed does it does again, to the last byte. */
static bool run_twice(uint64_t seed)
{
    char *stories[2] = {NULL};
    size_t len[2] = {0};
    bool ok = true;
    for (int i = 0; i < 2; i++)
        ok = run_told(seed, &stories[i], &len[i]) && ok;
    if (len[0] != len[1] || memcmp(stories[0], stories[1], len[0]) != 0) {
        printf("seed %" PRIu64 " does not do the same twice\n", seed);
        ok = false;
    }
    free(stories[0]);
    free(stories[1]);
    return ok;
}

int main(int argc, char **argv)
{
    struct options o = {.first = 1, .count = 100};
    struct sim_sums sums = {0};
    unsigned failed = 0;
    read_options(&o, argc, argv);
    for (uint64_t seed = o.first; seed < o.first + o.count; seed++) {
        if (o.twice ? run_twice(seed) : sim_plan_run(seed, o.story ? stdout : NULL, &sums))
            continue;
        failed++;
        printf("seed %" PRIu64 " fails\n", seed);
        if (!o.story && failed == 1) {
            struct sim_sums again = {0};
            sim_plan_run(seed, stdout, &again);
        }
    }
    printf("%" PRIu64 " seeds, %u failed: %" PRIu64 " messages, %" PRIu64 " acknowledged, %" PRIu64
           " copies, %" PRIu64 " errors, %" PRIu64 " faults, %" PRIu64 " kills, %" PRIu64
           " sessions resumed, %" PRIu64 " not, %" PRIu64 " logins by token\n",
           o.count, failed, sums.messages, sums.acknowledged, sums.copies, sums.errors, sums.faults,
           sums.kills, sums.resumed, sums.refused, sums.tokens);
    return failed ? 1 : 0;
}
