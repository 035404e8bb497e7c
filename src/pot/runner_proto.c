#include "pot/runner_proto.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const char *const op_names[RUNNER_OPS] = {
	[RUNNER_HELLO] = "hello",
	[RUNNER_POT_PREPARE] = "pot prepare",
	[RUNNER_POT_START] = "pot start",
	[RUNNER_POT_STOP] = "pot stop",
	[RUNNER_POT_SIGNAL] = "pot signal",
	[RUNNER_POT_DESTROY] = "pot destroy",
	[RUNNER_POT_EXEC] = "pot exec",
	[RUNNER_POT_USAGE] = "pot usage",
	[RUNNER_POT_COPY_IN] = "pot copy-in",
	[RUNNER_POT_WAIT] = "pot wait",
	[RUNNER_POT_LIST] = "pot list",
	[RUNNER_RAW_START] = "raw start",
	[RUNNER_RAW_STOP] = "raw stop",
	[RUNNER_RAW_SIGNAL] = "raw signal",
	[RUNNER_RAW_EXEC] = "raw exec",
	[RUNNER_RAW_USAGE] = "raw usage",
	[RUNNER_RAW_WAIT] = "raw wait",
	[RUNNER_RAW_DESTROY] = "raw destroy",
	[RUNNER_IMAGE_IMPORT] = "image import",
	[RUNNER_SWEEP] = "sweep",
	[RUNNER_FACTS] = "facts",
	[RUNNER_CANCEL] = "cancel",
};

enum { LIST_MAX = 4096, BINDS_MAX = 256, RUNS_MAX = 4096 };

static const struct wire_row bind_rows[] = {
	WIRE_ROW(1, WIRE_STR, struct runner_bind, source),
	WIRE_ROW(2, WIRE_STR, struct runner_bind, target),
	WIRE_ROW(3, WIRE_BOOL, struct runner_bind, read_only),
	WIRE_ROWS_END,
};

static const struct wire_row request_rows[] = {
	WIRE_ROW(1, WIRE_STR, struct runner_request, pot),
	WIRE_ROW(2, WIRE_STR, struct runner_request, image),
	WIRE_ROW(3, WIRE_STR, struct runner_request, tag),
	WIRE_ROW(4, WIRE_STR, struct runner_request, url),
	WIRE_ROW(5, WIRE_STR, struct runner_request, run_id),
	WIRE_ROW(6, WIRE_STRS, struct runner_request, argv),
	WIRE_ROW(7, WIRE_STRS, struct runner_request, env),
	WIRE_ROW(8, WIRE_STRS, struct runner_request, ports),
	WIRE_ROW(9, WIRE_STRS, struct runner_request, hosts),
	WIRE_ROW(10, WIRE_STRS, struct runner_request, attributes),
	WIRE_ROW(11, WIRE_STR, struct runner_request, network),
	WIRE_ROW(12, WIRE_STR, struct runner_request, stack),
	WIRE_ROW(13, WIRE_STR, struct runner_request, dns),
	WIRE_ROW(14, WIRE_STR, struct runner_request, user),
	WIRE_ROW(15, WIRE_STR, struct runner_request, cwd),
	WIRE_ROW(16, WIRE_STR, struct runner_request, source),
	WIRE_ROW(17, WIRE_STR, struct runner_request, target),
	WIRE_ROW_ITEMS(
	    18, struct runner_request, binds, n_binds, struct runner_bind, bind_rows, BINDS_MAX),
	WIRE_ROW(19, WIRE_STR, struct runner_request, log.dir),
	WIRE_ROW(20, WIRE_STR, struct runner_request, log.prefix),
	WIRE_ROW_INT(21, struct runner_request, log.max_files, 0, 100000),
	WIRE_ROW(22, WIRE_U64, struct runner_request, log.max_file_bytes),
	WIRE_ROW(23, WIRE_U64, struct runner_request, memory_bytes),
	WIRE_ROW_INT(24, struct runner_request, cpus, 0, 65536),
	WIRE_ROW_INT(25, struct runner_request, cpu_shares, 0, 262144),
	WIRE_ROW_INT(26, struct runner_request, signal, 0, 128),
	WIRE_ROW_INT(27, struct runner_request, stop_signal, 0, 128),
	WIRE_ROW(28, WIRE_I64, struct runner_request, stop_timeout_ms),
	WIRE_ROW(29, WIRE_BOOL, struct runner_request, force),
	WIRE_ROW(30, WIRE_BOOL, struct runner_request, tty),
	WIRE_ROW_INT(31, struct runner_request, rows, 0, 65535),
	WIRE_ROW_INT(32, struct runner_request, columns, 0, 65535),
	WIRE_ROW(33, WIRE_U64, struct runner_request, cancel),
	WIRE_ROW(34, WIRE_STR, struct runner_request, stdout_path),
	WIRE_ROW(35, WIRE_STR, struct runner_request, stderr_path),
	WIRE_ROW(36, WIRE_STR, struct runner_request, command),
	WIRE_ROW(37, WIRE_STR, struct runner_request, limit_cpus),
	WIRE_ROW(38, WIRE_STR, struct runner_request, limit_pin),
	WIRE_ROW(39, WIRE_STR, struct runner_request, limit_processes),
	WIRE_ROW(40, WIRE_STR, struct runner_request, limit_files),
	WIRE_ROW(41, WIRE_STR, struct runner_request, limit_io_weight),
	WIRE_ROW(42, WIRE_STR, struct runner_request, resolver),
	WIRE_ROW(43, WIRE_STR, struct runner_request, network_path),
	WIRE_ROW(44, WIRE_STRS, struct runner_request, addresses),
	WIRE_ROW(45, WIRE_STR, struct runner_request, bridge),
	WIRE_ROW(46, WIRE_BOOL, struct runner_request, take_over),
	WIRE_ROW(47, WIRE_BOOL, struct runner_request, no_links),
	WIRE_ROWS_END,
};

static const struct wire_row run_rows[] = {
	WIRE_ROW(1, WIRE_STR, struct runner_run, pot),
	WIRE_ROW(2, WIRE_STR, struct runner_run, run_id),
	WIRE_ROW_INT(3, struct runner_run, keeper_pid, 0, INT32_MAX),
	WIRE_ROW_INT(4, struct runner_run, init_pid, 0, INT32_MAX),
	WIRE_ROW(5, WIRE_U64, struct runner_run, keeper_start),
	WIRE_ROW(6, WIRE_STR, struct runner_run, ip),
	WIRE_ROW(7, WIRE_STR, struct runner_run, ip6),
	WIRE_ROW(8, WIRE_STRS, struct runner_run, ports),
	WIRE_ROW(9, WIRE_BOOL, struct runner_run, running),
	WIRE_ROW(10, WIRE_BOOL, struct runner_run, starting),
	WIRE_ROWS_END,
};

static const struct wire_row reply_rows[] = {
	WIRE_ROW(1, WIRE_ERR, struct runner_reply, failure),
	WIRE_ROW(2, WIRE_STR, struct runner_reply, pot),
	WIRE_ROW_ITEMS(3, struct runner_reply, runs, n_runs, struct runner_run, run_rows, RUNS_MAX),
	WIRE_ROW(4, WIRE_U64, struct runner_reply, usage.rss_bytes),
	WIRE_ROW(5, WIRE_U64, struct runner_reply, usage.cache_bytes),
	WIRE_ROW(6, WIRE_U64, struct runner_reply, usage.swap_bytes),
	WIRE_ROW(7, WIRE_U64, struct runner_reply, usage.memory_limit_bytes),
	WIRE_ROW(8, WIRE_U64, struct runner_reply, usage.cpu_ns),
	WIRE_ROW_INT(9, struct runner_reply, usage.pids, 0, INT32_MAX),
	WIRE_ROW_INT(10, struct runner_reply, code, 0, 255),
	WIRE_ROW_INT(11, struct runner_reply, signal, 0, 128),
	WIRE_ROW(12, WIRE_BOOL, struct runner_reply, oom_killed),
	WIRE_ROW(13, WIRE_BOOL, struct runner_reply, lost),
	WIRE_ROW(14, WIRE_I64, struct runner_reply, started_ns),
	WIRE_ROW(15, WIRE_I64, struct runner_reply, ended_ns),
	WIRE_ROW(16, WIRE_STR, struct runner_reply, text),
	WIRE_ROW(17, WIRE_U64, struct runner_reply, done),
	WIRE_ROW(18, WIRE_U64, struct runner_reply, total),
	WIRE_ROW(19, WIRE_BOOL, struct runner_reply, has_fd),
	WIRE_ROW(20, WIRE_I64, struct runner_reply, usage.read_ns),
	WIRE_ROWS_END,
};

const char *
runner_op_name(enum runner_op op)
{
	return op > 0 && op < RUNNER_OPS ? op_names[op] : "unknown";
}

bool
runner_op_is_raw(enum runner_op op)
{
	return op >= RUNNER_RAW_START && op <= RUNNER_RAW_DESTROY;
}

void
runner_request_encode(const struct runner_request *q, struct buf *body)
{
	wire_begin(body, (uint16_t)q->op, q->id);
	wire_put(body, request_rows, q);
}

int
runner_request_decode(
    const void *body, size_t len, struct arena *a, struct runner_request *q, struct err *e)
{
	struct wire_reader r;
	struct wire_head head;

	if (wire_read(body, len, &head, &r, e) < 0)
		return -1;
	*q = (struct runner_request){ .op = (enum runner_op)head.kind, .id = head.id };
	if (wire_take(&r, request_rows, a, q, e) < 0)
		return err_ctx(e, "request %s", runner_op_name(q->op));
	if (head.kind == 0 || head.kind >= RUNNER_OPS)
		return err_new(e, ERR_UNSUPPORTED, "this runner has no operation %u", head.kind);
	return 0;
}

void
runner_reply_encode(const struct runner_reply *p, struct buf *body)
{
	wire_begin(body, (uint16_t)p->kind, p->id);
	wire_put(body, reply_rows, p);
}

int
runner_reply_decode(
    const void *body, size_t len, struct arena *a, struct runner_reply *p, struct err *e)
{
	struct wire_reader r;
	struct wire_head head;

	if (wire_read(body, len, &head, &r, e) < 0)
		return -1;
	if (head.kind < RUNNER_PROGRESS || head.kind > RUNNER_FAILED)
		return err_new(
		    e, ERR_REMOTE, "the runner answered with an unknown reply %u", head.kind);
	memset(p, 0, sizeof(*p));
	p->kind = (enum runner_reply_kind)head.kind;
	p->id = head.id;
	if (wire_take(&r, reply_rows, a, p, e) < 0)
		return err_ctx(e, "reply of the runner");
	return 0;
}

int
runner_send(int sock, const struct runner_request *q, const int *fds, size_t n_fds, struct err *e)
{
	autobuf struct buf body = BUF_INIT;

	runner_request_encode(q, &body);
	if (wire_send(sock, &body, fds, n_fds, e) < 0)
		return err_ctx(e, "ask pot-runner for %s", runner_op_name(q->op));
	return 0;
}

void
runner_inbox_fini(struct runner_inbox *box)
{
	while (box->n_fds > 0)
		close(box->fds[--box->n_fds]);
	buf_fini(&box->in);
}

int
runner_inbox_fill(struct runner_inbox *box, int sock, struct err *e)
{
	int got = wire_fill(sock, &box->in, box->fds, &box->n_fds, NELEM(box->fds), e);

	return got < 0 ? err_ctx(e, "answer of pot-runner") : got;
}

int
runner_inbox_next(
    struct runner_inbox *box, struct arena *a, struct runner_reply *p, int *fd, struct err *e)
{
	const void *body;
	size_t len;

	*fd = -1;
	int got = wire_frame(&box->in, &body, &len, e);
	if (got <= 0)
		return got;
	if (runner_reply_decode(body, len, a, p, e) < 0)
		return -1;
	buf_drop(&box->in, 4 + len);
	if (!p->has_fd)
		return 1;
	if (box->n_fds == 0)
		return err_new(e, ERR_REMOTE, "pot-runner announced a descriptor and sent none");
	*fd = box->fds[0];
	memmove(box->fds, box->fds + 1, --box->n_fds * sizeof(box->fds[0]));
	return 1;
}

int
runner_monitor_next(int monitor, int *sock, struct err *e)
{
	autobuf struct buf in = BUF_INIT;
	int fds[WIRE_FDS_MAX];
	size_t n = 0;

	/* the monitor sends whole frames of a few bytes, one for each new runner */
	int got = wire_fill(monitor, &in, fds, &n, NELEM(fds), e);
	if (got != 1)
		return got;
	while (n > 1)
		close(fds[--n]);
	if (n == 0)
		return err_new(e, ERR_REMOTE, "the monitor sent no socket");
	*sock = fds[0];
	return 1;
}
