/* The API of one node: files, logs, exec, statistics, the registry; the client is a pretended one.
 */
#include "world.h"

#include "base/log.h"
#include "client/client_api.h"
#include "codec/base64.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALLOC "11111111-2222-3333-4444-555555555555"
#define NODE  "aaaaaaaa-2222-3333-4444-555555555555"
#define FS    "/v1/client/fs/"

static struct world w;
static char dir[64];
static bool task_running;

/* The pretended client ------------------------------------------------------------------------- */

struct client {
	char restarted[64], signalled[64];
};
struct client_exec {
	const struct client_exec_ops *ops;
	void *ctx;
	struct buf in;
	bool input_ended;
	unsigned rows;
};
static struct client self;
static struct client_exec *running;
static int closed_execs;

static const char *
f_node_id(struct client *c)
{
	(void)c;
	return NODE;
}

static bool
f_has_alloc(struct client *c, const char *id)
{
	(void)c;
	return strcmp(id, ALLOC) == 0;
}

static void
f_host_stats(struct client *c, client_json *done, void *ctx)
{
	(void)c;
	done(ctx, "{\"Uptime\":7}", 12, NULL);
}

static void
f_alloc_stats(struct client *c, const char *id, const char *task, client_json *done, void *ctx)
{
	(void)c, (void)id;
	assert_null(task);
	done(ctx, "{\"Tasks\":{}}", 12, NULL);
}

static void
f_restart(
    struct client *c, const char *id, const char *task, bool all, client_done *done, void *ctx)
{
	(void)id, (void)all;
	snprintf(c->restarted, sizeof(c->restarted), "%s", task);
	done(ctx, NULL);
}

static void
f_signal(struct client *c, const char *id, const char *task, const char *signal, client_done *done,
    void *ctx)
{
	struct err e;
	(void)id, (void)task;

	snprintf(c->signalled, sizeof(c->signalled), "%s", signal);
	err_new(&e, ERR_INPUT, "unknown signal %s", signal);
	done(ctx, &e);
}

static int
f_alloc_dir(struct client *c, const char *id, struct err *e)
{
	(void)c, (void)id;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "open") : fd;
}

static int
f_log_task(struct client *c, const char *id, const char *task, bool *run, struct err *e)
{
	(void)c, (void)id;
	if (strcmp(task, "web") != 0)
		return err_new(e, ERR_INPUT, "unknown task name \"%s\"", task);
	*run = task_running;
	return 0;
}

static struct client_exec *
f_exec(struct client *c, const struct client_exec_spec *s, const struct client_exec_ops *ops,
    void *ctx, struct err *e)
{
	(void)c;
	if (strcmp(s->task, "web") != 0) {
		err_new(e, ERR_ABSENT, "unknown task \"%s\"", s->task);
		return NULL;
	}
	assert_string_equal(s->argv[0], "cat");
	running = calloc(1, sizeof(*running));
	running->ops = ops;
	running->ctx = ctx;
	return running;
}

static void
f_exec_stdin(struct client_exec *x, const char *data, size_t len)
{
	if (len == 0)
		x->input_ended = true;
	else
		buf_add(&x->in, data, len);
}

static size_t
f_exec_pending(struct client_exec *x)
{
	(void)x;
	return 0;
}

static void
f_exec_pause(struct client_exec *x, bool pause)
{
	(void)x, (void)pause;
}

static void
f_exec_resize(struct client_exec *x, unsigned rows, unsigned columns)
{
	(void)columns;
	x->rows = rows;
}

static void
f_exec_close(struct client_exec *x)
{
	closed_execs++;
	buf_fini(&x->in);
	free(x);
	running = NULL;
}

static const struct client_api node = { .self = &self,
	.node_id = f_node_id,
	.has_alloc = f_has_alloc,
	.host_stats = f_host_stats,
	.alloc_stats = f_alloc_stats,
	.restart = f_restart,
	.signal = f_signal,
	.alloc_dir = f_alloc_dir,
	.log_task = f_log_task,
	.exec = f_exec,
	.exec_stdin = f_exec_stdin,
	.exec_pending = f_exec_pending,
	.exec_pause = f_exec_pause,
	.exec_resize = f_exec_resize,
	.exec_close = f_exec_close };

/* Files ---------------------------------------------------------------------------------------- */

static void
put(const char *name, const char *text, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void
directories_are_listed_and_files_read(void **state)
{
	struct answer a = { 0 };
	(void)state;

	ask(&w, &a, "GET", FS "ls/" ALLOC "?path=/", NULL);
	assert_int_equal(a.status, 200);
	assert_int_equal(json_array_size(a.json), 3);
	assert_string_equal(json_str(json_array_get(a.json, 0), "Name", ""), "alloc");
	assert_string_equal(json_str(json_array_get(a.json, 0), "FileMode", ""), "drwxr-xr-x");
	ask(&w, &a, "GET", FS "stat/" ALLOC "?path=web/local/data.txt", NULL);
	assert_string_equal(json_str(a.json, "Name", ""), "data.txt");
	assert_int_equal(json_int(a.json, "Size", 0), 10);
	ask(&w, &a, "GET", FS "cat/" ALLOC "?path=web/local/data.txt", NULL);
	assert_string_equal(buf_str(&a.body), "0123456789");
	ask(&w, &a, "GET", FS "readat/" ALLOC "?path=web/local/data.txt&offset=3&limit=4", NULL);
	assert_string_equal(buf_str(&a.body), "3456");
	ask(&w, &a, "GET", FS "readat/" ALLOC "?path=web/local/data.txt&offset=99", NULL);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.body.len, 0);
	ask(&w, &a, "GET", FS "cat/" ALLOC "?path=absent", NULL);
	assert_int_equal(a.status, 404);
	ask(&w, &a, "GET", FS "cat/" ALLOC "?path=web", NULL);
	assert_int_equal(a.status, 400);
	answer_fini(&a);
}

static void
paths_that_leave_the_allocation_or_hold_secrets_are_refused(void **state)
{
	static const char *const secret[] = { "web/secrets/key", "/web/secrets/key",
		"web//secrets/key", "web/./secrets/key", "web/local/../secrets/key",
		"x/../web/secrets/key", "web/secrets", "web/private" };
	struct answer a = { 0 };
	char path[256];
	(void)state;

	for (size_t i = 0; i < NELEM(secret); i++) {
		snprintf(path, sizeof(path), FS "cat/" ALLOC "?path=%s", secret[i]);
		ask(&w, &a, "GET", path, NULL);
		if (a.status != 403)
			fail_msg("%d for %s: %s", a.status, secret[i], buf_str(&a.body));
	}
	ask(&w, &a, "GET", FS "cat/" ALLOC "?path=../../../../../../etc/passwd", NULL);
	assert_int_equal(a.status, 404);
	ask(&w, &a, "GET", FS "cat/" ALLOC "?path=web/local/leaves",
	    NULL); /* a link to /etc/passwd */
	assert_int_equal(a.status, 404);
	ask(&w, &a, "GET", FS "cat/" ALLOC "?path=web/local/tosecret",
	    NULL); /* a link into secrets/ */
	assert_int_equal(a.status, 403);
	answer_fini(&a);
}

static void
other_allocations_are_unknown(void **state)
{
	struct answer a = { 0 };
	(void)state;

	ask(&w, &a, "GET", FS "ls/" NODE "?path=/", NULL);
	assert_int_equal(a.status, 404);
	assert_string_equal(buf_str(&a.body), "Unknown allocation \"" NODE "\"");
	answer_fini(&a);
}

/* Logs ----------------------------------------------------------------------------------------- */

/* All data of the frames, joined. */
static const char *
joined(const struct buf *frames)
{
	static struct buf out;
	json_error_t err;
	size_t at = 0;

	buf_fini(&out);
	while (at < frames->len) {
		json_t *v =
		    json_loadb(frames->data + at, frames->len - at, JSON_DISABLE_EOF_CHECK, &err);
		if (v == NULL)
			break;
		const char *data = json_str(v, "Data", "");
		assert_true(base64_decode(&out, data, strlen(data)));
		json_decref(v);
		at += (size_t)err.position;
	}
	return buf_str(&out);
}

static void
logs_are_read_across_rotated_files(void **state)
{
	struct answer a = { 0 };
	(void)state;

	ask(&w, &a, "GET", FS "logs/" ALLOC "?task=web&type=stdout", NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(joined(&a.body), "first\nsecond\n");
	ask(&w, &a, "GET", FS "logs/" ALLOC "?task=web&type=stdout&plain=true&origin=end&offset=9",
	    NULL);
	assert_string_equal(buf_str(&a.body), "t\nsecond\n");
	ask(&w, &a, "GET", FS "logs/" ALLOC "?task=web&type=stdout&plain=true&offset=8", NULL);
	assert_string_equal(buf_str(&a.body), "cond\n");
	ask(&w, &a, "GET", FS "logs/" ALLOC "?task=web&type=stderr&plain=true", NULL);
	assert_int_equal(a.body.len, 0);
	ask(&w, &a, "GET", FS "logs/" ALLOC "?type=stdout", NULL);
	assert_int_equal(a.status, 400);
	assert_string_equal(buf_str(&a.body), "must provide task name");
	ask(&w, &a, "GET", FS "logs/" ALLOC "?task=web&type=x", NULL);
	assert_int_equal(a.status, 400);
	ask(&w, &a, "GET", FS "logs/" ALLOC "?task=other&type=stdout", NULL);
	assert_int_equal(a.status, 400);
	answer_fini(&a);
	(void)joined(&a.body);
}

static void
a_log_is_followed_as_it_grows_and_rotates_until_the_task_ends(void **state)
{
	struct answer a = { 0 };
	(void)state;

	task_running = true;
	ask_later(&w, &a, "GET", FS "logs/" ALLOC "?task=web&type=stdout&follow=true&plain=true",
	    NULL, true);
	UNTIL(&w, a.streamed.len == 13);
	put("alloc/logs/web.stdout.7", "third\n", O_APPEND);
	UNTIL(&w, a.streamed.len == 19);
	put("alloc/logs/web.stdout.8", "fourth\n", 0);
	UNTIL(&w, a.streamed.len == 26);
	assert_string_equal(buf_str(&a.streamed), "first\nsecond\nthird\nfourth\n");
	assert_false(a.done);
	task_running = false;
	wait_for(&w, &a);
	answer_fini(&a);
}

static void
a_quiet_stream_beats_so_that_the_line_is_known_to_live(void **state)
{
	struct answer a = { 0 };
	(void)state;

	struct http_call *c = ask_later(&w, &a, "GET",
	    FS "stream/" ALLOC "?path=web/local/data.txt&origin=end&offset=2", NULL, true);
	UNTIL(
	    &w, a.streamed.len > 4 && strcmp(buf_str(&a.streamed) + a.streamed.len - 2, "{}") == 0);
	assert_string_equal(joined(&a.streamed), "89");
	http_cancel(&c);
	answer_fini(&a);
	(void)joined(&a.body);
}

/* Exec ----------------------------------------------------------------------------------------- */

struct term {
	struct ws *ws;
	struct buf got;
	int code;
	char reason[128];
};

static void
on_message(void *ctx, const char *data, size_t len, bool text)
{
	struct term *t = ctx;
	(void)text;

	buf_add(&t->got, data, len);
}

static void
on_closed(void *ctx, int code, const char *reason)
{
	struct term *t = ctx;

	t->code = code;
	t->ws = NULL;
	snprintf(t->reason, sizeof(t->reason), "%s", reason);
}

static const struct ws_ops ops = { .message = on_message, .closed = on_closed };

static void
opened(void *ctx, struct ws *ws, const struct http_result *res)
{
	struct term *t = ctx;

	t->ws = ws;
	t->code = ws == NULL ? res->status : 0;
}

#define SEND(ws, text) ws_send(ws, text, strlen(text))

static void
dial_exec(struct term *t, const char *alloc, const char *task)
{
	char path[256];
	struct http_spec s = { .base = w.base, .path = path, .ctx = t };

	memset(t, 0, sizeof(*t));
	snprintf(path, sizeof(path),
	    "/v1/client/allocation/%s/exec?task=%s&tty=false&command=%%5B%%22cat%%22%%5D", alloc,
	    task);
	ws_dial(w.loop, &s, &ops, opened);
}

static void
a_command_talks_over_the_socket_and_its_code_comes_before_the_close(void **state)
{
	struct term t;
	(void)state;

	dial_exec(&t, ALLOC, "web");
	UNTIL(&w, t.ws != NULL && running != NULL);
	SEND(t.ws, "{\"stdin\":{\"data\":\"aGVsbG8=\"}}");
	SEND(t.ws, "{\"tty_size\":{\"height\":40,\"width\":100}}");
	SEND(t.ws, "{}");
	SEND(t.ws, "{\"stdin\":{\"close\":true}}");
	UNTIL(&w, running->input_ended);
	assert_string_equal(buf_str(&running->in), "hello");
	assert_int_equal(running->rows, 40);
	running->ops->output(running->ctx, false, "out", 3);
	running->ops->output(running->ctx, true, "err", 3);
	running->ops->output(running->ctx, false, NULL, 0);
	struct client_exec *x = running;
	x->ops->exited(x->ctx, 3);
	buf_fini(&x->in);
	free(x);
	running = NULL;
	UNTIL(&w, t.ws == NULL);
	assert_string_equal(buf_str(&t.got),
	    "{\"stdout\":{\"data\":\"b3V0\"}}{\"stderr\":{\"data\":\"ZXJy\"}}"
	    "{\"stdout\":{\"close\":true}}{\"exited\":true,\"result\":{\"exit_code\":3}}");
	assert_int_equal(t.code, WS_NORMAL);
	buf_fini(&t.got);
}

static void
errors_of_exec_come_through_the_socket(void **state)
{
	struct term t;
	(void)state;

	dial_exec(&t, NODE, "web");
	UNTIL(&w, t.code != 0);
	assert_int_equal(t.code, WS_POLICY);
	assert_string_equal(t.reason, "Unknown allocation \"" NODE "\"");
	dial_exec(&t, ALLOC, "other");
	UNTIL(&w, t.code != 0);
	assert_string_equal(t.reason, "unknown task \"other\"");
	struct answer a = { 0 };
	ask(&w, &a, "GET", "/v1/client/allocation/" ALLOC "/exec?task=web", NULL);
	assert_int_equal(a.status, 400);
	answer_fini(&a);
}

static void
who_hangs_up_ends_the_command(void **state)
{
	struct term t;
	(void)state;

	dial_exec(&t, ALLOC, "web");
	UNTIL(&w, t.ws != NULL && running != NULL);
	closed_execs = 0;
	ws_close(t.ws, WS_GOING_AWAY, "");
	UNTIL(&w, closed_execs == 1 && t.ws == NULL);
}

/* The rest ------------------------------------------------------------------------------------- */

static void
statistics_restart_and_signal_reach_the_client(void **state)
{
	struct answer a = { 0 };
	(void)state;

	ask(&w, &a, "GET", "/v1/client/stats", NULL);
	assert_int_equal(json_int(a.json, "Uptime", 0), 7);
	ask(&w, &a, "GET", "/v1/client/allocation/" ALLOC "/stats", NULL);
	assert_int_equal(a.status, 200);
	ask(&w, &a, "PUT", "/v1/client/allocation/" ALLOC "/restart", "{\"TaskName\":\"web\"}");
	assert_int_equal(a.status, 200);
	assert_string_equal(self.restarted, "web");
	ask(&w, &a, "POST", "/v1/client/allocation/" ALLOC "/signal", "{\"Signal\":\"SIGFOO\"}");
	assert_int_equal(a.status, 400);
	assert_string_equal(buf_str(&a.body), "unknown signal SIGFOO");
	ask(&w, &a, "GET", "/v1/client/allocation/" ALLOC "/restart", NULL);
	assert_int_equal(a.status, 405);
	assert_string_equal(buf_str(&a.body), "Invalid method");
	answer_fini(&a);
}

static void
images_are_served_with_ranges_and_nothing_else_is(void **state)
{
	static const char *const bad[] = { "/registry/", "/registry/.hidden",
		"/registry/..%2Fweb%2Flocal%2Fdata.txt", "/registry/../web/local/data.txt",
		"/registry/absent", "/registry//x", "/registry/sub" };
	const char *const range[] = { "Range", "bytes=2-4", NULL };
	struct answer a = { 0 };
	(void)state;

	ask(&w, &a, "GET", "/registry/web_1.xz", NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(buf_str(&a.body), "0123456789");
	ask(&w, &a, "GET", "/registry/sub/x", NULL);
	assert_string_equal(buf_str(&a.body), "below");
	answer_fini(&a);
	struct http_spec s = { .base = w.base,
		.path = "/registry/web_1.xz",
		.headers = range,
		.done = world_done,
		.ctx = &a };
	http_call(w.loop, &s);
	wait_for(&w, &a);
	assert_int_equal(a.status, 206);
	assert_string_equal(buf_str(&a.body), "234");
	assert_string_equal(a.range, "bytes 2-4/10");
	for (size_t i = 0; i < NELEM(bad); i++) {
		ask(&w, &a, "GET", bad[i], NULL);
		if (a.status != 404)
			fail_msg("%d for %s", a.status, bad[i]);
	}
	ask(&w, &a, "PUT", "/registry/web_1.xz", "x");
	assert_int_equal(a.status, 405);
	answer_fini(&a);
}

static void
the_page_is_at_ui_and_the_root_points_there(void **state)
{
	struct answer a = { 0 };
	(void)state;

	ask(&w, &a, "GET", "/", NULL);
	assert_int_equal(a.status, 307);
	assert_string_equal(a.location, "/ui/");
	ask(&w, &a, "GET", "/ui/jobs/x", NULL);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(buf_str(&a.body), "</script>"));
	ask(&w, &a, "GET", "/nowhere", NULL);
	assert_int_equal(a.status, 404);
	assert_int_equal(a.body.len, 0);
	answer_fini(&a);
}

static void
log_lines_are_streamed_from_the_asked_level_up(void **state)
{
	struct answer a = { 0 };
	(void)state;

	struct http_call *c =
	    ask_later(&w, &a, "GET", "/v1/agent/monitor?log_level=warn&plain=true", NULL, true);
	for (int i = 0; i < 20 && a.streamed.len == 0; i++) {
		loop_turn(w.loop, 10);
		log_info("test", "not this");
		log_warn("test", "but this");
	}
	assert_non_null(strstr(buf_str(&a.streamed), "[WARN] test: but this"));
	assert_null(strstr(buf_str(&a.streamed), "not this"));
	http_cancel(&c);
	loop_turn(w.loop, 10);
	answer_fini(&a);
}

/* Set-up --------------------------------------------------------------------------------------- */

static void
make(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void
point(const char *name, const char *to)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(symlink(to, path), 0);
}

static int
setup(void **state)
{
	static char registry[80];
	(void)state;

	snprintf(dir, sizeof(dir), "/tmp/potter-unit-XXXXXX");
	umask(022);
	assert_non_null(mkdtemp(dir));
	static const char *const dirs[] = { "alloc", "alloc/logs", "web", "web/local",
		"web/secrets", "registry", "registry/sub" };
	for (size_t i = 0; i < NELEM(dirs); i++)
		make(dirs[i]);
	put("alloc/logs/web.stdout.6", "first\n", 0);
	put("alloc/logs/web.stdout.7", "second\n", 0);
	put("web/local/data.txt", "0123456789", 0);
	put("web/secrets/key", "hidden", 0);
	put("registry/web_1.xz", "0123456789", 0);
	put("registry/.hidden", "x", 0);
	put("registry/sub/x", "below", 0);
	point("web/local/leaves", "/etc/passwd");
	point("web/local/tosecret", "../secrets/key");
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	w.loop = loop_new();
	snprintf(registry, sizeof(registry), "%s/registry", dir);
	struct api_config c = { .loop = w.loop,
		.client = &node,
		.name = "n1",
		.region = "global",
		.datacenter = "dc1",
		.bind_address = "127.0.0.1",
		.registry_dir = registry };
	w.api = api_new(&c);
	world_listen(&w);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st, (void)flag, (void)f;
	return remove(path);
}

static int
teardown(void **state)
{
	(void)state;
	http_server_free(w.http);
	api_free(w.api);
	loop_free(w.loop);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories_are_listed_and_files_read),
		cmocka_unit_test(paths_that_leave_the_allocation_or_hold_secrets_are_refused),
		cmocka_unit_test(other_allocations_are_unknown),
		cmocka_unit_test(logs_are_read_across_rotated_files),
		cmocka_unit_test(a_log_is_followed_as_it_grows_and_rotates_until_the_task_ends),
		cmocka_unit_test(a_quiet_stream_beats_so_that_the_line_is_known_to_live),
		cmocka_unit_test(
		    a_command_talks_over_the_socket_and_its_code_comes_before_the_close),
		cmocka_unit_test(errors_of_exec_come_through_the_socket),
		cmocka_unit_test(who_hangs_up_ends_the_command),
		cmocka_unit_test(statistics_restart_and_signal_reach_the_client),
		cmocka_unit_test(images_are_served_with_ranges_and_nothing_else_is),
		cmocka_unit_test(the_page_is_at_ui_and_the_root_points_there),
		cmocka_unit_test(log_lines_are_streamed_from_the_asked_level_up),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
