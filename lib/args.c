/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers and "key=value" words out of text. Knows no key by name; kmain and config call it.
 */
#include "lib.h"

static int digit_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c |= 0x20; /* lower case */
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

bool str_to_u64(const char *s, u64 *out)
{
	bool is_hex = s[0] == '0' && (s[1] | 0x20) == 'x', is_good = s[is_hex ? 2 : 0];
	u64 base = is_hex ? 16 : 10, value = 0;

	for (s += is_hex ? 2 : 0; *s && is_good; s++) {
		u64 digit = (u64)digit_value(*s);
		is_good = digit < base && !__builtin_mul_overflow(value, base, &value) &&
			  !__builtin_add_overflow(value, digit, &value);
	}
	*out = is_good ? value : *out;
	return is_good;
}

int arg_find(const char *cmdline, const char *key, const char **value)
{
	size_t key_len = strlen(key);

	for (const char *word = cmdline; word; word = strchr(word, ' ')) {
		word += *word == ' ';
		if (!strncmp(word, key, key_len) && word[key_len] == '=') {
			*value = word + key_len + 1;
			const char *end = strchr(*value, ' ');
			return end ? (int)(end - *value) : (int)strlen(*value);
		}
	}
	return -1;
}
