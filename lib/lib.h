/* SPDX-License-Identifier: BSD-2-Clause */
/* Freestanding helpers: memory and strings (also what libfdt links to), text, SHA-256. Pure. */
#ifndef BULKHEAD_LIB_H
#define BULKHEAD_LIB_H

#include <stdarg.h>
#include "types.h"

#ifndef HOST_TEST
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
#else
#include <string.h>
#endif

/**
 * format() - snprintf for %c %s %.*s %d %i %u %x %X %p %%, with l ll z, width, '0' and '-' flags
 *
 * Return: characters written without the final NUL, which is always there if @size > 0; never
 * more than @size - 1.
 */
size_t format(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);
size_t vformat(char *buf, size_t size, const char *fmt, va_list ap);

/** str_to_u64() - "0x1f", "31"; Return: false when @s is not wholly a number or overflows. */
bool str_to_u64(const char *s, u64 *out);

/** arg_find() - the value of "key=value" among blank-separated words. Return: its length, -1 if absent. */
int arg_find(const char *cmdline, const char *key, const char **value);

/** sha256() - FIPS 180-4 digest of @len bytes at @data. */
void sha256(const void *data, size_t len, u8 digest[32]);

#endif
