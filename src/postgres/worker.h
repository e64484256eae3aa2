/*
 * worker.h
 *	  What the background workers have in common.
 */
#ifndef PGST_WORKER_H
#define PGST_WORKER_H

#include "wall.h"
#include "shared.h"

/* Registers all three; from _PG_init. */
extern void pgst_register_workers(void);

/* Whether the server has a worker's place for the poller; without it there never is one.
 */
extern bool pgst_poller_has_place(void);

/* Entry points, called by the postmaster by name. */
extern PGDLLEXPORT void pgst_poller_main(Datum arg);
extern PGDLLEXPORT void pgst_listener_main(Datum arg);
extern PGDLLEXPORT void pgst_promotion_main(Datum arg);

/* Signals, signs of life. `fd` becomes readable when the core has something to do. */
extern void pgst_worker_begin(PgstWorker worker);
extern void pgst_worker_watch(int fd);

/*
 * Waits until fd is readable, the latch is set or timeout_ms (-1: none) have passed, but
 * not for ever. Does not return when the server shuts down, the postmaster dies or the
 * worker was told to end. Returns true when the settings have been read anew.
 */
extern bool pgst_worker_wait(PgstWorker worker, int timeout_ms);

/* Reports a line of the core. */
extern void pgst_report(const PgstLogLine *line);

/*
 * What a failed step or configuration means: out of memory is logged, now and then, and
 * life goes on; anything else ends the worker, to come back clean.
 */
extern void pgst_worker_survive(PgstStatus status, const PgstMessage *why);

/*
 * Raises the soft limit of open files of this process to `files`, as far as it may; gives
 * how many of them it may open then. need_files() also warns when these are fewer.
 */
extern int pgst_worker_raise_files(int files);
extern void pgst_worker_need_files(int files);

/*
 * Lets this process's private memory grow by at most `bytes`, where the system can be
 * told so. What is refused is an out-of-memory error here instead of a machine without
 * memory.
 */
extern void pgst_worker_bound_memory(Size bytes);

/*
 * Between start and stop this process may take as long as it takes, but not for ever:
 * after some seconds of processor time, or a minute without any, it ends, to be started
 * anew. For calls into libraries that might not come back.
 */
extern void pgst_watchdog_init(void);
extern void pgst_watchdog_start(void);
extern void pgst_watchdog_stop(void);

#endif /* PGST_WORKER_H */
