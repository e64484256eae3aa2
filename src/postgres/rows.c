/*
 * rows.c
 *	  Results of SQL functions that have columns; see rows.h.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "rows.h"

void
pgst_add(PgstRow *row, bool known, Datum value)
{
	Assert(row->columns < PGST_MAX_COLUMNS);
	row->values[row->columns] = known ? value : (Datum) 0;
	row->nulls[row->columns] = !known;
	row->columns++;
}

/* The core's texts are UTF-8. In a database of another encoding only ASCII is sure to be
 * valid. */
const char *
pgst_shown(const char *text)
{
	char *shown;

	if (GetDatabaseEncoding() == PG_UTF8)
		return text;
	shown = pstrdup(text);
	for (char *c = shown; *c != '\0'; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
	return shown;
}

char *
pgst_text_argument(FunctionCallInfo fcinfo, int argument)
{
	char *given = text_to_cstring(PG_GETARG_TEXT_PP(argument));

	return pg_server_to_any(given, (int) strlen(given), PG_UTF8);
}

void
pgst_add_text(PgstRow *row, const char *text)
{
	bool known = text != NULL && text[0] != '\0';

	pgst_add(row, known, known ? CStringGetTextDatum(pgst_shown(text)) : (Datum) 0);
}

void
pgst_add_number(PgstRow *row, bool known, uint64 number)
{
	pgst_add(row, known, Int64GetDatum((int64) Min(number, (uint64) PG_INT64_MAX)));
}

void
pgst_add_time(PgstRow *row, int64 since_1970_us)
{
	TimestampTz time =
		since_1970_us - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	pgst_add(row, since_1970_us != 0, TimestampTzGetDatum(time));
}

/* After an update of the package, the one is of the new version and the other is not: the
 * objects until they are updated, the library until the server is restarted. */
static void
check_columns(TupleDesc descriptor, const PgstRow *row)
{
	if (row->columns == descriptor->natts)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the SQL objects of pg_status are of another version than its "
					"library"),
			 row->columns > descriptor->natts
				 ? errhint("Run ALTER EXTENSION pg_status UPDATE.")
				 : errhint("Restart the server, so that it loads the newer library.")));
}

Datum
pgst_one_row(FunctionCallInfo fcinfo, PgstRow *row)
{
	TupleDesc descriptor;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_columns(descriptor, row);
	return HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(descriptor), row->values, row->nulls));
}

PgstRows
pgst_begin_rows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	PgstRows rows;
	MemoryContext caller;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		(result->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in a context that cannot accept a "
						"set")));

	caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &rows.descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	rows.store = tuplestore_begin_heap(
		(result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	result->returnMode = SFRM_Materialize;
	result->setResult = rows.store;
	result->setDesc = rows.descriptor;
	MemoryContextSwitchTo(caller);
	return rows;
}

void
pgst_put_row(PgstRows *rows, PgstRow *row)
{
	check_columns(rows->descriptor, row);
	tuplestore_putvalues(rows->store, rows->descriptor, row->values, row->nulls);
}
