/* Service manager: what systemd is told of this process (sd_notify(3)), a datagram to the socket in
 * NOTIFY_SOCKET. Without it nothing happens. libsystemd does the same with ten thousand lines
 * more. */
#ifndef JACKDAW_NET_SERVICE_MANAGER_H
#define JACKDAW_NET_SERVICE_MANAGER_H

#include <stdint.h>

/* "READY=1\nSTATUS=..."; lost when the service manager does not listen. Never blocks. */
void service_manager_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Within this many ms it wants to hear WATCHDOG=1, again and again; 0: it does not. */
uint64_t service_manager_watchdog_ms(void);
/* For a child that is none of the service manager's business. */
void service_manager_forget(void);

#endif
