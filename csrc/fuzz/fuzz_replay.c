/* SPDX-License-Identifier: MIT */
/*
 * The line reader and the replay: the bytes are the text of a recording.  Read at
 * once, in pieces, with little room for events, and line by line, it must give the
 * same events and counts; replayed at once and in pieces, the same findings.
 *
 * Each text is copied into a block of exactly its size, so that the sanitizer sees
 * a read beyond its end.  The last bytes of the input say how it is cut.
 */
#include <string.h>

#include <shrinker/trace_text.h>

#include "bytes.h"
#include "replay/replay.h"

/* An event takes at least 20 bytes: enough for inputs of 80,000. */
#define MAX_EVENTS 4096
#define MAX_SHRINKERS 128
#define MAX_PROBLEMS 512
/* Bytes at the end of the input that are not text. */
#define CUTS 4

static struct trace_text_event at_once[MAX_EVENTS], again[MAX_EVENTS];

static void check_event(const struct trace_text_event *event, size_t size)
{
	EXPECT(event->kind <= TRACE_LINE_UNKNOWN);
	EXPECT(event->error <= TRACE_TEXT_TOO_LONG);
	EXPECT_EQ(event->kind == TRACE_LINE_MALFORMED, event->error != 0);
	EXPECT((size_t)event->function_offset + event->function_length <= size);
	EXPECT((size_t)event->comm_offset + event->comm_length <= size);
	EXPECT(event->flags & TRACE_TEXT_HEADER || event->comm_length == 0);
	if (event->kind == TRACE_LINE_START || event->kind == TRACE_LINE_END) {
		EXPECT(event->nid >= 0);
		EXPECT(event->function_length > 0);
	}
}

static void same_counts(const struct trace_text_counts *a,
			const struct trace_text_counts *b)
{
	EXPECT(memcmp(a, b, sizeof(*a)) == 0);
}

static void check_counts(const struct trace_text_counts *counts, size_t nr_events,
			 const char *text, size_t size)
{
	uint64_t lines = size && text[size - 1] != '\n', listed = 0;
	size_t i;

	for (i = 0; i < size; i++)
		lines += text[i] == '\n';
	EXPECT_EQ(counts->lines, lines);
	EXPECT_EQ(!counts->unknown, !counts->first_unknown);
	for (i = 0; i < nr_events; i++)
		listed += at_once[i].kind != TRACE_LINE_LOST;
	EXPECT_EQ(counts->starts + counts->ends + counts->malformed, listed);
}

/* --- reading -------------------------------------------------------------- */

static void same_event(struct trace_text_event got,
		       const struct trace_text_event *expected, uint64_t base)
{
	/* Offsets count from where the piece begins. */
	if (got.function_length)
		got.function_offset += (uint32_t)base;
	if (got.comm_length)
		got.comm_offset += (uint32_t)base;
	EXPECT(memcmp(&got, expected, sizeof(got)) == 0);
}

/*
 * A reader that gets @size bytes more each time and has room for @room events.
 * What is left over comes again with the next piece, as the Python reader does it.
 */
static void read_in_pieces(const char *text, size_t length, size_t size, size_t room,
			   size_t expected,
			   const struct trace_text_counts *expected_counts)
{
	struct trace_text_counts counts = { 0 };
	size_t from = 0, to = 0, nr_events = 0, used, n, i;
	bool final = false;

	while (!final || from < length) {
		char *piece;

		to = length - to < size ? length : to + size;
		final = to == length;
		piece = malloc(to - from + !(to - from));
		memcpy(piece, text + from, to - from);
		do {
			used = trace_text_parse(piece, to - from, final,
						counts.lines + 1, again, room, &n,
						&counts);
			EXPECT(used <= to - from && n <= room);
			EXPECT(nr_events + n <= expected);
			for (i = 0; i < n; i++)
				same_event(again[i], &at_once[nr_events++], from);
			from += used;
			memmove(piece, piece + used, to - from);
		} while (n == room);
		free(piece);
	}
	EXPECT_EQ(nr_events, expected);
	same_counts(&counts, expected_counts);
}

/* Each line by itself, in a block of its own size. */
static void read_lines(const char *text, size_t length, size_t expected)
{
	size_t from = 0, nr_events = 0;
	uint64_t number = 0;

	while (from < length) {
		const char *feed = memchr(text + from, '\n', length - from);
		size_t size = feed ? (size_t)(feed + 1 - text) - from :
				     length - from;
		struct trace_text_event event;
		char *line = malloc(size);
		int kind;

		memcpy(line, text + from, size);
		kind = trace_text_parse_line(line, size, &event);
		EXPECT_EQ(kind, event.kind);
		check_event(&event, size);
		event.line = ++number;
		if (kind != TRACE_LINE_BLANK && kind != TRACE_LINE_OTHER &&
		    kind != TRACE_LINE_UNKNOWN) {
			EXPECT(nr_events < expected);
			same_event(event, &at_once[nr_events++], from);
		}
		free(line);
		from += size;
	}
	EXPECT_EQ(nr_events, expected);
}

/* --- replaying ------------------------------------------------------------ */

/* What a replay has found, all of it. */
struct findings {
	struct trace_replay_totals totals;
	size_t nr_shrinkers, nr_problems;
	struct trace_replay_shrinker shrinkers[MAX_SHRINKERS];
	struct trace_replay_problem problems[MAX_PROBLEMS];
};

static struct findings found[2];

static void check_shrinker(const struct trace_replay_shrinker *shrinker)
{
	int readings = shrinker->nodes > 1 ? 2 : 1, r, i;

	for (r = 0; r < readings; r++) {
		const struct trace_replay_tally *tally = &shrinker->tallies[r];
		uint64_t passes = tally->exact;

		for (i = 0; i < TRACE_REPLAY_ORPHAN_START; i++)
			passes += tally->reasons[i];
		/* The second reading begins with the second node. */
		EXPECT(passes <= shrinker->passes);
		EXPECT(r || passes == shrinker->passes);
	}
	EXPECT(shrinker->arithmetic <= shrinker->passes);
}

static void replay_in_pieces(const char *text, size_t nr_events, size_t size,
			     struct findings *findings)
{
	/* Each era has its turn. */
	struct trace_replay *replay =
		trace_replay_new((int)(nr_events % PASS_NR_ERAS));
	size_t from, i;

	for (from = 0; from < nr_events; from += size) {
		size_t n = nr_events - from < size ? nr_events - from : size;

		if (trace_replay_feed(replay, text, at_once + from, n))
			break; /* No memory. */
	}
	trace_replay_finish(replay);
	trace_replay_totals(replay, &findings->totals);
	findings->nr_shrinkers = trace_replay_shrinkers(
		replay, findings->shrinkers, MAX_SHRINKERS);
	findings->nr_problems = trace_replay_problems(
		replay, findings->problems, MAX_PROBLEMS);
	for (i = 0; i < findings->nr_shrinkers && i < MAX_SHRINKERS; i++) {
		check_shrinker(&findings->shrinkers[i]);
		/* An address of the replay's: not to be compared. */
		findings->shrinkers[i].function = NULL;
	}
	trace_replay_free(replay);
}

static void same_problem(const struct trace_replay_problem *a,
			 const struct trace_replay_problem *b)
{
	EXPECT_EQ(a->line, b->line);
	EXPECT_EQ(a->start_line, b->start_line);
	EXPECT_EQ(a->recorded, b->recorded);
	EXPECT_EQ(a->computed, b->computed);
	EXPECT_EQ(a->shrinker, b->shrinker);
	EXPECT_EQ(a->priority, b->priority);
	EXPECT_EQ(a->reason, b->reason);
	EXPECT_EQ(a->readings, b->readings);
}

static void same_findings(const struct findings *a, const struct findings *b)
{
	size_t i;

	EXPECT(memcmp(&a->totals, &b->totals, sizeof(a->totals)) == 0);
	EXPECT_EQ(a->nr_shrinkers, b->nr_shrinkers);
	EXPECT_EQ(a->nr_problems, b->nr_problems);
	for (i = 0; i < a->nr_shrinkers && i < MAX_SHRINKERS; i++)
		EXPECT(memcmp(&a->shrinkers[i], &b->shrinkers[i],
			      sizeof(a->shrinkers[i])) == 0);
	for (i = 0; i < a->nr_problems && i < MAX_PROBLEMS; i++)
		same_problem(&a->problems[i], &b->problems[i]);
}

static void check_totals(const struct findings *findings,
			 const struct trace_text_counts *counts)
{
	const struct trace_replay_totals *totals = &findings->totals;
	uint64_t passes = 0;
	size_t i;

	EXPECT(totals->passes + totals->orphan_starts <= counts->starts);
	EXPECT(totals->passes + totals->orphan_ends <= counts->ends);
	if (findings->nr_shrinkers > MAX_SHRINKERS)
		return;
	for (i = 0; i < findings->nr_shrinkers; i++)
		passes += findings->shrinkers[i].passes;
	EXPECT_EQ(passes, totals->passes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t length = size < CUTS ? size : size - CUTS, nr_events, i;
	struct bytes cuts = { data + length, data + size };
	struct trace_text_counts counts = { 0 };
	char *text = malloc(length + !length);

	memcpy(text, data, length);
	EXPECT_EQ(trace_text_parse(text, length, 1, 1, at_once, MAX_EVENTS,
				   &nr_events, &counts),
		  length);
	for (i = 0; i < nr_events; i++)
		check_event(&at_once[i], length);
	check_counts(&counts, nr_events, text, length);
	read_in_pieces(text, length, 1 + take(&cuts) * 7,
		       (size_t)(1 + take(&cuts)), nr_events, &counts);
	/* By itself a line does not show that its event goes on in the next one. */
	if (!counts.wrapped)
		read_lines(text, length, nr_events);

	if (counts.starts + counts.ends) {
		replay_in_pieces(text, nr_events, nr_events + 1, &found[0]);
		check_totals(&found[0], &counts);
	}
	/* A replay is a megabyte: seldom where there is nothing to find. */
	if (counts.starts && counts.ends) {
		replay_in_pieces(text, nr_events, (size_t)(1 + take(&cuts) % 16),
				 &found[1]);
		same_findings(&found[0], &found[1]);
	}
	free(text);
	return 0;
}
