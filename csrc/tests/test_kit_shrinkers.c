/* SPDX-License-Identifier: MIT */
/* The driver test kit: shrinkers, their callbacks and their lists. */

#include "check.h"
#include "kit_failures.h"

#include <linux/list_lru.h>
#include <net/net_namespace.h>

static DEFINE_SPINLOCK(spinlock);

static unsigned long count_five(struct shrinker *shrinker, struct shrink_control *sc)
{
	(void)shrinker;
	(void)sc;
	return 5;
}

static unsigned long forget_the_lock(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	(void)shrinker;
	spin_lock(&spinlock);
	CHECK(current->flags & PF_MEMALLOC);
	return sc->nr_to_scan;
}

/* A callback that leaves a lock behind fails, and a shrinker that is left is told. */
static void callbacks_leave_no_lock(void)
{
	struct shrinker *shrinker;
	struct shrinker_test_calls calls;

	begin();
	CHECK(!shrinker_test_watch("forgetful"));
	shrinker = shrinker_alloc(0, "forgetful");
	shrinker->count_objects = count_five;
	shrinker->scan_objects = forget_the_lock;
	shrinker->seeks = 0;
	shrinker_register(shrinker);
	CHECK(!shrinker_test_calls("forgetful", &calls));
	CHECK(shrinker_test_watch("forgetful"));
	CHECK(shrinker_test_watch("forgetful"));
	/* Half of five, below a batch and below the count: put off, three times */
	CHECK_EQ(shrinker_test_pressure(0), 0);
	CHECK_EQ(shrinker_test_pressure(0), 0);
	CHECK_EQ(shrinker_test_pressure(0), 6);
	CHECK(failed_with("scan_objects() of forgetful was called with 0 locks held"));
	spin_unlock(&spinlock);
	CHECK(shrinker_test_calls("forgetful", &calls));
	CHECK_EQ(calls.count_calls, 3);
	CHECK_EQ(calls.scan_calls, 1);
	CHECK_EQ(shrinker_test_end(), 1);
	shrinker_free(shrinker);
	end();
}

static struct shrinker *shrinker;

static unsigned long count_many(struct shrinker *self, struct shrink_control *sc)
{
	(void)self;
	(void)sc;
	return 1000;
}

static unsigned long free_itself(struct shrinker *self, struct shrink_control *sc)
{
	(void)sc;
	shrinker_free(self);
	rcu_read_lock();
	return SHRINK_STOP;
}

static struct shrinker *make(const char *name)
{
	struct shrinker *made = shrinker_alloc(0, "%s", name);

	made->count_objects = count_many;
	made->scan_objects = free_itself;
	shrinker_register(made);
	return made;
}

static char first_failure[512];

static void note_first(const char *text)
{
	if (!first_failure[0])
		snprintf(first_failure, sizeof(first_failure), "%s", text);
	note(text);
}

/* A shrinker that is freed in its own callback, twice, or not at all. */
static void shrinkers_go_wrong(void)
{
	struct shrinker_test_calls calls;
	struct shrinker *second;

	begin();
	shrinker = make("lonely");
	shrinker_test_on_failure(note_first);
	shrinker_test_pressure(0);
	CHECK(strstr(first_failure, "shrinker_free() of lonely in its own callback"));
	CHECK(strstr(failure, "scan_objects() of lonely was called inside 0 rcu_read_lock()"));
	CHECK_EQ(failures, 2);
	CHECK_EQ(shrinker_test_failures(), 2);
	failures = 0;
	CHECK_EQ(shrinker_test_end(), 2); /* the reader, the shrinker */
	rcu_read_unlock();
	shrinker_register(shrinker);
	CHECK(failed_with("shrinker_register() of a shrinker that is registered"));
	/* Two of one name: the first, or as debugfs names them. */
	second = make("lonely");
	CHECK(shrinker_test_watch("lonely"));
	CHECK(!shrinker_test_calls("lonely-1", &calls));
	CHECK(shrinker_test_watch("lonely-1"));
	CHECK(!shrinker_test_watch("lonely-7"));
	shrinker_free(shrinker);
	shrinker_free(shrinker);
	CHECK(failed_with("shrinker_free() of a shrinker that was allocated at tests/test_kit_shrinkers.c:"));
	shrinker_register(shrinker);
	CHECK(failed_with("that is freed"));
	shrinker_free(second);
	shrinker_free(NULL);
	shrinker = shrinker_alloc(0, "silent");
	shrinker_register(shrinker);
	CHECK(failed_with("silent has no count_objects()"));
	shrinker->count_objects = count_many;
	shrinker_register(shrinker);
	CHECK(failed_with("silent has no scan_objects()"));
	CHECK_EQ(shrinker_test_end(), 1); /* neither registered nor freed */
	spin_lock(&spinlock);
	shrinker_free(shrinker);
	CHECK(failed_with("under the spinlock"));
	spin_unlock(&spinlock);
	end();
}

static enum lru_status isolate_unlocked(struct list_head *item, struct list_lru_one *list,
					spinlock_t *lock, void *arg)
{
	int *how = arg;

	lockdep_assert_held(lock);
	if (*how == 1)
		kfree(kmalloc(1, GFP_KERNEL));
	list_lru_isolate(list, item);
	if (*how == 2) {
		spin_unlock(lock);
		CHECK_EQ(shrinker_test_locks_held(), 0);
		spin_lock(lock);
		return LRU_REMOVED_RETRY;
	}
	if (*how == 3)
		spin_unlock(lock);
	return LRU_REMOVED;
}

static enum lru_status isolate_without(struct list_head *item, struct list_lru_one *list,
				       void *arg)
{
	(void)arg;
	list_lru_isolate(list, item);
	return LRU_REMOVED;
}

/* Isolate callbacks of both kinds, and an lru without a shrinker. */
static void both_kinds_of_isolate(void)
{
	struct shrink_control sc = { .nid = 0, .nr_to_scan = 1 };
	struct list_head item;
	struct list_lru lru;
	unsigned long budget;
	int how;

	begin();
	CHECK_EQ(list_lru_init_memcg(&lru, NULL), 0);
	CHECK_EQ(shrinker_test_end(), 1); /* not destroyed */
	INIT_LIST_HEAD(&item);
	for (how = 0; how < 4; how++) {
		budget = 1;
		CHECK(list_lru_add(&lru, &item, 0, NULL));
		CHECK_EQ(list_lru_walk_one(&lru, 0, NULL, isolate_unlocked, &how, &budget), 1);
		if (how == 1)
			CHECK(failed_with("under the spinlock taken at"));
		if (how == 3)
			CHECK(failed_with("has not taken the list's lock again"));
	}
	how = 0;
	CHECK(list_lru_add_obj(&lru, &item));
	CHECK_EQ(list_lru_shrink_walk(&lru, &sc, isolate_unlocked, &how), 1);
	CHECK(list_lru_add_obj(&lru, &item));
	CHECK_EQ(list_lru_walk(&lru, isolate_without, NULL, 1), 1);
	budget = 1;
	CHECK(list_lru_add_obj(&lru, &item));
	CHECK_EQ(list_lru_walk_node(&lru, 0, isolate_without, NULL, &budget), 1);
	list_lru_destroy(&lru);
	list_lru_destroy(&lru);
	shrinker_test_fail_allocation(1);
	CHECK_EQ(list_lru_init(&lru), -ENOMEM);
	end();
}

static unsigned long none(struct shrinker *self, struct shrink_control *sc)
{
	(void)self;
	(void)sc;
	return 0;
}

static struct shrinker *other;

static unsigned long free_the_other(struct shrinker *self, struct shrink_control *sc)
{
	(void)self;
	(void)sc;
	shrinker_free(other);
	other = NULL;
	return 0;
}

/* Shrinkers that were made without the kit, or before the first test. */
static void other_shrinkers(void)
{
	struct shrinker_test_calls calls;
	struct shrinker *plain, *one;

	begin();
	plain = (shrinker_alloc)(0, "plain");
	plain->count_objects = none;
	plain->scan_objects = none;
	(shrinker_register)(plain);
	CHECK(!shrinker_test_calls("plain", &calls));
	CHECK(!shrinker_test_calls("nothing", &calls));
	CHECK_EQ(shrinker_test_end(), 1);
	CHECK(shrinker_test_watch("plain"));
	shrinker_test_pressure(0);
	CHECK(shrinker_test_calls("plain", &calls) && calls.count_calls == 1);
	CHECK_EQ(calls.last_count, 0);
	other = shrinker_alloc(0, "other");
	other->count_objects = none;
	other->scan_objects = none;
	shrinker_register(other);
	one = shrinker_alloc(0, "one");
	one->count_objects = free_the_other;
	one->scan_objects = none;
	shrinker_register(one);
	shrinker_test_pressure(0);
	CHECK(!other);
	shrinker_free(one);
	(shrinker_free)(plain);
	plain = (shrinker_alloc)(0, "plain");
	shrinker_free(plain);
	shrinker_test_failures();
	failures = 0;
	end();
}

static unsigned long scan_nothing(struct shrinker *self, struct shrink_control *sc)
{
	(void)self;
	sc->nr_scanned = 0;
	return 0;
}

/* A pass that a kernel would never end is told when its shrinker is freed. */
static void passes_without_progress(void)
{
	struct shrinker *idle;

	begin();
	idle = shrinker_alloc(0, "idle");
	idle->count_objects = count_many;
	idle->scan_objects = scan_nothing;
	shrinker_register(idle);
	CHECK_EQ(shrinker_test_pressure(0), 0);
	CHECK_EQ(shrinker_test_warnings(), 0);
	shrinker_free(idle);
	CHECK_EQ(shrinker_test_warnings(), 1);
	CHECK_EQ(shrinker_test_end(), 1);
}

int main(void)
{
	RUN(callbacks_leave_no_lock);
	RUN(shrinkers_go_wrong);
	RUN(both_kinds_of_isolate);
	RUN(other_shrinkers);
	RUN(passes_without_progress);
	return checks_report("test_kit_shrinkers");
}
