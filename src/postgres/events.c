/*
 * events.c
 *	  The SQL functions that tell what has changed, and wait for a change.
 *
 * A session that waits holds nothing but its own snapshot of the database, which is
 *reason enough to let it wait for a bounded time only; it uses no processor time, and
 *ends as any other query does.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "published.h"
#include "rows.h"
#include "shared.h"

PG_FUNCTION_INFO_V1(pg_status_events);
PG_FUNCTION_INFO_V1(pg_status_generation);
PG_FUNCTION_INFO_V1(pg_status_wait);

/* The longest time for pg_status_wait(), in seconds. */
#define MAX_WAIT_S 3600

Datum
pg_status_events(PG_FUNCTION_ARGS)
{
	PgstRows rows;
	PgstEvent *events;
	int count;

	pgst_need_shared_memory();
	rows = pgst_begin_rows(fcinfo);
	count = pgst_copy_events(&events);
	for (int i = 0; i < count; i++)
	{
		const PgstEvent *event = &events[i];
		PgstRow row = {.columns = 0};

		pgst_add_number(&row, true, event->seq);
		pgst_add_time(&row, event->at_wall);
		pgst_add_text(&row, event->host);
		pgst_add_text(&row, event->kind);
		pgst_add_text(&row, event->old_value);
		pgst_add_text(&row, event->new_value);
		pgst_add_text(&row, event->detail);
		pgst_put_row(&rows, &row);
	}
	return (Datum) 0;
}

Datum
pg_status_generation(PG_FUNCTION_ARGS)
{
	pgst_need_shared_memory();
	PG_RETURN_INT64((int64) pgst_generation());
}

Datum
pg_status_wait(PG_FUNCTION_ARGS)
{
	int64 generation = PG_GETARG_INT64(0);
	float8 timeout = PG_GETARG_FLOAT8(1);

	pgst_need_shared_memory();
	if (isnan(timeout) || timeout < 0 || timeout > MAX_WAIT_S)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid timeout"),
				 errdetail("It must be from 0 to %d seconds.", MAX_WAIT_S)));
	PG_RETURN_INT64((int64) pgst_await_change((uint64) generation,
											  (int64) (timeout * USECS_PER_SEC)));
}
