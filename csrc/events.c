/* SPDX-License-Identifier: MIT */
/*
 * Keeping a domain's events until they are read.
 *
 * The queue is a list of chunks.  An atomic counter gives out the places of a
 * chunk, so writers wait neither for each other nor for the reader.  A writer that
 * finds its chunk full appends the next one.
 *
 * The reader frees chunks that it has read.  A writer loads @tail and then looks
 * for its place from there on, so a chunk may be freed only if no writer can have
 * loaded a @tail at or before it:
 *
 *   1. each writer counts itself in domain->emitting before it loads the queue;
 *   2. the reader moves @tail past the chunks that it has read,
 *   3. then sees domain->emitting at 0: every writer that comes later loads the new
 *      @tail, and
 *   4. sees @tail still past them: no writer that has left meanwhile put it back.
 *
 * All four are sequentially consistent.  reclaim_trace_stop() relies on step 1 too:
 * it takes the queue out of the domain and then waits for domain->emitting to be 0.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "domain.h"

#define CHUNK_EVENTS 512

struct chunk {
	_Atomic(struct chunk *) next;
	_Atomic(unsigned long) claimed;
	struct {
		_Atomic(bool) written;
		struct shrink_event event;
	} place[CHUNK_EVENTS];
};

/**
 * struct event_queue - a sink that keeps events
 * @tail: chunk that is being filled, or an earlier one
 * @kept: events that were written and not read
 * @lost: events that found no room
 * @limit: of @kept; constant
 * @all: first chunk that is not freed
 * @oldest: chunk that is read next
 * @nr_read: places of @oldest that were read
 *
 * Only the reader uses @all, @oldest and @nr_read.
 */
struct event_queue {
	struct event_sink sink;
	_Atomic(struct chunk *) tail;
	_Atomic(unsigned long) kept;
	_Atomic(unsigned long) lost;
	unsigned long limit;
	struct chunk *all;
	struct chunk *oldest;
	unsigned long nr_read;
};

/**
 * event_emit - hand an event to the domain's sink, if there is one
 *
 * Context: any thread; does not block.
 */
void event_emit(struct reclaim_domain *domain, const struct shrink_event *event)
{
	struct event_sink *sink;

	/* Step 1: the count comes before the load. */
	atomic_fetch_add(&domain->emitting, 1);
	sink = atomic_load(&domain->event_sink);
	if (sink)
		sink->emit(sink, event);
	atomic_fetch_sub(&domain->emitting, 1);
}

/* The chunk after @chunk, which is made if there is none; NULL: no memory. */
static struct chunk *chunk_after(struct chunk *chunk)
{
	struct chunk *next = atomic_load(&chunk->next);
	struct chunk *fresh;

	if (next)
		return next;
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return NULL;
	if (atomic_compare_exchange_strong(&chunk->next, &next, fresh))
		return fresh;
	free(fresh); /* Another writer was first. */
	return next;
}

static void keep_event(struct event_sink *sink, const struct shrink_event *event)
{
	/* The sink is the first member. */
	struct event_queue *queue = (struct event_queue *)sink;
	struct chunk *chunk;
	unsigned long i;

	if (atomic_fetch_add(&queue->kept, 1) >= queue->limit)
		goto lost;
	chunk = atomic_load(&queue->tail);
	while ((i = atomic_fetch_add(&chunk->claimed, 1)) >= CHUNK_EVENTS) {
		chunk = chunk_after(chunk);
		if (!chunk)
			goto lost;
		atomic_store(&queue->tail, chunk);
	}
	chunk->place[i].event = *event;
	atomic_store(&chunk->place[i].written, true);
	return;
lost:
	atomic_fetch_sub(&queue->kept, 1);
	atomic_fetch_add(&queue->lost, 1);
}

/* Whether all of @chunk was read. */
static bool was_read(const struct chunk *chunk, struct event_queue *queue)
{
	struct chunk *other;

	for (other = queue->all; other != queue->oldest;
	     other = atomic_load(&other->next))
		if (other == chunk)
			return true;
	return false;
}

/* Frees the chunks that were read, if no writer can be in one of them. */
static void free_read_chunks(struct reclaim_domain *domain,
			     struct event_queue *queue)
{
	struct chunk *tail = atomic_load(&queue->tail);

	/* Step 2. */
	while (was_read(tail, queue))
		if (atomic_compare_exchange_weak(&queue->tail, &tail,
						 queue->oldest))
			break;
	/* Steps 3 and 4. */
	if (atomic_load(&domain->emitting) ||
	    was_read(atomic_load(&queue->tail), queue))
		return;
	while (queue->all != queue->oldest) {
		struct chunk *chunk = queue->all;

		queue->all = atomic_load(&chunk->next);
		free(chunk);
	}
}

static void queue_free(struct event_queue *queue)
{
	struct chunk *chunk, *next;

	for (chunk = queue->all; chunk; chunk = next) {
		next = atomic_load(&chunk->next);
		free(chunk);
	}
	free(queue);
}

int reclaim_trace_start(struct reclaim_domain *domain, unsigned long limit)
{
	struct event_queue *queue;
	struct event_sink *none = NULL;

	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	queue->all = calloc(1, sizeof(*queue->all));
	if (!queue->all) {
		free(queue);
		return -ENOMEM;
	}
	queue->sink.emit = keep_event;
	queue->limit = limit;
	queue->oldest = queue->all;
	atomic_store(&queue->tail, queue->all);
	if (!atomic_compare_exchange_strong(&domain->event_sink, &none,
					    &queue->sink)) {
		queue_free(queue);
		return -EBUSY;
	}
	return 0;
}

/* The caller sees to it that reclaim_trace_stop() does not run meanwhile. */
static struct event_queue *queue_of(struct reclaim_domain *domain)
{
	return (struct event_queue *)atomic_load(&domain->event_sink);
}

unsigned long reclaim_trace_read(struct reclaim_domain *domain,
				 struct shrink_event *events, unsigned long max)
{
	struct event_queue *queue = queue_of(domain);
	unsigned long n = 0;

	if (!queue)
		return 0;
	while (n < max) {
		struct chunk *chunk = queue->oldest;

		if (queue->nr_read == CHUNK_EVENTS) {
			chunk = atomic_load(&chunk->next);
			if (!chunk)
				break;
			queue->oldest = chunk;
			queue->nr_read = 0;
		}
		/* A place that is claimed but not written yet: the events behind
		 * it wait, so that the order is kept. */
		if (!atomic_load(&chunk->place[queue->nr_read].written))
			break;
		events[n++] = chunk->place[queue->nr_read++].event;
	}
	atomic_fetch_sub(&queue->kept, n);
	free_read_chunks(domain, queue);
	return n;
}

unsigned long reclaim_trace_lost(struct reclaim_domain *domain)
{
	struct event_queue *queue = queue_of(domain);

	return queue ? atomic_load(&queue->lost) : 0;
}

void reclaim_trace_stop(struct reclaim_domain *domain)
{
	struct event_sink *sink = atomic_exchange(&domain->event_sink, NULL);

	if (!sink)
		return;
	while (atomic_load(&domain->emitting))
		sched_yield();
	queue_free((struct event_queue *)sink);
}
