/* /ui/: one page, embedded when this is built. */
#include "api/call.h"
#include "ui_page.h"

#include <string.h>

static void
run_root(struct call *c)
{
	if (c->api->c.no_ui) {
		call_fail(c, 404, "the user interface is switched off");
		return;
	}
	http_set(c->req, "Location", "/ui/");
	http_reply(c->req, 307, NULL, "", 0);
}

static void
run_page(struct call *c)
{
	if (c->api->c.no_ui) {
		call_fail(c, 404, "the user interface is switched off");
		return;
	}
	http_set(c->req, "Content-Security-Policy",
	    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
	    "connect-src 'self'; frame-ancestors 'none'");
	http_set(c->req, "X-Content-Type-Options", "nosniff");
	http_reply(c->req, 200, "text/html; charset=utf-8", ui_page, strlen(ui_page));
}

const struct route ui_routes[] = {
	{ .methods = "GET", .pattern = "/", .run = run_root, .local = true },
	{ .methods = "GET", .pattern = "/ui", .run = run_root, .local = true },
	{ .methods = "GET", .pattern = "/ui/*", .run = run_page, .local = true },
	{ .pattern = NULL },
};
