/*
 * orders.c
 *	  Operators' orders over a restart; see orders.h.
 *
 *	pg_status orders 2 INODE PLACE VOLUME CRC
 *	one line for each order (src/config/orders.hpp)
 *
 * pg_basebackup and pg_rewind copy whatever is in a data directory, but orders hold for
 * one server: what the copy brings must not take the new server out of service. So the
 * file tells its own inode, a checksum of where it is (host name and directory), and one
 * of the running kernel with the volume's number in it. What was copied or restored has
 * another inode. What came with a copy of the whole volume has the same one, but is
 * elsewhere: on another machine, or on the same one on another volume. On the same volume
 * under the same kernel it is that file, in a directory that was moved or a container
 * that was made anew. A server that starts from a backup (there is a backup_label) has no
 * orders, whatever they say.
 *
 * A second file of the same form has the orders that have ended lately. A load balancer
 * that has not heard of it when the server is restarted would keep it out for good.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "node_state.h"
#include "orders.h"
#include "rows.h"
#include "settings.h"
#include "shared.h"

/* in the data directory, where all processes of the server are at home */
#define KEPT "pg_status.orders"
#define UNFINISHED KEPT ".tmp"
#define SET_ASIDE KEPT ".unused"
#define ENDED KEPT ".ended"

/* How long load balancers may take to ask again, a restart of this server included: as
 * AgentMemory::kUncertainUs. */
#define ENDED_LATELY_US (300 * USECS_PER_SEC)

#define COPIED "It came here with a copy of another data directory, or from a backup."

#define HEAD_FORMAT "pg_status orders 2 %llu %08X %08X %08X\n"
#define HEAD_SIZE 80

static pg_crc32c
checksum(const char *text)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, text, strlen(text));
	FIN_CRC32C(crc);
	return crc;
}

static pg_crc32c
checksum_of_place(void)
{
	char place[256 + MAXPGPATH] = "";

	if (gethostname(place, 255) != 0)
		place[0] = '\0';
	place[255] = '\0';
	strlcat(place, ":", sizeof(place));
	strlcat(place, DataDir, sizeof(place));
	return checksum(place);
}

/* What is to be told of orders that were loaded, when nobody is kept from them any more:
 * a client that does not read, or a log that takes nothing, would keep all others out. */
typedef struct Findings
{
	const char *why_aside; /* why the file was set aside; NULL: it was not */
	int rename_error;	   /* of that, 0: none */
	uint32 left_out;	   /* orders that there was no room for */
} Findings;

/* 0: it cannot be known. The number of a volume is good until the next boot. */
static pg_crc32c
checksum_of_volume(dev_t device)
{
	char text[128];
	ssize_t got;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);

	if (fd < 0)
		return 0;
	got = read(fd, text, 64);
	close(fd);
	if (got <= 0)
		return 0;
	snprintf(text + got, sizeof(text) - (size_t) got, ":%llu",
			 (unsigned long long) device);
	return checksum(text);
}

/* (the name is in memory only, and may be lost at a crash of the machine: then the file
 * is set aside again) */
static void
set_aside(const char *why, Findings *findings)
{
	findings->why_aside = why;
	findings->rename_error = rename(KEPT, SET_ASIDE) == 0 ? 0 : errno;
}

static void
tell_findings(const Findings *findings)
{
	if (findings->why_aside != NULL)
		ereport(
			WARNING,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("pg_status: the orders of maintenance in \"%s\" are not used", KEPT),
			 errdetail("%s", findings->why_aside),
			 errhint("All hosts are in service. The file is kept as \"%s\"; take out "
					 "again with pg_status_detach_node() what should be.",
					 SET_ASIDE)));
	if (findings->rename_error != 0)
	{
		errno = findings->rename_error;
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not rename file \"%s\" to \"%s\": %m", KEPT, SET_ASIDE)));
	}
	if (findings->left_out > 0)
		ereport(WARNING, (errmsg("pg_status: %u orders of maintenance are not used",
								 findings->left_out),
						  errdetail("There are more than pg_status.max_hosts.")));
}

/* Whoever finds a host out of service after a restart is to find why. */
static void
tell_of_orders(const PgstOrder *orders, uint32 count)
{
	for (uint32 i = 0; i < count; i++)
	{
		const PgstOrder *order = &orders[i];

		if (order->maintenance != PGST_IN_SERVICE)
			ereport(LOG,
					(errmsg("pg_status: host \"%s\" is out of service, as was "
							"ordered before the start%s%s",
							pgst_shown(order->host), order->reason[0] != '\0' ? ": " : "",
							pgst_shown(order->reason))));
	}
}

/*
 * Before recovery, which takes the label away. What the postmaster finds is done by it:
 * orders that are given later are this server's own.
 */
void
pgst_disown_copied_orders(void)
{
	Findings findings = {.why_aside = NULL};
	struct stat is;

	if (IsUnderPostmaster || stat(BACKUP_LABEL_FILE, &is) != 0 || stat(KEPT, &is) != 0)
		return;
	set_aside(COPIED, &findings);
	tell_findings(&findings);
}

/* What is missing now may be there a moment later. */
static bool
is_passing(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR;
}

/*
 * The whole file, or NULL where there is none or, with `error` set, it cannot be read.
 * For lack of memory or descriptors it is an ERROR: whoever comes next tries again.
 */
static char *
read_file(const char *name, struct stat *file, int *error)
{
	size_t most = HEAD_SIZE + (size_t) PGST_MOST_HOSTS * PGST_ORDER_LINE_SIZE;
	char *text = NULL;
	ssize_t length = -1;
	/* (whatever somebody has put there: it must not make us wait) */
	int fd = OpenTransientFile(name, O_RDONLY | O_NONBLOCK);

	*error = 0;
	if (fd < 0 && errno == ENOENT)
		return NULL;
	if (fd >= 0 && fstat(fd, file) == 0)
	{
		size_t size = S_ISREG(file->st_mode) ? Min((size_t) file->st_size, most) : 0;

		text = palloc(size + 1);
		length = read(fd, text, size);
	}
	*error = errno;
	if (fd >= 0)
		CloseTransientFile(fd);
	if (length >= 0)
	{
		text[length] = '\0';
		return text;
	}
	errno = *error;
	if (is_passing(*error))
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not read file \"%s\": %m", name)));
	return NULL;
}

/* What the first line of a file tells. */
typedef struct Head
{
	unsigned long long inode;
	unsigned int place;
	unsigned int volume; /* 0: not told */
	unsigned int crc;
	int length;
} Head;

/*
 * Version 1 did not tell the volume. Whoever takes a server out of service in order to
 * update pg_status on it, and starts it with the new one, has a file of the old one.
 */
static bool
read_head(const char *text, Head *head)
{
	memset(head, 0, sizeof(*head));
	/* NOLINTBEGIN(cert-err34-c): a number that does not fit is not the one expected */
	if (sscanf(text, "pg_status orders 2 %llu %8X %8X %8X%n", &head->inode, &head->place,
			   &head->volume, &head->crc, &head->length) == 4)
		return text[head->length] == '\n';
	head->volume = 0;
	if (sscanf(text, "pg_status orders 1 %llu %8X %8X%n", &head->inode, &head->place,
			   &head->crc, &head->length) == 3)
		return text[head->length] == '\n';
	/* NOLINTEND(cert-err34-c) */
	return false;
}

/* The lines below the head; NULL, with the reason, when the head is none or not of them.
 */
static const char *
check_head(const char *text, const struct stat *file, const char **why)
{
	Head head;

	if (!read_head(text, &head))
		*why = "It does not begin as such a file does.";
	else if (head.inode != (unsigned long long) file->st_ino ||
			 (head.place != checksum_of_place() &&
			  (head.volume == 0 || head.volume != checksum_of_volume(file->st_dev))))
		*why = COPIED;
	else if (head.crc != checksum(text + head.length + 1))
		*why = "Its checksum is wrong.";
	else
		return text + head.length + 1;
	return NULL;
}

/* As many as there is room for; this server's own before others. */
static uint32
take_in(PgstOrder *orders, const PgstOrder *kept, uint32 count, Findings *findings)
{
	uint32 taken = 0;

	for (int self = 1; self >= 0; self--)
	{
		for (uint32 i = 0; i < count && taken < (uint32) pgst_max_hosts; i++)
		{
			if (kept[i].self == self)
				orders[taken++] = kept[i];
		}
	}
	findings->left_out = count - taken;
	return taken;
}

/* How many orders were kept. (Apart from where errors are caught: its variables must not
 * be ones of that function.) */
static pg_noinline uint32
parse_kept(PgstOrder *orders, Findings *findings)
{
	struct stat file;
	int error;
	char *text = read_file(KEPT, &file, &error);
	const char *lines;
	const char *reason;
	PgstOrder *kept;
	PgstMessage why;
	PgstStatus status;
	uint32 count = 0;

	if (text == NULL && error != 0)
		set_aside(psprintf("It cannot be read: %s.", strerror(error)), findings);
	if (text == NULL)
		return 0;
	lines = check_head(text, &file, &reason);
	if (lines == NULL)
	{
		set_aside(reason, findings);
		return 0;
	}
	kept = palloc(sizeof(PgstOrder) * PGST_MOST_HOSTS);
	status = pgst_parse_orders(lines, PGST_MOST_HOSTS, kept, &count, &why);
	if (status == PGST_INVALID)
		set_aside(pstrdup(why.text), findings);
	else if (status != PGST_OK)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("%s", why.text)));
	count = take_in(orders, kept, count, findings);
	pfree(kept);
	pfree(text);
	return count;
}

bool
pgst_ended_lately(const PgstOrder *order, int64_t now)
{
	return order->since_wall <= now && now - order->since_wall < ENDED_LATELY_US;
}

/*
 * Those that had ended shortly before this start, behind the others; they count as ended
 * now. Returns how many there are in all. Whatever is wrong with the file: to do without
 * it is to say less.
 */
static uint32
add_ended(PgstOrder *orders, uint32 count)
{
	struct stat file;
	int error;
	char *text = read_file(ENDED, &file, &error);
	const char *reason;
	const char *lines = text == NULL ? NULL : check_head(text, &file, &reason);
	PgstOrder *ended;
	PgstMessage why;
	uint32 found = 0;
	int64 now = pgst_unix_us(GetCurrentTimestamp());

	if (lines == NULL)
		return count;
	ended = palloc(sizeof(PgstOrder) * PGST_MOST_HOSTS);
	if (pgst_parse_orders(lines, PGST_MOST_HOSTS, ended, &found, &why) != PGST_OK)
		found = 0;
	for (uint32 i = 0; i < found && count < (uint32) pgst_max_hosts; i++)
	{
		if (!pgst_ended_lately(&ended[i], now))
			continue;
		ended[i].ended = ended[i].maintenance;
		ended[i].maintenance = PGST_IN_SERVICE;
		ended[i].since_wall = now;
		orders[count++] = ended[i];
	}
	pfree(ended);
	pfree(text);
	return count;
}

void
pgst_load_orders(void)
{
	Findings findings = {.why_aside = NULL};
	PgstOrder *orders;
	volatile uint32 count = 0;

	if (pgst_orders_number() != 0)
		return;
	orders = palloc(sizeof(PgstOrder) * pgst_max_hosts);
	pgst_lock_orders();
	PG_TRY();
	{
		if (pgst_orders_number() == 0)
		{
			count = add_ended(orders, parse_kept(orders, &findings));
			pgst_replace_orders(orders, count);
		}
	}
	PG_CATCH();
	{
		pgst_unlock_orders_after_error();
		PG_RE_THROW();
	}
	PG_END_TRY();
	pgst_unlock_orders();
	tell_findings(&findings);
	tell_of_orders(orders, count);
	pfree(orders);
}

static void
fail(const char *what, const char *file)
{
	ereport(ERROR, (errcode_for_file_access(),
					errmsg("could not %s file \"%s\": %m", what, file),
					errdetail("Nothing has changed.")));
}

static void
write_whole(int fd, const char *text)
{
	ssize_t length = (ssize_t) strlen(text);

	errno = 0;
	if (write(fd, text, length) == length)
		return;
	/* a disk that is full writes less, and need not say so */
	if (errno == 0)
		errno = ENOSPC;
	fail("write", UNFINISHED);
}

static int
open_unfinished(struct stat *file)
{
	int fd = OpenTransientFile(UNFINISHED, O_CREAT | O_TRUNC | O_WRONLY | O_NONBLOCK);

	if (fd >= 0 && fstat(fd, file) == 0)
		return fd;
	fail("create", UNFINISHED);
	return -1; /* not reached */
}

static void
write_kept(const char *lines)
{
	char head[HEAD_SIZE];
	struct stat file;
	int fd = open_unfinished(&file);

	snprintf(head, sizeof(head), HEAD_FORMAT, (unsigned long long) file.st_ino,
			 checksum_of_place(), checksum_of_volume(file.st_dev), checksum(lines));
	write_whole(fd, head);
	write_whole(fd, lines);
	if (pg_fsync(fd) != 0)
		fail("fsync", UNFINISHED);
	if (CloseTransientFile(fd) != 0)
		fail("close", UNFINISHED);
	if (rename(UNFINISHED, KEPT) != 0)
		fail("rename", UNFINISHED);
}

/* Nothing to keep is no file. */
static void
remove_kept(void)
{
	if (unlink(KEPT) != 0 && errno != ENOENT)
		fail("remove", KEPT);
}

static char *
lines_of(const PgstOrder *orders, uint32 count)
{
	StringInfoData lines;

	initStringInfo(&lines);
	for (uint32 i = 0; i < count; i++)
	{
		char line[PGST_ORDER_LINE_SIZE];

		pgst_write_order(&orders[i], line);
		if (line[0] == '\0' && orders[i].maintenance != PGST_IN_SERVICE)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		appendStringInfoString(&lines, line);
	}
	return lines.data;
}

/* Those of the orders that have ended lately, as they were. */
static char *
lines_of_ended(const PgstOrder *orders, uint32 count)
{
	PgstOrder *ended = palloc(sizeof(PgstOrder) * Max(count, 1));
	uint32 found = 0;
	char *lines;

	for (uint32 i = 0; i < count; i++)
	{
		if (!orders[i].ended)
			continue;
		ended[found] = orders[i];
		ended[found++].maintenance = orders[i].ended;
	}
	lines = lines_of(ended, found);
	pfree(ended);
	return lines;
}

/* Why the file of those that have ended could not be written; 0: it was. It is told when
 * the orders are unlocked. */
static int ended_error = 0;

/*
 * A disk that is full, say, must not keep anybody from putting a server back: then a
 * restart within the next seconds may leave it out at a load balancer, no more.
 */
static void
note_ended(const char *lines)
{
	struct stat file;
	bool written = false;
	int fd;

	if (lines[0] == '\0')
	{
		(void) unlink(ENDED);
		return;
	}
	errno = 0;
	fd = OpenTransientFile(ENDED, O_CREAT | O_TRUNC | O_WRONLY | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &file) == 0)
	{
		char head[HEAD_SIZE];

		snprintf(head, sizeof(head), HEAD_FORMAT, (unsigned long long) file.st_ino,
				 checksum_of_place(), checksum_of_volume(file.st_dev), checksum(lines));
		written = write(fd, head, strlen(head)) == (ssize_t) strlen(head) &&
				  write(fd, lines, strlen(lines)) == (ssize_t) strlen(lines) &&
				  pg_fsync(fd) == 0;
	}
	if (!written)
		ended_error = errno != 0 ? errno : ENOSPC;
	if (fd >= 0)
		CloseTransientFile(fd);
}

/*
 * From the moment when the file has its name, the orders are in force: what is kept and
 * what is done must not differ. That the directory may not be on the disk yet is worth a
 * warning, no more; never the PANIC that is right for a database's own files.
 */
void
pgst_keep_orders(const PgstOrder *orders, uint32 count)
{
	uint32 former_count;
	const PgstOrder *former = pgst_locked_orders(&former_count);
	char *lines = lines_of(orders, count);
	char *former_lines = lines_of(former, former_count);
	char *ended = lines_of_ended(orders, count);
	char *former_ended = lines_of_ended(former, former_count);
	bool same = strcmp(lines, former_lines) == 0;

	if (!same && lines[0] != '\0')
		write_kept(lines);
	else if (!same)
		remove_kept();
	pgst_replace_orders(orders, count);
	if (strcmp(ended, former_ended) != 0)
		note_ended(ended);
	pfree(lines);
	pfree(former_lines);
	pfree(ended);
	pfree(former_ended);
}

void
pgst_sync_kept_orders(void)
{
	(void) fsync_fname_ext(".", true, true, WARNING);
	if (ended_error == 0)
		return;
	errno = ended_error;
	ended_error = 0;
	ereport(LOG, (errcode_for_file_access(),
				  errmsg("could not write file \"%s\": %m", ENDED)));
}
