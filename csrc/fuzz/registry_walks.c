/* SPDX-License-Identifier: MIT */
/*
 * Walks of registry_world.h.  At each callback, the model computes which callback
 * should come next, and what the passes have changed that have ended since the last
 * one.  There is one thread, so this may be late.
 */
#include "registry_world.h"

/* --- one pass ------------------------------------------------------------- */

int64_t *counter_of(struct owner *owner, int group, int nid)
{
	if (!(owner->flags & SHRINKER_NUMA_AWARE))
		nid = 0;
	if (owner->id >= 0)
		return &owner->machine->group[group < 0 ? 0 : group]
				.deferred[nid][owner->id];
	return &owner->deferred[nid];
}

static struct shrink_event event_of(const struct frame *frame, int type)
{
	return (struct shrink_event){
		.type = type,
		.label = frame->at->label,
		.shrinker = (uintptr_t)frame->at->shrinker,
		.scan_objects = (uintptr_t)scan_objects,
		.nid = frame->nid,
		.nr = i64(frame->pass.nr),
	};
}

static void begin_pass(struct frame *frame, uint64_t count)
{
	struct machine *machine = frame->machine;
	struct owner *at = frame->at;
	int64_t *counter = counter_of(at, frame->group, frame->nid);
	struct shrink_event event;

	frame->in_pass = true;
	frame->pass = pass_begin(count, *counter, frame->priority,
				 at->shrinker->seeks, at->shrinker->batch,
				 machine->stall_limit);
	*counter = 0;
	event = event_of(frame, SHRINK_EVENT_START);
	event.gfp_mask = frame->gfp_mask;
	event.priority = frame->priority;
	event.total_scan = i64(frame->pass.goal);
	event.freeable = i64(frame->pass.freeable);
	event.delta = u64(frame->pass.delta);
	emit(machine, &event);
}

/* The pass is over: the model must want no further callback of it. */
static void end_pass(struct frame *frame)
{
	struct pass_model *pass = &frame->pass;
	struct owner *at = frame->at;
	int64_t *counter = counter_of(at, frame->group, frame->nid);
	struct shrink_event event = event_of(frame, SHRINK_EVENT_END);

	EXPECT(frame->stop || at->state != REGISTERED || !pass_wants(pass));
	frame->in_pass = false;
	*counter = i64((wide)*counter + pass_defers(pass));
	event.new_nr = *counter;
	event.total_scan = i64(pass->left);
	event.retval = pass_retval(pass);
	emit(frame->machine, &event);

	frame->returned = u64(pass->freed);
	frame->scanned += u64(pass->scanned);
	frame->passes++;
	at->counted.passes++;
	at->counted.scan_calls += pass->calls;
	at->counted.scanned += u64(pass->scanned);
	at->counted.freed += frame->returned;
	at->counted.stalled += pass->stalled;
	frame->machine->counted.passes++;
	frame->machine->counted.scan_calls += pass->calls;
	frame->machine->counted.slabs_scanned += u64(pass->scanned);
	frame->machine->counted.freed += frame->returned;
	frame->machine->counted.stalled += pass->stalled;
}

/* --- one walk ------------------------------------------------------------- */

static bool whole_machine(const struct frame *frame)
{
	return frame->group <= 0;
}

/* Handles the result of a pass; returns whether a second pass over @at follows. */
static bool handle_result(struct frame *frame)
{
	bool *bit = NULL;

	if (frame->in_pass)
		end_pass(frame);
	frame->asked = false;
	if (!whole_machine(frame)) {
		bit = &frame->machine->group[frame->group]
			       .bit[frame->nid][frame->at->id];
		if (frame->again)
			*bit |= frame->returned != SHRINK_EMPTY;
		/* No callback starts for a walk that was stopped, or a shrinker
		 * that was freed. */
		else if (frame->returned == SHRINK_EMPTY && !frame->stop &&
			 frame->at->state == REGISTERED) {
			*bit = false;
			frame->again = true;
			return true;
		}
	}
	frame->again = false;
	if (frame->returned != SHRINK_EMPTY) {
		frame->freed += frame->returned;
		frame->round_freed += frame->returned;
	}
	return false;
}

static struct owner *owner_with_id(struct machine *machine, int id)
{
	int i;

	for (i = 0; i < OWNERS; i++)
		if (machine->owner[i].state == REGISTERED &&
		    machine->owner[i].id == id)
			return &machine->owner[i];
	return NULL;
}

static struct owner *next_registered(struct frame *frame)
{
	struct owner *next = NULL;
	int i;

	for (i = 0; i < OWNERS; i++) {
		struct owner *owner = &frame->machine->owner[i];

		if (owner->state == REGISTERED && owner->seq > frame->seq &&
		    (!next || owner->seq < next->seq))
			next = owner;
	}
	if (next)
		frame->seq = next->seq;
	return next;
}

static struct owner *next_with_bit(struct frame *frame)
{
	struct group *group = &frame->machine->group[frame->group];

	for (; frame->next_id < frame->machine->nr_max; frame->next_id++) {
		bool *bit = &group->bit[frame->nid][frame->next_id];
		struct owner *owner;

		if (!*bit)
			continue;
		owner = owner_with_id(frame->machine, frame->next_id);
		if (!owner) {
			*bit = false;
		} else if (frame->machine->kmem ||
			   owner->flags & SHRINKER_NONSLAB) {
			frame->next_id++;
			return owner;
		}
	}
	return NULL;
}

/* The next shrinker of the walk; NULL: the walk is over. */
static struct owner *step(struct frame *frame)
{
	struct owner *next = NULL;

	if (!frame->stop)
		next = whole_machine(frame) ? next_registered(frame) :
					      next_with_bit(frame);
	if (frame->at)
		leave_owner(frame->at);
	frame->at = next;
	if (next)
		next->holds++;
	return next;
}

static void begin_walk(struct frame *frame)
{
	frame->walking = true;
	frame->seq = 0;
	frame->next_id = 0;
	frame->machine->counted.walks++;
	if (!whole_machine(frame) && !frame->machine->group[frame->group].online)
		frame->walking = false;
}

/* --- which walk comes next ------------------------------------------------ */

/* The group after @group in pre-order under @root; the first for -1.  -1: none. */
static int next_group(const struct machine *machine, int root, int group)
{
	const struct group *groups = machine->group;
	int parent = group < 0 ? root : group, i = parent;

	if (!machine->memcgs)
		return -1;
	if (group < 0 && !groups[root].removed)
		return root;
	for (;;) {
		/* All groups below a removed one are removed too. */
		for (i = i == parent ? 0 : i + 1; i < machine->nr_groups; i++)
			if (i && groups[i].parent == parent && !groups[i].removed)
				return i;
		if (parent == root)
			return -1;
		i = parent;
		parent = groups[parent].parent;
	}
}

/* Goes to the next group of the call; without memory cgroups there is one turn. */
static bool turn_group(struct frame *frame)
{
	bool first = !frame->begun;
	int root = frame->target < 0 ? 0 : frame->target;

	frame->begun = true;
	if (!frame->machine->memcgs)
		return first;
	frame->group = next_group(frame->machine, root, first ? -1 : frame->group);
	return frame->group >= 0;
}

static bool next_of_ladder(struct frame *frame)
{
	for (;;) {
		if (!frame->begun || ++frame->nid == frame->machine->nr_nodes) {
			frame->nid = 0;
			if (!turn_group(frame)) {
				if (frame->stop || frame->freed >= frame->wanted ||
				    frame->priority == 0)
					return false;
				frame->priority--;
				frame->begun = false;
				continue;
			}
		}
		if (!frame->stop && (frame->nid_asked < 0 ||
				     frame->nid_asked == frame->nid))
			return true;
	}
}

static bool next_of_drop(struct frame *frame)
{
	for (;;) {
		if (turn_group(frame)) {
			if (!frame->stop)
				return true;
			continue;
		}
		frame->begun = false;
		if (++frame->nid < frame->machine->nr_nodes)
			continue;
		if (frame->stop || frame->round_freed >> frame->round <= 1 ||
		    frame->round == 63)
			return false;
		frame->round++;
		frame->round_freed = 0;
		frame->nid = 0;
	}
}

static bool next_walk(struct frame *frame)
{
	bool found = false;

	if (frame->over)
		return false;
	if (frame->program == LADDER)
		found = next_of_ladder(frame);
	else if (frame->program == DROP_SLAB)
		found = next_of_drop(frame);
	else if (!frame->begun)
		found = frame->begun = true;
	if (found)
		begin_walk(frame);
	frame->over = !found;
	return found;
}

/**
 * advance - the shrinker that is counted next; NULL: the call returns
 */
struct owner *advance(struct frame *frame)
{
	if (frame->asked && handle_result(frame))
		return frame->at;
	do
		if (frame->walking && step(frame))
			return frame->at;
	while (next_walk(frame));
	return NULL;
}

/* --- callbacks ------------------------------------------------------------ */

static struct frame *check_callback(struct owner *owner, struct shrink_control *sc)
{
	struct frame *frame = world.top;

	EXPECT(frame && frame->at == owner);
	EXPECT_EQ(sc->gfp_mask, frame->gfp_mask);
	EXPECT_EQ(sc->nid, frame->nid);
	EXPECT(sc->memcg == memcg_of(frame->machine, frame->group));
	EXPECT(owner->hosted ? frame->inside : !frame->inside || frame->may_stay);
	return frame;
}

/* What a callback does before it returns. */
static void behave(struct frame *frame)
{
	unsigned int how = take(&world.script);

	if (how & 1)
		run_some(how / 16);
	EXPECT(reclaim_in_callback());
	if (how / 2 % 16 == 15) {
		reclaim_stop_walk();
		frame->stop = true;
	}
}

unsigned long count_objects(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct owner *owner = shrinker->private_data;
	struct frame *frame = world.top;
	uint64_t count;

	if (frame->program == COUNT_ONCE)
		EXPECT(!frame->asked);
	else
		EXPECT(frame->program != SCAN_ONCE && advance(frame) == owner);
	check_callback(owner, sc);
	behave(frame);
	count = take(&world.script) < 64 ? SHRINK_EMPTY : take_number(&world.script);
	if (++world.calls > CALLS)
		count = 0;
	frame->asked = true;
	frame->returned = count;
	if (frame->program == COUNT_ONCE || count == 0 || count == SHRINK_EMPTY)
		return count;
	if (frame->stop)
		frame->returned = 0;
	else
		begin_pass(frame, count);
	return count;
}

unsigned long scan_objects(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct owner *owner = shrinker->private_data;
	struct frame *frame = check_callback(owner, sc);
	unsigned long returned;
	unsigned int how;

	if (frame->program == SCAN_ONCE) {
		EXPECT(!frame->asked);
		EXPECT_EQ(sc->nr_to_scan, frame->wanted);
	} else {
		EXPECT(frame->in_pass && !frame->stop);
		EXPECT(owner->state == REGISTERED && pass_wants(&frame->pass));
		EXPECT_EQ(sc->nr_to_scan, pass_asks(&frame->pass));
	}
	EXPECT_EQ(sc->nr_scanned, sc->nr_to_scan);
	behave(frame);
	how = take(&world.script);
	returned = how & 1 ? take_number(&world.script) : sc->nr_to_scan;
	if (how & 2)
		sc->nr_scanned = take_number(&world.script);
	if (++world.calls > CALLS)
		returned = SHRINK_STOP;
	frame->asked = true;
	if (frame->program == SCAN_ONCE)
		frame->returned = returned;
	else if (!frame->stop)
		pass_account(&frame->pass, returned, sc->nr_scanned);
	return returned;
}
