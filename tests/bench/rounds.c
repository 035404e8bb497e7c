/*
 * rounds - time several commands in turn (A B C A B C ...), so that a drifting or
 * busy machine treats them alike; the first is the floor.
 *
 *   rounds [-n ROUNDS] [-w WARMUP] [-t TSVFILE] NAME CMD... :: NAME CMD... [:: ...]
 *
 * A name "A/B" is compared with the command named B rather than with the first.
 *
 * For each command: wall milliseconds (min, median, p95, max), the median of
 * user+system ms of everything it waited for, the median over rounds of
 * wall / wall of the floor in the same round, the peak memory of its
 * largest process, and how many runs failed.  Output of the commands is dropped
 * unless ROUNDS_KEEP is set.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
struct cmd {
	char *name, **argv;
	double *wall, *cpu, *ratio;
	long rss;
	int fail, floor;
};

static double
now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static double
tv(struct timeval t)
{
	return t.tv_sec * 1e3 + t.tv_usec / 1e3;
}

static int
cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double
med(double *v, int n)
{
	qsort(v, n, sizeof *v, cmp);
	return n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static int
run(struct cmd *c, int i)
{
	posix_spawn_file_actions_t fa;
	struct rusage ru;
	pid_t pid;
	int st;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	if (!getenv("ROUNDS_KEEP")) {
		posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
		posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	}
	double t = now_ms();
	int e = posix_spawnp(&pid, c->argv[0], &fa, NULL, c->argv, environ);
	if (e) {
		fprintf(stderr, "rr: %s: %s\n", c->argv[0], strerror(e));
		exit(2);
	}
	wait4(pid, &st, 0, &ru);
	t = now_ms() - t;
	posix_spawn_file_actions_destroy(&fa);
	if (i >= 0) {
		c->wall[i] = t;
		c->cpu[i] = tv(ru.ru_utime) + tv(ru.ru_stime);
		if (ru.ru_maxrss > c->rss)
			c->rss = ru.ru_maxrss;
		if (st)
			c->fail++;
	}
	return st;
}

int
main(int argc, char **argv)
{
	int n = 20, warm = 2, o, nc = 0;
	char *tsv = NULL;
	while ((o = getopt(argc, argv, "+n:w:t:")) != -1)
		switch (o) {
		case 'n':
			n = atoi(optarg);
			break;
		case 'w':
			warm = atoi(optarg);
			break;
		case 't':
			tsv = optarg;
			break;
		default:
			return 2;
		}
	struct cmd *c = calloc(argc, sizeof *c);
	for (int i = optind; i < argc;) {
		if (i + 1 >= argc)
			return 2;
		c[nc].name = argv[i++];
		c[nc].argv = &argv[i];
		while (i < argc && strcmp(argv[i], "::"))
			i++;
		if (i < argc)
			argv[i++] = NULL;
		c[nc].wall = calloc(n, sizeof(double));
		c[nc].cpu = calloc(n, sizeof(double));
		c[nc].ratio = calloc(n, sizeof(double));
		nc++;
	}
	for (int k = 0; k < nc; k++) {
		const char *slash = strchr(c[k].name, '/');
		for (int j = 0; slash && j < nc; j++)
			if (!strcmp(c[j].name, slash + 1))
				c[k].floor = j;
	}
	for (int i = -warm; i < n; i++) {
		for (int k = 0; k < nc; k++)
			run(&c[k], i);
		if (i >= 0)
			for (int k = 0; k < nc; k++)
				c[k].ratio[i] = c[k].wall[i] / c[c[k].floor].wall[i];
	}
	FILE *f = tsv ? fopen(tsv, "a") : NULL;
	if (f)
		for (int k = 0; k < nc; k++)
			for (int i = 0; i < n; i++)
				fprintf(f, "%s\t%d\t%.3f\t%.3f\n", c[k].name, i, c[k].wall[i],
				    c[k].cpu[i]);
	printf("| %-24s | %8s | %8s | %8s | %8s | %8s | %7s | %8s | %4s |\n", "command", "min ms",
	    "median", "p95", "max", "cpu ms", "ratio", "peak MB", "fail");
	printf("|---|---|---|---|---|---|---|---|---|\n");
	for (int k = 0; k < nc; k++) {
		double m = med(c[k].wall, n), r = med(c[k].ratio, n), u = med(c[k].cpu, n);
		printf(
		    "| %-24s | %8.2f | %8.2f | %8.2f | %8.2f | %8.2f | %7.2f | %8.1f | %d/%d |\n",
		    c[k].name, c[k].wall[0], m, c[k].wall[(int)(n * .95)], c[k].wall[n - 1], u, r,
		    c[k].rss / 1024.0, c[k].fail, n);
	}
	return 0;
}
