/* SPDX-License-Identifier: MIT */
/*
 * Whether the counter that an end prints is possible, and if not, why.
 *
 * Two walkers may change a counter in one order and print their lines in another, and
 * a removed cgroup's counter is added to another one.  So a wrong end waits:
 *
 * 1. It is explained when its pass can have found what it needs, at a time that its
 *    lines allow: by a start that was printed late, by an end that is printed late, or
 *    by idle slots that were added.
 * 2. It is confirmed when a later line finds just what it left.  A start that adopts its
 *    counter instead refutes it: no known pass has left what that start finds.
 *
 * Both together make it exact.  A wrong number may find the first by chance.
 */
#include "replay/state.h"
#include "scan.h"

/* --- wrong ends that wait --------------------------------------------------- */

static void count_adoption(struct trace_replay_tally *tally,
			   struct counter_set *set, uint64_t pass)
{
	tally->adopted++;
	slot_worlds_count_adoption(&set->worlds, pass);
}

/* The last one moves into the gap. */
static void count_exact(struct trace_replay_tally *tally,
			struct counter_set *set, struct wrong_end *end)
{
	tally->exact++;
	tally->overlaps += end->needed != 0;
	if (end->adopted)
		count_adoption(tally, set, end->pass);
	tally->reordered += end->how == REORDERED;
	tally->merged += end->how == MERGED;
	*end = set->waiting[--set->nr_waiting];
}

static void count_wrong(struct trace_replay *replay,
			struct shrinker_state *shrinker, int reading,
			struct counter_set *set, struct wrong_end *end)
{
	shrinker->tallies[reading].reasons[end->problem.reason]++;
	replay_add_problem(replay, shrinker, reading, end->problem);
	*end = set->waiting[--set->nr_waiting];
}

static bool may_be_order(int reason)
{
	return reason == TRACE_REPLAY_NEW_MERGED ||
	       reason == TRACE_REPLAY_NEW_OTHER ||
	       reason == TRACE_REPLAY_NEW_UNEXPLAINED;
}

/*
 * A line says that a counter held @before, which may be what a wrong end has left, and
 * then @seen, which may be what it has found.
 */
static void tell_waiting(struct trace_replay *replay,
			 struct shrinker_state *shrinker, int reading,
			 struct counter_set *set, const struct open_pass *pass,
			 uint64_t time, int64_t before, int64_t seen)
{
	unsigned int i = 0;

	while (i < set->nr_waiting) {
		struct wrong_end *end = &set->waiting[i];

		if (set->worlds.clock - end->tick > MAX_WAITING_LINES) {
			count_wrong(replay, shrinker, reading, set, end);
			continue;
		}
		if (end->needed == seen && end->pass != pass->number &&
		    may_be_order(end->problem.reason) &&
		    time <= end->time + TRACE_REPLAY_WINDOW_NS)
			end->problem.reason = TRACE_REPLAY_NEW_ORDER;
		if (before && before == end->left && pass->memcg == end->memcg)
			end->confirmed = true;
		if (end->confirmed && end->how != NOT_EXPLAINED)
			count_exact(&shrinker->tallies[reading], set, end);
		else
			i++;
	}
}

/* A start has adopted its counter. */
static void refute_waiting(struct trace_replay *replay,
			   struct shrinker_state *shrinker, int reading,
			   struct counter_set *set, uint64_t memcg)
{
	unsigned int i = 0;

	while (i < set->nr_waiting) {
		struct wrong_end *end = &set->waiting[i];

		if (end->how != NOT_EXPLAINED && end->memcg == memcg)
			count_wrong(replay, shrinker, reading, set, end);
		else
			i++;
	}
}

/*
 * The wrong end that found what @pass left, although the end of @pass is printed only
 * now.  NULL where there is none.
 */
static struct wrong_end *found_before(struct counter_set *set,
				      const struct open_pass *pass,
				      int64_t needed, int64_t new_nr)
{
	unsigned int i;

	for (i = 0; i < set->nr_waiting; i++) {
		struct wrong_end *end = &set->waiting[i];

		if (end->how == NOT_EXPLAINED && end->needed == new_nr &&
		    end->held == needed && end->memcg == pass->memcg &&
		    end->task != pass->pid && pass->time <= end->time)
			return end;
	}
	return NULL;
}

/* --- starts and ends -------------------------------------------------------- */

int replay_start_counter(struct trace_replay *replay,
			 struct shrinker_state *shrinker, int reading,
			 const struct open_pass *pass, uint64_t earliest,
			 const struct trace_text_event *start)
{
	struct counter_set *set = replay_counters(shrinker, pass->nid, reading);
	struct slot_line line = { pass->number, earliest, start->time,
				  pass->pid };

	if (!set)
		return 0;
	if (slot_worlds_start(&set->worlds, &line, pass->nr, pass->memcg))
		return -1;
	if (set->nr_waiting) {
		tell_waiting(replay, shrinker, reading, set, pass, start->time,
			     pass->nr, pass->nr);
		if (slot_worlds_adopted(&set->worlds, pass->number))
			refute_waiting(replay, shrinker, reading, set,
				       pass->memcg);
	}
	return 0;
}

/* Why a counter is impossible, as far as the lines before tell. */
static int explain(const struct trace_replay *replay,
		   const struct counter_set *set, const struct open_pass *pass,
		   int64_t needed, struct slot_end end, uint64_t time)
{
	if (pass->losses != replay->nr_losses)
		return TRACE_REPLAY_NEW_LOST;
	if (slot_worlds_saw(&set->worlds, pass->number, needed, time,
			    TRACE_REPLAY_WINDOW_NS))
		return TRACE_REPLAY_NEW_ORDER;
	if (end.late_start)
		return TRACE_REPLAY_NEW_LATE;
	if (end.merged >= least_merged(end.value))
		return TRACE_REPLAY_NEW_MERGED;
	if (end.merged)
		return TRACE_REPLAY_NEW_OTHER;
	return TRACE_REPLAY_NEW_UNEXPLAINED;
}

static enum how_explained how_explained(struct slot_end counter, bool merges)
{
	if (counter.late_start)
		return REORDERED;
	if (merges && counter.merged >= least_merged(counter.value))
		return MERGED;
	return NOT_EXPLAINED;
}

/* What the pass is counted as if nothing explains it. */
static struct trace_replay_problem
problem_of(const struct trace_replay *replay, const struct counter_set *set,
	   const struct open_pass *pass, const struct trace_text_event *end,
	   int64_t next, struct slot_end counter)
{
	struct trace_replay_problem problem = {
		.line = end->line,
		.start_line = pass->line,
		.recorded = pass->recorded,
		.computed = pass->computed,
		.priority = pass->in.priority,
		.reason = (uint16_t)pass->reason,
	};

	if (pass->reason)
		return problem;
	problem.recorded = end->new_nr;
	problem.computed = wrap_add(counter.value, next);
	problem.reason = TRACE_REPLAY_UNTRACKED;
	if (counter.verdict != SLOT_UNBOUND)
		problem.reason = (uint16_t)explain(replay, set, pass,
						   wrap_sub(end->new_nr, next),
						   counter, end->time);
	return problem;
}

static bool may_wait(int reason)
{
	return may_be_order(reason) || reason == TRACE_REPLAY_NEW_ORDER ||
	       reason == TRACE_REPLAY_NEW_LATE;
}

static void add_waiting(struct trace_replay *replay,
			struct shrinker_state *shrinker, int reading,
			struct counter_set *set, struct wrong_end end)
{
	/* The first one is mostly the one that has waited for longest. */
	if (set->nr_waiting == MAX_WAITING)
		count_wrong(replay, shrinker, reading, set, &set->waiting[0]);
	set->waiting[set->nr_waiting++] = end;
}

void replay_end_counter(struct trace_replay *replay,
			struct shrinker_state *shrinker, int reading,
			const struct open_pass *pass,
			const struct trace_text_event *end, int64_t next)
{
	struct counter_set *set = replay_counters(shrinker, pass->nid, reading);
	struct trace_replay_tally *tally = &shrinker->tallies[reading];
	struct slot_line line = { pass->number, pass->time, end->time,
				  pass->pid };
	int64_t needed = wrap_sub(end->new_nr, next);
	/* Cgroups share one counter in older eras. */
	bool merges = replay->era == PASS_ERA_C;
	struct trace_replay_problem problem;
	struct wrong_end *found;
	struct slot_end counter;

	if (!set)
		return;
	found = found_before(set, pass, needed, end->new_nr);
	counter = slot_worlds_end(&set->worlds, &line, next, end->new_nr,
				  found ? &found->left : NULL, merges);
	tally->cost += counter.verdict == SLOT_WRONG;
	tally->cost += counter.adopted;
	if (counter.found_counted) {
		tally->adopted--;
		tally->reordered++;
		tally->cost--;
	}
	if (found && counter.verdict == SLOT_EXACT)
		found->how = REORDERED;
	tell_waiting(replay, shrinker, reading, set, pass, end->time, needed,
		     end->new_nr);
	if (!pass->reason && counter.verdict == SLOT_EXACT) {
		tally->exact++;
		tally->overlaps += needed != 0;
		if (counter.adopted)
			count_adoption(tally, set, pass->number);
		return;
	}
	problem = problem_of(replay, set, pass, end, next, counter);
	if (may_wait(problem.reason)) {
		add_waiting(replay, shrinker, reading, set,
			    (struct wrong_end){
				    .problem = problem,
				    .tick = set->worlds.clock,
				    .time = end->time,
				    .pass = pass->number,
				    .memcg = pass->memcg,
				    .needed = needed,
				    .held = counter.value,
				    .left = end->new_nr,
				    .how = how_explained(counter, merges),
				    .task = pass->pid,
				    .adopted = counter.adopted,
			    });
	} else {
		tally->reasons[problem.reason]++;
		replay_add_problem(replay, shrinker, reading, problem);
	}
}

/* --- the end of the recording ------------------------------------------------ */

static void settle_set(struct trace_replay *replay,
		       struct shrinker_state *shrinker, int reading,
		       struct counter_set *set)
{
	while (set->nr_waiting)
		count_wrong(replay, shrinker, reading, set, &set->waiting[0]);
}

void replay_settle(struct trace_replay *replay, struct shrinker_state *shrinker)
{
	uint32_t i;

	for (i = 0; i < shrinker->nr_nodes; i++)
		settle_set(replay, shrinker, TRACE_REPLAY_BY_NODE,
			   shrinker->nodes[i]);
	if (shrinker->one_set)
		settle_set(replay, shrinker, TRACE_REPLAY_ONE_SET,
			   shrinker->one_set);
}
