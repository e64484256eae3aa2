/*
 * shared.h
 *	  What the workers and all backends share: the snapshot, the newest events, the
 *	  history of lags, the round-robin cursor, and signs of life.
 */
#ifndef PGST_SHARED_H
#define PGST_SHARED_H

#include "access/xlogdefs.h"
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

/*
 * Whether it is there: false when the library was not preloaded. need: an ERROR then; for
 * SQL functions, to begin with.
 */
extern bool pgst_shared_memory_exists(void);
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

/* Only the poller publishes, which brings the history of lags up to date as well. Its
 * snapshot's max_hosts is the setting's. */
extern void pgst_publish(const PgstSnapshot *snapshot);

/* Which snapshot is the newest; a change of it is a new one. */
extern uint64 pgst_published(void);

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

/*
 * For the listener, which never waits: the newest events, the oldest of them first, at
 * most so many, and the histories of lag of the first `count` hosts. -1 and false: the
 * poller is at it.
 */
extern int pgst_try_copy_newest_events(PgstEvent *copy, int most);
extern bool pgst_try_copy_lags(PgstLagHistory *copy, uint32_t count);

/* Waits until the generation is another one than that, for so many microseconds at most;
 * returns what it is then. For backends: reports an error when it is told to end. */
extern uint64 pgst_await_change(uint64 generation, int64 patience_us);

/*
 * Operators' orders. The number rises with each change of them; it is 0 until somebody
 * has loaded what was kept over the restart. copy_orders() gives how many there are, at
 * most pgst_max_hosts; without wait it gives -1 when somebody is replacing them.
 */
extern uint64 pgst_orders_number(void);
/* What the listener answers by: it tells, who has changed orders waits for it. */
extern void pgst_listener_obeys(uint64 number);
extern uint64 pgst_listener_obeyed(void);
extern int pgst_copy_orders(PgstOrder *copy, uint64 *number, bool wait);

/*
 * To change them: between lock and unlock nobody else does. What was read in between is
 * still so at the replacement. An error releases the lock.
 */
extern void pgst_lock_orders(void);
extern const PgstOrder *pgst_locked_orders(uint32 *count);
extern void pgst_replace_orders(const PgstOrder *replacement, uint32 count);
extern void pgst_unlock_orders(void);

/*
 * What a backend may ask the poller for, for the host of this index in the snapshot: it
 * leaves the wish, the poller takes it. take returns false when there is none left.
 */
typedef enum PgstAsk
{
	PGST_ASK_CHECK = 0, /* right now */
	PGST_ASK_RESET = 1	/* count its checks anew */
} PgstAsk;

#define PGST_ASKS 2

extern void pgst_ask(PgstAsk what, uint32 host);
extern bool pgst_take_asked(PgstAsk what, uint32 *host);

/* How often each host was chosen, by its index in the snapshot. */
extern void pgst_handed_out(uint32_t host);
extern uint64 pgst_times_handed_out(uint32 host);
extern void pgst_forget_handed_out(uint32 host);

/*
 * What is remembered of this server, to be told to the others (facts.c).
 *
 * The history of a timeline. recall() returns whether there is no need to look for it: it
 * is known, or was looked for in vain less than `retry_us` ago. remember() takes NULL
 * when it could not be found out.
 */
extern bool pgst_recall_history(TimeLineID timeline, int64 retry_us, bool *known,
								PgstHistory *history);
extern void pgst_remember_history(TimeLineID timeline, const PgstHistory *history);

/* Since when a promotion is asked for, to be told each time whether it is: when that was
 * first noticed, in microseconds since 1970. 0: it is not. */
extern int64 pgst_promoting_since(bool asked_for);

/* As which the primary sees this server, as the newest snapshot has it; "" unknown. */
extern void pgst_own_address(char address[PGST_ADDRESS_SIZE]);

/* default_transaction_read_only as new sessions get it; both workers remember it as they
 * read it. False: it is not known yet. */
extern void pgst_remember_read_only(bool read_only);
extern bool pgst_read_only(bool *read_only);

/* The shared cursor of the round robin. */
extern uint64_t pgst_cursor(void);
extern bool pgst_move_cursor(uint64_t from, uint64_t to);

/* Whether what a copy says of the hosts still holds. */
extern bool pgst_snapshot_is_fresh(const PgstSnapshot *snapshot);

/* Chooses a host for this wish, takes a turn and counts it. NULL when there is none; else
 * it points into the snapshot. preview() does nothing but choose. */
extern const PgstHost *pgst_choose_host(const PgstSnapshot *snapshot,
										const PgstWish *wish);

extern const PgstHost *pgst_preview_host(const PgstSnapshot *snapshot,
										 const PgstWish *wish);

#endif /* PGST_SHARED_H */
