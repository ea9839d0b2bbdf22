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
	bool is_left, is_zero, is_upper;
	u32 width, longs;
	size_t precision;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size) {
		o->buf[o->len++] = c;
	}
}

static void put_run(struct out *o, char c, u32 n)
{
	while (n--) {
		put(o, c);
	}
}

/* sign or 0x, zeros or blanks, and the text itself, as @s lays them out */
static void put_field(struct out *o, const struct spec *s, const char *prefix, const char *text,
		      size_t len)
{
	u32 used = (u32)(len + strlen(prefix));
	u32 pad = s->width > used ? s->width - used : 0;

	put_run(o, ' ', s->is_left || s->is_zero ? 0 : pad);
	while (*prefix) {
		put(o, *prefix++);
	}
	put_run(o, '0', s->is_zero && !s->is_left ? pad : 0);
	for (size_t i = 0; i < len; i++) {
		put(o, text[i]);
	}
	put_run(o, ' ', s->is_left ? pad : 0);
}

static void put_number(struct out *o, const struct spec *s, u64 value, u32 base, const char *prefix)
{
	const char *digits = s->is_upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[20]; /* 2^64 has 20 decimal digits */
	size_t at = sizeof(text);

	do {
		text[--at] = digits[value % base];
		value /= base;
	} while (value);
	put_field(o, s, prefix, text + at, sizeof(text) - at);
}

static void put_string(struct out *o, struct spec *s, const char *text)
{
	text = text ? text : "(null)";
	s->is_zero = false;
	put_field(o, s, "", text, strnlen(text, s->precision));
}

/* flags and width; returns what follows them */
static const char *parse_spec(const char *f, struct spec *s)
{
	for (; *f == '-' || *f == '0'; f++) {
		s->is_left |= *f == '-';
		s->is_zero |= *f == '0';
	}
	for (; *f >= '0' && *f <= '9'; f++) {
		s->width = s->width * 10 + (u32)(*f - '0');
	}
	return f;
}

static u64 take_unsigned(const struct spec *s, va_list *ap)
{
	return s->longs ? va_arg(*ap, u64) : va_arg(*ap, u32);
}

static void put_signed(struct out *o, const struct spec *s, va_list *ap)
{
	s64 v = s->longs ? va_arg(*ap, s64) : va_arg(*ap, s32);
	put_number(o, s, v < 0 ? 0 - (u64)v : (u64)v, 10, v < 0 ? "-" : "");
}

static void put_conversion(struct out *o, struct spec *s, char letter, va_list *ap)
{
	char c;

	switch (letter) {
	case 'c':
		c = (char)va_arg(*ap, int);
		put_field(o, s, "", &c, 1);
		break;
	case 's': put_string(o, s, va_arg(*ap, const char *)); break;
	case 'd':
	case 'i': put_signed(o, s, ap); break;
	case 'u': put_number(o, s, take_unsigned(s, ap), 10, ""); break;
	case 'x': put_number(o, s, take_unsigned(s, ap), 16, ""); break;
	case 'X':
		s->is_upper = true;
		put_number(o, s, take_unsigned(s, ap), 16, "");
		break;
	case 'p': put_number(o, s, (uintptr_t)va_arg(*ap, void *), 16, "0x"); break;
	default: put(o, letter); break; /* %% */
	}
}

size_t vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size };
	va_list args;

	va_copy(args, ap);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		struct spec s = { .precision = SIZE_MAX };
		fmt = parse_spec(fmt + 1, &s);
		if (fmt[0] == '.' && fmt[1] == '*') {
			s.precision = (size_t)va_arg(args, int);
			fmt += 2;
		}
		for (; *fmt == 'l' || *fmt == 'z'; fmt++) {
			s.longs++;
		}
		if (!*fmt) {
			break;
		}
		put_conversion(&o, &s, *fmt, &args);
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
