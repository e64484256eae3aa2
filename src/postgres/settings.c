/*
 * settings.c
 *	  Definition of the pg_status.* settings, their checks, and their form for the core.
 *
 * The checks of the texts are the core's own parsers, so that what was accepted can be
 *used. This file knows names, units, ranges and defaults, nothing of what a value means.
 */
#include "postgres.h"

#include <limits.h>

#include "access/parallel.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "compat.h"
#include "facts.h"
#include "node_state.h"
#include "published.h"
#include "settings.h"
#include "shared.h"
#include "worker.h"

#define CONNINFO_DEFAULT "dbname=postgres user=postgres"

int pgst_max_hosts = 64;
int pgst_poll_timeout_ms = 1000;
int pgst_max_clients = 512;
bool pgst_fence = false;

static char *hosts = NULL;
static char *conninfo = NULL;
static char *dc = NULL;
static char *geo = NULL;
static char *listen_addresses = NULL;
static char *allow = NULL;
static int poll_interval_ms = 1000;
static int fast_poll_interval_ms = 100;
static int conn_max_age_s = 300;
static int max_fails = 3;
static int sync_max_lag_ms = 1000;
static int sync_max_lag_bytes = 1000000;
static int port = 5400;
static int http_port = 0;
static int check_port = 0;
static int client_timeout_ms = 5000;

/* never read: they are computed when shown */
static char *node_state = NULL;
static char *opinions = NULL;
static char *facts = NULL;

/* Turns the core's verdict on a text into what GUC wants to hear. */
static bool
accepted(PgstStatus status, const PgstMessage *why)
{
	if (status == PGST_OK)
		return true;
	if (status == PGST_OUT_OF_MEMORY)
		GUC_check_errcode(ERRCODE_OUT_OF_MEMORY);
	GUC_check_errdetail("%s", why->text);
	return false;
}

/* A parallel worker is given the values that its leader has in force, one after the
 * other, before each query. */
static bool
was_checked(void)
{
	return InitializingParallelWorker;
}

static bool
check_hosts(char **newval, void **extra, GucSource source)
{
	PgstMessage why;

	/* every process checks at every reload; what is in force was checked before */
	if (was_checked() || (hosts != NULL && strcmp(*newval, hosts) == 0))
		return true;
	return accepted(pgst_check_hosts(*newval, pgst_max_hosts, &why), &why);
}

/*
 * The usual message would repeat the value, and with it a password, in the server's log.
 */
static bool
check_conninfo(char **newval, void **extra, GucSource source)
{
	PgstMessage why;
	PgstStatus status;

	if (was_checked())
		return true;
	status = pgst_check_conninfo(*newval, &why);
	if (status != PGST_OK)
		GUC_check_errmsg("invalid value for parameter \"pg_status.conninfo\"");
	return accepted(status, &why);
}

static bool
check_listen_addresses(char **newval, void **extra, GucSource source)
{
	PgstMessage why;

	return was_checked() || accepted(pgst_check_listen_addresses(*newval, &why), &why);
}

static bool
check_allow(char **newval, void **extra, GucSource source)
{
	PgstMessage why;

	return was_checked() || accepted(pgst_check_networks(*newval, &why), &why);
}

static bool
check_label(char **newval, void **extra, GucSource source)
{
	PgstMessage why;

	return was_checked() || accepted(pgst_check_label(*newval, &why), &why);
}

static void
assign_text(const char *newval, void *extra)
{
	pgst_count_reload();
}

static void
assign_number(int newval, void *extra)
{
	pgst_count_reload();
}

static void
assign_switch(bool newval, void *extra)
{
	pgst_count_reload();
}

static void
define_text(const char *name, const char *what, const char *more, char **variable,
			const char *preset, int flags, GucStringCheckHook check)
{
	DefineCustomStringVariable(name, what, more, variable, preset, PGC_SIGHUP, flags,
							   check, assign_text, NULL);
}

static void
define_number(const char *name, const char *what, const char *more, int *variable,
			  int min, int max, int flags)
{
	DefineCustomIntVariable(name, what, more, variable, *variable, min, max, PGC_SIGHUP,
							flags, NULL, assign_number, NULL);
}

/* max_hosts comes first: the check of hosts looks at it. */
static void
define_what_to_poll(void)
{
	DefineCustomIntVariable(
		"pg_status.max_hosts", "Sets the largest number of hosts that can be configured.",
		"Sizes shared memory, about 7 kB for each host.", &pgst_max_hosts, pgst_max_hosts,
		1, PGST_MOST_HOSTS, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	define_text(
		"pg_status.hosts", "Lists the hosts of the cluster.",
		"A comma list of host[:port], each with optional name=, dc=, geo=, weight= and "
		"application_name=. Empty: this server only.",
		&hosts, "", 0, check_hosts);
	define_text(
		"pg_status.conninfo", "Sets how to connect to the hosts.",
		"libpq keywords such as user, dbname, sslmode, passfile or service; no password.",
		&conninfo, CONNINFO_DEFAULT, GUC_SUPERUSER_ONLY, check_conninfo);
	define_text("pg_status.dc", "Sets the data centre of this server.",
				"Standbys with the same dc are preferred.", &dc, "", 0, check_label);
	define_text("pg_status.geo", "Sets the region of this server.",
				"Standbys with the same geo are preferred after those with the same dc.",
				&geo, "", 0, check_label);
}

static void
define_how_to_poll(void)
{
	define_number("pg_status.poll_interval",
				  "Sets the time from the start of one check of a host to the next.",
				  NULL, &poll_interval_ms, 10, 3600 * 1000, GUC_UNIT_MS);
	define_number(
		"pg_status.fast_poll_interval",
		"Sets the time between two checks of a host while something is wrong.",
		"Used for a host that failed, and for all while there is no sound primary.",
		&fast_poll_interval_ms, 10, 60 * 1000, GUC_UNIT_MS);
	define_number("pg_status.poll_timeout",
				  "Sets the longest time a check may take, connecting included.", NULL,
				  &pgst_poll_timeout_ms, 10, 60 * 1000, GUC_UNIT_MS);
	define_number("pg_status.conn_max_age",
				  "Sets the age at which the connection to a host is renewed.", NULL,
				  &conn_max_age_s, 1, 7 * 24 * 3600, GUC_UNIT_S);
	define_number("pg_status.max_fails",
				  "Sets the number of failed checks in a row until a host is down.", NULL,
				  &max_fails, 1, 1000, 0);
	define_number("pg_status.sync_max_lag_ms",
				  "Sets the largest lag in time of a standby that is in sync.", NULL,
				  &sync_max_lag_ms, 0, INT_MAX, GUC_UNIT_MS);
	define_number("pg_status.sync_max_lag_bytes",
				  "Sets the largest lag in bytes of WAL of a standby that is in sync.",
				  NULL, &sync_max_lag_bytes, 0, INT_MAX, GUC_UNIT_BYTE);
}

static void
define_how_to_answer(void)
{
	define_text("pg_status.listen_addresses", "Sets the addresses to answer on.",
				"A comma list of IPv4 and IPv6 addresses, localhost or * for all.",
				&listen_addresses, "localhost", 0, check_listen_addresses);
	define_number("pg_status.port", "Sets the port of the raw status answer.",
				  "0 closes it.", &port, 0, 65535, 0);
	define_number("pg_status.http_port", "Sets the port of the discovery service.",
				  "8000 by convention. 0 closes it.", &http_port, 0, 65535, 0);
	define_number("pg_status.check_port", "Sets the port of this node's health checks.",
				  "8008 by convention. 0 closes it.", &check_port, 0, 65535, 0);
	define_text("pg_status.allow", "Lists the networks that may ask.",
				"A comma list in CIDR notation. Empty: everyone who reaches the address.",
				&allow, "", 0, check_allow);
	DefineCustomBoolVariable(
		"pg_status.fence",
		"Makes a primary that sees no majority of the voting nodes say FENCED.",
		"It also fails its health checks. Needs three nodes that run pg_status.",
		&pgst_fence, false, PGC_SIGHUP, 0, NULL, assign_switch, NULL);
	define_number("pg_status.max_clients",
				  "Sets the largest number of clients that are connected at once.", NULL,
				  &pgst_max_clients, 1, 65536, 0);
	define_number("pg_status.client_timeout", "Sets the longest time a client may stay.",
				  NULL, &client_timeout_ms, 10, 3600 * 1000, GUC_UNIT_MS);
}

/*
 * A value to read, not to set: the state of this server at this moment. A setting can be
 * asked for in any database and on any version, by any role, also where the extension was
 * not created and with no error where the library is not loaded (current_setting with
 * missing_ok). So the pollers of the other nodes ask for it.
 */
static const char *
show_node_state(void)
{
	switch (pgst_node_state())
	{
		case PGST_NODE_PRIMARY:
			return "primary";
		case PGST_NODE_STANDBY:
			return "standby";
		case PGST_NODE_STOPPING:
			return "stopping";
		case PGST_NODE_STARTING:
			break;
	}
	return "starting";
}

/* What this server's pg_status thinks of the hosts: for the pollers of the other nodes,
 * too. */
static const char *
show_opinions(void)
{
	char *text;

	if (!pgst_shared_memory_exists())
		return "";
	text = palloc(PGST_OPINIONS_SIZE);
	pgst_opinions(pgst_snapshot(), pgst_worker_last_alive(PGST_POLLER), text);
	return text;
}

/* What only the inside of this server knows: likewise. */
static const char *
show_facts(void)
{
	char *text;

	if (!pgst_shared_memory_exists())
		return "";
	text = palloc(PGST_FACTS_SIZE);
	pgst_facts(text);
	return text;
}

static void
define_what_to_show(void)
{
	DefineCustomStringVariable("pg_status.node_state", "Shows the state of this server.",
							   "primary, standby, starting or stopping.", &node_state, "",
							   PGC_INTERNAL, GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, show_node_state);
	DefineCustomStringVariable(
		"pg_status.opinions", "Shows what this server thinks of the hosts.",
		"For pg_status on the other servers.", &opinions, "", PGC_INTERNAL,
		GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE | GUC_NO_SHOW_ALL, NULL, NULL,
		show_opinions);
	DefineCustomStringVariable(
		"pg_status.facts", "Shows what only the inside of this server knows.",
		"For pg_status on the other servers.", &facts, "", PGC_INTERNAL,
		GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE | GUC_NO_SHOW_ALL, NULL, NULL,
		show_facts);
}

void
pgst_define_settings(void)
{
	define_what_to_poll();
	define_how_to_poll();
	define_how_to_answer();
	define_what_to_show();
	MarkGUCPrefixReserved("pg_status");
}

/*
 * This server alone, for an empty list: through its own socket directory if it has one
 * (the first that can be written in a list), under a name that says what it is.
 */
static char *
this_server_only(void)
{
	const char *own_port = GetConfigOption("port", false, false);
	char *directories = pstrdup(GetConfigOption("unix_socket_directories", false, false));
	List *parts = NIL;

	if (SplitDirectoriesString(directories, ',', &parts) && parts != NIL)
	{
		const char *directory = linitial(parts);

		if (directory[0] == '/' && strpbrk(directory, " \t,") == NULL)
			return psprintf("%s:%s name=localhost:%s", directory, own_port, own_port);
	}
	return psprintf("localhost:%s", own_port);
}

void
pgst_poller_settings(PgstPollerSettings *settings)
{
	const char *cluster_name = GetConfigOption("cluster_name", false, false);
	bool none = strspn(hosts, " \t\r\n") == strlen(hosts);

	memset(settings, 0, sizeof(*settings));
	settings->hosts = none ? this_server_only() : hosts;
	settings->conninfo = conninfo;
	settings->application_name =
		cluster_name[0] != '\0' ? psprintf("pg_status %s", cluster_name) : "pg_status";
	settings->dc = dc;
	settings->geo = geo;
	settings->max_hosts = pgst_max_hosts;
	settings->poll_interval_ms = poll_interval_ms;
	settings->fast_poll_interval_ms = fast_poll_interval_ms;
	settings->poll_timeout_ms = pgst_poll_timeout_ms;
	settings->conn_max_age_ms = conn_max_age_s * 1000;
	settings->max_fails = max_fails;
	settings->sync_max_lag_ms = sync_max_lag_ms;
	settings->sync_max_lag_bytes = sync_max_lag_bytes;
	settings->fence = pgst_fence;
	settings->system_identifier = GetSystemIdentifier();
	settings->postmaster_start_wall = pgst_unix_us(PgStartTime);
}

void
pgst_fallback_hosts(PgstPollerSettings *settings)
{
	settings->hosts = this_server_only();
	settings->conninfo = CONNINFO_DEFAULT;
}

void
pgst_listener_settings(PgstListenerSettings *settings)
{
	memset(settings, 0, sizeof(*settings));
	settings->listen_addresses = listen_addresses;
	settings->allow = allow;
	settings->port = port;
	settings->http_port = http_port;
	settings->check_port = check_port;
	settings->max_clients = pgst_max_clients;
	settings->client_timeout_ms = client_timeout_ms;
	/* without a poller nobody could ever see a majority */
	settings->fence = pgst_fence && pgst_poller_has_place();
}
