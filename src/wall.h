/*
 * The wall between the server (C, errors by longjmp) and the core (C++, errors by exceptions and
 * values).
 *
 * Rules, on both sides of it:
 *  - every function here catches everything and returns a status or a plain value; none throws;
 *  - nothing here calls the server, so nothing here can longjmp; log lines travel back as data, to
 * be reported by C when no C++ frame is left on the stack. The one call in the other direction is
 * PgstNodeStateReader, which must not fail;
 *  - memory belongs to the side that made it: objects are opaque and freed by their own function,
 * all else is copied;
 *  - no function here waits.
 */
#ifndef PG_STATUS_WALL_H
#define PG_STATUS_WALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/order.h"
#include "publish/event.h"
#include "publish/lag_history.h"
#include "publish/snapshot.h"

#ifdef __cplusplus
#define PGST_NOEXCEPT noexcept
extern "C" {
#else
#define PGST_NOEXCEPT
#endif

typedef enum PgstStatus {
  PGST_OK = 0,
  PGST_INVALID,       /* the input is wrong; the message says how */
  PGST_OUT_OF_MEMORY, /* try again later */
  PGST_FAILED         /* an error nobody foresaw; the message says what is known */
} PgstStatus;

#define PGST_MESSAGE_SIZE 512

/* One or two sentences for people; "" when there is nothing to say. */
typedef struct PgstMessage {
  char text[PGST_MESSAGE_SIZE];
} PgstMessage;

typedef struct PgstLogLine {
  bool warning; /* WARNING rather than LOG */
  char message[PGST_MESSAGE_SIZE];
  char detail[PGST_MESSAGE_SIZE]; /* "" none */
  char hint[PGST_MESSAGE_SIZE];   /* "" none */
} PgstLogLine;

/* Monotonic time in microseconds, the same clock in all processes of this machine. */
extern int64_t pgst_monotonic_us(void) PGST_NOEXCEPT;

/*
 * Settings, checked. PGST_OK, or PGST_INVALID with `why` naming the bad entry. `text` may not be
 * NULL. conninfo's complaint never repeats the text.
 */
extern PgstStatus pgst_check_hosts(const char* text, int max_hosts, PgstMessage* why) PGST_NOEXCEPT;
extern PgstStatus pgst_check_conninfo(const char* text, PgstMessage* why) PGST_NOEXCEPT;
extern PgstStatus pgst_check_listen_addresses(const char* text, PgstMessage* why) PGST_NOEXCEPT;
extern PgstStatus pgst_check_networks(const char* text, PgstMessage* why) PGST_NOEXCEPT;
extern PgstStatus pgst_check_label(const char* text, PgstMessage* why) PGST_NOEXCEPT;

/* Decimal digits only, 0 .. 2^64-1; false for anything else. */
extern bool pgst_parse_uint64(const char* text, uint64_t* value) PGST_NOEXCEPT;

/*
 * Operators' orders (config/order.h) as text, for a file.
 */
#define PGST_ORDER_LINE_SIZE 512

/* One line with its end; "" for an order that is not kept over a restart, or without memory. */
extern void pgst_write_order(const PgstOrder* order, char line[PGST_ORDER_LINE_SIZE]) PGST_NOEXCEPT;
/* `orders` has room for `max`; `count` is how many there are. PGST_INVALID: the text is damaged. */
extern PgstStatus pgst_parse_orders(const char* text, uint32_t max, PgstOrder* orders,
                                    uint32_t* count, PgstMessage* why) PGST_NOEXCEPT;
/* `reason` as it is shown and kept: one line of valid UTF-8; false when it is too long. */
extern bool pgst_set_reason(PgstOrder* order, const char* reason) PGST_NOEXCEPT;

/*
 * The poller: asks the hosts, judges them, makes the snapshot.
 */
typedef struct PgstPoller PgstPoller;

typedef struct PgstPollerSettings {
  const char* hosts;
  const char* conninfo;
  const char* application_name; /* of our sessions on the peers */
  const char* dc;
  const char* geo;
  int32_t max_hosts; /* must not change during a poller's life */
  int32_t poll_interval_ms;
  int32_t fast_poll_interval_ms;
  int32_t poll_timeout_ms;
  int32_t conn_max_age_ms;
  int32_t max_fails;
  int32_t sync_max_lag_ms;
  int32_t sync_max_lag_bytes;
  bool fence;
  uint64_t system_identifier;    /* this server's */
  int64_t postmaster_start_wall; /* this server's, microseconds since 1970 */
} PgstPollerSettings;

/*
 * PGST_INVALID leaves a configured poller as it was. After PGST_OUT_OF_MEMORY or PGST_FAILED from
 * configure, only free is allowed.
 */
extern PgstStatus pgst_poller_new(const PgstPollerSettings* settings, PgstPoller** poller,
                                  PgstMessage* why) PGST_NOEXCEPT;
extern PgstStatus pgst_poller_configure(PgstPoller* poller, const PgstPollerSettings* settings,
                                        PgstMessage* why) PGST_NOEXCEPT;
/* Does what is due. After PGST_OUT_OF_MEMORY it may be called again. */
extern PgstStatus pgst_poller_step(PgstPoller* poller, PgstMessage* why) PGST_NOEXCEPT;
/* What the poller before this one has published, before the first step: events tell what has
 * changed since. */
extern void pgst_poller_inherit(PgstPoller* poller, const PgstSnapshot* published) PGST_NOEXCEPT;
/* While a library is called for a host, its name stands there, else "": what is left there by a
 * poller that was stuck is whom it was stuck with. */
extern void pgst_poller_tell_serving(PgstPoller* poller, char name[PGST_NAME_SIZE]) PGST_NOEXCEPT;
/* Leaves the host of this name alone until then. */
extern void pgst_poller_spare(PgstPoller* poller, const char* name,
                              int64_t until_mono) PGST_NOEXCEPT;
extern void pgst_poller_probe_now(PgstPoller* poller) PGST_NOEXCEPT;
/* The host of this index in the snapshot; nothing when there is none. */
extern void pgst_poller_probe_host(PgstPoller* poller, uint32_t index) PGST_NOEXCEPT;
/* Counts the probes of this host anew; the snapshot's `resets` rises. */
extern void pgst_poller_reset_tally(PgstPoller* poller, uint32_t index) PGST_NOEXCEPT;
/* All that operators have ordered; `number` is the snapshot's `orders` as soon as that shows it. */
extern PgstStatus pgst_poller_set_orders(PgstPoller* poller, const PgstOrder* orders,
                                         uint32_t count, uint64_t number,
                                         PgstMessage* why) PGST_NOEXCEPT;
/* Readable when step is due, and due after this many milliseconds (-1: never) at the latest. */
extern int pgst_poller_fd(const PgstPoller* poller) PGST_NOEXCEPT;
extern int pgst_poller_timeout_ms(PgstPoller* poller) PGST_NOEXCEPT;
/* A snapshot newer than the last one taken, valid until the next step or configure; NULL when there
 * is none. */
extern const PgstSnapshot* pgst_poller_take_snapshot(PgstPoller* poller) PGST_NOEXCEPT;
/* The next event, the oldest first, to be shown after the snapshot that was taken last. In place of
 * its number: how many were lost before it, as there were more than are kept. */
extern bool pgst_poller_take_event(PgstPoller* poller, PgstEvent* event) PGST_NOEXCEPT;
extern bool pgst_poller_take_log(PgstPoller* poller, PgstLogLine* line) PGST_NOEXCEPT;
/* Brings the history of lags, of which there is one for each of snapshot->max_hosts, up to date
 * with a snapshot that was taken. */
extern void pgst_note_lags(PgstLagHistory* lags, const PgstSnapshot* snapshot) PGST_NOEXCEPT;
extern void pgst_poller_free(PgstPoller* poller) PGST_NOEXCEPT;

/*
 * The listener: owns the listening sockets, answers.
 */
typedef struct PgstListener PgstListener;

typedef enum PgstNodeState {
  PGST_NODE_STARTING = 0,
  PGST_NODE_PRIMARY,
  PGST_NODE_STANDBY,
  PGST_NODE_STOPPING
} PgstNodeState;

/* This server, read live; 0 and "" are unknown or none. Positions are LSNs, times microseconds
 * since 1970. */
typedef struct PgstNodeFacts {
  PgstNodeState state;
  uint32_t timeline;
  int32_t server_version;
  uint64_t system_identifier;
  int64_t postmaster_start_wall;
  uint64_t written;  /* primary */
  uint64_t received; /* standby, as are all that follow */
  uint64_t replayed;
  uint64_t latest_end; /* newest position its sender told of */
  int64_t replay_commit_wall;
  bool has_receiver;
  bool streaming;
  bool replay_paused;
  bool has_read_only;
  bool read_only; /* default_transaction_read_only, as new sessions get it */
  char cluster_name[PGST_LABEL_SIZE];
} PgstNodeFacts;

/*
 * What the listener asks of the server, from within step: none of these may report an error,
 * allocate or wait.
 */
typedef struct PgstServerCalls {
  PgstNodeState (*node_state)(void);
  void (*node_facts)(PgstNodeFacts* facts);
  uint64_t (*cursor)(void);                        /* the shared round robin */
  bool (*move_cursor)(uint64_t from, uint64_t to); /* compare and swap */
  void (*handed_out)(uint32_t host); /* the host of this index in the snapshot was chosen */
  /* What the page shows beside the snapshot. The newest events, the oldest of them first, at most
   * so many, and the histories of the first `count` hosts. -1 and false: somebody else is at it
   * right now, and the copy is of no use. */
  int (*newest_events)(PgstEvent* copy, int most);
  bool (*lags)(PgstLagHistory* copy, uint32_t count);
} PgstServerCalls;

typedef struct PgstListenerSettings {
  const char* listen_addresses;
  const char* allow;
  int32_t port; /* 0: closed, as for the next two */
  int32_t http_port;
  int32_t check_port;
  int32_t max_clients;
  int32_t client_timeout_ms;
  bool fence;
} PgstListenerSettings;

/* Statuses as for the poller. */
extern PgstStatus pgst_listener_new(const PgstListenerSettings* settings,
                                    const PgstServerCalls* server, PgstListener** listener,
                                    PgstMessage* why) PGST_NOEXCEPT;
extern PgstStatus pgst_listener_configure(PgstListener* listener,
                                          const PgstListenerSettings* settings,
                                          PgstMessage* why) PGST_NOEXCEPT;
/* What answers look at from now on. The snapshot must stay where it is until the next call. */
extern void pgst_listener_set_snapshot(PgstListener* listener, const PgstSnapshot* snapshot,
                                       int64_t poller_alive_mono) PGST_NOEXCEPT;
/* The number of the newest event that this snapshot shows: who waits for another one than it knows
 * is answered. */
extern void pgst_listener_set_generation(PgstListener* listener, uint64_t generation) PGST_NOEXCEPT;
/* The orders must stay where they are until the next call. */
extern void pgst_listener_set_orders(PgstListener* listener, const PgstOrder* orders,
                                     uint32_t count) PGST_NOEXCEPT;
extern PgstStatus pgst_listener_step(PgstListener* listener, PgstMessage* why) PGST_NOEXCEPT;
extern int pgst_listener_fd(const PgstListener* listener) PGST_NOEXCEPT;
extern int pgst_listener_timeout_ms(PgstListener* listener) PGST_NOEXCEPT;
extern bool pgst_listener_take_log(PgstListener* listener, PgstLogLine* line) PGST_NOEXCEPT;
extern void pgst_listener_free(PgstListener* listener) PGST_NOEXCEPT;

/*
 * Choosing a host.
 */
typedef enum PgstRoute {
  PGST_ROUTE_MASTER = 0,
  PGST_ROUTE_REPLICA,
  PGST_ROUTE_SYNC_BY_TIME,
  PGST_ROUTE_SYNC_BY_BYTES,
  PGST_ROUTE_SYNC_BY_TIME_OR_BYTES,
  PGST_ROUTE_SYNC_BY_TIME_AND_BYTES,
  PGST_ROUTE_MOST_SYNC_BY_BYTES
} PgstRoute;

typedef struct PgstWish {
  PgstRoute route;
  bool has_lag_ms; /* false: the route's default */
  bool has_lag_bytes;
  uint64_t lag_ms;
  uint64_t lag_bytes;
  uint64_t min_lsn;          /* 0: no condition */
  uint32_t min_lsn_timeline; /* that min_lsn is a position of; 0: not given */
} PgstWish;

typedef struct PgstChoice {
  int32_t host;         /* index into snapshot->hosts; -1: none */
  uint64_t next_cursor; /* to be stored by compare-and-swap against the one given */
} PgstChoice;

/*
 * poller_alive_mono: the poller's last sign of life, 0 for none. Fresh: what the snapshot says of
 * hosts still holds; false when nothing was published lately or the poller has been silent for too
 * long.
 */
extern bool pgst_is_fresh(const PgstSnapshot* snapshot, int64_t poller_alive_mono,
                          int64_t now_mono) PGST_NOEXCEPT;
extern PgstChoice pgst_choose(const PgstSnapshot* snapshot, const PgstWish* wish, uint64_t cursor,
                              int64_t poller_alive_mono, int64_t now_mono) PGST_NOEXCEPT;

/*
 * This server, in SQL as on the check port.
 */

/* What an answer looks at. */
typedef struct PgstView {
  const PgstSnapshot* snapshot;
  const PgstNodeFacts* node;
  int64_t poller_alive_mono; /* as above */
  bool fence;                /* the setting */
  const PgstOrder* orders;
  uint32_t order_count;
} PgstView;

/* Whether an operator has taken this server out of service. */
extern bool pgst_in_maintenance(const PgstView* view) PGST_NOEXCEPT;

/* How far this standby's replay is behind the newest position known of its leader, in bytes; false
 * when that is not known. */
extern bool pgst_own_lag_bytes(const PgstView* view, uint64_t* lag_bytes) PGST_NOEXCEPT;

#define PGST_AGENT_LINE_SIZE 256

/* What the check port would answer. `path` and `command` as a client would send them, with or
 * without the leading slash. The code is 0 and the line "" when there is no memory. */
extern int pgst_check_code(const PgstView* view, const char* path) PGST_NOEXCEPT;
/* Without the newline. */
extern void pgst_agent_line(const PgstView* view, const char* command,
                            char line[PGST_AGENT_LINE_SIZE]) PGST_NOEXCEPT;

/* What this node sees of the nodes that have a vote, itself included. */
typedef struct PgstMajority {
  bool known;          /* false: the rest says nothing, but for `fenced` and why */
  bool possible;       /* there are enough of them for a majority to mean something */
  bool in_sight;       /* this node sees one */
  bool fenced;         /* this node is a primary that keeps away from load balancers */
  uint8_t fence_cause; /* PgstFenceCause: why it does */
  uint32_t voters;     /* how many there are */
  uint32_t voters_in_sight;
  uint32_t majority; /* how many it takes */
} PgstMajority;

extern void pgst_majority(const PgstView* view, PgstMajority* majority) PGST_NOEXCEPT;

/*
 * What this node tells the others of the hosts (probe/opinions.hpp). "" when it has nothing to say:
 * the snapshot is not fresh, or there is no memory.
 */
#define PGST_OPINIONS_SIZE 16640

extern void pgst_opinions(const PgstSnapshot* snapshot, int64_t poller_alive_mono,
                          char text[PGST_OPINIONS_SIZE]) PGST_NOEXCEPT;

/*
 * What only the inside of this server knows, for the others (probe/server_facts.hpp).
 */

/* How a timeline came about: forks[0 .. fork_count - 1], the oldest first. */
typedef struct PgstHistory {
  uint32_t from; /* of older timelines than this nothing is known; 1: of all there were it is */
  uint32_t fork_count;
  PgstFork forks[PGST_MAX_FORKS]; /* the newest ones */
} PgstHistory;

/* The text of a timeline history file. False when it is not the whole history of that timeline, or
 * without memory. */
extern bool pgst_parse_history(const char* text, size_t size, uint32_t timeline,
                               PgstHistory* history) PGST_NOEXCEPT;

typedef enum PgstReceiver {
  PGST_RECEIVER_NONE = 0,
  PGST_RECEIVER_CONNECTING,
  PGST_RECEIVER_STREAMING
} PgstReceiver;

/* Texts may not be NULL; "" is unknown, or none. */
typedef struct PgstServerFacts {
  uint32_t timeline; /* 0 unknown */
  bool has_history;
  bool has_receiver; /* `receiver` is meant: on a standby */
  bool has_read_only;
  bool read_only;
  PgstHistory history;
  PgstReceiver receiver;
  const char* upstream_host;
  int32_t upstream_port;         /* 0 unknown */
  const char* receiver_conninfo; /* as pg_stat_wal_receiver shows it */
  const char* receiver_fallback; /* the name that PostgreSQL gives a receiver without one */
  const char* receiver_slot;
  int64_t promoting_since_wall; /* 0: not asked for */
  uint64_t oldest_wal;          /* 0 unknown */
  const char* address;          /* as which the primary sees this server */
  uint64_t system_identifier;
  int64_t postmaster_start_wall; /* microseconds since 1970 */
} PgstServerFacts;

#define PGST_FACTS_SIZE 8448

/* "" without memory. */
extern void pgst_write_facts(const PgstServerFacts* facts,
                             char text[PGST_FACTS_SIZE]) PGST_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* PG_STATUS_WALL_H */
