/* SPDX-License-Identifier: MIT */
/* Readers that may block: they hold a lock for reading, which synchronize_srcu() takes. */
#define _GNU_SOURCE 1

#include <linux/srcu.h>

#include "kit.h"

int init_srcu_struct(struct srcu_struct *srcu)
{
	init_rwsem(&srcu->readers);
	return 0;
}

void cleanup_srcu_struct(struct srcu_struct *srcu)
{
	if (rwsem_is_locked(&srcu->readers))
		kit_fail("cleanup_srcu_struct(): there are readers");
}

/* Readers may nest, and block: they are not among the locks that a thread holds. */
void shrinker_kit_srcu_read_lock(struct srcu_struct *srcu)
{
	pthread_rwlock_rdlock(&srcu->readers.lock.lock);
}

void shrinker_kit_srcu_read_unlock(struct srcu_struct *srcu)
{
	pthread_rwlock_unlock(&srcu->readers.lock.lock);
}

void shrinker_kit_synchronize_srcu(struct srcu_struct *srcu, const char *place)
{
	shrinker_kit_down_write(&srcu->readers, place);
	if (!kit_locks_checked() || shrinker_kit_held(&srcu->readers))
		shrinker_kit_up_write(&srcu->readers, place);
}

void shrinker_kit_call_srcu(struct srcu_struct *srcu, struct rcu_head *head,
			    rcu_callback_t func, const char *place)
{
	shrinker_kit_synchronize_srcu(srcu, place);
	func(head);
}
