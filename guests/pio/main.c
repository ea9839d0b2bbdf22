/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IN and OUT: where no device answers there are ones in each width, a device of 8 bits gets and gives
 * bytes however wide the access is, and a narrow IN leaves the rest of RAX alone.
 */
#include "lib/guest.h"

#define NOBODY	0x1e0
#define SCRATCH (COM1 + 7)

static uint64_t in_into(uint64_t rax, uint16_t port, unsigned width)
{
	switch (width) {
	case 1: __asm__ volatile("inb %%dx, %%al" : "+a"(rax) : "d"(port)); break;
	case 2: __asm__ volatile("inw %%dx, %%ax" : "+a"(rax) : "d"(port)); break;
	default: __asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(port)); break;
	}
	return rax;
}

static void nobody(void)
{
	const uint64_t old = 0x1122334455667788;
	CHECK(in_into(old, NOBODY, 1) == 0x11223344556677ff, "%lx", in_into(old, NOBODY, 1));
	CHECK(in_into(old, NOBODY, 2) == 0x112233445566ffff, "%lx", in_into(old, NOBODY, 2));
	CHECK(in_into(old, NOBODY, 4) == 0x00000000ffffffff, "%lx", in_into(old, NOBODY, 4));
	outb(NOBODY, 0);
	outw(NOBODY, 0);
	outl(NOBODY, 0);
	outl(0xffff, 0); /* wraps past the last port */
	CHECK(inl(0xfffe) == 0xffffffff || !is_hosted(), "last port");
}

/* One byte each for SCRATCH-1 (modem status, read-only) and SCRATCH */
static void wide(void)
{
	for (unsigned i = 0; i < 256; i += 5) {
		outb(SCRATCH, (uint8_t)i);
		CHECK(inb(SCRATCH) == i, "scratch %x, not %x", inb(SCRATCH), i);
	}
	outb(SCRATCH, 0x5a);
	uint16_t both = inw(SCRATCH - 1);
	CHECK((both >> 8) == 0x5a, "16 bits at the modem status: %x", both);
	outw(SCRATCH - 1, 0xa500);
	CHECK(inb(SCRATCH) == 0xa5, "written as 16 bits: %x", inb(SCRATCH));
}

static void latch(void)
{
	outb(0x21, 0xff);
	CHECK(inb(0x21) == 0xff, "PIC mask");
	outb(0x21, 0xfb);
	CHECK(inb(0x21) == 0xfb, "PIC mask");
	outb(0x70, 0x0f);
	outb(0x71, 0x77);
	outb(0x70, 0x0f);
	CHECK(inb(0x71) == 0x77, "CMOS byte %x", inb(0x71));
	outb(0x80, 0x12); /* POST code: nothing happens */
}

/* Forms: immediate and DX port, each with its own length */
static void forms(void)
{
	uint32_t mark = 0;
	__asm__ volatile("inb $0x21, %%al\n\toutb %%al, $0x21\n\tinb $0x21, %%al\n\tmovl %%eax, %0"
			 : "=r"(mark) : : "eax");
	CHECK((mark & 0xff) == 0xfb, "%x", mark);
	__asm__ volatile(".byte 0x66, 0x66\n\tinl $0xe0, %%eax\n\tmovzwl %%ax, %0" : "=r"(mark) : : "eax");
	CHECK(mark == 0xffff, "doubled prefix: %x", mark);
	__asm__ volatile("rex.w inl %%dx, %%eax\n\tmov %%eax, %0" : "=r"(mark) : "d"(NOBODY) : "eax");
	CHECK(mark == 0xffffffff, "REX.W: %x", mark);
}

static void in_user(void)
{
	inb(NOBODY);
}

int main(const char *cmdline)
{
	(void)cmdline;
	nobody();
	wide();
	latch();
	forms();
	CHECK(user_run(in_user) == 13, "IN in user mode without IOPL");
	return (int)failures;
}
