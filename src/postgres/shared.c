/*
 * shared.c
 *	  Shared memory: layout, set-up, and the only code that touches it.
 *
 * The snapshot has one writer and many readers under one LWLock; both copy and do nothing
 *else while they hold it. The rest is atomics. Nothing here is a pointer, so a worker's
 *death leaves nothing dangling.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "compat.h"
#include "settings.h"
#include "shared.h"

#define PGST_TRANCHE "pg_status"

typedef struct SharedWorker
{
	pg_atomic_uint64 alive;		  /* monotonic microseconds, 0: not there */
	pg_atomic_uint32 proc_number; /* of its PGPROC, meaningful while alive != 0 */
	pg_atomic_uint32 pid;
} SharedWorker;

typedef struct SharedState
{
	SharedWorker workers[PGST_WORKERS];
	pg_atomic_uint32 promotions;
	pg_atomic_uint64 cursor;	 /* see choose.hpp */
	pg_atomic_uint64 generation; /* of the snapshot */
	PgstSnapshot snapshot;		 /* last: it has room for max_hosts hosts */
} SharedState;

static SharedState *shared = NULL;
static LWLock *snapshot_lock = NULL;

static shmem_startup_hook_type previous_startup_hook = NULL;
#ifdef PGST_HAVE_SHMEM_REQUEST_HOOK
static shmem_request_hook_type previous_request_hook = NULL;
#endif

static Size
shared_size(void)
{
	return add_size(offsetof(SharedState, snapshot), pgst_snapshot_size(pgst_max_hosts));
}

static void
request_memory(void)
{
#ifdef PGST_HAVE_SHMEM_REQUEST_HOOK
	if (previous_request_hook)
		previous_request_hook();
#endif
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche(PGST_TRANCHE, 1);
}

static void
set_up_memory(void)
{
	bool found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("pg_status", shared_size(), &found);
	if (!found)
	{
		memset(shared, 0, shared_size());
		for (int i = 0; i < PGST_WORKERS; i++)
		{
			pg_atomic_init_u64(&shared->workers[i].alive, 0);
			pg_atomic_init_u32(&shared->workers[i].proc_number, 0);
			pg_atomic_init_u32(&shared->workers[i].pid, 0);
		}
		pg_atomic_init_u32(&shared->promotions, 0);
		pg_atomic_init_u64(&shared->cursor, 0);
		pg_atomic_init_u64(&shared->generation, 0);
		shared->snapshot.max_hosts = pgst_max_hosts;
		shared->snapshot.primary = -1;
	}
	snapshot_lock = &GetNamedLWLockTranche(PGST_TRANCHE)->lock;
	LWLockRelease(AddinShmemInitLock);
}

void
pgst_install_shared_memory(void)
{
#ifdef PGST_HAVE_SHMEM_REQUEST_HOOK
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
#else
	request_memory();
#endif
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = set_up_memory;
}

bool
pgst_shared_memory_exists(void)
{
	return shared != NULL;
}

/* before_shmem_exit callback */
static void
worker_leaves(int code, Datum worker)
{
	pg_atomic_write_u64(&shared->workers[DatumGetInt32(worker)].alive, 0);
}

void
pgst_worker_enter(PgstWorker worker)
{
	SharedWorker *self = &shared->workers[worker];

	/* first the clean-up, then what it cleans */
	before_shmem_exit(worker_leaves, Int32GetDatum(worker));
	pg_atomic_write_u32(&self->proc_number, (uint32) pgst_my_proc_number());
	pg_atomic_write_u32(&self->pid, (uint32) MyProcPid);
	pgst_worker_alive(worker);
}

void
pgst_worker_alive(PgstWorker worker)
{
	pg_atomic_write_u64(&shared->workers[worker].alive, (uint64) pgst_monotonic_us());
}

int64
pgst_worker_last_alive(PgstWorker worker)
{
	return (int64) pg_atomic_read_u64(&shared->workers[worker].alive);
}

/* The latch may belong to another process by now; a latch set for nothing does no harm.
 */
void
pgst_worker_wake(PgstWorker worker)
{
	if (pgst_worker_last_alive(worker) != 0)
	{
		uint32 number = pg_atomic_read_u32(&shared->workers[worker].proc_number);

		SetLatch(&ProcGlobal->allProcs[number].procLatch);
	}
}

void
pgst_announce_promotion(void)
{
	pg_atomic_fetch_add_u32(&shared->promotions, 1);
	pgst_worker_wake(PGST_POLLER);
	pgst_worker_wake(PGST_LISTENER);
}

uint32
pgst_promotions(void)
{
	return pg_atomic_read_u32(&shared->promotions);
}

void
pgst_publish(const PgstSnapshot *snapshot)
{
	Size size = pgst_snapshot_size(Min(snapshot->host_count, (uint32) pgst_max_hosts));

	LWLockAcquire(snapshot_lock, LW_EXCLUSIVE);
	memcpy(&shared->snapshot, snapshot, size);
	LWLockRelease(snapshot_lock);
	pg_atomic_write_u64(&shared->generation, snapshot->generation);
}

bool
pgst_published_is_recent(void)
{
	bool recent;

	LWLockAcquire(snapshot_lock, LW_SHARED);
	recent =
		shared->snapshot.layout == PGST_SNAPSHOT_LAYOUT &&
		pgst_monotonic_us() - shared->snapshot.made_mono <= shared->snapshot.stale_after;
	LWLockRelease(snapshot_lock);
	return recent;
}

PgstSnapshot *
pgst_copy_snapshot(void)
{
	PgstSnapshot *copy = palloc(pgst_snapshot_size(pgst_max_hosts));

	LWLockAcquire(snapshot_lock, LW_SHARED);
	memcpy(copy, &shared->snapshot, pgst_snapshot_size(shared->snapshot.host_count));
	LWLockRelease(snapshot_lock);
	return copy;
}

bool
pgst_refresh_snapshot(PgstSnapshot *copy, uint64 *generation)
{
	uint64 newest = pg_atomic_read_u64(&shared->generation);

	if (newest == *generation || !LWLockConditionalAcquire(snapshot_lock, LW_SHARED))
		return false;
	memcpy(copy, &shared->snapshot, pgst_snapshot_size(shared->snapshot.host_count));
	LWLockRelease(snapshot_lock);
	*generation = newest;
	return true;
}

uint64_t
pgst_cursor(void)
{
	return pg_atomic_read_u64(&shared->cursor);
}

bool
pgst_move_cursor(uint64_t from, uint64_t to)
{
	uint64 expected = from;

	return pg_atomic_compare_exchange_u64(&shared->cursor, &expected, to);
}

bool
pgst_snapshot_is_fresh(const PgstSnapshot *snapshot)
{
	return pgst_is_fresh(snapshot, pgst_worker_last_alive(PGST_POLLER),
						 pgst_monotonic_us());
}

/*
 * Another request may take its turn between our look at the cursor and our move: then the
 * choice is made anew, so that every turn is taken once.
 */
const PgstHost *
pgst_choose_host(const PgstSnapshot *snapshot, const PgstWish *wish)
{
	int64 alive = pgst_worker_last_alive(PGST_POLLER);
	int64 now = pgst_monotonic_us();
	uint64 cursor = pg_atomic_read_u64(&shared->cursor);

	for (;;)
	{
		PgstChoice choice = pgst_choose(snapshot, wish, cursor, alive, now);

		if (choice.next_cursor == cursor ||
			pg_atomic_compare_exchange_u64(&shared->cursor, &cursor, choice.next_cursor))
			return choice.host < 0 ? NULL : &snapshot->hosts[choice.host];
	}
}
