#include "base/str.h"
#include "platform/zfs/zfs.h"

#include <stdlib.h>
#include <string.h>

int
zfs_lines(struct buf *text, size_t fields, zfs_line_fn *fn, void *ctx, struct err *e)
{
	char *field[16], nothing[1] = "";

	if (fields > NELEM(field))
		return err_new(e, ERR_INPUT, "too many columns");
	for (char *line = text->len > 0 ? text->data : nothing, *next; *line != '\0'; line = next) {
		size_t n = 0;

		next = strchr(line, '\n');
		if (next == NULL)
			return err_new(e, ERR_CORRUPT, "zfs ended amid a line: '%.80s'", line);
		*next++ = '\0';
		for (char *at = line; at != NULL && n < NELEM(field); n++) {
			field[n] = at;
			at = strchr(at, '\t');
			if (at != NULL)
				*at++ = '\0';
		}
		if (n != fields)
			return err_new(e, ERR_CORRUPT,
			    "zfs printed %zu columns in place of %zu: '%.80s'", n, fields, line);
		if (fn(ctx, field, e) < 0)
			return -1;
	}
	return 0;
}

const char *
zfs_below(const char *root, const char *name)
{
	size_t n = strlen(root);

	if (strncmp(name, root, n) != 0 || (name[n] != '/' && name[n] != '\0'))
		return NULL;
	return name[n] == '/' ? name + n + 1 : name + n;
}

/* ---- a survey ---- */

struct reading {
	const char *root;
	struct dataset_survey *out;
	size_t last; /* the dataset of the row before */
};

/* "-": a column that the row does not have. */
static int
number(const char *text, uint64_t *out, struct err *e)
{
	*out = 0;
	if (str_eq(text, "-") || str_u64(text, UINT64_MAX, out))
		return 0;
	return err_new(e, ERR_CORRUPT, "zfs printed '%.40s' in place of a number", text);
}

static int
snapshot_row(struct reading *r, char *name, char *at, bool deferred)
{
	*at++ = '\0';
	if (deferred) /* gone, but for the clones made of it */
		return 0;
	/* a snapshot may stand before its dataset, and far from it */
	for (size_t k = 0; k < r->out->n; k++) {
		size_t i = (r->last + k) % r->out->n;

		if (str_eq(r->out->at[i].name, name)) {
			names_add(&r->out->at[i].snapshots, at);
			r->last = i;
			return 0;
		}
	}
	return 0;
}

static int
dataset_row(struct reading *r, const char *name, char **field, struct err *e)
{
	struct dataset_facts *row = dataset_survey_add(r->out, name);
	uint64_t own, snaps;
	const char *origin;

	r->last = r->out->n - 1;
	if (number(field[1], &own, e) < 0 || number(field[2], &snaps, e) < 0 ||
	    number(field[3], &row->refer_bytes, e) < 0)
		return -1;
	row->used_bytes = own + snaps;
	origin = zfs_below(r->root, field[4]);
	if (origin != NULL && strchr(origin, '@') != NULL)
		row->origin = xstrdup(origin);
	return 0;
}

static int
survey_line(void *ctx, char **field, struct err *e)
{
	struct reading *r = ctx;
	char *name = (char *)(uintptr_t)zfs_below(r->root, field[0]), *at;

	if (name == NULL) /* what is below another root is none of ours */
		return 0;
	at = strchr(name, '@');
	if (*name == '\0' || at == name || strchr(field[0], '#') != NULL)
		return 0;
	return at != NULL ? snapshot_row(r, name, at, str_eq(field[5], "on"))
			  : dataset_row(r, name, field, e);
}

int
zfs_parse_survey(const char *root, struct buf *text, struct dataset_survey *out, struct err *e)
{
	struct reading r = { .root = root, .out = out };

	if (zfs_lines(text, 6, survey_line, &r, e) < 0)
		return -1;
	dataset_survey_sort(out);
	return 0;
}
