/*
 * pf.h: what pf(4) is told for pots, as text: rules, and lines of pf.conf. Knows no system.
 *
 * The anchors are those of the shell implementation, "pot-nat" and "pot-rdr/…", with a sub-anchor
 * for each run; and one of our own, "pot-filter", which keeps bridges apart.
 */
#ifndef PLATFORM_PF_PF_H
#define PLATFORM_PF_PF_H

#include "base/buf.h"
#include "platform/filter.h"

#define PF_NAT_ANCHOR	 "pot-nat"
#define PF_RDR_ANCHOR	 "pot-rdr"
#define PF_RDR_ALL	 "pot-rdr/*"
#define PF_FILTER_ANCHOR "pot-filter"
#define PF_LOOPED	 "pot-local"   /* tag: the host's own, to an exported port */
#define PF_HAIRPIN	 "pot-hairpin" /* tag: came from a bridge to an exported port */
enum { PF_NAME = 16, PF_EXTERNALS = 16, PF_BRIDGES = 64 };

struct pf_bridge {
	bool open;	    /* the public one */
	char name[PF_NAME]; /* of its interface */
	struct ipnet net4;  /* its address and prefix; family 0: none */
};

/* A network as pf has to know it: names are real ones. What rules for ports need of it is kept as
 * text between calls (pf_net_write, pf_net_parse). */
struct pf_net {
	struct pf_bridge bridges[PF_BRIDGES];
	size_t n_bridges;
	struct {
		char name[PF_NAME];
		struct ip address; /* family 0: any of the interface's */
	} entries[PF_EXTERNALS];
	size_t n_entries; /* 0: by any interface */
	bool isolated;
};

void pf_nat_rules(const struct filter_net *n, const struct pf_net *net, const char *external4,
    const char *external6, struct buf *out);
void pf_filter_rules(const struct filter_net *n, const struct pf_net *net, struct buf *out);
void pf_rdr_rules(
    const struct pf_net *net, const struct filter_port *ports, size_t n, struct buf *out);

void pf_net_write(const struct pf_net *net, struct buf *out);
int pf_net_parse(const char *text, struct pf_net *out, struct err *e);

/* "tcp 8080 10.192.0.3 80", a line for each port. */
void pf_ports_write(const struct filter_port *ports, size_t n, struct buf *out);
/* Adds to *all, *n; `run` is put into each. Lines that it does not understand are left out. */
void pf_ports_parse(const char *text, const char *run, struct filter_entries *all);
/* The same from what pfctl(8) shows of translation rules: those of others, for what they take. */
void pf_shown_ports(const char *text, const char *run, struct filter_entries *all);

/* ---- lines of pf.conf, or of what pfctl(8) shows ---- */

/* kind: "nat-anchor", "rdr-anchor", "anchor". How many lines call that anchor. */
unsigned pf_calls(const char *text, const char *kind, const char *anchor);
/* A copy that calls each of our anchors once, where pf's order of rules wants it; false: it did so
 * already, and *out is a plain copy. */
bool pf_conf_add(const char *text, struct buf *out);
/* A copy without them; false: there were none. */
bool pf_conf_drop(const char *text, struct buf *out);
/* The value of a line name="value" as rc.conf(5) has them, the last one; false: there is none. */
bool pf_rc_value(const char *text, const char *name, char *out, size_t size);

#endif
