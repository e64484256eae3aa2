# test/bench/lib.sh: what the benchmarks share: one build for all of them, the machine's cores, what processes used, series
# of figures, and the one form of table in which all of them tell theirs. Sourced by bash; `top` must be set to the top of
# the tree, `table` is the array of lines.
#
# It knows nothing of what any benchmark measures. What test/bench/run hands down:
#
#   PG_STATUS_STAGE_CONF   settings that let a server find a staged build, which is measured then; else one is made
#   PG_STATUS_BENCH_ROWS   a file to which the lines of the table are added
. "$top/test/lib.sh"

bench=test/bench/${0##*/}
staged=${PG_STATUS_STAGE_CONF:-}
missed=0
table=()
server_core='' on_server_core=() on_load_core=()
sleeper=''

die() {
    echo "$bench: $*" >&2
    tail -n 5 "$work"/*.log 2>/dev/null >&2
    exit 1
}

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 64
}

# Makes the temporary place, $work, with a staged build to measure, unless one was handed down.
open_bench() {
    trap 'exit 130' INT TERM HUP
    prepare_environment
    ensure_setup && find_postgres && open_work && copy_tree || exit 1
    as_user "$work" mkdir "$work/values" || exit 1
    if [ -n "$staged" ]; then
        export PG_STATUS_STAGE_CONF=$staged
    else
        echo "pg_status is built and put into $work; nothing is installed into the system."
        build_and_stage || die "the build did not work"
    fi
}

# build_tools NAME...: those of this folder, into $work.
build_tools() {
    local tool
    for tool in "$@"; do
        as_user "$tree/test/bench" "${CXX:-g++}" -O2 -std=c++17 -Wall -Wextra -Wshadow -Wconversion \
            -o "$work/$tool" "$tool.cpp" || return 1
    done
}

# For a trap at EXIT.
leave_bench() {
    [ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null
    close_work
}

# ---- The machine

# The cores this may run on, one a line, from a list such as 0-3,8.
allowed_cores() {
    local range
    for range in $(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status | tr , ' '); do
        seq "${range%-*}" "${range#*-}"
    done
}

# The server gets a core of its own and the load another one: $server_core, empty where there is one core only, and the
# commands that bind a process to either.
choose_cores() {
    local cores
    mapfile -t cores < <(allowed_cores)
    [ ${#cores[@]} -ge 2 ] || return 0
    server_core=${cores[0]}
    on_server_core=(taskset -c "${cores[0]}") on_load_core=(taskset -c "${cores[1]}")
}

describe_machine() {
    printf '%s, %d cores, %d GiB, Linux %s, %s, %s\n' \
        "$(sed -n '/^model name/{s/.*: *//p;q}' /proc/cpuinfo)" "$(nproc)" \
        "$(awk '/^MemTotal/ { print int($2 / 1048576 + 0.5) }' /proc/meminfo)" "$(uname -r | cut -d - -f 1)" \
        "$(postgres --version | sed 's/.*(\(PostgreSQL\)) \([^ ]*\).*/\1 \2/')" \
        "$("${CXX:-g++}" --version | sed -n '1s/ (.*) / /p')"
}

# start_aside PIDFILE COMMAND...: runs it in the background, as the unprivileged user on the core of the load; PIDFILE gets
# its own pid, which end_aside ends.
start_aside() {
    local file=$1
    shift
    as_user "$work" "${on_load_core[@]}" bash -c 'echo $$ >"$0" && exec "$@"' "$file" "$@" >"$file.out" 2>"$file.log" &
    disown
    until_true 10 test -s "$file" || die "$1 does not start"
}

end_aside() {
    local pid
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    kill "$pid" 2>/dev/null
    until_true 10 is_gone "$pid" || die "process $pid does not end"
    rm -f "$1"
}

is_gone() { [ ! -e "/proc/$1" ]; }

# ---- Time, and what processes used

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

# seconds_since US
seconds_since() { awk "BEGIN { printf \"%.2f\", ($(now_us) - $1) / 1e6 }"; }

# pause SECONDS: a signal ends it.
pause() {
    sleep "$1" &
    sleeper=$!
    wait "$sleeper"
    sleeper=''
}

# until_true SECONDS COMMAND...
until_true() {
    local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    until "${@:2}"; do
        [ "${EPOCHREALTIME/[.,]/}" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}

# cpu_ns PID...: the CPU time that these used so far. /proc/PID/stat counts in hundredths of a second, where there is
# nothing better.
cpu_ns() {
    local pid total=0 ran ticks
    for pid in "$@"; do
        if read -r ran _ 2>/dev/null <"/proc/$pid/schedstat"; then
            total=$((total + ran))
        else
            ticks=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | awk '{ print $12 + $13 }')
            [ -n "$ticks" ] || return 1
            total=$((total + ticks * (1000000000 / $(getconf CLK_TCK))))
        fi
    done
    echo "$total"
}

# private_mib PID
private_mib() {
    awk '/^Private_/ { kib += $2 } END { if (!NR) exit 1; printf "%.2f", kib / 1024 }' "/proc/$1/smaps_rollup"
}

# child_of PIDFILE PATTERN: the pid of the server's child whose title has it.
child_of() { pgrep -P "$(head -n 1 "$1")" -f "$2"; }

# metrics PORT: what the check port says.
metrics() (
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n' >&3
    timeout 10 tr -d '\r' <&3
)

# ---- Figures. A series is a file with one number for each round.

# record SERIES NUMBER: what is not a number ends the benchmark.
record() {
    is_number "${2:-}" || die "no figure for $1: ${2:-}"
    echo "$2" >>"$work/values/$1"
}

is_number() { [[ $1 =~ ^-?[0-9]*\.?[0-9]+(e-?[0-9]+)?$ ]]; }

# series NAME...: of such as there are; nothing to measure is a fault of the benchmark.
series() {
    local name
    for name in "$@"; do [ -s "$work/values/$name" ] || die "nothing was measured for $name"; done
    (cd "$work/values" && cat "$@")
}

# ratios SERIES SERIES: round by round.
ratios() { paste -d ' ' <(series "$1") <(series "$2") | awk '{ print $1 / $2 }'; }

# Of nothing there is none of these.
median() { sort -g | awk '{ n[NR] = $1 } END { if (NR) print (n[int((NR + 1) / 2)] + n[int(NR / 2) + 1]) / 2 }'; }
highest() { sort -g | tail -n 1; }
total() { awk '{ sum += $1 } END { if (NR) print sum }'; }
range() { sort -g | awk 'NR == 1 { low = $1 } END { if (NR) printf "%.3f to %.3f", low, $1 }'; }

# confidence: "low to high", between which the median of what the numbers were drawn from lies with 95 % confidence: the
# numbers whose ranks a binomial distribution gives, or all of them where they are too few.
confidence() {
    sort -g | awk '{ n[NR] = $1 } END {
        p = 0.5 ^ NR; tail = p
        for (k = 1; k <= NR / 2 && tail + p * (NR - k + 1) / k <= 0.025; k++) { p *= (NR - k + 1) / k; tail += p }
        printf "%.3f to %.3f", n[k], n[NR + 1 - k]
    }'
}

# holds FIGURE OPERATOR NUMBER: for what is not a number, nothing holds.
holds() { is_number "$1" && awk "BEGIN { exit !($1 $2 $3) }"; }

# ---- The table

# row MEASURE OURS OTHER RATIO [FIGURE OPERATOR LIMIT]: a line of the table; FIGURE is what the target is about.
row() {
    local verdict='' target=''
    if [ $# -gt 4 ]; then
        target="${6/==/} $7" verdict=PASS
        holds "$5" "$6" "$7" || verdict=MISS
        [ $verdict = PASS ] || missed=$((missed + 1))
    fi
    table+=("| $1 | $2 | $3 | $4 | ${target# } | $verdict |")
}

# compare MEASURE FORMAT OURS OTHER NAME [OPERATOR LIMIT]: two series, OTHER being that of NAME; the target is for the
# median of the ratios.
compare() {
    local ratio
    ratio=$(ratios "$3" "$4" | median)
    row "$1" "$(printf "$2" "$(series "$3" | median)")" "$(printf "%s $2" "$5" "$(series "$4" | median)")" \
        "$(printf '%.3f (%s)' "$ratio" "$(ratios "$3" "$4" | range)")" ${6:+"$ratio" "$6" "$7"}
}

table_head() {
    echo "| measure | pg_status | compared with | ratio or figure: median (range) | target | |"
    echo "| --- | --- | --- | --- | --- | --- |"
}

print_table() {
    printf '\n%s\n' "$(table_head)"
    printf '%s\n' "${table[@]}"
    [ -z "${PG_STATUS_BENCH_ROWS:-}" ] || printf '%s\n' "${table[@]}" >>"$PG_STATUS_BENCH_ROWS"
}
