/* SPDX-License-Identifier: MIT */
/*
 * Readers that may block, each kind for itself.
 *
 * A read lock of pthreads: synchronize_srcu() waits for all readers of that kind.
 */
#ifndef SHRINKER_LINUX_SRCU_H
#define SHRINKER_LINUX_SRCU_H

#include <linux/kit.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>

#ifdef __cplusplus
extern "C" {
#endif


struct srcu_struct {
	struct rw_semaphore readers;
};

int init_srcu_struct(struct srcu_struct *srcu);
void cleanup_srcu_struct(struct srcu_struct *srcu);
void shrinker_kit_srcu_read_lock(struct srcu_struct *srcu);
void shrinker_kit_srcu_read_unlock(struct srcu_struct *srcu);
void shrinker_kit_synchronize_srcu(struct srcu_struct *srcu, const char *place);
void shrinker_kit_call_srcu(struct srcu_struct *srcu, struct rcu_head *head,
			    rcu_callback_t func, const char *place);

#ifdef __cplusplus
}
#endif

#define DEFINE_SRCU(name) struct srcu_struct name = { __RWSEM_INITIALIZER(name.readers) }
#define DEFINE_STATIC_SRCU(name) static DEFINE_SRCU(name)
#define srcu_read_lock(srcu) SHRINKER_KIT_VALUE(shrinker_kit_srcu_read_lock(srcu), 0)
#define srcu_read_unlock(srcu, index)                                          \
	((void)(index), shrinker_kit_srcu_read_unlock(srcu))
#define srcu_read_lock_held(srcu) ((void)(srcu), 1)
#define synchronize_srcu(srcu) shrinker_kit_synchronize_srcu((srcu), SHRINKER_KIT_PLACE)
#define synchronize_srcu_expedited(srcu) synchronize_srcu(srcu)
#define srcu_barrier(srcu) synchronize_srcu(srcu)
/* Waits, and calls. */
#define call_srcu(srcu, head, func)                                            \
	shrinker_kit_call_srcu((srcu), (head), (func), SHRINKER_KIT_PLACE)
#define srcu_dereference(pointer, srcu) ((void)(srcu), rcu_dereference(pointer))
#define srcu_dereference_check(pointer, srcu, condition) srcu_dereference(pointer, srcu)

#endif /* SHRINKER_LINUX_SRCU_H */
