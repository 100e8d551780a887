/* SPDX-License-Identifier: MIT */
/*
 * A cursor over the text of a line; it never moves past the end.  Each take_*()
 * returns whether the thing was there, and moves behind it only then.
 *
 * Include this header first: it asks libc for memmem().
 */
#ifndef SHRINKER_REPLAY_CURSOR_H
#define SHRINKER_REPLAY_CURSOR_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* memmem() */
#endif

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Hexadecimal digits of 64 bits. */
#define MAX_HEX_DIGITS 16

struct cursor {
	const char *at;
	const char *end;
};

static inline size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static inline bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

static inline bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static inline int hex_digit(char ch)
{
	if (is_digit(ch))
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

/* Return: whether there was a blank. */
static inline bool skip_blanks(struct cursor *c)
{
	const char *from = c->at;

	while (c->at < c->end && is_blank(*c->at))
		c->at++;
	return c->at > from;
}

/* The same from the end, backwards. */
static inline void trim_blanks(struct cursor *c)
{
	while (c->end > c->at && is_blank(c->end[-1]))
		c->end--;
}

static inline void trim_digits(struct cursor *c)
{
	while (c->end > c->at && is_digit(c->end[-1]))
		c->end--;
}

static inline bool take_text(struct cursor *c, const char *text, size_t length)
{
	if (left(c) < length || memcmp(c->at, text, length) != 0)
		return false;
	c->at += length;
	return true;
}

#define take_literal(c, text) take_text((c), (text), sizeof(text) - 1)

static inline bool take_char(struct cursor *c, char ch)
{
	if (c->at == c->end || *c->at != ch)
		return false;
	c->at++;
	return true;
}

/* At least one decimal digit; a number of at most @max. */
static inline bool take_u64(struct cursor *c, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	const char *p;

	for (p = c->at; p < c->end && is_digit(*p); p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (p == c->at)
		return false;
	c->at = p;
	*value = v;
	return true;
}

/* The same with a minus sign or without.  On failure the sign may be taken. */
static inline bool take_signed(struct cursor *c, int64_t min, int64_t max,
			       int64_t *value)
{
	bool negative = take_char(c, '-');
	uint64_t v;

	/* 0 - (uint64_t)min is |min|; -min could overflow. */
	if (!take_u64(c, negative ? 0 - (uint64_t)min : (uint64_t)max, &v))
		return false;
	*value = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static inline bool take_i64(struct cursor *c, int64_t *value)
{
	return take_signed(c, INT64_MIN, INT64_MAX, value);
}

static inline bool take_i32(struct cursor *c, int32_t min, int32_t *value)
{
	int64_t v;

	if (!take_signed(c, min, INT32_MAX, &v))
		return false;
	*value = (int32_t)v;
	return true;
}

/* 1 to MAX_HEX_DIGITS digits, with 0x before them or without. */
static inline bool take_hex(struct cursor *c, uint64_t *value)
{
	struct cursor p = *c;
	uint64_t v = 0;
	int digits;

	if (!take_literal(&p, "0x"))
		take_literal(&p, "0X");
	for (digits = 0; p.at < p.end && hex_digit(*p.at) >= 0; p.at++) {
		if (++digits > MAX_HEX_DIGITS)
			return false;
		v = v << 4 | (uint64_t)hex_digit(*p.at);
	}
	if (!digits)
		return false;
	c->at = p.at;
	*value = v;
	return true;
}

/* Return: where @text is first found; NULL where it is not. */
static inline const char *find(struct cursor in, const char *text,
			       size_t length)
{
	if (left(&in) < length)
		return NULL;
	return memmem(in.at, left(&in), text, length);
}

#define find_literal(in, text) find((in), (text), sizeof(text) - 1)

#endif /* SHRINKER_REPLAY_CURSOR_H */
