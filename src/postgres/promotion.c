/*
 * promotion.c
 *	  The worker that the postmaster starts when recovery has ended: it wakes the others
 *and is gone.
 */
#include "postgres.h"

#include "compat.h"
#include "shared.h"
#include "worker.h"

/* Returning is exit code 0: it is not started again until recovery ends once more, after
 * a restart of the server. */
void
pgst_promotion_main(Datum arg)
{
	pgst_announce_promotion();
}
