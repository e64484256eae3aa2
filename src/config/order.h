/*
 * Operators' orders: what people have told this server to make of a host, whatever its state.
 *
 * Plain data like the snapshot: it lives in shared memory and crosses the wall. Texts are
 * NUL-terminated UTF-8 without control characters.
 */
#ifndef PG_STATUS_CONFIG_ORDER_H
#define PG_STATUS_CONFIG_ORDER_H

#include <stdint.h>

#define PGST_ORDER_NAME_SIZE 264     /* of a host entry */
#define PGST_ORDER_HOSTNAME_SIZE 256 /* likewise */
#define PGST_REASON_SIZE 201 /* fits into a HAProxy agent's line, with what stands around it */

typedef enum PgstMaintenance {
  PGST_IN_SERVICE = 0,
  PGST_MAINT = 1, /* taken out at once */
  PGST_DRAIN = 2  /* taken out gracefully: load balancers let sessions end */
} PgstMaintenance;

typedef struct PgstOrder {
  char host[PGST_ORDER_NAME_SIZE];         /* the entry's name ... */
  char hostname[PGST_ORDER_HOSTNAME_SIZE]; /* ... and place, by which it is known as well */
  char reason[PGST_REASON_SIZE];           /* why it is in maintenance; "" not given */
  uint8_t maintenance;                     /* PgstMaintenance */
  uint8_t forced;                          /* also as the primary */
  uint8_t self;                            /* it is this very server */
  uint8_t has_weight;
  uint8_t ended;       /* PgstMaintenance that has ended, at since_wall; 0 when none has lately */
  uint8_t reserved[2]; /* 0 */
  int32_t port;
  int32_t unused;     /* keeps what follows at 8 bytes; 0 */
  int64_t since_wall; /* maintenance began, or ended; microseconds since 1970-01-01 UTC */
  double weight;      /* instead of the entry's */
} PgstOrder;

#endif /* PG_STATUS_CONFIG_ORDER_H */
