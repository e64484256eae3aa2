/*
 * published.h
 *	  What the poller publishes, and how it is read: the snapshot, the newest events, the
 *	  history of lags. And the choice of a host, which is made from a snapshot.
 *
 * Nobody waits here for anybody: the poller writes whoever reads, and who reads may be
 * stopped in the middle of it. A session keeps what it has copied, and copies anew when
 * something newer was published.
 */
#ifndef PGST_PUBLISHED_H
#define PGST_PUBLISHED_H

#include "wall.h"

/* The memory of it, within ours: its size, and its set-up, once where nobody had it. */
extern Size pgst_published_size(void);
extern void pgst_use_published(void *memory, bool set_up);

/* Only the poller publishes, which brings the history of lags up to date as well. Its
 * snapshot's max_hosts is the setting's. */
extern void pgst_publish(const PgstSnapshot *snapshot);

/* The number of the newest publication, one more with each; 0: there was none. */
extern uint64 pgst_published(void);

/* Whether there is a snapshot that is young enough to be believed, whoever made it. */
extern bool pgst_published_is_recent(void);

/*
 * The newest snapshot, as this process keeps it until there is a newer one: it stays
 * where it is until the next call, wherever in this process that is made. Its layout is
 * 0 until something was published. May report an error: out of memory, or a cancel.
 *
 * brief: with the primary alone, as its only host; there is none when nobody is named. It
 * takes the same little memory whatever the number of hosts.
 */
extern const PgstSnapshot *pgst_snapshot(void);
extern const PgstSnapshot *pgst_brief_snapshot(void);

/* The same in the current memory context, for who looks at newer ones meanwhile. */
extern PgstSnapshot *pgst_copy_snapshot(void);

/*
 * For the listener, which reports no errors: the newest one into the spare of its two,
 * each with room for max_hosts, if it is another one than *number; that one is *copy
 * then. Returns whether it is the newest one now; false: so much was published at this
 * moment that it is to try again, and nothing has changed.
 */
extern bool pgst_refresh_snapshot(PgstSnapshot **copy, PgstSnapshot **spare,
								  uint64 *number);

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

/* For the listener: the newest ones, the oldest of them first, at most so many. */
extern int pgst_copy_newest_events(PgstEvent *copy, int most);

/* The histories of lag of the first `count` hosts. False: the poller is at it at this
 * moment, and the copy is of no use. */
extern bool pgst_try_copy_lags(PgstLagHistory *copy, uint32_t count);

/* Waits until the generation is another one than that, for so many microseconds at most;
 * returns what it is then. For backends: reports an error when it is told to end. */
extern uint64 pgst_await_change(uint64 generation, int64 patience_us);

/* Whether what a copy says of the hosts still holds. */
extern bool pgst_snapshot_is_fresh(const PgstSnapshot *snapshot);

/*
 * Chooses a host for this wish, takes a turn and counts it. NULL when there is none; else
 * it is of this process's snapshot, brief or not. preview() does nothing but choose, of a
 * snapshot that is not the brief one.
 */
extern const PgstHost *pgst_choose_host(const PgstWish *wish);
extern const PgstHost *pgst_preview_host(const PgstSnapshot *snapshot,
										 const PgstWish *wish);

#endif /* PGST_PUBLISHED_H */
