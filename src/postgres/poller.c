/*
 * poller.c
 *	  The worker that asks the hosts and publishes what it makes of their answers.
 *
 * Everything that knows about hosts is in the core; here it is given settings, time to
 *run and a place to publish.
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

/* Events that are put into shared memory at once; a failover makes fewer. */
#define EVENTS_AT_ONCE 32

/* Descriptors beside one for each host: the server's own, the resolver's, the event
 * loop's. */
#define OTHER_FILES 96

/*
 * What a peer sends is kept by libpq until it is whole, however long the peer says it
 * will be. A host needs some 100 kB, most of it for TLS.
 */
#define MEMORY_BYTES ((Size) 64 * 1024 * 1024)
#define MEMORY_BYTES_PER_HOST ((Size) 512 * 1024)

/* For how long a host is left alone that we were stuck with: at first, and at most. */
#define SPARE_US INT64CONST(60000000)
#define SPARE_MOST_US INT64CONST(3600000000)

static MemoryContext round_context = NULL;

/* What the snapshot shows that was published last. */
static void
append_events(PgstPoller *poller)
{
	static PgstEvent events[EVENTS_AT_ONCE];
	int count;

	do
	{
		count = 0;
		while (count < EVENTS_AT_ONCE && pgst_poller_take_event(poller, &events[count]))
			count++;
		if (count > 0)
			pgst_append_events(events, count);
	} while (count == EVENTS_AT_ONCE);
}

/* Publishes and reports what the core has for us. */
static void
hand_out(PgstPoller *poller)
{
	static uint32 shown_hosts = PG_UINT32_MAX;
	static bool published = false;
	const PgstSnapshot *snapshot = pgst_poller_take_snapshot(poller);
	PgstLogLine line;

	/*
	 * What the poller before us knew a moment ago is better than nothing: it is replaced
	 * when each host was asked once, or is too old.
	 */
	if (snapshot != NULL && (published || snapshot->ready || !pgst_published_is_recent()))
	{
		pgst_publish(snapshot);
		published = true;
		if (snapshot->host_count != shown_hosts)
		{
			char title[64];

			shown_hosts = snapshot->host_count;
			snprintf(title, sizeof(title), "polling %u host%s", shown_hosts,
					 shown_hosts == 1 ? "" : "s");
			set_ps_display(title);
			pgst_worker_need_files((int) shown_hosts + OTHER_FILES);
		}
	}
	if (published)
		append_events(poller);
	while (pgst_poller_take_log(poller, &line))
		pgst_report(&line);
}

/*
 * Each setting was accepted by itself; together they may still be wrong (a default port
 * in conninfo that makes two entries the same). A running poller keeps what it has, a new
 * one begins with this server only; either way the next reload may mend it.
 */
static void
configure(PgstPoller **poller)
{
	PgstPollerSettings settings;
	PgstMessage why;
	PgstStatus status;

	/* in a session it may be another one, by what its role or its client wants */
	pgst_remember_read_only(DefaultXactReadOnly);
	pgst_poller_settings(&settings);
	if (*poller != NULL)
		status = pgst_poller_configure(*poller, &settings, &why);
	else
		status = pgst_poller_new(&settings, poller, &why);

	if (status == PGST_INVALID)
	{
		ereport(WARNING,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pg_status: the settings do not fit together and are not used"),
				 errdetail("%s", why.text)));
		if (*poller != NULL)
			return;
		pgst_fallback_hosts(&settings);
		status = pgst_poller_new(&settings, poller, &why);
	}
	if (status != PGST_OK)
		ereport(FATAL, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("pg_status poller cannot run: %s", why.text)));
}

/* A poller that is started anew goes on with what the one before it has published. */
static void
inherit(PgstPoller *poller)
{
	PgstSnapshot *snapshot = pgst_copy_snapshot();

	if (snapshot->layout == PGST_SNAPSHOT_LAYOUT)
		pgst_poller_inherit(poller, snapshot);
}

/* The place for a host: its own, or that of who has been let go for longest. */
static PgstSpared *
place_for_spared(const char *name)
{
	PgstSpared *spared = pgst_spared();
	PgstSpared *place = &spared[0];

	for (int i = 0; i < PGST_SPARED; i++)
	{
		if (strcmp(spared[i].name, name) == 0)
			return &spared[i];
		if (spared[i].until_mono < place->until_mono)
			place = &spared[i];
	}
	memset(place, 0, sizeof(*place));
	strlcpy(place->name, name, sizeof(place->name));
	return place;
}

/*
 * A host that the poller before us was stuck with would hold us up as well, and all other
 * hosts with us. It is left alone for a while, which is doubled each time it happens
 * again.
 */
static void
spare_hosts(PgstPoller *poller)
{
	const PgstSpared *spared = pgst_spared();
	char name[PGST_NAME_SIZE];
	uint32 stuck_s = pgst_take_stuck(name);
	int64 now = pgst_monotonic_us();

	/* who was stuck could not say so itself */
	if (stuck_s > 0)
		ereport(LOG, (errmsg("pg_status worker was stuck for %u seconds and was ended",
							 stuck_s)));
	if (stuck_s > 0 && name[0] != '\0')
	{
		PgstSpared *place = place_for_spared(name);

		if (now - place->until_mono > SPARE_MOST_US)
			place->times = 0;
		place->until_mono =
			now + Min(SPARE_US << Min(place->times, (uint32) 10), SPARE_MOST_US);
		place->times++;
		ereport(LOG, (errmsg("pg_status: host \"%s\" is left alone for %d s, because "
							 "the poller did not come back from a call for it",
							 name, (int) ((place->until_mono - now) / 1000000))));
	}
	for (int i = 0; i < PGST_SPARED; i++)
	{
		if (spared[i].name[0] != '\0' && spared[i].until_mono > now)
			pgst_poller_spare(poller, spared[i].name, spared[i].until_mono);
	}
	pgst_poller_tell_serving(poller, pgst_serving());
}

/*
 * This server has begun to let sessions in, or a shutdown has begun. Of the first our own
 * checks would learn late, as whoever lets nobody in is asked ever more rarely. And a
 * smart shutdown waits for our own session too; the probe that learns of it ends it.
 */
static bool
own_doors_have_changed(void)
{
	static PgstNodeState last = PGST_NODE_STARTING;
	PgstNodeState was = last;

	last = pgst_node_state();
	return (was == PGST_NODE_STARTING) != (last == PGST_NODE_STARTING) ||
		   (was == PGST_NODE_STOPPING) != (last == PGST_NODE_STOPPING);
}

/* What operators want: orders, and checks out of turn. */
static void
obey(PgstPoller *poller)
{
	static uint64 seen = 0;
	uint32 host;

	if (pgst_orders_number() != seen)
	{
		PgstOrder *orders = palloc(sizeof(PgstOrder) * pgst_max_hosts);
		uint64 number;
		int count = pgst_copy_orders(orders, &number, false);
		PgstMessage why;
		PgstStatus status = PGST_OK;

		if (count >= 0)
			status = pgst_poller_set_orders(poller, orders, (uint32) count, number, &why);
		if (count >= 0 && status == PGST_OK)
			seen = number;
		pgst_worker_survive(status, &why);
	}
	while (pgst_take_asked(PGST_ASK_CHECK, &host))
		pgst_poller_probe_host(poller, host);
	while (pgst_take_asked(PGST_ASK_RESET, &host))
		pgst_poller_reset_tally(poller, host);
}

void
pgst_poller_main(Datum arg)
{
	PgstPoller *poller = NULL;
	uint32 promotions;

	pgst_worker_begin(PGST_POLLER);
	/* before the core makes room for as many; what is missing is told with the hosts */
	(void) pgst_worker_raise_files(pgst_max_hosts + OTHER_FILES);
	pgst_worker_bound_memory(MEMORY_BYTES +
							 (Size) pgst_max_hosts * MEMORY_BYTES_PER_HOST);
	pgst_watchdog_init();
	round_context = AllocSetContextCreate(TopMemoryContext, "pg_status poller round",
										  ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(round_context);

	promotions = pgst_promotions();
	configure(&poller);
	inherit(poller);
	spare_hosts(poller);
	pgst_load_orders();
	obey(poller);
	pgst_worker_watch(pgst_poller_fd(poller));
	hand_out(poller);

	for (;;)
	{
		PgstMessage why;
		PgstStatus status;

		MemoryContextReset(round_context);
		if (pgst_worker_wait(PGST_POLLER, pgst_poller_timeout_ms(poller)))
			configure(&poller);
		obey(poller);
		pgst_watchdog_start();
		if (promotions != pgst_promotions() || own_doors_have_changed())
		{
			promotions = pgst_promotions();
			pgst_poller_probe_now(poller);
		}
		status = pgst_poller_step(poller, &why);
		pgst_watchdog_stop();
		pgst_worker_survive(status, &why);
		hand_out(poller);
	}
}
