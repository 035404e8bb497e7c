/*
 * zfs_transcript: stands between platform/zfs and a program zfs, and writes down what they say to
 * each other; or, without a zfs, says again what was written down.
 *
 * It stands in a directory of its own, beside the file "conf": record or replay, the transcript,
 * the program (record), the name of the pool, and the directory that datasets are mounted below,
 * a line each. The last two are written down as @POOL@ and @ROOT@.
 *
 *   $ list -Hp -o name @POOL@/pot     words, blanks in them as \040
 *   > @POOL@/pot                      a line of standard output
 *   ! cannot open …                   a line of standard error
 *   = 1                               the exit code, unless 0; above 128: a signal
 *
 * What is said again must be asked for in the order of the transcript. Only what makes datasets,
 * and what clears up behind it, runs at once, and may change places.
 */
#include "base/buf.h"
#include "base/own.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX = 16 << 20, LINES = 5, AHEAD = 8 };

static char home[400];
static char *conf[LINES]; /* mode, transcript, program, pool, root */
static struct err err;

static NORETURN void
die(const char *what)
{
	fprintf(stderr, "zfs_transcript: %s: %s\n", what,
	    err.text[0] != '\0' ? err.text : strerror(errno));
	exit(99);
}

static char *
beside(const char *name)
{
	return xasprintf("%s/%s", home, name);
}

static void
configure(void)
{
	autobuf struct buf text = BUF_INIT;
	autofree char *path = beside("conf");
	char *save = NULL;

	if (buf_read_file(&text, path, 4096, &err) < 0)
		die("its configuration");
	char *line = strtok_r(text.data, "\n", &save);
	for (int i = 0; i < LINES && line != NULL; i++, line = strtok_r(NULL, "\n", &save))
		conf[i] = xstrdup(line);
	if (conf[LINES - 1] == NULL)
		die("its configuration is short");
}

/* ---- words that differ from one machine to the next ---- */

static void
replaced(const char *text, const char *const pairs[4], struct buf *out)
{
	while (*text != '\0') {
		size_t i;

		for (i = 0; i < 4; i += 2)
			if (str_starts(text, pairs[i])) {
				buf_adds(out, pairs[i + 1]);
				text += strlen(pairs[i]);
				break;
			}
		if (i >= 4)
			buf_addc(out, *text++);
	}
}

static char *
general(const char *text)
{
	const char *const pairs[] = { conf[4], "@ROOT@", conf[3], "@POOL@" };
	autobuf struct buf out = BUF_INIT;

	replaced(text, pairs, &out);
	return buf_take(&out);
}

static char *
local(const char *text)
{
	const char *const pairs[] = { "@ROOT@", conf[4], "@POOL@", conf[3] };
	autobuf struct buf out = BUF_INIT;

	replaced(text, pairs, &out);
	return buf_take(&out);
}

static char *
question(char **argv)
{
	autobuf struct buf line = BUF_INIT;

	buf_adds(&line, "$");
	for (; *argv != NULL; argv++) {
		autofree char *word = general(*argv);

		buf_addc(&line, ' ');
		for (const char *c = word; *c != '\0'; c++)
			if (*c == ' ' || *c == '\\' || *c == '\n' || *c == '\t')
				buf_addf(&line, "\\%03o", (unsigned)*c);
			else
				buf_addc(&line, *c);
	}
	return buf_take(&line);
}

static bool
is_stream(char **argv)
{
	return str_eq(argv[0], "send") || str_eq(argv[0], "receive");
}

static int
locked(void)
{
	autofree char *path = beside("lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		die("its lock");
	return fd;
}

/* ---- writing down ---- */

static void
write_lines(FILE *f, char mark, const char *text)
{
	autofree char *all = general(text);

	for (char *line = all, *end; *line != '\0'; line = end) {
		end = line + strcspn(line, "\n");
		fprintf(f, "%c %.*s\n", mark, (int)(end - line), line);
		end += *end == '\n';
	}
}

/* What the program writes to a descriptor goes into a file of its own, so that neither waits. */
static int
caught(const char *name)
{
	autofree char *path = xasprintf("%s/%s.%d", home, name, (int)getpid());
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || unlink(path) < 0)
		die(name);
	return fd;
}

static void
given_back(int fd, int to, struct buf *text)
{
	if (lseek(fd, 0, SEEK_SET) < 0 || buf_read_fd(text, fd, MAX, &err) < 0 ||
	    fd_write_all(to, buf_str(text), text->len, &err) < 0)
		die("passing on what zfs says");
}

static int
record(char **argv)
{
	autobuf struct buf said = BUF_INIT, complained = BUF_INIT;
	autofree char *asked = question(argv + 1);
	int out = is_stream(argv + 1) ? -1 : caught("out"), complaint = caught("err"), status;
	pid_t pid = fork();

	if (pid == 0) {
		if (out >= 0)
			dup2(out, 1);
		dup2(complaint, 2);
		execv(conf[2], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("zfs did not run");
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (out >= 0)
		given_back(out, 1, &said);
	given_back(complaint, 2, &complained);
	int lock = locked();
	FILE *f = fopen(conf[1], "ae");
	if (f == NULL)
		die(conf[1]);
	fprintf(f, "%s\n", asked);
	write_lines(f, '>', buf_str(&said));
	write_lines(f, '!', buf_str(&complained));
	if (code != 0)
		fprintf(f, "= %d\n", code);
	if (fclose(f) != 0)
		die(conf[1]);
	close(lock);
	return code;
}

/* ---- saying again ---- */

/* The start of the n-th question (from 0), or NULL. */
static char *
nth(char *text, size_t n)
{
	for (char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (*line == '$' && n-- == 0)
			return line;
	}
	return NULL;
}

static int
answer(const char *line)
{
	int code = 0;

	while ((line = strchr(line, '\n')) != NULL && *++line != '\0' && *line != '$') {
		autofree char *one = xstrndup(line, strcspn(line, "\n"));
		autofree char *text = local(strlen(one) > 2 ? one + 2 : "");

		if (*one == '>')
			printf("%s\n", text);
		else if (*one == '!')
			fprintf(stderr, "%s\n", text);
		else if (*one == '=')
			code = atoi(text);
	}
	return fflush(stdout) == 0 ? code : 98;
}

static bool
runs_at_once(char **argv)
{
	return is_stream(argv) || str_eq(argv[0], "create") || str_eq(argv[0], "clone") ||
	       str_eq(argv[0], "destroy");
}

/* The state is the number of the first question that was not asked, and a bit for each of the next
 * ones that was asked before it. */
static int
replay(char **argv)
{
	autobuf struct buf text = BUF_INIT, state = BUF_INIT;
	autofree char *asked = question(argv + 1), *path = beside("state");
	unsigned long at = 0, ahead = 0;
	struct err ignored = ERR_INIT;
	char chunk[4096];

	if (is_stream(argv + 1) && str_eq(argv[1], "receive"))
		while (read(0, chunk, sizeof(chunk)) > 0)
			;
	int lock = locked();
	if (buf_read_file(&text, conf[1], MAX, &err) < 0)
		die(conf[1]);
	if (buf_read_file(&state, path, 100, &ignored) == 0)
		(void)sscanf(state.data, "%lu %lu", &at, &ahead);
	size_t len = strlen(asked);
	for (unsigned long i = 0; i < (runs_at_once(argv + 1) ? AHEAD : 1); i++) {
		char *line = nth(buf_str(&text) == text.data ? text.data : NULL, at + i);

		if (line == NULL || strncmp(line, asked, len) != 0 || line[len] != '\n' ||
		    (ahead & 1ul << i) != 0)
			continue;
		for (ahead |= 1ul << i; (ahead & 1) != 0; ahead >>= 1)
			at++;
		FILE *f = fopen(path, "we");
		if (f == NULL || fprintf(f, "%lu %lu\n", at, ahead) < 0 || fclose(f) != 0)
			die(path);
		close(lock);
		return answer(line);
	}
	char *expected = nth(text.data, at);
	fprintf(stderr, "zfs_transcript: the next of %s is '%.*s', not '%s'\n", conf[1],
	    expected != NULL ? (int)strcspn(expected, "\n") : 0, expected != NULL ? expected : "",
	    asked);
	return 99;
}

int
main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", home, sizeof(home) - 1);

	if (n <= 0 || argc < 2)
		return 99;
	home[n] = '\0';
	*strrchr(home, '/') = '\0';
	configure();
	int code = str_eq(conf[0], "record") ? record(argv) : replay(argv);
	if (code > 128) {
		signal(code - 128, SIG_DFL);
		raise(code - 128);
	}
	return code;
}
