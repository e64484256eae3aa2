# test/bench/cluster.sh: the servers that benchmarks measure, under $work: node 0 is a primary, nodes 1 and 2 are standbys
# of it, all with the default settings of pg_status. Sourced by bash, after lib.sh.
#
#   port, raw_port, http_port, check_port   of each node
#   hosts                                   pg_status.hosts
#   settings                                lines for postgresql.conf

settings="shared_buffers = 16MB"

choose_ports() {
    local ports
    read -ra ports < <(free_ports 12)
    port=("${ports[@]:0:3}") raw_port=("${ports[@]:3:3}") http_port=("${ports[@]:6:3}") check_port=("${ports[@]:9:3}")
    hosts="127.0.0.1:${port[0]}, 127.0.0.1:${port[1]}, 127.0.0.1:${port[2]}"
}

# sql NODE QUERY
sql() { as_user "$work" psql -XAtq -h 127.0.0.1 -p "${port[$1]}" -U postgres -d postgres -c "$2" 2>&1; }

# write_conf NODE
write_conf() {
    cat "$PG_STATUS_STAGE_CONF" - <<END
shared_preload_libraries = 'pg_status'
pg_status.hosts = '$hosts'
pg_status.port = ${raw_port[$1]}
pg_status.http_port = ${http_port[$1]}
pg_status.check_port = ${check_port[$1]}
port = ${port[$1]}
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
dynamic_shared_memory_type = mmap
fsync = off
$settings
END
}

# start NODE [COMMAND...]: with COMMAND before pg_ctl.
start() {
    as_user "$work" "${@:2}" pg_ctl -D "$work/$1" -l "$work/$1.log" -w start >"$work/start.log" 2>&1 ||
        die "server $1 does not start"
}

# stop NODE
stop() {
    as_user "$work" pg_ctl -D "$work/$1" -m fast -w stop >"$work/stop.log" 2>&1 || die "server $1 does not stop"
}

make_server() { as_user "$work" initdb -D "$work/$1" -U postgres -A trust --no-sync >/dev/null || die "initdb did not work"; }

# start_standby NODE [COMMAND...]
start_standby() {
    as_user "$work" pg_basebackup -D "$work/$1" -h 127.0.0.1 -p "${port[0]}" -U postgres --checkpoint=fast --no-sync ||
        die "pg_basebackup did not work"
    {
        write_conf "$1"
        echo "primary_conninfo = 'host=127.0.0.1 port=${port[0]} user=postgres'"
    } >>"$work/$1/postgresql.conf"
    as_user "$work" touch "$work/$1/standby.signal"
    start "$@"
}

# all_are_up NODE: it sees three hosts that are up, and how far each of them is.
all_are_up() {
    [ "$(sql "$1" "SELECT count(*) FROM pg_status_hosts WHERE state = 'up' AND lag_ms IS NOT NULL")" = 3 ]
}

# worker NODE NAME: the pid of its poller or listener.
worker() { child_of "$work/$1/postmaster.pid" "pg_status $2"; }

# start_cluster [COMMAND...]: with COMMAND before what starts the standbys.
start_cluster() {
    choose_ports
    make_server 0
    write_conf 0 >>"$work/0/postgresql.conf"
    start 0
    sql 0 'CREATE EXTENSION pg_status'
    start_standby 1 "$@"
    start_standby 2 "$@"
    until_true 20 all_are_up 0 || die "the primary does not see three hosts that are up"
}
