/* The sandbox: what a process that has given up its rights can no longer do, tried in a child. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "component/sandbox.h"
#include "store/store.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED true
#else
#define INSTRUMENTED false
#endif

static const struct component_ops stored = {.name = "sm",
                                            .stores = 1u << STORE_USERS | 1u << STORE_ACCOUNTS};
static const struct component_ops accounts = {.name = "c2s", .stores = 1u << STORE_ACCOUNTS};
static const struct component_ops users = {.name = "sm", .stores = 1u << STORE_USERS};
static const struct component_ops plain = {.name = "router"};
static const struct component_ops keyed = {.name = "s2s", .keys = true};

struct world {
    char dir[32];
    struct config config;
    const struct component_ops *component;
    struct sandbox sandbox;
};

static void make_file(const struct world *w, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void make_folder(const struct world *w, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void begin(struct world *w, const struct component_ops *component)
{
    *w = (struct world){.dir = "/tmp/jackdaw-sandbox-XXXXXX", .component = component};
    assert_non_null(mkdtemp(w->dir));
    make_folder(w, "run");
    make_folder(w, "accounts");
    make_folder(w, "sm");
    make_file(w, "accounts/accounts.db");
    make_file(w, "sm/jackdaw.db");
    make_file(w, "router-secret");
    w->config = (struct config){.server_sandbox = true,
                                .router_address = "127.0.0.1",
                                .store_url = "",
                                .store_accounts_url = "",
                                .c2s_certificates = "",
                                .s2s_certificates = ""};
    w->sandbox = (struct sandbox){
        .config = &w->config, .data_dir = w->dir, .components = &w->component, .count = 1};
}

static void end(struct world *w)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", w->dir);
    assert_int_equal(system(command), 0);
}

static bool can_open(const struct world *w, const char *name, int flags)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    int fd = open(path, flags, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int socket_error(int family)
{
    int fd = socket(family, SOCK_DGRAM, 0);
    int e = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return e;
}

/* Runs it in a child; its return value is 0 when all was as expected, else which check failed. */
static void in_child(struct world *w, int (*fn)(struct world *w))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn(w));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int calls(struct world *w)
{
    char *const argv[] = {"true", NULL};
    sandbox_calls(&w->sandbox);
    if (INSTRUMENTED)
        return prctl(PR_GET_SECCOMP) == 0 ? 0 : 1;
    if (prctl(PR_GET_SECCOMP) != 2)
        return 2;
    if (execv("/bin/true", argv) != -1 || errno != EPERM)
        return 3;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != -1 || errno != EPERM)
        return 4;
    if (socket_error(AF_NETLINK) != EAFNOSUPPORT || socket_error(AF_PACKET) != EAFNOSUPPORT)
        return 5;
    if (socket_error(45) != EAFNOSUPPORT || socket_error(46) != EAFNOSUPPORT ||
        socket_error(1000) != EAFNOSUPPORT)
        return 6;
    if (socket_error(AF_UNIX) != 0 || socket_error(AF_INET) != 0)
        return 7;
    return can_open(w, "new", O_CREAT | O_WRONLY) ? 0 : 8;
}

static int no_ip(struct world *w)
{
    w->config.router_address = "unix:/run/router.sock";
    sandbox_calls(&w->sandbox);
    if (INSTRUMENTED)
        return 0;
    if (socket_error(AF_INET) != EAFNOSUPPORT || socket_error(AF_INET6) != EAFNOSUPPORT)
        return 1;
    return socket_error(AF_UNIX);
}

static int switched_off(struct world *w)
{
    w->config.server_sandbox = false;
    sandbox_files(&w->sandbox);
    sandbox_calls(&w->sandbox);
    return prctl(PR_GET_SECCOMP) != 0 || !can_open(w, "sm/jackdaw.db", O_RDONLY);
}

static bool landlock(void)
{
    const uint32_t ask_version = 1;
    return !INSTRUMENTED && syscall(SYS_landlock_create_ruleset, NULL, 0, ask_version) > 0;
}

/* No database, whatever its name; no other file of the data directory; nor a new one. */
static int files(struct world *w)
{
    bool restricted = landlock();
    sandbox_files(&w->sandbox);
    if (can_open(w, "accounts/accounts.db", O_RDONLY) == restricted ||
        can_open(w, "sm/jackdaw.db", O_RDONLY) == restricted)
        return 1;
    if (can_open(w, "new", O_CREAT | O_WRONLY) == restricted)
        return 2;
    if (!can_open(w, "router-secret", O_RDONLY) || !can_open(w, "run/x", O_CREAT | O_RDWR))
        return 3;
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0)
        return 4;
    if (restricted && can_open(w, "certificates/x.pem", O_CREAT | O_RDWR) != w->component->keys)
        return 5;
    return 0;
}

/* One's own database, with what SQLite makes beside it, and not the other's. */
static int own_database(struct world *w)
{
    bool of_accounts = w->component->stores & 1u << STORE_ACCOUNTS, restricted = landlock();
    const char *own = of_accounts ? "accounts/accounts.db" : "sm/jackdaw.db";
    const char *beside = of_accounts ? "accounts/accounts.db-wal" : "sm/jackdaw.db-wal";
    const char *other = of_accounts ? "sm/jackdaw.db" : "accounts/accounts.db";
    const char *new = of_accounts ? "sm/new" : "accounts/new";
    char path[128];

    sandbox_files(&w->sandbox);
    if (!can_open(w, own, O_RDWR) || !can_open(w, beside, O_CREAT | O_RDWR))
        return 1;
    (void)snprintf(path, sizeof path, "%s/%s", w->dir, beside);
    if (unlink(path) != 0)
        return 2;
    if (can_open(w, other, O_RDONLY) == restricted ||
        can_open(w, new, O_CREAT | O_WRONLY) == restricted)
        return 3;
    return can_open(w, "new", O_CREAT | O_WRONLY) == restricted ? 4 : 0;
}

static int elsewhere(struct world *w)
{
    char url[128];

    make_folder(w, "mine");
    (void)snprintf(url, sizeof url, "sqlite:%s/mine/x.db", w->dir);
    w->config.store_url = url;
    sandbox_files(&w->sandbox);
    if (!can_open(w, "mine/x.db", O_CREAT | O_RDWR))
        return 1;
    return can_open(w, "sm/jackdaw.db", O_RDONLY) == landlock() ? 2 : 0;
}

/* libpq reads where it likes. */
static int in_postgresql(struct world *w)
{
    w->config.store_url = "postgresql:///jackdaw";
    sandbox_files(&w->sandbox);
    return can_open(w, "accounts/accounts.db", O_RDONLY) ? 0 : 1;
}

static int both(struct world *w)
{
    sandbox_files(&w->sandbox);
    return can_open(w, "accounts/accounts.db", O_RDWR) && can_open(w, "sm/jackdaw.db", O_RDWR) ? 0
                                                                                               : 1;
}

static void run(const struct component_ops *component, int (*fn)(struct world *w))
{
    struct world w;
    begin(&w, component);
    in_child(&w, fn);
    end(&w);
}

static void test_calls(void **state)
{
    run(&stored, calls);
    run(&plain, calls);
}

static void test_without_ip(void **state)
{
    run(&stored, no_ip);
}

static void test_switched_off(void **state)
{
    run(&plain, switched_off);
}

static void test_files(void **state)
{
    run(&plain, files);
    run(&keyed, files);
    run(&accounts, own_database);
    run(&users, own_database);
    run(&users, elsewhere);
    run(&users, in_postgresql);
    run(&stored, both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_without_ip),
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
