// SPDX-License-Identifier: MIT
/*
 * What stands before an event's name: task, processor, flags and time.  The
 * name of a task may hold blanks, dashes and brackets, so that the header is
 * found by its only fixed part, "[cpu] flags time: ", from the left.  And the
 * line that a tracer prints in place of events that it lost.
 */
#include "trace_parts.h"

/* Seconds, and a fraction of up to nine digits; a bare count is a time too. */
static bool take_time(struct cursor *c, uint64_t *time)
{
	struct cursor p = *c;
	uint64_t seconds, fraction = 0;
	uint64_t scale = 1000000000;

	if (!take_u64(&p, UINT64_MAX / 1000000000 - 1, &seconds))
		return false;
	if (take_char(&p, '.')) {
		const char *from = p.at;

		if (!take_u64(&p, 999999999, &fraction) || p.at - from > 9)
			return false;
		for (; from < p.at; from++)
			scale /= 10;
		*time = seconds * 1000000000 + fraction * scale;
	} else {
		*time = seconds;
	}
	c->at = p.at;
	return true;
}

/* "[cpu] flags time: ", the cursor being at the bracket. */
static bool take_fixed_part(struct cursor *c, struct trace_text_event *event)
{
	struct cursor p = *c, without_flags;
	uint64_t cpu, time;

	if (!take_char(&p, '[') || !take_u64(&p, INT32_MAX, &cpu) ||
	    !take_char(&p, ']') || !skip_blanks(&p))
		return false;
	without_flags = p;
	if (!take_time(&p, &time) || !take_char(&p, ':')) {
		const char *flags;

		p = without_flags;
		flags = p.at;
		while (p.at < p.end && !is_blank(*p.at))
			p.at++;
		if (p.at - flags < 4 || p.at - flags > 5 || !skip_blanks(&p) ||
		    !take_time(&p, &time) || !take_char(&p, ':'))
			return false;
	}
	if (!skip_blanks(&p) && p.at != p.end)
		return false;
	event->cpu = (int32_t)cpu;
	event->time = time;
	*c = p;
	return true;
}

/* "comm-pid", "comm pid" or "comm pid/tid", and "(tgid)": up to the bracket. */
static bool split_task(struct cursor task, const char *text,
		       struct trace_text_event *event)
{
	struct cursor pid;
	const char *digits;

	while (task.end > task.at && is_blank(task.end[-1]))
		task.end--;
	if (task.end > task.at && task.end[-1] == ')') {
		const char *open = task.end;

		/* A tgid is short: no long way back over damage. */
		while (open > task.at && *open != '(' && task.end - open < 16)
			open--;
		task.end = open;
		while (task.end > task.at && is_blank(task.end[-1]))
			task.end--;
	}
	digits = task.end;
	while (digits > task.at && is_digit(digits[-1]))
		digits--;
	pid = (struct cursor){ digits, task.end };
	if (!take_i32(&pid, 0, &event->pid) || digits == task.at)
		return false;
	task.end = digits - 1;
	if (*task.end == '/') {
		while (task.end > task.at && is_digit(task.end[-1]))
			task.end--;
	} else if (*task.end != '-' && !is_blank(*task.end)) {
		return false;
	}
	while (task.end > task.at && is_blank(task.end[-1]))
		task.end--;
	skip_blanks(&task);
	event->comm_offset = (uint32_t)(task.at - text);
	event->comm_length = (uint32_t)left(&task);
	return true;
}

bool trace_take_header(struct cursor *c, const char *text,
		       struct trace_text_event *event)
{
	struct cursor p = *c;

	while (left(&p)) {
		const char *bracket = memchr(p.at, '[', left(&p));
		struct cursor fixed;

		if (!bracket)
			break;
		fixed = (struct cursor){ bracket, c->end };
		if (bracket > c->at && is_blank(bracket[-1]) &&
		    take_fixed_part(&fixed, event) &&
		    split_task((struct cursor){ c->at, bracket }, text,
			       event)) {
			event->flags |= TRACE_TEXT_HEADER;
			*c = fixed;
			return true;
		}
		p.at = bracket + 1;
	}
	event->pid = -1;
	event->cpu = -1;
	event->time = 0;
	return false;
}

bool trace_take_lost(struct cursor c, struct trace_text_event *event)
{
	uint64_t cpu, lost = 0;

	skip_blanks(&c);
	if (!take_literal(&c, "CPU:") || !take_u64(&c, INT32_MAX, &cpu) ||
	    !skip_blanks(&c) || !take_literal(&c, "[LOST "))
		return false;
	if (take_u64(&c, UINT64_MAX, &lost) && !take_char(&c, ' '))
		return false;
	if (!take_literal(&c, "EVENTS]"))
		return false;
	skip_blanks(&c);
	if (c.at != c.end)
		return false;
	event->cpu = (int32_t)cpu;
	event->lost = lost;
	return true;
}
