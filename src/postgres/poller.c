/*
 * poller.c
 *	  The worker that asks the hosts and publishes what it makes of their answers.
 *
 * Everything that knows about hosts is in the core; here it is given settings, time to
 *run and a place to publish.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"

#include "compat.h"
#include "settings.h"
#include "shared.h"
#include "worker.h"

/* Descriptors beside one for each host: the server's own, the resolver's, the event
 * loop's. */
#define OTHER_FILES 96

static MemoryContext round_context = NULL;

/* Publishes and reports what the core has for us. */
static void
hand_out(PgstPoller *poller)
{
	static uint32 shown_hosts = PG_UINT32_MAX;
	const PgstSnapshot *snapshot = pgst_poller_take_snapshot(poller);
	PgstLogLine line;

	if (snapshot != NULL)
	{
		pgst_publish(snapshot);
		if (snapshot->host_count != shown_hosts)
		{
			char title[64];

			shown_hosts = snapshot->host_count;
			snprintf(title, sizeof(title), "polling %u host%s", shown_hosts,
					 shown_hosts == 1 ? "" : "s");
			set_ps_display(title);
		}
	}
	while (pgst_poller_take_log(poller, &line))
		pgst_report(&line);
}

static void
configure(PgstPoller **poller)
{
	PgstPollerSettings settings;
	PgstMessage why;
	PgstStatus status;

	pgst_poller_settings(&settings);
	if (*poller == NULL)
		status = pgst_poller_new(&settings, poller, &why);
	else
		status = pgst_poller_configure(*poller, &settings, &why);

	/*
	 * Each setting was accepted by itself; together they may still be wrong (a default
	 * port in conninfo that makes two entries the same). A running poller then keeps what
	 * it has.
	 */
	if (status == PGST_INVALID && *poller != NULL)
		ereport(WARNING, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						  errmsg("pg_status: new settings are not used: %s", why.text)));
	else if (status != PGST_OK)
		ereport(FATAL, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("pg_status poller cannot run: %s", why.text)));
}

void
pgst_poller_main(Datum arg)
{
	PgstPoller *poller = NULL;
	uint32 promotions;

	pgst_worker_begin(PGST_POLLER);
	pgst_worker_need_files(pgst_max_hosts + OTHER_FILES);
	round_context = AllocSetContextCreate(TopMemoryContext, "pg_status poller round",
										  ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(round_context);

	promotions = pgst_promotions();
	configure(&poller);
	pgst_worker_watch(pgst_poller_fd(poller));
	hand_out(poller);

	for (;;)
	{
		PgstMessage why;

		MemoryContextReset(round_context);
		if (pgst_worker_wait(PGST_POLLER, pgst_poller_timeout_ms(poller)))
			configure(&poller);
		if (promotions != pgst_promotions())
		{
			promotions = pgst_promotions();
			pgst_poller_probe_now(poller);
		}
		pgst_worker_survive(pgst_poller_step(poller, &why), &why);
		hand_out(poller);
	}
}
