/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words every room speaks: fixed-width integers, address types, bit fields, status codes.
 * Knows no hardware and holds no state; compiles freestanding and for the host.
 */
#ifndef BULKHEAD_TYPES_H
#define BULKHEAD_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef unsigned __int128 u128;

/* Guest-physical and host-physical addresses never mix: each is a struct of its own. */
typedef struct {
	u64 v;
} gpa;
typedef struct {
	u64 v;
} hpa;

#define GPA(x) ((gpa){ (u64)(x) })
#define HPA(x) ((hpa){ (u64)(x) })

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ull
#define PAGE_MASK  (~(PAGE_SIZE - 1))
#define SIZE_2M	   (2 * MIB)
#define SIZE_1G	   GIB

#define NSEC_PER_SEC  1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_USEC 1000ull
#define NEVER	      UINT64_MAX /* a deadline that does not come */

#define BIT(n)		 (1ull << (n))
#define BITS(hi, lo)	 ((~0ull >> (63 - (hi))) & (~0ull << (lo)))
#define ARRAY_SIZE(a)	 (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a) ((x) & ~((a) - 1))
#define ALIGN_UP(x, a)	 (((x) + ((a) - 1)) & ~((a) - 1))
#define MIN(a, b)	 ((a) < (b) ? (a) : (b))
#define MAX(a, b)	 ((a) > (b) ? (a) : (b))

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define must_check   __attribute__((warn_unused_result))
#define noreturn_fn  __attribute__((noreturn))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define maybe_unused __attribute__((unused))
/* Off the way of most exits: kept out of line, so that those save no registers for it */
#define always_inline inline __attribute__((__always_inline__))
#define noinline     __attribute__((__noinline__))
#define cold	     __attribute__((__noinline__, __cold__))
#define page_aligned __attribute__((aligned(4096)))
#define static_assert _Static_assert

/** field_get() - the bits of @mask in @value, shifted down to bit 0. @mask is contiguous. */
static inline u64 field_get(u64 mask, u64 value)
{
	return (value & mask) >> __builtin_ctzll(mask);
}

/** field_set() - @value with the bits of @mask replaced by @field. @mask is contiguous. */
static inline u64 field_set(u64 mask, u64 value, u64 field)
{
	return (value & ~mask) | ((field << __builtin_ctzll(mask)) & mask);
}

/** width_mask() - the low @bytes bytes set; @bytes is 1 to 8. */
static inline u64 width_mask(unsigned bytes)
{
	return ~0ull >> (64 - 8 * bytes);
}

/** sign_extend() - the low @bytes bytes of @value, 1 to 8, as a signed number of 64 bits. */
static inline u64 sign_extend(u64 value, unsigned bytes)
{
	return (u64)((s64)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes));
}

/** Boot-time steps return one of these; the caller adds context. */
enum status {
	STATUS_OK = 0,
	STATUS_NO_MEMORY,
	STATUS_OVERLAP,	     /* a range meets one that is already there */
	STATUS_BAD_VALUE,    /* a field or argument out of its range */
	STATUS_TRUNCATED,    /* the data ends before its own header says */
	STATUS_NOT_FOUND,
	STATUS_UNSUPPORTED,
	STATUS_FULL,	     /* a fixed-size table has no free entry */
};

#endif
