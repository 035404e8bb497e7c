#include "pot/priv.h"
#include "pot/run.h"

#include <string.h>

/*
 * set-status is how the parts of the shell implementation told each other what they did, in a file.
 * Here a pot's state is what runs, so nothing is recorded; the question is answered as the file
 * would have been: is it so already, and if not, might it become so?
 */

enum status { STOPPED, STARTING, STARTED, STOPPING, DOA, STATUSES };

static const struct {
	const char *name;
	unsigned from; /* bits of enum status */
} rows[STATUSES] = {
	[STOPPED] = { "stopped", 1u << STOPPING },
	[STARTING] = { "starting", 1u << STOPPED },
	[STARTED] = { "started", 1u << STARTING },
	[STOPPING] = { "stopping", 1u << STARTED | 1u << DOA | 1u << STOPPED },
	[DOA] = { "doa", 1u << STARTING },
};

int
pot_status_ask(struct pot_env *env, const char *name, const char *status,
    enum pot_status_answer *answer, char link[16], struct err *e)
{
	static const enum status now_of[] = { [POT_STOPPED] = STOPPED,
		[POT_RUNNING] = STARTED,
		[POT_STARTING] = STARTING,
		[POT_STOPPING] = STOPPING,
		[POT_UNKNOWN] = DOA };
	autoarena struct arena mem = ARENA_INIT;
	struct pot_state state;
	struct pot_spec *spec;
	size_t wanted = 0;

	link[0] = '\0';
	while (wanted < STATUSES && strcmp(rows[wanted].name, status) != 0)
		wanted++;
	if (wanted == STATUSES)
		return err_new(e, ERR_INPUT,
		    "'%s' is none of starting, started, stopping, stopped, doa", status);
	if (pot_spec_load(env, name, &mem, &spec, e) < 0 ||
	    pot_state(env, name, &mem, &state, e) < 0)
		return -1;
	enum status now = now_of[state.running];
	*answer = now == wanted				 ? POT_STATUS_ALREADY
		  : (rows[wanted].from & 1u << now) != 0 ? POT_STATUS_ALLOWED
							 : POT_STATUS_REFUSED;
	if (wanted == STOPPING)
		str_copy(link, 16, state.link);
	return 0;
}
