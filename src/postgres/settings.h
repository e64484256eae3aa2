/*
 * settings.h
 *	  The pg_status.* settings.
 *
 * All but max_hosts may be changed by a reload. Texts are never NULL and have passed the
 *core's own parser; units are in the names.
 */
#ifndef PGST_SETTINGS_H
#define PGST_SETTINGS_H

#include "wall.h"

/* The largest value of pgst_max_hosts. */
#define PGST_MOST_HOSTS 4096

/* NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables): settings */
extern int pgst_max_hosts;
extern int pgst_poll_timeout_ms;
extern int pgst_max_clients;
extern bool pgst_fence;
/* NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables) */

/* Defines them; only while shared_preload_libraries is being processed. */
extern void pgst_define_settings(void);

/*
 * The settings as the core takes them. The texts point into the settings and into
 * palloc'd memory of the current context: to be used before the next reload.
 */
extern void pgst_poller_settings(PgstPollerSettings *settings);
/* The same with this server as the only host, and nothing else to connect with than the
 * defaults. */
extern void pgst_fallback_hosts(PgstPollerSettings *settings);
extern void pgst_listener_settings(PgstListenerSettings *settings);

#endif /* PGST_SETTINGS_H */
