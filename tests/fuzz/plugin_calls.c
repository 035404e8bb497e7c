#include "base/log.h"
#include "codec/wire.h"
#include "plugin/plugin.h"
#include "plugin/task.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * All bytes of a connection from Nomad: frames, headers, messages, and what the methods make of
 * them. In place of pot-runner stands one that does nothing and says that it was done; an image
 * with the tag "none" has to be fetched first.
 */

enum { WAITS_MAX = 64, IDLE_TURNS = 6 };

static struct plugin p;
static struct {
	int sock;
	struct loop_watch *watch;
	struct buf in;
	uint64_t waits[WAITS_MAX]; /* answered when something stops */
	size_t n_waits;
	unsigned answered;
	bool fetched;
} runner;

/* ---- the runner that does nothing ---- */

static void
say(enum runner_reply_kind kind, uint64_t id, struct runner_reply reply)
{
	autobuf struct buf body = BUF_INIT;
	struct err e = ERR_INIT;

	reply.kind = kind;
	reply.id = id;
	runner_reply_encode(&reply, &body);
	(void)wire_send(runner.sock, &body, NULL, 0, &e);
	runner.answered++;
}

static void
end_waits(void)
{
	struct runner_reply ended = { .code = 3 };

	while (runner.n_waits > 0)
		say(RUNNER_DONE, runner.waits[--runner.n_waits], ended);
}

static void
answer(const struct runner_request *q)
{
	struct runner_run run = { .pot = q->pot, .run_id = "0123456789ab", .running = true };
	struct runner_reply done = { .runs = &run, .n_runs = 1, .text = "{\"ready\":true}" };

	if (q->op == RUNNER_POT_WAIT && runner.n_waits < WAITS_MAX) {
		runner.waits[runner.n_waits++] = q->id;
		return;
	}
	if (q->op == RUNNER_POT_STOP || q->op == RUNNER_POT_DESTROY)
		end_waits();
	if (q->op == RUNNER_IMAGE_IMPORT) {
		runner.fetched = true;
		say(RUNNER_PROGRESS, q->id, (struct runner_reply){ .done = 50, .total = 100 });
	}
	if (q->op == RUNNER_POT_EXEC)
		say(RUNNER_STARTED, q->id, (struct runner_reply){ .code = 0 });
	if (q->op == RUNNER_POT_PREPARE && !runner.fetched && q->tag != NULL &&
	    strcmp(q->tag, "none") == 0) {
		err_new(&done.failure, ERR_ABSENT, "no such image");
		say(RUNNER_FAILED, q->id, done);
		return;
	}
	say(RUNNER_DONE, q->id, done);
}

static void
on_request(void *ctx, int fd, unsigned what)
{
	struct err e = ERR_INIT;
	int fds[64];
	size_t n_fds = 0, len;
	const void *body;

	(void)ctx;
	(void)what;
	if (wire_fill(fd, &runner.in, fds, &n_fds, NELEM(fds), &e) != 1)
		return;
	while (n_fds > 0)
		close(fds[--n_fds]);
	while (wire_frame(&runner.in, &body, &len, &e) > 0) {
		autoarena struct arena mem = ARENA_INIT;
		struct runner_request q;
		if (runner_request_decode(body, len, &mem, &q, &e) == 0)
			answer(&q);
		buf_drop(&runner.in, 4 + len);
	}
}

static void
stop(struct plugin *plugin)
{
	(void)plugin;
}

/* The plugin connects to a socket, as it does where it is not root. */
static void
begin(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct err e = ERR_INIT;

	log_set_fd(-1);
	p.stop = stop;
	p.loop = loop_new();
	plugin_config_defaults(&p.config);
	snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/fuzz-plugin.%d", (int)getpid());
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)unlink(at.sun_path);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 1) < 0)
		abort();
	p.config.runner_socket = at.sun_path;
	if (plugin_runner(&p, &e) == NULL)
		abort();
	p.config.runner_socket = NULL;
	runner.sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	runner.watch = loop_watch(p.loop, runner.sock, LOOP_READ, on_request, NULL);
	(void)unlink(at.sun_path);
	close(listener);
	p.server = grpc_server_new(p.loop, -1, plugin_methods, &p);
}

/* ---- one input ---- */

/* Until nothing comes from anywhere; what Nomad would read is dropped. */
static void
settle(int host)
{
	char dropped[65536];

	for (int idle = 0; idle < IDLE_TURNS; idle++) {
		unsigned before = runner.answered;
		loop_turn(p.loop, 0);
		if ((host >= 0 && recv(host, dropped, sizeof(dropped), MSG_DONTWAIT) > 0) ||
		    runner.answered != before)
			idle = 0;
	}
}

static void
forget(void)
{
	size_t i = 0;
	void *value;

	while (map_next(&p.tasks, &i, NULL, &value)) {
		task_free(value);
		i = 0;
	}
	map_fini(&p.tasks);
	settle(-1);
	image_fini(&p);
	fingerprint_fini(&p);
	p.asking = NULL;
	arena_fini(&p.config.mem);
	plugin_config_defaults(&p.config);
	runner.fetched = false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2];

	if (p.loop == NULL)
		begin();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	grpc_serve(p.server, pair[1]);
	for (size_t at = 0; at < size;) {
		ssize_t n = send(pair[0], data + at, size - at, MSG_NOSIGNAL);
		if (n > 0)
			at += (size_t)n;
		settle(pair[0]);
		if (n <= 0 && grpc_connections(p.server) == 0)
			break;
	}
	end_waits();
	settle(pair[0]);
	close(pair[0]);
	end_waits();
	settle(-1);
	forget();
	return 0;
}
