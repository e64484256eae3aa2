/*
 * functions.c
 *	  The SQL functions that only read: the snapshot, and this server's own state,
 *as SQL values.
 *
 * They read shared memory only: no table, no lock that is held while anything else
 *happens, no network. So they work on a standby and in read-only transactions.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"

#include "compat.h"
#include "node_state.h"
#include "published.h"
#include "rows.h"
#include "settings.h"
#include "shared.h"
#include "version.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(pg_status_master);
PG_FUNCTION_INFO_V1(pg_status_replica);
PG_FUNCTION_INFO_V1(pg_status_sync_by_time);
PG_FUNCTION_INFO_V1(pg_status_sync_by_bytes);
PG_FUNCTION_INFO_V1(pg_status_sync_by_time_or_bytes);
PG_FUNCTION_INFO_V1(pg_status_sync_by_time_and_bytes);
PG_FUNCTION_INFO_V1(pg_status_most_sync_by_bytes);
PG_FUNCTION_INFO_V1(pg_status_hosts);
PG_FUNCTION_INFO_V1(pg_status_host);
PG_FUNCTION_INFO_V1(pg_status_local);
PG_FUNCTION_INFO_V1(pg_status_check);
PG_FUNCTION_INFO_V1(pg_status_agent);
PG_FUNCTION_INFO_V1(pg_status_ready);
PG_FUNCTION_INFO_V1(pg_status_live);
PG_FUNCTION_INFO_V1(pg_status_version);
PG_FUNCTION_INFO_V1(pg_status_is_split_brain);
PG_FUNCTION_INFO_V1(pg_status_primary_reason);
PG_FUNCTION_INFO_V1(pg_status_quorum);

/* The columns of hosts in version 1.0, whose objects are served on */
#define HOST_COLUMNS_OF_1_0 34

/* A worker is live when it gave a sign of life within this many microseconds. */
#define LIVE_US INT64CONST(30000000)

/* ----------------------------------------------------------------
 * Selectors
 * ----------------------------------------------------------------
 */

/* Which argument is what; -1: the route has none of the kind. The timeline came with
 * version 1.1: the objects of 1.0 do not pass it. */
typedef struct Arguments
{
	int lag_ms;
	int lag_bytes;
	int min_lsn;
	int timeline;
} Arguments;

/* Whether there is such an argument, and it was given. */
static bool
is_given(FunctionCallInfo fcinfo, int argument)
{
	return argument >= 0 && argument < PG_NARGS() && !PG_ARGISNULL(argument);
}

/*
 * A limit in ms or bytes, 0 to 2^64-1. bigint would not hold them all, so it comes as
 * numeric; 1000.0 is as whole as 1000.
 */
static bool
get_limit(FunctionCallInfo fcinfo, int argument, const char *name, uint64_t *value)
{
	char *text;
	char *point;

	if (!is_given(fcinfo, argument))
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, PG_GETARG_DATUM(argument)));
	point = strchr(text, '.');
	if (point != NULL && strspn(point + 1, "0") == strlen(point + 1))
		*point = '\0';
	if (!pgst_parse_uint64(text, value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid %s", name),
				 errdetail("It must be a whole number from 0 to %s, not %.40s.",
						   "18446744073709551615", text)));
	return true;
}

/* The position that is wished for, and its timeline. */
static void
get_position(FunctionCallInfo fcinfo, Arguments arguments, PgstWish *wish)
{
	bool has_lsn = is_given(fcinfo, arguments.min_lsn);
	int32 timeline;

	if (has_lsn)
		wish->min_lsn = PG_GETARG_LSN(arguments.min_lsn);
	if (!is_given(fcinfo, arguments.timeline))
		return;
	timeline = PG_GETARG_INT32(arguments.timeline);
	if (timeline <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid timeline"),
				 errdetail("It must be 1 or more, not %d.", timeline)));
	if (!has_lsn)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("timeline without min_lsn"),
						errdetail("It is the timeline that min_lsn is a position of.")));
	wish->min_lsn_timeline = (uint32) timeline;
}

static Datum
select_host(FunctionCallInfo fcinfo, PgstRoute route, Arguments arguments)
{
	PgstWish wish;
	const PgstHost *host;

	pgst_need_shared_memory();
	memset(&wish, 0, sizeof(wish));
	wish.route = route;
	wish.has_lag_ms = get_limit(fcinfo, arguments.lag_ms, "lag_ms", &wish.lag_ms);
	wish.has_lag_bytes =
		get_limit(fcinfo, arguments.lag_bytes, "lag_bytes", &wish.lag_bytes);
	get_position(fcinfo, arguments, &wish);

	host = pgst_choose_host(&wish);
	if (host == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(pgst_shown(host->name)));
}

Datum
pg_status_master(PG_FUNCTION_ARGS)
{
	return select_host(fcinfo, PGST_ROUTE_MASTER, (Arguments){-1, -1, -1, -1});
}

Datum
pg_status_replica(PG_FUNCTION_ARGS)
{
	return select_host(fcinfo, PGST_ROUTE_REPLICA, (Arguments){0, 1, 2, 3});
}

Datum
pg_status_sync_by_time(PG_FUNCTION_ARGS)
{
	return select_host(fcinfo, PGST_ROUTE_SYNC_BY_TIME, (Arguments){0, -1, 1, 2});
}

Datum
pg_status_sync_by_bytes(PG_FUNCTION_ARGS)
{
	return select_host(fcinfo, PGST_ROUTE_SYNC_BY_BYTES, (Arguments){-1, 0, 1, 2});
}

Datum
pg_status_sync_by_time_or_bytes(PG_FUNCTION_ARGS)
{
	return select_host(fcinfo, PGST_ROUTE_SYNC_BY_TIME_OR_BYTES, (Arguments){0, 1, 2, 3});
}

Datum
pg_status_sync_by_time_and_bytes(PG_FUNCTION_ARGS)
{
	return select_host(fcinfo, PGST_ROUTE_SYNC_BY_TIME_AND_BYTES,
					   (Arguments){0, 1, 2, 3});
}

Datum
pg_status_most_sync_by_bytes(PG_FUNCTION_ARGS)
{
	return select_host(fcinfo, PGST_ROUTE_MOST_SYNC_BY_BYTES, (Arguments){-1, 0, 1, 2});
}

/* ----------------------------------------------------------------
 * Hosts
 * ----------------------------------------------------------------
 */

static const char *
role_word(uint8 role)
{
	switch ((PgstRole) role)
	{
		case PGST_ROLE_PRIMARY:
			return "primary";
		case PGST_ROLE_STANDBY:
			return "standby";
		case PGST_ROLE_UNKNOWN:
			break;
	}
	return "unknown";
}

/* An operator's word is shown rather than what was found out; that is in "alive". */
static const char *
state_word(const PgstHost *host)
{
	bool diverged = host->diverged && host->role == PGST_ROLE_STANDBY;

	if (host->maintenance != PGST_IN_SERVICE)
		return "maintenance";
	switch ((PgstState) host->state)
	{
		case PGST_STATE_UP:
			return diverged ? "diverged" : "up";
		case PGST_STATE_SUSPECT:
			return diverged ? "diverged" : "suspect";
		case PGST_STATE_DOWN:
			return "down";
		case PGST_STATE_UNKNOWN:
			break;
	}
	return "unknown";
}

/* The columns that tell who a host is and what state it is in. `known` is false when
 * nothing current is known of it. */
static void
add_identity_and_state(PgstRow *row, const PgstHost *host, int position, bool known)
{
	bool alive =
		known && (host->state == PGST_STATE_UP || host->state == PGST_STATE_SUSPECT);
	bool lagging = known && host->has_lag_ms;

	pgst_add(row, true, Int32GetDatum(position));
	pgst_add_text(row, host->name);
	pgst_add_text(row, host->hostname);
	pgst_add(row, true, Int32GetDatum(host->port));
	pgst_add_text(row, host->dc);
	pgst_add_text(row, host->geo);
	pgst_add(row, true, BoolGetDatum(known && host->primary));
	pgst_add(row, true, BoolGetDatum(alive));
	pgst_add(row, true, BoolGetDatum(known && host->state != PGST_STATE_UP));
	pgst_add_number(row, lagging, host->lag_ms);
	pgst_add(row, known, BoolGetDatum(host->sync_by_time));
	pgst_add_number(row, known && host->has_lag_bytes, host->lag_bytes);
	pgst_add(row, known, BoolGetDatum(host->sync_by_bytes));
	pgst_add(row, known && host->has_lsn, LSNGetDatum(host->lsn));
	pgst_add_text(row, known ? role_word(host->role) : NULL);
	pgst_add_text(row, known || host->maintenance != PGST_IN_SERVICE ? state_word(host)
																	 : NULL);
}

static void
add_replication_and_history(PgstRow *row, const PgstHost *host, bool known,
							bool may_see_errors)
{
	pgst_add(row, host->timeline != 0, Int32GetDatum((int32) host->timeline));
	pgst_add_text(row, host->system_identifier != 0
						   ? psprintf(UINT64_FORMAT, (uint64) host->system_identifier)
						   : NULL);
	pgst_add(row, host->server_version != 0, Int32GetDatum(host->server_version));
	pgst_add_text(row, known ? host->replication_state : NULL);
	pgst_add_text(row, known ? host->sync_state : NULL);
	pgst_add(row, known && host->has_sync_priority, Int32GetDatum(host->sync_priority));
	pgst_add_text(row, known ? host->upstream : NULL);
	pgst_add(row, known && host->has_replay_paused, BoolGetDatum(host->replay_paused));
	pgst_add_time(row, host->last_check_wall);
	pgst_add_time(row, host->last_success_wall);
	pgst_add_time(row, host->last_change_wall);
	pgst_add(row, known, Int32GetDatum(host->fails));
	pgst_add_text(row, may_see_errors ? host->last_error : NULL);
	pgst_add_text(row, host->maintenance_reason);
	pgst_add(row, true, Float4GetDatum((float4) host->weight));
	pgst_add(row, known, Int32GetDatum((int32) host->votes_up));
	pgst_add(row, known, Int32GetDatum((int32) host->votes_down));
	pgst_add(row, known, BoolGetDatum(host->unreachable_here));
}

/* All hosts, or the one of this name. */
static void
return_hosts(FunctionCallInfo fcinfo, const char *only)
{
	PgstRows rows;
	const PgstSnapshot *snapshot;
	bool fresh;
	bool may_see_errors = has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);

	pgst_need_shared_memory();
	rows = pgst_begin_rows(fcinfo);
	snapshot = pgst_snapshot();
	fresh = pgst_snapshot_is_fresh(snapshot);

	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		const PgstHost *host = &snapshot->hosts[i];
		bool known = fresh && host->checked;
		PgstRow row = {.columns = 0};

		if (only != NULL && strcmp(only, host->name) != 0)
			continue;
		add_identity_and_state(&row, host, (int) i, known);
		add_replication_and_history(&row, host, known, may_see_errors);
		if (rows.descriptor->natts != HOST_COLUMNS_OF_1_0)
		{
			pgst_add(&row, known, BoolGetDatum(host->diverged));
			pgst_add(&row, known, BoolGetDatum(host->superseded));
			pgst_add(&row, known && host->has_read_only, BoolGetDatum(host->read_only));
			pgst_add(&row, known && host->has_takes_sessions,
					 BoolGetDatum(host->takes_sessions));
		}
		pgst_put_row(&rows, &row);
	}
}

Datum
pg_status_hosts(PG_FUNCTION_ARGS)
{
	return_hosts(fcinfo, NULL);
	return (Datum) 0;
}

Datum
pg_status_host(PG_FUNCTION_ARGS)
{
	return_hosts(fcinfo, pgst_text_argument(fcinfo, 0));
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 * This server
 * ----------------------------------------------------------------
 */

static const PgstHost *
find_self(const PgstSnapshot *snapshot)
{
	if (!pgst_snapshot_is_fresh(snapshot))
		return NULL;
	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		if (snapshot->hosts[i].self && snapshot->hosts[i].checked)
			return &snapshot->hosts[i];
	}
	return NULL;
}

/* What an answer about this server looks at, as of now. `node` is filled, too. */
static PgstView
view_of(const PgstSnapshot *snapshot, PgstNodeFacts *node)
{
	uint32 count;
	const PgstOrder *orders = pgst_orders(&count);

	pgst_node_facts(node);
	return (PgstView){.snapshot = snapshot,
					  .node = node,
					  .poller_alive_mono = pgst_worker_last_alive(PGST_POLLER),
					  .fence = pgst_fence && pgst_poller_has_place(),
					  .orders = orders,
					  .order_count = count};
}

static void
describe_standby(PgstRow *row, const PgstView *view, const PgstHost *self)
{
	const PgstNodeFacts *node = view->node;
	uint64_t lag = 0;
	bool lag_known = pgst_own_lag_bytes(view, &lag);

	pgst_add(row, node->timeline != 0, Int32GetDatum((int32) node->timeline));
	pgst_add(row, node->replayed != InvalidXLogRecPtr, LSNGetDatum(node->replayed));
	pgst_add_number(row, lag_known, lag);
	pgst_add_number(row, self != NULL && self->has_lag_ms,
					self != NULL ? self->lag_ms : 0);
	pgst_add(row, true, BoolGetDatum(node->streaming));
	pgst_add(row, true, BoolGetDatum(node->replay_paused));
	pgst_add_text(row, self != NULL ? self->sync_state : NULL);
	pgst_add_text(row, self != NULL ? self->upstream : NULL);
}

static void
describe_primary(PgstRow *row, const PgstNodeFacts *node)
{
	pgst_add(row, true, Int32GetDatum((int32) node->timeline));
	pgst_add(row, true, LSNGetDatum(node->written));
	pgst_add_number(row, true, 0);
	pgst_add_number(row, true, 0);
	pgst_add(row, false, (Datum) 0); /* streaming */
	pgst_add(row, false, (Datum) 0); /* paused */
	pgst_add_text(row, NULL);		 /* sync_state */
	pgst_add_text(row, NULL);		 /* upstream */
}

Datum
pg_status_local(PG_FUNCTION_ARGS)
{
	const PgstSnapshot *snapshot;
	PgstNodeFacts node;
	PgstView view;
	bool standby;
	PgstRow row = {.columns = 0};

	pgst_need_shared_memory();
	snapshot = pgst_snapshot();
	view = view_of(snapshot, &node);
	standby = node.written == InvalidXLogRecPtr;

	pgst_add_text(&row, standby ? "standby" : "primary");
	pgst_add_text(&row, node.state == PGST_NODE_STOPPING ? "stopping" : "running");
	if (standby)
		describe_standby(&row, &view, find_self(snapshot));
	else
		describe_primary(&row, &node);
	pgst_add(&row, true, BoolGetDatum(pgst_in_maintenance(&view)));

	PG_RETURN_DATUM(pgst_one_row(fcinfo, &row));
}

/* What the check port would answer, of which a code and a line are left. */
Datum
pg_status_check(PG_FUNCTION_ARGS)
{
	char *path = pgst_text_argument(fcinfo, 0);
	PgstNodeFacts node;
	PgstView view;
	int code;

	pgst_need_shared_memory();
	view = view_of(pgst_snapshot(), &node);
	code = pgst_check_code(&view, path);
	if (code == 0)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	PG_RETURN_INT32(code);
}

Datum
pg_status_agent(PG_FUNCTION_ARGS)
{
	char *command = pgst_text_argument(fcinfo, 0);
	char line[PGST_AGENT_LINE_SIZE];
	PgstNodeFacts node;
	PgstView view;

	pgst_need_shared_memory();
	view = view_of(pgst_snapshot(), &node);
	pgst_agent_line(&view, command, line);
	if (line[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	PG_RETURN_TEXT_P(cstring_to_text(pgst_shown(line)));
}

/* ----------------------------------------------------------------
 * pg_status itself
 * ----------------------------------------------------------------
 */

Datum
pg_status_ready(PG_FUNCTION_ARGS)
{
	const PgstSnapshot *snapshot;

	pgst_need_shared_memory();
	snapshot = pgst_brief_snapshot();
	PG_RETURN_BOOL(pgst_snapshot_is_fresh(snapshot) && snapshot->ready);
}

Datum
pg_status_live(PG_FUNCTION_ARGS)
{
	int64 now = pgst_monotonic_us();

	pgst_need_shared_memory();
	for (int worker = 0; worker < PGST_WORKERS; worker++)
	{
		int64 alive = pgst_worker_last_alive((PgstWorker) worker);

		if (alive == 0 || now - alive > LIVE_US)
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

Datum
pg_status_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(PG_STATUS_VERSION));
}

Datum
pg_status_is_split_brain(PG_FUNCTION_ARGS)
{
	const PgstSnapshot *snapshot;

	pgst_need_shared_memory();
	snapshot = pgst_brief_snapshot();
	if (!pgst_snapshot_is_fresh(snapshot) || !snapshot->ready)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(snapshot->split_brain);
}

Datum
pg_status_primary_reason(PG_FUNCTION_ARGS)
{
	const PgstSnapshot *snapshot;

	pgst_need_shared_memory();
	snapshot = pgst_brief_snapshot();
	if (!pgst_snapshot_is_fresh(snapshot) || !snapshot->ready ||
		snapshot->primary_reason[0] == '\0')
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(pgst_shown(snapshot->primary_reason)));
}

/* Why a primary is fenced, and until when; NULL when it is none. */
static const char *
fence_note(const PgstMajority *majority)
{
	switch ((PgstFenceCause) majority->fence_cause)
	{
		case PGST_FENCE_NO_MAJORITY:
			return "This primary says FENCED until it sees a majority again.";
		case PGST_FENCE_UNREACHABLE:
			return "This primary says FENCED, because a majority cannot reach it.";
		case PGST_FENCE_SUCCESSOR:
			return "This primary says FENCED, because it sees that another server is the "
				   "primary.";
		case PGST_FENCE_OUTVOTED:
			return "This primary says FENCED, because a majority names another primary.";
		case PGST_FENCE_NONE:
			break;
	}
	return NULL;
}

/* What a DBA should know of these numbers; NULL when they speak for themselves. */
static const char *
majority_note(const PgstMajority *majority)
{
	if (!pgst_poller_has_place())
		return "No host is checked: max_worker_processes is too low, and "
			   "pg_status.fence does nothing.";
	if (!majority->known)
		return "Nothing is known of the other nodes.";
	if (majority->fenced)
		return fence_note(majority);
	if (!majority->possible && pgst_fence)
		return "pg_status.fence cannot work: a majority takes at least three nodes that "
			   "run pg_status.";
	if (!majority->possible)
		return "There is no majority: it takes at least three nodes that run pg_status.";
	return NULL;
}

Datum
pg_status_quorum(PG_FUNCTION_ARGS)
{
	PgstNodeFacts node;
	PgstView view;
	PgstMajority majority;
	PgstRow row = {.columns = 0};

	pgst_need_shared_memory();
	view = view_of(pgst_snapshot(), &node);
	pgst_majority(&view, &majority);

	pgst_add(&row, majority.known, Int32GetDatum((int32) majority.voters));
	pgst_add(&row, majority.possible, Int32GetDatum((int32) majority.majority));
	pgst_add(&row, majority.known, Int32GetDatum((int32) majority.voters_in_sight));
	pgst_add(&row, majority.possible, BoolGetDatum(majority.in_sight));
	pgst_add(&row, true, BoolGetDatum(pgst_fence));
	pgst_add(&row, true, BoolGetDatum(majority.fenced));
	pgst_add_text(&row, majority_note(&majority));

	PG_RETURN_DATUM(pgst_one_row(fcinfo, &row));
}
