/*
 * compatibility.c: writes docs/compatibility.md from the job model's tables, or checks that it is
 * current.
 *
 * usage: compatibility [--write] FILE
 */
#include "codec/hcl.h"
#include "job/job.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const types[] = { [F_STR] = "text",
	[F_BOOL] = "true/false",
	[F_INT] = "number",
	[F_FLOAT] = "number",
	[F_DURATION] = "duration",
	[F_TIME] = "time",
	[F_STRS] = "list of texts",
	[F_INTS] = "list of numbers",
	[F_STRMAP] = "map",
	[F_STRSMAP] = "map of lists",
	[F_INTMAP] = "map of numbers",
	[F_BOOLMAP] = "map",
	[F_FLOATMAP] = "map of numbers",
	[F_OBJ] = "block",
	[F_OBJS] = "blocks",
	[F_OBJMAP] = "labelled blocks",
	[F_ANY] = "block of anything" };

static const char *const statuses[] = { [FS_HONOURED] = "yes",
	[FS_WARNED] = "no effect, warns",
	[FS_REFUSED] = "refused",
	[FS_KEPT] = "kept" };

struct todo {
	const struct model *model[MODEL_FIELDS_MAX];
	const char *name[MODEL_FIELDS_MAX];
	size_t n;
};

static void
later(struct todo *t, const struct model *m, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->model[i] == m)
			return;
	if (t->n < NELEM(t->model)) {
		t->model[t->n] = m;
		t->name[t->n++] = name;
	}
}

static void
add_row(struct buf *out, const struct field *f)
{
	bool label = (f->flags & MF_LABEL) != 0;

	buf_addf(out, "| %s%s%s | `%s` | %s | ", f->hcl != NULL ? "`" : "",
	    f->hcl != NULL ? f->hcl : "-", f->hcl != NULL ? "`" : "", f->json,
	    label ? "label" : types[f->type]);
	if (f->def != NULL && f->def[0] != '\0')
		buf_addf(out, "`%s` ", f->def);
	buf_addf(out, "| %s | ", statuses[f->status]);
	for (const char *s = f->doc != NULL ? f->doc : ""; *s != '\0'; s++)
		buf_adds(out, *s == '|' ? "\\|" : *s == '<' ? "&lt;" : (char[2]){ *s, '\0' });
	buf_adds(out, " |\n");
}

static void
add_model(struct buf *out, struct todo *t, size_t i)
{
	const struct model *m = t->model[i];

	buf_addf(out,
	    "\n## %s\n\n| in job files | in JSON | kind | default | honoured | "
	    "|\n|---|---|---|---|---|---|\n",
	    t->name[i]);
	for (size_t k = 0; k < m->n; k++) {
		const struct field *f = &m->fields[k];

		if (f->json == NULL || (f->flags & MF_SERVER) != 0)
			continue;
		add_row(out, f);
		if (f->sub != NULL && f->status != FS_REFUSED)
			later(t, f->sub, f->hcl != NULL ? f->hcl : f->json);
	}
}

static void
add_functions(struct buf *out)
{
	const char *name, *refused;

	buf_adds(out, "\n## Functions\n\n| function | |\n|---|---|\n");
	for (size_t i = 0; (name = hcl_function_at(i, &refused)) != NULL; i++)
		buf_addf(out, "| `%s` | %s%s |\n", name, refused != NULL ? "refused: " : "yes",
		    refused != NULL ? refused : "");
}

static void
document(struct buf *out)
{
	struct todo t = { 0 };

	buf_adds(out, "# What Potter honours of a job\n\n"
		      "Made from the tables in `src/job` by `tests/lint/compatibility.c`; do not "
		      "edit it by hand.\n\n"
		      "Job files are HCL 2; jobs are also taken as JSON under Nomad's names. "
		      "*yes*: it does what it says. *kept*: "
		      "stored and shown, says nothing about running. *no effect, warns*: stored "
		      "and shown, submitting prints a "
		      "warning. *refused*: submitting fails and names it. What stands in no table "
		      "is an error in a job file, and "
		      "ignored in JSON.\n");
	later(&t, &job_model, "job");
	for (size_t i = 0; i < t.n; i++)
		add_model(out, &t, i);
	add_functions(out);
}

static int
write_file(const char *path, const struct buf *text)
{
	struct err e = ERR_INIT;
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || fd_write_all(fd, text->data, text->len, &e) < 0) {
		perror(path);
		return 1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	autobuf struct buf now = BUF_INIT, there = BUF_INIT;
	struct err e = ERR_INIT;

	if (argc < 2)
		return 2;
	document(&now);
	if (strcmp(argv[1], "--write") == 0 && argc == 3)
		return write_file(argv[2], &now);
	if (buf_read_file(&there, argv[1], 1 << 20, &e) < 0 ||
	    strcmp(buf_str(&there), buf_str(&now)) != 0) {
		printf("%s is not current: run %s --write %s\n", argv[1], argv[0], argv[1]);
		return 1;
	}
	return 0;
}
