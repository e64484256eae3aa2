/*
 * node_state.h
 *	  The state of this server, read live.
 */
#ifndef PGST_NODE_STATE_H
#define PGST_NODE_STATE_H

#include "wall.h"

/*
 * Never reports an error, never waits; cheap enough for each connection. Works in any
 * process that has shared memory, also during recovery.
 */
extern PgstNodeState pgst_node_state(void);

#endif /* PGST_NODE_STATE_H */
