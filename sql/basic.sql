-- What the extension has in SQL, and what it says on a server that watches only itself (pg_status.hosts = '').
CREATE EXTENSION pg_status;
--
-- The objects.
--
-- Every one has a comment: no row.
SELECT pg_describe_object(classid, objid, objsubid) AS without_comment
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_status')
	AND deptype = 'e' AND classid <> 'pg_type'::regclass
	AND obj_description(objid, classid::regclass::name) IS NULL;
SELECT p.proname AS function,
	CASE WHEN p.proallargtypes IS NULL THEN pg_get_function_arguments(p.oid)
		ELSE oidvectortypes(p.proargtypes) END AS arguments,
	format_type(p.prorettype, NULL) AS result, p.proretset AS set_of,
	p.provolatile AS volatile, p.proparallel AS parallel, p.proisstrict AS strict, p.prosecdef AS definer
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_status')
ORDER BY p.proname COLLATE "C", oidvectortypes(p.proargtypes) COLLATE "C";
SELECT attnum, attname, format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE attrelid = 'pg_status_hosts'::regclass AND attnum > 0
ORDER BY attnum;
-- pg_status_host(text) has the same columns, and pg_status_local() these.
SELECT (SELECT proargnames[2:] FROM pg_proc WHERE proname = 'pg_status_host')
	= (SELECT proargnames FROM pg_proc WHERE proname = 'pg_status_hosts') AS same_names,
	(SELECT proallargtypes[2:] FROM pg_proc WHERE proname = 'pg_status_host')
	= (SELECT proallargtypes FROM pg_proc WHERE proname = 'pg_status_hosts') AS same_types;
SELECT column_name, format_type(column_type, NULL)
FROM pg_proc, unnest(proargnames, proallargtypes) AS c (column_name, column_type)
WHERE proname = 'pg_status_local';
SELECT attnum, attname, format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE attrelid = 'pg_status_events'::regclass AND attnum > 0
ORDER BY attnum;
-- The library's version is a release of the extension's version.
SELECT pg_status_version() LIKE extversion || '.%' AS version_fits FROM pg_extension WHERE extname = 'pg_status';
--
-- One server, known a moment after its start.
--
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
SELECT pg_status_ready(), pg_status_live(), pg_status_is_split_brain();
SELECT pg_status_master() = 'localhost:' || current_setting('port') AS named_by_its_port;
\x on
SELECT node_id, host = pg_status_master() AS is_master_host, port = current_setting('port')::int AS port_fits,
	dc, geo, master, alive, possible_dead, lag_ms, sync_by_time, lag_bytes, sync_by_bytes, role, state, timeline,
	system_identifier = (SELECT c.system_identifier::text FROM pg_control_system() c) AS identifier_fits,
	server_version = current_setting('server_version_num')::int AS version_fits,
	lsn > '0/0' AND lsn <= pg_current_wal_insert_lsn() AS lsn_fits,
	replication_state, sync_state, sync_priority, upstream, replay_paused,
	last_success = last_check AS last_was_a_success,
	last_check BETWEEN now() - interval '1 hour' AND clock_timestamp() AS checked_lately,
	last_change BETWEEN pg_postmaster_start_time() AND last_check AS change_fits,
	fails, last_error, maintenance_reason, weight, votes_up, votes_down, unreachable_here,
	diverged, superseded, read_only, takes_sessions
FROM pg_status_hosts;
-- The nodes that have a vote: this one, alone.
SELECT * FROM pg_status_quorum();
SELECT coalesce(pg_status_primary_reason(), 'not told') <> '' AS reason;
SELECT role, state, timeline, lsn > '0/0' AND lsn <= pg_current_wal_insert_lsn() AS lsn_fits,
	lag_bytes, lag_ms, streaming, paused, sync_state, upstream, maintenance
FROM pg_status_local();
\x off
-- What the check port would say, also while it is closed.
SELECT path, pg_status_check(path)
FROM unnest(ARRAY['primary', '/primary', '', '/replica?lag=10MB', 'replica?lag=abc', 'read-only', 'readiness', 'nope',
	E'a\nb', 'GET / HTTP/1.0', repeat('x', 5000)]) WITH ORDINALITY AS p (path, n)
WHERE length(path) < 100 OR pg_status_check(path) <> 400
ORDER BY n;
SELECT command, pg_status_agent(command)
FROM unnest(ARRAY['primary', 'agent?role=primary', '/agent?role=any', 'agent?role=replica', 'agent?role=replica&down=maint',
	'agent?role=replica&lag=x', 'nope', '', E'a\nb']) WITH ORDINALITY AS c (command, n)
ORDER BY n;
SELECT pg_status_check(NULL), pg_status_agent(NULL);
-- It is checked again and again.
DO $$
DECLARE
	deadline timestamptz := clock_timestamp() + interval '60 seconds';
	before timestamptz := (SELECT last_check FROM pg_status_hosts);
BEGIN
	WHILE (SELECT last_check FROM pg_status_hosts) <= before LOOP
		IF clock_timestamp() > deadline THEN
			RAISE EXCEPTION 'no second check within a minute';
		END IF;
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
--
-- Events, and waiting for them.
--
-- What it took to know this server; numbers begin at the milliseconds since 1970.
SELECT count(DISTINCT host) AS hosts, count(*) > 2 AS some, count(*) <= 1024 AS not_too_many,
	max(seq) = pg_status_generation() AS newest, max(seq) - min(seq) + 1 = count(*) AS none_is_missing,
	abs(min(seq) - 1 - extract(epoch FROM pg_postmaster_start_time()) * 1000) < 60000 AS begins_at_start,
	min(at) > pg_postmaster_start_time() - interval '1 minute' AND max(at) < clock_timestamp() + interval '1 second' AS times_fit
FROM pg_status_events;
SELECT DISTINCT host = pg_status_master() AS this_host, kind, new = pg_status_master() AS names_it,
	CASE WHEN kind <> 'primary' THEN new END AS new, detail
FROM pg_status_events WHERE (kind, new) IN (('state', 'up'), ('role', 'primary'), ('primary', pg_status_master()))
ORDER BY kind;
-- Waiting: over at once when the number is another one, else after its time.
SELECT pg_status_wait(0) = pg_status_generation() AS any_number, pg_status_wait(pg_status_generation() - 1, 3600) = pg_status_generation()
	AS before_the_newest, pg_status_wait(pg_status_generation() + 1) = pg_status_generation() AS behind_the_newest;
SELECT pg_status_wait(pg_status_generation(), 0) = pg_status_generation() AS no_time,
	pg_status_wait(pg_status_generation(), 0.01) = pg_status_generation() AS some_time;
SELECT pg_status_wait(NULL), pg_status_wait(0, NULL);
SELECT pg_status_wait(0, -1);
SELECT pg_status_wait(0, 3600.1);
SELECT pg_status_wait(0, 'NaN');
SELECT pg_status_wait(0, 'Infinity');
\set VERBOSITY sqlstate
SELECT pg_status_wait(0, -0.1);
\set VERBOSITY default
-- A host by its name: one row, or none.
SELECT count(*) FROM pg_status_host(pg_status_master());
SELECT count(*) FROM pg_status_host('nobody');
SELECT count(*) FROM pg_status_host('');
SELECT count(*) FROM pg_status_host(NULL);
SELECT count(*) FROM pg_status_host(repeat('x', 10000));
--
-- Selectors: there is no standby, so each of them falls back to the primary. NULL is "not given".
--
CREATE FUNCTION is_master(host text) RETURNS boolean LANGUAGE sql AS 'SELECT host = pg_status_master()';
SELECT is_master(pg_status_replica()) AS replica,
	is_master(pg_status_sync_by_time()) AS by_time,
	is_master(pg_status_sync_by_bytes()) AS by_bytes,
	is_master(pg_status_sync_by_time_or_bytes()) AS by_time_or_bytes,
	is_master(pg_status_sync_by_time_and_bytes()) AS by_time_and_bytes,
	is_master(pg_status_most_sync_by_bytes()) AS most_by_bytes;
SELECT is_master(pg_status_replica(NULL, NULL, NULL)) AS replica,
	is_master(pg_status_sync_by_time(NULL, NULL)) AS by_time,
	is_master(pg_status_sync_by_bytes(NULL, NULL)) AS by_bytes,
	is_master(pg_status_sync_by_time_or_bytes(NULL, NULL, NULL)) AS by_time_or_bytes,
	is_master(pg_status_sync_by_time_and_bytes(NULL, NULL, NULL)) AS by_time_and_bytes,
	is_master(pg_status_most_sync_by_bytes(NULL, NULL)) AS most_by_bytes;
SELECT is_master(pg_status_replica(0, 0, '0/0')) AS replica,
	is_master(pg_status_sync_by_time(lag_ms => 0, min_lsn => '0/1')) AS by_time,
	is_master(pg_status_sync_by_bytes(lag_bytes => 0, min_lsn => '0/1')) AS by_bytes,
	is_master(pg_status_sync_by_time_or_bytes(lag_bytes => 0)) AS by_time_or_bytes,
	is_master(pg_status_sync_by_time_and_bytes(lag_ms => 0)) AS by_time_and_bytes,
	is_master(pg_status_most_sync_by_bytes(min_lsn => pg_current_wal_insert_lsn())) AS most_by_bytes;
-- The primary has everything that was written.
SELECT is_master(pg_status_replica(min_lsn => 'FFFFFFFF/FFFFFFFF'));
-- With its timeline: the primary's; one that nobody has seen; no position is no condition.
SELECT is_master(pg_status_replica(min_lsn => '0/1', timeline => (pg_status_local()).timeline)) AS replica,
	is_master(pg_status_sync_by_time(min_lsn => '0/1', timeline => (pg_status_local()).timeline)) AS by_time,
	is_master(pg_status_sync_by_bytes(min_lsn => '0/1', timeline => (pg_status_local()).timeline)) AS by_bytes,
	is_master(pg_status_sync_by_time_or_bytes(min_lsn => '0/1', timeline => (pg_status_local()).timeline)) AS by_time_or_bytes,
	is_master(pg_status_sync_by_time_and_bytes(min_lsn => '0/1', timeline => (pg_status_local()).timeline)) AS by_time_and_bytes,
	is_master(pg_status_most_sync_by_bytes(min_lsn => '0/1', timeline => (pg_status_local()).timeline)) AS most_by_bytes;
SELECT pg_status_replica(min_lsn => '0/1', timeline => 2147483647) AS replica,
	pg_status_sync_by_time(NULL, '0/1', 2147483647) AS by_time,
	pg_status_sync_by_bytes(NULL, '0/1', 2147483647) AS by_bytes,
	pg_status_sync_by_time_or_bytes(NULL, NULL, '0/1', 2147483647) AS by_time_or_bytes,
	pg_status_sync_by_time_and_bytes(NULL, NULL, '0/1', 2147483647) AS by_time_and_bytes,
	pg_status_most_sync_by_bytes(NULL, '0/1', 2147483647) AS most_by_bytes;
SELECT is_master(pg_status_replica(min_lsn => '0/0', timeline => 2147483647)) AS no_position,
	is_master(pg_status_replica(NULL, NULL, NULL, NULL)) AS nothing;
SELECT pg_status_replica(min_lsn => '0/1', timeline => 0);
SELECT pg_status_most_sync_by_bytes(min_lsn => '0/1', timeline => -1);
SELECT pg_status_sync_by_time(timeline => 1);
-- The largest limits, and beyond.
SELECT is_master(pg_status_replica(18446744073709551615, 18446744073709551615));
SELECT pg_status_replica(lag_ms => 18446744073709551616);
SELECT pg_status_replica(lag_bytes => 18446744073709551616);
SELECT pg_status_replica(lag_ms => 1e30);
SELECT pg_status_replica(lag_ms => 'NaN');
SELECT pg_status_replica(lag_ms => -1);
SELECT pg_status_replica(lag_bytes => -1);
SELECT pg_status_sync_by_time(-1);
SELECT pg_status_sync_by_bytes(-1);
SELECT pg_status_sync_by_time_or_bytes(lag_bytes => -1);
SELECT pg_status_sync_by_time_and_bytes(lag_ms => -1);
SELECT pg_status_most_sync_by_bytes(-1);
-- Limits are whole numbers, and written as such.
SELECT pg_status_replica(lag_ms => 1000.0) IS NOT NULL AS whole;
SELECT pg_status_replica(lag_bytes => 0.5);
SELECT pg_status_replica(lag_ms => -0.5);
SELECT pg_status_replica(lag_ms => 18446744073709551615.4);
-- A malformed position is an error of its type.
SELECT pg_status_replica(min_lsn => '0/XYZ');
\set VERBOSITY sqlstate
SELECT pg_status_replica(lag_ms => -1);
SELECT pg_status_replica(lag_ms => 18446744073709551616);
SELECT pg_status_replica(min_lsn => '0/XYZ');
SELECT pg_status_replica(min_lsn => '0/1', timeline => 0);
SELECT pg_status_replica(timeline => 1);
\set VERBOSITY default
DROP FUNCTION is_master(text);
--
-- Where it may be used: in read-only transactions, and from a schema of the user's choice.
--
BEGIN READ ONLY;
SELECT pg_status_master() IS NOT NULL, pg_status_replica() IS NOT NULL, count(*) FROM pg_status_hosts;
COMMIT;
CREATE SCHEMA elsewhere;
ALTER EXTENSION pg_status SET SCHEMA elsewhere;
SELECT elsewhere.pg_status_master() IS NOT NULL, count(*) FROM elsewhere.pg_status_hosts;
DROP EXTENSION pg_status;
DROP SCHEMA elsewhere;
