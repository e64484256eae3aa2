/* A call of libpq that does not come back: put before a server by LD_PRELOAD, it lets
 * PQconnectPoll() run for ever, at full speed, for connections to the port that stands in
 * the file STUCK_PORT (4 bytes, a number as this machine writes it), for as long as it
 * stands there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const volatile int32_t *stuck;

__attribute__((constructor)) static void
open_port(void)
{
	const char *path = getenv("STUCK_PORT");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped;

	if (fd < 0)
		return;
	mapped = mmap(NULL, sizeof(*stuck), PROT_READ, MAP_SHARED, fd, 0);
	if (mapped != MAP_FAILED)
		stuck = mapped;
	close(fd);
}

int
PQconnectPoll(void *connection)
{
	int (*poll)(void *) = (int (*)(void *)) dlsym(RTLD_NEXT, "PQconnectPoll");
	char *(*port)(void *) = (char *(*) (void *) ) dlsym(RTLD_NEXT, "PQport");
	int (*socket)(void *) = (int (*)(void *)) dlsym(RTLD_NEXT, "PQsocket");
	/* (before it has a socket no place is chosen, and PQport() has nothing to look at) */
	int32_t number = socket(connection) < 0 ? -1 : (int32_t) atoi(port(connection));

	while (stuck != NULL && *stuck == number)
		continue;
	return poll(connection);
}
