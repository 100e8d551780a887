/* SPDX-License-Identifier: MIT */
/* What a driver wants to be called for each processor: for the one that there is. */
#define _GNU_SOURCE 1

#include <linux/cpuhotplug.h>
#include <linux/errno.h>

#include "kit.h"

/* States at once, of all drivers; the first numbers are those of enum cpuhp_state. */
#define FIRST_STATE 3
#define NR_STATES 32

static struct state {
	struct shrinker_kit_cpuhp callbacks;
	bool is_used;
} states[NR_STATES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int take_state(struct shrinker_kit_cpuhp callbacks)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < NR_STATES && states[i].is_used; i++)
		;
	if (i < NR_STATES)
		states[i] = (struct state){ callbacks, true };
	pthread_mutex_unlock(&lock);
	return i < NR_STATES ? i : -ENOSPC;
}

static void give_state(int i)
{
	pthread_mutex_lock(&lock);
	states[i].is_used = false;
	pthread_mutex_unlock(&lock);
}

/* A state in use, by its number; NULL, and a failure: there is none. */
static struct state *state_of(int number, const char *call)
{
	int i = number - FIRST_STATE;

	if (i >= 0 && i < NR_STATES && states[i].is_used)
		return &states[i];
	kit_fail("%s with %d, which is no state that cpuhp_setup_state() returned", call,
		 number);
	return NULL;
}

int shrinker_kit_cpuhp_setup(struct shrinker_kit_cpuhp callbacks, bool calls,
			     const char *place)
{
	int i, error = 0;

	shrinker_kit_might_sleep(place);
	i = take_state(callbacks);
	if (i < 0)
		return i;
	if (calls && callbacks.startup)
		error = callbacks.startup(0);
	if (!error && !kit_made("cpuhp state", &states[i], "", place)) {
		if (calls && callbacks.teardown)
			callbacks.teardown(0);
		error = -ENOMEM;
	}
	if (error)
		give_state(i);
	return error ? error : i + FIRST_STATE;
}

void shrinker_kit_cpuhp_remove(int number, bool calls, const char *place)
{
	struct state *state = state_of(number, "cpuhp_remove_state()");

	shrinker_kit_might_sleep(place);
	if (!state || !kit_end_made("cpuhp state", state, "cpuhp_remove_state()", place))
		return;
	if (calls && state->callbacks.teardown)
		state->callbacks.teardown(0);
	give_state((int)(state - states));
}

int shrinker_kit_cpuhp_instance(int number, struct hlist_node *node, bool starts)
{
	struct state *state = state_of(number, starts ? "cpuhp_state_add_instance()" :
							"cpuhp_state_remove_instance()");
	int (*callback)(unsigned int cpu, struct hlist_node *node);

	if (!state)
		return -EINVAL;
	callback = starts ? state->callbacks.startup_one : state->callbacks.teardown_one;
	return callback ? callback(0, node) : 0;
}
