/* SPDX-License-Identifier: MIT */
/*
 * The kernel's names and signatures, on the default domain.  shrinker_register(),
 * shrinker_free(), shrinker_try_get() and shrinker_put() find the domain in the
 * shrinker and are in registry.c.
 */
#define _GNU_SOURCE 1

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <shrinker/domain.h>

struct shrinker *shrinker_alloc(unsigned int flags, const char *fmt, ...)
{
	struct reclaim_domain *domain = reclaim_default_domain();
	struct shrinker *shrinker;
	va_list arguments;
	char *name;
	int length;

	if (!domain)
		return NULL;
	va_start(arguments, fmt);
	length = vasprintf(&name, fmt, arguments);
	va_end(arguments);
	if (length < 0)
		return NULL;
	shrinker = reclaim_shrinker_alloc(domain, flags, name);
	free(name);
	return shrinker;
}

unsigned long shrink_slab(gfp_t gfp_mask, int nid, struct mem_cgroup *memcg,
			  int priority)
{
	struct reclaim_domain *domain = reclaim_default_domain();

	return domain ? reclaim_shrink_slab(domain, gfp_mask, nid, memcg,
					    priority) : 0;
}

void drop_slab(void)
{
	struct reclaim_domain *domain = reclaim_default_domain();

	if (domain)
		reclaim_drop_slab(domain);
}
