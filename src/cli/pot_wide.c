/* Pots as a table with many columns: ls -o wide, ps -o wide. */
#include "cli/pot_look.h"
#include "cli/table.h"

#include "base/clock.h"
#include "base/str.h"

/* "3d 04:05", "04:05:06" since then. */
static const char *
since(struct pot_call *c, int64_t when_ns)
{
	int64_t s = when_ns == 0 ? -1 : (clock_wall_ns() - when_ns) / NS_PER_SEC;

	if (s < 0)
		return "-";
	if (s >= 86400)
		return arena_printf(&c->mem, "%lldd %02d:%02d", (long long)(s / 86400),
		    (int)(s / 3600 % 24), (int)(s / 60 % 60));
	return arena_printf(
	    &c->mem, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

/* "8080->80 udp 53" of what is open, else what is wanted. */
static const char *
ports(struct pot_call *c, const struct pot_row *row)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < row->state.n_maps; i++)
		buf_addf(&b, "%s%s%u->%u", b.len > 0 ? " " : "",
		    row->state.maps[i].udp ? "udp:" : "", row->state.maps[i].host_port,
		    row->state.maps[i].pot_port);
	bool open = b.len > 0;
	for (size_t i = 0; !open && row->spec != NULL && i < row->spec->n_ports; i++)
		buf_addf(
		    &b, "%s%s", i > 0 ? " " : "", pot_port_text(&row->spec->ports[i], &c->mem));
	const char *text = b.len > 0 ? arena_strdup(&c->mem, buf_str(&b)) : "-";
	buf_fini(&b);
	return text;
}

static const char *
addresses(struct pot_call *c, const struct pot_spec *s)
{
	if (s == NULL || s->net == POT_NET_INHERIT || *s->ip == '\0')
		return s != NULL && s->net != POT_NET_INHERIT && *s->ip6 != '\0' ? s->ip6 : "-";
	return *s->ip6 != '\0' ? arena_printf(&c->mem, "%s %s", s->ip, s->ip6) : s->ip;
}

void
pot_wide_table(struct pot_call *c, const struct pot_row *rows, size_t n)
{
	static const char *const heads[] = { "NAME", "STATE", "UP", "PID", "TYPE", "BASE",
		"NETWORK", "ADDRESS", "PORTS", "HOSTNAME", "COMMAND", "PATH" };
	autotable struct table t = TABLE_INIT(NELEM(heads));

	for (size_t i = 0; i < NELEM(heads); i++)
		table_cell(&t, paint(c, PAINT_HEAD, heads[i]));
	for (size_t i = 0; i < n; i++) {
		const struct pot_spec *s = rows[i].spec;
		table_cell(&t, rows[i].name);
		table_cell(&t, s == NULL ? paint(c, PAINT_BAD, "corrupted")
					 : paint_state(c, rows[i].state.running));
		table_cell(&t, since(c, rows[i].state.started_ns));
		if (rows[i].state.init_pid != 0)
			table_cellf(&t, "%ld", (long)rows[i].state.init_pid);
		else
			table_cell(&t, "-");
		table_cellf(&t,
		    s == NULL		   ? "-"
		    : s->type == POT_MULTI ? "multi/%u"
					   : "single",
		    s != NULL ? s->level : 0);
		table_cell(&t, s != NULL && *s->base != '\0' ? s->base : "-");
		table_cell(&t, s != NULL ? pot_net_text(s->net) : "-");
		table_cell(&t, addresses(c, s));
		table_cell(&t, ports(c, &rows[i]));
		table_cell(&t, s != NULL ? s->hostname : "-");
		table_cell(&t, s != NULL ? s->cmd : "-");
		table_cell(&t, rows[i].path);
	}
	table_print(&t);
}
