/* sql/pg_status--1.0.sql: the SQL surface of pg_status. Everything here reads shared memory only: no table, no lock, no network. */

-- complain if the script is sourced in psql, rather than through CREATE EXTENSION
\echo Use "CREATE EXTENSION pg_status" to load this file. \quit

--
-- Selectors: one host name, from the same choice that every other interface makes.
-- VOLATILE, because each call takes a turn in the round robin that all sessions share.
--

CREATE FUNCTION pg_status_master()
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_master'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_master() IS
'host of the primary; NULL when none is known';

CREATE FUNCTION pg_status_replica(lag_ms numeric DEFAULT NULL, lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_replica'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_replica(numeric, numeric, pg_lsn) IS
'a standby within the limits given, in turn; the primary when none is; NULL when there is neither';

CREATE FUNCTION pg_status_sync_by_time(lag_ms numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_sync_by_time'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_sync_by_time(numeric, pg_lsn) IS
'a standby at most lag_ms milliseconds behind (default: pg_status.sync_max_lag_ms), else the primary, else NULL';

CREATE FUNCTION pg_status_sync_by_bytes(lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_sync_by_bytes'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_sync_by_bytes(numeric, pg_lsn) IS
'a standby at most lag_bytes bytes behind (default: pg_status.sync_max_lag_bytes), else the primary, else NULL';

CREATE FUNCTION pg_status_sync_by_time_or_bytes(lag_ms numeric DEFAULT NULL, lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_sync_by_time_or_bytes'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_sync_by_time_or_bytes(numeric, numeric, pg_lsn) IS
'a standby within the limit of time or that of bytes, else the primary, else NULL';

CREATE FUNCTION pg_status_sync_by_time_and_bytes(lag_ms numeric DEFAULT NULL, lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_sync_by_time_and_bytes'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_sync_by_time_and_bytes(numeric, numeric, pg_lsn) IS
'a standby within the limit of time and that of bytes, else the primary, else NULL';

CREATE FUNCTION pg_status_most_sync_by_bytes(lag_bytes numeric DEFAULT NULL, min_lsn pg_lsn DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_most_sync_by_bytes'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_most_sync_by_bytes(numeric, pg_lsn) IS
'the standby that is the fewest bytes behind, and at most lag_bytes; else the primary, else NULL';

--
-- Hosts: what is believed of each, in configured order.
--

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
	OUT unreachable_here   boolean)
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
	OUT unreachable_here   boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pg_status_host'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 1;

COMMENT ON FUNCTION pg_status_host(text) IS
'the row of pg_status_hosts of the host with this name, or no row';

--
-- This node, read live; what only others can tell (lag in time, sync state) is from the last poll.
--

CREATE FUNCTION pg_status_local(
	OUT role        text,
	OUT state       text,
	OUT timeline    integer,
	OUT lsn         pg_lsn,
	OUT lag_bytes   bigint,
	OUT lag_ms      bigint,
	OUT streaming   boolean,
	OUT paused      boolean,
	OUT sync_state  text,
	OUT upstream    text,
	OUT maintenance boolean)
RETURNS record
AS 'MODULE_PATHNAME', 'pg_status_local'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_local() IS
'this server: role, state, timeline, position and lag';

--
-- What the check port would answer, also while it is closed: for trying out a load balancer's settings.
--

CREATE FUNCTION pg_status_check(path text)
RETURNS integer
AS 'MODULE_PATHNAME', 'pg_status_check'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_check(text) IS
'HTTP status that GET of this path gets from the check port, for example of replica?lag=10MB';

CREATE FUNCTION pg_status_agent(command text)
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_agent'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_agent(text) IS
'reply that HAProxy''s agent check gets from the check port, for example to agent?role=replica&lag=10MB';

REVOKE ALL ON FUNCTION pg_status_check(text), pg_status_agent(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_status_check(text), pg_status_agent(text) TO pg_monitor;

--
-- pg_status itself.
--

CREATE FUNCTION pg_status_ready()
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_ready'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_ready() IS
'whether the first check of every host has finished, so that answers mean something';

CREATE FUNCTION pg_status_live()
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_live'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_live() IS
'whether both workers have shown a sign of life within the last 30 seconds';

CREATE FUNCTION pg_status_version()
RETURNS text
AS 'MODULE_PATHNAME', 'pg_status_version'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_version() IS
'version of the loaded library, for example 1.0.0';

CREATE FUNCTION pg_status_is_split_brain()
RETURNS boolean
AS 'MODULE_PATHNAME', 'pg_status_is_split_brain'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_is_split_brain() IS
'whether two servers of this cluster are seen to be primaries at the same time; NULL before the first checks and when the poller is silent';

CREATE FUNCTION pg_status_quorum(
	OUT voters   integer,
	OUT majority integer,
	OUT in_sight integer,
	OUT quorum   boolean,
	OUT fence    boolean,
	OUT fenced   boolean,
	OUT note     text)
RETURNS record
AS 'MODULE_PATHNAME', 'pg_status_quorum'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION pg_status_quorum() IS
'the nodes that have a vote, how many make a majority, how many this node sees; quorum: whether that is a majority, NULL where there can be none; fenced: whether this server is a primary that says FENCED';
