/*
 * shared.h
 *	  What the workers and all backends share: the snapshot, the newest events, the
 *round-robin cursor, and signs of life.
 */
#ifndef PGST_SHARED_H
#define PGST_SHARED_H

#include "port/atomics.h"

#include "wall.h"

typedef enum PgstWorker
{
	PGST_POLLER = 0,
	PGST_LISTENER = 1
} PgstWorker;

#define PGST_WORKERS 2

/* Installs the hooks that size and set up shared memory; from _PG_init. */
extern void pgst_install_shared_memory(void);

/* Whether it is there: false when the library was not preloaded. */
extern bool pgst_shared_memory_exists(void);

/* For SQL functions: reports an error when it is not there, as the library was not
 * preloaded. */
extern void pgst_need_shared_memory(void);

/*
 * A worker's life. Enter: from now on it is `worker` (its end is noted by itself). Alive:
 * a sign of life, to be given at least once a second. Wake: sets the latch of a worker
 * that is there.
 */
extern void pgst_worker_enter(PgstWorker worker);
extern void pgst_worker_alive(PgstWorker worker);
extern void pgst_worker_wake(PgstWorker worker);
/* The last sign of life on the monotonic clock, 0 when it does not run. */
extern int64 pgst_worker_last_alive(PgstWorker worker);

/* Tells the workers that recovery has ended; they compare the count with the one they saw
 * last. */
extern void pgst_announce_promotion(void);
extern uint32 pgst_promotions(void);

/* Only the poller publishes. Its snapshot's max_hosts is the setting's. */
extern void pgst_publish(const PgstSnapshot *snapshot);

/* Whether there is a snapshot that is young enough to be believed, whoever made it. */
extern bool pgst_published_is_recent(void);

/* A copy in the current memory context. Its layout is 0 until something was published. */
extern PgstSnapshot *pgst_copy_snapshot(void);

/*
 * The same into memory of the caller's, with room for max_hosts, if there is a newer one
 * than *generation and nobody else is at it: never waits. Returns whether the copy is the
 * newest one now.
 */
extern bool pgst_refresh_snapshot(PgstSnapshot *copy, uint64 *generation);

/*
 * Events. Each has a number, one more than the one before it; the newest one's is the
 * generation of changes. It begins, with the server, at the milliseconds since 1970, so
 * that nobody meets a number again that he knows from before a restart.
 *
 * Append: only the poller does, with those that the snapshot shows which it has published
 * before; it gives them their numbers, in place of how many were lost before each, and
 * wakes all who wait.
 */
extern void pgst_append_events(PgstEvent *events, int count);
extern uint64 pgst_generation(void);

/* Those that are kept, the oldest first, in the current memory context. Returns how many
 * they are. */
extern int pgst_copy_events(PgstEvent **events);

/* Waits until the generation is another one than that, for so many microseconds at most;
 * returns what it is then. For backends: reports an error when it is told to end. */
extern uint64 pgst_await_change(uint64 generation, int64 patience_us);

/* The shared cursor of the round robin. */
extern uint64_t pgst_cursor(void);
extern bool pgst_move_cursor(uint64_t from, uint64_t to);

/* Whether what a copy says of the hosts still holds. */
extern bool pgst_snapshot_is_fresh(const PgstSnapshot *snapshot);

/* Chooses a host for this wish and takes a turn. NULL when there is none; else it points
 * into the snapshot. */
extern const PgstHost *pgst_choose_host(const PgstSnapshot *snapshot,
										const PgstWish *wish);

#endif /* PGST_SHARED_H */
