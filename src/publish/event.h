/*
 * An event as plain data of fixed size, as it lies in shared memory: written by the poller alone,
 * copied by everyone else. What kinds there are, and what their values mean, stands in
 * judge/events.hpp; texts are as in snapshot.h, "" being "none".
 */
#ifndef PG_STATUS_PUBLISH_EVENT_H
#define PG_STATUS_PUBLISH_EVENT_H

#include <stdint.h>

#include "publish/snapshot.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PGST_EVENTS 1024 /* so many are kept; the oldest go first */
#define PGST_EVENT_KIND_SIZE 32
#define PGST_EVENT_DETAIL_SIZE 256

typedef struct PgstEvent {
  uint64_t seq; /* one more with each event; until it is in shared memory, how many were lost before
                   it */
  int64_t at_wall;           /* of the judgement that brought it */
  char host[PGST_NAME_SIZE]; /* "" it is about the cluster */
  char kind[PGST_EVENT_KIND_SIZE];
  char old_value[PGST_NAME_SIZE]; /* a host's name has room */
  char new_value[PGST_NAME_SIZE];
  char detail[PGST_EVENT_DETAIL_SIZE]; /* "" nothing more is known; may hold addresses */
} PgstEvent;

#ifdef __cplusplus
}
#endif

#endif /* PG_STATUS_PUBLISH_EVENT_H */
