/*
 * node_state.h
 *	  The state of this server, read live.
 */
#ifndef PGST_NODE_STATE_H
#define PGST_NODE_STATE_H

#include "datatype/timestamp.h"

#include "wall.h"

/*
 * Never reports an error, never waits; cheap enough for each connection. Works in any
 * process that has shared memory, also during recovery.
 */
extern PgstNodeState pgst_node_state(void);

/* More of the same, under the same promises. */
extern void pgst_node_facts(PgstNodeFacts *facts);

/*
 * What the WAL receiver does, under the same promises: streaming only while it is
 * connected and its sender has begun to send.
 */
extern PgstReceiver pgst_receiver_state(void);

/* Microseconds since 1970. */
extern int64 pgst_unix_us(TimestampTz time);

#endif /* PGST_NODE_STATE_H */
