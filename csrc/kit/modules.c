/* SPDX-License-Identifier: MIT */
/* The drivers that are linked in: loading and unloading them. */
#define _GNU_SOURCE 1

#include <stdio.h>

#include <shrinker_test.h>
#include <linux/init.h>

#include "kit.h"

/* In the order in which they are loaded. */
static struct shrinker_kit_module *modules;

/* Called before main(), by each driver's module_init() and module_exit(). */
void shrinker_kit_add_module(struct shrinker_kit_module *module)
{
	struct shrinker_kit_module **link = &modules;

	while (*link && (*link)->level <= module->level)
		link = &(*link)->next;
	module->next = *link;
	*link = module;
}

int shrinker_test_load(void)
{
	struct shrinker_kit_module *module;
	struct kit_before before;
	int error;

	for (module = modules; module; module = module->next) {
		if (!module->init || module->loaded)
			continue;
		before = kit_before();
		error = module->init();
		kit_same_locks(before, "module_init() of ", module->file);
		if (error > 0)
			shrinker_kit_warn(NULL, module->file,
					  "loading returned %d: 0 or a negative error is expected; it counts as loaded\n",
					  error);
		if (error < 0) {
			fprintf(stderr, "%s: loading returned %d\n", module->file,
				error);
			shrinker_test_unload();
			return error;
		}
		module->loaded = true;
	}
	return 0;
}

/* Whether its file was loaded; one without module_init() needs nothing for it. */
static bool is_loaded(const struct shrinker_kit_module *leaving)
{
	const struct shrinker_kit_module *module;
	bool has_init = false;

	for (module = modules; module; module = module->next) {
		if (!module->init || module->file != leaving->file)
			continue;
		if (module->loaded)
			return true;
		has_init = true;
	}
	return !has_init;
}

static void unload(struct shrinker_kit_module *module)
{
	struct kit_before before = kit_before();

	if (!module)
		return;
	unload(module->next);
	if (!module->leave || !is_loaded(module))
		return;
	module->leave();
	kit_same_locks(before, "module_exit() of ", module->file);
}

void shrinker_test_unload(void)
{
	struct shrinker_kit_module *module;

	unload(modules);
	for (module = modules; module; module = module->next)
		module->loaded = false;
}
