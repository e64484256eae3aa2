/*
 * facts.c
 *	  What only the inside of this server knows: for pg_status on the other servers.
 *
 * All of it stands in the shared memory of PostgreSQL, or in ours, but for the history of
 * the timeline. That is in a file, which whoever asks first reads, for all.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "facts.h"
#include "node_state.h"
#include "shared.h"

/* A line of a history has some 50 bytes: this is for thousands of promotions. */
#define MAX_HISTORY_BYTES ((off_t) 256 * 1024)

/* When a history that could not be read is looked for again, in microseconds: a standby
 * may get the file a moment after it has come to the timeline. */
#define HISTORY_RETRY_US (1 * USECS_PER_SEC)

/* Where the WAL receiver is connected to; copies, as it may be gone at any moment. */
typedef struct Connection
{
	char host[NI_MAXHOST];
	int port;
	char conninfo[MAXCONNINFO];
	char slot[NAMEDATALEN];
} Connection;

/* All of the file in palloc'd memory; NULL when it is not there, or is no history. */
static char *
read_file(const char *path, size_t *size)
{
	struct stat is;
	char *text = NULL;
	ssize_t got = -1;
	int fd = open(path, O_RDONLY | PG_BINARY, 0);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && is.st_size <= MAX_HISTORY_BYTES)
		/* an error would leave the file open */
		text = palloc_extended(is.st_size + 1, MCXT_ALLOC_NO_OOM);
	if (text != NULL)
		got = read(fd, text, is.st_size);
	close(fd);
	/* what is read in part is not the history */
	if (text != NULL && got != is.st_size)
	{
		pfree(text);
		return NULL;
	}
	*size = (size_t) Max(got, 0);
	return text;
}

static bool
read_history(TimeLineID timeline, PgstHistory *history)
{
	char path[MAXPGPATH];
	size_t size = 0;
	char *text;
	bool known;

	if (timeline == 1)
		return pgst_parse_history("", 0, timeline, history);
	/* the working directory of every server process is the data directory */
	snprintf(path, sizeof(path), XLOGDIR "/%08X.history", timeline);
	text = read_file(path, &size);
	if (text == NULL)
		return false;
	known = pgst_parse_history(text, size, timeline, history);
	pfree(text);
	return known;
}

/*
 * Who comes while another one reads the file reads it as well: better twice than to wait
 * for somebody's disk, or not to know.
 */
static bool
history_of(TimeLineID timeline, PgstHistory *history)
{
	bool known;

	if (timeline == 0)
		return false;
	if (pgst_recall_history(timeline, HISTORY_RETRY_US, &known, history))
		return known;
	known = read_history(timeline, history);
	pgst_remember_history(timeline, known ? history : NULL);
	return known;
}

/* Before the receiver is connected, its connection string is not for showing. */
static void
copy_connection(Connection *connection)
{
	memset(connection, 0, sizeof(*connection));
	SpinLockAcquire(&WalRcv->mutex);
	if (WalRcv->pid != 0 && pgst_receiver_is_connected(WalRcv))
	{
		memcpy(connection->host, WalRcv->sender_host, sizeof(connection->host));
		connection->port = WalRcv->sender_port;
		memcpy(connection->conninfo, WalRcv->conninfo, sizeof(connection->conninfo));
		memcpy(connection->slot, WalRcv->slotname, sizeof(connection->slot));
	}
	SpinLockRelease(&WalRcv->mutex);
	connection->host[sizeof(connection->host) - 1] = '\0';
	connection->conninfo[sizeof(connection->conninfo) - 1] = '\0';
	connection->slot[sizeof(connection->slot) - 1] = '\0';
}

/* Nothing was removed since the server's start: then this is not known. */
static XLogRecPtr
oldest_wal(void)
{
	XLogSegNo removed = XLogGetLastRemovedSegno();

	return removed == 0 ? 0 : (removed + 1) * (uint64) wal_segment_size;
}

/* The file that asks for it is there until the startup process has seen it, which may be
 * busy; from then on it says so in shared memory. */
static bool
promotion_is_asked_for(void)
{
	return PromoteIsTriggered() || CheckPromoteSignal();
}

static void
describe_standby(PgstServerFacts *facts, Connection *connection)
{
	TimeLineID timeline = 0;

	(void) GetXLogReplayRecPtr(&timeline);
	facts->timeline = timeline;
	facts->has_receiver = true;
	facts->receiver = pgst_receiver_state();
	facts->promoting_since_wall = pgst_promoting_since(promotion_is_asked_for());
	if (facts->receiver != PGST_RECEIVER_NONE)
		copy_connection(connection);
}

void
pgst_facts(char text[PGST_FACTS_SIZE])
{
	PgstServerFacts facts;
	Connection connection;
	char address[PGST_ADDRESS_SIZE];

	memset(&facts, 0, sizeof(facts));
	memset(&connection, 0, sizeof(connection));
	if (GetRecoveryState() == RECOVERY_STATE_DONE)
		facts.timeline = pgst_insertion_timeline();
	else
		describe_standby(&facts, &connection);
	facts.has_history = history_of(facts.timeline, &facts.history);
	facts.upstream_host = connection.host;
	facts.upstream_port = connection.port;
	facts.receiver_conninfo = connection.conninfo;
	/* as in PostgreSQL's walreceiver.c */
	facts.receiver_fallback = cluster_name[0] != '\0' ? cluster_name : "walreceiver";
	facts.receiver_slot = connection.slot;
	facts.oldest_wal = oldest_wal();
	facts.has_read_only = pgst_read_only(&facts.read_only);
	pgst_own_address(address);
	facts.address = address;
	facts.system_identifier = GetSystemIdentifier();
	facts.postmaster_start_wall = pgst_unix_us(PgStartTime);
	pgst_write_facts(&facts, text);
}
