/*
 * The snapshot: all that pg_status knows, as plain data of fixed size.
 *
 * It lives in shared memory, written by the poller alone and copied by everyone else, so it holds
 * no pointers, no handles and nothing with a constructor. Included from C (which owns the lock
 * around it) and from C++ (which fills and reads copies of it).
 *
 * Unknown is a value of its own everywhere: a `has_` flag that is 0, or an empty text. Texts are
 * NUL-terminated UTF-8. Times named _mono are monotonic microseconds (comparable between the
 * processes of this machine), those named _wall are microseconds since 1970-01-01 UTC; 0 is
 * "never".
 */
#ifndef PG_STATUS_PUBLISH_SNAPSHOT_H
#define PG_STATUS_PUBLISH_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "config/order.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PGST_SNAPSHOT_LAYOUT 4

#define PGST_NAME_SIZE 264     /* a host entry's name */
#define PGST_HOSTNAME_SIZE 256 /* a host name, address or socket directory */
#define PGST_LABEL_SIZE 64     /* dc, geo, application_name, sync_state ... */
#define PGST_ERROR_SIZE 256    /* the last error, one line */
#define PGST_ADDRESS_SIZE 64   /* a numeric address */

#define PGST_DURATION_CLASSES 12 /* of probes; judge/tally.hpp has their bounds */
#define PGST_MAX_SENDERS 32      /* of this node's own; more are left out */
#define PGST_MAX_FORKS 64        /* of the primary's timeline history, the newest ones */

typedef enum PgstRole {
  PGST_ROLE_UNKNOWN = 0,
  PGST_ROLE_PRIMARY = 1,
  PGST_ROLE_STANDBY = 2
} PgstRole;

typedef enum PgstState {
  PGST_STATE_UNKNOWN = 0, /* never answered, and not yet given up */
  PGST_STATE_UP = 1,
  PGST_STATE_SUSPECT = 2, /* failed lately; the last values are kept */
  PGST_STATE_DOWN = 3
} PgstState;

/* Why a primary is to keep away from load balancers, when pg_status.fence is on. */
typedef enum PgstFenceCause {
  PGST_FENCE_NONE = 0,
  PGST_FENCE_NO_MAJORITY = 1, /* it sees no majority of the voting nodes */
  PGST_FENCE_UNREACHABLE = 2, /* a majority says that it cannot be reached */
  PGST_FENCE_SUCCESSOR = 3,   /* it sees that another one is the primary, or a newer timeline */
  PGST_FENCE_OUTVOTED = 4     /* a majority names another primary */
} PgstFenceCause;

/* The end of a timeline, as the history of a newer one has it. */
typedef struct PgstFork {
  uint64_t end; /* the first position (LSN) that is not of that timeline's part of the history */
  uint32_t timeline;
  uint32_t reserved; /* keeps the next one at 8 bytes; 0 */
} PgstFork;

/* How the probes of a host went, counted since the poller knows it, or since it was reset. */
typedef struct PgstTally {
  uint64_t succeeded;
  uint64_t timed_out;
  uint64_t failed; /* in any other way */
  uint64_t reconnects;
  uint64_t state_changes;
  uint64_t duration_us; /* of all probes together */
  uint64_t durations[PGST_DURATION_CLASSES];
  uint64_t shortest_us; /* of all probes; 0 before the first */
  uint64_t longest_us;
  uint64_t retries;          /* probes made because the one before had failed */
  uint64_t most_retries;     /* in one row */
  int64_t last_failure_wall; /* 0 never */
} PgstTally;

/* Somebody who streams from this very server: a row of its pg_stat_replication. */
typedef struct PgstSender {
  char usename[PGST_LABEL_SIZE];
  char application_name[PGST_LABEL_SIZE];
  char client_addr[PGST_ADDRESS_SIZE]; /* "" over a Unix-domain socket */
  char state[PGST_LABEL_SIZE];
  char sync_state[PGST_LABEL_SIZE];
  int32_t sync_priority;
  uint32_t reserved; /* keeps the next one at 8 bytes; 0 */
} PgstSender;

typedef struct PgstHost {
  /* who it is: from the settings */
  char name[PGST_NAME_SIZE];
  char hostname[PGST_HOSTNAME_SIZE];
  char dc[PGST_LABEL_SIZE];               /* "" not given */
  char geo[PGST_LABEL_SIZE];              /* "" not given */
  char application_name[PGST_LABEL_SIZE]; /* "" not given */
  double weight; /* 0 = never for reads; the entry's, or what an operator ordered instead */
  int32_t port;

  /* what it is believed to be */
  uint8_t role;    /* PgstRole, as observed; unknown unless up or suspect */
  uint8_t state;   /* PgstState */
  uint8_t primary; /* it is the chosen primary: "master" in SQL and HTTP */
  uint8_t foreign; /* another system identifier: shown, never chosen */
  uint8_t self;    /* it is this very server */
  uint8_t checked; /* its first probe has finished, however it ended */
  uint8_t sync_by_time;
  uint8_t sync_by_bytes;
  uint8_t has_lag_ms;
  uint8_t has_lag_bytes;
  uint8_t has_lsn;
  uint8_t has_replay_paused;
  uint8_t replay_paused;
  uint8_t has_sync_priority;
  uint8_t has_streaming;
  uint8_t streaming;        /* its WAL receiver streams */
  uint8_t unreachable_here; /* down for this node, while a majority reaches it */
  uint8_t maintenance;      /* PgstMaintenance */
  uint8_t forced;           /* in maintenance also as the primary */
  uint8_t diverged;         /* a standby whose history is not the primary's: never chosen */
  uint8_t superseded;       /* claims to be a primary, and another history has won */
  uint8_t has_read_only;
  uint8_t read_only; /* its default_transaction_read_only is on: it says so itself */
  uint8_t has_takes_sessions;
  uint8_t takes_sessions; /* it let a new session in when that was tried last */
  uint8_t reserved_flags[3];
  int32_t sync_priority;
  int32_t fails;                  /* consecutive */
  int32_t server_version;         /* 150020; 0 unknown */
  uint32_t timeline;              /* 0 unknown */
  uint32_t votes_up;              /* voting nodes that reach it, itself included */
  uint32_t votes_down;            /* voting nodes that do not */
  uint64_t lag_ms;                /* milliseconds */
  uint64_t lag_bytes;             /* bytes of WAL */
  uint64_t lsn;                   /* primary: written; standby: replayed */
  uint64_t system_identifier;     /* 0 unknown */
  int64_t maintenance_since_wall; /* 0 not in maintenance */
  int64_t last_begun_mono;        /* when the last check that has ended began */
  int64_t last_check_wall;
  int64_t last_success_wall;
  int64_t last_change_wall;
  int64_t postmaster_start_wall; /* of the server last seen there; 0 unknown */
  PgstTally tally;
  char replication_state[PGST_LABEL_SIZE];       /* "" unknown or none */
  char sync_state[PGST_LABEL_SIZE];              /* "" unknown or none */
  char upstream[PGST_NAME_SIZE];                 /* "" unknown or none */
  char last_error[PGST_ERROR_SIZE];              /* "" after a success */
  char maintenance_reason[PGST_REASON_SIZE + 7]; /* "" not given (and keeps the next host at 8) */
} PgstHost;

typedef struct PgstSnapshot {
  uint32_t layout;     /* PGST_SNAPSHOT_LAYOUT; 0 = nothing was published yet */
  uint32_t max_hosts;  /* room in hosts[] */
  uint32_t host_count; /* hosts[0 .. host_count - 1] are valid, in configured order */
  int32_t primary;     /* index of the chosen primary, -1 none */
  uint64_t generation; /* rises with each publication */
  int64_t made_mono;   /* when it was judged */
  int64_t made_wall;   /* the same moment */
  int64_t
      stale_after; /* microseconds: a poller silent for longer than this knows nothing any more */
  uint8_t ready;   /* every host's first probe has finished; never goes back */
  uint8_t split_brain;
  uint8_t dc_counts;   /* this node and every host have a dc: prefer the same one */
  uint8_t geo_counts;  /* the same for geo */
  uint8_t fence_cause; /* PgstFenceCause, of this node, whatever pg_status.fence is */
  uint8_t undecided;   /* some hosts have neither answered nor been given up so far */
  uint8_t has_history; /* the primary's history is known: the timelines in forks[], oldest first */
  uint8_t reserved_flags[1];
  uint32_t live_primaries;
  uint32_t voters;          /* nodes with a vote, this one included */
  uint32_t voters_in_sight; /* of these; this one included */
  uint32_t voters_unasked;  /* not among these: a reload has just brought them */
  uint32_t fork_count;      /* forks[0 .. fork_count - 1] are valid */
  int32_t incumbent; /* index of the host that was named last, also while nobody is; -1 none */
  uint32_t incumbent_timeline; /* 0 unknown */
  uint32_t history_from;       /* with has_history: of older timelines than this nothing is known */
  uint64_t orders; /* which of the operators' orders these are: the number they came with */
  uint64_t system_identifier; /* of the cluster; 0 unknown */
  uint64_t sync_max_lag_ms;
  uint64_t sync_max_lag_bytes;
  /* the newest position known of the primary's timeline, to measure this node's own lag in bytes */
  uint64_t newest_lsn;      /* 0 unknown */
  uint32_t newest_timeline; /* its timeline; 0 unknown */
  uint32_t sender_count;    /* senders[0 .. sender_count - 1] are valid */
  uint64_t reloads;         /* of the settings, since the poller started */
  uint64_t resets;          /* of the tallies, since the poller started */
  uint64_t reload_refused;  /* 1: the last one did not fit together and is not in force */
  /* by how much the poller began probes later than it should have, since it started */
  uint64_t lateness_us;                     /* of all probes together */
  uint64_t lateness_max_us;                 /* the longest within the last one to two minutes */
  uint64_t lateness[PGST_DURATION_CLASSES]; /* probes in each class */
  char dc[PGST_LABEL_SIZE];                 /* where this node is; "" not given */
  char geo[PGST_LABEL_SIZE];
  char primary_reason[PGST_ERROR_SIZE]; /* why this one is the primary, or why nobody is; a sentence
                                         */
  char address[PGST_ADDRESS_SIZE];      /* as which the primary sees this node; "" unknown */
  PgstFork forks[PGST_MAX_FORKS];
  PgstSender senders[PGST_MAX_SENDERS];
  PgstHost hosts[1]; /* max_hosts of them */
} PgstSnapshot;

/* Bytes of a snapshot with room for n hosts (n >= 1); also the bytes worth copying of one that has
 * n hosts. */
static inline size_t pgst_snapshot_size(uint32_t n) {
  return offsetof(PgstSnapshot, hosts) + sizeof(PgstHost) * (n > 0 ? n : 1);
}

#ifdef __cplusplus
}
#endif

#endif /* PG_STATUS_PUBLISH_SNAPSHOT_H */
