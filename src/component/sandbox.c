/* Landlock and seccomp for a process of ours: see sandbox.h. */
#include "component/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "component/database.h"

/* The leak checker and the thread sanitizer look into their own process with ptrace. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

#define BOTH_STORES (1u << STORE_ACCOUNTS | 1u << STORE_USERS)
#define FAMILIES    46 /* that Linux knows; larger numbers are refused as one */

static bool wanted(const struct sandbox *s)
{
    if (!s->config->server_sandbox)
        log_info(&s->log, "sandbox: switched off by server.sandbox");
    else if (INSTRUMENTED)
        log_info(&s->log, "sandbox: not in a build that is instrumented by a sanitizer");
    return s->config->server_sandbox && !INSTRUMENTED;
}

/* --- files --- */

#define READ   (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE  LANDLOCK_ACCESS_FS_WRITE_FILE
#define CHANGE (LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define ALL                                                                                        \
    (READ | WRITE | CHANGE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |          \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK |   \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* glibc of Debian 12 has no names for these three calls. */
static int landlock_create(const struct landlock_ruleset_attr *attr, size_t size)
{
    return (int)syscall(SYS_landlock_create_ruleset, attr, size, 0);
}

/* What is not there needs no rule. */
static void allow(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr beneath = {.allowed_access = access};
    struct stat st;

    beneath.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (beneath.parent_fd < 0)
        return;
    if (fstat(beneath.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        beneath.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | WRITE;
    (void)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
    close(beneath.parent_fd);
}

/* The folder of a file of the configuration, so that another may take its place; and where it
 * leads, when it is a link. */
static void allow_folder_for(int rules, const char *file, uint64_t access)
{
    char folder[PATH_MAX], real[PATH_MAX];
    char *slash;

    if (!file || !file[0])
        return;
    (void)snprintf(folder, sizeof(folder), "%s", file);
    slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    allow(rules, slash ? (folder[0] ? folder : "/") : ".", access);
    if (realpath(file, real) && strcmp(real, file) != 0 && (slash = strrchr(real, '/')) != NULL) {
        *slash = '\0';
        allow(rules, real[0] ? real : "/", access);
    }
}

static void allow_folder(int rules, const char *file)
{
    allow_folder_for(rules, file, READ);
}

static void allow_below(int rules, const char *data_dir, const char *name, uint64_t access)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", data_dir, name);
    allow(rules, path, access);
}

static unsigned all_stores(const struct sandbox *s)
{
    unsigned stores = 0;

    for (size_t i = 0; i < s->count; i++)
        stores |= s->components[i]->stores;
    return stores;
}

bool sandbox_has_files(const struct sandbox *s)
{
    unsigned stores = all_stores(s);
    char url[PATH_MAX + 16];

    if (stores == BOTH_STORES)
        return false;
    for (unsigned kind = 0; stores >> kind; kind++) {
        database_url(s->config, s->data_dir, (enum store_kind)kind, url, sizeof(url));
        if ((stores & 1u << kind) && strncmp(url, "postgresql:", 11) == 0)
            return false;
    }
    return true;
}

/* SQLite makes its -wal and -shm beside the database. */
static void allow_stores(int rules, const struct sandbox *s)
{
    unsigned stores = all_stores(s);
    char folder[PATH_MAX];

    for (unsigned kind = 0; stores >> kind; kind++)
        if ((stores & 1u << kind) &&
            database_folder(s->config, s->data_dir, (enum store_kind)kind, folder, sizeof(folder)))
            allow(rules, folder, READ | WRITE | CHANGE);
    if (stores & 1u << STORE_USERS) /* the sm's, which rotates it */
        allow_folder_for(rules, s->config->audit_file, READ | WRITE | CHANGE);
}

static void allow_secrets(int rules, const struct sandbox *s)
{
    allow_below(rules, s->data_dir, "router-secret", READ);
    for (size_t i = 0; i < s->count; i++)
        if (s->components[i]->secret)
            allow_below(rules, s->data_dir, s->components[i]->secret, READ);
}

static bool any_keys(const struct sandbox *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->components[i]->keys)
            return true;
    return false;
}

/* A rule needs what it is about. */
static void make_below(const char *data_dir, const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", data_dir, name);
    (void)mkdir(path, 0700);
}

static void allow_keys(int rules, const struct sandbox *s)
{
    const struct config_list *domains = &s->config->server_domains;

    make_below(s->data_dir, "certificates");
    allow_below(rules, s->data_dir, "certificates", READ | WRITE | CHANGE);
    allow(rules, s->config->c2s_certificates, READ);
    allow(rules, s->config->s2s_certificates, READ);
    for (size_t i = 0; i < domains->count; i++) {
        const struct config *d = config_for(s->config, str_of(domains->items[i]));
        allow_folder(rules, d->domain_certificate);
        allow_folder(rules, d->domain_key);
    }
}

static void allow_all(int rules, const struct sandbox *s)
{
    static const char *const system[] = {"/etc", "/usr", "/lib", "/lib64", "/proc", "/sys", "/run"};
    const struct config *c = s->config;

    for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
        allow(rules, system[i], READ);
    allow(rules, "/dev", READ | WRITE);
    allow_below(rules, s->data_dir, "run", READ | WRITE | CHANGE | LANDLOCK_ACCESS_FS_MAKE_SOCK);
    allow_secrets(rules, s);
    allow_stores(rules, s);
    allow_folder(rules, c->router_secret_file);
    allow_folder(rules, c->router_certificate);
    allow_folder(rules, c->router_key);
    allow_folder(rules, c->router_ca_file);
    if (c->router_tls) {
        make_below(s->data_dir, "router-certificates");
        allow_below(rules, s->data_dir, "router-certificates", READ | WRITE | CHANGE);
    }
    allow_folder(rules, s->config_file);
    allow_folder(rules, c->s2s_ca_file);
    allow_folder(rules, c->resolver_resolv_conf);
    allow_folder(rules, c->resolver_hosts);
    allow_folder(rules, c->resolver_trust_anchor);
    if (any_keys(s))
        allow_keys(rules, s);
}

void sandbox_files(const struct sandbox *s)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = ALL};
    int rules;

    if (!sandbox_has_files(s) || !wanted(s))
        return;
    rules = landlock_create(&attr, sizeof(attr));
    if (rules < 0) {
        log_info(&s->log, "sandbox: this kernel has no Landlock (%s); files are not restricted",
                 strerror(errno));
        return;
    }
    allow_all(rules, s);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        log_warn(&s->log, "sandbox: files are not restricted: %s", strerror(errno));
    close(rules);
}

/* --- system calls --- */

/* New programs, other processes, the kernel itself; and io_uring, which goes round all filters. */
static const char *const refused[] = {
    "execve",
    "execveat",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "kcmp",
    "pidfd_getfd",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "add_key",
    "request_key",
    "keyctl",
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsmount",
    "mount_setattr",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "open_by_handle_at",
    "name_to_handle_at",
    "personality",
    "modify_ldt",
    "acct",
    "quotactl",
    "settimeofday",
    "clock_settime",
    "adjtimex",
    "clock_adjtime",
    "iopl",
    "ioperm",
    "sethostname",
    "setdomainname",
    "vhangup",
    "syslog",
};

static bool refuse_calls(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        int call = seccomp_syscall_resolve_name(refused[i]);
        if (call != __NR_SCMP_ERROR &&
            seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0) != 0)
            return false;
    }
    return true;
}

/* A session manager alone, with a database of its own and the router on a unix socket, has nobody
 * to speak with over IP. */
static bool needs_ip(const struct sandbox *s)
{
    bool local = strncmp(s->config->router_address, "unix:", 5) == 0 &&
                 strncmp(s->config->store_url, "postgresql:", 11) != 0;

    return s->count != 1 || strcmp(s->components[0]->name, "sm") != 0 || !local;
}

static bool refuse_families(scmp_filter_ctx filter, bool ip)
{
    uint32_t what = SCMP_ACT_ERRNO(EAFNOSUPPORT);

    for (unsigned f = 0; f < FAMILIES; f++) {
        if (f == AF_UNIX || (ip && (f == AF_INET || f == AF_INET6)))
            continue;
        if (seccomp_rule_add(filter, what, SCMP_SYS(socket), 1, SCMP_A0_32(SCMP_CMP_EQ, f)) != 0)
            return false;
    }
    return seccomp_rule_add(filter, what, SCMP_SYS(socket), 1, SCMP_A0_32(SCMP_CMP_GE, FAMILIES)) ==
           0;
}

void sandbox_calls(const struct sandbox *s)
{
    scmp_filter_ctx filter;
    int e = -ENOMEM;

    if (!wanted(s))
        return;
    filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter && seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 && refuse_calls(filter) &&
        refuse_families(filter, needs_ip(s)))
        e = seccomp_load(filter);
    seccomp_release(filter);
    if (e != 0)
        log_warn(&s->log, "sandbox: system calls are not restricted: %s", strerror(-e));
}
