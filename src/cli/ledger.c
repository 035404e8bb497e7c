#include "cli/ledger.h"

#include "base/buf.h"
#include "base/str.h"
#include "store/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LEDGER_MAX = 1 << 20 };

static const char *const kind_names[LEDGER_KINDS] = {
	[LEDGER_DIR] = "dir",
	[LEDGER_FILE] = "file",
	[LEDGER_BACKUP] = "backup",
	[LEDGER_USER] = "user",
	[LEDGER_GROUP] = "group",
	[LEDGER_UNIT] = "unit",
	[LEDGER_SET] = "set",
	[LEDGER_POT] = "pot",
};

static void
append(struct ledger *l, enum ledger_kind kind, const char *name)
{
	struct ledger_line *line = arena_array(&l->mem, l->n + 1, struct ledger_line);

	if (l->n > 0)
		memcpy(line, l->line, l->n * sizeof(*line));
	line[l->n] = (struct ledger_line){ .kind = kind, .name = arena_strdup(&l->mem, name) };
	l->line = line;
	l->n++;
}

static int
parse_line(struct ledger *l, const char *file, size_t number, const char *text, struct err *e)
{
	for (int kind = 0; kind < LEDGER_KINDS; kind++) {
		size_t len = strlen(kind_names[kind]);
		if (strncmp(text, kind_names[kind], len) == 0 && text[len] == ' ' &&
		    text[len + 1] != '\0') {
			append(l, (enum ledger_kind)kind, text + len + 1);
			return 0;
		}
	}
	return err_new(
	    e, ERR_CORRUPT, "%s:%zu: \"%s\" is not a line of minipot's ledger", file, number, text);
}

int
ledger_parse(struct ledger *l, const char *file, const char *text, struct err *e)
{
	autoarena struct arena scratch = ARENA_INIT;
	size_t n;
	char **line = str_split(&scratch, text, '\n', &n);

	for (size_t i = 0; i < n; i++)
		if (line[i][0] != '\0' && parse_line(l, file, i + 1, line[i], e) < 0)
			return -1;
	return 0;
}

int
ledger_open(struct ledger *l, const char *path, struct err *e)
{
	autobuf struct buf text = BUF_INIT;

	*l = (struct ledger)LEDGER_INIT;
	l->path = arena_strdup(&l->mem, path);
	if (access(path, F_OK) < 0)
		return 0;
	if (buf_read_file(&text, path, LEDGER_MAX, e) < 0)
		return -1;
	return ledger_parse(l, path, buf_str(&text), e);
}

void
ledger_fini(struct ledger *l)
{
	arena_fini(&l->mem);
	*l = (struct ledger)LEDGER_INIT;
}

bool
ledger_has(const struct ledger *l, enum ledger_kind kind, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->line[i].kind == kind && strcmp(l->line[i].name, name) == 0)
			return true;
	return false;
}

static int
save(const struct ledger *l, struct err *e)
{
	autobuf struct buf text = BUF_INIT;

	for (size_t i = 0; i < l->n; i++)
		buf_addf(&text, "%s %s\n", kind_names[l->line[i].kind], l->line[i].name);
	const char *slash = strrchr(l->path, '/');
	autofree char *dir = xstrndup(l->path, (size_t)(slash - l->path));
	autofd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", dir);
	if (file_replace(fd, slash + 1, buf_str(&text), text.len, 0600, e) < 0)
		return err_ctx(e, "write %s", l->path);
	return 0;
}

int
ledger_add(struct ledger *l, enum ledger_kind kind, const char *name, struct err *e)
{
	if (strchr(name, '\n') != NULL)
		return err_new(
		    e, ERR_INPUT, "a name with a line break cannot be kept in %s", l->path);
	if (ledger_has(l, kind, name))
		return 0;
	append(l, kind, name);
	return save(l, e);
}
