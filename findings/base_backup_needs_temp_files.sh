#!/usr/bin/env bash
# PostgreSQL 15.20 (Debian 12): temp_file_limit = 0, set to keep queries from filling the disk, makes every pg_basebackup
# fail, and with it whoever clones a standby that way. The server keeps the backup's manifest in a temporary file that
# counts against the limit, which is not among what the documentation says is limited (sorts, hashes, cursors). It works
# with --no-manifest, and the failure comes after all data was sent.
#
# Seen: "temporary file size exceeds temp_file_limit (0kB)".
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.bash"
bring postgresql-15=15.20-0+deb12u1 postgresql-client-15=15.20-0+deb12u1

new_server primary 'port = 6001' 'temp_file_limit = 0'
start_server primary
backup() { as_user "$bin/pg_basebackup" -h "$work/run" -p 6001 -U postgres -D "$1" -c fast --no-sync "${@:2}" 2>&1; }
said=$(backup "$work/run/first") && fail 'the backup works'
expect 'pg_basebackup' 'temporary file size exceeds temp_file_limit' "$said"
said=$(backup "$work/run/second" --no-manifest) || fail "without a manifest: $said"
echo "with --no-manifest: it works"
