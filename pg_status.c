/*
 * pg_status.c
 *	  The module: what happens when the server loads the library.
 *
 * pg_status tells from memory who the primary of a streaming-replication cluster is,
 *which standbys are good to read from and what state this node is in. It observes and
 *tells; it never promotes, demotes or stops anything.
 *
 * Where things are: src/postgres is the side of the server (settings, shared memory,
 *workers, SQL functions); the rest of src is the core, in C++, behind src/wall.h.
 *CONTRIBUTING.md has the map.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "compat.h"
#include "orders.h"
#include "settings.h"
#include "shared.h"
#include "version.h"
#include "worker.h"

PGST_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	/* pg_upgrade loads every library it finds, and wants nothing of it but that it loads
	 */
	if (IsBinaryUpgrade)
		return;

	/*
	 * A server that does not preload it must be able to load it all the same: CREATE
	 * EXTENSION does, of whoever restores a dump there. The functions say what is
	 * missing. (An error here would also cost memory that nobody frees, each time.)
	 */
	if (!process_shared_preload_libraries_in_progress)
		return;

	pgst_define_settings();
	pgst_install_shared_memory();
	pgst_register_workers();
	pgst_disown_copied_orders();
}
