#include "platform/overlay/size.h"

#include "base/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { SHORT_WHILE_S = 10, COST_FACTOR = 100, CHEAP_NS = 2000000, SIZE_TEXT = 128 };

bool
size_read(const struct store *s, const char *path, struct size *out)
{
	char text[SIZE_TEXT];
	autofd int fd = openat(s->top, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0 || text[n - 1] != '\n')
		return false;
	text[n] = '\0';
	return sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64, &out->bytes,
		   &out->refer, &out->key, &out->measured_ns, &out->cost_ns) == 5;
}

void
size_write(const struct store *s, const char *path, const struct size *z)
{
	char temporary[128], text[SIZE_TEXT];
	struct err ignored = ERR_INIT;
	int n = snprintf(text, sizeof(text),
	    "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n", z->bytes, z->refer,
	    z->key, z->measured_ns, z->cost_ns);

	snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid());
	autofd int fd = openat(s->top, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (fd_write_all(fd, text, (size_t)n, &ignored) < 0 ||
	    renameat(s->top, temporary, s->top, path) < 0)
		(void)unlinkat(s->top, temporary, 0);
}

bool
size_still_good(const struct size *z)
{
	int64_t age = clock_wall_ns() - z->measured_ns, good = z->cost_ns * COST_FACTOR;

	if (good < SHORT_WHILE_S * NS_PER_SEC)
		good = SHORT_WHILE_S * NS_PER_SEC;
	return age >= 0 && age < good;
}

bool
size_is_cheap(const struct size *z)
{
	return z->cost_ns <= CHEAP_NS;
}
