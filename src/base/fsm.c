#include "base/fsm.h"

#include <assert.h>
#include <string.h>

bool
fsm_may(const struct fsm_state *states, int from, int to)
{
	return from == to || (states[from].next & FSM_TO(to)) != 0;
}

void
fsm_move(const struct fsm_state *states, int *state, int to)
{
	assert(fsm_may(states, *state, to));
	*state = to;
}

int
fsm_named(const struct fsm_state *states, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (states[i].name != NULL && strcmp(states[i].name, name) == 0)
			return (int)i;
	return -1;
}
