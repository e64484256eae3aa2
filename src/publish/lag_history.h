/*
 * How far each standby was behind over the last ten minutes, as plain data of fixed size: it lies
 * in shared memory beside the snapshot, written by the poller alone and copied by who shows it, and
 * it outlives a poller.
 *
 * Time is cut into columns of PGST_LAG_COLUMN_US, numbered by the monotonic clock. A column holds
 * the worst that was known in its time, so that no short peak is lost.
 */
#ifndef PG_STATUS_PUBLISH_LAG_HISTORY_H
#define PG_STATUS_PUBLISH_LAG_HISTORY_H

#include <stdint.h>

#include "publish/snapshot.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PGST_LAG_COLUMNS 120
#define PGST_LAG_COLUMN_US ((int64_t)5 * 1000000)

#define PGST_LAG_UNKNOWN UINT64_MAX /* also of a host that was no standby then */

/* Of one host. All zero: nobody's. */
typedef struct PgstLagHistory {
  char host[PGST_NAME_SIZE]; /* whose it is; "" nobody's, and nothing else means anything */
  int64_t newest;            /* the newest column */
  /* column n is at n modulo PGST_LAG_COLUMNS; there are those from newest - PGST_LAG_COLUMNS + 1 */
  uint64_t ms[PGST_LAG_COLUMNS];
  uint64_t bytes[PGST_LAG_COLUMNS];
  uint64_t last_ms; /* what was noted last */
  uint64_t last_bytes;
} PgstLagHistory;

#ifdef __cplusplus
}
#endif

#endif /* PG_STATUS_PUBLISH_LAG_HISTORY_H */
