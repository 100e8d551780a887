// SPDX-License-Identifier: MIT
/*
 * Whether the counter that an end prints is one that it can have, and if not
 * why.  A wrong end may still be explained by lines behind it, which prove that
 * the counter was held: then the two stand in another order than it changed.
 */
#include "trace_state.h"

#include "scan.h"

void replay_settle_pending(struct trace_replay *replay,
			   struct trace_replay_tally *tally,
			   struct group *group, uint64_t pass, uint64_t time,
			   int64_t held)
{
	for (unsigned int i = 0; i < group->nr_pending;) {
		struct pending *p = &group->pending[i];
		bool late = time > p->deadline;

		if (!late && (p->needed != held || p->pass == pass)) {
			i++;
			continue;
		}
		if (!late) {
			tally->reasons[p->reason]--;
			tally->reasons[TRACE_REPLAY_NEW_ORDER]++;
			if (p->problem != NO_PROBLEM)
				replay->problems[p->problem].reason =
					TRACE_REPLAY_NEW_ORDER;
		}
		*p = group->pending[--group->nr_pending];
	}
}

static void add_pending(struct group *group, struct pending pending)
{
	if (group->nr_pending < PENDING)
		group->pending[group->nr_pending++] = pending;
}

/* Why a counter is impossible; by lines that have been seen already. */
static int explain_counter(const struct trace_replay *replay,
			   const struct group *group, const struct pass *pass,
			   int64_t needed, struct slot_end end, uint64_t time)
{
	int64_t extra = wrap_sub(needed, end.value);

	if (pass->losses != replay->losses)
		return TRACE_REPLAY_NEW_LOST;
	if (slot_group_held(&group->slots, pass->number, needed, time,
			    TRACE_REPLAY_WINDOW))
		return TRACE_REPLAY_NEW_ORDER;
	if (end.late_start)
		return TRACE_REPLAY_NEW_LATE;
	if (end.value && slot_group_merged(&group->slots, extra, 1))
		return TRACE_REPLAY_NEW_MERGED;
	if (slot_group_merged(&group->slots, extra, 2))
		return TRACE_REPLAY_NEW_MERGED;
	if (slot_group_merged(&group->slots, needed, 1))
		return TRACE_REPLAY_NEW_OTHER;
	return TRACE_REPLAY_NEW_UNEXPLAINED;
}

void replay_end_counter(struct trace_replay *replay,
			   struct shrinker_state *shrinker, int reading,
			   const struct pass *pass,
			   const struct trace_text_event *event, int64_t next)
{
	struct group *group = replay_group_of(shrinker, pass->nid, reading);
	struct trace_replay_tally *tally = &shrinker->tallies[reading];
	int64_t needed = wrap_sub(event->new_nr, next);
	int reason = pass->reason;
	struct slot_end end;
	size_t problem;

	if (!group)
		return;
	replay_settle_pending(replay, tally, group, pass->number, event->time,
		       event->new_nr);
	end = slot_group_end(&group->slots, pass->number, next, event->new_nr,
			     event->time);
	tally->cost += end.verdict == SLOT_WRONG;
	tally->cost += end.adopted;
	if (!reason && end.verdict == SLOT_EXACT) {
		tally->exact++;
		tally->overlaps += needed != 0;
		tally->adopted += end.adopted;
		return;
	}
	if (!reason && end.verdict == SLOT_UNBOUND)
		reason = TRACE_REPLAY_UNTRACKED;
	if (!reason)
		reason = explain_counter(replay, group, pass, needed, end,
					 event->time);
	tally->reasons[reason]++;
	problem = replay_add_problem(
		replay, shrinker, reading,
		(struct trace_replay_problem){
			.line = event->line,
			.start_line = pass->line,
			.recorded = pass->reason ? pass->recorded :
						   event->new_nr,
			.computed = pass->reason ? pass->computed :
						   wrap_add(end.value, next),
			.priority = pass->priority,
			.reason = (uint16_t)reason });
	if (reason >= TRACE_REPLAY_NEW_MERGED &&
	    reason <= TRACE_REPLAY_NEW_UNEXPLAINED)
		add_pending(group, (struct pending){
					   event->time + TRACE_REPLAY_WINDOW,
					   pass->number, needed, problem,
					   reason });
}
