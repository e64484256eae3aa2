/*
 * listener.c
 *	  The worker that answers clients.
 *
 * It runs from the start of the postmaster, before recovery, because "starting" is an
 *answer too. It waits for nobody: not for a client, not for a peer, not for the poller.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"

#include "compat.h"
#include "node_state.h"
#include "orders.h"
#include "published.h"
#include "settings.h"
#include "shared.h"
#include "worker.h"

/* Descriptors beside those of the clients: the server's own, the listening sockets, the
 * event loop's. */
#define OTHER_FILES 96

/* How soon a snapshot is looked at again that was replaced meanwhile, in milliseconds. */
#define LOOK_AGAIN_MS 1

/* What this process has of shared memory. */
typedef struct Sight
{
	PgstSnapshot *snapshot; /* a copy */
	PgstSnapshot *spare;	/* for the next one */
	uint64 number;			/* by which it is known */
	uint64 changes;			/* the newest event that it shows */
	bool newest;			/* there was none newer when it was looked for */
} Sight;

static const PgstServerCalls server_calls = {
	.node_state = pgst_node_state,
	.node_facts = pgst_node_facts,
	.cursor = pgst_cursor,
	.move_cursor = pgst_move_cursor,
	.handed_out = pgst_handed_out,
	.newest_events = pgst_copy_newest_events,
	.lags = pgst_try_copy_lags,
};

static void
report_all(PgstListener *listener)
{
	PgstLogLine line;

	while (pgst_listener_take_log(listener, &line))
		pgst_report(&line);
}

static void
configure(PgstListener **listener)
{
	PgstListenerSettings settings;
	PgstMessage why;
	PgstStatus status;

	/* counted apart: those of either HTTP port, and those that were answered */
	pgst_worker_need_files(3 * pgst_max_clients + OTHER_FILES);
	pgst_listener_settings(&settings);
	/* in a session it may be another one, by what its role or its client wants */
	pgst_remember_read_only(DefaultXactReadOnly);
	if (*listener == NULL)
		status = pgst_listener_new(&settings, &server_calls, listener, &why);
	else
		status = pgst_listener_configure(*listener, &settings, &why);

	/* the settings were checked when they were set */
	if (status != PGST_OK)
		ereport(FATAL, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("pg_status listener cannot run: %s", why.text)));
}

/* wait: for whoever is replacing them at this moment. */
static void
refresh_orders(PgstListener *listener, PgstOrder *orders, bool wait)
{
	static uint64 seen = 0;
	int count;

	if (pgst_orders_number() == seen)
		return;
	count = pgst_copy_orders(orders, &seen, wait);
	if (count < 0)
		return;
	pgst_listener_set_orders(listener, orders, (uint32) count);
	pgst_listener_obeys(seen);
}

/*
 * First the number, then the snapshot, which the poller has published before it: who
 * waits for a change is shown that change. As long as there is only an older snapshot,
 * the older number goes with it.
 */
static void
look(PgstListener *listener, Sight *sight)
{
	uint64 changes = pgst_generation();

	sight->newest =
		pgst_refresh_snapshot(&sight->snapshot, &sight->spare, &sight->number);
	if (sight->newest)
		sight->changes = changes;
	pgst_listener_set_snapshot(listener, sight->snapshot,
							   pgst_worker_last_alive(PGST_POLLER));
	pgst_listener_set_generation(listener, sight->changes);
}

void
pgst_listener_main(Datum arg)
{
	PgstListener *listener = NULL;
	Sight sight = {.newest = true};
	PgstOrder *orders;

	pgst_worker_begin(PGST_LISTENER);
	sight.snapshot =
		MemoryContextAllocZero(TopMemoryContext, pgst_snapshot_size(pgst_max_hosts));
	sight.spare =
		MemoryContextAllocZero(TopMemoryContext, pgst_snapshot_size(pgst_max_hosts));
	orders = MemoryContextAllocZero(TopMemoryContext, sizeof(PgstOrder) * pgst_max_hosts);
	pgst_load_orders();
	configure(&listener);
	/* before the first answer: who was taken out must not come back for a moment */
	refresh_orders(listener, orders, true);
	pgst_worker_watch(pgst_listener_fd(listener));
	set_ps_display("answering");
	report_all(listener);

	for (;;)
	{
		PgstMessage why;
		int timeout_ms = pgst_listener_timeout_ms(listener);

		if (!sight.newest && (timeout_ms < 0 || timeout_ms > LOOK_AGAIN_MS))
			timeout_ms = LOOK_AGAIN_MS;
		if (pgst_worker_wait(PGST_LISTENER, timeout_ms))
			configure(&listener);
		look(listener, &sight);
		refresh_orders(listener, orders, false);
		pgst_worker_survive(pgst_listener_step(listener, &why), &why);
		report_all(listener);
	}
}
