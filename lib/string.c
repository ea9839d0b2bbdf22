/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and string functions with the C library's names and meaning: for our own rooms, for the
 * calls gcc makes up, and for libfdt. Copies use the string instructions: short, quick where the
 * CPU has ERMS, and no loop that a compiler would turn back into a call to the function it is in.
 */
#include "lib.h"
#include "log.h"

#define COPY_WORDS 256 /* from so many bytes on: kernels, initrds; emulators count each iteration */

void *LIB_NAME(memcpy)(void *dst, const void *src, size_t n)
{
	void *d = dst;
	u64 words = n / 8;
	if (n >= COPY_WORDS) {
		n %= 8;
		__asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words) : : "memory");
	}
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) : : "memory");
	return dst;
}

void *LIB_NAME(memmove)(void *dst, const void *src, size_t n)
{
	if ((uintptr_t)dst - (uintptr_t)src >= n) {
		return LIB_NAME(memcpy)(dst, src, n);
	}
	/* dst lies within src: backwards. The ABI wants DF clear at every call and return. */
	u8 *d = (u8 *)dst + n - 1;
	const u8 *s = (const u8 *)src + n - 1;
	__asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return dst;
}

void *LIB_NAME(memset)(void *dst, int c, size_t n)
{
	/* words first: partitions' memory is cleared by this, and emulators count each iteration */
	u64 words = n / 8, rest = n % 8, pattern = (u8)c * 0x0101010101010101ull;
	void *d = dst;
	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(pattern) : "memory");
	return dst;
}

int LIB_NAME(memcmp)(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;
	for (; n; n--, p++, q++) {
		if (*p != *q) {
			return *p - *q;
		}
	}
	return 0;
}

void *LIB_NAME(memchr)(const void *s, int c, size_t n)
{
	for (const u8 *p = s; n; n--, p++) {
		if (*p == (u8)c) {
			return (void *)(uintptr_t)p;
		}
	}
	return NULL;
}

size_t LIB_NAME(strnlen)(const char *s, size_t max)
{
	size_t n = 0;
	while (n < max && s[n]) {
		n++;
	}
	return n;
}

size_t LIB_NAME(strlen)(const char *s)
{
	return LIB_NAME(strnlen)(s, SIZE_MAX);
}

int LIB_NAME(strncmp)(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b || !*a) {
			return (u8)*a - (u8)*b;
		}
	}
	return 0;
}

int LIB_NAME(strcmp)(const char *a, const char *b)
{
	return LIB_NAME(strncmp)(a, b, SIZE_MAX);
}

char *LIB_NAME(strchr)(const char *s, int c)
{
	return LIB_NAME(memchr)(s, c, LIB_NAME(strlen)(s) + 1);
}

char *LIB_NAME(strrchr)(const char *s, int c)
{
	for (const char *p = s + LIB_NAME(strlen)(s) + 1; p-- > s;) {
		if (*p == (char)c) {
			return (char *)(uintptr_t)p;
		}
	}
	return NULL;
}

void LIB_NAME(__stack_chk_fail)(void)
{
	bug(__FILE__, __LINE__, "stack protector");
}
