/*
 * operations.c
 *	  What operators may tell pg_status in SQL: take a host out of service, put it back,
 *	  change its weight, have it checked now.
 *
 * Orders hold on this server alone, whatever its role, and change no table: so they work
 * on a standby and in read-only transactions, and are not undone by a rollback. Each
 *waits until both workers have taken it up, so that the next question gets the new
 *answer.
 */
#include "postgres.h"

#include <signal.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "node_state.h"
#include "orders.h"
#include "published.h"
#include "rows.h"
#include "settings.h"
#include "shared.h"

PG_FUNCTION_INFO_V1(pg_status_detach_node);
PG_FUNCTION_INFO_V1(pg_status_detach_node_id);
PG_FUNCTION_INFO_V1(pg_status_attach_node);
PG_FUNCTION_INFO_V1(pg_status_attach_node_id);
PG_FUNCTION_INFO_V1(pg_status_set_weight);
PG_FUNCTION_INFO_V1(pg_status_set_weight_id);
PG_FUNCTION_INFO_V1(pg_status_poll_now);
PG_FUNCTION_INFO_V1(pg_status_reload);
PG_FUNCTION_INFO_V1(pg_status_stats_reset);

/* As for weight= in pg_status.hosts. */
#define MAX_WEIGHT 1000

/* How long to wait for workers that do not answer: this, and two checks. */
#define PATIENCE_US INT64CONST(1000000)
#define LOOK_MS 5

#define NO_HOST PG_UINT32_MAX

/* ----------------------------------------------------------------
 * Which host
 * ----------------------------------------------------------------
 */

static uint32
find_host(const PgstSnapshot *snapshot, const char *name)
{
	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		if (strcmp(snapshot->hosts[i].name, name) == 0)
			return i;
	}
	return NO_HOST;
}

static void
refuse_unknown(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no host \"%s\"", pgst_shown(name)),
			 errhint("Hosts are named as in pg_status.hosts; pg_status_hosts lists "
					 "them.")));
}

static void
need_argument(FunctionCallInfo fcinfo)
{
	pgst_need_shared_memory();
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("which host is meant must not be NULL")));
}

/* The first argument: the name of a host. */
static char *
name_argument(FunctionCallInfo fcinfo)
{
	need_argument(fcinfo);
	return pgst_text_argument(fcinfo, 0);
}

/* The first argument as a node_id: the name of the host that has it. */
static char *
name_of_node_argument(FunctionCallInfo fcinfo)
{
	PgstSnapshot *snapshot;
	int32 node;

	need_argument(fcinfo);
	snapshot = pgst_copy_snapshot();
	node = PG_GETARG_INT32(0);
	if (node >= 0 && (uint32) node < snapshot->host_count)
		return pstrdup(snapshot->hosts[node].name);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("there is no host with node_id %d", node),
					errhint("pg_status_hosts lists the hosts.")));
	return NULL; /* not reached */
}

/* ----------------------------------------------------------------
 * Changing orders
 * ----------------------------------------------------------------
 */

/* The orders under change: a copy with room for one more. */
typedef struct Orders
{
	PgstOrder *list;
	uint32 count;
	List *forgotten; /* names of hosts whose order had to go; to be told */
} Orders;

static Orders
begin_change(void)
{
	Orders orders;
	const PgstOrder *present;

	orders.forgotten = NIL;
	orders.list = palloc0(sizeof(PgstOrder) * ((Size) pgst_max_hosts + 1));
	pgst_load_orders();
	pgst_lock_orders();
	present = pgst_locked_orders(&orders.count);
	memcpy(orders.list, present, sizeof(PgstOrder) * orders.count);
	return orders;
}

/* Whether the order has this host's name, or its place. */
static bool
names(const PgstOrder *order, const PgstHost *host)
{
	return strcmp(order->host, host->name) == 0 ||
		   (strcmp(order->hostname, host->hostname) == 0 && order->port == host->port);
}

static bool
names_any(const PgstOrder *order, const PgstSnapshot *snapshot)
{
	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		if (names(order, &snapshot->hosts[i]))
			return true;
	}
	return false;
}

/*
 * Whether the order is meant for this host, under whichever name it was given. One for
 * this server is for its entry, whatever that is called now; but an alias of it (an
 * address that may be another server's tomorrow) has orders of its own.
 */
static bool
is_for(const PgstOrder *order, const PgstHost *host, const PgstSnapshot *snapshot)
{
	return names(order, host) ||
		   (order->self && host->self && !names_any(order, snapshot));
}

/* The order for this host, which is added where there is none, under its present name. */
static PgstOrder *
order_for(Orders *orders, const PgstHost *host, const PgstSnapshot *snapshot)
{
	PgstOrder *order = NULL;

	for (uint32 i = 0; i < orders->count && order == NULL; i++)
	{
		if (is_for(&orders->list[i], host, snapshot))
			order = &orders->list[i];
	}
	if (order == NULL)
	{
		order = &orders->list[orders->count++];
		memset(order, 0, sizeof(*order));
	}
	strlcpy(order->host, host->name, sizeof(order->host));
	strlcpy(order->hostname, host->hostname, sizeof(order->hostname));
	order->port = host->port;
	return order;
}

static bool
is_listed(const PgstOrder *order, const PgstSnapshot *snapshot)
{
	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		if (is_for(order, &snapshot->hosts[i], snapshot))
			return true;
	}
	return false;
}

static bool
orders_something(const PgstOrder *order)
{
	return order->maintenance != PGST_IN_SERVICE || order->has_weight;
}

/* How little an order is missed when there is no room for it; 0: it has to stay. */
static int
how_dispensable(const PgstOrder *order, const PgstSnapshot *snapshot)
{
	if (!orders_something(order))
		return 3;
	if (order->self || is_listed(order, snapshot))
		return 0;
	return order->maintenance == PGST_IN_SERVICE ? 2 : 1;
}

static void
drop_order(Orders *orders, uint32 index)
{
	orders->count--;
	memmove(&orders->list[index], &orders->list[index + 1],
			sizeof(PgstOrder) * (orders->count - index));
}

/*
 * Orders that order nothing go, but for those of maintenance that have ended lately:
 * load balancers may still have to be told. Those for hosts that are not in the list
 * stay, so that a host that comes back to it is as it was left; until their room is
 * needed.
 */
static void
tidy(Orders *orders, const PgstSnapshot *snapshot)
{
	int64 now = pgst_unix_us(GetCurrentTimestamp());

	for (uint32 i = orders->count; i-- > 0;)
	{
		PgstOrder *order = &orders->list[i];

		if (order->ended && !pgst_ended_lately(order, now))
			order->ended = PGST_IN_SERVICE;
		if (!orders_something(order) && !order->ended)
			drop_order(orders, i);
	}
	while (orders->count > (uint32) pgst_max_hosts)
	{
		uint32 victim = 0;

		for (uint32 i = 1; i < orders->count; i++)
		{
			if (how_dispensable(&orders->list[i], snapshot) >
				how_dispensable(&orders->list[victim], snapshot))
				victim = i;
		}
		if (how_dispensable(&orders->list[victim], snapshot) == 0)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("there are more orders than pg_status.max_hosts")));
		if (orders_something(&orders->list[victim]))
			orders->forgotten =
				lappend(orders->forgotten, pstrdup(orders->list[victim].host));
		drop_order(orders, victim);
	}
}

/* Keeps the orders, puts them into force, and gives the number that they have then. */
static uint64
end_change(Orders *orders, const PgstSnapshot *snapshot)
{
	volatile uint64 number = 0;

	PG_TRY();
	{
		tidy(orders, snapshot);
		pgst_keep_orders(orders->list, orders->count);
		number = pgst_orders_number();
	}
	PG_CATCH();
	{
		pgst_unlock_orders_after_error();
		PG_RE_THROW();
	}
	PG_END_TRY();
	pgst_unlock_orders();
	pgst_sync_kept_orders();
	for (int i = 0; i < list_length(orders->forgotten); i++)
		ereport(LOG, (errmsg("pg_status: the order for host \"%s\", which is not in "
							 "pg_status.hosts, is forgotten",
							 pgst_shown(list_nth(orders->forgotten, i)))));
	pgst_worker_wake(PGST_LISTENER);
	pgst_worker_wake(PGST_POLLER);
	return number;
}

/* ----------------------------------------------------------------
 * Waiting for the workers
 * ----------------------------------------------------------------
 */

/* What is waited for: whether this snapshot shows it. */
typedef struct Awaited
{
	uint64 orders;	 /* orders of this number or a later one */
	uint32 attached; /* this host in service again; or NO_HOST */
	int64 checked;	 /* checks that began at this time or later ... */
	uint32 first;	 /* ... of the hosts from here ... */
	uint32 end;		 /* ... to before here */
	uint64 resets;	 /* counts reset more often than this, unless 0 */
} Awaited;

static bool
is_there(const PgstSnapshot *snapshot, const Awaited *awaited)
{
	if (snapshot->orders < awaited->orders || snapshot->resets < awaited->resets)
		return false;
	if (awaited->attached < snapshot->host_count &&
		snapshot->hosts[awaited->attached].maintenance != PGST_IN_SERVICE)
		return false;
	for (uint32 i = awaited->first; i < Min(awaited->end, snapshot->host_count); i++)
	{
		if (snapshot->hosts[i].last_begun_mono < awaited->checked)
			return false;
	}
	return true;
}

/* The same for the newest snapshot, which is looked at once only. */
static bool
is_published(const Awaited *awaited, uint64 *seen)
{
	uint64 newest = pgst_published();

	if (newest == *seen)
		return false;
	*seen = newest;
	return is_there(pgst_snapshot(), awaited);
}

static bool
is_obeyed(const Awaited *awaited)
{
	return pgst_listener_obeyed() >= awaited->orders ||
		   pgst_worker_last_alive(PGST_LISTENER) == 0;
}

/* A check takes poll_timeout at most; one that has begun before may be in its way. */
static bool
wait_for_workers(const Awaited *awaited)
{
	int64 deadline =
		pgst_monotonic_us() + PATIENCE_US + 2000 * (int64) pgst_poll_timeout_ms;
	uint32 event = pgst_wait_event("PgStatusOperation");
	uint64 seen = PG_UINT64_MAX;
	bool published = false;

	for (;;)
	{
		published = published || is_published(awaited, &seen);
		if (published && is_obeyed(awaited))
			return true;
		if (pgst_worker_last_alive(PGST_POLLER) == 0 || pgst_monotonic_us() >= deadline)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_MS, event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
warn_of_silence(void)
{
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the order is kept, but not all of pg_status has taken it up yet"),
			 errhint("Look for lines of pg_status in the server's log.")));
}

/* ----------------------------------------------------------------
 * Maintenance
 * ----------------------------------------------------------------
 */

static void
warn_of_primary(const PgstHost *host, bool forced)
{
	if (!host->primary || forced)
		return;
	ereport(NOTICE,
			(errmsg("host \"%s\" is the primary, and goes on being named as such",
					pgst_shown(host->name)),
			 host->self
				 ? errdetail("There is no other one to send writes to. The raw port "
							 "of this server says MAINT.")
				 : errdetail("There is no other one to send writes to."),
			 errhint("With force => true it is not named as the primary either.")));
}

/* Whether it is known which of the hosts this server is. */
static bool
knows_itself(const PgstSnapshot *snapshot)
{
	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		if (snapshot->hosts[i].self)
			return true;
	}
	return false;
}

/* One that was not may lead to this server, too. */
static bool
all_were_checked(const PgstSnapshot *snapshot)
{
	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		if (!snapshot->hosts[i].checked)
			return false;
	}
	return true;
}

/*
 * The hosts as an order has to know them. A server that has just started may not have
 * found itself among them: then they are checked first, because an order for this very
 * server has to hold from the first moment of its next start.
 */
static PgstSnapshot *
hosts_to_order(void)
{
	PgstSnapshot *snapshot = pgst_copy_snapshot();
	Awaited awaited = {.attached = NO_HOST, .end = snapshot->host_count};

	if (knows_itself(snapshot) && all_were_checked(snapshot))
		return snapshot;
	awaited.checked = pgst_monotonic_us();
	for (uint32 i = 0; i < awaited.end; i++)
		pgst_ask(PGST_ASK_CHECK, i);
	pgst_worker_wake(PGST_POLLER);
	(void) wait_for_workers(&awaited);
	return pgst_copy_snapshot();
}

static void
warn_of_strangeness(const PgstSnapshot *snapshot, const char *name)
{
	if (!knows_itself(snapshot))
		ereport(
			WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this server has not been found among the hosts"),
			 errdetail("If it is \"%s\", it says so only once it is found, and not right "
					   "after a restart.",
					   pgst_shown(name)),
			 errhint("See that pg_status can connect to this server: last_error in "
					 "pg_status_hosts.")));
}

/* Another entry that leads to the same server, this one; NULL when there is none. */
static const PgstHost *
alias_of(const PgstSnapshot *snapshot, const PgstHost *host)
{
	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		if (&snapshot->hosts[i] != host && host->self && snapshot->hosts[i].self)
			return &snapshot->hosts[i];
	}
	return NULL;
}

static void
warn_of_alias(const PgstSnapshot *snapshot, const PgstHost *host)
{
	const PgstHost *alias = alias_of(snapshot, host);

	if (alias == NULL)
		return;
	ereport(
		WARNING,
		(errmsg("hosts \"%s\" and \"%s\" are this same server", pgst_shown(host->name),
				pgst_shown(alias->name)),
		 errdetail("Only \"%s\" is taken out, and this server says MAINT for as long as "
				   "that leads to it; after a restart as soon as that is found out.",
				   pgst_shown(host->name)),
		 errhint("Name each server once in pg_status.hosts.")));
}

static uint64
take_out(const PgstSnapshot *snapshot, const PgstHost *host, const PgstOrder *wanted)
{
	Orders orders = begin_change();
	PgstOrder *order = order_for(&orders, host, snapshot);

	if (order->maintenance == PGST_IN_SERVICE)
		order->since_wall = pgst_unix_us(GetCurrentTimestamp());
	order->ended = PGST_IN_SERVICE;
	order->maintenance = wanted->maintenance;
	order->forced = wanted->forced;
	memcpy(order->reason, wanted->reason, sizeof(order->reason));
	/* an alias may be another server's tomorrow: that must not be out for good */
	order->self = host->self && alias_of(snapshot, host) == NULL;
	return end_change(&orders, snapshot);
}

static Datum
detach(FunctionCallInfo fcinfo, const char *name)
{
	bool gracefully = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	const char *reason = PG_ARGISNULL(2) ? "" : pgst_text_argument(fcinfo, 2);
	PgstSnapshot *snapshot = hosts_to_order();
	uint32 host = find_host(snapshot, name);
	Awaited awaited = {.attached = NO_HOST};
	PgstOrder wanted;

	if (host == NO_HOST)
		refuse_unknown(name);
	memset(&wanted, 0, sizeof(wanted));
	wanted.maintenance = gracefully ? PGST_DRAIN : PGST_MAINT;
	wanted.forced = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	if (!pgst_set_reason(&wanted, reason))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the reason is too long"),
						errdetail("It may have %d bytes.", PGST_REASON_SIZE - 1)));
	warn_of_primary(&snapshot->hosts[host], wanted.forced);
	warn_of_strangeness(snapshot, name);
	warn_of_alias(snapshot, &snapshot->hosts[host]);

	awaited.orders = take_out(snapshot, &snapshot->hosts[host], &wanted);
	ereport(LOG,
			(errmsg("pg_status: \"%s\" has taken host \"%s\" out of service%s%s",
					GetUserNameFromId(GetUserId(), false), pgst_shown(name),
					wanted.reason[0] != '\0' ? ": " : "", pgst_shown(wanted.reason))));
	if (!wait_for_workers(&awaited))
		warn_of_silence();
	PG_RETURN_BOOL(true);
}

Datum
pg_status_detach_node(PG_FUNCTION_ARGS)
{
	return detach(fcinfo, name_argument(fcinfo));
}

Datum
pg_status_detach_node_id(PG_FUNCTION_ARGS)
{
	return detach(fcinfo, name_of_node_argument(fcinfo));
}

/* Whether any of the orders was one of maintenance for this host, or of this name. */
static bool
end_maintenance(Orders *orders, const char *name, const PgstHost *host,
				const PgstSnapshot *snapshot)
{
	bool found = false;

	for (uint32 i = 0; i < orders->count; i++)
	{
		PgstOrder *order = &orders->list[i];

		if (order->maintenance == PGST_IN_SERVICE ||
			!(strcmp(order->host, name) == 0 ||
			  (host != NULL && is_for(order, host, snapshot))))
			continue;
		order->ended = order->maintenance;
		order->since_wall = pgst_unix_us(GetCurrentTimestamp());
		order->maintenance = PGST_IN_SERVICE;
		order->forced = 0;
		order->reason[0] = '\0';
		found = true;
	}
	return found;
}

static void
tell_of_nothing_to_do(const Orders *orders, const char *name)
{
	const char *own = NULL;

	for (uint32 i = 0; i < orders->count; i++)
	{
		if (orders->list[i].self && orders->list[i].maintenance != PGST_IN_SERVICE)
			own = orders->list[i].host;
	}
	ereport(NOTICE,
			(errmsg("host \"%s\" was not out of service", pgst_shown(name)),
			 own != NULL ? errdetail("This server itself is, as \"%s\".", pgst_shown(own))
						 : 0));
}

static Datum
attach(const char *name)
{
	PgstSnapshot *snapshot = pgst_copy_snapshot();
	uint32 index = find_host(snapshot, name);
	const PgstHost *host = index == NO_HOST ? NULL : &snapshot->hosts[index];
	Orders orders = begin_change();
	Awaited awaited = {.attached = index};

	/* a host that is not in the list any more may still have an order */
	if (!end_maintenance(&orders, name, host, snapshot))
	{
		pgst_unlock_orders();
		if (host == NULL)
			refuse_unknown(name);
		tell_of_nothing_to_do(&orders, name);
		PG_RETURN_BOOL(true);
	}
	awaited.orders = end_change(&orders, snapshot);

	ereport(LOG, (errmsg("pg_status: \"%s\" has put host \"%s\" back into service",
						 GetUserNameFromId(GetUserId(), false), pgst_shown(name))));
	if (!wait_for_workers(&awaited))
		ereport(NOTICE, (errmsg("host \"%s\" is in service again as soon as it answers",
								pgst_shown(name))));
	PG_RETURN_BOOL(true);
}

Datum
pg_status_attach_node(PG_FUNCTION_ARGS)
{
	return attach(name_argument(fcinfo));
}

Datum
pg_status_attach_node_id(PG_FUNCTION_ARGS)
{
	return attach(name_of_node_argument(fcinfo));
}

/* ----------------------------------------------------------------
 * Weight
 * ----------------------------------------------------------------
 */

static Datum
set_weight(FunctionCallInfo fcinfo, const char *name)
{
	bool has_weight = !PG_ARGISNULL(1);
	float4 weight = has_weight ? PG_GETARG_FLOAT4(1) : 0;
	PgstSnapshot *snapshot = pgst_copy_snapshot();
	uint32 host = find_host(snapshot, name);
	PgstOrder *order;
	Orders orders;
	Awaited awaited = {.attached = NO_HOST};

	if (host == NO_HOST)
		refuse_unknown(name);
	if (!(weight >= 0 && weight <= MAX_WEIGHT))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("weight must be between 0 and %d", MAX_WEIGHT)));

	orders = begin_change();
	order = order_for(&orders, &snapshot->hosts[host], snapshot);
	order->has_weight = has_weight;
	order->weight = weight;
	awaited.orders = end_change(&orders, snapshot);
	if (!wait_for_workers(&awaited))
		warn_of_silence();
	PG_RETURN_BOOL(true);
}

Datum
pg_status_set_weight(PG_FUNCTION_ARGS)
{
	return set_weight(fcinfo, name_argument(fcinfo));
}

Datum
pg_status_set_weight_id(PG_FUNCTION_ARGS)
{
	return set_weight(fcinfo, name_of_node_argument(fcinfo));
}

/* ----------------------------------------------------------------
 * The workers
 * ----------------------------------------------------------------
 */

/* The host that the first argument names, or all of them. */
static void
hosts_argument(FunctionCallInfo fcinfo, const PgstSnapshot *snapshot, uint32 *first,
			   uint32 *end)
{
	const char *name;

	*first = 0;
	*end = snapshot->host_count;
	if (PG_ARGISNULL(0))
		return;
	name = name_argument(fcinfo);
	*first = find_host(snapshot, name);
	if (*first == NO_HOST)
		refuse_unknown(name);
	*end = *first + 1;
}

Datum
pg_status_poll_now(PG_FUNCTION_ARGS)
{
	Awaited awaited = {.attached = NO_HOST};

	pgst_need_shared_memory();
	hosts_argument(fcinfo, pgst_copy_snapshot(), &awaited.first, &awaited.end);
	awaited.checked = pgst_monotonic_us();
	for (uint32 i = awaited.first; i < awaited.end; i++)
		pgst_ask(PGST_ASK_CHECK, i);
	pgst_worker_wake(PGST_POLLER);
	PG_RETURN_BOOL(wait_for_workers(&awaited));
}

Datum
pg_status_stats_reset(PG_FUNCTION_ARGS)
{
	PgstSnapshot *snapshot;
	uint32 first;
	uint32 end;
	Awaited awaited = {.attached = NO_HOST};

	pgst_need_shared_memory();
	snapshot = pgst_copy_snapshot();
	hosts_argument(fcinfo, snapshot, &first, &end);
	awaited.resets = snapshot->resets + 1;
	for (uint32 i = first; i < end; i++)
	{
		pgst_set_handed_out(i, 0);
		pgst_ask(PGST_ASK_RESET, i);
	}
	if (first == end)
		PG_RETURN_BOOL(false);
	pgst_worker_wake(PGST_POLLER);
	PG_RETURN_BOOL(wait_for_workers(&awaited));
}

/* What pg_reload_conf() does: a worker that read the files by itself would be at odds
 * with the processes that are started after it. */
Datum
pg_status_reload(PG_FUNCTION_ARGS)
{
	if (kill(PostmasterPid, SIGHUP) != 0)
	{
		ereport(WARNING, (errmsg("could not send a signal to the postmaster: %m")));
		PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}
