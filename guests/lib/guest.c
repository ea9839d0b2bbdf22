/* SPDX-License-Identifier: BSD-2-Clause */
/* The runtime of our bare-metal guests; see guest.h. */
#include "guest.h"
#include "abi/hypercall.h"

#define MB_INFO_CMDLINE 16 /* offset of the command line's address in the multiboot information */
#define PVH_INFO_CMDLINE 24
#define PVH_MAGIC 0x336ec578

extern char guest_stubs[], user_back[];
extern uint64_t user_rsp;
unsigned failures, checks;
volatile uint64_t try_resume;
volatile int try_vector;
volatile struct trap_frame try_frame;

static void (*handlers[256])(struct trap_frame *);
static struct {
	uint16_t offset_lo, selector, attr, offset_mid;
	uint32_t offset_hi, zero;
} idt[256];

void guest_start(void);
void guest_trap(struct trap_frame *f);

void *memset(void *d, int c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		((volatile char *)d)[i] = (char)c;
	}
	return d;
}

void *memcpy(void *d, const void *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		((volatile char *)d)[i] = ((const char *)s)[i];
	}
	return d;
}

void putch(char c)
{
	while (!(inb(COM1 + 5) & 0x20)) {
		__asm__ volatile("pause");
	}
	outb(COM1, (uint8_t)c);
}

static void put_number(uint64_t v, unsigned base, unsigned width, char pad)
{
	char buf[24];
	unsigned n = 0;
	do {
		buf[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (width > n) {
		putch(pad);
		width--;
	}
	while (n) {
		putch(buf[--n]);
	}
}

static void put_string(const char *s)
{
	while (*s) {
		putch(*s++);
	}
}

static const char *put_directive(const char *fmt, va_list *ap)
{
	char pad = ' ';
	unsigned width = 0, is_long = 0;
	if (*fmt == '0') {
		pad = '0';
	}
	while (*fmt >= '0' && *fmt <= '9') {
		width = width * 10 + (unsigned)(*fmt++ - '0');
	}
	while (*fmt == 'l') {
		is_long = 1;
		fmt++;
	}
	if (*fmt == 's') {
		put_string(va_arg(*ap, const char *));
	} else if (*fmt == 'c') {
		putch((char)va_arg(*ap, int));
	} else if (*fmt == '%') {
		putch('%');
	} else if (*fmt == 'd') {
		int64_t v = is_long ? va_arg(*ap, int64_t) : va_arg(*ap, int);
		if (v < 0) {
			putch('-');
		}
		put_number(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, width, pad);
	} else {
		uint64_t v = is_long ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned);
		put_number(v, *fmt == 'u' ? 10 : 16, width, pad);
	}
	return fmt + 1;
}

static void vprint(const char *fmt, va_list *ap)
{
	while (*fmt) {
		if (*fmt == '%') {
			fmt = put_directive(fmt + 1, ap);
		} else {
			putch(*fmt++);
		}
	}
}

static volatile bool is_printing;

/* Whoever waits long goes ahead: the holder may be the code that this trap interrupted, or a dead CPU. */
static void print_begin(void)
{
	for (unsigned i = 0; __atomic_exchange_n(&is_printing, true, __ATOMIC_ACQUIRE) && i < 1000000; i++) {
		__asm__ volatile("pause");
	}
}

static void print_end(void)
{
	__atomic_store_n(&is_printing, false, __ATOMIC_RELEASE);
}

void print(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	print_begin();
	vprint(fmt, &ap);
	print_end();
	va_end(ap);
}

static void print_where(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vprint(fmt, &ap);
	va_end(ap);
}

void check_failed(const char *file, int line, const char *cond, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	print_begin();
	print_where("FAIL %s:%d %s ", file, line, cond);
	vprint(fmt, &ap);
	putch('\n');
	print_end();
	va_end(ap);
}

uint64_t arg(const char *cmdline, const char *key, uint64_t fallback)
{
	for (const char *s = cmdline; *s; s++) {
		const char *a = s, *k = key;
		while (*k && *a == *k) {
			a++;
			k++;
		}
		if (!*k && *a == '=') {
			uint64_t v = 0;
			for (a++; *a >= '0' && *a <= '9'; a++) {
				v = v * 10 + (uint64_t)(*a - '0');
			}
			return v;
		}
	}
	return fallback;
}

void end(uint32_t code)
{
	outl(DEBUG_EXIT, code);
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}

void on_interrupt(uint8_t vector, void (*handler)(struct trap_frame *f))
{
	handlers[vector] = handler;
}

static bool is_pic_vector(uint64_t vector)
{
	return vector >= PIC_VECTOR(0) && vector <= PIC_VECTOR(15);
}

static void unexpected(const struct trap_frame *f)
{
	uint64_t cr2;
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	print("FAIL unexpected trap %lu error %lx rip %lx cr2 %lx\n", f->vector, f->error, f->rip, cr2);
	end(99);
}

/* Back into user_run(), on the stack that it left */
static void leave_user(struct trap_frame *f)
{
	f->rax = f->vector;
	f->rip = (uint64_t)user_back;
	f->rsp = user_rsp;
	f->cs = 0x08;
	f->ss = 0x10;
	f->rflags = 2;
}

void guest_trap(struct trap_frame *f)
{
	if (handlers[f->vector]) {
		handlers[f->vector](f);
		if (is_pic_vector(f->vector)) {
			if (f->vector >= PIC_VECTOR(8)) {
				outb(0xa0, 0x20);
			}
			outb(0x20, 0x20);
		}
		return;
	}
	try_frame = *f;
	if (f->cs & 3) {
		leave_user(f);
		return;
	}
	if (f->vector >= 32 || !try_resume) {
		unexpected(f);
	}
	f->rip = try_resume;
	try_vector = (int)f->vector;
	try_resume = 0;
}

void pic_init(void)
{
	static const uint8_t master[] = { PIC_VECTOR(0), 4, 1 }, slave[] = { PIC_VECTOR(8), 2, 1 };
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	for (unsigned i = 0; i < 3; i++) {
		outb(0x21, master[i]);
		outb(0xa1, slave[i]);
	}
	outb(0x21, 0xfb); /* all but the cascade */
	outb(0xa1, 0xff);
}

void pic_unmask(unsigned irq)
{
	uint16_t port = irq < 8 ? 0x21 : 0xa1;
	outb(port, (uint8_t)(inb(port) & ~(1u << (irq & 7))));
}

void pit_periodic(unsigned hz)
{
	unsigned count = 1193182 / hz;
	outb(0x43, 0x34);
	outb(0x40, (uint8_t)count);
	outb(0x40, (uint8_t)(count >> 8));
}

void idt_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint64_t)idt };
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static void fill_idt(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t at = (uint64_t)guest_stubs + 16u * i;
		idt[i].offset_lo = (uint16_t)at;
		idt[i].selector = 8;
		idt[i].attr = 0x8e00;
		idt[i].offset_mid = (uint16_t)(at >> 16);
		idt[i].offset_hi = (uint32_t)(at >> 32);
	}
	idt[USER_RETURN].attr = 0xee00;
}

void ist_stack(uint8_t v)
{
	idt[v].attr |= 1;
}

bool cpu_has(uint32_t leaf, unsigned reg, unsigned bit)
{
	uint32_t r[4];
	cpuid(leaf & 0xf0000000, 0, r);
	if (leaf > r[0]) {
		return false;
	}
	cpuid(leaf, 0, r);
	return r[reg] >> bit & 1;
}

bool is_hosted(void)
{
	uint32_t r[4];
	cpuid(BULKHEAD_CPUID_BASE, 0, r);
	return r[1] == BULKHEAD_CPUID_EBX && r[2] == BULKHEAD_CPUID_ECX && r[3] == BULKHEAD_CPUID_EDX;
}

bool is_intel(void)
{
	uint32_t r[4];
	cpuid(0, 0, r);
	return r[1] == 0x756e6547;
}

bool is_lax(void)
{
	uint32_t r[4];
	cpuid(0x80000002, 0, r);
	return r[0] == 0x554d4551; /* "QEMU" */
}

void skip(const char *what, const char *why)
{
	print("SKIP %s: %s\n", what, why);
}

/* Mode 0: OUT rises when the count has run down */
void udelay(unsigned us)
{
	unsigned count = us * 1193 / 1000 + 1;
	outb(0x61, (uint8_t)((inb(0x61) & ~3) | 1));
	outb(0x43, 0xb0);
	outb(0x42, (uint8_t)count);
	outb(0x42, (uint8_t)(count >> 8));
	while (!(inb(0x61) & 0x20)) {
		__asm__ volatile("pause");
	}
}

void guest_start(void)
{
	fill_idt();
	idt_load();
	outb(COM1 + 3, 3); /* 8 bits: not every firmware leaves it so */
	bool is_pvh = *(uint32_t *)boot_info == PVH_MAGIC;
	uint32_t cmdline = *(uint32_t *)(boot_info + (is_pvh ? PVH_INFO_CMDLINE : MB_INFO_CMDLINE));
	int code = main((const char *)(uint64_t)cmdline);
	print("verdict %s checks=%u failures=%u\n", code == 0 ? "OK" : "FAIL", checks, failures);
	end((uint32_t)code);
}

int64_t hypercall(uint64_t nr, uint64_t rbx, uint64_t rcx)
{
	static int vendor = -1; /* CPUID is an exit */
	if (vendor < 0) {
		vendor = is_intel();
	}
	if (vendor) {
		__asm__ volatile("vmcall" : "+a"(nr) : "b"(rbx), "c"(rcx), "d"(0) : "memory");
	} else {
		__asm__ volatile("vmmcall" : "+a"(nr) : "b"(rbx), "c"(rcx), "d"(0) : "memory");
	}
	return (int64_t)nr;
}
