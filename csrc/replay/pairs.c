/* SPDX-License-Identifier: MIT */
#include "replay/pairs.h"
#include "scan.h"

#include <string.h>

static uint64_t mixed(uint64_t value)
{
	value = (value ^ (value >> 29)) * 0x9E3779B97F4A7C15U;
	return value ^ (value >> 32);
}

/* Not 0 for an empty text: that is what an unused place of `seen` has. */
static uint64_t hash_of(const char *text, uint32_t length, uint64_t salt)
{
	uint64_t hash = mixed(~salt ^ length);
	uint64_t word;

	for (; length >= sizeof(word); length -= (uint32_t)sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		text += sizeof(word);
		hash = mixed(hash ^ word);
	}
	word = 0;
	memcpy(&word, text, length);
	return mixed(hash ^ word);
}

/* The entry of a task and shrinker, or the free one that will be theirs. */
static struct trace_pairs_entry *entry_of(const struct trace_pairs *pairs,
					  int64_t task, uint64_t function)
{
	size_t at = mixed(function ^ (uint64_t)task) & (pairs->size - 1);
	struct trace_pairs_entry *entry = &pairs->entries[at];

	while (entry->used &&
	       (entry->task != task || entry->pass.function != function)) {
		at = (at + 1) & (pairs->size - 1);
		entry = &pairs->entries[at];
	}
	return entry;
}

/* Whether a hash is not among those that were given out; it is from now on. */
static bool is_new(struct trace_pairs *pairs, uint64_t hash)
{
	uint64_t *seen = &pairs->seen[hash % TRACE_PAIRS_SEEN];
	bool differs = *seen != hash;

	*seen = hash;
	return differs;
}

static void begin(struct trace_pass *pass, const struct trace_text_event *start,
		  uint64_t function, uint64_t comm)
{
	*pass = (struct trace_pass){
		.start_line = start->line,
		.start_ns = (int64_t)start->time,
		.count = start->freeable,
		.before = start->nr,
		.delta = start->delta,
		.asked = start->total_scan,
		.memcg = start->flags & TRACE_TEXT_MEMCG ? start->memcg_id : 0,
		.function = function,
		.comm = comm,
		.gfp_mask = start->gfp_mask,
		.flags = start->flags,
		.pid = start->pid,
		.cpu = start->cpu,
		.node = start->nid,
		.priority = start->priority,
	};
}

static void end(struct trace_pass *pass, const struct trace_text_event *event)
{
	pass->end_line = event->line;
	pass->end_ns = (int64_t)event->time;
	pass->scanned = wrap_sub(pass->asked, event->total_scan);
	pass->freed = event->retval > 0 ? event->retval : 0;
	pass->deferred = event->new_nr;
	pass->flags &= event->flags | ~(uint32_t)TRACE_TEXT_TIME;
}

void trace_pairs_feed(struct trace_pairs *pairs, const char *text,
		      const struct trace_text_event *events, size_t nr_events,
		      struct trace_pass *passes, size_t *nr_passes,
		      struct trace_pairs_name *names, size_t *nr_names)
{
	size_t i;

	*nr_passes = 0;
	*nr_names = 0;
	for (i = 0; i < nr_events; i++) {
		const struct trace_text_event *event = &events[i];
		struct trace_pairs_entry *entry;
		uint64_t function, comm;
		bool function_is_new;
		int64_t task = event->pid;

		if (event->kind != TRACE_LINE_START &&
		    event->kind != TRACE_LINE_END)
			continue;
		function = hash_of(text + event->function_offset,
				   event->function_length, event->pointer);
		comm = hash_of(text + event->comm_offset, event->comm_length,
			       0);
		function_is_new = is_new(pairs, function);
		if (is_new(pairs, comm) || function_is_new)
			names[(*nr_names)++] = (struct trace_pairs_name){
				.function = function,
				.comm = comm,
				.event = i,
			};
		/* The processor takes the place of a task that is not named. */
		if (task < 0)
			task = -2 - (int64_t)event->cpu;
		entry = entry_of(pairs, task, function);
		if (event->kind == TRACE_LINE_START) {
			begin(&entry->pass, event, function, comm);
			pairs->nr_used += !entry->used;
			pairs->nr_open += !entry->open;
			entry->task = task;
			entry->used = 1;
			entry->open = 1;
		} else if (entry->open) {
			end(&entry->pass, event);
			passes[(*nr_passes)++] = entry->pass;
			entry->open = 0;
			pairs->nr_open--;
		}
	}
}

void trace_pairs_move(struct trace_pairs *pairs,
		      struct trace_pairs_entry *entries, size_t size)
{
	struct trace_pairs moved = { .entries = entries, .size = size };
	size_t i;

	for (i = 0; i < pairs->size; i++) {
		const struct trace_pairs_entry *entry = &pairs->entries[i];

		if (entry->open)
			*entry_of(&moved, entry->task, entry->pass.function) =
				*entry;
	}
	pairs->entries = entries;
	pairs->size = size;
	pairs->nr_used = pairs->nr_open;
}
