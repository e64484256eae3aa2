# test/lib.sh: what test/run and test/demo share: a temporary place, an unprivileged user, a staged build, free ports,
# and leaving nothing behind. Sourced by bash; `top` must be set to the top of the tree.
#
# It knows nothing of any single test. Nothing is installed into the system and nothing is written into the checkout:
# the tree is copied into the temporary place and built there.
#
#   PGVERSION   the PostgreSQL major to build for (default: 15), as for test/setup
#   PG_CONFIG   its pg_config, where it is not Debian's
#   KEEP=1      leave the temporary place behind

# What the tools say is read by scripts, and a user's own PGHOST or PGPORT must not send a test to a real server.
prepare_environment() {
    local name
    for name in ${!PG@}; do
        case $name in PGVERSION | PG_* | PGST_*) ;; *) unset "$name" ;; esac
    done
    unset MAKEFLAGS MAKELEVEL MFLAGS CDPATH
    export LC_ALL=C.UTF-8
    umask 022
    ulimit -Sc 0
}

# Installs what is missing.
ensure_setup() {
    "$top/test/setup" --check 2>/dev/null || "$top/test/setup"
}

find_postgres() {
    PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/${PGVERSION:-15}/bin/pg_config}
    [ -x "$PG_CONFIG" ] || PG_CONFIG=$(command -v pg_config) || { echo "pg_config is missing" >&2; return 1; }
    bindir=$("$PG_CONFIG" --bindir)
    pgxs=$(dirname "$(dirname "$("$PG_CONFIG" --pgxs)")")
    jobs=$(nproc)
    export PG_CONFIG PATH="$bindir:$PATH"
}

# Makes the temporary place: $work, owned by the user that servers run as: $user. PostgreSQL refuses to run as root.
open_work() {
    user=$(id -un)
    work=$(mktemp -d "${TMPDIR:-/tmp}/pg_status.XXXXXX") || return 1
    if [ "$(id -u)" -eq 0 ]; then
        user=nobody
        id postgres >/dev/null 2>&1 && user=postgres
        chown "$user" "$work"
        if ! runuser -u "$user" -- test -x "$work"; then
            rmdir "$work" # $TMPDIR is root's own
            work=$(mktemp -d /tmp/pg_status.XXXXXX) && chown "$user" "$work" || return 1
        fi
    fi
    chmod 755 "$work"
    tree=$work/tree stage=$work/stage
    export PG_STATUS_STAGE_CONF=$work/stage.conf
    touch "$work/.made-by-pg_status"
}

# as_user FOLDER COMMAND...: runs it there as the unprivileged user, with a home of its own (no ~/.psqlrc).
as_user() (
    cd "$1" || exit 1
    shift
    if [ "$(id -u)" -eq 0 ]; then
        exec runuser -u "$user" -- env HOME="$work" "$@"
    fi
    exec env HOME="$work" "$@"
)

# as_is FOLDER COMMAND...: the same as the user who started this.
as_is() (
    cd "$1" || exit 1
    shift
    exec env HOME="$work" "$@"
)

# The sources, without what a build or a test left in them, readable whatever the rights of the checkout.
copy_tree() {
    mkdir -p "$tree"
    tar -C "$top" --exclude=./.git --exclude=./build --exclude=./results --exclude=./tmp_check \
        --exclude='*.o' --exclude='*.so' --exclude='*.bc' --exclude='*.d' -cf - . |
        tar -C "$tree" --no-same-owner --no-same-permissions -xf - || return 1
    chmod -R u+rwX,go+rX "$tree"
    if [ "$(id -u)" -eq 0 ]; then chown -R "$user" "$tree"; fi
}

build_and_stage() {
    as_user "$tree" make -s -j"$jobs" && as_user "$tree" make -s install DESTDIR="$stage" && write_stage_conf
}

# The settings that let a server find the staged build, in the file $PG_STATUS_STAGE_CONF. extension_destdir is
# Debian's own, up to PostgreSQL 17; extension_control_path is everybody's, from 18 on.
write_stage_conf() {
    local known libdir sharedir
    known=$(postgres --describe-config | cut -f1)
    libdir=$("$PG_CONFIG" --pkglibdir) sharedir=$("$PG_CONFIG" --sharedir)
    {
        echo "dynamic_library_path = '$stage$libdir:$libdir'"
        if grep -qx extension_destdir <<<"$known"; then
            echo "extension_destdir = '$stage'"
        elif grep -qx extension_control_path <<<"$known"; then
            echo "extension_control_path = '$stage$sharedir:\$system'"
        else
            echo "this PostgreSQL cannot load an extension from a staging folder" >&2
            return 1
        fi
    } >"$PG_STATUS_STAGE_CONF"
}

# free_ports N: N ports on which nobody listens. Below the range that the kernel gives to outgoing connections.
free_ports() {
    perl -MIO::Socket::INET -e '
        my @held;
        for (my $tries = 0; @held < $ARGV[0]; $tries++) {
            die "no free ports\n" if $tries > 1000;
            my $port = 10240 + int rand 20000;
            my $socket = IO::Socket::INET->new(LocalAddr => "0.0.0.0", LocalPort => $port, Listen => 1) or next;
            push @held, $socket;
        }
        print join(" ", map { $_->sockport } @held), "\n";' "$1"
}

# Processes that were started in the temporary place: servers (they live in their data folders), make, prove.
processes_in_work() {
    local process
    for process in /proc/[0-9]*; do
        case $(readlink "$process/cwd" 2>/dev/null) in
            "$work" | "$work"/*) echo "${process#/proc/}" ;;
        esac
    done
}

# Stops them all, each by its pid: servers by an immediate shutdown, so that they free their shared memory.
stop_processes() {
    local pid tries
    for pid in $(processes_in_work); do
        if [ "$(head -n 1 "/proc/$pid/cwd/postmaster.pid" 2>/dev/null)" = "$pid" ]; then
            kill -QUIT "$pid" 2>/dev/null
        elif [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != postgres ]; then
            kill -TERM "$pid" 2>/dev/null
        fi
        kill -CONT "$pid" 2>/dev/null # a test may have frozen it
    done
    for ((tries = 0; tries < 100; tries++)); do
        [ -n "$(processes_in_work)" ] || return 0
        sleep 0.05
    done
    for pid in $(processes_in_work); do kill -KILL "$pid" 2>/dev/null; done
}

# A server killed with SIGKILL leaves a small System V segment, named by key and id in line 7 of its pid file.
free_shared_memory() {
    local file key id
    find "$work" -name postmaster.pid 2>/dev/null | while read -r file; do
        read -r key id < <(sed -n 7p "$file")
        # the kernel shows the key with a sign; 7 is the number of processes that are attached
        awk -v key="$key" -v id="$id" '($1 == key || $1 + 2^32 == key) && $2 == id && $7 == 0 { found = 1 }
            END { exit !found }' /proc/sysvipc/shm 2>/dev/null && ipcrm -m "$id"
    done
}

close_work() {
    [ -n "${work:-}" ] && [ -e "$work/.made-by-pg_status" ] || return 0
    stop_processes
    free_shared_memory
    if [ -n "${KEEP:-}" ]; then
        echo "kept: $work" >&2
    else
        rm -rf "$work"
    fi
}
