/*
 * orders.h
 *	  Operators' orders over a restart: a small file in the data directory.
 *
 * It is read once after each start, by whoever comes first, and written whenever the
 * orders change, atomically: whatever happens at whatever moment, there is the old file
 *or the new one. A file that is damaged, or came here with a copy of another server's
 *data directory, is set aside with a warning.
 */
#ifndef PGST_ORDERS_H
#define PGST_ORDERS_H

#include "wall.h"

/* From _PG_init: orders that came with a backup are not this server's. */
extern void pgst_disown_copied_orders(void);

/* Sees to it that what was kept is in shared memory. Never fails for what the file is. */
extern void pgst_load_orders(void);

/*
 * Keeps these orders and puts them into force, for a caller that holds
 * pgst_lock_orders(). When they cannot be kept, that is an ERROR and nothing has changed.
 */
extern void pgst_keep_orders(const PgstOrder *orders, uint32 count);

/* Whether the maintenance of this order has ended so lately that some may not have heard
 * of it yet: that is known for a while, also over a restart. */
extern bool pgst_ended_lately(const PgstOrder *order, int64_t wall_now);
/* To be called when the orders are unlocked: the file's name is on the disk then, or a
 * warning tells that it may not be. */
extern void pgst_sync_kept_orders(void);

#endif /* PGST_ORDERS_H */
