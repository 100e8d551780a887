/* SPDX-License-Identifier: MIT */
/*
 * Whether the counter that an end prints is possible, and if not, why.
 *
 * Two walkers may change a counter in one order and print their lines in another.
 * So a wrong end is explained by a line shortly before or after it which says that
 * the counter held what the end needs.
 */
#include "replay/state.h"
#include "scan.h"

void replay_explain_waiting(struct trace_replay *replay,
			    struct trace_replay_tally *tally,
			    struct counter_set *set, uint64_t pass,
			    uint64_t time, int64_t held)
{
	unsigned int i = 0;

	while (i < set->nr_waiting) {
		struct wrong_end *end = &set->waiting[i];
		bool too_late = time > end->deadline;

		if (!too_late && (end->needed != held || end->pass == pass)) {
			i++;
			continue;
		}
		if (!too_late) {
			tally->reasons[end->reason]--;
			tally->reasons[TRACE_REPLAY_NEW_ORDER]++;
			if (end->problem != NO_PROBLEM)
				replay->problems[end->problem].reason =
					TRACE_REPLAY_NEW_ORDER;
		}
		*end = set->waiting[--set->nr_waiting];
	}
}

/* Why a counter is impossible, as far as the lines before tell. */
static int explain(const struct trace_replay *replay,
		   const struct counter_set *set, const struct open_pass *pass,
		   int64_t needed, struct slot_end end, uint64_t time)
{
	const struct slot_worlds *worlds = &set->worlds;
	int64_t extra = wrap_sub(needed, end.value);

	if (pass->losses != replay->nr_losses)
		return TRACE_REPLAY_NEW_LOST;
	if (slot_worlds_saw(worlds, pass->number, needed, time,
			    TRACE_REPLAY_WINDOW_NS))
		return TRACE_REPLAY_NEW_ORDER;
	if (end.late_start)
		return TRACE_REPLAY_NEW_LATE;
	if ((end.value && slot_worlds_idle_sum(worlds, extra, 1)) ||
	    slot_worlds_idle_sum(worlds, extra, 2))
		return TRACE_REPLAY_NEW_MERGED;
	if (slot_worlds_idle_sum(worlds, needed, 1))
		return TRACE_REPLAY_NEW_OTHER;
	return TRACE_REPLAY_NEW_UNEXPLAINED;
}

static bool may_be_order(int reason)
{
	return reason == TRACE_REPLAY_NEW_MERGED ||
	       reason == TRACE_REPLAY_NEW_OTHER ||
	       reason == TRACE_REPLAY_NEW_UNEXPLAINED;
}

void replay_end_counter(struct trace_replay *replay,
			struct shrinker_state *shrinker, int reading,
			const struct open_pass *pass,
			const struct trace_text_event *end, int64_t next)
{
	struct counter_set *set = replay_counters(shrinker, pass->nid, reading);
	struct trace_replay_tally *tally = &shrinker->tallies[reading];
	int64_t needed = wrap_sub(end->new_nr, next);
	int reason = pass->reason;
	struct trace_replay_problem problem;
	struct slot_end counter;
	size_t index;

	if (!set)
		return;
	replay_explain_waiting(replay, tally, set, pass->number, end->time,
			       end->new_nr);
	counter = slot_worlds_end(&set->worlds, pass->number, next, end->new_nr,
				  end->time);
	tally->cost += counter.verdict == SLOT_WRONG;
	tally->cost += counter.adopted;
	if (!reason && counter.verdict == SLOT_EXACT) {
		tally->exact++;
		tally->overlaps += needed != 0;
		tally->adopted += counter.adopted;
		return;
	}
	problem = (struct trace_replay_problem){
		.line = end->line,
		.start_line = pass->line,
		.recorded = pass->recorded,
		.computed = pass->computed,
		.priority = pass->in.priority,
	};
	if (!reason) {
		problem.recorded = end->new_nr;
		problem.computed = wrap_add(counter.value, next);
		reason = counter.verdict == SLOT_UNBOUND ?
				 TRACE_REPLAY_UNTRACKED :
				 explain(replay, set, pass, needed, counter,
					 end->time);
	}
	problem.reason = (uint16_t)reason;
	tally->reasons[reason]++;
	index = replay_add_problem(replay, shrinker, reading, problem);
	if (may_be_order(reason) && set->nr_waiting < MAX_WAITING)
		set->waiting[set->nr_waiting++] = (struct wrong_end){
			end->time + TRACE_REPLAY_WINDOW_NS, pass->number, needed,
			index, reason,
		};
}
