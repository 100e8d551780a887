/* SPDX-License-Identifier: MIT */
/*
 * The header of a line: task, processor, flags, time.  ftrace and perf script mostly
 * print all of them, and that is read first and fast.  Their options leave parts out
 * and add others; a kernel log, a mail or a tracer puts its own things before them:
 * such headers are read word by word from the end.
 */
#include "replay/line.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_US 1000
#define MAX_FRACTION_DIGITS 9
/* Four on old kernels, five since 5.18, seven on RT kernels, six and eight by
 * trace-cmd. */
#define MIN_FLAG_CHARS 4
#define MAX_FLAG_CHARS 8
/* "(tgid)"; in a damaged line the search for its beginning ends there. */
#define MAX_TGID_CHARS 16
/* Of a task's name; a longer one has something before it. */
#define MAX_COMM_CHARS 24

/* "338.056654", or an integer: some trace clocks count something else. */
static bool take_time(struct cursor *c, uint64_t *time)
{
	struct cursor p = *c;
	uint64_t seconds, fraction, unit = NS_PER_SECOND;
	const char *digits;

	if (!take_u64(&p, UINT64_MAX, &seconds))
		return false;
	if (!take_char(&p, '.')) {
		*time = seconds;
		*c = p;
		return true;
	}
	if (seconds >= UINT64_MAX / NS_PER_SECOND)
		return false;
	digits = p.at;
	if (!take_u64(&p, NS_PER_SECOND - 1, &fraction) ||
	    p.at - digits > MAX_FRACTION_DIGITS)
		return false;
	for (; digits < p.at; digits++)
		unit /= 10;
	*time = seconds * NS_PER_SECOND + fraction * unit;
	*c = p;
	return true;
}

static bool take_flags(struct cursor *c)
{
	const char *from = c->at;

	while (c->at < c->end && !is_blank(*c->at))
		c->at++;
	return c->at - from >= MIN_FLAG_CHARS &&
	       c->at - from <= MAX_FLAG_CHARS;
}

static bool take_time_and_colon(struct cursor *c, uint64_t *time)
{
	return take_time(c, time) && take_char(c, ':');
}

/* "[cpu] flags time:" and a blank; the flags may be missing. */
static bool take_cpu_and_time(struct cursor *c, struct trace_text_event *event)
{
	struct cursor p = *c, behind_cpu;
	uint64_t cpu, time;

	if (!take_char(&p, '[') || !take_u64(&p, INT32_MAX, &cpu) ||
	    !take_char(&p, ']') || !skip_blanks(&p))
		return false;
	behind_cpu = p;
	if (!take_time_and_colon(&p, &time)) {
		p = behind_cpu;
		if (!take_flags(&p) || !skip_blanks(&p) ||
		    !take_time_and_colon(&p, &time))
			return false;
	}
	if (!skip_blanks(&p) && p.at != p.end)
		return false;
	event->cpu = (int32_t)cpu;
	event->time = time;
	*c = p;
	return true;
}

/* Cuts "(tgid)" off the end, with the blanks before it. */
static void trim_tgid(struct cursor *task)
{
	const char *open = task->end;

	if (open == task->at || open[-1] != ')')
		return;
	while (open > task->at && *open != '(' &&
	       task->end - open < MAX_TGID_CHARS)
		open--;
	task->end = open;
	trim_blanks(task);
}

/*
 * What a kernel log puts before a line: "Nov 28 10:37:33 host kernel: [  66.956426]".
 * A task's name may hold brackets: only a time stamp of the log is taken away.
 */
static void skip_log_prefix(struct cursor *task)
{
	const char *kernel = find_literal(*task, "kernel: ");
	struct cursor p = *task;

	if (kernel)
		p.at = kernel + sizeof("kernel: ") - 1;
	skip_blanks(&p);
	if (take_char(&p, '[')) {
		uint64_t time;

		skip_blanks(&p);
		if (take_time(&p, &time) && take_char(&p, ']') &&
		    skip_blanks(&p))
			*task = p;
		return;
	}
	if (kernel)
		*task = p;
	skip_blanks(task);
}

/* "comm-pid (tgid)", "comm pid" or "comm pid/tid", without what follows. */
static bool take_task(struct cursor task, const char *text,
		      struct trace_text_event *event)
{
	struct cursor pid;
	char separator;

	trim_blanks(&task);
	trim_tgid(&task);
	pid.end = task.end;
	trim_digits(&task);
	pid.at = task.end;
	if (task.at == task.end || !take_i32(&pid, 0, &event->pid))
		return false;
	separator = *--task.end;
	if (separator == '/')
		trim_digits(&task);
	else if (separator != '-' && !is_blank(separator))
		return false;
	trim_blanks(&task);
	skip_blanks(&task);
	if (left(&task) > MAX_COMM_CHARS)
		skip_log_prefix(&task);
	event->comm_offset = (uint32_t)(task.at - text);
	event->comm_length = (uint32_t)left(&task);
	return true;
}

/*
 * The name of a task may hold blanks, dashes and brackets, so the header is found
 * by the first "[cpu] flags time: ", and what stands before that is the task.
 */
bool take_header(struct cursor *c, const char *text,
		 struct trace_text_event *event)
{
	struct cursor p = *c;

	while ((p.at = memchr(p.at, '[', left(&p)))) {
		struct cursor task = { c->at, p.at };
		struct cursor rest = p;

		p.at++;
		if (task.end == task.at || !is_blank(task.end[-1]))
			continue;
		if (take_cpu_and_time(&rest, event) &&
		    take_task(task, text, event)) {
			event->flags |= TRACE_TEXT_HEADER | TRACE_TEXT_TIME;
			*c = rest;
			return true;
		}
	}
	event->pid = -1;
	event->cpu = -1;
	event->time = 0;
	return false;
}

/* --- headers of any other form ---------------------------------------------- */

/* Between words; function_graph draws lines. */
static bool is_gap(char ch)
{
	return is_blank(ch) || ch == '|';
}

/* Cuts the last word off @c.  Return: false where there is none. */
static bool take_last_word(struct cursor *c, struct cursor *word)
{
	while (c->end > c->at && is_gap(c->end[-1]))
		c->end--;
	word->end = c->end;
	while (c->end > c->at && !is_gap(c->end[-1]))
		c->end--;
	word->at = c->end;
	return left(word) > 0;
}

/* The whole word is a number. */
static bool is_number(struct cursor word, uint64_t max, uint64_t *value)
{
	return take_u64(&word, max, value) && !left(&word);
}

/* Microseconds to nanoseconds; a time that is too large stays as it is. */
static uint64_t from_us(uint64_t time)
{
	return time > UINT64_MAX / NS_PER_US ? time : time * NS_PER_US;
}

/*
 * "94.170083:", "721515us!:" and "us+:" of the latency format, "66.956426]" and
 * "66.956426][" of a kernel log.
 */
static bool is_time(struct cursor word, uint64_t *time)
{
	if (!take_time(&word, time))
		return false;
	if (take_literal(&word, "us"))
		*time = from_us(*time);
	while (left(&word) && memchr("!+#*@$", *word.at, 6))
		word.at++;
	if (take_char(&word, ']')) {
		take_char(&word, '[');
		return !left(&word);
	}
	return take_char(&word, ':') && !left(&word);
}

/* "10:37:33" or "2026-11-28T10:37:33,984651+00:00": known, but of no use. */
static bool is_clock(struct cursor word)
{
	const char *colon = memchr(word.at, ':', left(&word));

	return colon && is_digit(*word.at) && colon + 1 < word.end &&
	       memchr(colon + 1, ':', (size_t)(word.end - colon - 1));
}

/* "....." after a processor that may stand before it: "1.....". */
static bool is_flags(struct cursor word, uint64_t *cpu, bool *has_cpu)
{
	struct cursor p = word;
	bool dots = false;

	*has_cpu = take_u64(&p, INT32_MAX, cpu);
	if (left(&p) < MIN_FLAG_CHARS || left(&p) > MAX_FLAG_CHARS)
		return false;
	for (; left(&p); p.at++) {
		dots |= *p.at == '.';
		if (*p.at != '.' && *p.at != '#' && *p.at != '*' &&
		    !is_digit(*p.at) && !((*p.at | 0x20) >= 'a' &&
					  (*p.at | 0x20) <= 'z'))
			return false;
	}
	return dots;
}

/* "[001]", "[001]-0x0", "1-0x0" by trace-cmd -R, "1)" by function_graph. */
static bool is_cpu(struct cursor word, uint64_t *cpu)
{
	bool open = take_char(&word, '[');
	uint64_t flags;

	if (!take_u64(&word, INT32_MAX, cpu))
		return false;
	if (open && !take_char(&word, ']'))
		return false;
	if (open ? !left(&word) : take_char(&word, ')'))
		return !left(&word);
	return take_literal(&word, "-0x") && take_hex(&word, &flags) &&
	       !left(&word);
}

/* "K", "U", "Kp": what perf script prints of the processor's mode. */
static bool is_mode(struct cursor word)
{
	const char *from = word.at;

	while (left(&word) && memchr("KUHGMEDSSp*", *word.at, 11))
		word.at++;
	return !left(&word) && word.at - from <= 2;
}

/* "comm-pid", "comm/pid", "pid/tid"; @has_comm: the name is in the word. */
static bool is_task(struct cursor word, int32_t *pid, struct cursor *comm)
{
	struct cursor number = word;
	uint64_t process;

	trim_digits(&word);
	number.at = word.end;
	if (!left(&word) || !take_i32(&number, 0, pid))
		return false;
	if (word.end[-1] != '-' && word.end[-1] != '/')
		return false;
	word.end--;
	*comm = is_number(word, UINT64_MAX, &process) ?
			(struct cursor){ word.at, word.at } :
			word;
	return true;
}

/* "T126]" or "C1]": who printed the line of a kernel log. */
static bool is_caller(struct cursor word, char letter, uint64_t *number)
{
	take_char(&word, '[');
	return take_char(&word, letter) &&
	       take_u64(&word, INT32_MAX, number) && take_char(&word, ']') &&
	       !left(&word);
}

static void set_comm(struct cursor comm, const char *text,
		     struct trace_text_event *event)
{
	event->comm_offset = (uint32_t)(comm.at - text);
	event->comm_length = (uint32_t)left(&comm);
}

/* What stands before the number of a task is its name. */
static void set_comm_before(struct cursor before, const char *text,
			    struct trace_text_event *event)
{
	while (left(&before) && is_gap(before.end[-1]))
		before.end--;
	skip_blanks(&before);
	set_comm(before, text, event);
}

/* The verbose latency format: "sh 126 1 0 00000000 00000000 [01c7a8be] 496.080ms",
 * that is pid, processor, and numbers of no use here.  @c ends before the time. */
static bool take_verbose(struct cursor c, const char *text,
			 struct trace_text_event *event)
{
	struct cursor word;
	uint64_t numbers[5];
	int i;

	if (!take_last_word(&c, &word) || *word.at != '[')
		return false;
	for (i = 5; i-- > 0;)
		if (!take_last_word(&c, &word) ||
		    !is_number(word, UINT32_MAX, &numbers[i]))
			return false;
	event->pid = (int32_t)(numbers[0] & INT32_MAX);
	event->cpu = (int32_t)(numbers[1] & INT32_MAX);
	set_comm_before(c, text, event);
	return true;
}

/* "496.080ms", which is a time since the first event. */
static bool is_verbose_time(struct cursor word, uint64_t *time)
{
	if (!take_time(&word, time))
		return false;
	*time /= 1000;
	return take_literal(&word, "ms") && !left(&word);
}

/* The words before the time, from the last one. */
struct loose {
	struct trace_text_event *event;
	const char *text;
	bool has_flags;
	bool has_clock;
};

/* Return: whether the word was one of a header, and others may stand before it. */
static bool read_word(struct loose *loose, struct cursor *before,
		      struct cursor word)
{
	struct trace_text_event *event = loose->event;
	struct cursor comm;
	uint64_t number;
	bool has_cpu;

	if (!(event->flags & TRACE_TEXT_TIME) && is_time(word, &number)) {
		event->time = number;
		event->flags |= TRACE_TEXT_TIME;
		return true;
	}
	if (is_cpu(word, &number)) {
		event->cpu = (int32_t)number;
		return true;
	}
	if (is_caller(word, 'T', &number)) {
		event->pid = (int32_t)number;
		return true;
	}
	if (is_caller(word, 'C', &number)) {
		event->cpu = (int32_t)number;
		return true;
	}
	if (is_verbose_time(word, &number)) {
		event->time = number;
		event->flags |= TRACE_TEXT_TIME;
		take_verbose(*before, loose->text, event);
		return false;
	}
	if (is_flags(word, &number, &has_cpu)) {
		loose->has_flags = true;
		if (has_cpu && event->cpu < 0)
			event->cpu = (int32_t)number;
		return true;
	}
	if (is_number(word, INT32_MAX, &number)) {
		/* Behind a time: perf's period. */
		struct cursor p = *before, time;
		uint64_t value;

		if (!(event->flags & TRACE_TEXT_TIME) &&
		    take_last_word(&p, &time) && is_time(time, &value))
			return true;
		event->pid = (int32_t)number;
		set_comm_before(*before, loose->text, event);
		return false;
	}
	if (is_task(word, &event->pid, &comm)) {
		if (left(&comm))
			set_comm(comm, loose->text, event);
		else
			set_comm_before(*before, loose->text, event);
		return false;
	}
	if (is_clock(word)) {
		loose->has_clock = true;
		return true;
	}
	/* "(+0.619ms):", "(+142)", "(  126)": durations and the tgid. */
	return *word.at == '(' || word.end[-1] == ')' || is_mode(word);
}

/* "419us :" of the latency format in a kernel log. */
static void take_apart_colon(struct cursor *c, struct trace_text_event *event)
{
	struct cursor p = *c, word;
	uint64_t time;

	if (!take_last_word(&p, &word) || left(&word) != 1 || *word.at != ':' ||
	    !take_last_word(&p, &word) || !take_time(&word, &time) ||
	    !take_literal(&word, "us") || left(&word))
		return;
	event->time = from_us(time);
	event->flags |= TRACE_TEXT_TIME;
	*c = p;
}

bool read_loose_header(struct cursor header, const char *text,
		       struct trace_text_event *event)
{
	struct loose loose = { event, text, false, false };
	const char *kernel = find_literal(header, "kernel: ");
	struct cursor word;

	if (kernel)
		header.at = kernel + sizeof("kernel: ") - 1;
	/* The beginning of a comment: function_graph. */
	while (left(&header) && (is_gap(header.end[-1]) ||
				 memchr("/*", header.end[-1], 2)))
		header.end--;
	skip_blanks(&header);
	if (!left(&header))
		return true;
	take_apart_colon(&header, event);
	while (take_last_word(&header, &word) &&
	       read_word(&loose, &header, word))
		;
	if (event->pid < 0 && event->cpu < 0 && !loose.has_clock &&
	    !(event->flags & TRACE_TEXT_TIME))
		return false;
	event->flags |= TRACE_TEXT_HEADER;
	/* ftrace prints its flags with a task: the line was cut at its front. */
	return event->pid >= 0 || !loose.has_flags;
}
