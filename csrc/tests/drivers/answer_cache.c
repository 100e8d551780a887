// SPDX-License-Identifier: MIT
/*
 * A hash cache with one spinlock, and work that drops what has become too old.
 *
 * Entries stand in the order in which they were added, which is that in which they
 * become too old: both the work and the shrinker take from the front.
 */
#include <linux/atomic.h>
#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "answer_cache.h"

struct answer {
	struct hlist_node hash;
	struct list_head age;
	unsigned long expires;
	u32 key;
	u32 value;
	char question[];
};

static DEFINE_HASHTABLE(answers, 6);
static LIST_HEAD(answers_by_age);
static DEFINE_SPINLOCK(answers_lock);
static atomic_long_t nr_answers = ATOMIC_LONG_INIT(0);
static struct workqueue_struct *answer_queue;
static struct shrinker *answer_shrinker;

static void drop_old(struct work_struct *work);
static DECLARE_DELAYED_WORK(drop_old_work, drop_old);

static u32 key_of(const char *question)
{
	return jhash(question, strlen(question), 0);
}

static struct answer *lookup(u32 key, const char *question)
{
	struct answer *answer;

	lockdep_assert_held(&answers_lock);
	hash_for_each_possible(answers, answer, hash, key)
		if (answer->key == key && !strcmp(answer->question, question))
			return answer;
	return NULL;
}

int answer_add(const char *question, u32 value, gfp_t gfp)
{
	size_t length = strlen(question) + 1;
	struct answer *answer;
	int err = 0;

	answer = kmalloc(struct_size(answer, question, length), gfp);
	if (!answer)
		return -ENOMEM;
	answer->key = key_of(question);
	answer->value = value;
	answer->expires = jiffies + ANSWER_SECONDS * HZ;
	memcpy(answer->question, question, length);

	spin_lock_bh(&answers_lock);
	if (lookup(answer->key, question)) {
		err = -EEXIST;
	} else {
		hash_add(answers, &answer->hash, answer->key);
		list_add_tail(&answer->age, &answers_by_age);
		/* The first one says when there will be something to drop. */
		if (atomic_long_inc_return(&nr_answers) == 1)
			queue_delayed_work(answer_queue, &drop_old_work,
					   ANSWER_SECONDS * HZ);
	}
	spin_unlock_bh(&answers_lock);
	if (err)
		kfree(answer);
	return err;
}

int answer_find(const char *question, u32 *value)
{
	struct answer *answer;
	int err = -ENOENT;

	spin_lock_bh(&answers_lock);
	answer = lookup(key_of(question), question);
	if (answer && time_before(jiffies, answer->expires)) {
		*value = answer->value;
		err = 0;
	}
	spin_unlock_bh(&answers_lock);
	return err;
}

unsigned long answer_count(void)
{
	return atomic_long_read(&nr_answers);
}

/* Takes up to @nr from the front, all or only what is too old; frees them after. */
static unsigned long take_oldest(unsigned long nr, bool all)
{
	struct answer *answer, *next;
	LIST_HEAD(taken);
	unsigned long freed = 0;

	spin_lock_bh(&answers_lock);
	list_for_each_entry_safe(answer, next, &answers_by_age, age) {
		if (freed == nr || (!all && time_before(jiffies, answer->expires)))
			break;
		hash_del(&answer->hash);
		list_move_tail(&answer->age, &taken);
		freed++;
	}
	atomic_long_sub(freed, &nr_answers);
	spin_unlock_bh(&answers_lock);

	list_for_each_entry_safe(answer, next, &taken, age) {
		kfree(answer);
		cond_resched();
	}
	return freed;
}

static void drop_old(struct work_struct *work)
{
	struct answer *oldest;

	take_oldest(ULONG_MAX, false);
	spin_lock_bh(&answers_lock);
	oldest = list_first_entry_or_null(&answers_by_age, struct answer, age);
	if (oldest)
		mod_delayed_work(answer_queue, to_delayed_work(work),
				 oldest->expires - jiffies);
	spin_unlock_bh(&answers_lock);
}

static unsigned long answer_shrink_count(struct shrinker *shrink,
					 struct shrink_control *sc)
{
	return answer_count() ?: SHRINK_EMPTY;
}

static unsigned long answer_shrink_scan(struct shrinker *shrink,
					struct shrink_control *sc)
{
	return take_oldest(sc->nr_to_scan, true);
}

static int __init answer_cache_init(void)
{
	int err = -ENOMEM;

	answer_queue = alloc_workqueue("answers", WQ_MEM_RECLAIM, 0);
	if (!answer_queue)
		return -ENOMEM;
	answer_shrinker = shrinker_alloc(0, "answer-%s", "cache");
	if (!answer_shrinker)
		goto destroy_queue;
	answer_shrinker->count_objects = answer_shrink_count;
	answer_shrinker->scan_objects = answer_shrink_scan;
	answer_shrinker->batch = 32;
	shrinker_register(answer_shrinker);
	pr_debug("at most %d seconds\n", ANSWER_SECONDS);
	return 0;

destroy_queue:
	destroy_workqueue(answer_queue);
	return err;
}

static void __exit answer_cache_exit(void)
{
	shrinker_free(answer_shrinker);
	cancel_delayed_work_sync(&drop_old_work);
	take_oldest(ULONG_MAX, true);
	destroy_workqueue(answer_queue);
}

module_init(answer_cache_init);
module_exit(answer_cache_exit);
MODULE_LICENSE("Dual MIT/GPL");
