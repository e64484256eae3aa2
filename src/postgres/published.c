/*
 * published.c
 *	  What the poller publishes, and how it is read; see published.h.
 *
 * Of the snapshot there are two places. The poller writes into the one that holds the
 * older one, and then says that it is the newest: who reads is disturbed only when two
 * more publications have begun since he looked which is the newest, and then he takes the
 * newest of these. That a poller has died in the middle of it is not even noticed. The
 * history of lags has one place and a pair of numbers, and each event a number of its
 * own, which is 0 while the event is being written.
 *
 * So nothing here is locked, and everything here is read while it may be written: what
 * was copied counts only after the numbers were looked at again.
 *
 * Who waits for a change sleeps on a condition variable. What it looks at is an atomic,
 * and set before the waiters are woken, so none of them sleeps through a change.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "node_state.h"
#include "published.h"
#include "settings.h"
#include "shared.h"

#define PLACES 2

/* Which writing has begun, and which is done: the same number when nothing is being
 * written. A line of the cache of its own: it is read with each question, and what
 * changes with each answer must not be near. */
typedef struct Writing
{
	pg_atomic_uint64 begun;
	pg_atomic_uint64 done;
	char padding[PG_CACHE_LINE_SIZE];
} Writing;

typedef struct PublishedState
{
	char padding[PG_CACHE_LINE_SIZE];
	Writing snapshots; /* number n is at place n modulo PLACES */
	Writing lags;
	ConditionVariable changed; /* for those who wait for newest_event to rise */
	pg_atomic_uint64 newest_event;
	uint64 first_event; /* the number of the first one there was */
	/* Each event at its number modulo PGST_EVENTS, and its number, 0: it is none, or is
	 * being written. */
	pg_atomic_uint64 event_numbers[PGST_EVENTS];
	PgstEvent events[PGST_EVENTS];
	/* behind this: the places of the snapshot, then a history of lag for each host */
} PublishedState;

static PublishedState *published = NULL;
static PgstLagHistory *lags = NULL;

/* What this process keeps of it. The number is 0 while it is of no use. */
typedef struct Kept
{
	PgstSnapshot *snapshot;
	uint32 room; /* for so many hosts */
	uint64 number;
} Kept;

static Kept kept = {.snapshot = NULL};
static PgstSnapshot brief;
static uint64 brief_number = 0;
static uint32 brief_primary = 0; /* where its host is in the snapshot */

static Size
place_size(void)
{
	return CACHELINEALIGN(pgst_snapshot_size(pgst_max_hosts));
}

static PgstSnapshot *
place_of(uint64 number)
{
	return (PgstSnapshot *) ((char *) published + CACHELINEALIGN(sizeof(PublishedState)) +
							 number % PLACES * place_size());
}

Size
pgst_published_size(void)
{
	Size size =
		add_size(CACHELINEALIGN(sizeof(PublishedState)), mul_size(place_size(), PLACES));

	return add_size(size, mul_size(sizeof(PgstLagHistory), pgst_max_hosts));
}

static void
set_up_writing(Writing *writing)
{
	pg_atomic_init_u64(&writing->begun, 0);
	pg_atomic_init_u64(&writing->done, 0);
}

static uint64
milliseconds_since_1970(void)
{
	return (uint64) Max(pgst_unix_us(GetCurrentTimestamp()) / 1000, 1);
}

/* (the memory is all zero) */
static void
set_up_state(void)
{
	set_up_writing(&published->snapshots);
	set_up_writing(&published->lags);
	ConditionVariableInit(&published->changed);
	pg_atomic_init_u64(&published->newest_event, milliseconds_since_1970());
	published->first_event = pg_atomic_read_u64(&published->newest_event) + 1;
	for (int i = 0; i < PGST_EVENTS; i++)
		pg_atomic_init_u64(&published->event_numbers[i], 0);
	for (int i = 0; i < PLACES; i++)
	{
		place_of(i)->max_hosts = pgst_max_hosts;
		place_of(i)->primary = -1;
	}
}

void
pgst_use_published(void *memory, bool set_up)
{
	published = memory;
	lags = (PgstLagHistory *) ((char *) place_of(0) + PLACES * place_size());
	if (set_up)
		set_up_state();
}

/* ----------------------------------------------------------------
 * Writing
 * ----------------------------------------------------------------
 */

/* A number that was begun and not done, by a poller that has died of it, is begun anew.
 */
static uint64
begin_writing(Writing *writing)
{
	uint64 number = pg_atomic_read_u64(&writing->done) + 1;

	pg_atomic_write_u64(&writing->begun, number);
	pg_write_barrier();
	return number;
}

static void
end_writing(Writing *writing, uint64 number)
{
	pg_write_barrier();
	pg_atomic_write_u64(&writing->done, number);
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
	const PgstSnapshot *former = place_of(pgst_published());
	const PgstHost *old = former->hosts;
	uint32 count = former->host_count;
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
		pgst_set_handed_out((uint32) i, moved[i]);
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
	uint64 number;

	if (moved == NULL)
		return;
	for (uint32 i = 0; i < count; i++)
	{
		if (places[i] >= 0)
			moved[i] = lags[places[i]];
	}
	number = begin_writing(&published->lags);
	memcpy(lags, moved, size);
	end_writing(&published->lags, number);
	pfree(moved);
}

void
pgst_publish(const PgstSnapshot *snapshot)
{
	Size size = pgst_snapshot_size(Min(snapshot->host_count, (uint32) pgst_max_hosts));
	int *places = former_places(snapshot);
	uint64 number;

	pgst_remember_address(snapshot->address);
	if (places != NULL)
	{
		move_counts(places, snapshot->host_count);
		move_lags(places, snapshot->host_count);
		pfree(places);
	}
	number = begin_writing(&published->snapshots);
	memcpy(place_of(number), snapshot, size);
	end_writing(&published->snapshots, number);

	number = begin_writing(&published->lags);
	pgst_note_lags(lags, snapshot);
	end_writing(&published->lags, number);
}

/* An event that is written over is one of the oldest ones: who reads does without it. */
static void
put_event(const PgstEvent *event)
{
	uint64 place = event->seq % PGST_EVENTS;

	pg_atomic_write_u64(&published->event_numbers[place], 0);
	pg_write_barrier();
	published->events[place] = *event;
	pg_write_barrier();
	pg_atomic_write_u64(&published->event_numbers[place], event->seq);
}

void
pgst_append_events(PgstEvent *events, int count)
{
	uint64 newest = pg_atomic_read_u64(&published->newest_event);

	for (int i = 0; i < count; i++)
	{
		newest += events[i].seq + 1;
		events[i].seq = newest;
		put_event(&events[i]);
	}
	pg_write_barrier();
	pg_atomic_write_u64(&published->newest_event, newest);
	ConditionVariableBroadcast(&published->changed);
	pgst_worker_wake(PGST_LISTENER);
}

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

uint64
pgst_published(void)
{
	return pg_atomic_read_u64(&published->snapshots.done);
}

/* Whether what was read of this publication is whole: the one after the next, which is
 * written over it, has not begun. */
static bool
was_there(uint64 number)
{
	pg_read_barrier();
	return pg_atomic_read_u64(&published->snapshots.begun) < number + PLACES;
}

/* Whose number it is; what is read afterwards is not older. */
static uint64
newest_number(void)
{
	uint64 number = pgst_published();

	pg_read_barrier();
	return number;
}

/* The number of hosts may be one that is being written. */
static uint32
hosts_of(const PgstSnapshot *place)
{
	return Min(*(const volatile uint32 *) &place->host_count, (uint32) pgst_max_hosts);
}

bool
pgst_published_is_recent(void)
{
	uint64 number = newest_number();
	const PgstSnapshot *place = place_of(number);

	/* for the poller, who need not look whether anybody writes */
	return place->layout == PGST_SNAPSHOT_LAYOUT &&
		   pgst_monotonic_us() - place->made_mono <= place->stale_after;
}

/* Makes room for so many hosts, and no more: in each session there may be such a copy. */
static void
make_room(uint32 count)
{
	static MemoryContext context = NULL;

	if (kept.snapshot != NULL && kept.room == count)
		return;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "pg_status snapshot",
										ALLOCSET_SMALL_SIZES);
	kept.snapshot = NULL;
	MemoryContextReset(context);
	kept.snapshot = MemoryContextAlloc(context, pgst_snapshot_size(count));
	kept.room = count;
}

const PgstSnapshot *
pgst_snapshot(void)
{
	while (kept.snapshot == NULL || kept.number != pgst_published())
	{
		uint64 number = newest_number();
		const PgstSnapshot *place = place_of(number);
		uint32 count = hosts_of(place);

		CHECK_FOR_INTERRUPTS();
		kept.number = PG_UINT64_MAX; /* whatever ends this in between */
		make_room(count);
		memcpy(kept.snapshot, place, pgst_snapshot_size(count));
		if (was_there(number))
		{
			kept.number = number;
			break; /* it was the newest one in this call */
		}
	}
	return kept.snapshot;
}

const PgstSnapshot *
pgst_brief_snapshot(void)
{
	static bool is_there = false;

	while (!is_there || brief_number != pgst_published())
	{
		uint64 number = newest_number();
		const PgstSnapshot *place = place_of(number);
		uint32 count = hosts_of(place);

		CHECK_FOR_INTERRUPTS();
		is_there = false;
		memcpy(&brief, place, offsetof(PgstSnapshot, hosts));
		if (brief.primary >= 0 && (uint32) brief.primary < count)
		{
			brief_primary = (uint32) brief.primary;
			brief.hosts[0] = place->hosts[brief_primary];
			brief.host_count = 1;
			brief.primary = 0;
		}
		else
		{
			brief.host_count = 0;
			brief.primary = -1;
		}
		brief.incumbent = -1;
		if (was_there(number))
		{
			brief_number = number;
			is_there = true;
			break;
		}
	}
	return &brief;
}

PgstSnapshot *
pgst_copy_snapshot(void)
{
	const PgstSnapshot *newest = pgst_snapshot();
	Size size = pgst_snapshot_size(newest->host_count);

	return memcpy(palloc(size), newest, size);
}

bool
pgst_refresh_snapshot(PgstSnapshot **copy, PgstSnapshot **spare, uint64 *number)
{
	uint64 newest = newest_number();
	const PgstSnapshot *place = place_of(newest);
	PgstSnapshot *written = *spare;

	if (newest == *number)
		return true;
	memcpy(written, place, pgst_snapshot_size(hosts_of(place)));
	if (!was_there(newest))
		return false;
	*spare = *copy;
	*copy = written;
	*number = newest;
	return true;
}

/* Whoever has seen a number also sees the snapshot that was published before it. */
uint64
pgst_generation(void)
{
	uint64 newest = pg_atomic_read_u64(&published->newest_event);

	pg_read_barrier();
	return newest;
}

/* One that was lost has a number, and nothing else; in the place of an old one there may
 * be a new one by now, or about to be. */
static bool
copy_event(uint64 seq, PgstEvent *copy)
{
	uint64 place = seq % PGST_EVENTS;

	if (pg_atomic_read_u64(&published->event_numbers[place]) != seq)
		return false;
	pg_read_barrier();
	*copy = published->events[place];
	pg_read_barrier();
	return pg_atomic_read_u64(&published->event_numbers[place]) == seq;
}

/* `most` is at most PGST_EVENTS. */
int
pgst_copy_newest_events(PgstEvent *copy, int most)
{
	uint64 newest = pgst_generation();
	uint64 kept_events = newest + 1 - published->first_event;
	uint64 seq = newest + 1 - Min(kept_events, (uint64) most);
	int count = 0;

	for (; seq <= newest; seq++)
	{
		if (copy_event(seq, &copy[count]))
			count++;
	}
	return count;
}

int
pgst_copy_events(PgstEvent **events)
{
	*events = palloc(sizeof(PgstEvent) * PGST_EVENTS);
	return pgst_copy_newest_events(*events, PGST_EVENTS);
}

bool
pgst_try_copy_lags(PgstLagHistory *copy, uint32_t count)
{
	uint64 number = pg_atomic_read_u64(&published->lags.done);

	pg_read_barrier();
	memcpy(copy, lags, sizeof(PgstLagHistory) * Min(count, (uint32) pgst_max_hosts));
	pg_read_barrier();
	return pg_atomic_read_u64(&published->lags.begun) == number;
}

uint64
pgst_await_change(uint64 generation, int64 patience_us)
{
	static uint32 wait_event = 0;
	int64 until = pgst_monotonic_us() + patience_us;
	uint64 now;

	if (wait_event == 0)
		wait_event = pgst_wait_event("PgStatusWait");
	ConditionVariablePrepareToSleep(&published->changed);
	while ((now = pgst_generation()) == generation)
	{
		int64 left_ms = (until - pgst_monotonic_us() + 999) / 1000;

		if (left_ms <= 0)
			break;
		(void) ConditionVariableTimedSleep(&published->changed, (long) left_ms,
										   wait_event);
	}
	ConditionVariableCancelSleep();
	return now;
}

/* ----------------------------------------------------------------
 * Choosing
 * ----------------------------------------------------------------
 */

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
pgst_choose_host(const PgstWish *wish)
{
	bool primary_alone = wish->route == PGST_ROUTE_MASTER;
	const PgstSnapshot *snapshot =
		primary_alone ? pgst_brief_snapshot() : pgst_snapshot();
	int64 alive = pgst_worker_last_alive(PGST_POLLER);
	int64 now = pgst_monotonic_us();

	for (;;)
	{
		uint64 cursor = pgst_cursor();
		PgstChoice choice = pgst_choose(snapshot, wish, cursor, alive, now);

		if (choice.next_cursor != cursor && !pgst_move_cursor(cursor, choice.next_cursor))
			continue;
		if (choice.host < 0)
			return NULL;
		pgst_handed_out(primary_alone ? brief_primary : (uint32) choice.host);
		return &snapshot->hosts[choice.host];
	}
}

const PgstHost *
pgst_preview_host(const PgstSnapshot *snapshot, const PgstWish *wish)
{
	PgstChoice choice =
		pgst_choose(snapshot, wish, pgst_cursor(), pgst_worker_last_alive(PGST_POLLER),
					pgst_monotonic_us());

	return choice.host < 0 ? NULL : &snapshot->hosts[choice.host];
}
