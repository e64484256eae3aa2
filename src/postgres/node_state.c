/*
 * node_state.c
 *	  The state of this server, read live from where the server keeps it.
 *
 * Whether recovery is over, and if not which kind it is, stands in shared memory.
 *RecoveryInProgress() alone would not do: it cannot tell a standby from a primary that
 *redoes its WAL after a crash.
 *
 * That a smart shutdown was requested is the postmaster's private knowledge; it tells
 *background workers only when the last client has left. But it writes it into
 *postmaster.pid at once (line 8, see miscadmin.h), which is read here, at most once in a
 *while.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "utils/pidfile.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "node_state.h"
#include "shared.h"

/* How old knowledge of the postmaster's state may be, in microseconds. */
#define STATUS_MAX_AGE_US 10000

/* The first bytes of postmaster.pid, all eight lines and to spare: one line is a path. */
#define PIDFILE_BYTES (MAXPGPATH + 1024)

static bool
line_says(const char *text, int line, const char *word)
{
	for (int i = 1; i < line; i++)
	{
		text = strchr(text, '\n');
		if (text == NULL)
			return false;
		text++;
	}
	return strncmp(text, word, strlen(word)) == 0;
}

/*
 * The working directory of every server process is the data directory. When the file
 * cannot be read for a reason of our own, such as too many open files, what was known
 * last still holds.
 */
static bool
read_stopping(bool last)
{
	char text[PIDFILE_BYTES + 1];
	ssize_t got;
	int fd = open("postmaster.pid", O_RDONLY | PG_BINARY, 0);

	if (fd < 0)
		return errno == ENOENT ? false : last;
	got = read(fd, text, PIDFILE_BYTES);
	close(fd);
	if (got <= 0)
		return last;
	text[got] = '\0';
	return line_says(text, LOCK_FILE_LINE_PM_STATUS, PM_STATUS_STOPPING);
}

static bool
stopping(void)
{
	static int64 read_at = 0;
	static bool last = false;
	int64 now = pgst_monotonic_us();

	if (read_at == 0 || now - read_at >= STATUS_MAX_AGE_US)
	{
		int saved_errno = errno;

		last = read_stopping(last);
		read_at = now;
		errno = saved_errno;
	}
	return last;
}

PgstNodeState
pgst_node_state(void)
{
	switch (GetRecoveryState())
	{
		case RECOVERY_STATE_CRASH:
			return PGST_NODE_STARTING;
		case RECOVERY_STATE_ARCHIVE:
			if (!HotStandbyActive())
				return PGST_NODE_STARTING;
			return stopping() ? PGST_NODE_STOPPING : PGST_NODE_STANDBY;
		case RECOVERY_STATE_DONE:
			return stopping() ? PGST_NODE_STOPPING : PGST_NODE_PRIMARY;
	}
	return PGST_NODE_STARTING;
}

int64
pgst_unix_us(TimestampTz time)
{
	return time + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

/* What a receiver that calls itself streaming has come to. */
typedef struct Progress
{
	pid_t pid;
	bool connected;
	bool heard; /* something of its sender */
} Progress;

/*
 * A receiver begins with one and the same time in all three of these. Each message sets
 * one of them to the time at which it came, and another to the time at which it was sent.
 */
static bool
has_heard(const WalRcvData *receiver)
{
	return receiver->lastMsgSendTime != receiver->lastMsgReceiptTime ||
		   receiver->latestWalEndTime != receiver->lastMsgReceiptTime;
}

/* A sender that has nothing to send is silent for long: then its receiver waits for it,
 * and for nothing else. */
static bool
waits_for_messages(pid_t pid)
{
	const volatile PGPROC *process = AuxiliaryPidGetProc(pid);

	return process != NULL && process->wait_event_info == WAIT_EVENT_WAL_RECEIVER_MAIN;
}

static bool
really_streams(const Progress *progress)
{
	return progress->connected && (progress->heard || waits_for_messages(progress->pid));
}

PgstReceiver
pgst_receiver_state(void)
{
	WalRcvState state;
	Progress progress;

	SpinLockAcquire(&WalRcv->mutex);
	state = WalRcv->walRcvState;
	progress.pid = WalRcv->pid;
	progress.connected = pgst_receiver_is_connected(WalRcv);
	progress.heard = has_heard(WalRcv);
	SpinLockRelease(&WalRcv->mutex);

	if (state == WALRCV_STOPPED || state == WALRCV_STOPPING)
		return PGST_RECEIVER_NONE;
	if (state != WALRCV_STREAMING ||
		(PGST_RECEIVER_STREAMS_EARLY && !really_streams(&progress)))
		return PGST_RECEIVER_CONNECTING;
	return PGST_RECEIVER_STREAMING;
}

/*
 * A receiver begins at the beginning of a segment, and an archive may have more: what was
 * replayed has been received, too.
 */
static void
read_receiver(PgstNodeFacts *facts)
{
	PgstReceiver state = pgst_receiver_state();

	facts->has_receiver = state != PGST_RECEIVER_NONE;
	facts->streaming = state == PGST_RECEIVER_STREAMING;
	SpinLockAcquire(&WalRcv->mutex);
	facts->received = WalRcv->flushedUpto;
	facts->latest_end = WalRcv->latestWalEnd;
	SpinLockRelease(&WalRcv->mutex);
	facts->received = Max(facts->received, facts->replayed);
}

void
pgst_node_facts(PgstNodeFacts *facts)
{
	memset(facts, 0, sizeof(*facts));
	facts->state = pgst_node_state();
	facts->server_version = PG_VERSION_NUM;
	facts->system_identifier = GetSystemIdentifier();
	facts->postmaster_start_wall = pgst_unix_us(PgStartTime);
	strlcpy(facts->cluster_name, cluster_name, sizeof(facts->cluster_name));
	facts->has_read_only = pgst_read_only(&facts->read_only);

	if (GetRecoveryState() == RECOVERY_STATE_DONE)
	{
		facts->timeline = pgst_insertion_timeline();
		facts->written = GetXLogWriteRecPtr();
	}
	else
	{
		TimeLineID timeline = 0;
		TimestampTz commit = GetLatestXTime();

		facts->replayed = GetXLogReplayRecPtr(&timeline);
		facts->timeline = timeline;
		facts->replay_commit_wall = commit != 0 ? pgst_unix_us(commit) : 0;
		facts->replay_paused = pgst_replay_paused();
		read_receiver(facts);
	}
}
