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

/* More of the same, under the same promises. */
extern void pgst_node_facts(PgstNodeFacts *facts);

#endif /* PGST_NODE_STATE_H */
