/* SPDX-License-Identifier: MIT */
/*
 * Locks and memory that are let go at the end of a block.  C only.
 *
 * Left out: conditional guards (scoped_cond_guard).
 */
#ifndef SHRINKER_LINUX_CLEANUP_H
#define SHRINKER_LINUX_CLEANUP_H

#ifndef __cplusplus

#define __cleanup(function) __attribute__((cleanup(function)))

#define DEFINE_FREE(name, type, release)                                       \
	static inline __attribute__((unused)) void __free_##name(void *pointer) \
	{                                                                      \
		type _T = *(type *)pointer;                                    \
		release;                                                       \
	}
#define __free(name) __cleanup(__free_##name)

/* Hands a pointer on, so that it is not freed at the end of the block. */
#define no_free_ptr(pointer)                                                   \
	__extension__({                                                        \
		__typeof__(pointer) kept_ = (pointer);                         \
		(pointer) = NULL;                                              \
		kept_;                                                         \
	})
#define return_ptr(pointer) return no_free_ptr(pointer)

/* The pointer, which is NULL from now on. */
#define __get_and_null(pointer, null)                                          \
	__extension__({                                                        \
		__typeof__(pointer) *at_ = &(pointer);                         \
		__typeof__(pointer) kept_ = *at_;                              \
		*at_ = null;                                                   \
		kept_;                                                         \
	})
#define retain_and_null_ptr(pointer) ((void)no_free_ptr(pointer))

#define DEFINE_CLASS(name, type, leave, enter, ...)                            \
	typedef type class_##name##_t;                                         \
	static inline __attribute__((unused)) void                             \
	class_##name##_leave(class_##name##_t *at)                             \
	{                                                                      \
		class_##name##_t _T = *at;                                     \
		leave;                                                         \
	}                                                                      \
	static inline __attribute__((unused)) class_##name##_t                 \
	class_##name##_enter(__VA_ARGS__)                                      \
	{                                                                      \
		class_##name##_t t = enter;                                    \
		return t;                                                      \
	}

#define DEFINE_GUARD(name, type, enter, leave)                                 \
	DEFINE_CLASS(name, type, if (_T) { leave; },                           \
		     __extension__({ enter; _T; }), type _T)

#define SHRINKER_KIT_JOIN_(a, b) a##b
#define SHRINKER_KIT_JOIN(a, b) SHRINKER_KIT_JOIN_(a, b)

#define CLASS(name, variable)                                                  \
	class_##name##_t variable                                              \
		__attribute__((cleanup(class_##name##_leave), unused)) =       \
			class_##name##_enter
#define SHRINKER_KIT_GUARD(name, variable) CLASS(name, variable)
#define guard(name)                                                            \
	SHRINKER_KIT_GUARD(name, SHRINKER_KIT_JOIN(guard_, __COUNTER__))
#define SHRINKER_KIT_SCOPED(name, variable, ...)                               \
	for (SHRINKER_KIT_GUARD(name, variable)(__VA_ARGS__), *once_ = NULL;   \
	     !once_; once_ = (void *)1)
#define scoped_guard(name, ...)                                                \
	SHRINKER_KIT_SCOPED(name, SHRINKER_KIT_JOIN(scope_, __COUNTER__),      \
			    __VA_ARGS__)

/* A guard that has no lock of its own: RCU, say. */
#define DEFINE_LOCK_GUARD_0(name, enter, leave)                                \
	DEFINE_CLASS(name, void *, if (_T) { leave; },                         \
		     __extension__({ enter; (void *)1; }), void)

#endif /* __cplusplus */

#endif /* SHRINKER_LINUX_CLEANUP_H */
