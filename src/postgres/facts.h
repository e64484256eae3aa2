/*
 * facts.h
 *	  What only the inside of this server knows, as the other nodes read it.
 */
#ifndef PGST_FACTS_H
#define PGST_FACTS_H

#include "wall.h"

/*
 * The text of pg_status.facts (probe/server_facts.hpp). For backends: may report that
 * there is no memory, and may read a file of pg_wal. Needs our shared memory.
 */
extern void pgst_facts(char text[PGST_FACTS_SIZE]);

#endif /* PGST_FACTS_H */
