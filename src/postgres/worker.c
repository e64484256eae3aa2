/*
 * worker.c
 *	  The frame of a background worker: registration, signals, the one wait point, and
 *reporting.
 *
 * The workers have shared memory but no database connection, so that they can run before
 *and during recovery, and no signal barrier ever waits for them. They end with exit code
 *1, never 0: the postmaster starts a worker again after 1, drops it for good after 0, and
 * starts nothing during a shutdown anyway.
 */
#include "postgres.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timeout.h"

#include "compat.h"
#include "worker.h"

/* A status that nobody answers for is soon missed, and a worker that ends has nothing to
 * recover: come back quickly. */
#define RESTART_SECONDS 1

/* A sign of life is given at least this often. */
#define MAX_WAIT_MS 1000

/* One line about a lasting trouble each so many microseconds. */
#define TROUBLE_LINE_US INT64CONST(60000000)

/* How often the watchdog looks at a step that does not end. */
#define WATCHDOG_MS 10000

/* No step of a worker's core needs a hundredth of this processor time. */
#define WATCHDOG_CPU_US INT64CONST(5000000)

/* A step that sleeps, where none should, is given this many looks. */
#define WATCHDOG_LOOKS 6

static bool poller_has_place =
	true; /* what the postmaster finds, all processes inherit */
static TimeoutId watchdog;
static int watchdog_looks;
static int64 watchdog_cpu_us;
static WaitEventSet *wait_set = NULL;
static uint32 wait_event = 0;

static void
register_worker(const char *type, const char *entry, BgWorkerStartTime start, int restart)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s", type);
	snprintf(worker.bgw_type, BGW_MAXLEN, "%s", type);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = start;
	worker.bgw_restart_time = restart;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "pg_status");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "%s", entry);
	RegisterBackgroundWorker(&worker);
}

/* Whether there was room for it. */
static bool
is_registered(const char *entry)
{
	PgstWorkerIter iter;

	pgst_foreach_worker(iter)
	{
		const BackgroundWorker *worker = pgst_worker_at(iter);

		if (strcmp(worker->bgw_library_name, "pg_status") == 0 &&
			strcmp(worker->bgw_function_name, entry) == 0)
			return true;
	}
	return false;
}

bool
pgst_poller_has_place(void)
{
	return poller_has_place;
}

/*
 * PostgreSQL says that there are too many, and goes on without. Only a postmaster has
 * places: a single-user server (as pg_rewind runs one) starts no workers, and from 17 on
 * does not list them either.
 */
static void
check_places(void)
{
	bool listener;
	bool promotion;

	if (!IsPostmasterEnvironment || IsUnderPostmaster)
		return;
	listener = is_registered("pgst_listener_main");
	promotion = is_registered("pgst_promotion_main");
	poller_has_place = is_registered("pgst_poller_main");
	if (listener && poller_has_place && promotion)
		return;
	ereport(WARNING,
			(errmsg("pg_status: max_worker_processes is too low"),
			 !listener
				 ? errdetail("No port answers and no host is checked.")
				 : (!poller_has_place
						? errdetail("No host is checked, so nothing is known of the "
									"cluster, and pg_status.fence does nothing.")
						: errdetail("The end of recovery is noticed later.")),
			 errhint("pg_status takes three; max_worker_processes is %d.",
					 max_worker_processes)));
}

void
pgst_register_workers(void)
{
	register_worker("pg_status listener", "pgst_listener_main",
					BgWorkerStart_PostmasterStart, RESTART_SECONDS);
	register_worker("pg_status poller", "pgst_poller_main", BgWorkerStart_PostmasterStart,
					RESTART_SECONDS);
	/* It runs once all the same, as it returns. But of those that are never to be started
	 * again PostgreSQL forgets even one that has not run yet, when any backend crashes.
	 */
	register_worker("pg_status promotion", "pgst_promotion_main",
					BgWorkerStart_RecoveryFinished, RESTART_SECONDS);
	check_places();
}

void
pgst_worker_begin(PgstWorker worker)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	/*
	 * Before it calls us, PostgreSQL sets this signal to be ignored, which drops one that
	 * has come since the postmaster started this process.
	 */
	if (pgst_missed_reload())
	{
		ConfigReloadPending = true;
		SetLatch(MyLatch);
	}
	pgst_worker_enter(worker);
	wait_event =
		pgst_wait_event(worker == PGST_POLLER ? "PgStatusPoller" : "PgStatusListener");
}

void
pgst_worker_watch(int fd)
{
	wait_set = pgst_create_wait_event_set(3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, fd, NULL, NULL);
}

bool
pgst_worker_wait(PgstWorker worker, int timeout_ms)
{
	WaitEvent event;
	bool reloaded = false;

	if (timeout_ms < 0 || timeout_ms > MAX_WAIT_MS)
		timeout_ms = MAX_WAIT_MS;
	WaitEventSetWait(wait_set, timeout_ms, &event, 1, wait_event);

	/* first reset, then look: what comes in between sets it again */
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ShutdownRequestPending)
		proc_exit(1);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		reloaded = true;
	}
	pgst_notice_end_of_recovery();
	pgst_worker_alive(worker);
	return reloaded;
}

/*
 * The prefix is for those who read the log: a worker has no user, database or application
 * name there that would tell whose line it is.
 */
void
pgst_report(const PgstLogLine *line)
{
	ereport(line->warning ? WARNING : LOG,
			(errmsg_internal("pg_status: %s", line->message),
			 line->detail[0] != '\0' ? errdetail_internal("%s", line->detail) : 0,
			 line->hint[0] != '\0' ? errhint("%s", line->hint) : 0));
}

void
pgst_worker_survive(PgstStatus status, const PgstMessage *why)
{
	static int64 told = 0;

	if (status == PGST_OK)
		return;
	if (status != PGST_OUT_OF_MEMORY)
		ereport(FATAL, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("pg_status worker cannot go on: %s", why->text)));
	if (told == 0 || pgst_monotonic_us() - told >= TROUBLE_LINE_US)
	{
		told = pgst_monotonic_us();
		ereport(LOG, (errcode(ERRCODE_OUT_OF_MEMORY),
					  errmsg("pg_status: out of memory, the last known state is kept")));
	}
}

/*
 * A worker with many hosts or clients holds more descriptors than the usual soft limit of
 * 1024. The limit is this process's own, and up to the hard limit it is ours to set.
 */
int
pgst_worker_raise_files(int files)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
		limit.rlim_cur >= (rlim_t) files)
		return files;
	limit.rlim_cur = limit.rlim_max == RLIM_INFINITY
						 ? (rlim_t) files
						 : Min((rlim_t) files, limit.rlim_max);
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		(void) getrlimit(RLIMIT_NOFILE, &limit);
	return (int) Min((rlim_t) files, limit.rlim_cur);
}

void
pgst_worker_need_files(int files)
{
	int allowed = pgst_worker_raise_files(files);

	if (allowed < files)
		ereport(WARNING,
				(errmsg("pg_status: this process may open %d files, but may need %d",
						allowed, files),
				 errhint("Raise the hard limit of open files of the server, or lower "
						 "pg_status.max_clients or the number of hosts.")));
}

/* The sixth number of statm is the size of private writable memory in pages (proc(5)),
 * which RLIMIT_DATA bounds. AddressSanitizer maps memory of its own and ends a process
 * that gets none. */
void
pgst_worker_bound_memory(Size bytes)
{
#if defined(RLIMIT_DATA) && !defined(__SANITIZE_ADDRESS__)
	struct rlimit limit;
	long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	if (statm == NULL)
		return;
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers fit */
	if (fscanf(statm, "%*d %*d %*d %*d %*d %ld", &pages) == 1 && pages > 0 &&
		getrlimit(RLIMIT_DATA, &limit) == 0)
	{
		rlim_t most = (rlim_t) pages * sysconf(_SC_PAGESIZE) + bytes;

		if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > most)
		{
			limit.rlim_cur = most;
			(void) setrlimit(RLIMIT_DATA, &limit);
		}
	}
	(void) fclose(statm);
#endif
}

static int64
processor_time_us(void)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
		return 0;
	return (int64) used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* on_proc_exit callback: what this process had of the server's is given back by now. */
static void
leave_at_once(int code, Datum arg)
{
	_exit(code);
}

/*
 * Runs in a signal handler, wherever the process is. To leave from there is not clean;
 * the alternative is a process that burns a processor, answers no shutdown and keeps
 * shared memory after the postmaster's death. What libraries do at exit() is left out:
 * they would meet themselves in the middle of a call, with half of their memory freed,
 * which ends in a crash, of the whole server then, or never. Nothing is reported here for
 * the same reason: a message is translated, written and may take memory. The next poller
 * does it.
 *
 * Time on the clock alone proves nothing: a process that gets a thirtieth of a processor,
 * or was stopped and let go on, is slow without being stuck. So what counts is the
 * processor time that the step itself has used. A call may also hang without using any,
 * in a system call; then the number of looks decides, of which a process that was stopped
 * misses all but one. During a shutdown nobody is to wait for that.
 */
static void
watchdog_looks_up(void)
{
	bool busy = processor_time_us() - watchdog_cpu_us >= WATCHDOG_CPU_US;

	watchdog_looks++;
	if (!busy && !ShutdownRequestPending && watchdog_looks < WATCHDOG_LOOKS)
	{
		enable_timeout_after(watchdog, WATCHDOG_MS);
		return;
	}
	/* no other worker has a watchdog */
	pgst_poller_was_stuck((uint32) (watchdog_looks * WATCHDOG_MS / 1000));
	on_proc_exit(leave_at_once, 0);
	proc_exit(1);
}

void
pgst_watchdog_init(void)
{
	watchdog = RegisterTimeout(USER_TIMEOUT, watchdog_looks_up);
}

void
pgst_watchdog_start(void)
{
	watchdog_looks = 0;
	watchdog_cpu_us = processor_time_us();
	enable_timeout_after(watchdog, WATCHDOG_MS);
}

void
pgst_watchdog_stop(void)
{
	disable_timeout(watchdog, false);
}
