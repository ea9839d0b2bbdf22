/* SPDX-License-Identifier: BSD-2-Clause */
/* Freestanding helpers: memory and strings (also what libfdt links to), text, SHA-256. Pure. */
#ifndef BULKHEAD_LIB_H
#define BULKHEAD_LIB_H

#include <stdarg.h>
#include "types.h"

/* On the host the C library keeps these names; ours are lib_memcpy() and so on, for tests only. */
#ifdef HOST_TEST
#include <string.h>
#define LIB_NAME(name) lib_##name
#else
#define LIB_NAME(name) name
#endif
void *LIB_NAME(memcpy)(void *dst, const void *src, size_t n);
void *LIB_NAME(memmove)(void *dst, const void *src, size_t n);
void *LIB_NAME(memset)(void *dst, int c, size_t n);
int LIB_NAME(memcmp)(const void *a, const void *b, size_t n);
void *LIB_NAME(memchr)(const void *s, int c, size_t n);
size_t LIB_NAME(strlen)(const char *s);
size_t LIB_NAME(strnlen)(const char *s, size_t max);
int LIB_NAME(strcmp)(const char *a, const char *b);
int LIB_NAME(strncmp)(const char *a, const char *b, size_t n);
char *LIB_NAME(strchr)(const char *s, int c);
char *LIB_NAME(strrchr)(const char *s, int c);

/** __stack_chk_fail() - distributions build libfdt.a with stack protectors; see cpu_init() on FS */
void LIB_NAME(__stack_chk_fail)(void) noreturn_fn;

/**
 * format() - snprintf for %c %s %.*s %d %u %x %%, with l ll z, width, '0' and '-' flags (not %c)
 *
 * Return: characters written without the final NUL, which is always there if @size > 0; never
 * more than @size - 1.
 */
size_t format(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);
size_t vformat(char *buf, size_t size, const char *fmt, va_list ap);

/** str_to_u64() - "0x1f", "31"; Return: false when @s is not wholly a number or overflows. */
bool str_to_u64(const char *s, u64 *out);

/** arg_find() - the value of "key=value" among words. Return: its length, -1 if absent. */
int arg_find(const char *cmdline, const char *key, const char **value);

/** sha256() - FIPS 180-4 digest of @len bytes at @data. */
void sha256(const void *data, size_t len, u8 digest[32]);

#endif
