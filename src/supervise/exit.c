#include "supervise/exit.h"

#include "base/buf.h"
#include "base/str.h"
#include "store/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
exit_write(const char *run_dir, const char *run_id, const struct keeper_exit *x, struct err *e)
{
	autofd int dir = -1;
	char text[512];

	if (run_dir == NULL)
		return 0;
	snprintf(text, sizeof(text),
	    "{\"RunID\":\"%s\",\"ExitCode\":%d,\"Signal\":%d,\"OOMKilled\":%s,\"StartedNs\":"
	    "%" PRId64 ",\"EndedNs\":%" PRId64 "}\n",
	    run_id, x->code, x->signal, x->oom_killed ? "true" : "false", x->started_ns,
	    x->ended_ns);
	dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "open %s", run_dir);
	if (file_replace(dir, "exit", text, strlen(text), 0644, e) < 0)
		return err_ctx(e, "%s", run_dir);
	return 0;
}

static bool
holds(int dir, const char *name, const char *text)
{
	char was[64];
	autofd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, was, sizeof(was));

	return n >= 0 && (size_t)n == strlen(text) && memcmp(was, text, (size_t)n) == 0;
}

int
exit_write_stats(const char *stats_path, const struct keeper_exit *x, struct err *e)
{
	autofd int dir_fd = -1;
	char dir[4096], text[64];

	if (stats_path == NULL)
		return 0;
	const char *slash = strrchr(stats_path, '/');
	if (slash == NULL || !str_copy(dir, sizeof(dir), stats_path))
		return err_new(e, ERR_INPUT, "%s is no usable path", stats_path);
	dir[slash == stats_path ? 1 : slash - stats_path] = '\0';
	snprintf(text, sizeof(text), "{ \"ExitCode\": %d }\n", x->code);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(e, "open %s", dir);
	/* most runs end as the one before, and a file less to replace is half a start's writing */
	if (holds(dir_fd, slash + 1, text))
		return 0;
	if (file_swap(dir_fd, slash + 1, text, strlen(text), 0644, e) < 0)
		return err_ctx(e, "%s", dir);
	return 0;
}

/* ---- reading: our own writing and nothing more general ---- */

static const char *
after_key(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p == NULL ? NULL : p + strlen(key);
}

static bool
number(const char *text, const char *key, int64_t min, int64_t max, int64_t *out)
{
	const char *p = after_key(text, key);
	char *end;

	if (p == NULL || ((*p < '0' || *p > '9') && *p != '-'))
		return false;
	long long v = strtoll(p, &end, 10);
	if (end == p || (*end != ',' && *end != '}') || v < min || v > max)
		return false;
	*out = v;
	return true;
}

int
exit_parse(const char *text, size_t len, struct keeper_exit *out, struct err *e)
{
	struct keeper_exit x = { 0 };
	int64_t code, sig;
	autofree char *copy = xstrndup(text, len);
	const char *oom = after_key(copy, "\"OOMKilled\":");

	if (copy[0] != '{' || strchr(copy, '\n') == NULL ||
	    !number(copy, "\"ExitCode\":", 0, 255, &code) ||
	    !number(copy, "\"Signal\":", 0, 128, &sig) || oom == NULL ||
	    !number(copy, "\"StartedNs\":", 0, INT64_MAX, &x.started_ns) ||
	    !number(copy, "\"EndedNs\":", 0, INT64_MAX, &x.ended_ns))
		return err_new(e, ERR_CORRUPT, "not an exit record");
	const char *id = after_key(copy, "\"RunID\":\"");
	if (id != NULL && strcspn(id, "\"") < sizeof(x.run_id))
		memcpy(x.run_id, id, strcspn(id, "\""));
	x.code = (int)code;
	x.signal = (int)sig;
	x.oom_killed = strncmp(oom, "true", 4) == 0;
	*out = x;
	return 0;
}

int
keeper_exit_read(const char *run_dir, struct keeper_exit *out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	autofd int fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", run_dir);
	if (file_load(fd, "exit", 4096, &text, e) < 0)
		return err_ctx(e, "%s", run_dir);
	if (exit_parse(buf_str(&text), text.len, out, e) < 0)
		return err_ctx(e, "%s/exit", run_dir);
	return 0;
}
