/* What the server has used: processor time in nanoseconds from the scheduler, memory as
 * proportional set size. */
#include "load.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t thread_ns(pid_t pid, const char *thread)
{
    char path[320];
    unsigned long long ns = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, thread);
    f = fopen(path, "r");
    if (!f)
        return 0;
    if (fscanf(f, "%llu", &ns) != 1)
        ns = 0;
    fclose(f);
    return ns;
}

uint64_t cost_cpu_ns(const struct options *o)
{
    uint64_t total = 0;

    for (int i = 0; i < o->pid_count; i++) {
        char path[64];
        DIR *tasks;

        (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)o->pids[i]);
        tasks = opendir(path);
        if (!tasks) {
            fprintf(stderr, "load: the server's process %d is gone\n", (int)o->pids[i]);
            exit(1);
        }
        for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
            if (entry->d_name[0] != '.')
                total += thread_ns(o->pids[i], entry->d_name);
        closedir(tasks);
    }
    return total;
}

uint64_t cost_memory(const struct options *o)
{
    uint64_t total = 0;

    for (int i = 0; i < o->pid_count; i++) {
        char path[64], line[256];
        unsigned long long kb;
        FILE *f;

        (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)o->pids[i]);
        f = fopen(path, "r");
        if (!f)
            continue;
        while (fgets(line, sizeof(line), f))
            if (sscanf(line, "Pss: %llu kB", &kb) == 1)
                total += kb * 1024;
        fclose(f);
    }
    return total;
}

double cost_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
