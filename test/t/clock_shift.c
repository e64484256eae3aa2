/* A wall clock that can be moved while programs run: put before a server by LD_PRELOAD,
 * it adds the seconds that stand in the file CLOCK_SHIFT (8 bytes, a signed number as
 * this machine writes it) to the time of day. Other clocks stay.
 *
 * libfaketime would read its file at each call, with stdio. PostgreSQL asks for the time
 * in a signal handler, too, where that is not allowed: sooner or later a server process
 * dies of a broken heap. This here takes no memory and no lock. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;

__attribute__((constructor)) static void
open_shift(void)
{
	const char *path = getenv("CLOCK_SHIFT");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped;

	if (fd < 0)
		return;
	mapped = mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);
	if (mapped != MAP_FAILED)
		shift = mapped;
	close(fd);
}

int
clock_gettime(clockid_t id, struct timespec *now)
{
	int status = (int) syscall(SYS_clock_gettime, id, now);

	if (status == 0 && shift != NULL &&
		(id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		now->tv_sec += *shift;
	return status;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;

	(void) zone;
	if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
		return -1;
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *also)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME_COARSE, &now) != 0)
		return (time_t) -1;
	if (also != NULL)
		*also = now.tv_sec;
	return now.tv_sec;
}
