#include "pot/runner_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The loop: requests in, a child for each, what the children say out. Nothing in here blocks; a
 * child that hangs holds up nobody else. What a pot uses is told by the loop itself: that is asked
 * for once a second and task, the kernel answers from memory, and a process would cost more.
 */

enum { QUEUE_MAX = 4096, WAITERS_MAX = 8192 };

static volatile sig_atomic_t asked_to_end;

static void
on_term(int sig)
{
	(void)sig;
	asked_to_end = 1;
}

void
request_free(struct request *r)
{
	while (r->n_fds > 0)
		close(r->fds[--r->n_fds]);
	buf_fini(&r->body);
	arena_fini(&r->mem);
	free(r);
}

/* ---- towards the agent ---- */

static void
outgoing_drop(struct runner_loop *l)
{
	struct outgoing *o = &l->out.at[0];

	while (o->n_fds > 0)
		close(o->fds[--o->n_fds]);
	buf_fini(&o->bytes);
	VEC_REMOVE(&l->out, 0);
}

static ssize_t
send_some(int sock, const struct outgoing *o)
{
	union {
		char bytes[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} room;
	struct iovec v = { o->bytes.data + o->sent, o->bytes.len - o->sent };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (o->sent == 0 && o->n_fds > 0) {
		memset(&room, 0, sizeof(room));
		m.msg_control = room.bytes;
		m.msg_controllen = CMSG_SPACE(o->n_fds * sizeof(int));
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(o->n_fds * sizeof(int));
		memcpy(CMSG_DATA(h), o->fds, o->n_fds * sizeof(int));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
flush(struct runner_loop *l)
{
	while (l->out.n > 0) {
		struct outgoing *o = &l->out.at[0];
		ssize_t n = l->agent_gone ? (ssize_t)(o->bytes.len - o->sent)
					  : send_some(l->config->sock, o);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0) {
			l->agent_gone = true;
			continue;
		}
		o->sent += (size_t)n;
		if (o->sent == o->bytes.len)
			outgoing_drop(l);
	}
}

static void
send_body(struct runner_loop *l, const void *body, size_t len, const int *fds, size_t n_fds)
{
	struct buf whole = { .data = (char *)(uintptr_t)body, .len = len };
	struct outgoing *o = VEC_ADD(&l->out);

	wire_frame_add(&o->bytes, &whole);
	for (size_t i = 0; i < n_fds && i < WIRE_FDS_MAX; i++)
		o->fds[o->n_fds++] = fds[i];
	flush(l);
}

void
runner_reply(struct runner_loop *l, struct runner_reply *p, uint64_t id)
{
	autobuf struct buf body = BUF_INIT;

	p->id = id;
	runner_reply_encode(p, &body);
	send_body(l, body.data, body.len, NULL, 0);
}

void
runner_fail(struct runner_loop *l, uint64_t id, const struct err *e)
{
	struct runner_reply p = { .kind = RUNNER_FAILED, .failure = *e };

	runner_reply(l, &p, id);
}

/* ---- children ---- */

/* Kinds of work, each with places of its own: what waits for a pot's end, as long as its grace is,
 * holds up no start, and whoever asks whether all is well hears it beside both. */
enum class { WORK, ASKED, ENDING, IMPORT, EXEC, CLASSES };

static const size_t places[CLASSES] = {
	[WORK] = 16, [ASKED] = 8, [ENDING] = 128, [IMPORT] = 4, [EXEC] = 128
};

static enum class class_of(enum runner_op op) {
	static const enum class of[RUNNER_OPS] = {
		[RUNNER_HELLO] = ASKED,
		[RUNNER_FACTS] = ASKED,
		[RUNNER_POT_LIST] = ASKED,
		[RUNNER_POT_STOP] = ENDING,
		[RUNNER_POT_DESTROY] = ENDING,
		[RUNNER_RAW_STOP] = ENDING,
		[RUNNER_RAW_DESTROY] = ENDING,
		[RUNNER_IMAGE_IMPORT] = IMPORT,
		[RUNNER_POT_EXEC] = EXEC,
		[RUNNER_RAW_EXEC] = EXEC,
	}; /* all others: WORK */

	return op > 0 && op < RUNNER_OPS ? of[op] : WORK;
}

static bool
has_place(const struct runner_loop *l, enum runner_op op)
{
	size_t n = 0;

	VEC_FOREACH (struct job *, j, &l->jobs)
		n += class_of(j->op) == class_of(op);
	return n < places[class_of(op)];
}

/* In the child: whatever belongs to the loop goes, so that each end is seen by whom it concerns. */
static NORETURN void
child_main(struct runner_loop *l, struct request *r, int sock)
{
	struct runner_child c = {
		.config = l->config, .q = &r->q, .sock = sock, .fds = { -1, -1, -1 }
	};

	close(l->config->sock);
	VEC_FOREACH (struct job *, j, &l->jobs)
		close(j->sock);
	VEC_FOREACH (struct waiter *, w, &l->waiters)
		close(w->handle);
	for (size_t i = 0; i < r->n_fds && i < 3; i++)
		c.fds[c.n_fds++] = r->fds[i];
	runner_do(&c);
}

void
runner_fork(struct runner_loop *l, struct request *r)
{
	struct err e = ERR_INIT;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		err_sys(&e, "make a channel");
		runner_fail(l, r->q.id, &e);
		request_free(r);
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		child_main(l, r, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		err_sys(&e, "make a process");
		close(pair[0]);
		runner_fail(l, r->q.id, &e);
	} else {
		struct job j = { .id = r->q.id, .op = r->q.op, .pid = pid, .sock = pair[0] };
		VEC_PUSH(&l->jobs, j);
	}
	request_free(r);
}

static void
start_queued(struct runner_loop *l)
{
	for (size_t i = 0; i < l->queue.n;) {
		struct request *r = l->queue.at[i];
		if (has_place(l, r->q.op)) {
			VEC_REMOVE(&l->queue, i);
			runner_fork(l, r);
		} else {
			i++;
		}
	}
}

static void
job_ended(struct runner_loop *l, size_t i)
{
	struct job *j = &l->jobs.at[i];
	struct err e = ERR_INIT;
	uint64_t id = j->id;
	bool answered = j->answered;

	while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(j->sock);
	while (j->n_fds > 0)
		close(j->fds[--j->n_fds]);
	buf_fini(&j->in);
	VEC_REMOVE(&l->jobs, i);
	if (!answered) {
		err_new(&e, ERR_REMOTE, "the process that worked on this was killed");
		runner_fail(l, id, &e);
	}
	start_queued(l);
}

/* What a child says goes on as it is; only whether it was the last word is looked at. */
static void
on_job(struct runner_loop *l, size_t i)
{
	struct job *j = &l->jobs.at[i];
	struct err e = ERR_INIT;
	const void *body;
	size_t len;

	int got = wire_fill(j->sock, &j->in, j->fds, &j->n_fds, WIRE_FDS_MAX, &e);
	if (got == 2)
		return;
	while (got > 0 && wire_frame(&j->in, &body, &len, &e) > 0) {
		autoarena struct arena mem = ARENA_INIT;
		struct runner_reply p;
		if (runner_reply_decode(body, len, &mem, &p, &e) < 0)
			break;
		size_t fds = p.has_fd && j->n_fds > 0;
		send_body(l, body, len, j->fds, fds);
		if (fds > 0)
			memmove(j->fds, j->fds + 1, --j->n_fds * sizeof(j->fds[0]));
		j->answered = j->answered || p.kind == RUNNER_DONE || p.kind == RUNNER_FAILED;
		buf_drop(&j->in, 4 + len);
	}
	if (got <= 0)
		job_ended(l, i);
}

/* ---- requests ---- */

static void
cancel(struct runner_loop *l, uint64_t id)
{
	struct err e = ERR_INIT;

	err_new(&e, ERR_TIMEOUT, "cancelled");
	for (size_t i = 0; i < l->queue.n; i++)
		if (l->queue.at[i]->q.id == id) {
			request_free(l->queue.at[i]);
			VEC_REMOVE(&l->queue, i);
			runner_fail(l, id, &e);
			return;
		}
	for (size_t i = 0; i < l->waiters.n; i++)
		if (l->waiters.at[i].request->q.id == id) {
			close(l->waiters.at[i].handle);
			request_free(l->waiters.at[i].request);
			VEC_REMOVE(&l->waiters, i);
			runner_fail(l, id, &e);
			return;
		}
	VEC_FOREACH (struct job *, j, &l->jobs)
		if (j->id == id)
			(void)kill(j->pid, SIGTERM);
}

static void
take_fds(struct runner_loop *l, struct request *r)
{
	size_t want =
	    (r->q.op == RUNNER_POT_EXEC || r->q.op == RUNNER_RAW_EXEC) && !r->q.tty ? 3 : 0;

	while (want > 0 && l->n_in_fds > 0) {
		r->fds[r->n_fds++] = l->in_fds[0];
		memmove(l->in_fds, l->in_fds + 1, --l->n_in_fds * sizeof(l->in_fds[0]));
		want--;
	}
}

static void
tell_usage(struct runner_loop *l, const struct request *r)
{
	struct runner_child c = { .config = l->config, .q = &r->q, .sock = -1 };
	struct runner_reply p;
	struct err e = ERR_INIT;

	(void)runner_answer(&c, &p, &e);
	runner_reply(l, &p, r->q.id);
	arena_fini(&c.mem);
}

static void
on_request(struct runner_loop *l, const void *body, size_t len)
{
	struct request *r = xcalloc(1, sizeof(*r));
	struct runner_reply done = { .kind = RUNNER_DONE };
	struct err e = ERR_INIT;

	buf_add(&r->body, body, len);
	if (runner_request_decode(r->body.data, r->body.len, &r->mem, &r->q, &e) < 0) {
		runner_fail(l, r->q.id, &e);
	} else if (r->q.op == RUNNER_CANCEL) {
		cancel(l, r->q.cancel);
		runner_reply(l, &done, r->q.id);
	} else if (r->q.op == RUNNER_POT_USAGE) {
		tell_usage(l, r);
	} else if (l->config->no_raw && runner_op_is_raw(r->q.op)) {
		err_new(&e, ERR_RIGHTS, "this pot-runner runs no commands outside of pots");
		runner_fail(l, r->q.id, &e);
	} else if (l->queue.n >= QUEUE_MAX || l->waiters.n >= WAITERS_MAX) {
		err_new(&e, ERR_BUSY, "too many requests at once");
		runner_fail(l, r->q.id, &e);
	} else {
		take_fds(l, r);
		if (r->q.op == RUNNER_POT_WAIT || r->q.op == RUNNER_RAW_WAIT) {
			runner_wait(l, r);
			return;
		}
		VEC_PUSH(&l->queue, r);
		start_queued(l);
		return;
	}
	request_free(r);
}

static void
on_agent(struct runner_loop *l)
{
	struct err e = ERR_INIT;
	const void *body;
	size_t len;
	int n = 0;

	int got = wire_fill(l->config->sock, &l->in, l->in_fds, &l->n_in_fds, NELEM(l->in_fds), &e);
	if (got == 2)
		return;
	while (got > 0 && (n = wire_frame(&l->in, &body, &len, &e)) > 0) {
		on_request(l, body, len);
		buf_drop(&l->in, 4 + len);
	}
	if (got <= 0 || n < 0)
		l->agent_gone = true;
}

/* ---- the loop ---- */

/* Commands in pots that nobody listens to any more, and half-fetched images, end with the agent. */
static void
agent_is_gone(struct runner_loop *l)
{
	while (l->queue.n > 0) {
		request_free(l->queue.at[l->queue.n - 1]);
		l->queue.n--;
	}
	while (l->waiters.n > 0) {
		struct waiter *w = &l->waiters.at[--l->waiters.n];
		close(w->handle);
		request_free(w->request);
	}
	VEC_FOREACH (struct job *, j, &l->jobs)
		if (class_of(j->op) == IMPORT || class_of(j->op) == EXEC)
			(void)kill(j->pid, SIGTERM);
	flush(l);
}

static void
turn(struct runner_loop *l, const sigset_t *mask)
{
	size_t jobs = l->jobs.n, waiters = l->waiters.n;
	autofree struct pollfd *p = xcalloc(1 + jobs + waiters, sizeof(*p));

	p[0].fd = l->agent_gone ? -1 : l->config->sock;
	p[0].events = (short)(POLLIN | (l->out.n > 0 ? POLLOUT : 0));
	for (size_t i = 0; i < jobs; i++)
		p[1 + i] = (struct pollfd){ .fd = l->jobs.at[i].sock, .events = POLLIN };
	for (size_t i = 0; i < waiters; i++)
		p[1 + jobs + i] =
		    (struct pollfd){ .fd = l->waiters.at[i].handle, .events = POLLIN };
	if (ppoll(p, (nfds_t)(1 + jobs + waiters), NULL, mask) < 0)
		return;
	/* from the back: an entry that goes moves only those already looked at; what is new lies
	 * behind */
	for (size_t i = waiters; i-- > 0;)
		if (p[1 + jobs + i].revents != 0)
			runner_wait_ended(l, i);
	for (size_t i = jobs; i-- > 0;)
		if (p[1 + i].revents != 0)
			on_job(l, i);
	if (p[0].revents & POLLOUT)
		flush(l);
	if (p[0].revents & ~POLLOUT)
		on_agent(l);
}

int
runner_main(const struct runner_config *config, struct err *e)
{
	struct runner_loop l = { .config = config };
	struct sigaction act = { .sa_handler = on_term };
	sigset_t term, before;

	if (fcntl(config->sock, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(config->sock, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(e, "prepare the socket to the agent");
	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigaddset(&term, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &term, &before);
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGINT, &act, NULL);
	run_sweep(config->env);
	bool told = false;
	while ((!l.agent_gone && !asked_to_end) || l.jobs.n > 0) {
		if ((l.agent_gone || asked_to_end) && !told) {
			told = true;
			l.agent_gone = true;
			agent_is_gone(&l);
			continue;
		}
		turn(&l, &before);
	}
	agent_is_gone(&l);
	VEC_FINI(&l.jobs);
	VEC_FINI(&l.waiters);
	VEC_FINI(&l.queue);
	VEC_FINI(&l.out);
	buf_fini(&l.in);
	while (l.n_in_fds > 0)
		close(l.in_fds[--l.n_in_fds]);
	return 0;
}
