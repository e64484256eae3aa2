#!/usr/bin/env bash
# PostgreSQL 15.20 (Debian 12): a data directory in which pg_resetwal was run cannot be started as a hot standby. The
# program writes a checkpoint that says wal_level = minimal, whatever postgresql.conf has and had; recovery believes
# that and ends the server. Started once as a primary, stopped, and then started as a standby, it works.
#
# Seen: "WAL was generated with wal_level=minimal, cannot continue recovering".
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.bash"
bring postgresql-15=15.20-0+deb12u1 postgresql-client-15=15.20-0+deb12u1

new_server other 'port = 6001' 'wal_level = replica'
data=$work/run/data_other
start_server other
as_user "$bin/pg_ctl" -D "$data" -w stop >/dev/null
as_user "$bin/pg_resetwal" "$data" >/dev/null || fail 'pg_resetwal'
as_user touch "$data/standby.signal"
as_user "$bin/pg_ctl" -D "$data" -l "$data.log" -w start >/dev/null && fail 'it starts as a standby'
expect 'as a standby' 'wal_level=minimal' "$(as_user grep -m 1 'wal_level=minimal' "$data.log")"

as_user rm "$data/standby.signal"
start_server other
as_user "$bin/pg_ctl" -D "$data" -w stop >/dev/null
as_user touch "$data/standby.signal"
start_server other
expect 'after one start as a primary' '^t$' "$(sql 6001 'SELECT pg_is_in_recovery()')"
