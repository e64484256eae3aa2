#!/usr/bin/env bash
# PostgreSQL 15.20 (Debian 12): idle_session_timeout ends replication connections, too, while they wait for their next
# command, although a walsender is no session of an application and wal_sender_timeout is there for it. A tool that keeps
# such a connection between commands loses it with 57P05; and where the value is a few milliseconds, a standby that
# connects is let go between two of its first commands.
#
# Seen: a connection with replication=database that rests for longer than the timeout: "terminating connection due to
# idle-session timeout".
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.bash"
bring postgresql-15=15.20-0+deb12u1 postgresql-client-15=15.20-0+deb12u1

new_server primary 'port = 6001' 'idle_session_timeout = 500ms'
start_server primary
said=$( (echo 'IDENTIFY_SYSTEM;'; sleep 3; echo 'IDENTIFY_SYSTEM;') |
    as_user "$bin/psql" "host=$work/run port=6001 user=postgres dbname=postgres replication=database" -XAtq 2>&1)
expect 'first command' '^[0-9]{19}\|1\|' "${said%%$'\n'*}"
expect 'after a rest' 'terminating connection due to idle-session timeout' "$said"
