-- Objects of an older version, with this library; their update; and objects that the library cannot serve.
CREATE EXTENSION pg_status VERSION '1.0';
SELECT extversion FROM pg_extension WHERE extname = 'pg_status';
SELECT count(*) AS newer FROM pg_proc WHERE proname IN ('pg_status_events', 'pg_status_generation', 'pg_status_wait');
DO $$
DECLARE
	deadline timestamptz := clock_timestamp() + interval '60 seconds';
BEGIN
	WHILE NOT (pg_status_ready() AND pg_status_live() AND pg_status_master() IS NOT NULL) LOOP
		IF clock_timestamp() > deadline THEN
			RAISE EXCEPTION 'this server is not known after a minute';
		END IF;
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
-- All of it works.
SELECT host = pg_status_master() AS master, role, state, fails FROM pg_status_hosts;
SELECT count(*) FROM pg_status_hosts();
SELECT count(*) FROM pg_status_host(pg_status_master());
SELECT role, state FROM pg_status_local();
SELECT pg_status_replica() IS NOT NULL AS replica, pg_status_sync_by_time() IS NOT NULL AS by_time,
	pg_status_sync_by_bytes() IS NOT NULL AS by_bytes, pg_status_sync_by_time_or_bytes() IS NOT NULL AS by_time_or_bytes,
	pg_status_sync_by_time_and_bytes() IS NOT NULL AS by_time_and_bytes, pg_status_most_sync_by_bytes() IS NOT NULL AS most;
SELECT pg_status_replica(NULL, NULL, '0/1') IS NOT NULL AS replica, pg_status_sync_by_time(NULL, '0/1') IS NOT NULL AS by_time,
	pg_status_most_sync_by_bytes(NULL, '0/1') IS NOT NULL AS most;
SELECT (SELECT count(*) FROM json_object_keys(row_to_json(hosts))) AS columns FROM pg_status_hosts hosts;
SELECT pg_status_check('primary'), pg_status_agent('primary');
SELECT pg_status_is_split_brain(), (pg_status_quorum()).voters, pg_status_version() IS NOT NULL AS version;
-- The update makes the same objects as a new extension has.
ALTER EXTENSION pg_status UPDATE;
SELECT extversion FROM pg_extension WHERE extname = 'pg_status';
CREATE TEMP TABLE after_update AS
	SELECT pg_describe_object(d.classid, d.objid, 0) AS object, p.proargnames, p.proallargtypes, p.prorettype, p.provolatile,
		p.proparallel, p.proisstrict, p.prorows, p.proacl, c.relacl, obj_description(d.objid, d.classid::regclass::name)
	FROM pg_depend d
		LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
		LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_status');
DROP EXTENSION pg_status;
CREATE EXTENSION pg_status;
CREATE TEMP TABLE from_new AS
	SELECT pg_describe_object(d.classid, d.objid, 0) AS object, p.proargnames, p.proallargtypes, p.prorettype, p.provolatile,
		p.proparallel, p.proisstrict, p.prorows, p.proacl, c.relacl, obj_description(d.objid, d.classid::regclass::name)
	FROM pg_depend d
		LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
		LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_status');
SELECT (SELECT count(*) FROM from_new) > 20 AS many,
	(SELECT count(*) FROM (TABLE from_new EXCEPT TABLE after_update) AS missing) AS missing,
	(SELECT count(*) FROM (TABLE after_update EXCEPT TABLE from_new) AS too_many) AS too_many;
SELECT (SELECT count(*) FROM json_object_keys(row_to_json(hosts))) AS columns FROM pg_status_hosts hosts;
SELECT pg_status_generation() > 0 AS generation, count(*) > 0 AS events FROM pg_status_events;
-- There is no way back.
ALTER EXTENSION pg_status UPDATE TO '1.0';
-- Objects that the library cannot serve: an error, and the session goes on.
CREATE FUNCTION events_of_yesterday(OUT seq bigint, OUT at timestamptz)
RETURNS SETOF record AS '$libdir/pg_status', 'pg_status_events' LANGUAGE C STRICT;
CREATE FUNCTION events_of_tomorrow(OUT seq bigint, OUT at timestamptz, OUT host text, OUT kind text, OUT old text, OUT new text,
	OUT detail text, OUT more text)
RETURNS SETOF record AS '$libdir/pg_status', 'pg_status_events' LANGUAGE C STRICT;
CREATE FUNCTION quorum_of_yesterday(OUT voters integer, OUT majority integer)
RETURNS record AS '$libdir/pg_status', 'pg_status_quorum' LANGUAGE C STRICT;
SELECT count(*) FROM events_of_yesterday();
SELECT count(*) FROM events_of_tomorrow();
SELECT * FROM quorum_of_yesterday();
-- (the words have the place of the library in them)
\set VERBOSITY sqlstate
CREATE FUNCTION unknown_to_the_library() RETURNS integer AS '$libdir/pg_status', 'pg_status_of_tomorrow' LANGUAGE C STRICT;
\set VERBOSITY default
DROP FUNCTION events_of_yesterday();
DROP FUNCTION events_of_tomorrow();
DROP FUNCTION quorum_of_yesterday();
DROP EXTENSION pg_status;
