/*
 * statistics.c
 *	  What pgpool-II's operators know: SHOW POOL_NODES and the statistics of health
 *checks, as rows.
 *
 * Names and meanings are pgpool's where it has them; what it shows as text of a certain
 * form is a number, a time or NULL here.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "published.h"
#include "rows.h"
#include "settings.h"
#include "shared.h"

PG_FUNCTION_INFO_V1(pg_status_stats);
PG_FUNCTION_INFO_V1(pg_status_pool_nodes);

/* Out of service counts as down, as a node does that pcp_detach_node has detached. */
static const char *
pool_status(const PgstHost *host, bool known)
{
	if (host->maintenance != PGST_IN_SERVICE)
		return "down";
	if (!known)
		return "unused";
	switch ((PgstState) host->state)
	{
		case PGST_STATE_UP:
			return "up";
		case PGST_STATE_SUSPECT:
			return "quarantine";
		case PGST_STATE_DOWN:
			return "down";
		case PGST_STATE_UNKNOWN:
			break;
	}
	return "unused";
}

static bool
is_live(const PgstHost *host)
{
	return host->state == PGST_STATE_UP || host->state == PGST_STATE_SUSPECT;
}

/* Whether the server behind it answers, whatever was ordered. */
static const char *
server_status(const PgstHost *host, bool known)
{
	if (!known || host->state == PGST_STATE_UNKNOWN)
		return "unknown";
	return is_live(host) ? "up" : "down";
}

static const char *
observed_role(const PgstHost *host, bool known)
{
	if (known && host->role == PGST_ROLE_PRIMARY)
		return "primary";
	return known && host->role == PGST_ROLE_STANDBY ? "standby" : "unknown";
}

/* What an operator did changes the status, too. */
static int64
last_change(const PgstHost *host)
{
	return host->maintenance_since_wall > host->last_change_wall
			   ? host->maintenance_since_wall
			   : host->last_change_wall;
}

static double
total_weight(const PgstSnapshot *snapshot)
{
	double total = 0;

	for (uint32 i = 0; i < snapshot->host_count; i++)
		total += snapshot->hosts[i].weight;
	return total;
}

Datum
pg_status_pool_nodes(PG_FUNCTION_ARGS)
{
	PgstWish wish;
	PgstRows rows;
	const PgstSnapshot *snapshot;
	const PgstHost *next;
	double total;
	bool fresh;

	pgst_need_shared_memory();
	rows = pgst_begin_rows(fcinfo);
	snapshot = pgst_snapshot();
	fresh = pgst_snapshot_is_fresh(snapshot);
	memset(&wish, 0, sizeof(wish));
	wish.route = PGST_ROUTE_REPLICA;
	next = pgst_preview_host(snapshot, &wish);
	total = total_weight(snapshot);

	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		const PgstHost *host = &snapshot->hosts[i];
		bool known = fresh && host->checked;
		PgstRow row = {.columns = 0};

		pgst_add(&row, true, Int32GetDatum((int32) i));
		pgst_add_text(&row, host->hostname);
		pgst_add(&row, true, Int32GetDatum(host->port));
		pgst_add_text(&row, pool_status(host, known));
		pgst_add_text(&row, server_status(host, known));
		pgst_add(&row, true, Float8GetDatum(total > 0 ? host->weight / total : 0));
		pgst_add_text(&row, known && host->primary ? "primary" : "standby");
		pgst_add_text(&row, observed_role(host, known));
		pgst_add_number(&row, true, pgst_times_handed_out(i));
		pgst_add(&row, true, BoolGetDatum(host == next));
		pgst_add_number(&row, known && host->has_lag_bytes, host->lag_bytes);
		pgst_add_number(&row, known && host->has_lag_ms, host->lag_ms);
		pgst_add_text(&row, known ? host->replication_state : NULL);
		pgst_add_text(&row, known ? host->sync_state : NULL);
		pgst_add_time(&row, last_change(host));
		pgst_put_row(&rows, &row);
	}
	return (Datum) 0;
}

static void
add_ms(PgstRow *row, bool known, uint64 us)
{
	pgst_add(row, known, Float8GetDatum((double) us / 1000));
}

Datum
pg_status_stats(PG_FUNCTION_ARGS)
{
	PgstRows rows;
	const PgstSnapshot *snapshot;
	bool fresh;

	pgst_need_shared_memory();
	rows = pgst_begin_rows(fcinfo);
	snapshot = pgst_snapshot();
	fresh = pgst_snapshot_is_fresh(snapshot);

	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		const PgstHost *host = &snapshot->hosts[i];
		const PgstTally *tally = &host->tally;
		uint64 failed = tally->timed_out + tally->failed;
		uint64 total = tally->succeeded + failed;
		bool known = fresh && host->checked;
		PgstRow row = {.columns = 0};

		pgst_add(&row, true, Int32GetDatum((int32) i));
		pgst_add_text(&row, host->name);
		pgst_add(&row, true, Int32GetDatum(host->port));
		pgst_add_text(&row, pool_status(host, known));
		pgst_add_text(&row, observed_role(host, known));
		pgst_add_time(&row, last_change(host));
		pgst_add_number(&row, true, total);
		pgst_add_number(&row, true, tally->succeeded);
		pgst_add_number(&row, true, failed);
		pgst_add_number(&row, true, 0); /* skipped: none is, in maintenance either */
		pgst_add_number(&row, true, tally->retries);
		pgst_add(
			&row, total > 0,
			Float8GetDatum(total > 0 ? (double) tally->retries / (double) total : 0));
		pgst_add_number(&row, true, tally->most_retries);
		add_ms(&row, total > 0, tally->longest_us);
		add_ms(&row, total > 0, tally->shortest_us);
		add_ms(&row, total > 0, total > 0 ? tally->duration_us / total : 0);
		pgst_add_time(&row, host->last_check_wall);
		pgst_add_time(&row, host->last_success_wall);
		pgst_add_time(&row, 0); /* last skipped */
		pgst_add_time(&row, tally->last_failure_wall);
		pgst_put_row(&rows, &row);
	}
	return (Datum) 0;
}
