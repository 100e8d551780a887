/* SPDX-License-Identifier: MIT */
/*
 * The functions of registry_world.h that walk, and what they return.
 */
#include "registry_world.h"

/* --- a host --------------------------------------------------------------- */

static void enter(uintptr_t *state)
{
	EXPECT(!world.top->inside && !*state);
	world.top->inside = true;
	world.top->may_stay = false;
	world.top->machine->counted.host_entries++;
	*state = 7;
}

static void leave(uintptr_t *state)
{
	EXPECT(world.top->inside && *state == 7);
	world.top->inside = false;
}

static bool may_stay(uintptr_t *state)
{
	EXPECT(world.top->inside && *state == 7);
	return world.top->may_stay = take(&world.script) & 1;
}

/* The model does not see this: a pass is the same if the host calls the
 * callbacks. */
static void run(uintptr_t *state, struct shrinker *shrinker,
		struct shrink_control *sc, struct reclaim_calls *calls)
{
	EXPECT(world.top->inside && *state == 7);
	do {
		unsigned long ret = shrinker->count_objects(shrinker, sc);

		while (reclaim_called(calls, ret))
			ret = shrinker->scan_objects(shrinker, sc);
	} while ((shrinker = reclaim_next(calls)));
}

const struct reclaim_host host = { enter, leave, may_stay, run };

/* --- frames --------------------------------------------------------------- */

static void begin(struct frame *frame, struct machine *machine,
		  enum program program)
{
	memset(frame, 0, sizeof(*frame));
	frame->machine = machine;
	frame->program = program;
	frame->gfp_mask = GFP_KERNEL;
	frame->target = frame->nid_asked = -1;
	frame->group = machine->memcgs ? 0 : -1;
}

static void push(struct frame *frame)
{
	frame->outer = world.top;
	world.top = frame;
	if (frame->target >= 0)
		frame->machine->group[frame->target].named++;
}

/* The model must be at its end too. */
static void pop(struct frame *frame)
{
	EXPECT(world.top == frame && !frame->inside);
	if (frame->program < COUNT_ONCE)
		EXPECT(!advance(frame));
	world.top = frame->outer;
	if (frame->target >= 0)
		frame->machine->group[frame->target].named--;
}

/* --- calls ---------------------------------------------------------------- */

/* Mostly urgent, and mostly valid. */
static int take_priority(void)
{
	unsigned int byte = take(&world.script);

	return byte > 250 ? (int)byte - 255 + 63 : (int)byte % 16 - (byte == 250);
}

static bool priority_is_right(int priority)
{
	return priority >= 0 && priority <= SHRINK_MAX_PRIORITY;
}

/* Sometimes replaces *@memcg by a group of the other machine, which must be
 * refused. */
static bool take_foreign_group(struct machine *machine,
			       struct mem_cgroup **memcg)
{
	struct machine *other = &world.machine[machine == world.machine];

	if (take(&world.script) < 250 || !other->memcgs)
		return false;
	*memcg = other->group[0].memcg;
	return true;
}

void op_walk(struct machine *machine)
{
	int group = pick_group(machine), nid = take_nid(machine);
	struct mem_cgroup *memcg = memcg_of(machine, group);
	int priority = take_priority();
	bool valid = !take_foreign_group(machine, &memcg) &&
		     priority_is_right(priority) && nid >= 0 &&
		     nid < machine->nr_nodes;
	struct frame frame;
	unsigned long freed;

	if (!machine->held)
		return;
	begin(&frame, machine, ONE_WALK);
	frame.priority = priority;
	frame.nid = nid;
	frame.gfp_mask = take(&world.script);
	frame.target = group;
	if (group >= 0)
		frame.group = group;
	if (!valid || world.top) {
		EXPECT_EQ(reclaim_shrink_slab(machine->domain, frame.gfp_mask,
					      nid, memcg, priority),
			  0);
		machine->counted.nested += valid;
		return;
	}
	push(&frame);
	freed = reclaim_shrink_slab(machine->domain, frame.gfp_mask, nid, memcg,
				    priority);
	pop(&frame);
	EXPECT_EQ(freed, frame.freed);
}

void op_ladder(struct machine *machine)
{
	struct reclaim_request request = { .gfp_mask = take(&world.script) };
	int group = pick_group(machine);
	struct reclaim_result result;
	struct frame frame;
	bool valid, done;

	request.memcg = memcg_of(machine, group);
	request.nid = take(&world.script) & 1 ? take_nid(machine) : -1;
	request.priority = take_priority();
	request.nr_to_reclaim = take_number(&world.script);
	valid = !take_foreign_group(machine, &request.memcg) &&
		priority_is_right(request.priority) &&
		request.nid < machine->nr_nodes;
	if (!machine->held)
		return;
	begin(&frame, machine, LADDER);
	frame.gfp_mask = request.gfp_mask;
	frame.priority = request.priority;
	frame.target = group;
	frame.nid_asked = request.nid;
	frame.wanted = request.nr_to_reclaim;
	if (!valid || world.top) {
		EXPECT_EQ(reclaim_run(machine->domain, &request, &result), valid);
		EXPECT_EQ(result.nr_reclaimed, 0);
		machine->counted.nested += valid;
		return;
	}
	push(&frame);
	done = reclaim_run(machine->domain, &request, &result);
	pop(&frame);
	EXPECT(done);
	EXPECT_EQ(result.nr_reclaimed, frame.freed);
	EXPECT_EQ(result.nr_scanned, frame.scanned);
	EXPECT_EQ(result.passes, frame.passes);
	EXPECT_EQ(result.priority, frame.priority);
	EXPECT_EQ(result.stopped, frame.stop);
}

void op_drop(struct machine *machine)
{
	struct frame frame;
	unsigned long freed;

	if (!machine->held)
		return;
	if (world.top) {
		EXPECT_EQ(reclaim_drop_slab(machine->domain), 0);
		machine->counted.nested++;
		return;
	}
	begin(&frame, machine, DROP_SLAB);
	push(&frame);
	freed = reclaim_drop_slab(machine->domain);
	pop(&frame);
	EXPECT_EQ(freed, frame.freed);
}

/* One callback outside any pass; it may be inside other callbacks. */
void op_once(struct machine *machine)
{
	struct owner *owner = pick_owner(machine);
	bool count = take(&world.script) & 1;
	int group = pick_group(machine), nid = take_nid(machine);
	struct shrink_control sc = { .gfp_mask = take(&world.script),
				     .nid = nid,
				     .memcg = memcg_of(machine, group),
				     .nr_to_scan = take_number(&world.script) };
	unsigned long returned = 0;
	struct frame frame;
	bool valid, done;

	if (!owner || !shrinker_is_ours(owner) || !machine->held)
		return;
	valid = !take_foreign_group(machine, &sc.memcg) && nid >= 0 &&
		nid < machine->nr_nodes && owner->state == REGISTERED;
	begin(&frame, machine, count ? COUNT_ONCE : SCAN_ONCE);
	frame.gfp_mask = sc.gfp_mask;
	frame.nid = nid;
	frame.wanted = sc.nr_to_scan;
	frame.target = group;
	if (owner->id < 0)
		frame.group = -1;
	else if (group >= 0)
		frame.group = group;
	frame.at = owner;
	owner->holds++;
	push(&frame);
	done = count ? shrinker_count_objects(owner->shrinker, &sc, &returned) :
		       shrinker_scan_objects(owner->shrinker, &sc, &returned);
	pop(&frame);
	leave_owner(owner);
	EXPECT_EQ(done, valid);
	EXPECT_EQ(frame.asked, valid);
	if (valid)
		EXPECT_EQ(returned, frame.returned);
}
