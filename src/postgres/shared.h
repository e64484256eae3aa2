/*
 * shared.h
 *	  What the workers and all backends share: signs of life, operators' orders and
 *	  wishes, the round-robin cursor. What the poller publishes is in published.h.
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

/*
 * count_reload: the postmaster has read a setting of ours. missed_reload: it has done so
 * since it started this process, whose signal may have come before anybody was there to
 * hear it.
 */
extern void pgst_count_reload(void);
extern bool pgst_missed_reload(void);

/*
 * Whom the poller serves: a place for the name, which the poller fills. was_stuck: the
 * poller is about to leave in the middle of it, after so many seconds (1 or more); may be
 * called in a signal handler. take_stuck: once for each time, the seconds, else 0; the
 * name is empty when no host was being served. Hosts that are left alone for that are
 * remembered here, as many as there is room for; only the poller does.
 */
typedef struct PgstSpared
{
	char name[PGST_NAME_SIZE];
	int64 until_mono;
	uint32 times;
} PgstSpared;

#define PGST_SPARED 8

extern char *pgst_serving(void);
extern void pgst_poller_was_stuck(uint32 seconds);
extern uint32 pgst_take_stuck(char name[PGST_NAME_SIZE]);
extern PgstSpared *pgst_spared(void);

/* Tells the workers that recovery has ended; they compare the count with the one they saw
 * last. */
extern void pgst_announce_promotion(void);
extern uint32 pgst_promotions(void);

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
/* As this process keeps them until there are newer ones: they stay where they are until
 * the next call. For backends: reports an error without memory. */
extern const PgstOrder *pgst_orders(uint32 *count);

/*
 * To change them: between lock and unlock nobody else does. What was read in between is
 * still so at the replacement.
 *
 * Nothing is reported in between, and an error is caught: the lock goes before the report
 * does, which may take as long as a client likes. Who waits for the lock can be told to
 * end.
 */
extern void pgst_lock_orders(void);
extern const PgstOrder *pgst_locked_orders(uint32 *count);
extern void pgst_replace_orders(const PgstOrder *replacement, uint32 count);
extern void pgst_unlock_orders(void);
extern void pgst_unlock_orders_after_error(void);

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
extern void pgst_set_handed_out(uint32 host, uint64 times);

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
extern void pgst_remember_address(const char address[PGST_ADDRESS_SIZE]);
extern void pgst_own_address(char address[PGST_ADDRESS_SIZE]);

/* default_transaction_read_only as new sessions get it; both workers remember it as they
 * read it. False: it is not known yet. */
extern void pgst_remember_read_only(bool read_only);
extern bool pgst_read_only(bool *read_only);

/* The shared cursor of the round robin. */
extern uint64_t pgst_cursor(void);
extern bool pgst_move_cursor(uint64_t from, uint64_t to);

#endif /* PGST_SHARED_H */
