/* SPDX-License-Identifier: MIT */
/*
 * What the driver makes and has to destroy: caches, lists, queues, pools, counters.
 *
 * Each is known by its kind and address, with the place that made it; and once
 * destroyed with that place, so that a second time can be told.
 */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

/** struct made - one thing; @ended: where it was destroyed, or NULL */
struct made {
	struct made *next;
	const char *kind;
	const void *object;
	char name[32];
	const char *place;
	const char *ended;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The latest first. */
static struct made *all;

/* One that lives before one that does not; NULL: neither.  Under the lock. */
static struct made *find(const char *kind, const void *object)
{
	struct made *made, *ended = NULL;

	for (made = all; made; made = made->next) {
		if (made->object != object || strcmp(made->kind, kind))
			continue;
		if (!made->ended)
			return made;
		if (!ended)
			ended = made;
	}
	return ended;
}

/* Return: false where there is no memory to know it by. */
bool kit_made(const char *kind, const void *object, const char *name,
	      const char *place)
{
	struct made *made = calloc(1, sizeof(*made));

	if (!made)
		return false;
	made->kind = kind;
	made->object = object;
	snprintf(made->name, sizeof(made->name), "%s", name);
	made->place = place;
	pthread_mutex_lock(&lock);
	made->next = all;
	all = made;
	pthread_mutex_unlock(&lock);
	return true;
}

bool kit_is_made(const char *kind, const void *object)
{
	struct made *made;
	bool is;

	pthread_mutex_lock(&lock);
	made = find(kind, object);
	is = made && !made->ended;
	pthread_mutex_unlock(&lock);
	return is;
}

/* Return: whether it lived; if not, the test fails. */
bool kit_end_made(const char *kind, const void *object, const char *call,
		  const char *place)
{
	const char *made_at = NULL, *ended_at = NULL;
	struct made *made;

	pthread_mutex_lock(&lock);
	made = find(kind, object);
	if (made && !made->ended) {
		made->ended = place;
		pthread_mutex_unlock(&lock);
		return true;
	}
	if (made) {
		made_at = made->place;
		ended_at = made->ended;
	}
	pthread_mutex_unlock(&lock);
	if (made_at)
		kit_fail("%s: %s of a %s that was made at %s and destroyed at %s",
			 place, call, kind, made_at, ended_at);
	else
		kit_fail("%s: %s of %p, which is no %s", place, call, object, kind);
	return false;
}

bool shrinker_kit_made(const char *kind, const void *object, const char *place)
{
	return kit_made(kind, object, "", place);
}

/* It may be destroyed any number of times. */
void shrinker_kit_drop_made(const char *kind, const void *object)
{
	struct made *made;

	pthread_mutex_lock(&lock);
	made = find(kind, object);
	if (made && !made->ended)
		made->ended = "";
	pthread_mutex_unlock(&lock);
}

/* Forgets what earlier tests have destroyed. */
void kit_made_begin(void)
{
	struct made **link, *made;

	pthread_mutex_lock(&lock);
	for (link = &all; (made = *link);) {
		if (!made->ended) {
			link = &made->next;
			continue;
		}
		*link = made->next;
		free(made);
	}
	pthread_mutex_unlock(&lock);
}

/* Tells what still lives.  Return: complaints. */
int kit_made_complain(void)
{
	struct made *made;
	int complaints = 0;

	pthread_mutex_lock(&lock);
	for (made = all; made; made = made->next) {
		if (made->ended)
			continue;
		fprintf(stderr, "%s %s%smade at %s was not destroyed\n", made->kind,
			made->name, made->name[0] ? ", " : "", made->place);
		complaints++;
	}
	pthread_mutex_unlock(&lock);
	return complaints;
}
