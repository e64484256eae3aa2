#!/usr/bin/env bash
# PostgreSQL 15.20 (Debian 12): client_min_messages = debug1 in the primary's postgresql.conf fills the log of its
# standbys. A WAL receiver is a client of the primary like any other; what it is told goes to its standard error, and so
# into the standby's log, without the prefix and the level of a log line, whatever the standby's own log_min_messages
# are.
#
# Seen: lines that begin with "DEBUG:" in the standby's log, with log_min_messages = panic there, and none before.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.bash"
bring postgresql-15=15.20-0+deb12u1 postgresql-client-15=15.20-0+deb12u1

new_server primary 'port = 6001'
start_server primary
standby_of standby 6001 'port = 6002' 'log_min_messages = panic'
start_server standby
streams() { [ "$(sql 6001 'SELECT state FROM pg_stat_replication')" = streaming ]; }
wait_until streams || fail 'it does not stream'
expect 'lines of DEBUG before' '^0$' "$(as_user grep -c '^DEBUG:' "$work/run/data_standby.log")"

as_user "$bin/pg_ctl" -D "$work/run/data_standby" -w stop >/dev/null
sql 6001 "ALTER SYSTEM SET client_min_messages = 'debug1'" >/dev/null
sql 6001 'SELECT pg_reload_conf()' >/dev/null
is_set() { [ "$(sql 6001 'SHOW client_min_messages')" = debug1 ]; }
wait_until is_set
start_server standby
wait_until streams || fail 'it does not stream again'
expect 'the first one after' '^DEBUG:' "$(as_user grep -m 1 '^DEBUG:' "$work/run/data_standby.log")"
