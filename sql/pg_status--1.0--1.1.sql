/* sql/pg_status--1.0--1.1.sql: what version 1.1 adds: events, and waiting for them; maintenance, weights and checks out of turn; statistics; timelines of min_lsn, and hosts whose history has lost. */

-- complain if the script is sourced in psql, rather than through CREATE EXTENSION or ALTER EXTENSION
\echo Use "ALTER EXTENSION pg_status UPDATE TO '1.1'" to load this file. \quit

--
-- Events: what has changed of what is believed.
--

CREATE FUNCTION pg_status_events(
	OUT seq    bigint,
	OUT at     timestamptz,
	OUT host   text,
	OUT kind   text,
	OUT old    text,
	OUT new    text,
	OUT detail text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pg_status_events'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 1024;

COMMENT ON FUNCTION pg_status_events() IS
'the last 1024 changes of what is believed of the hosts and of the cluster, the oldest first; they are lost with a restart of the server';

CREATE VIEW pg_status_events AS SELECT * FROM pg_status_events();

COMMENT ON VIEW pg_status_events IS
'the last 1024 changes of what is believed of the hosts and of the cluster, the oldest first; they are lost with a restart of the server';

REVOKE ALL ON FUNCTION pg_status_events() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_status_events() TO pg_monitor;
GRANT SELECT ON pg_status_events TO pg_monitor;

CREATE FUNCTION pg_status_generation()
RETURNS bigint
AS 'MODULE_PATHNAME', 'pg_status_generation'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_generation() IS
'number of the newest change; it rises by one with each, and is another one after each start of the server';

CREATE FUNCTION pg_status_wait(generation bigint, timeout double precision DEFAULT 60)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pg_status_wait'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION pg_status_wait(bigint, double precision) IS
'waits until the number of the newest change is another one than the one given, for at most so many seconds (0 to 3600); returns what it is then';

--
-- Operations. They hold on this server alone, also while it is a standby, and no transaction takes them back.
-- For superusers; EXECUTE can be granted.
--

CREATE FUNCTION pg_status_detach_node(host text, gracefully boolean DEFAULT false, reason text DEFAULT NULL, force boolean DEFAULT false)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_detach_node'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION pg_status_detach_node(text, boolean, text, boolean) IS
'takes a host out of service on this server, until it is attached again; a primary only with force';

CREATE FUNCTION pg_status_detach_node(node_id integer, gracefully boolean DEFAULT false, reason text DEFAULT NULL, force boolean DEFAULT false)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_detach_node_id'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION pg_status_detach_node(integer, boolean, text, boolean) IS
'takes a host out of service on this server, until it is attached again; a primary only with force';

CREATE FUNCTION pg_status_attach_node(host text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_attach_node'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION pg_status_attach_node(text) IS
'puts a host back into service on this server, as soon as it has answered a check';

CREATE FUNCTION pg_status_attach_node(node_id integer)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_attach_node_id'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION pg_status_attach_node(integer) IS
'puts a host back into service on this server, as soon as it has answered a check';

CREATE FUNCTION pg_status_set_weight(host text, weight real)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_set_weight'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION pg_status_set_weight(text, real) IS
'share of reads of a host, 0 to 1000, until the server is restarted; NULL: what pg_status.hosts says';

CREATE FUNCTION pg_status_set_weight(node_id integer, weight real)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_set_weight_id'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION pg_status_set_weight(integer, real) IS
'share of reads of a host, 0 to 1000, until the server is restarted; NULL: what pg_status.hosts says';

CREATE FUNCTION pg_status_poll_now(host text DEFAULT NULL)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_poll_now'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION pg_status_poll_now(text) IS
'checks a host, or all of them, at once, and waits for the result: whether it came';

CREATE FUNCTION pg_status_reload()
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_reload'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION pg_status_reload() IS
'the same as pg_reload_conf(): all processes read the settings anew';

CREATE FUNCTION pg_status_stats_reset(host text DEFAULT NULL)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_stats_reset'
LANGUAGE C VOLATILE;

COMMENT ON FUNCTION pg_status_stats_reset(text) IS
'counts the checks of a host, or of all of them, and how often it was chosen, anew';

REVOKE ALL ON FUNCTION
	pg_status_detach_node(text, boolean, text, boolean), pg_status_detach_node(integer, boolean, text, boolean),
	pg_status_attach_node(text), pg_status_attach_node(integer),
	pg_status_set_weight(text, real), pg_status_set_weight(integer, real),
	pg_status_poll_now(text), pg_status_reload(), pg_status_stats_reset(text)
FROM PUBLIC;

--
-- Statistics: what pgpool-II shows in SHOW POOL_NODES and for its health checks.
--

CREATE FUNCTION pg_status_pool_nodes(
	OUT node_id                integer,
	OUT hostname               text,
	OUT port                   integer,
	OUT status                 text,
	OUT pg_status              text,
	OUT lb_weight              double precision,
	OUT role                   text,
	OUT pg_role                text,
	OUT select_cnt             bigint,
	OUT load_balance_node      boolean,
	OUT replication_delay      bigint,
	OUT replication_delay_ms   bigint,
	OUT replication_state      text,
	OUT replication_sync_state text,
	OUT last_status_change     timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pg_status_pool_nodes'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 10;

COMMENT ON FUNCTION pg_status_pool_nodes() IS
'the hosts as SHOW POOL_NODES of pgpool-II shows its backends';

CREATE VIEW pg_status_pool_nodes AS SELECT * FROM pg_status_pool_nodes();

COMMENT ON VIEW pg_status_pool_nodes IS
'the hosts as SHOW POOL_NODES of pgpool-II shows its backends';

GRANT SELECT ON pg_status_pool_nodes TO PUBLIC;

CREATE FUNCTION pg_status_stats(
	OUT node_id                       integer,
	OUT host                          text,
	OUT port                          integer,
	OUT status                        text,
	OUT role                          text,
	OUT last_status_change            timestamptz,
	OUT total_count                   bigint,
	OUT success_count                 bigint,
	OUT fail_count                    bigint,
	OUT skip_count                    bigint,
	OUT retry_count                   bigint,
	OUT average_retry_count           double precision,
	OUT max_retry_count               bigint,
	OUT max_health_check_duration     double precision,
	OUT min_health_check_duration     double precision,
	OUT average_health_check_duration double precision,
	OUT last_health_check             timestamptz,
	OUT last_successful_health_check  timestamptz,
	OUT last_skip_health_check        timestamptz,
	OUT last_failed_health_check      timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pg_status_stats'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 10;

COMMENT ON FUNCTION pg_status_stats() IS
'how the checks of each host went, since the poller started or the counts were reset; durations in milliseconds';

CREATE VIEW pg_status_stats AS SELECT * FROM pg_status_stats();

COMMENT ON VIEW pg_status_stats IS
'how the checks of each host went, since the poller started or the counts were reset; durations in milliseconds';

REVOKE ALL ON FUNCTION pg_status_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_status_stats() TO pg_monitor;
GRANT SELECT ON pg_status_stats TO pg_monitor;

--
-- Selectors: min_lsn may be given with its timeline.
--

DROP FUNCTION pg_status_replica(numeric, numeric, pg_lsn);
DROP FUNCTION pg_status_sync_by_time(numeric, pg_lsn);
DROP FUNCTION pg_status_sync_by_bytes(numeric, pg_lsn);
DROP FUNCTION pg_status_sync_by_time_or_bytes(numeric, numeric, pg_lsn);
DROP FUNCTION pg_status_sync_by_time_and_bytes(numeric, numeric, pg_lsn);
DROP FUNCTION pg_status_most_sync_by_bytes(numeric, pg_lsn);

CREATE FUNCTION pg_status_replica(lag_ms numeric DEFAULT NULL, lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL, timeline integer DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_replica'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_replica(numeric, numeric, pg_lsn, integer) IS
'a standby within the limits given, in turn; the primary when none is; NULL when there is neither';

CREATE FUNCTION pg_status_sync_by_time(lag_ms numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL, timeline integer DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_sync_by_time'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_sync_by_time(numeric, pg_lsn, integer) IS
'a standby at most lag_ms milliseconds behind (default: pg_status.sync_max_lag_ms), else the primary, else NULL';

CREATE FUNCTION pg_status_sync_by_bytes(lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL, timeline integer DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_sync_by_bytes'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_sync_by_bytes(numeric, pg_lsn, integer) IS
'a standby at most lag_bytes bytes behind (default: pg_status.sync_max_lag_bytes), else the primary, else NULL';

CREATE FUNCTION pg_status_sync_by_time_or_bytes(lag_ms numeric DEFAULT NULL, lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL, timeline integer DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_sync_by_time_or_bytes'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_sync_by_time_or_bytes(numeric, numeric, pg_lsn, integer) IS
'a standby within the limit of time or that of bytes, else the primary, else NULL';

CREATE FUNCTION pg_status_sync_by_time_and_bytes(lag_ms numeric DEFAULT NULL, lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL, timeline integer DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_sync_by_time_and_bytes'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_sync_by_time_and_bytes(numeric, numeric, pg_lsn, integer) IS
'a standby within the limit of time and that of bytes, else the primary, else NULL';

CREATE FUNCTION pg_status_most_sync_by_bytes(lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL, timeline integer DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_most_sync_by_bytes'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_most_sync_by_bytes(numeric, pg_lsn, integer) IS
'the standby that is the fewest bytes behind, and at most lag_bytes; else the primary, else NULL';

--
-- Hosts: whose history has lost.
--

DROP VIEW pg_status_hosts;
DROP FUNCTION pg_status_hosts();
DROP FUNCTION pg_status_host(text);

CREATE FUNCTION pg_status_hosts(
	OUT node_id            integer,
	OUT host               text,
	OUT hostname           text,
	OUT port               integer,
	OUT dc                 text,
	OUT geo                text,
	OUT master             boolean,
	OUT alive              boolean,
	OUT possible_dead      boolean,
	OUT lag_ms             bigint,
	OUT sync_by_time       boolean,
	OUT lag_bytes          bigint,
	OUT sync_by_bytes      boolean,
	OUT lsn                pg_lsn,
	OUT role               text,
	OUT state              text,
	OUT timeline           integer,
	OUT system_identifier  text,
	OUT server_version     integer,
	OUT replication_state  text,
	OUT sync_state         text,
	OUT sync_priority      integer,
	OUT upstream           text,
	OUT replay_paused      boolean,
	OUT last_check         timestamptz,
	OUT last_success       timestamptz,
	OUT last_change        timestamptz,
	OUT fails              integer,
	OUT last_error         text,
	OUT maintenance_reason text,
	OUT weight             real,
	OUT votes_up           integer,
	OUT votes_down         integer,
	OUT unreachable_here   boolean,
	OUT diverged           boolean,
	OUT superseded         boolean,
	OUT read_only          boolean,
	OUT takes_sessions     boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pg_status_hosts'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 10;

COMMENT ON FUNCTION pg_status_hosts() IS
'one row for each configured host, in configured order; last_error is shown to members of pg_monitor only';

CREATE VIEW pg_status_hosts AS SELECT * FROM pg_status_hosts();

COMMENT ON VIEW pg_status_hosts IS
'one row for each configured host, in configured order; last_error is shown to members of pg_monitor only';

GRANT SELECT ON pg_status_hosts TO PUBLIC;

CREATE FUNCTION pg_status_host(IN host_name text,
	OUT node_id            integer,
	OUT host               text,
	OUT hostname           text,
	OUT port               integer,
	OUT dc                 text,
	OUT geo                text,
	OUT master             boolean,
	OUT alive              boolean,
	OUT possible_dead      boolean,
	OUT lag_ms             bigint,
	OUT sync_by_time       boolean,
	OUT lag_bytes          bigint,
	OUT sync_by_bytes      boolean,
	OUT lsn                pg_lsn,
	OUT role               text,
	OUT state              text,
	OUT timeline           integer,
	OUT system_identifier  text,
	OUT server_version     integer,
	OUT replication_state  text,
	OUT sync_state         text,
	OUT sync_priority      integer,
	OUT upstream           text,
	OUT replay_paused      boolean,
	OUT last_check         timestamptz,
	OUT last_success       timestamptz,
	OUT last_change        timestamptz,
	OUT fails              integer,
	OUT last_error         text,
	OUT maintenance_reason text,
	OUT weight             real,
	OUT votes_up           integer,
	OUT votes_down         integer,
	OUT unreachable_here   boolean,
	OUT diverged           boolean,
	OUT superseded         boolean,
	OUT read_only          boolean,
	OUT takes_sessions     boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pg_status_host'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 1;

COMMENT ON FUNCTION pg_status_host(text) IS
'the row of pg_status_hosts of the host with this name, or no row';

CREATE FUNCTION pg_status_primary_reason()
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_primary_reason'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_primary_reason() IS
'why it is this host that pg_status_master() names, or why it is nobody; NULL before the first checks and when the poller is silent';
