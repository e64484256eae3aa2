# What the findings share, to be sourced: packages of Debian, of exactly one version, unpacked into a temporary folder
# ($work, gone at the end), and PostgreSQL servers run from there. Nothing is installed, no pg_status takes part.
set -uo pipefail
work=$(mktemp -d) && chmod 755 "$work" || exit 1
bin=$work/root/usr/lib/postgresql/15/bin
trap leave EXIT

leave() {
    local data
    for data in "$work"/run/data_*; do
        [ -f "$data/postmaster.pid" ] && as_user "$bin/pg_ctl" -D "$data" -m immediate stop >/dev/null
    done
    rm -rf "$work"
}

# fail WHAT...: it is not as it was, or could not be tried.
fail() { echo "not as described: $*" >&2; exit 1; }

# expect WHAT PATTERN TEXT: says what was seen, and fails where that does not match.
expect() {
    [[ $3 =~ $2 ]] || fail "$1: $3"
    echo "$1: $3"
}

# PostgreSQL does not run as root.
as_user() {
    local library_path
    library_path=$(ls -d "$work/root/usr/lib/"*-linux-gnu "$work/root/lib/"*-linux-gnu 2>/dev/null | tr '\n' :)
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=65534 --regid=65534 --clear-groups env LD_LIBRARY_PATH="$library_path" HOME="$work/run" "$@"
    else
        env LD_LIBRARY_PATH="$library_path" HOME="$work/run" "$@"
    fi
}

# bring PACKAGE=VERSION...: and the libraries that they name, which are not pinned.
bring() {
    local package libraries
    mkdir -p "$work"/{debs,root,run}
    libraries=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances "${@%%=*}" | grep -oE '^(lib[a-z0-9.+-]+|zlib1g)$' |
        grep -vE 'libc6|libgcc|libllvm|perl|libdebconf|libjson-' | sort -u)
    # shellcheck disable=SC2086 # names are words
    (cd "$work/debs" && apt-get -qq download "$@" $libraries 2>&1 | grep -v unsandboxed; [ "${PIPESTATUS[0]}" -eq 0 ]) || fail "packages: $*"
    for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$work/root" || exit 1; done
    [ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$work/run"
    echo "packages: $*"
}

# new_server NAME LINE...: a data directory with these lines of postgresql.conf, run on a socket in $work/run.
new_server() {
    local data=$work/run/data_$1
    shift
    as_user "$bin/initdb" -D "$data" -A trust -U postgres --no-sync >"$work/initdb" 2>&1 ||
        fail "initdb: $(cat "$work/initdb")"
    set_lines "$data" "listen_addresses = ''" "unix_socket_directories = '$work/run'" 'fsync = off' \
        "log_line_prefix = ''" "$@"
}

set_lines() {
    local data=$1
    shift
    printf '%s\n' "$@" | as_user tee -a "$data/postgresql.conf" >/dev/null
}

# start_server NAME [VARIABLE=VALUE...]: with these in its environment.
start_server() {
    local data=$work/run/data_$1
    shift
    as_user env "$@" "$bin/pg_ctl" -D "$data" -l "$data.log" -w start >/dev/null || fail "$(tail -n 5 "$data.log")"
}

# sql PORT STATEMENT [VARIABLE=VALUE...]
sql() { as_user env "${@:3}" "$bin/psql" -h "$work/run" -p "$1" -U postgres -XAtq -c "$2" postgres 2>&1; }

# standby_of NAME PORT LINE...: a standby of the server on that port.
standby_of() {
    local data=$work/run/data_$1 port=$2
    shift 2
    as_user "$bin/pg_basebackup" -h "$work/run" -p "$port" -U postgres -D "$data" -c fast -R --no-sync 2>&1 ||
        fail "pg_basebackup"
    set_lines "$data" "$@"
}

# wait_until COMMAND...: until it succeeds, for a minute at most.
wait_until() {
    local end=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}
