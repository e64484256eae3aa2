# test/chroot.sh: a Debian of another release in a folder, and programs that run in it. Sourced by bash; it knows
# nothing of PostgreSQL's versions or of tests. Only root can do this.
#
# What runs in there has mounts, processes, terminals and System V memory of its own (namespaces): when it ends, or when
# whoever waits for it is killed, they are gone with it. The network is the host's, or one of its own that has only
# loopback.

ensure_debootstrap() {
    command -v debootstrap >/dev/null || { apt-get -qq update && apt-get -qq -y install debootstrap; } >/dev/null
}

# ensure_chroot FOLDER "SUITE [ADDED]" PINNED: makes a minimal Debian there, unless there is a whole one. Of the suite
# ADDED only the binary packages of the source package PINNED are taken, where SUITE has no newer ones.
ensure_chroot() {
    local root=$1 mirror
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || { echo "apt on this machine names no mirror" >&2; return 1; }
    # shellcheck disable=SC2086 # the suites are words
    [ ! -e "$root/complete" ] || { configure_apt "$root" "$mirror" "$3" $2; return; }
    rm -rf --one-file-system "$root"
    # shellcheck disable=SC2086
    bootstrap "$root" "$mirror" $2 && configure_apt "$root" "$mirror" "$3" $2 &&
        printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts" && touch "$root/complete"
}

# The mirror that this machine uses itself; nothing where it has none.
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk -v suite="$(. /etc/os-release && echo "$VERSION_CODENAME")" '$2 == suite { print $1; exit }'
}

# bootstrap FOLDER MIRROR SUITE [ADDED]
bootstrap() {
    local script=/usr/share/debootstrap/scripts/$3
    [ -e "$script" ] || script=${script%/*}/sid # a suite that is younger than this debootstrap
    unshare --mount --pid --fork --kill-child debootstrap --variant=minbase "$3" "$1" "$2" "$script"
}

# configure_apt FOLDER MIRROR PINNED SUITE [ADDED]: the index of a suite that is not released may count as too old. With a
# priority above that of SUITE, 500, an older version would win.
configure_apt() {
    local root=$1 mirror=$2 pinned=$3 added=${5:-}
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/check-valid-until" || return
    [ -n "$added" ] || return 0
    echo "deb $mirror $added main" >"$root/etc/apt/sources.list.d/$added.list" &&
        printf 'Package: src:%s\nPin: release a=%s\nPin-Priority: 500\n' "$pinned" "$added" \
            >"$root/etc/apt/preferences.d/$added"
}

# in_chroot FOLDER COMMAND...: runs it there as root, with a new environment.
in_chroot() {
    local environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
    cp -L /etc/resolv.conf "$1/etc/resolv.conf" &&
        unshare --mount --ipc --pid --fork --kill-child ${offline:+--net} bash -c '
            mount -t proc proc "$0/proc" && mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm" &&
                mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$0/dev/pts" || exit
            [ -z "$1" ] || ip link set lo up || exit
            shift && exec chroot "$0" env -i "$@"
        ' "$1" "${offline:-}" "${environment[@]}" "${@:2}" </dev/null
}

# in_chroot_offline FOLDER COMMAND...: and nobody else takes the ports of what runs.
in_chroot_offline() { offline=yes in_chroot "$@"; }
