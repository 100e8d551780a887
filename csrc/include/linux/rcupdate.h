/* SPDX-License-Identifier: MIT */
/*
 * Read-copy-update: readers are marked, and synchronize_rcu() waits for those that
 * read when it was called.  Reading may nest and must not block (a test fails).
 *
 * call_rcu() runs its functions on a thread that sees no reader: the caller's own,
 * at once where that is so, or at the next synchronize_rcu() or rcu_barrier().
 * Left out: the _bh and _sched flavours (they are the plain one), expediting, and the
 * conditions of rcu_dereference_check() and its kind, which are not looked at.
 */
#ifndef SHRINKER_LINUX_RCUPDATE_H
#define SHRINKER_LINUX_RCUPDATE_H

#include <linux/compiler.h>
#include <linux/kit.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

void shrinker_kit_rcu_read_lock(const char *place);
void shrinker_kit_rcu_read_unlock(const char *place);
int rcu_read_lock_held(void);
void shrinker_kit_synchronize_rcu(const char *what, const char *place);
void call_rcu(struct rcu_head *head, rcu_callback_t func);
/* Frees the memory that @head is in, and that kmalloc() or a cache gave. */
void shrinker_kit_kfree_rcu(struct rcu_head *head, void *memory, const char *place);
bool shrinker_kit_may_free_later(const void *memory, const char *place);

#define rcu_read_lock() shrinker_kit_rcu_read_lock(SHRINKER_KIT_PLACE)
#define rcu_read_unlock() shrinker_kit_rcu_read_unlock(SHRINKER_KIT_PLACE)
#define synchronize_rcu()                                                      \
	shrinker_kit_synchronize_rcu("synchronize_rcu()", SHRINKER_KIT_PLACE)
#define synchronize_rcu_expedited() synchronize_rcu()
#define synchronize_net() synchronize_rcu()
#define rcu_barrier()                                                          \
	shrinker_kit_synchronize_rcu("rcu_barrier()", SHRINKER_KIT_PLACE)
#define call_rcu_hurry(head, func) call_rcu((head), (func))
#define cond_synchronize_rcu(cookie) ((void)(cookie), synchronize_rcu())
#define get_state_synchronize_rcu() 0UL
#define rcu_read_lock_bh() rcu_read_lock()
#define rcu_read_unlock_bh() rcu_read_unlock()
#define rcu_read_lock_sched() rcu_read_lock()
#define rcu_read_unlock_sched() rcu_read_unlock()

#define kvfree_rcu(pointer, member)                                            \
	shrinker_kit_kfree_rcu(&(pointer)->member, (pointer), SHRINKER_KIT_PLACE)
#define kfree_rcu(pointer, member) kvfree_rcu(pointer, member)
#define kfree_rcu_mightsleep(pointer)                                          \
	do {                                                                   \
		synchronize_rcu();                                             \
		kfree(pointer);                                                \
	} while (0)
#define kvfree_rcu_mightsleep(pointer) kfree_rcu_mightsleep(pointer)

#define RCU_INITIALIZER(pointer) (pointer)
#define RCU_INIT_POINTER(to, pointer) WRITE_ONCE(to, pointer)
#define rcu_assign_pointer(to, pointer)                                        \
	__atomic_store_n(&(to), (pointer), __ATOMIC_RELEASE)
#define rcu_dereference(pointer) __atomic_load_n(&(pointer), __ATOMIC_ACQUIRE)
#define rcu_dereference_raw(pointer) rcu_dereference(pointer)
#define rcu_dereference_check(pointer, condition) rcu_dereference(pointer)
#define rcu_dereference_protected(pointer, condition) READ_ONCE(pointer)
#define rcu_dereference_bh(pointer) rcu_dereference(pointer)
#define rcu_dereference_sched(pointer) rcu_dereference(pointer)
#define rcu_dereference_bh_check(pointer, condition) rcu_dereference(pointer)
#define rcu_dereference_raw_check(pointer) rcu_dereference(pointer)
#define rcu_pointer_handoff(pointer) (pointer)
#define rcu_read_lock_bh_held() rcu_read_lock_held()
#define rcu_read_lock_any_held() rcu_read_lock_held()
#define rcu_head_init(head) ((void)(head))
#define init_rcu_head(head) ((void)(head))
#define destroy_rcu_head(head) ((void)(head))
#define rcu_access_pointer(pointer) READ_ONCE(pointer)
#define rcu_replace_pointer(to, pointer, condition)                            \
	__atomic_exchange_n(&(to), (pointer), __ATOMIC_ACQ_REL)
#define unrcu_pointer(pointer) (pointer)
#define RCU_LOCKDEP_WARN(condition, text) ((void)0)

#ifdef __cplusplus
}
#endif

#include <linux/cleanup.h>

#ifndef __cplusplus
/* Guards without a lock of their own. */
DEFINE_LOCK_GUARD_0(rcu, rcu_read_lock(), rcu_read_unlock())
#endif

#endif /* SHRINKER_LINUX_RCUPDATE_H */
