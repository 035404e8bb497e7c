/* potter_text.c: times, sizes, ids, tables and blocks as Nomad's command line writes them. */
#include "cli/potter.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/vec.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CELL = 0x1f };

const char *
potter_short(struct potter_call *c, const char *id, size_t length)
{
	return arena_strndup(&c->mem, id, length);
}

const char *
potter_time(struct potter_call *c, int64_t wall_ns)
{
	char text[CLOCK_TEXT];
	time_t t = (time_t)(wall_ns / NS_PER_SEC);
	struct tm tm;

	localtime_r(&t, &tm);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	if (tm.tm_gmtoff == 0)
		snprintf(text + n, sizeof(text) - n, "Z");
	else
		snprintf(text + n, sizeof(text) - n, "%c%02ld:%02ld", tm.tm_gmtoff < 0 ? '-' : '+',
		    labs(tm.tm_gmtoff) / 3600, labs(tm.tm_gmtoff) / 60 % 60);
	return arena_strdup(&c->mem, text);
}

/* At most two units, the larger first: "1h2m ago", "4s ago". */
const char *
potter_ago(struct potter_call *c, int64_t wall_ns)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = { { 31536000, "y" }, { 2592000, "mo" }, { 86400, "d" }, { 3600, "h" },
		{ 60, "m" }, { 1, "s" } };
	int64_t now = clock_wall_ns(), s = (now - wall_ns) / NS_PER_SEC;
	const char *way = s < 0 ? "from now" : "ago";
	autobuf struct buf text = BUF_INIT;
	int shown = 0;

	if (wall_ns == 0)
		return "";
	s = s < 0 ? -s : s;
	if (s == 0)
		return arena_strdup(&c->mem, "0s ago");
	for (size_t i = 0; i < NELEM(units) && shown < 2; i++) {
		if (s < units[i].seconds) {
			if (shown > 0)
				break;
			continue;
		}
		buf_addf(&text, "%lld%s", (long long)(s / units[i].seconds), units[i].unit);
		s %= units[i].seconds;
		shown++;
	}
	return arena_printf(&c->mem, "%s %s", buf_str(&text), way);
}

int64_t
potter_ns(const json_t *object, const char *key)
{
	int64_t ns;

	return clock_parse_rfc3339(json_str(object, key, ""), &ns) ? ns : 0;
}

const char *
potter_when(struct potter_call *c, const json_t *object, const char *key)
{
	int64_t ns = potter_ns(object, key);

	return ns == 0 ? "N/A" : potter_time(c, ns);
}

const char *
potter_ibytes(struct potter_call *c, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	size_t i = 0;

	while (bytes >= 1024 && i + 1 < NELEM(units)) {
		bytes /= 1024;
		i++;
	}
	return bytes < 10 && i > 0 ? arena_printf(&c->mem, "%.1f %s", bytes, units[i])
				   : arena_printf(&c->mem, "%.0f %s", bytes, units[i]);
}

void
potter_json(const json_t *v)
{
	json_dumpf(v, stdout, JSON_INDENT(4) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	putchar('\n');
}

/* ---- tables ---- */

void
potter_row(struct potter_lines *l, const char *fmt, ...)
{
	va_list ap;
	char *line = NULL;

	va_start(ap, fmt);
	int n = vasprintf(&line, fmt, ap);
	va_end(ap);
	for (char *p = line; n > 0 && *p != '\0'; p++) {
		if (*p == '\n')
			*p = ' ';
		else if (*p == '|')
			*p = CELL;
	}
	buf_addf(&l->text, "%s\n", n >= 0 ? line : "");
	free(line);
}

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t
width(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static char ***
split_rows(struct potter_call *c, struct potter_lines *l, size_t *rows, size_t **columns)
{
	char **line = str_split(&c->mem, buf_str(&l->text), '\n', rows);

	if (*rows > 0)
		(*rows)--; /* what follows the last newline */
	char ***cell = arena_array(&c->mem, *rows + 1, char **);
	*columns = arena_array(&c->mem, *rows + 1, size_t);
	for (size_t i = 0; i < *rows; i++)
		cell[i] = str_split(&c->mem, line[i], CELL, &(*columns)[i]);
	return cell;
}

enum { COLUMNS_MAX = 32 };

void
potter_print_list(struct potter_call *c, struct potter_lines *l, const char *indent)
{
	size_t rows, *columns, wide[COLUMNS_MAX] = { 0 };
	char ***cell = split_rows(c, l, &rows, &columns);

	for (size_t i = 0; i < rows; i++)
		for (size_t k = 0; k < columns[i] && k < COLUMNS_MAX; k++) {
			if (cell[i][k][0] == '\0')
				cell[i][k] = arena_strdup(&c->mem, "<none>");
			if (width(cell[i][k]) > wide[k])
				wide[k] = width(cell[i][k]);
		}
	for (size_t i = 0; i < rows; i++) {
		fputs(indent, stdout);
		for (size_t k = 0; k < columns[i] && k < COLUMNS_MAX; k++) {
			bool last = k + 1 == columns[i];
			fputs(cell[i][k], stdout);
			if (!last)
				printf("%*s", (int)(wide[k] - width(cell[i][k]) + 2), "");
		}
		putchar('\n');
	}
	buf_reset(&l->text);
}

void
potter_print_kv(struct potter_call *c, struct potter_lines *l, const char *indent)
{
	size_t rows, *columns, wide = 0;
	char ***cell = split_rows(c, l, &rows, &columns);

	for (size_t i = 0; i < rows; i++)
		if (width(cell[i][0]) > wide)
			wide = width(cell[i][0]);
	for (size_t i = 0; i < rows; i++) {
		const char *value = columns[i] > 1 && cell[i][1][0] != '\0' ? cell[i][1] : "<none>";
		printf("%s%s%*s = %s\n", indent, cell[i][0], (int)(wide - width(cell[i][0])), "",
		    value);
	}
	buf_reset(&l->text);
}

/* ---- pieces that several commands show ---- */

void
potter_show_jobs(struct potter_call *c, const json_t *stubs)
{
	struct potter_lines l = { .text = BUF_INIT };
	size_t i;
	json_t *j;

	potter_row(&l, "ID|Type|Priority|Status|Submit Date");
	json_array_foreach (stubs, i, j) {
		bool stop = json_bool(j, "Stop", false);
		const char *status = json_str(j, "Status", "");
		const char *kind = json_is_object(json_object_get(j, "Periodic")) ||
					   json_bool(j, "Periodic", false)
				       ? "/periodic"
				   : json_bool(j, "ParameterizedJob", false) ? "/parameterized"
									     : "";
		potter_row(&l, "%s|%s%s|%lld|%s%s|%s", json_str(j, "ID", ""),
		    json_str(j, "Type", ""), kind, (long long)json_int(j, "Priority", 0), status,
		    stop ? " (stopped)" : "", potter_time(c, json_int(j, "SubmitTime", 0)));
	}
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

void
potter_show_allocs(struct potter_call *c, const json_t *stubs)
{
	struct potter_lines l = { .text = BUF_INIT };
	size_t i, n = potter_length(c);
	bool verbose = n > 8;
	json_t *a;

	if (json_array_size(stubs) == 0) {
		puts("No allocations placed");
		return;
	}
	potter_row(&l,
	    verbose
		? "ID|Eval ID|Node ID|Node Name|Task Group|Version|Desired|Status|Created|Modified"
		: "ID|Node ID|Task Group|Version|Desired|Status|Created|Modified");
	json_array_foreach (stubs, i, a) {
		int64_t made = json_int(a, "CreateTime", 0), changed = json_int(a, "ModifyTime", 0);
		const char *more =
		    verbose ? arena_printf(&c->mem, "%s|", json_str(a, "EvalID", "")) : "";
		const char *name =
		    verbose ? arena_printf(&c->mem, "|%s", json_str(a, "NodeName", "")) : "";
		potter_row(&l, "%s|%s%s%s|%s|%lld|%s|%s|%s|%s",
		    potter_short(c, json_str(a, "ID", ""), n), more,
		    potter_short(c, json_str(a, "NodeID", ""), n), name,
		    json_str(a, "TaskGroup", ""), (long long)json_int(a, "JobVersion", 0),
		    json_str(a, "DesiredStatus", ""), json_str(a, "ClientStatus", ""),
		    verbose ? potter_time(c, made) : potter_ago(c, made),
		    verbose ? potter_time(c, changed) : potter_ago(c, changed));
	}
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static void
counted_nodes(const json_t *map, const char *indent, const char *what, bool filtered)
{
	const char *key;
	json_t *n;

	json_object_foreach ((json_t *)map, key, n)
		printf("%s* %s \"%s\"%s %lld nodes%s\n", indent, what, key,
		    filtered ? ":" : " exhausted on", (long long)json_integer_value(n),
		    filtered ? " excluded by filter" : "");
}

static void
show_scores(struct potter_call *c, const json_t *rows, const char *indent)
{
	struct potter_lines l = { .text = BUF_INIT };
	size_t i;
	json_t *row, *v;
	const char *name;

	json_array_foreach (rows, i, row) {
		autobuf struct buf head = BUF_INIT, line = BUF_INIT;
		json_object_foreach (json_object_get(row, "Scores"), name, v) {
			buf_addf(&head, "%s|", name);
			buf_addf(&line, "%.3g|", json_number_value(v));
		}
		if (i == 0)
			potter_row(&l, "Node|%sfinal score", buf_str(&head));
		potter_row(&l, "%s|%s%.3g", json_str(row, "NodeID", ""), buf_str(&line),
		    json_number_value(json_object_get(row, "NormScore")));
	}
	potter_print_list(c, &l, indent);
	buf_fini(&l.text);
}

void
potter_show_metrics(struct potter_call *c, const json_t *m, bool scores, const char *indent)
{
	const char *dc;
	json_t *n;

	if (json_int(m, "NodesEvaluated", 0) == 0)
		printf("%s* No nodes were eligible for evaluation\n", indent);
	json_object_foreach (json_object_get(m, "NodesAvailable"), dc, n)
		if (json_integer_value(n) == 0)
			printf("%s* No nodes are available in datacenter \"%s\"\n", indent, dc);
	counted_nodes(json_object_get(m, "ClassFiltered"), indent, "Class", true);
	counted_nodes(json_object_get(m, "ConstraintFiltered"), indent, "Constraint", true);
	if (json_int(m, "NodesExhausted", 0) > 0)
		printf("%s* Resources exhausted on %lld nodes\n", indent,
		    (long long)json_int(m, "NodesExhausted", 0));
	counted_nodes(json_object_get(m, "ClassExhausted"), indent, "Class", false);
	counted_nodes(json_object_get(m, "DimensionExhausted"), indent, "Dimension", false);
	if (scores)
		show_scores(c, json_object_get(m, "ScoreMetaData"), indent);
}

void
potter_show_deployment_groups(struct potter_call *c, const json_t *d, const char *indent)
{
	const json_t *groups = json_object_get(d, "TaskGroups");
	struct potter_lines l = { .text = BUF_INIT };
	bool revert = false, canaries = false;
	const char *name;
	json_t *g;

	json_object_foreach ((json_t *)groups, name, g) {
		revert = revert || json_bool(g, "AutoRevert", false);
		canaries = canaries || json_int(g, "DesiredCanaries", 0) > 0;
	}
	if (json_object_size(groups) == 0)
		return;
	printf("\n%sDeployed\n", indent);
	potter_row(&l, "Task Group|%s%sDesired|%sPlaced|Healthy|Unhealthy|Progress Deadline",
	    revert ? "Auto Revert|" : "", canaries ? "Promoted|" : "", canaries ? "Canaries|" : "");
	json_object_foreach ((json_t *)groups, name, g) {
		int64_t wanted = json_int(g, "DesiredCanaries", 0),
			by = potter_ns(g, "RequireProgressBy");
		autobuf struct buf row = BUF_INIT;
		buf_addf(&row, "%s|", name);
		if (revert)
			buf_addf(&row, "%s|", json_bool(g, "AutoRevert", false) ? "true" : "false");
		if (canaries)
			buf_addf(&row, "%s|",
			    wanted == 0			      ? "N/A"
			    : json_bool(g, "Promoted", false) ? "true"
							      : "false");
		buf_addf(&row, "%lld|", (long long)json_int(g, "DesiredTotal", 0));
		if (canaries && wanted > 0)
			buf_addf(&row, "%lld|", (long long)wanted);
		else if (canaries)
			buf_adds(&row, "N/A|");
		potter_row(&l, "%s%lld|%lld|%lld|%s", buf_str(&row),
		    (long long)json_int(g, "PlacedAllocs", 0),
		    (long long)json_int(g, "HealthyAllocs", 0),
		    (long long)json_int(g, "UnhealthyAllocs", 0),
		    by == 0 ? "N/A" : potter_time(c, by));
	}
	potter_print_list(c, &l, indent);
	buf_fini(&l.text);
}

void
potter_show_deployment(struct potter_call *c, const json_t *d, const char *indent)
{
	struct potter_lines l = { .text = BUF_INIT };

	potter_row(&l, "ID|%s", potter_short(c, json_str(d, "ID", ""), potter_length(c)));
	potter_row(&l, "Job ID|%s", json_str(d, "JobID", ""));
	potter_row(&l, "Job Version|%lld", (long long)json_int(d, "JobVersion", 0));
	potter_row(&l, "Status|%s", json_str(d, "Status", ""));
	potter_row(&l, "Description|%s", json_str(d, "StatusDescription", ""));
	potter_print_kv(c, &l, indent);
	buf_fini(&l.text);
	potter_show_deployment_groups(c, d, indent);
}
