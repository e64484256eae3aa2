-- The settings: what they are by default, and that a wrong one is refused with an error that names what is wrong,
-- while the running configuration stays. No statement here succeeds in changing anything.
SELECT name, boot_val, unit, vartype, context, min_val, max_val
FROM pg_settings
WHERE name LIKE 'pg\_status.%'
ORDER BY name COLLATE "C";
-- Every one says what it is for: no row.
SELECT name FROM pg_settings WHERE name LIKE 'pg\_status.%' AND coalesce(short_desc, '') = '';
SHOW pg_status.hosts;
SHOW pg_status.max_hosts;
-- This one only shows; it cannot be set.
SHOW pg_status.node_state;
--
-- hosts
--
ALTER SYSTEM SET pg_status.hosts = 'db1:';
ALTER SYSTEM SET pg_status.hosts = 'db1:0';
ALTER SYSTEM SET pg_status.hosts = 'db1, db2:70000';
ALTER SYSTEM SET pg_status.hosts = 'db1:5432x';
ALTER SYSTEM SET pg_status.hosts = 'db1:-5432';
ALTER SYSTEM SET pg_status.hosts = 'db1:99999999999999999999';
ALTER SYSTEM SET pg_status.hosts = ':5432';
ALTER SYSTEM SET pg_status.hosts = '::1';
ALTER SYSTEM SET pg_status.hosts = '[::1';
ALTER SYSTEM SET pg_status.hosts = '[::1]5432';
ALTER SYSTEM SET pg_status.hosts = '[::1]:';
ALTER SYSTEM SET pg_status.hosts = '[db1]:5432';
ALTER SYSTEM SET pg_status.hosts = '10.0.0.256';
ALTER SYSTEM SET pg_status.hosts = 'db!1';
ALTER SYSTEM SET pg_status.hosts = '/run/postgresql:0';
ALTER SYSTEM SET pg_status.hosts = 'db1,,db2';
ALTER SYSTEM SET pg_status.hosts = 'db1, db2,';
ALTER SYSTEM SET pg_status.hosts = 'db1 db2';
ALTER SYSTEM SET pg_status.hosts = 'db1, db2, db1';
ALTER SYSTEM SET pg_status.hosts = 'db1 name=a, DB1 name=b';
ALTER SYSTEM SET pg_status.hosts = 'db1 name=a, db2 name=a';
ALTER SYSTEM SET pg_status.hosts = 'db1 colour=red';
ALTER SYSTEM SET pg_status.hosts = 'db1 dc=';
ALTER SYSTEM SET pg_status.hosts = 'db1 dc=a dc=b';
ALTER SYSTEM SET pg_status.hosts = 'db1 weight=heavy';
ALTER SYSTEM SET pg_status.hosts = 'db1 weight=-1';
ALTER SYSTEM SET pg_status.hosts = 'db1 weight=1001';
-- More than max_hosts; an entry of no sensible length is quoted in part.
SELECT string_agg('h' || i, ',') AS too_many FROM generate_series(1, 65) i \gset
ALTER SYSTEM SET pg_status.hosts = :'too_many';
SELECT repeat('h', 100) || '!' AS long_entry \gset
ALTER SYSTEM SET pg_status.hosts = :'long_entry';
--
-- dc, geo, listen_addresses, allow
--
ALTER SYSTEM SET pg_status.dc = 'two words';
SELECT repeat('d', 64) AS long_label \gset
ALTER SYSTEM SET pg_status.dc = :'long_label';
ALTER SYSTEM SET pg_status.geo = 'a,b';
ALTER SYSTEM SET pg_status.listen_addresses = 'db1.example.com';
ALTER SYSTEM SET pg_status.listen_addresses = '127.0.0.1,,::1';
ALTER SYSTEM SET pg_status.listen_addresses = '127.0.0.256';
ALTER SYSTEM SET pg_status.allow = '10.0.0.0/33';
ALTER SYSTEM SET pg_status.allow = '10.1.2.3/8';
ALTER SYSTEM SET pg_status.allow = '10.0.0.0/';
ALTER SYSTEM SET pg_status.allow = '10.0.0.0/x';
ALTER SYSTEM SET pg_status.allow = 'localhost';
ALTER SYSTEM SET pg_status.allow = '2001:db8::/129';
--
-- conninfo: the value, which may hold a password, is not repeated.
--
ALTER SYSTEM SET pg_status.conninfo = 'user=postgres colour=red password=tell-nobody';
ALTER SYSTEM SET pg_status.conninfo = 'user=postgres password=''tell-nobody';
ALTER SYSTEM SET pg_status.conninfo = 'host=db1 user=postgres';
ALTER SYSTEM SET pg_status.conninfo = 'hostaddr=10.0.0.1 user=postgres';
ALTER SYSTEM SET pg_status.conninfo = 'user=postgres password=tell-nobody';
--
-- Numbers outside of their range, and names that do not exist. (The words are PostgreSQL's, and differ with it.)
--
\set VERBOSITY sqlstate
ALTER SYSTEM SET pg_status.port = 65536;
ALTER SYSTEM SET pg_status.port = -1;
ALTER SYSTEM SET pg_status.poll_interval = '9ms';
ALTER SYSTEM SET pg_status.fast_poll_interval = 0;
ALTER SYSTEM SET pg_status.poll_timeout = '2min';
ALTER SYSTEM SET pg_status.conn_max_age = 0;
ALTER SYSTEM SET pg_status.max_fails = 0;
ALTER SYSTEM SET pg_status.max_clients = 0;
ALTER SYSTEM SET pg_status.client_timeout = 'soon';
ALTER SYSTEM SET pg_status.sync_max_lag_ms = -1;
ALTER SYSTEM SET pg_status.sync_max_lag_bytes = -1;
ALTER SYSTEM SET pg_status.max_hosts = 0;
ALTER SYSTEM SET pg_status.max_hosts = 4097;
SET pg_status.poll_interval = '1s';
SET pg_status.max_hosts = 10;
SET pg_status.node_state = 'standby';
ALTER SYSTEM SET pg_status.node_state = 'standby';
\set VERBOSITY default
-- Nothing has come through.
SELECT name, setting, applied, error FROM pg_file_settings
WHERE sourcefile LIKE '%postgresql.auto.conf' AND name LIKE 'pg\_status.%';
SHOW pg_status.hosts;
SHOW pg_status.max_hosts;
