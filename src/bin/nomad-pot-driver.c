/*
 * nomad-pot-driver: the task driver `pot` for Nomad, a plugin that its agent starts.
 *
 * On standard output it says one line: where it listens. Then it serves until the agent tells it to
 * end; pots go on without it and are found again by the next one.
 */
#include "base/log.h"
#include "platform/proc.h"
#include "plugin/plugin.h"
#include "plugin/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
stop(struct plugin *p)
{
	loop_stop(p->loop);
}

static void
on_term(void *ctx, int signo)
{
	(void)signo;
	stop(ctx);
}

/* An agent that asked about us and has gone without a word will not come back; one that was served
 * may: it knows the socket. */
enum { FIRST_MS = 120000, UNUSED_MS = 3000 };

static void
on_unused(void *ctx)
{
	struct plugin *p = ctx;

	if (!p->in_service && grpc_connections(p->server) == 0)
		stop(p);
}

static void
on_closed(void *ctx)
{
	struct plugin *p = ctx;

	if (!p->in_service)
		loop_timer_set(p->unused_timer, UNUSED_MS);
}

/* What leaked into us must not leak further, and what Nomad listens to must not stay open in a
 * child. */
static void
seal_descriptors(void)
{
	proc_close_from(3);
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && errno == EBADF)
			(void)open("/dev/null", O_RDWR | O_CLOEXEC);
}

static void
tasks_forget(struct plugin *p)
{
	size_t i = 0;
	void *value;

	while (map_next(&p->tasks, &i, NULL, &value)) {
		task_free(value);
		i = 0;
	}
	map_fini(&p->tasks);
}

static int
serve(struct plugin *p, const char *path)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "1|2|unix|%s|grpc|\n", path);

	struct loop_signal *term = loop_signal(p->loop, SIGTERM, on_term, p);
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		return 1;
	loop_run(p->loop);
	loop_signal_free(&term);
	return 0;
}

int
main(int argc, char **argv)
{
	struct plugin p = { .stop = stop };
	struct err e = ERR_INIT;
	char path[128];

	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("nomad-pot-driver %s\n", POTTER_VERSION);
		return 0;
	}
	if (handshake_check(&e) < 0) {
		fprintf(stderr, "nomad-pot-driver: %s\n", e.text);
		return 1;
	}
	seal_descriptors();
	journal_open();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN); /* Ctrl-C in a terminal reaches the agent's whole group */
	int sock = handshake_listen(path, sizeof(path), &e);
	if (sock < 0) {
		log_error("plugin", "%s", e.text);
		return 1;
	}
	plugin_config_defaults(&p.config);
	p.loop = loop_new();
	p.server = grpc_server_new(p.loop, sock, plugin_methods, &p);
	p.unused_timer = loop_timer(p.loop, FIRST_MS, 0, on_unused, &p);
	grpc_on_closed(p.server, on_closed);
	int code = serve(&p, path);
	loop_timer_free(&p.unused_timer);
	(void)unlink(path);
	grpc_server_free(p.server);
	tasks_forget(&p);
	image_fini(&p);
	fingerprint_fini(&p);
	worker_free(&p);
	arena_fini(&p.config.mem);
	loop_free(p.loop);
	return code;
}
