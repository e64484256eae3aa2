/*
 * shared.c
 *	  Shared memory: layout, set-up, and the only code that touches it.
 *
 * The snapshot, the events, the history of lags, the orders and the history of the
 * timeline have an LWLock each, and whoever holds one copies, or enters a number for each
 * host, and does nothing else.
 * Who changes orders holds one more, also while he writes a file: no worker waits for
 * that one but when it starts. The rest is atomics. Nothing here is a pointer, so a
 * worker's death leaves nothing dangling.
 *
 * Who waits for a change sleeps on a condition variable. What it looks at is an atomic,
 * and set before the waiters are woken, so none of them sleeps through a change.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "node_state.h"
#include "settings.h"
#include "shared.h"

#define PGST_TRANCHE "pg_status"

/* What the locks of the tranche are for. */
#define SNAPSHOT_LOCK 0
#define ORDERS_LOCK 1
#define CHANGE_LOCK 2 /* held while a file is written */
#define EVENTS_LOCK 3
#define LAGS_LOCK 4
#define HISTORY_LOCK 5
#define LOCKS 6

#define ASKED_WORDS (PGST_MOST_HOSTS / 32)

/* What is known of default_transaction_read_only. */
#define READ_ONLY_UNKNOWN 0
#define READ_ONLY_OFF 1
#define READ_ONLY_ON 2

/* Readers of events let the poller in between: it must not wait for a crowd of them. */
#define EVENTS_PER_LOOK 32

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
	pg_atomic_uint32 promotions;
	pg_atomic_uint64 cursor;	 /* see choose.hpp */
	pg_atomic_uint64 generation; /* of the snapshot */
	ConditionVariable changed;	 /* for those who wait for newest_event to rise */
	pg_atomic_uint64 newest_event;
	uint64 first_event;			   /* the number of the first one there was */
	PgstEvent events[PGST_EVENTS]; /* each at its number modulo PGST_EVENTS */
	pg_atomic_uint64 orders_number;
	pg_atomic_uint64 orders_obeyed; /* by the listener */
	uint32 order_count;
	SharedHistory history;
	pg_atomic_uint64 promoting_since; /* microseconds since 1970, 0: not asked for */
	slock_t address_mutex;
	char address[PGST_ADDRESS_SIZE]; /* of the snapshot, for who asks without its lock */
	pg_atomic_uint32 read_only;
	pg_atomic_uint32 any_asked[PGST_ASKS];
	pg_atomic_uint32 asked[PGST_ASKS][ASKED_WORDS]; /* a bit for each host */
	/* last: it has room for max_hosts hosts; behind it are as many orders, as many counts
	 * of hosts handed out, and as many histories of lag */
	PgstSnapshot snapshot;
} SharedState;

static SharedState *shared = NULL;
static LWLock *snapshot_lock = NULL;
static LWLock *events_lock = NULL;
static LWLock *orders_lock = NULL;
static LWLock *change_lock = NULL;
static LWLock *lags_lock = NULL;
static LWLock *history_lock = NULL;
static PgstOrder *orders = NULL;
static pg_atomic_uint64 *handed_out = NULL;
static PgstLagHistory *lags = NULL;

static shmem_startup_hook_type previous_startup_hook = NULL;
#ifdef PGST_HAVE_SHMEM_REQUEST_HOOK
static shmem_request_hook_type previous_request_hook = NULL;
#endif

static Size
orders_offset(void)
{
	return MAXALIGN(
		add_size(offsetof(SharedState, snapshot), pgst_snapshot_size(pgst_max_hosts)));
}

static Size
counts_offset(void)
{
	return MAXALIGN(
		add_size(orders_offset(), mul_size(sizeof(PgstOrder), pgst_max_hosts)));
}

static Size
lags_offset(void)
{
	return MAXALIGN(
		add_size(counts_offset(), mul_size(sizeof(pg_atomic_uint64), pgst_max_hosts)));
}

static Size
shared_size(void)
{
	return add_size(lags_offset(), mul_size(sizeof(PgstLagHistory), pgst_max_hosts));
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

static uint64
milliseconds_since_1970(void)
{
	return (uint64) Max(pgst_unix_us(GetCurrentTimestamp()) / 1000, 0);
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
	lags = (PgstLagHistory *) ((char *) shared + lags_offset());
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
		ConditionVariableInit(&shared->changed);
		pg_atomic_init_u64(&shared->newest_event, milliseconds_since_1970());
		shared->first_event = pg_atomic_read_u64(&shared->newest_event) + 1;
		pg_atomic_init_u64(&shared->orders_number, 0);
		pg_atomic_init_u64(&shared->orders_obeyed, 0);
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
		shared->snapshot.max_hosts = pgst_max_hosts;
		shared->snapshot.primary = -1;
	}
	snapshot_lock = &GetNamedLWLockTranche(PGST_TRANCHE)[SNAPSHOT_LOCK].lock;
	orders_lock = &GetNamedLWLockTranche(PGST_TRANCHE)[ORDERS_LOCK].lock;
	change_lock = &GetNamedLWLockTranche(PGST_TRANCHE)[CHANGE_LOCK].lock;
	events_lock = &GetNamedLWLockTranche(PGST_TRANCHE)[EVENTS_LOCK].lock;
	lags_lock = &GetNamedLWLockTranche(PGST_TRANCHE)[LAGS_LOCK].lock;
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
			 errmsg("pg_status must be loaded through \"shared_preload_libraries\"")));
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

static int
compare_names(const void *a, const void *b)
{
	return strcmp((*(const PgstHost *const *) a)->name,
				  (*(const PgstHost *const *) b)->name);
}

/*
 * Where each host of a new list was in the old one, -1 if nowhere; NULL when all are
 * where they were. For the one who publishes, who needs no lock to read what he wrote
 * himself.
 */
static int *
former_places(const PgstSnapshot *snapshot)
{
	const PgstHost *old = shared->snapshot.hosts;
	uint32 count = shared->snapshot.host_count;
	bool same = count == snapshot->host_count;
	const PgstHost **sorted;
	int *places;

	for (uint32 i = 0; same && i < count; i++)
		same = strcmp(old[i].name, snapshot->hosts[i].name) == 0;
	if (same)
		return NULL;

	sorted = palloc(sizeof(PgstHost *) * Max(count, 1));
	for (uint32 i = 0; i < count; i++)
		sorted[i] = &old[i];
	qsort(sorted, count, sizeof(PgstHost *), compare_names);
	places = palloc(sizeof(int) * Max(snapshot->host_count, 1));
	for (uint32 i = 0; i < snapshot->host_count; i++)
	{
		const PgstHost *host = &snapshot->hosts[i];
		const PgstHost **found =
			bsearch(&host, sorted, count, sizeof(PgstHost *), compare_names);

		places[i] = found == NULL ? -1 : (int) (*found - old);
	}
	pfree(sorted);
	return places;
}

/* What is counted of hosts goes with them; `places` as above, of so many hosts. */
static void
move_counts(const int *places, uint32 count)
{
	uint64 *moved = palloc0(sizeof(uint64) * pgst_max_hosts);

	for (uint32 i = 0; i < count; i++)
		moved[i] = places[i] < 0 ? 0 : pgst_times_handed_out((uint32) places[i]);
	for (int i = 0; i < pgst_max_hosts; i++)
		pg_atomic_write_u64(&handed_out[i], moved[i]);
	pfree(moved);
}

/*
 * So does their history, which is put in order before anybody is kept from reading it.
 * Without memory for that, the history of whoever has moved begins anew: it knows whose
 * it is.
 */
static void
move_lags(const int *places, uint32 count)
{
	Size size = sizeof(PgstLagHistory) * pgst_max_hosts;
	PgstLagHistory *moved = palloc_extended(size, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);

	if (moved == NULL)
		return;
	for (uint32 i = 0; i < count; i++)
	{
		if (places[i] >= 0)
			moved[i] = lags[places[i]];
	}
	LWLockAcquire(lags_lock, LW_EXCLUSIVE);
	memcpy(lags, moved, size);
	LWLockRelease(lags_lock);
	pfree(moved);
}

static void
remember_address(const char address[PGST_ADDRESS_SIZE])
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

void
pgst_publish(const PgstSnapshot *snapshot)
{
	Size size = pgst_snapshot_size(Min(snapshot->host_count, (uint32) pgst_max_hosts));
	int *places = former_places(snapshot);

	if (places != NULL)
	{
		move_counts(places, snapshot->host_count);
		move_lags(places, snapshot->host_count);
		pfree(places);
	}
	remember_address(snapshot->address);
	LWLockAcquire(snapshot_lock, LW_EXCLUSIVE);
	memcpy(&shared->snapshot, snapshot, size);
	LWLockRelease(snapshot_lock);
	pg_atomic_write_u64(&shared->generation, snapshot->generation);

	LWLockAcquire(lags_lock, LW_EXCLUSIVE);
	pgst_note_lags(lags, snapshot);
	LWLockRelease(lags_lock);
}

uint64
pgst_published(void)
{
	return pg_atomic_read_u64(&shared->generation);
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

	if (newest == *generation)
		return true;
	if (!LWLockConditionalAcquire(snapshot_lock, LW_SHARED))
		return false;
	memcpy(copy, &shared->snapshot, pgst_snapshot_size(shared->snapshot.host_count));
	LWLockRelease(snapshot_lock);
	*generation = newest;
	return true;
}

void
pgst_append_events(PgstEvent *events, int count)
{
	uint64 newest = pg_atomic_read_u64(&shared->newest_event);

	LWLockAcquire(events_lock, LW_EXCLUSIVE);
	for (int i = 0; i < count; i++)
	{
		newest += events[i].seq + 1;
		events[i].seq = newest;
		shared->events[newest % PGST_EVENTS] = events[i];
	}
	pg_atomic_write_u64(&shared->newest_event, newest);
	LWLockRelease(events_lock);
	ConditionVariableBroadcast(&shared->changed);
	pgst_worker_wake(PGST_LISTENER);
}

/* Whoever has seen a number also sees the snapshot that was published before it. */
uint64
pgst_generation(void)
{
	uint64 newest = pg_atomic_read_u64(&shared->newest_event);

	pg_read_barrier();
	return newest;
}

int
pgst_copy_events(PgstEvent **events)
{
	uint64 newest = pgst_generation();
	uint64 seq = newest + 1 - Min(newest + 1 - shared->first_event, (uint64) PGST_EVENTS);
	int count = 0;

	/* (zeroed, so that no memory is looked for under the lock) */
	*events = palloc0(sizeof(PgstEvent) * PGST_EVENTS);
	while (seq <= newest)
	{
		uint64 end = Min(seq + EVENTS_PER_LOOK, newest + 1);

		LWLockAcquire(events_lock, LW_SHARED);
		for (; seq < end; seq++)
		{
			const PgstEvent *event = &shared->events[seq % PGST_EVENTS];

			/* one that was lost has a number, and nothing else; in the place of an old
			 * one there may be a new one by now */
			if (event->seq == seq)
				(*events)[count++] = *event;
		}
		LWLockRelease(events_lock);
	}
	return count;
}

int
pgst_try_copy_newest_events(PgstEvent *copy, int most)
{
	uint64 newest;
	uint64 seq;
	int count = 0;

	if (!LWLockConditionalAcquire(events_lock, LW_SHARED))
		return -1;
	newest = pg_atomic_read_u64(&shared->newest_event);
	seq = newest + 1 - Min(newest + 1 - shared->first_event, (uint64) most);
	for (; seq <= newest; seq++)
	{
		const PgstEvent *event = &shared->events[seq % PGST_EVENTS];

		/* one that was lost has a number, and nothing else */
		if (event->seq == seq)
			copy[count++] = *event;
	}
	LWLockRelease(events_lock);
	return count;
}

bool
pgst_try_copy_lags(PgstLagHistory *copy, uint32_t count)
{
	if (!LWLockConditionalAcquire(lags_lock, LW_SHARED))
		return false;
	memcpy(copy, lags, sizeof(PgstLagHistory) * Min(count, (uint32) pgst_max_hosts));
	LWLockRelease(lags_lock);
	return true;
}

uint64
pgst_await_change(uint64 generation, int64 patience_us)
{
	static uint32 wait_event = 0;
	int64 until = pgst_monotonic_us() + patience_us;
	uint64 now;

	if (wait_event == 0)
		wait_event = pgst_wait_event("PgStatusWait");
	ConditionVariablePrepareToSleep(&shared->changed);
	while ((now = pgst_generation()) == generation)
	{
		int64 left_ms = (until - pgst_monotonic_us() + 999) / 1000;

		if (left_ms <= 0)
			break;
		(void) ConditionVariableTimedSleep(&shared->changed, (long) left_ms, wait_event);
	}
	ConditionVariableCancelSleep();
	return now;
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

/*
 * Two locks, because a file is written while the orders are being changed: who only reads
 * them is kept out for the moment of the copy alone.
 */
void
pgst_lock_orders(void)
{
	LWLockAcquire(change_lock, LW_EXCLUSIVE);
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
pgst_forget_handed_out(uint32 host)
{
	pg_atomic_write_u64(&handed_out[host], 0);
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

	LWLockAcquire(history_lock, LW_EXCLUSIVE);
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

		if (choice.next_cursor != cursor &&
			!pg_atomic_compare_exchange_u64(&shared->cursor, &cursor, choice.next_cursor))
			continue;
		if (choice.host < 0)
			return NULL;
		pgst_handed_out((uint32) choice.host);
		return &snapshot->hosts[choice.host];
	}
}

const PgstHost *
pgst_preview_host(const PgstSnapshot *snapshot, const PgstWish *wish)
{
	PgstChoice choice =
		pgst_choose(snapshot, wish, pg_atomic_read_u64(&shared->cursor),
					pgst_worker_last_alive(PGST_POLLER), pgst_monotonic_us());

	return choice.host < 0 ? NULL : &snapshot->hosts[choice.host];
}
