/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ticket lock: CPUs enter in the order in which they came. Not recursive, never taken in an NMI
 * handler, never held across an interrupt window. The order among locks is in docs/locks.md.
 */
#ifndef BULKHEAD_LOCK_H
#define BULKHEAD_LOCK_H

#include "types.h"

struct lock {
	u32 next, owner;
};

/** lock_take() - wait for the lock. Pairs with lock_drop() of the previous owner. */
static inline void lock_take(struct lock *l)
{
	u32 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket) {
		__builtin_ia32_pause();
	}
}

/** lock_try() - Return: true if the lock was free and is now ours. */
static inline bool lock_try(struct lock *l)
{
	u32 ticket = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE);

	return __atomic_compare_exchange_n(&l->next, &ticket, ticket + 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline void lock_drop(struct lock *l)
{
	__atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
}

#endif
