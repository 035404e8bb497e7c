#include "platform/overlay/meta.h"

#include "base/ids.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static const char first_line[] = "overlay-dataset 1";

static void
snapshot_fini(struct meta_snapshot *s)
{
	free(s->name);
	names_fini(&s->chain);
}

void
meta_fini(struct meta *m)
{
	names_fini(&m->chain);
	free(m->upper);
	free(m->origin_id);
	free(m->origin_snap);
	free(m->fill);
	meta_snapshots_cut(m, 0);
	free(m->snapshots);
	for (size_t i = 0; i < m->properties_n; i++) {
		free(m->properties[i].key);
		free(m->properties[i].value);
	}
	free(m->properties);
	*m = (struct meta)META_INIT;
}

void
names_copy(struct names *to, const struct names *from)
{
	for (size_t i = 0; i < from->n; i++)
		names_add(to, from->at[i]);
}

bool
names_have(const struct names *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->at[i], name) == 0)
			return true;
	return false;
}

struct meta_snapshot *
meta_snapshot(struct meta *m, const char *name)
{
	for (size_t i = 0; i < m->snapshots_n; i++)
		if (strcmp(m->snapshots[i].name, name) == 0)
			return &m->snapshots[i];
	return NULL;
}

void
meta_snapshot_add(struct meta *m, const char *name, const struct names *chain)
{
	struct meta_snapshot *s;

	m->snapshots = xrealloc(m->snapshots, (m->snapshots_n + 1) * sizeof(*m->snapshots));
	s = &m->snapshots[m->snapshots_n++];
	*s = (struct meta_snapshot){ .name = xstrdup(name) };
	names_copy(&s->chain, chain);
}

void
meta_snapshot_remove(struct meta *m, size_t i)
{
	snapshot_fini(&m->snapshots[i]);
	m->snapshots_n--;
	memmove(
	    &m->snapshots[i], &m->snapshots[i + 1], (m->snapshots_n - i) * sizeof(*m->snapshots));
}

void
meta_snapshots_cut(struct meta *m, size_t n)
{
	while (m->snapshots_n > n)
		snapshot_fini(&m->snapshots[--m->snapshots_n]);
}

const char *
meta_property(const struct meta *m, const char *key)
{
	for (size_t i = 0; i < m->properties_n; i++)
		if (strcmp(m->properties[i].key, key) == 0)
			return m->properties[i].value;
	return NULL;
}

void
meta_property_set(struct meta *m, const char *key, const char *value)
{
	struct meta_property *p = NULL;

	for (size_t i = 0; i < m->properties_n && p == NULL; i++)
		if (strcmp(m->properties[i].key, key) == 0)
			p = &m->properties[i];
	if (value == NULL && p != NULL) {
		free(p->key);
		free(p->value);
		*p = m->properties[--m->properties_n];
	} else if (value != NULL && p != NULL) {
		char *copy = xstrdup(value);

		free(p->value);
		p->value = copy;
	} else if (value != NULL) {
		m->properties =
		    xrealloc(m->properties, (m->properties_n + 1) * sizeof(*m->properties));
		m->properties[m->properties_n++] =
		    (struct meta_property){ xstrdup(key), xstrdup(value) };
	}
}

static void
add_new(struct names *out, const char *layer)
{
	if (layer != NULL && !names_have(out, layer))
		names_add(out, layer);
}

void
meta_layers(const struct meta *m, struct names *out)
{
	add_new(out, m->upper);
	add_new(out, m->fill);
	for (size_t i = 0; i < m->chain.n; i++)
		add_new(out, m->chain.at[i]);
	for (size_t i = 0; i < m->snapshots_n; i++)
		for (size_t k = 0; k < m->snapshots[i].chain.n; k++)
			add_new(out, m->snapshots[i].chain.at[k]);
}

/* ---- text ---- */

void
meta_write(const struct meta *m, struct buf *out)
{
	buf_addf(
	    out, "%s\nkind %s\n", first_line, m->kind == DATASET_LAYERED ? "layered" : "plain");
	for (size_t i = 0; i < m->chain.n; i++)
		buf_addf(out, "layer %s\n", m->chain.at[i]);
	if (m->upper != NULL)
		buf_addf(out, "upper %s\n", m->upper);
	if (m->fill != NULL)
		buf_addf(out, "fill %s\n", m->fill);
	if (m->origin_id != NULL)
		buf_addf(out, "origin %s %s\n", m->origin_id, m->origin_snap);
	for (size_t i = 0; i < m->snapshots_n; i++) {
		buf_addf(out, "snapshot %s", m->snapshots[i].name);
		for (size_t k = 0; k < m->snapshots[i].chain.n; k++)
			buf_addf(out, " %s", m->snapshots[i].chain.at[k]);
		buf_addc(out, '\n');
	}
	for (size_t i = 0; i < m->properties_n; i++)
		buf_addf(out, "property %s %s\n", m->properties[i].key, m->properties[i].value);
	buf_adds(out, "end\n");
}

/* An id becomes part of a path: only what ids_run() makes is taken. */
static bool
is_id(const char *text)
{
	return strlen(text) == RUN_ID_TEXT - 1 &&
	       strspn(text, "0123456789abcdef") == RUN_ID_TEXT - 1;
}

static bool
set_id(char **where, const char *text)
{
	if (!is_id(text) || *where != NULL)
		return false;
	*where = xstrdup(text);
	return true;
}

static bool
parse_snapshot(struct meta *m, char *rest)
{
	struct names none = NAMES_INIT;
	char *save = NULL, *word = strtok_r(rest, " ", &save);
	struct meta_snapshot *s;
	struct err ignored;

	if (word == NULL || strchr(word, '/') != NULL || dataset_check_name(word, &ignored) < 0 ||
	    meta_snapshot(m, word) != NULL)
		return false;
	meta_snapshot_add(m, word, &none);
	s = &m->snapshots[m->snapshots_n - 1];
	while ((word = strtok_r(NULL, " ", &save)) != NULL) {
		if (!is_id(word))
			return false;
		names_add(&s->chain, word);
	}
	return s->chain.n > 0;
}

static bool
parse_line(struct meta *m, char *line)
{
	char *rest = strchr(line, ' '), *second;

	if (rest == NULL)
		return false;
	*rest++ = '\0';
	if (str_eq(line, "kind")) {
		m->kind = str_eq(rest, "layered") ? DATASET_LAYERED : DATASET_PLAIN;
		return m->kind == DATASET_LAYERED || str_eq(rest, "plain");
	}
	if (str_eq(line, "layer")) {
		if (is_id(rest))
			names_add(&m->chain, rest);
		return is_id(rest);
	}
	if (str_eq(line, "upper"))
		return set_id(&m->upper, rest);
	if (str_eq(line, "fill"))
		return set_id(&m->fill, rest);
	if (str_eq(line, "snapshot"))
		return parse_snapshot(m, rest);
	second = strchr(rest, ' ');
	if (second == NULL || second == rest)
		return false;
	*second++ = '\0';
	if (str_eq(line, "property")) {
		meta_property_set(m, rest, second);
		return true;
	}
	if (str_eq(line, "origin") && m->origin_snap == NULL && set_id(&m->origin_id, rest)) {
		m->origin_snap = xstrdup(second);
		return true;
	}
	return false;
}

int
meta_parse(const char *text, size_t len, struct meta *out, struct err *e)
{
	autometa struct meta m = META_INIT;
	autofree char *copy = xstrndup(text, len);
	char *line = copy, *next;
	unsigned number = 0;

	if (strlen(copy) != len)
		return err_new(e, ERR_CORRUPT, "the description of a dataset has a NUL byte in it");
	for (; (next = strchr(line, '\n')) != NULL; line = next + 1) {
		*next = '\0';
		if (number++ == 0) {
			if (!str_eq(line, first_line))
				return err_new(e, ERR_CORRUPT,
				    "the description of a dataset does not start with '%s'",
				    first_line);
		} else if (str_eq(line, "end")) {
			if (next[1] != '\0' || (m.kind != DATASET_LAYERED && m.upper != NULL))
				break;
			*out = m;
			m = (struct meta)META_INIT;
			return 0;
		} else if (!parse_line(&m, line)) {
			return err_new(e, ERR_CORRUPT,
			    "line %u of the description of a dataset is not understood", number);
		}
	}
	return err_new(e, ERR_CORRUPT, "the description of a dataset is not complete");
}
