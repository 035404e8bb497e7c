#include "world.h"

#include "pot/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KEEPERS = 64 };

/* ---- keepers ---- */

struct keeper_row {
	pid_t pid, init;
	bool running;
};

static struct shared {
	struct keeper_row keepers[KEEPERS];
	size_t n;
	bool at_once, told;
} * shared;
struct fake_host *fake;
struct host host;

static struct keeper_row *
row_of(pid_t pid)
{
	for (size_t i = 0; i < shared->n; i++)
		if (shared->keepers[i].pid == pid)
			return &shared->keepers[i];
	return NULL;
}

static void
end(pid_t pid)
{
	struct keeper_row *row = row_of(pid);

	if (row != NULL)
		fake_process_end(fake, row->init);
	fake_process_end(fake, pid);
}

static int
keeper_spawn(const char *program, const struct launch *l, const int stdio[3], struct keeper *k,
    struct err *err)
{
	char group[200];

	(void)program;
	(void)stdio;
	if (fake_call(fake, "keeper.spawn", err) < 0)
		return -1;
	snprintf(group, sizeof(group), "%s.%s", l->pot, l->run_id);
	*k = (struct keeper){ .sock = -1 };
	k->pid = fake_process_start(fake, NULL, &k->start);
	k->init_pid = fake_process_start(fake, group, &k->init_start);
	shared->keepers[shared->n++ % KEEPERS] =
	    (struct keeper_row){ .pid = k->pid, .init = k->init_pid };
	fake_done(fake);
	return 0;
}

static int
keeper_go(struct keeper *k, struct err *err)
{
	if (fake_call(fake, "keeper.go", err) < 0)
		return -1;
	row_of(k->pid)->running = true;
	fake_done(fake);
	return 0;
}

static int
keeper_wait(struct keeper *k, int timeout_ms, struct keeper_exit *x, struct err *err)
{
	(void)timeout_ms;
	if (fake_call(fake, "keeper.wait", err) < 0) {
		end(k->pid); /* a keeper that cannot be heard is gone */
		return -1;
	}
	end(k->pid);
	*x = (struct keeper_exit){ .code = 3 };
	shared->told = true;
	fake_done(fake);
	return 1;
}

static int
keeper_detach(struct keeper *k)
{
	if (!shared->at_once)
		return 0;
	end(k->pid);
	return shared->told = true;
}

static void
keeper_abort(struct keeper *k)
{
	end(k->pid);
}

static int
keeper_lives(pid_t pid, uint64_t start, struct err *err)
{
	return host.proc->alive(pid, start, err);
}

static int
keeper_end(pid_t pid, const char *what, struct err *err)
{
	if (fake_call(fake, what, err) < 0)
		return -1;
	end(pid);
	fake_done(fake);
	return 0;
}

static int
keeper_asked(pid_t pid, uint64_t start, struct err *err)
{
	(void)start;
	return keeper_end(pid, "keeper.ask", err);
}

static int
keeper_stopped(
    pid_t pid, uint64_t start, int sig, int64_t grace_ms, int timeout_ms, struct err *err)
{
	(void)start;
	(void)sig;
	(void)grace_ms;
	(void)timeout_ms;
	return keeper_end(pid, "keeper.stop", err);
}

static int
keeper_killed(pid_t pid, uint64_t start, struct err *err)
{
	(void)start;
	return keeper_end(pid, "keeper.kill", err);
}

static const struct keeper_ops starter = {
	.spawn = keeper_spawn,
	.go = keeper_go,
	.wait = keeper_wait,
	.detach = keeper_detach,
	.abort = keeper_abort,
};
static const struct pot_keep_ops keeping = {
	.start = &starter,
	.alive = keeper_lives,
	.ask = keeper_asked,
	.stop = keeper_stopped,
	.kill = keeper_killed,
};

void
first_keeper_ends(void)
{
	end(shared->keepers[0].pid);
}

void
commands_end_at_once(void)
{
	shared->at_once = true;
}

bool
end_was_told(void)
{
	return shared->told;
}

void
keepers_notice(void)
{
	for (size_t i = 0; i < shared->n && i < KEEPERS; i++)
		if (!shared->keepers[i].running)
			end(shared->keepers[i].pid);
}

/* ---- what is written to disk ---- */

/* The linker leads the library's calls here. Only armed ones count: fake_call() sees to that. */
#define WRAP(name, params, args)                                                                   \
	int __real_##name params;                                                                  \
	int __wrap_##name params;                                                                  \
	int __wrap_##name params                                                                   \
	{                                                                                          \
		if (fake != NULL && fake_call(fake, #name, err) < 0)                               \
			return -1;                                                                 \
		int result = __real_##name args;                                                   \
		if (fake != NULL)                                                                  \
			fake_done(fake);                                                           \
		return result;                                                                     \
	}

WRAP(file_replace,
    (int fd, const char *name, const void *data, size_t len, mode_t mode, struct err *err),
    (fd, name, data, len, mode, err))
WRAP(file_swap,
    (int fd, const char *name, const void *data, size_t len, mode_t mode, struct err *err),
    (fd, name, data, len, mode, err))
WRAP(file_remove, (int fd, const char *name, struct err *err), (fd, name, err))
WRAP(make_dirs, (const char *path, mode_t mode, struct err *err), (path, mode, err))
WRAP(remove_tree, (const char *path, struct err *err), (path, err))
WRAP(run_create, (struct pot_env * v, struct run *r, struct err *err), (v, r, err))
WRAP(run_begun, (struct pot_env * v, struct run *r, enum run_phase p, struct err *err),
    (v, r, p, err))
WRAP(run_keeper, (struct pot_env * v, struct run *r, const struct keeper *k, struct err *err),
    (v, r, k, err))
WRAP(run_port, (struct pot_env * v, struct run *r, const struct pot_map *m, struct err *err),
    (v, r, m, err))
WRAP(run_running, (struct pot_env * v, struct run *r, struct err *err), (v, r, err))
WRAP(run_stopping, (struct pot_env * v, struct run *r, struct err *err), (v, r, err))
WRAP(run_remove, (struct pot_env * v, const char *name, struct err *err), (v, name, err))

/* ---- the world ---- */

int
world_begin(void)
{
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

char dir[64];
struct pot_env *env;
struct arena conf_mem;
struct err e;

NORETURN void
die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, e.text);
	exit(1);
}

int
make_base(const char *name)
{
	struct pot_receive r;
	char path[PATH_SIZE];

	if (pot_base_begin(env, name, &r, &e) < 0)
		return -1;
	path_at(path, "%s/etc", r.root_dir);
	if (make_dirs(path, 0755, &e) < 0) {
		pot_base_abort(env, &r);
		return -1;
	}
	return pot_base_commit(env, &r, "1", &e);
}

int
make_pot(const char *name)
{
	struct pot_create_options o = {
		.name = name, .base = "b", .net = { .net = "public-bridge", .stack = "dual" }
	};

	return pot_create(env, &o, &e);
}

int
start(const char *name, bool detach)
{
	struct pot_start_options o = { .detach = detach, .stdio = POT_STDIO_NULL };
	struct pot_exit x;

	return pot_start(env, name, &o, &x, &e);
}

void
world_new(void)
{
	static const char *const ports[] = { "80", "udp:53", NULL };
	struct pot_config c;

	strcpy(dir, "/dev/shm/fault-pot-XXXXXX");
	if (mkdtemp(dir) == NULL && mkdtemp(strcpy(dir, "/tmp/fault-pot-XXXXXX")) == NULL)
		abort();
	fake = fake_new(dir);
	host = host_fake(fake);
	memset(shared, 0, sizeof(*shared));
	conf_mem = (struct arena)ARENA_INIT;
	pot_config_defaults(&c, &conf_mem);
	c.fs_root = fake->fs_root;
	c.run_dir = fake->run_dir;
	c.cache = arena_printf(&conf_mem, "%s/cache", dir);
	MUST(pot_env_with(&c, &host, &env, &e));
	env->keep = &keeping;
	MUST(pot_init(env, NULL, &e));
	MUST(make_base("b"));
	MUST(make_pot("src"));
	MUST(pot_snapshot(env, "src", false, &e));
	MUST(pot_set_cmd(env, "src", "serve", NULL, &e));
	MUST(pot_set_ports(env, "src", ports, &e));
	MUST(pot_set_attr(env, "src", "prunable", "YES", &e));
}

void
world_free(void)
{
	pot_env_close(env);
	host_fini(&host);
	fake_free(fake);
	fake = NULL;
	arena_fini(&conf_mem);
	MUST(remove_tree(dir, &e));
}
