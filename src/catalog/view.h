/*
 * view.h: the inside of struct catalog; for this folder's files only.
 *
 * view.c finds rows, render.c writes them as Consul's JSON, http.c routes requests and blocks them,
 * agent.c takes registrations, checks.c watches what was registered, kv.c serves keys and values;
 * answer.c makes DNS answers, dnsd.c moves them, forward.c asks other resolvers.
 */
#ifndef CATALOG_VIEW_H
#define CATALOG_VIEW_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "catalog/catalog.h"
#include "codec/base64.h"
#include "codec/dns.h"
#include "codec/json.h"
#include "io/http.h"

#include <sys/socket.h>

/* The version of Consul whose API this is; the part behind + names us. */
#define CATALOG_VERSION "1.8.7+potter"

struct dnsd;
struct check_watch;

struct catalog {
	struct loop *loop;
	struct state *state;
	struct arena mem; /* configuration */
	struct catalog_hooks hooks;
	const char *datacenter, *node_name, *node_id, *address, *domain, *resolv_conf;
	struct objs own; /* struct service_row of the agent itself */
	struct http_server *http;
	struct map checks;	   /* check id -> struct check_watch */
	struct state_watch *watch; /* of the rows, for checks */
	VEC(struct dnsd *) dnsd;
	struct block *blocks; /* requests that wait for a change; see http.c */
};

/* ---- view.c ---- */

/* Where a row runs. Never NULL texts. */
struct place {
	const char *id, *node, *address, *datacenter;
	const struct strmap *meta; /* may be NULL */
	int64_t create_index, modify_index;
};
struct place place_of(const struct catalog *c, const struct service_row *row);
struct place place_of_node(
    const struct catalog *c, const struct node *n); /* NULL: the agent itself */

/* The instances of a service, the agent's own first. Names are compared as they are, or without
 * regard to case for DNS. The caller owns the array. */
struct rows instances_of(const struct catalog *c, const char *service, bool any_case);
struct rows all_instances(const struct catalog *c);
bool is_agents(
    const struct catalog *c, const struct service_row *row); /* of this agent's node, or by hand */
const char *instance_address(
    const struct catalog *c, const struct service_row *row); /* own, or the node's */
bool str_same(const char *a, const char *b);		     /* without regard to case */

/* ---- render.c ---- */
void render_node(const struct place *p, struct jsonw *w);
void render_agent_service(const struct catalog *c, const struct service_row *row, struct jsonw *w);
void render_catalog_service(
    const struct catalog *c, const struct service_row *row, struct jsonw *w);
void render_health(const struct catalog *c, const struct service_row *row, struct jsonw *w);
void render_check(const struct catalog *c, const struct service_row *row,
    const struct check_state *k, struct jsonw *w);
void render_serf(const struct place *p, bool alive, struct jsonw *w);
void render_strs(struct jsonw *w, const struct strs *list);

/* ---- http.c ---- */
void catalog_handle(struct http_req *r, void *ctx);
void blocks_free(struct catalog *c);
void reply_json(struct http_req *r, struct buf *body); /* 200; indented where ?pretty asks */
void set_index(struct http_req *r, uint64_t index);
/* Answers 500 or 400 with the error, after propose() failed. */
void reply_err(struct http_req *r, const struct err *e);

/* ---- agent.c, kv.c: handlers; each ends the request ---- */
void agent_register_service(struct catalog *c, struct http_req *r);
void agent_deregister_service(struct catalog *c, struct http_req *r, const char *id);
void agent_register_check(struct catalog *c, struct http_req *r);
void agent_deregister_check(struct catalog *c, struct http_req *r, const char *id);
void agent_update_check(
    struct catalog *c, struct http_req *r, const char *id, const char *status, const char *note);
void kv_put(struct catalog *c, struct http_req *r, const char *key);
void kv_delete(struct catalog *c, struct http_req *r, const char *key);
/* False: nothing there (404). *index: what the answer's index is. */
bool kv_render(struct catalog *c, struct http_req *r, const char *key, struct jsonw *w);
uint64_t kv_index(const struct catalog *c, const struct http_req *r, const char *key);

/* ---- checks.c ---- */
void checks_follow(struct catalog *c); /* the rows have changed */
void checks_free(struct catalog *c);
void checks_refresh_ttl(struct catalog *c, const char *check_id); /* a report has come */
/* Proposes the row with another status of one of its checks. */
int checks_report(struct catalog *c, const struct service_row *row, const char *check_id,
    const char *status, const char *output, catalog_done *done, void *arg, struct err *e);
/* The row that has this check, or NULL. */
const struct service_row *checks_find(
    const struct catalog *c, const char *check_id, const struct check_state **check);
const char *checks_worst(const struct service_row *row);

/* ---- answer.c ---- */
enum answer_kind { ANSWER_DONE, ANSWER_FORWARD };
/* Writes the whole answer to w, or says that the name is not ours. seed: for the order of answers.
 */
enum answer_kind dns_answer(const struct catalog *c, const struct dns_query *q, bool udp,
    bool recurse, uint64_t seed, struct dns_writer *w);
/* An answer without records. */
void dns_answer_code(
    const struct dns_query *q, bool udp, bool recurse, enum dns_rcode code, struct dns_writer *w);

/* ---- dnsd.c ---- */
struct dnsd *dnsd_new(struct catalog *c, const struct catalog_listen *l, struct err *e);
void dnsd_free(struct dnsd *d);
uint16_t dnsd_port(const struct dnsd *d);
bool dnsd_address(const struct dnsd *d, struct sockaddr_storage *at, socklen_t *len);

/* ---- forward.c ---- */
struct forwarder;
/* reply: a whole message with the asked id; NULL: nobody answered. Called once, later. */
typedef void forward_fn(void *arg, const void *reply, size_t len);
struct forwarder *forwarder_new(struct catalog *c);
void forwarder_free(struct forwarder *f); /* who waits is called with NULL */
/* False: too many under way, or nobody to ask. */
bool forward(
    struct forwarder *f, const void *query, size_t len, bool tcp, forward_fn *fn, void *arg);

#endif
