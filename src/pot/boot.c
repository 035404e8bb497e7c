#include "pot/priv.h"
#include "pot/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Pots that come and go with the machine. Each is started (or stopped) by a process of its own; who
 * waits for whom is decided here, by pot.depend. A circle is begun anywhere.
 */

enum { JOBS_MAX = 32, WHY_MAX = 1024 };
enum progress { WAITING, GOING, ENDED };

struct node {
	struct pot_boot_row row;
	struct pot_spec *spec; /* NULL: cannot be used */
	bool wanted, early;    /* early: it belongs to those that start early */
	enum progress progress;
	pid_t worker;
	int report; /* what the worker has to say, until its end; -1 */
	struct buf said;
};

struct boot {
	struct pot_env *env;
	const struct pot_boot_options *o;
	bool stop;
	struct arena mem;
	struct node *at;
	size_t n, going;
	int failed;
};

static void
boot_fini(struct boot *b)
{
	for (size_t i = 0; i < b->n; i++)
		buf_fini(&b->at[i].said);
	arena_fini(&b->mem);
}
#define autoboot CLEANUP(boot_fini)

/* ---- which ---- */

static struct node *
node_named(struct boot *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->at[i].row.name, name) == 0)
			return &b->at[i];
	return NULL;
}

static int
read_pots(struct boot *b, struct err *e)
{
	struct pot_strs names;

	if (pot_env_ready(b->env, e) < 0 || pot_names(b->env, POT_KIND_POT, &b->mem, &names, e) < 0)
		return -1;
	b->at = arena_array(&b->mem, names.n + 1, struct node);
	for (size_t i = 0; i < names.n; i++) {
		struct node *n = &b->at[b->n++];
		struct err why = ERR_INIT;
		*n = (struct node){ .row.name = names.at[i], .report = -1, .said = BUF_INIT };
		if (pot_spec_load(b->env, names.at[i], &b->mem, &n->spec, &why) < 0)
			n->spec = NULL;
	}
	return 0;
}

static bool
marked(const struct node *n, bool early)
{
	return n->spec != NULL &&
	       pot_spec_yes(n->spec, early ? "early-start-at-boot" : "start-at-boot");
}

/* The pot and all that it needs. */
static void
choose(struct boot *b, struct node *n, bool early)
{
	bool *chosen = early ? &n->early : &n->wanted;

	if (*chosen)
		return;
	*chosen = true;
	for (size_t i = 0; n->spec != NULL && i < n->spec->depend.n; i++) {
		struct node *other = node_named(b, n->spec->depend.at[i]);
		if (other != NULL)
			choose(b, other, early);
	}
}

static void
choose_all(struct boot *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (marked(&b->at[i], true))
			choose(b, &b->at[i], true);
	for (size_t i = 0; i < b->n; i++) {
		struct node *n = &b->at[i];
		if (b->o->early)
			n->wanted = n->early;
		else if (b->stop && b->o->all)
			n->wanted = true;
		else if (marked(n, false))
			choose(b, n, false);
	}
	/* what was there before the others goes after them; what does not run needs no stop */
	for (size_t i = 0; i < b->n && b->stop; i++) {
		struct node *n = &b->at[i];
		if ((n->early && !b->o->early) || run_is_live(b->env, n->row.name) == 0)
			n->wanted = false;
	}
}

/* ---- order ---- */

static bool
needs(const struct node *a, const struct node *on)
{
	return a->spec != NULL && list_has(&a->spec->depend, on->row.name);
}

/* Somebody who must come first has not ended. */
static bool
held_up(const struct boot *b, const struct node *n)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct node *other = &b->at[i];
		if (other == n || !other->wanted || other->progress == ENDED)
			continue;
		if (b->stop ? needs(other, n) : needs(n, other))
			return true;
	}
	return false;
}

static const struct node *
failed_need(const struct boot *b, const struct node *n)
{
	for (size_t i = 0; i < b->n && !b->stop; i++)
		if (b->at[i].progress == ENDED && !b->at[i].row.done && needs(n, &b->at[i]))
			return &b->at[i];
	return NULL;
}

/* ---- workers ---- */

static int
work(struct boot *b, const char *name, struct err *e)
{
	struct pot_start_options o = { .detach = true,
		.stdio = b->o->output ? POT_STDIO_INHERIT : POT_STDIO_NULL,
		.ready_ms = (int64_t)b->env->conf.boot_wait * 1000 };
	struct pot_exit x;

	if (b->stop)
		return pot_stop(b->env, name, NULL, e);
	if (pot_start(b->env, name, &o, &x, e) < 0)
		return -1;
	if (x.ended && !x.stays)
		return err_new(e, ERR_REMOTE,
		    x.signal != 0 ? "its command was ended by signal %d"
				  : "its command ended with %d",
		    x.signal != 0 ? x.signal : x.code);
	return 0;
}

static int
begin(struct boot *b, struct node *n, struct err *e)
{
	int ends[2];

	/* the pot that the worker starts must not hold its end open */
	if (pipe(ends) < 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(ends[1], F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	pid_t pid = fork();
	if (pid < 0) {
		err_sys(e, "make a process");
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (pid == 0) {
		struct err why = ERR_INIT;
		close(ends[0]);
		if (work(b, n->row.name, &why) == 0)
			_exit(0);
		(void)!write(ends[1], why.text, strlen(why.text));
		_exit(1);
	}
	close(ends[1]);
	n->worker = pid;
	n->report = ends[0];
	n->progress = GOING;
	b->going++;
	return 0;
}

static void
settle(struct boot *b, struct node *n, bool done, const char *why)
{
	n->progress = ENDED;
	n->row.done = done;
	n->row.why = why != NULL ? arena_strdup(&b->mem, why) : NULL;
	b->failed += !done;
	if (b->o->tell != NULL)
		b->o->tell(b->o->ctx, &n->row);
}

static void
hear(struct boot *b, struct node *n)
{
	char text[WHY_MAX];
	ssize_t got = read(n->report, text, sizeof(text));
	int status = 0;

	if (got > 0)
		buf_add(&n->said, text, (size_t)got);
	if (got > 0 || (got < 0 && errno == EINTR))
		return;
	close(n->report);
	n->report = -1;
	b->going--;
	while (waitpid(n->worker, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		settle(b, n, true, NULL);
	else
		settle(b, n, false, n->said.len > 0 ? buf_str(&n->said) : "it was interrupted");
}

static void
hear_any(struct boot *b)
{
	struct pollfd fds[JOBS_MAX];
	struct node *of[JOBS_MAX];
	nfds_t k = 0;

	for (size_t i = 0; i < b->n && k < JOBS_MAX; i++)
		if (b->at[i].progress == GOING) {
			fds[k] = (struct pollfd){ .fd = b->at[i].report, .events = POLLIN };
			of[k++] = &b->at[i];
		}
	if (poll(fds, k, -1) < 0)
		return;
	for (nfds_t i = 0; i < k; i++)
		if (fds[i].revents != 0)
			hear(b, of[i]);
}

static unsigned
jobs_of(const struct boot *b)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned jobs = b->o->jobs != 0 ? b->o->jobs : online > 0 ? (unsigned)online * 4 : 4;

	return jobs > JOBS_MAX ? JOBS_MAX : jobs;
}

/* Begins what may begin now. `any`: also one that is held up, as a circle holds itself up. */
static int
begin_ready(struct boot *b, unsigned jobs, bool any, struct err *e)
{
	int begun = 0;

	for (size_t i = 0; i < b->n && b->going < jobs; i++) {
		struct node *n = &b->at[i];
		if (!n->wanted || n->progress != WAITING || (!any && held_up(b, n)))
			continue;
		const struct node *missing = failed_need(b, n);
		begun++;
		if (missing != NULL)
			settle(b, n, false,
			    arena_printf(
				&b->mem, "it needs %s, which is not there", missing->row.name));
		else if (begin(b, n, e) < 0)
			return -1;
		if (any)
			break;
	}
	return begun;
}

static int
run_all(struct boot *b, struct err *e)
{
	unsigned jobs = jobs_of(b);

	choose_all(b);
	for (;;) {
		int begun = begin_ready(b, jobs, false, e);
		if (begun == 0 && b->going == 0)
			begun = begin_ready(b, jobs, true, e);
		if (begun < 0 && b->going == 0)
			return -1;
		if (b->going > 0)
			hear_any(b);
		else if (begun == 0)
			return b->failed;
	}
}

/* ---- calls ---- */

/* Once for all, in place of the first pots each trying to. */
static int
network_first(struct boot *b, struct err *e)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct pot_spec *s = b->at[i].spec;
		if (s != NULL && s->net == POT_NET_PUBLIC && marked(&b->at[i], b->o->early))
			return pot_vnet_start(b->env, e);
	}
	return 0;
}

int
pot_boot_start(struct pot_env *env, const struct pot_boot_options *o, struct err *e)
{
	autoboot struct boot b = { .env = env, .o = o, .mem = ARENA_INIT };

	if (need_root("boot", e) < 0 || read_pots(&b, e) < 0)
		return -1;
	struct err why = ERR_INIT;
	if (network_first(&b, &why) < 0)
		pot_say(env, POT_SAY_ERROR, "the virtual network: %s", why.text);
	return run_all(&b, e);
}

int
pot_boot_stop(struct pot_env *env, const struct pot_boot_options *o, struct err *e)
{
	autoboot struct boot b = { .env = env, .o = o, .stop = true, .mem = ARENA_INIT };

	if (need_root("boot", e) < 0 || read_pots(&b, e) < 0)
		return -1;
	return run_all(&b, e);
}

int
pot_boot_status(struct pot_env *env, pot_boot_fn *tell, void *ctx, struct err *e)
{
	static const struct pot_boot_options none;
	autoboot struct boot b = { .env = env, .o = &none, .mem = ARENA_INIT };

	if (read_pots(&b, e) < 0)
		return -1;
	for (size_t i = 0; i < b.n; i++) {
		struct pot_boot_row *row = &b.at[i].row;
		if (!marked(&b.at[i], true) && !marked(&b.at[i], false))
			continue;
		row->done = run_is_live(env, row->name) == 1;
		b.failed += !row->done;
		tell(ctx, row);
	}
	return b.failed;
}
