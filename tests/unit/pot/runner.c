/* pot-runner and its monitor as the agent meets them: real pots, real processes, below one
 * directory and in namespaces of their own. Needs root and a static busybox. */
#include "pot/monitor.h"
#include "pot/machine.h"
#include "pot/runner_proto.h"

#include "base/buf.h"
#include "platform/proc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_OK(call)                                                                             \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, e.text);                                         \
	} while (0)
#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

enum { AGENT = 4321 };

static char top[64], libexec[1024];
static struct err e;
static struct pot_env *env;
static int sock = -1;
static pid_t runner;
static uint64_t serial;
static struct runner_inbox inbox = RUNNER_INBOX_INIT;
static struct arena mem = ARENA_INIT;

static const char *
path(const char *name)
{
	return arena_printf(&mem, "%s/%s", top, name);
}

static const char *
get(const char *name)
{
	static struct buf text = BUF_INIT;
	struct err absent;

	buf_reset(&text);
	return buf_read_file(&text, path(name), 1 << 20, &absent) < 0 ? "(absent)" : buf_str(&text);
}

static void
put(const char *name, const char *text)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	CHECK_OK(fd_write_all(fd, text, strlen(text), &e));
	close(fd);
}

/* ---- the machine ---- */

static void
fill_root(const char *root)
{
	static const char *const dirs[] = { "bin", "etc", "tmp", "proc", "dev", "sys", "root" };
	static const char *const applets[] = { "sh", "true", "cat", "echo", "sleep", "id", "tty",
		"touch" };
	autobuf struct buf busybox = BUF_INIT;

	for (size_t i = 0; i < NELEM(dirs); i++)
		(void)mkdir(arena_printf(&mem, "%s/%s", root, dirs[i]), 0755);
	CHECK_OK(buf_read_file(&busybox, "/bin/busybox", 16 << 20, &e));
	int fd =
	    open(arena_printf(&mem, "%s/bin/busybox", root), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	CHECK_OK(fd_write_all(fd, busybox.data, busybox.len, &e));
	close(fd);
	for (size_t i = 0; i < NELEM(applets); i++)
		assert_int_equal(
		    symlink("busybox", arena_printf(&mem, "%s/bin/%s", root, applets[i])), 0);
}

static void
make_image(void)
{
	struct pot_receive r;
	struct pot_create_options create = { .name = "img_1", .base = "b1" };

	CHECK_OK(pot_init(env, NULL, &e));
	CHECK_OK(pot_base_begin(env, "b1", &r, &e));
	fill_root(r.root_dir);
	CHECK_OK(pot_base_commit(env, &r, "test", &e));
	CHECK_OK(pot_create(env, &create, &e));
	CHECK_OK(pot_snapshot(env, "img_1", false, &e));
}

static void
start_runner(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	runner = fork();
	if (runner == 0) {
		if ((pair[1] == 3 ? fcntl(3, F_SETFD, 0) : dup2(pair[1], 3)) < 0)
			_exit(126);
		execl(arena_printf(&mem, "%s/pot-runner", libexec), "pot-runner", "--worker",
		    "--uid", "4321", "--gid", "4321", "--root", path("data"), NULL);
		_exit(127);
	}
	close(pair[1]);
	sock = pair[0];
}

static int
set_up(void **state)
{
	char self[512];
	(void)state;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(n > 0);
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(libexec, sizeof(libexec), "%s/../../src/bin", self);
	if (geteuid() != 0 || access("/bin/busybox", X_OK) < 0 || access(libexec, X_OK) < 0) {
		print_message("skipped: needs root, busybox and the built programs\n");
		exit(77);
	}
	assert_int_equal(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(top, sizeof(top), "/tmp/runner-test-XXXXXX");
	assert_non_null(mkdtemp(top));
	assert_int_equal(mount("tmpfs", top, "tmpfs", 0, "mode=755"), 0);
	assert_int_equal(mkdir(path("data"), 0755), 0);
	assert_int_equal(mkdir(path("data/logs"), 0755), 0);
	assert_int_equal(chown(path("data"), AGENT, AGENT), 0);
	assert_int_equal(chown(path("data/logs"), AGENT, AGENT), 0);
	put("pot.conf", arena_printf(&mem,
			    "POT_FS_ROOT=%s/pot\nPOT_CACHE=%s/cache\nPOT_RUN_DIR=%s/"
			    "run\nPOT_CGROUP=runnertest%d\n"
			    "POT_BRIDGE=rtest0\nPOT_NFT_TABLE=rtest\nPOT_EXTIF=lo\n",
			    top, top, top, (int)getpid()));
	setenv("POT_CONF", path("pot.conf"), 1);
	setenv("POTTER_LIBEXEC", libexec, 1);
	CHECK_OK(pot_env_open(&env, &e));
	make_image();
	start_runner();
	return 0;
}

static int
remove_one(const char *p, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(p);
}

static int
tear_down(void **state)
{
	int status;

	(void)state;
	close(sock);
	assert_int_equal(waitpid(runner, &status, 0), runner);
	assert_int_equal(status, 0);
	CHECK_OK(pot_deinit(env, true, NULL, &e));
	pot_env_close(env);
	runner_inbox_fini(&inbox);
	arena_fini(&mem);
	umount2(top, MNT_DETACH);
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- asking ---- */

static uint64_t
ask(struct runner_request q, const int *fds, size_t n)
{
	q.id = ++serial;
	CHECK_OK(runner_send(sock, &q, fds, n, &e));
	return q.id;
}

/* Replies that somebody else waits for. */
static struct {
	struct runner_reply p;
	int fd;
} aside[64];
static size_t n_aside;

static bool
from_aside(uint64_t id, struct runner_reply *p, int *fd)
{
	for (size_t i = 0; i < n_aside; i++)
		if (aside[i].p.id == id) {
			*p = aside[i].p;
			*fd = aside[i].fd;
			memmove(&aside[i], &aside[i + 1], (--n_aside - i) * sizeof(aside[0]));
			return true;
		}
	return false;
}

/* The next reply to the request. */
static struct runner_reply
hear(uint64_t id, int *fd)
{
	struct runner_reply p;
	int got = 0, passed = -1;

	while (!from_aside(id, &p, &passed)) {
		while ((got = runner_inbox_next(&inbox, &mem, &p, &passed, &e)) > 0 &&
		       n_aside < NELEM(aside)) {
			aside[n_aside].p = p;
			aside[n_aside++].fd = passed;
		}
		if (got < 0)
			fail_msg("%s", e.text);
		if (from_aside(id, &p, &passed))
			break;
		struct pollfd w = { .fd = sock, .events = POLLIN };
		if (poll(&w, 1, 20000) != 1)
			fail_msg("no answer");
		if (runner_inbox_fill(&inbox, sock, &e) == 0)
			fail_msg("the runner has gone");
	}
	if (fd != NULL)
		*fd = passed;
	return p;
}

static struct runner_reply
call(struct runner_request q)
{
	return hear(ask(q, NULL, 0), NULL);
}

static struct runner_reply
call_ok(struct runner_request q)
{
	struct runner_reply p = call(q);

	if (p.kind == RUNNER_FAILED)
		fail_msg("%s: %s", runner_op_name(q.op), p.failure.text);
	assert_int_equal(p.kind, RUNNER_DONE);
	return p;
}

static struct runner_log
logs(const char *prefix)
{
	return (struct runner_log){ .dir = path("data/logs"),
		.prefix = prefix,
		.max_files = 2,
		.max_file_bytes = 1 << 20 };
}

static struct runner_run
start_pot(const char *name, const char *const *argv)
{
	struct runner_request prepare = { .op = RUNNER_POT_PREPARE,
		.pot = name,
		.image = "img",
		.tag = "1",
		.argv = argv,
		.network = "inherit" };
	struct runner_request start = {
		.op = RUNNER_POT_START, .pot = name, .log = logs("task"), .stop_timeout_ms = 5000
	};

	assert_string_equal(call_ok(prepare).pot, name);
	struct runner_reply p = call_ok(start);
	assert_int_equal(p.n_runs, 1);
	return p.runs[0];
}

/* ---- the tests ---- */

static void
it_says_what_it_is(void **state)
{
	(void)state;
	assert_string_equal(
	    call_ok((struct runner_request){ .op = RUNNER_HELLO }).text, POTTER_VERSION);
	struct runner_reply p = call_ok((struct runner_request){ .op = RUNNER_FACTS });
	assert_non_null(strstr(p.text, "\"ready\":true"));
}

static void
a_pot_comes_and_goes(void **state)
{
	(void)state;
	struct runner_run run =
	    start_pot("web_a1", ARGV("sh", "-c", "echo hello; sleep 0.1; exit 3"));
	struct runner_reply p;

	p = call_ok((struct runner_request){
	    .op = RUNNER_POT_WAIT, .pot = "web_a1", .run_id = run.run_id });
	assert_int_equal(p.code, 3);
	assert_false(p.lost);
	assert_true(p.ended_ns > p.started_ns);
	assert_string_equal(get("data/logs/task.stdout.0"), "hello\n");
	struct stat st;
	assert_int_equal(stat(path("data/logs/task.stdout.0"), &st), 0);
	assert_int_equal(st.st_uid, AGENT);
	/* asked again when it is long over: the same */
	p = call_ok((struct runner_request){
	    .op = RUNNER_POT_WAIT, .pot = "web_a1", .run_id = run.run_id });
	assert_int_equal(p.code, 3);
	/* the same name again: what the last try left makes room */
	run = start_pot("web_a1", ARGV("sleep", "1000"));
	p = call_ok((struct runner_request){ .op = RUNNER_POT_LIST, .pot = "web_a1" });
	assert_int_equal(p.n_runs, 1);
	assert_true(p.runs[0].running);
	assert_string_equal(p.runs[0].run_id, run.run_id);
	p = call_ok((struct runner_request){ .op = RUNNER_POT_USAGE, .pot = "web_a1" });
	assert_true(p.usage.pids >= 1);
	uint64_t wait = ask(
	    (struct runner_request){ .op = RUNNER_POT_WAIT, .pot = "web_a1", .run_id = run.run_id },
	    NULL, 0);
	call_ok((struct runner_request){
	    .op = RUNNER_POT_STOP, .pot = "web_a1", .stop_timeout_ms = -1 });
	p = hear(wait, NULL);
	assert_int_equal(p.kind, RUNNER_DONE);
	assert_int_equal(p.signal, SIGTERM);
	call_ok((struct runner_request){ .op = RUNNER_POT_DESTROY, .pot = "web_a1" });
	call_ok((struct runner_request){ .op = RUNNER_POT_DESTROY, .pot = "web_a1" });
	p = call_ok((struct runner_request){ .op = RUNNER_POT_LIST });
	assert_int_equal(p.n_runs, 0);
}

static void
what_is_wrong_is_refused(void **state)
{
	(void)state;
	struct runner_reply p;

	p = call((struct runner_request){
	    .op = RUNNER_POT_PREPARE, .pot = "web_b", .image = "none", .tag = "1" });
	assert_int_equal(p.kind, RUNNER_FAILED);
	assert_int_equal(p.failure.kind, ERR_ABSENT);
	p = call((struct runner_request){ .op = RUNNER_POT_START, .pot = "../x" });
	assert_int_equal(p.failure.kind, ERR_INPUT);
	p = call((struct runner_request){ .op = RUNNER_POT_START });
	assert_int_equal(p.failure.kind, ERR_INPUT);
	p = call((struct runner_request){ .op = 60 });
	assert_int_equal(p.failure.kind, ERR_UNSUPPORTED);
	p = call((struct runner_request){
	    .op = RUNNER_IMAGE_IMPORT, .image = "a", .tag = "1", .url = "/etc" });
	assert_int_equal(p.failure.kind, ERR_RIGHTS);
	/* host paths: outside of the roots, through dots, through a link that the agent's user made
	 */
	call_ok((struct runner_request){ .op = RUNNER_POT_PREPARE,
	    .pot = "web_c",
	    .image = "img",
	    .tag = "1",
	    .network = "inherit",
	    .argv = ARGV("sleep", "1000") });
	assert_int_equal(symlink("/etc", path("data/link")), 0);
	const char *const sources[] = { "/etc", path("data/../pot"), path("data/link"),
		path("database"), "data" };
	for (size_t i = 0; i < NELEM(sources); i++) {
		struct runner_bind bind = { sources[i], "/mnt", false };
		p = call((struct runner_request){
		    .op = RUNNER_POT_START, .pot = "web_c", .binds = &bind, .n_binds = 1 });
		assert_int_equal(p.kind, RUNNER_FAILED);
		p = call((struct runner_request){ .op = RUNNER_POT_COPY_IN,
		    .pot = "web_c",
		    .source = arena_printf(&mem, "%s/passwd", sources[i]),
		    .target = "/root/x" });
		assert_int_equal(p.kind, RUNNER_FAILED);
	}
	struct runner_log outside = { .dir = "/tmp", .prefix = "x" };
	p = call((struct runner_request){ .op = RUNNER_POT_START, .pot = "web_c", .log = outside });
	assert_int_equal(p.failure.kind, ERR_RIGHTS);
	call_ok((struct runner_request){ .op = RUNNER_POT_DESTROY, .pot = "web_c" });
	p = call((struct runner_request){ .op = RUNNER_RAW_START,
	    .run_id = "0123456789ab",
	    .argv = ARGV("/bin/busybox", "id"),
	    .user = "root" });
	assert_int_equal(p.failure.kind, ERR_RIGHTS);
	p = call((struct runner_request){
	    .op = RUNNER_RAW_START, .run_id = "../../etc", .argv = ARGV("/bin/busybox", "id") });
	assert_int_equal(p.failure.kind, ERR_INPUT);
}

static void
directories_and_files_of_the_agent_get_in(void **state)
{
	(void)state;
	struct runner_reply p;
	struct runner_bind bind = { path("data/alloc"), "/alloc", false };

	assert_int_equal(mkdir(path("data/alloc"), 0777), 0);
	put("data/alloc/in", "from the agent\n");
	put("data/file", "copied\n");
	call_ok((struct runner_request){ .op = RUNNER_POT_PREPARE,
	    .pot = "web_d",
	    .image = "img",
	    .tag = "1",
	    .network = "inherit",
	    .argv =
		ARGV("sh", "-c", "cat /alloc/in /root/file; echo $WORD; echo out > /alloc/out") });
	call_ok((struct runner_request){ .op = RUNNER_POT_COPY_IN,
	    .pot = "web_d",
	    .source = path("data/file"),
	    .target = "/root/file" });
	p = call_ok((struct runner_request){ .op = RUNNER_POT_START,
	    .pot = "web_d",
	    .binds = &bind,
	    .n_binds = 1,
	    .env = ARGV("WORD=word"),
	    .log = logs("d") });
	p = call_ok((struct runner_request){
	    .op = RUNNER_POT_WAIT, .pot = "web_d", .run_id = p.runs[0].run_id });
	assert_int_equal(p.code, 0);
	assert_string_equal(get("data/logs/d.stdout.0"), "from the agent\ncopied\nword\n");
	assert_string_equal(get("data/alloc/out"), "out\n");
	call_ok((struct runner_request){ .op = RUNNER_POT_DESTROY, .pot = "web_d" });
}

static void
commands_are_run_inside(void **state)
{
	(void)state;
	struct runner_reply p;
	int out[2], pty;
	char text[256];

	(void)start_pot("web_e", ARGV("sleep", "1000"));
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[3] = { null, out[1], out[1] };
	uint64_t id = ask((struct runner_request){ .op = RUNNER_POT_EXEC,
			      .pot = "web_e",
			      .argv = ARGV("sh", "-c", "echo inside; exit 5") },
	    fds, 3);
	close(out[1]);
	p = hear(id, NULL);
	assert_int_equal(p.kind, RUNNER_STARTED);
	assert_int_equal(read(out[0], text, sizeof(text)), 7);
	assert_memory_equal(text, "inside\n", 7);
	assert_int_equal(read(out[0], text, sizeof(text)), 0);
	p = hear(id, NULL);
	assert_int_equal(p.kind, RUNNER_DONE);
	assert_int_equal(p.code, 5);
	close(out[0]);
	/* with a terminal */
	id = ask((struct runner_request){ .op = RUNNER_POT_EXEC,
		     .pot = "web_e",
		     .argv = ARGV("tty"),
		     .tty = true,
		     .rows = 24,
		     .columns = 80 },
	    NULL, 0);
	p = hear(id, &pty);
	assert_int_equal(p.kind, RUNNER_STARTED);
	assert_true(pty >= 0);
	ssize_t n = read(pty, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "/dev/pts/"));
	close(pty);
	assert_int_equal(hear(id, NULL).kind, RUNNER_DONE);
	/* cancelled */
	fds[1] = fds[2] = null;
	id = ask(
	    (struct runner_request){
		.op = RUNNER_POT_EXEC, .pot = "web_e", .argv = ARGV("sleep", "1000") },
	    fds, 3);
	assert_int_equal(hear(id, NULL).kind, RUNNER_STARTED);
	call_ok((struct runner_request){ .op = RUNNER_CANCEL, .cancel = id });
	p = hear(id, NULL);
	assert_int_equal(p.signal, SIGKILL);
	p = call(
	    (struct runner_request){ .op = RUNNER_POT_EXEC, .pot = "web_e", .argv = ARGV("true") });
	assert_int_equal(p.failure.kind, ERR_INPUT); /* without descriptors */
	close(null);
	/* a keeper that is killed: the pot is gone, what is left is cleared up, and the waiter
	 * hears of it */
	struct runner_run run =
	    call_ok((struct runner_request){ .op = RUNNER_POT_LIST, .pot = "web_e" }).runs[0];
	id = ask(
	    (struct runner_request){ .op = RUNNER_POT_WAIT, .pot = "web_e", .run_id = run.run_id },
	    NULL, 0);
	call_ok((struct runner_request){ .op = RUNNER_HELLO });
	assert_int_equal(kill(run.keeper_pid, SIGKILL), 0);
	p = hear(id, NULL);
	assert_int_equal(p.kind, RUNNER_DONE);
	assert_true(p.lost);
	assert_int_equal(call_ok((struct runner_request){ .op = RUNNER_POT_LIST }).n_runs, 0);
	call_ok((struct runner_request){ .op = RUNNER_POT_DESTROY, .pot = "web_e" });
	assert_string_equal(call_ok((struct runner_request){ .op = RUNNER_SWEEP }).text, "");
}

static void
raw_commands_are_kept_as_the_agents_user(void **state)
{
	(void)state;
	struct runner_reply p;
	struct runner_request start = { .op = RUNNER_RAW_START,
		.run_id = "0123456789ab",
		.argv = ARGV("/bin/busybox", "sh", "-c", "id -u; pwd; exit 4"),
		.cwd = path("data"),
		.log = logs("raw"),
		.stop_timeout_ms = 1000 };

	p = call_ok(start);
	assert_string_equal(p.runs[0].run_id, "0123456789ab");
	p = call_ok((struct runner_request){ .op = RUNNER_RAW_WAIT, .run_id = "0123456789ab" });
	assert_int_equal(p.code, 4);
	assert_string_equal(
	    get("data/logs/raw.stdout.0"), arena_printf(&mem, "4321\n%s\n", path("data")));
	/* again under the same id, with a child that outlives the command */
	start.argv = ARGV("/bin/busybox", "sh", "-c", "sleep 1000 & sleep 1000");
	p = call_ok(start);
	assert_int_equal(call(start).failure.kind, ERR_BUSY);
	int init = p.runs[0].init_pid;
	assert_int_equal(
	    call((struct runner_request){ .op = RUNNER_RAW_DESTROY, .run_id = "0123456789ab" })
		.failure.kind,
	    ERR_BUSY);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fds[3] = { null, null, null };
	uint64_t id = ask((struct runner_request){ .op = RUNNER_RAW_EXEC,
			      .run_id = "0123456789ab",
			      .argv = ARGV("/bin/busybox", "sh", "-c", "exit $(id -u | wc -c)") },
	    fds, 3);
	assert_int_equal(hear(id, NULL).kind, RUNNER_STARTED);
	assert_int_equal(hear(id, NULL).code, 5);
	close(null);
	id = ask(
	    (struct runner_request){ .op = RUNNER_RAW_WAIT, .run_id = "0123456789ab" }, NULL, 0);
	call_ok((struct runner_request){
	    .op = RUNNER_RAW_STOP, .run_id = "0123456789ab", .stop_timeout_ms = -1 });
	assert_int_equal(hear(id, NULL).signal, SIGTERM);
	assert_int_equal(kill(init, 0), -1);
	call_ok((struct runner_request){ .op = RUNNER_RAW_DESTROY, .run_id = "0123456789ab" });
	assert_int_equal(call_ok((struct runner_request){ .op = RUNNER_POT_LIST }).n_runs, 0);
}

static void
many_start_at_once(void **state)
{
	(void)state;
	enum { N = 24 };
	uint64_t id[N];
	const char *name[N];

	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < N; i++) {
			struct runner_request q = { .pot = name[i] =
							arena_printf(&mem, "many%d_z", i),
				.image = "img",
				.tag = "1",
				.network = "inherit",
				.argv = ARGV("sleep", "1000"),
				.stop_timeout_ms = round == 2 ? 0 : 1000 };
			static const enum runner_op ops[] = { RUNNER_POT_PREPARE, RUNNER_POT_START,
				RUNNER_POT_STOP, RUNNER_POT_DESTROY };
			q.op = ops[round];
			id[i] = ask(q, NULL, 0);
		}
		int left = N;
		while (left > 0) {
			struct runner_reply p;
			int fd;
			int got = runner_inbox_next(&inbox, &mem, &p, &fd, &e);
			if (got == 0) {
				struct pollfd w = { .fd = sock, .events = POLLIN };
				assert_int_equal(poll(&w, 1, 30000), 1);
				assert_true(runner_inbox_fill(&inbox, sock, &e) > 0);
				continue;
			}
			assert_true(got > 0);
			for (int i = 0; i < N; i++)
				if (id[i] == p.id) {
					if (p.kind != RUNNER_DONE)
						fail_msg("%s: %s", name[i], p.failure.text);
					left--;
				}
		}
	}
	assert_int_equal(call_ok((struct runner_request){ .op = RUNNER_POT_LIST }).n_runs, 0);
	assert_string_equal(call_ok((struct runner_request){ .op = RUNNER_SWEEP }).text, "");
}

/* ---- the monitor ---- */

static void
wait_for_text(const char *file, const char *text)
{
	for (int i = 0; i < 5000 && strstr(get(file), text) == NULL; i++)
		poll(NULL, 0, 2);
	if (strstr(get(file), text) == NULL)
		fail_msg("%s holds: %s", file, get(file));
}

static pid_t
start_monitor(const char *script)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct err gone;
		(void)proc_die_with_parent(getppid(), SIGTERM, &gone);
		int log = open(path("monitor.log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
		dup2(log, 2);
		execl(arena_printf(&mem, "%s/pot-runner", libexec), "pot-runner", "--monitor",
		    "--user", "4321:4321", "--root", path("data"), "--", "/bin/busybox", "sh", "-c",
		    script, NULL);
		_exit(127);
	}
	return pid;
}

static void
the_monitor_keeps_both_alive(void **state)
{
	(void)state;
	int status;

	setenv("DATA", path("data"), 1);
	put("data/agent", "");
	assert_int_equal(chown(path("data/agent"), AGENT, AGENT), 0);
	pid_t pid = start_monitor(
	    "id -u >> $DATA/agent; echo $POTTER_RUNNER_FD $POTTER_MONITOR_FD >> $DATA/agent;"
	    "trap 'echo hup >> $DATA/agent' HUP; trap 'echo term >> $DATA/agent; exit 9' TERM;"
	    "while :; do sleep 0.02; done");
	wait_for_text("data/agent", "4321\n");
	wait_for_text("monitor.log", "agent started: pid=");
	poll(NULL, 0, 50);
	kill(pid, SIGHUP);
	wait_for_text("data/agent", "hup");
	int first = atoi(strstr(get("monitor.log"), "pot-runner started: pid=") + 24);
	kill(first, SIGKILL);
	wait_for_text("monitor.log", "pot-runner ended: killed by SIGKILL; starting it again");
	for (int i = 0; i < 1000; i++) {
		const char *again =
		    strstr(strstr(get("monitor.log"), "pot-runner started: pid=") + 1,
			"pot-runner started: pid=");
		if (again != NULL)
			break;
		poll(NULL, 0, 2);
	}
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	wait_for_text("data/agent", "term");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9);
	/* an agent that cannot even begin is not tried for ever */
	pid = start_monitor("exit 3");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_what_it_is),
		cmocka_unit_test(a_pot_comes_and_goes),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(directories_and_files_of_the_agent_get_in),
		cmocka_unit_test(commands_are_run_inside),
		cmocka_unit_test(raw_commands_are_kept_as_the_agents_user),
		cmocka_unit_test(many_start_at_once),
		cmocka_unit_test(the_monitor_keeps_both_alive),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
