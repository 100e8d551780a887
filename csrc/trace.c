/* SPDX-License-Identifier: MIT */
/*
 * Recording a domain's events: a list of chunks whose places are given out by
 * an atomic counter, so that writers never wait for each other or for the
 * reader.  A writer that finds a chunk full appends the next one.
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
 * struct recording - a sink that keeps events
 * @tail: chunk that is being filled, or an earlier one
 * @kept: events written and not read
 * @lost: events that found no room
 * @all: first chunk that is still there; the reader's, like what follows
 * @oldest: chunk that is read next
 * @nr_read: places read in it
 */
struct recording {
	struct trace_sink sink;
	_Atomic(struct chunk *) tail;
	_Atomic(unsigned long) kept;
	_Atomic(unsigned long) lost;
	unsigned long limit;
	struct chunk *all;
	struct chunk *oldest;
	unsigned long nr_read;
};

/**
 * trace_emit - hand an event to the domain's sink, if there is one
 *
 * A sink goes only after @tracing was seen 0 with @trace taken away, and a
 * writer looks at @trace after it has gone into @tracing.
 */
void trace_emit(struct reclaim_domain *domain, const struct shrink_event *event)
{
	struct trace_sink *sink;

	atomic_fetch_add(&domain->tracing, 1);
	sink = atomic_load(&domain->trace);
	if (sink)
		sink->emit(sink, event);
	atomic_fetch_sub(&domain->tracing, 1);
}

/* The chunk behind @chunk, made if need be; NULL where memory ran out. */
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

static void record(struct trace_sink *sink, const struct shrink_event *event)
{
	struct recording *recording = (struct recording *)sink;
	struct chunk *chunk;
	unsigned long i;

	if (atomic_fetch_add(&recording->kept, 1) >= recording->limit)
		goto lost;
	chunk = atomic_load(&recording->tail);
	while ((i = atomic_fetch_add(&chunk->claimed, 1)) >= CHUNK_EVENTS) {
		chunk = chunk_after(chunk);
		if (!chunk)
			goto lost;
		atomic_store(&recording->tail, chunk);
	}
	chunk->place[i].event = *event;
	atomic_store(&chunk->place[i].written, true);
	return;
lost:
	atomic_fetch_sub(&recording->kept, 1);
	atomic_fetch_add(&recording->lost, 1);
}

static bool stands_before(const struct chunk *chunk, struct recording *recording)
{
	struct chunk *other;

	for (other = recording->all; other != recording->oldest;
	     other = atomic_load(&other->next))
		if (other == chunk)
			return true;
	return false;
}

/*
 * Releases the chunks that have been read, if no writer can be looking for its
 * place in one: none is under way, and those to come start at @tail.
 */
static void release_read(struct reclaim_domain *domain,
			 struct recording *recording)
{
	struct chunk *tail = atomic_load(&recording->tail);

	while (stands_before(tail, recording))
		if (atomic_compare_exchange_weak(&recording->tail, &tail,
						 recording->oldest))
			break;
	/* A writer that came before may have set @tail back; then it is either
	 * still here, or has left and the second look finds it. */
	if (atomic_load(&domain->tracing) ||
	    stands_before(atomic_load(&recording->tail), recording))
		return;
	while (recording->all != recording->oldest) {
		struct chunk *chunk = recording->all;

		recording->all = atomic_load(&chunk->next);
		free(chunk);
	}
}

static void recording_free(struct recording *recording)
{
	struct chunk *chunk, *next;

	for (chunk = recording->all; chunk; chunk = next) {
		next = atomic_load(&chunk->next);
		free(chunk);
	}
	free(recording);
}

int reclaim_trace_start(struct reclaim_domain *domain, unsigned long limit)
{
	struct recording *recording;
	struct trace_sink *none = NULL;

	recording = calloc(1, sizeof(*recording));
	if (!recording)
		return -ENOMEM;
	recording->all = calloc(1, sizeof(*recording->all));
	if (!recording->all) {
		free(recording);
		return -ENOMEM;
	}
	recording->sink.emit = record;
	recording->limit = limit;
	recording->oldest = recording->all;
	atomic_store(&recording->tail, recording->all);
	if (!atomic_compare_exchange_strong(&domain->trace, &none,
					    &recording->sink)) {
		recording_free(recording);
		return -EBUSY;
	}
	return 0;
}

/*
 * Reading and stopping belong to whoever started the trace; the pointer is
 * theirs to follow.
 */
static struct recording *recording_of(struct reclaim_domain *domain)
{
	return (struct recording *)atomic_load(&domain->trace);
}

unsigned long reclaim_trace_read(struct reclaim_domain *domain,
				 struct shrink_event *events, unsigned long max)
{
	struct recording *recording = recording_of(domain);
	unsigned long n = 0;

	if (!recording)
		return 0;
	while (n < max) {
		struct chunk *chunk = recording->oldest;

		if (recording->nr_read == CHUNK_EVENTS) {
			chunk = atomic_load(&chunk->next);
			if (!chunk)
				break;
			recording->oldest = chunk;
			recording->nr_read = 0;
		}
		/* A place that is claimed but not written holds back those
		 * behind it, so that the order stands. */
		if (!atomic_load(&chunk->place[recording->nr_read].written))
			break;
		events[n++] = chunk->place[recording->nr_read++].event;
	}
	atomic_fetch_sub(&recording->kept, n);
	release_read(domain, recording);
	return n;
}

unsigned long reclaim_trace_lost(struct reclaim_domain *domain)
{
	struct recording *recording = recording_of(domain);

	return recording ? atomic_load(&recording->lost) : 0;
}

void reclaim_trace_stop(struct reclaim_domain *domain)
{
	struct trace_sink *sink = atomic_exchange(&domain->trace, NULL);

	if (!sink)
		return;
	while (atomic_load(&domain->tracing))
		sched_yield();
	recording_free((struct recording *)sink);
}
