/*
 * compat.h
 *	  What differs between the PostgreSQL versions we build for (13 to 19), under names
 *that say what is meant. No other file asks for the version.
 *
 * To be included after postgres.h.
 */
#ifndef PGST_COMPAT_H
#define PGST_COMPAT_H

#include "access/xlog.h"
#if PG_VERSION_NUM >= 150000
#include "access/xlogrecovery.h"
#endif
#include "catalog/pg_authid.h"
#include "postmaster/bgworker_internals.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
#if PG_VERSION_NUM >= 140000
#include "utils/wait_event.h"
#else
#include "pgstat.h"
#endif

#if PG_VERSION_NUM < 130000
#error "pg_status needs PostgreSQL 13 or newer"
#endif

/* 15: shared memory is asked for in a hook of its own */
#if PG_VERSION_NUM >= 150000
#define PGST_HAVE_SHMEM_REQUEST_HOOK 1
#else
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* 14: the predefined role was renamed */
#if PG_VERSION_NUM < 140000
#define ROLE_PG_MONITOR DEFAULT_ROLE_MONITOR
#endif

/* 17: wait event sets belong to a resource owner (NULL: to the process) */
#if PG_VERSION_NUM >= 170000
#define pgst_create_wait_event_set(n) CreateWaitEventSet(NULL, n)
#else
#define pgst_create_wait_event_set(n) CreateWaitEventSet(TopMemoryContext, n)
#endif

/* 17: an extension may name its wait events */
#if PG_VERSION_NUM >= 170000
#define pgst_wait_event(name) WaitEventExtensionNew(name)
#else
#define pgst_wait_event(name) PG_WAIT_EXTENSION
#endif

/* 17: the number of this process's PGPROC */
#if PG_VERSION_NUM >= 170000
#define pgst_my_proc_number() ((int) MyProcNumber)
#else
#define pgst_my_proc_number() (MyProc->pgprocno)
#endif

/* 15: no global any more that holds the timeline, once RecoveryInProgress() was asked */
#if PG_VERSION_NUM >= 150000
#define pgst_insertion_timeline() GetWALInsertionTimeLine()
#else
#define pgst_insertion_timeline() (RecoveryInProgress() ? 0 : ThisTimeLineID)
#endif

/*
 * 15: before, the first look at the end of recovery prepares this process for WAL, with
 * memory that it may not get. To be done where an error may be reported.
 */
#if PG_VERSION_NUM >= 150000
#define pgst_notice_end_of_recovery() ((void) 0)
#else
#define pgst_notice_end_of_recovery() ((void) RecoveryInProgress())
#endif

/* 19: a WAL receiver has a state for connecting; before, it says that it streams from its
 * first moment on */
#if PG_VERSION_NUM >= 190000
#define PGST_RECEIVER_STREAMS_EARLY false
#else
#define PGST_RECEIVER_STREAMS_EARLY true
#endif

/* 19: what is known of a WAL receiver may be shown before it is connected, its slot then
 * without the rest */
#define pgst_receiver_is_connected(receiver)                                             \
	((receiver)->ready_to_display && (receiver)->sender_host[0] != '\0')

/* 14: pausing became a state with a request before it */
#if PG_VERSION_NUM >= 140000
#define pgst_replay_paused() (GetRecoveryPauseState() != RECOVERY_NOT_PAUSED)
#else
#define pgst_replay_paused() RecoveryIsPaused()
#endif

/* 18: the postmaster's list of workers became doubly linked */
#if PG_VERSION_NUM >= 180000
typedef dlist_iter PgstWorkerIter;
#define pgst_foreach_worker(iter) dlist_foreach(iter, &BackgroundWorkerList)
#define pgst_worker_at(iter)                                                             \
	(&dlist_container(RegisteredBgWorker, rw_lnode, (iter).cur)->rw_worker)
#else
typedef slist_iter PgstWorkerIter;
#define pgst_foreach_worker(iter) slist_foreach(iter, &BackgroundWorkerList)
#define pgst_worker_at(iter)                                                             \
	(&slist_container(RegisteredBgWorker, rw_lnode, (iter).cur)->rw_worker)
#endif

/* 18: the module may tell its version */
#if PG_VERSION_NUM >= 180000
#define PGST_MODULE_MAGIC                                                                \
	PG_MODULE_MAGIC_EXT(.name = "pg_status", .version = PG_STATUS_VERSION)
#else
#define PGST_MODULE_MAGIC PG_MODULE_MAGIC
#endif

#endif /* PGST_COMPAT_H */
