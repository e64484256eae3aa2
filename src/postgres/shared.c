/*
 * shared.c
 *	  Shared memory: layout, set-up, and, with published.c, the only code that touches it.
 *
 * The orders and the history of the timeline have an LWLock each, and whoever holds one
 * copies and does nothing else. Who changes orders holds one more, also while he writes a
 * file: no worker waits for that one but when it starts. The rest is atomics. Nothing
 * here is a pointer, so a worker's death leaves nothing dangling.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "node_state.h"
#include "published.h"
#include "settings.h"
#include "shared.h"

#define PGST_TRANCHE "pg_status"

/* What the locks of the tranche are for. */
#define ORDERS_LOCK 0
#define CHANGE_LOCK 1 /* held while a file is written */
#define HISTORY_LOCK 2
#define LOCKS 3

/* How soon a lock is tried again that somebody holds. */
#define LOOK_AGAIN_MS 10

#define ASKED_WORDS (PGST_MOST_HOSTS / 32)

/* What is known of default_transaction_read_only. */
#define READ_ONLY_UNKNOWN 0
#define READ_ONLY_OFF 1
#define READ_ONLY_ON 2

typedef struct SharedWorker
{
	pg_atomic_uint64 alive;		  /* monotonic microseconds, 0: not there */
	pg_atomic_uint32 proc_number; /* of its PGPROC, meaningful while alive != 0 */
	pg_atomic_uint32 pid;
} SharedWorker;

/* How the timeline came about that this server is on. */
typedef struct SharedHistory
{
	TimeLineID timeline; /* 0: nobody has asked */
	bool known;
	int64 read_mono; /* when it was looked for */
	PgstHistory history;
} SharedHistory;

typedef struct SharedState
{
	SharedWorker workers[PGST_WORKERS];
	pg_atomic_uint32 reloads; /* see pgst_count_reload() */
	pg_atomic_uint32 promotions;
	pg_atomic_uint64 cursor; /* see choose.hpp */
	pg_atomic_uint64 orders_number;
	pg_atomic_uint64 orders_obeyed; /* by the listener */
	uint32 order_count;
	SharedHistory history;
	pg_atomic_uint32 stuck; /* for how many seconds; with whom `serving` says */
	char serving[PGST_NAME_SIZE];
	PgstSpared spared[PGST_SPARED];
	pg_atomic_uint64 promoting_since; /* microseconds since 1970, 0: not asked for */
	slock_t address_mutex;
	char address[PGST_ADDRESS_SIZE]; /* of the snapshot, for who asks without its lock */
	pg_atomic_uint32 read_only;
	pg_atomic_uint32 any_asked[PGST_ASKS];
	pg_atomic_uint32 asked[PGST_ASKS][ASKED_WORDS]; /* a bit for each host */
	/* behind this: an order and a count of how often it was handed out for each host, and
	 * what is published */
} SharedState;

static SharedState *shared = NULL;
static LWLock *orders_lock = NULL;
static LWLock *change_lock = NULL;
static LWLock *history_lock = NULL;
static PgstOrder *orders = NULL;
static pg_atomic_uint64 *handed_out = NULL;

/* What `reloads` was when the postmaster started this process. */
static uint32 inherited_reloads = 0;

static shmem_startup_hook_type previous_startup_hook = NULL;
#ifdef PGST_HAVE_SHMEM_REQUEST_HOOK
static shmem_request_hook_type previous_request_hook = NULL;
#endif

static Size
orders_offset(void)
{
	return MAXALIGN(sizeof(SharedState));
}

static Size
counts_offset(void)
{
	return MAXALIGN(
		add_size(orders_offset(), mul_size(sizeof(PgstOrder), pgst_max_hosts)));
}

static Size
published_offset(void)
{
	return CACHELINEALIGN(
		add_size(counts_offset(), mul_size(sizeof(pg_atomic_uint64), pgst_max_hosts)));
}

static Size
shared_size(void)
{
	return add_size(published_offset(), pgst_published_size());
}

static void
request_memory(void)
{
#ifdef PGST_HAVE_SHMEM_REQUEST_HOOK
	if (previous_request_hook)
		previous_request_hook();
#endif
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche(PGST_TRANCHE, LOCKS);
}

static void
set_up_memory(void)
{
	bool found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("pg_status", shared_size(), &found);
	orders = (PgstOrder *) ((char *) shared + orders_offset());
	handed_out = (pg_atomic_uint64 *) ((char *) shared + counts_offset());
	if (!found)
	{
		memset(shared, 0, shared_size());
		for (int i = 0; i < PGST_WORKERS; i++)
		{
			pg_atomic_init_u64(&shared->workers[i].alive, 0);
			pg_atomic_init_u32(&shared->workers[i].proc_number, 0);
			pg_atomic_init_u32(&shared->workers[i].pid, 0);
		}
		pg_atomic_init_u32(&shared->reloads, 0);
		inherited_reloads = 0;
		pg_atomic_init_u32(&shared->promotions, 0);
		pg_atomic_init_u64(&shared->cursor, 0);
		pg_atomic_init_u64(&shared->orders_number, 0);
		pg_atomic_init_u64(&shared->orders_obeyed, 0);
		pg_atomic_init_u32(&shared->stuck, 0);
		pg_atomic_init_u64(&shared->promoting_since, 0);
		SpinLockInit(&shared->address_mutex);
		pg_atomic_init_u32(&shared->read_only, READ_ONLY_UNKNOWN);
		for (int what = 0; what < PGST_ASKS; what++)
		{
			pg_atomic_init_u32(&shared->any_asked[what], 0);
			for (int i = 0; i < ASKED_WORDS; i++)
				pg_atomic_init_u32(&shared->asked[what][i], 0);
		}
		for (int i = 0; i < pgst_max_hosts; i++)
			pg_atomic_init_u64(&handed_out[i], 0);
	}
	pgst_use_published((char *) shared + published_offset(), !found);
	orders_lock = &GetNamedLWLockTranche(PGST_TRANCHE)[ORDERS_LOCK].lock;
	change_lock = &GetNamedLWLockTranche(PGST_TRANCHE)[CHANGE_LOCK].lock;
	history_lock = &GetNamedLWLockTranche(PGST_TRANCHE)[HISTORY_LOCK].lock;
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

void
pgst_need_shared_memory(void)
{
	if (!pgst_shared_memory_exists())
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("pg_status must be loaded through \"shared_preload_libraries\""),
			 errhint("Add pg_status to \"shared_preload_libraries\" in postgresql.conf "
					 "and restart the server.")));
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

char *
pgst_serving(void)
{
	return shared->serving;
}

void
pgst_count_reload(void)
{
	if (shared != NULL && IsPostmasterEnvironment && !IsUnderPostmaster)
		inherited_reloads = pg_atomic_add_fetch_u32(&shared->reloads, 1);
}

bool
pgst_missed_reload(void)
{
	return pg_atomic_read_u32(&shared->reloads) != inherited_reloads;
}

void
pgst_poller_was_stuck(uint32 seconds)
{
	pg_atomic_write_u32(&shared->stuck, seconds);
}

uint32
pgst_take_stuck(char name[PGST_NAME_SIZE])
{
	uint32 seconds = pg_atomic_exchange_u32(&shared->stuck, 0);

	shared->serving[PGST_NAME_SIZE - 1] = '\0';
	strlcpy(name, shared->serving, PGST_NAME_SIZE);
	return seconds;
}

PgstSpared *
pgst_spared(void)
{
	return shared->spared;
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
pgst_remember_address(const char address[PGST_ADDRESS_SIZE])
{
	SpinLockAcquire(&shared->address_mutex);
	memcpy(shared->address, address, PGST_ADDRESS_SIZE);
	SpinLockRelease(&shared->address_mutex);
}

void
pgst_own_address(char address[PGST_ADDRESS_SIZE])
{
	SpinLockAcquire(&shared->address_mutex);
	memcpy(address, shared->address, PGST_ADDRESS_SIZE);
	SpinLockRelease(&shared->address_mutex);
	address[PGST_ADDRESS_SIZE - 1] = '\0';
}

uint64
pgst_orders_number(void)
{
	return pg_atomic_read_u64(&shared->orders_number);
}

void
pgst_listener_obeys(uint64 number)
{
	pg_atomic_write_u64(&shared->orders_obeyed, number);
}

uint64
pgst_listener_obeyed(void)
{
	return pg_atomic_read_u64(&shared->orders_obeyed);
}

int
pgst_copy_orders(PgstOrder *copy, uint64 *number, bool wait)
{
	int count;

	if (wait)
		LWLockAcquire(orders_lock, LW_SHARED);
	else if (!LWLockConditionalAcquire(orders_lock, LW_SHARED))
		return -1;
	count = (int) shared->order_count;
	memcpy(copy, orders, sizeof(PgstOrder) * count);
	*number = pg_atomic_read_u64(&shared->orders_number);
	LWLockRelease(orders_lock);
	return count;
}

/* As long as there are no orders, that takes no memory. */
const PgstOrder *
pgst_orders(uint32 *count)
{
	static PgstOrder *kept = NULL;
	static uint32 kept_count = 0;
	static uint64 kept_number = 0;

	if (pgst_orders_number() != kept_number)
	{
		uint64 number;
		PgstOrder *copy = palloc(sizeof(PgstOrder) * pgst_max_hosts);
		int copied = pgst_copy_orders(copy, &number, true);
		PgstOrder *former = kept;

		if (copied > 0)
			kept = MemoryContextAlloc(TopMemoryContext, sizeof(PgstOrder) * copied);
		else
			kept = NULL;
		if (copied > 0)
			memcpy(kept, copy, sizeof(PgstOrder) * copied);
		kept_count = (uint32) copied;
		kept_number = number;
		if (former != NULL)
			pfree(former);
		pfree(copy);
	}
	*count = kept_count;
	return kept;
}

/*
 * Two locks, because a file is written while the orders are being changed: who only reads
 * them is kept out for the moment of the copy alone.
 */
void
pgst_lock_orders(void)
{
	uint32 event = pgst_wait_event("PgStatusOrders");

	while (!LWLockConditionalAcquire(change_lock, LW_EXCLUSIVE))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_AGAIN_MS, event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ShutdownRequestPending) /* of a worker */
			proc_exit(1);
	}
}

const PgstOrder *
pgst_locked_orders(uint32 *count)
{
	Assert(LWLockHeldByMe(change_lock));
	*count = shared->order_count;
	return orders;
}

void
pgst_replace_orders(const PgstOrder *replacement, uint32 count)
{
	Assert(LWLockHeldByMe(change_lock));
	LWLockAcquire(orders_lock, LW_EXCLUSIVE);
	memcpy(orders, replacement, sizeof(PgstOrder) * count);
	shared->order_count = count;
	pg_atomic_fetch_add_u64(&shared->orders_number, 1);
	LWLockRelease(orders_lock);
}

void
pgst_unlock_orders(void)
{
	LWLockRelease(change_lock);
}

/* (an error has forgotten what the lock held off, which its release is to take back) */
void
pgst_unlock_orders_after_error(void)
{
	HOLD_INTERRUPTS();
	LWLockRelease(change_lock);
}

/* First the wish, then the word that there is one; the poller looks the other way round.
 */
void
pgst_ask(PgstAsk what, uint32 host)
{
	pg_atomic_fetch_or_u32(&shared->asked[what][host / 32], (uint32) 1 << host % 32);
	pg_atomic_write_u32(&shared->any_asked[what], 1);
}

bool
pgst_take_asked(PgstAsk what, uint32 *host)
{
	if (pg_atomic_read_u32(&shared->any_asked[what]) == 0)
		return false;
	pg_atomic_exchange_u32(&shared->any_asked[what], 0);
	for (uint32 word = 0; word < ASKED_WORDS; word++)
	{
		uint32 asked = pg_atomic_read_u32(&shared->asked[what][word]);

		if (asked == 0)
			continue;
		*host = word * 32 + (uint32) pg_rightmost_one_pos32(asked);
		pg_atomic_fetch_and_u32(&shared->asked[what][word], ~((uint32) 1 << *host % 32));
		pg_atomic_write_u32(&shared->any_asked[what], 1); /* there may be more */
		return true;
	}
	return false;
}

void
pgst_handed_out(uint32_t host)
{
	pg_atomic_fetch_add_u64(&handed_out[host], 1);
}

uint64
pgst_times_handed_out(uint32 host)
{
	return pg_atomic_read_u64(&handed_out[host]);
}

void
pgst_set_handed_out(uint32 host, uint64 times)
{
	pg_atomic_write_u64(&handed_out[host], times);
}

bool
pgst_recall_history(TimeLineID timeline, int64 retry_us, bool *known,
					PgstHistory *history)
{
	const SharedHistory *kept = &shared->history;
	int64 now = pgst_monotonic_us();
	bool good;

	LWLockAcquire(history_lock, LW_SHARED);
	good =
		kept->timeline == timeline && (kept->known || now - kept->read_mono < retry_us);
	*known = good && kept->known;
	if (*known)
		*history = kept->history;
	LWLockRelease(history_lock);
	return good;
}

void
pgst_remember_history(TimeLineID timeline, const PgstHistory *history)
{
	SharedHistory *kept = &shared->history;
	int64 now = pgst_monotonic_us();

	/* Sessions that overlap could keep us waiting for ever. Whoever is next reads the
	 * file once more. */
	if (!LWLockConditionalAcquire(history_lock, LW_EXCLUSIVE))
		return;
	/* somebody else may have found what we looked for in vain */
	if (history != NULL || kept->timeline != timeline || !kept->known)
	{
		kept->timeline = timeline;
		kept->known = history != NULL;
		kept->read_mono = now;
		if (history != NULL)
			kept->history = *history;
	}
	LWLockRelease(history_lock);
}

int64
pgst_promoting_since(bool asked_for)
{
	uint64 since = 0;
	uint64 now;

	if (!asked_for)
	{
		pg_atomic_write_u64(&shared->promoting_since, 0);
		return 0;
	}
	now = (uint64) Max(pgst_unix_us(GetCurrentTimestamp()), 1);
	if (pg_atomic_compare_exchange_u64(&shared->promoting_since, &since, now))
		return (int64) now;
	return (int64) since;
}

void
pgst_remember_read_only(bool read_only)
{
	pg_atomic_write_u32(&shared->read_only, read_only ? READ_ONLY_ON : READ_ONLY_OFF);
}

bool
pgst_read_only(bool *read_only)
{
	uint32 known = pg_atomic_read_u32(&shared->read_only);

	*read_only = known == READ_ONLY_ON;
	return known != READ_ONLY_UNKNOWN;
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
