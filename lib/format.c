/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of snprintf that the hypervisor uses: integers, strings, width, '0' and '-'.
 * Knows no sink; log.c and the tools of the crash record call it.
 */
#include "lib.h"

struct out {
	char *buf;
	size_t size, len;
};

/* One conversion's flags; width is the least number of characters, precision the most of %s. */
struct spec {
	bool is_left, is_zero, is_long;
	size_t width, precision;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size) {
		o->buf[o->len++] = c;
	}
}

static void put_text(struct out *o, const struct spec *s, const char *text)
{
	size_t len = strnlen(text, s->precision), pad = s->width > len ? s->width - len : 0;

	for (size_t i = 0; i < len + pad; i++) {
		bool is_text = s->is_left ? i < len : i >= pad;
		put(o, is_text ? *text++ : ' ');
	}
}

static void put_number(struct out *o, const struct spec *s, char letter, va_list *ap)
{
	char text[32] = { 0 }; /* 2^64 has 20 decimal digits; that many zeros are enough for all */
	size_t at = sizeof(text) - 1, least = s->is_zero ? MIN(s->width, at) : 0;
	s64 arg = s->is_long ? va_arg(*ap, s64) : va_arg(*ap, s32);
	bool is_negative = letter == 'd' && arg < 0;
	u64 value = is_negative ? 0 - (u64)arg : s->is_long ? (u64)arg : (u32)arg;
	u64 base = letter == 'x' ? 16 : 10;

	do {
		text[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value || sizeof(text) - 1 - at + is_negative < least);
	if (is_negative) {
		text[--at] = '-';
	}
	put_text(o, s, text + at);
}

/* Return: the conversion's letter, behind what @s is made of. */
static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
	for (; *f == '-' || *f == '0'; f++) {
		s->is_left |= *f == '-';
		s->is_zero |= *f == '0';
	}
	for (; *f >= '0' && *f <= '9'; f++) {
		s->width = s->width * 10 + (size_t)(*f - '0');
	}
	if (*f == '.') {
		s->precision = (size_t)va_arg(*ap, int);
		f += 2;
	}
	for (; *f == 'l' || *f == 'z'; f++) {
		s->is_long = true;
	}
	return f;
}

size_t vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size };
	va_list args;

	va_copy(args, ap);
	for (; *fmt; fmt++) {
		struct spec s = { .precision = SIZE_MAX };
		bool is_conversion = *fmt == '%';
		fmt = is_conversion ? parse_spec(fmt + 1, &s, &args) : fmt;
		switch (is_conversion ? *fmt : 0) {
		case 'c': put(&o, (char)va_arg(args, int)); break;
		case 's': put_text(&o, &s, va_arg(args, const char *)); break;
		case 'd':
		case 'u':
		case 'x': put_number(&o, &s, *fmt, &args); break;
		default: put(&o, *fmt); break; /* also %% */
		}
	}
	va_end(args);
	if (size) {
		buf[o.len] = 0;
	}
	return o.len;
}

size_t format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	size_t n = vformat(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
