/*
 * api.h: how do others ask? Nomad's HTTP API over the server, the state and this node's client.
 *
 * Routes, parameters, errors; no decisions. One struct api per agent, on its loop. Give
 * api_handle() to as many HTTP servers as there are addresses to listen on.
 */
#ifndef API_API_H
#define API_API_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct api;
struct loop;
struct server;
struct client_api;
struct http_req;
struct jsonw;

struct api_config {
	struct loop *loop;
	struct server *server;		 /* NULL: this agent is no server */
	const struct client_api *client; /* NULL: this agent is no client; must outlive the api */
	const char *name;		 /* of the agent: the node's name */
	const char *region, *datacenter, *node_class;
	const char *bind_address; /* for agent/self and members */
	uint16_t port;
	const char *registry_dir;	 /* images served below /registry/; NULL: none */
	const char *const *config_files; /* ended by NULL, for agent/self */
	bool dev;
	bool no_ui; /* nothing at / and /ui/ */
	/* More figures for agent/self's "stats": may be NULL. */
	void (*stats)(void *ctx,
	    void (*emit)(void *emit_ctx, const char *group, const char *key, const char *value),
	    void *emit_ctx);
	/* More gauges for metrics, name and value; may be NULL. */
	void (*gauges)(void *ctx, void (*emit)(void *emit_ctx, const char *name, double value),
	    void *emit_ctx);
	/* PUT /v1/agent/…: reload and the like come by signal. */
	void *ctx;
};

struct api *api_new(const struct api_config *c); /* strings are copied */
void api_free(struct api *a);			 /* after the HTTP servers */
void api_handle(struct http_req *r, void *ctx);	 /* an http_handler; ctx: the api */

#endif
