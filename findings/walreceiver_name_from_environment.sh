#!/usr/bin/env bash
# PostgreSQL 15.20 (Debian 12): a standby's WAL receiver takes its name from PGAPPNAME, when the environment of its
# postmaster has that. The documentation of synchronous_standby_names names primary_conninfo's application_name, then
# cluster_name, then "walreceiver"; but the latter two are only libpq's fallback, which a variable of the environment
# outranks. So a server that is started by hand, or by a script, from a shell with PGAPPNAME set is another standby to
# synchronous_standby_names than the one that the init system starts.
#
# Seen: cluster_name "db2" and PGAPPNAME=from_a_shell, and pg_stat_replication has "from_a_shell"; started again without
# the variable, "db2".
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.bash"
bring postgresql-15=15.20-0+deb12u1 postgresql-client-15=15.20-0+deb12u1

new_server primary 'port = 6001'
start_server primary
standby_of standby 6001 'port = 6002' "cluster_name = 'db2'"
name() { sql 6001 'SELECT application_name FROM pg_stat_replication'; }
has_name() { [ "$(name)" != "" ]; }

start_server standby PGAPPNAME=from_a_shell
wait_until has_name
expect 'with PGAPPNAME' '^from_a_shell$' "$(name)"
as_user "$bin/pg_ctl" -D "$work/run/data_standby" -w stop >/dev/null
is_gone() { [ "$(name)" = "" ]; }
wait_until is_gone
start_server standby
wait_until has_name
expect 'without' '^db2$' "$(name)"
