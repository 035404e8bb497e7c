/*
 * fsm.h: states as named rows, moves that are checked.
 *
 *	static const struct fsm_state states[] = {
 *		[DOWN] = { "down", FSM_TO(STARTING) }, … };
 *
 * fsm_move() asserts that the arrow exists: a wrong move is a broken assumption of ours, not input.
 */
#ifndef BASE_FSM_H
#define BASE_FSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fsm_state {
	const char *name;
	uint32_t next; /* bits of the states that may follow */
};

#define FSM_TO(s) (1u << (s))

bool fsm_may(const struct fsm_state *states, int from, int to);
void fsm_move(const struct fsm_state *states, int *state, int to);
int fsm_named(const struct fsm_state *states, size_t n, const char *name); /* -1: unknown */

#endif
