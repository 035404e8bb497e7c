#include "platform/limits.h"
#include "pot/priv.h"
#include "pot/run.h"

#include <string.h>
#include <unistd.h>

/*
 * Which running pots are bound to which processors.
 */

enum { CPUS = 1024 };

/* The set "0-1,3"; how many, 0 when it is not understood. */
static unsigned
read_set(const char *text, unsigned count, bool set[CPUS])
{
	unsigned n = 0;

	memset(set, 0, CPUS * sizeof(*set));
	if (*text == '\0' || !pin_check(text))
		return 0;
	for (const char *p = text; *p != '\0'; p += *p == ',') {
		char *end;
		unsigned long first = strtoul(p, &end, 10), last = first;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < count; first++) {
			n += !set[first];
			set[first] = true;
		}
		p = end;
	}
	return n;
}

static char *
write_set(const bool set[CPUS], unsigned count, struct arena *mem)
{
	char *text = arena_strdup(mem, "");

	for (unsigned i = 0; i < count; i++)
		if (set[i])
			text = arena_printf(mem, "%s%s%u", text, *text != '\0' ? "," : "", i);
	return text;
}

/* Bound to some, not to all of them. */
static bool
bound(const struct pot_cpu_use *u, unsigned count, bool set[CPUS])
{
	unsigned n = read_set(u->cpus, count, set);

	return n > 0 && n < count;
}

static void
count_used(struct pot_cpus *c)
{
	bool set[CPUS];

	for (size_t i = 0; i < c->n; i++)
		for (unsigned k = 0; bound(&c->at[i], c->count, set) && k < c->count; k++)
			c->used[k] += set[k];
}

int
pot_cpus(struct pot_env *env, struct arena *mem, struct pot_cpus *out, struct err *e)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	struct pot_row *rows;
	size_t n;

	*out = (struct pot_cpus){ .count = online < 1	   ? 1
					   : online > CPUS ? CPUS
							   : (unsigned)online };
	if (pot_list(env, true, mem, &rows, &n, e) < 0)
		return -1;
	out->used = arena_array(mem, out->count, unsigned);
	out->at = arena_array(mem, n + 1, struct pot_cpu_use);
	for (size_t i = 0; i < n; i++) {
		struct pot_usage u;
		struct err gone = ERR_INIT;
		if (pot_usage(env, rows[i].name, false, mem, &u, &gone) < 0 || !u.running)
			continue;
		out->at[out->n++] = (struct pot_cpu_use){ .pot = rows[i].name,
			.wanted = rows[i].spec != NULL ? rows[i].spec->rss_cpus : 0,
			.cpus = u.cpus };
	}
	count_used(out);
	return 0;
}

char *
pot_cpus_least(const struct pot_cpus *c, unsigned count, struct arena *mem)
{
	bool chosen[CPUS] = { false };
	char *text = arena_strdup(mem, "");

	if (count >= c->count)
		return text;
	for (unsigned n = 0; n < count; n++) {
		unsigned best = c->count;
		for (unsigned i = 0; i < c->count; i++)
			if (!chosen[i] && (best == c->count || c->used[i] < c->used[best]))
				best = i;
		chosen[best] = true;
	}
	return write_set(chosen, c->count, mem);
}

static bool
uneven(const struct pot_cpus *c)
{
	unsigned least = c->used[0], most = c->used[0];

	for (unsigned i = 1; i < c->count; i++) {
		least = c->used[i] < least ? c->used[i] : least;
		most = c->used[i] > most ? c->used[i] : most;
	}
	return most > least + 1;
}

static int
move(struct pot_env *env, const struct pot_cpu_use *u, struct err *e)
{
	const struct limits want = { .cpuset = u->moved };
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1];
	struct run r;

	if (run_read(env, u->pot, &r, e) < 0 ||
	    env->host->limits->update(env->host, run_group(&r, group), &want, e) < 0)
		return e->kind == ERR_ABSENT ? 0
					     : err_ctx(e, "bind pot %s to %s", u->pot, u->moved);
	return 0;
}

/* Pinned ones are where somebody wants them. */
static bool
pinned(struct pot_env *env, const char *name)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;
	struct pot_spec *s;

	return pot_spec_load(env, name, &mem, &s, &e) < 0 || *s->rss_pin != '\0';
}

int
pot_cpus_rebalance(
    struct pot_env *env, bool apply, struct arena *mem, struct pot_cpus *c, struct err *e)
{
	unsigned next = 0;
	int moves = 0;
	bool set[CPUS];

	if ((apply && need_root("rebalance", e) < 0) || pot_cpus(env, mem, c, e) < 0)
		return -1;
	for (size_t i = 0; i < c->n && uneven(c); i++) {
		struct pot_cpu_use *u = &c->at[i];
		unsigned n = read_set(u->cpus, c->count, set);
		if (!bound(u, c->count, set) || pinned(env, u->pot))
			continue;
		memset(set, 0, sizeof(set));
		for (; n > 0; n--, next = (next + 1) % c->count)
			set[next] = true;
		char *to = write_set(set, c->count, mem);
		if (strcmp(to, u->cpus) == 0)
			continue;
		u->moved = to;
		if (env->host->limits->bind_command != NULL) {
			autofree char *command = env->host->limits->bind_command(u->pot, to);
			u->command = arena_strdup(mem, command);
		}
		moves++;
	}
	for (size_t i = 0; i < c->n && apply; i++)
		if (c->at[i].moved != NULL && move(env, &c->at[i], e) < 0)
			return -1;
	return moves;
}
