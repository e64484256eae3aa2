#!/usr/bin/env bash
# PostgreSQL 15.20 (Debian 12): a query of current_setting() that runs in a parallel worker has 0 for the settings of the
# client's connection (tcp_keepalives_idle and its kind), where SHOW and the leader have what is in force: a worker has
# no connection to ask. current_setting() counts as parallel safe, so which answer it is depends on the plan.
#
# Seen over TCP: SHOW has the number that was set, and SELECT has it; with force_parallel_mode = on SELECT has 0.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.bash"
bring postgresql-15=15.20-0+deb12u1 postgresql-client-15=15.20-0+deb12u1

new_server primary 'port = 6001' 'tcp_keepalives_idle = 77'
port=$((20000 + RANDOM % 10000))
set_lines "$work/run/data_primary" "listen_addresses = '127.0.0.1'" "port = $port"
start_server primary
ask() {
    as_user env PGOPTIONS="$2" "$bin/psql" -h 127.0.0.1 -p "$port" -U postgres -XAtq -c "$1" postgres 2>&1
}
expect 'SHOW' '^77$' "$(ask 'SHOW tcp_keepalives_idle' '')"
expect 'SELECT' '^77$' "$(ask "SELECT current_setting('tcp_keepalives_idle')" '')"
expect 'SHOW, force_parallel_mode' '^77$' "$(ask 'SHOW tcp_keepalives_idle' '-c force_parallel_mode=on')"
expect 'SELECT, force_parallel_mode' '^0$' "$(ask "SELECT current_setting('tcp_keepalives_idle')" '-c force_parallel_mode=on')"
