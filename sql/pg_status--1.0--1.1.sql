/* sql/pg_status--1.0--1.1.sql: what version 1.1 adds: events, and waiting for them. */

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
'number of the newest change; it rises by one with each, and is higher after a restart of the server than it was before';

CREATE FUNCTION pg_status_wait(generation bigint, timeout double precision DEFAULT 60)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pg_status_wait'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION pg_status_wait(bigint, double precision) IS
'waits until the number of the newest change is another one than the one given, for at most so many seconds (0 to 3600); returns what it is then';
