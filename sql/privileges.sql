-- Who may see what. Readers are for everyone; errors of hosts are for members of pg_monitor, because they may hold
-- addresses; how pg_status connects is for superusers.
CREATE EXTENSION pg_status;
CREATE ROLE regress_pg_status_plain;
CREATE ROLE regress_pg_status_monitor;
GRANT pg_monitor TO regress_pg_status_monitor;
-- A host that refuses: nothing listens on port 1.
ALTER SYSTEM SET pg_status.hosts = '127.0.0.1:1 name=nobody-there';
SELECT pg_reload_conf();
DO $$
DECLARE
	deadline timestamptz := clock_timestamp() + interval '60 seconds';
BEGIN
	WHILE NOT EXISTS (SELECT FROM pg_status_host('nobody-there') WHERE fails > 0) LOOP
		IF clock_timestamp() > deadline THEN
			RAISE EXCEPTION 'the host was not checked within a minute';
		END IF;
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
SELECT host, alive, role, last_error IS NOT NULL AS error_shown FROM pg_status_hosts;
-- A member of pg_monitor sees it, too.
SET ROLE regress_pg_status_monitor;
SELECT host, last_error IS NOT NULL AS error_shown FROM pg_status_hosts;
SELECT host, last_error IS NOT NULL AS error_shown FROM pg_status_hosts();
SELECT host, last_error IS NOT NULL AS error_shown FROM pg_status_host('nobody-there');
-- Everyone else sees all but that.
SET ROLE regress_pg_status_plain;
SELECT host, hostname, port, last_error IS NOT NULL AS error_shown FROM pg_status_hosts;
SELECT host, last_error IS NOT NULL AS error_shown FROM pg_status_hosts();
SELECT host, last_error IS NOT NULL AS error_shown FROM pg_status_host('nobody-there');
SELECT pg_status_master(), pg_status_replica(), pg_status_sync_by_time(), pg_status_sync_by_bytes(),
	pg_status_sync_by_time_or_bytes(), pg_status_sync_by_time_and_bytes(), pg_status_most_sync_by_bytes();
SELECT pg_status_live(), pg_status_version() IS NOT NULL AS version, pg_status_is_split_brain(),
	coalesce(pg_status_primary_reason(), 'not told') <> '' AS reason, (pg_status_local()).role;
SELECT pg_status_check('primary');
SELECT pg_status_agent('primary');
-- That something has changed is for everyone, what has changed is not.
SELECT pg_status_generation() > 0 AS generation, pg_status_wait(0) > 0 AS wait;
SELECT count(*) FROM pg_status_events;
SELECT count(*) FROM pg_status_events();
SHOW pg_status.hosts;
SELECT count(*) FROM pg_settings WHERE name = 'pg_status.conninfo';
-- The words differ between versions of PostgreSQL; 42501 is "insufficient privilege".
\set VERBOSITY sqlstate
SHOW pg_status.conninfo;
SELECT current_setting('pg_status.conninfo');
ALTER SYSTEM SET pg_status.hosts = '';
SET pg_status.hosts = '';
\set VERBOSITY default
-- PostgreSQL lets members of pg_read_all_settings read it, and pg_monitor is one.
SET ROLE regress_pg_status_monitor;
SELECT current_setting('pg_status.conninfo') LIKE '%user=%' AS conninfo_shown;
SELECT pg_status_check('primary'), pg_status_agent('primary');
SELECT count(*) > 0 AS view FROM pg_status_events;
SELECT count(*) > 0 AS function FROM pg_status_events();
RESET ROLE;
ALTER SYSTEM RESET pg_status.hosts;
SELECT pg_reload_conf();
DROP ROLE regress_pg_status_plain;
DROP ROLE regress_pg_status_monitor;
DROP EXTENSION pg_status;
