/* Fuzz target: the tags of a service, one a line, all the way to the proxy's configuration. No line
 * of it may begin with what came from a tag. */
#include "ingress/config.h"

#include "base/str.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const listen_on[] = { "127.0.0.1:80", NULL };
	static const struct config_paths paths = {
		.listen = listen_on, .socket = "s", .map = "m", .host_name = "h", .maxconn = 10
	};
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf text = BUF_INIT;
	struct routes_config c = { 0 };
	struct slots slots = { 0 };
	struct service_row row = { .id = "r",
		.service_name = "web",
		.address = "10.0.0.1",
		.port = 80,
		.status = "passing" };
	const struct service_row *rows[] = { &row };

	char *all = arena_strndup(&a, (const char *)data, size);
	for (char *line; (line = strsep(&all, "\n")) != NULL;)
		strs_add(&row.tags, &a, line);
	struct routing *r = routes_build(rows, 1, &c);
	slots_assign(&slots, r);
	config_write(&paths, r, &slots, "d", true, &text);
	for (const char *p = buf_str(&text); (p = strchr(p, '\n')) != NULL;) {
		p++;
		if (strchr("\t#\n", *p) == NULL && !str_starts(p, "backend ") &&
		    !str_starts(p, "frontend ") && !str_starts(p, "defaults\n") &&
		    !str_starts(p, "global\n") && !str_starts(p, "userlist ") && *p != '\0')
			abort();
	}
	slots_fini(&slots);
	routing_free(r);
	return 0;
}
