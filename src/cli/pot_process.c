/* The processes of a running pot and what they use: signal, top, get-rss, last-run-stats. */
#include "cli/pot_cli.h"
#include "cli/table.h"

#include "base/clock.h"
#include "base/str.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

/* ---- signal ---- */

static int
list_signals(struct pot_call *c)
{
	bool first = true;

	if (c->json) {
		struct jsonw w = json_begin(c);
		jsonw_array(&w);
		for (int sig = 1; sig <= 64; sig++)
			if (!str_eq(pot_signal_text(sig), "?"))
				jsonw_str(&w, pot_signal_text(sig));
		jsonw_end_array(&w);
		return json_done(c);
	}
	for (int sig = 1; sig <= 64; sig++) {
		const char *name = pot_signal_text(sig);
		if (str_eq(name, "?"))
			continue;
		printf("%s%s", first ? "" : " ", name);
		first = false;
	}
	putchar('\n');
	return 0;
}

static const char *
nearest_signal(const char *name)
{
	const char *names[65];
	size_t n = 0;

	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (int sig = 1; sig <= 64; sig++)
		if (!str_eq(pot_signal_text(sig), "?"))
			names[n++] = pot_signal_text(sig);
	return str_nearest(name, names, n);
}

static int
signal_of(struct pot_call *c, int *out)
{
	const char *name = given_one(c, 's'), *near;
	struct err e;

	if (name == NULL)
		name = "SIGINFO"; /* pot's default; where the system has it */
	*out = pot_signal_named(name, &e);
	if (*out > 0)
		return 0;
	near = nearest_signal(name);
	if (!given(c, 's'))
		return fail_usage(c, "%s is no signal of this system: say which by -s", name);
	return near != NULL
		   ? fail_usage(
			 c, "-s %s: is no signal of this system: did you mean \"%s\"?", name, near)
		   : fail_usage(c, "-s %s: is no signal of this system", name);
}

/* Without -P and -m, the main command: what runs beside the pot's own first process. */
static void
only_main(struct pot_process *hit, size_t *n)
{
	size_t i = 0;

	while (i + 1 < *n && hit[i].inner == 1)
		i++;
	if (*n > 0)
		hit[0] = hit[i];
	*n = *n > 0;
}

static int
signal_chosen(struct pot_call *c, struct pot_signal_options *o)
{
	struct pot_process *hit;
	struct err e;
	size_t n;

	if (pot_signal_to(c->env, given_pot(c), o, &c->mem, &hit, &n, &e) < 0)
		return fail(c, &e) && !given(c, 'f');
	if (!given(c, 'C'))
		return 0;
	if (o->pid == 0 && o->pattern == NULL)
		only_main(hit, &n);
	if (c->json) {
		struct jsonw w = json_begin(c);
		jsonw_array(&w);
		for (size_t i = 0; i < n; i++)
			jsonw_int(&w, hit[i].inner);
		jsonw_end_array(&w);
		return json_done(c);
	}
	for (size_t i = 0; i < n; i++)
		printf("%d\n", (int)hit[i].inner);
	return 0;
}

static int
run_signal(struct pot_call *c)
{
	struct pot_signal_options o = { .pattern = given_one(c, 'm'), .dry_run = given(c, 'C') };
	uint64_t pid = 0;
	struct err e;

	if (given(c, 'l'))
		return list_signals(c);
	if (given_pot(c) == NULL)
		return fail_usage(c, "option -p is mandatory");
	if (given(c, 'P') && given(c, 'm'))
		return fail_usage(c, "-P and -m exclude each other");
	if (given(c, 'P') && (!str_u64(given_one(c, 'P'), INT32_MAX, &pid) || pid == 0))
		return fail_usage(c, "-P %s: is no process number", given_one(c, 'P'));
	if (!given(c, 'C') && signal_of(c, &o.signal) != 0)
		return 1;
	o.pid = (pid_t)pid;
	if (given(c, 'C') || o.pid != 0 || o.pattern != NULL)
		return signal_chosen(c, &o);
	if (pot_signal(c->env, given_pot(c), o.signal, &e) < 0)
		return fail(c, &e) && !given(c, 'f');
	return 0;
}

static const struct pot_option signal_options[] = {
	{ 'p', "pot", COMPLETE_RUNNING, 0, "the pot" },
	{ 's', "signal", COMPLETE_SIGNAL, 0, "its name, with or without SIG, or its number" },
	{ 'P', "pid", 0, 0, "to this process: its number in the pot, else on this machine" },
	{ 'm', "pattern", 0, 0,
	    "to the processes of the pot whose names match this regular expression" },
	{ 'C', NULL, 0, 0, "only print the numbers of the processes, as the pot sees them" },
	{ 'f', NULL, 0, 0, "never fail" },
	{ 'l', NULL, 0, 0, "list the signals" },
	END,
};
const struct pot_command pot_cmd_signal = { "signal", NULL,
	"send a signal to a pot's command, or to other processes of it",
	COMMAND_ROOT | COMMAND_NAME | COMMAND_JSON, signal_options, NULL, run_signal, "Running" };

/* ---- top ---- */

enum { TOP_PAUSE_MS = 2000 };

struct sample {
	struct pot_process *at;
	size_t n;
	int64_t when_ns;
};

/* Percent of one processor since the last sample; -1 when it was not there. */
static double
busy(const struct sample *before, const struct sample *now, const struct pot_process *p)
{
	int64_t elapsed = now->when_ns - before->when_ns;

	for (size_t i = 0; i < before->n && elapsed > 0; i++)
		if (before->at[i].pid == p->pid && before->at[i].start == p->start)
			return (double)(p->cpu_ns - before->at[i].cpu_ns) * 100 / (double)elapsed;
	return -1;
}

static void
top_table(const struct sample *before, const struct sample *now, struct buf *out)
{
	autotable struct table t = TABLE_INIT(8);
	char rss[SIZE_TEXT];

	table_row(&t, "PID", "HOST PID", "UID", "S", "RSS", "%CPU", "TIME", "COMMAND", NULL);
	for (size_t i = 0; i < now->n; i++) {
		const struct pot_process *p = &now->at[i];
		double percent = busy(before, now, p);
		table_cellf(&t, "%d", (int)p->inner);
		table_cellf(&t, "%d", (int)p->pid);
		table_cellf(&t, "%u", p->uid);
		table_cellf(&t, "%c", p->state);
		table_cell(&t, size_text(p->rss_bytes, rss));
		if (percent < 0)
			table_cell(&t, "-");
		else
			table_cellf(&t, "%.1f", percent);
		table_cellf(&t, "%d:%02d", (int)(p->cpu_ns / NS_PER_SEC / 60),
		    (int)(p->cpu_ns / NS_PER_SEC % 60));
		table_cell(&t, p->command);
	}
	table_text(&t, out);
}

static int
top_json(struct pot_call *c, const struct sample *now)
{
	struct jsonw w = json_begin(c);

	jsonw_array(&w);
	for (size_t i = 0; i < now->n; i++) {
		const struct pot_process *p = &now->at[i];
		jsonw_object(&w);
		jsonw_kint(&w, "pid", p->inner);
		jsonw_kint(&w, "host_pid", p->pid);
		jsonw_kuint(&w, "uid", p->uid);
		jsonw_kstr(&w, "name", p->name);
		jsonw_kstr(&w, "command", p->command);
		jsonw_kstr(&w, "state", (char[]){ p->state, '\0' });
		jsonw_kuint(&w, "rss_bytes", p->rss_bytes);
		jsonw_kuint(&w, "cpu_ns", p->cpu_ns);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	return json_done(c);
}

static int
take_sample(struct pot_call *c, struct arena *mem, struct sample *s, struct err *e)
{
	s->when_ns = clock_mono_ns();
	return pot_processes(c->env, given_pot(c), mem, &s->at, &s->n, e);
}

/* Until q, the end of input, or the end of the pot. */
static int
watch(struct pot_call *c, struct sample *last, struct arena mem[2])
{
	struct pollfd key = { .fd = STDIN_FILENO, .events = POLLIN };
	struct err e;

	for (int turn = 1;; turn = !turn) {
		autobuf struct buf text = BUF_INIT;
		struct sample now = { 0 };
		char pressed = 0;
		int ready = poll(&key, 1, TOP_PAUSE_MS);
		if (ready < 0 ||
		    (ready > 0 && (read(STDIN_FILENO, &pressed, 1) <= 0 || pressed == 'q')))
			return 0; /* also at ^C: the terminal is put right */
		arena_fini(&mem[turn]);
		mem[turn] = (struct arena)ARENA_INIT;
		if (take_sample(c, &mem[turn], &now, &e) < 0)
			return e.kind == ERR_ABSENT ? 0 : fail(c, &e);
		top_table(last, &now, &text);
		printf("\033[H\033[J%s", buf_str(&text));
		fflush(stdout);
		*last = now;
	}
}

static int
watch_terminal(struct pot_call *c, struct sample *last, struct arena mem[2])
{
	struct termios saved, raw;
	bool keys = tcgetattr(STDIN_FILENO, &saved) == 0;

	if (keys) {
		raw = saved;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
		call_catch_signals();
	}
	int rc = watch(c, last, mem);
	if (keys)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	return rc;
}

static int
run_top(struct pot_call *c)
{
	struct arena mem[2] = { ARENA_INIT, ARENA_INIT };
	autobuf struct buf text = BUF_INIT;
	struct sample none = { 0 }, now = { 0 };
	struct err e;
	int rc = 0;

	if (take_sample(c, &mem[0], &now, &e) < 0) {
		rc = fail(c, &e);
	} else if (c->json) {
		rc = top_json(c, &now);
	} else {
		bool terminal = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
		top_table(&none, &now, &text);
		printf("%s%s", terminal ? "\033[H\033[J" : "", buf_str(&text));
		fflush(stdout);
		if (terminal)
			rc = watch_terminal(c, &now, mem);
	}
	arena_fini(&mem[0]);
	arena_fini(&mem[1]);
	return rc;
}

static const struct pot_option top_options[] = {
	{ 'p', "pot", COMPLETE_RUNNING, OPTION_MUST, "the pot" },
	END,
};
const struct pot_command pot_cmd_top = { "top", NULL,
	"the processes of a running pot; on a terminal until q is pressed",
	COMMAND_JSON | COMMAND_NAME, top_options, NULL, run_top, "Information" };

/* ---- last-run-stats, get-rss ---- */

static int
run_last_run(struct pot_call *c)
{
	struct err e;
	char *json;

	if (pot_last_run(c->env, given_pot(c), &c->mem, &json, &e) < 0)
		return fail(c, &e);
	puts(json);
	return 0;
}

static const struct pot_option one_pot_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot" },
	END,
};
const struct pot_command pot_cmd_last_run = { "last-run-stats", NULL,
	"how the last run of a pot ended, as JSON", COMMAND_JSON | COMMAND_NAME, one_pot_options,
	NULL, run_last_run, "Information" };

static int
run_get_rss(struct pot_call *c)
{
	struct pot_usage u;
	struct err e;

	if (pot_usage(c->env, given_pot(c), false, &c->mem, &u, &e) < 0)
		return fail(c, &e);
	if (!u.running) {
		err_new(&e, ERR_ABSENT, "pot %s does not run", given_pot(c));
		return fail(c, &e);
	}
	double percent = pot_cpu_percent(c->env, given_pot(c), &u);
	double mhz = (double)pot_clock_mhz() * percent / 100; /* pot calls MHz in use ticks */
	if (given(c, 'J') || c->json) {
		/* the keys, their order and the blanks are what nomad-pot-driver reads */
		printf("{ \"ResourceUsage\": { \"MemoryStats\": { \"RSS\" : %" PRIu64
		       ", \"Swap\" : %" PRIu64
		       " }, \"CpuStats\": { \"TotalTicks\": %.3f, \"Percent\": %d } } }\n",
		    u.rss_bytes, u.swap_bytes, mhz, (int)(percent + 0.5));
		return 0;
	}
	char rss[SIZE_TEXT], swap[SIZE_TEXT], all[SIZE_TEXT];
	printf("\tcpu time (ticks spent)  : %.3f\n\tcpu time (MHz)          : %.3f\n"
	       "\tpcpu (%%)                : %.1f\n\tvirtual memory          : %s\n"
	       "\tphysical memory         : %s\n\tswap memory             : %s\n"
	       "\tprocesses               : %u\n",
	    (double)u.cpu_ns / 1e9, mhz, percent, size_text(u.virtual_bytes, all),
	    size_text(u.rss_bytes, rss), size_text(u.swap_bytes, swap), u.pids);
	return 0;
}

static const struct pot_option get_rss_options[] = {
	{ 'p', "pot", COMPLETE_RUNNING, OPTION_MUST, "the pot" },
	{ 'J', NULL, 0, 0, "as JSON" },
	END,
};
const struct pot_command pot_cmd_get_rss = { "get-rss", NULL, "what a running pot uses",
	COMMAND_ROOT | COMMAND_LOOKS | COMMAND_JSON | COMMAND_NAME, get_rss_options, NULL,
	run_get_rss, "Information" };
