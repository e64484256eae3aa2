/*
 * rows.h
 *	  Results of SQL functions that have columns. Columns are added from left to right, so
 *that the code reads like the CREATE FUNCTION.
 *
 * A row that has not as many columns as the function was declared with is an error that
 *says what to do: then the SQL objects are of another version than the library.
 */
#ifndef PGST_ROWS_H
#define PGST_ROWS_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/tuplestore.h"

#define PGST_MAX_COLUMNS 40

/* One row under construction; to be begun with {.columns = 0}. */
typedef struct PgstRow
{
	Datum values[PGST_MAX_COLUMNS];
	bool nulls[PGST_MAX_COLUMNS];
	int columns;
} PgstRow;

/* Adds a column; NULL when the value is not known. */
extern void pgst_add(PgstRow *row, bool known, Datum value);
/* A text of the core in the encoding of the database, as far as that is sure to have it.
 */
extern const char *pgst_shown(const char *text);

/* The other way round: an argument in the encoding of the core's texts. */
extern char *pgst_text_argument(FunctionCallInfo fcinfo, int argument);

/* A text of the core; NULL for NULL and "". */
extern void pgst_add_text(PgstRow *row, const char *text);
/* A bigint. Larger numbers than it holds are shown as its largest: still beyond every
 * limit. */
extern void pgst_add_number(PgstRow *row, bool known, uint64 number);
/* A timestamptz from microseconds since 1970; NULL for 0. */
extern void pgst_add_time(PgstRow *row, int64 since_1970_us);

/* The result of a function that returns one row. */
extern Datum pgst_one_row(FunctionCallInfo fcinfo, PgstRow *row);

/* The rows of a function that returns a set of them, all made at once. */
typedef struct PgstRows
{
	TupleDesc descriptor;
	Tuplestorestate *store;
} PgstRows;

extern PgstRows pgst_begin_rows(FunctionCallInfo fcinfo);
extern void pgst_put_row(PgstRows *rows, PgstRow *row);

#endif /* PGST_ROWS_H */
