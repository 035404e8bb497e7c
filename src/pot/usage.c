#include "base/clock.h"
#include "pot/priv.h"
#include "pot/run.h"
#include "store/file.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/*
 * How busy a pot is lately. The kernel counts processor time since the start; what somebody saw the
 * last time lies in runs/<pot>/usage, "<run id> <cpu ns> <wall clock ns>", so that the next one who
 * asks sees the time since then.
 */

enum { SHORTEST_MS = 200, RENEW_MS = 1000 };

struct sample {
	char run[RUN_ID_TEXT];
	uint64_t cpu_ns;
	int64_t when_ns;
};

static bool
read_sample(const char *dir, struct sample *out)
{
	autobuf struct buf text = BUF_INIT;
	struct err absent = ERR_INIT;
	char path[PATH_SIZE];

	path_at(path, "%s/usage", dir);
	return buf_read_file(&text, path, 200, &absent) == 0 &&
	       sscanf(buf_str(&text), "%12s %" SCNu64 " %" SCNd64, out->run, &out->cpu_ns,
		   &out->when_ns) == 3;
}

/* Whoever may not write here only looks. */
static void
write_sample(const char *dir, const struct sample *s)
{
	struct err ignored = ERR_INIT;
	char text[100];
	int n = snprintf(
	    text, sizeof(text), "%s %" PRIu64 " %" PRId64 "\n", s->run, s->cpu_ns, s->when_ns);

	autofd int fd = open_dir(dir, &ignored);
	if (fd >= 0)
		(void)file_swap(fd, "usage", text, (size_t)n, 0600, &ignored);
}

static double
percent_of(uint64_t cpu_ns, int64_t time_ns)
{
	return time_ns > 0 ? (double)cpu_ns * 100 / (double)time_ns : 0;
}

double
pot_cpu_percent(struct pot_env *env, const char *name, const struct pot_usage *u)
{
	struct sample last, now = { .cpu_ns = u->cpu_ns, .when_ns = clock_wall_ns() };
	struct err gone = ERR_INIT;
	char dir[PATH_SIZE];
	int64_t age_ms = -1;
	struct run r;

	if (!u->running || run_read(env, name, &r, &gone) < 0)
		return 0;
	double percent = percent_of(u->cpu_ns, now.when_ns - r.running_ns);
	path_at(dir, "%s/runs/%s", env->conf.run_dir, r.name);
	str_copy(now.run, sizeof(now.run), r.id);
	if (read_sample(dir, &last) && strcmp(last.run, r.id) == 0 && last.cpu_ns <= now.cpu_ns)
		age_ms = (now.when_ns - last.when_ns) / NS_PER_MS;
	if (age_ms >= SHORTEST_MS)
		percent = percent_of(now.cpu_ns - last.cpu_ns, now.when_ns - last.when_ns);
	if (geteuid() == 0 && (age_ms < 0 || age_ms >= RENEW_MS))
		write_sample(dir, &now);
	return percent;
}
