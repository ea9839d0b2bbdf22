/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSAVE, XSAVEOPT and XSAVEC as a kernel uses them: all that CPUID 0xd offers goes to memory and comes
 * back by XRSTOR, in whole and in part, from use and from the init state, with exits between. The
 * registers are written and read one by one, so that no XSAVE is its own witness.
 */
#include "lib/guest.h"

enum { X87 = 1, SSE = 2, AVX = 4, OPMASK = 0x20, ZMM_HI256 = 0x40, HI16_ZMM = 0x80, PKRU = 0x200 };
#define MXCSR_INIT 0x1f80

struct image {
	uint8_t v[32][64];
	uint64_t k[8], x87; /* x87 = 0: the stack is empty */
	uint32_t mxcsr, pkru;
};
static struct image pattern, want, got, saved, clobber;
static const struct image init = { .mxcsr = MXCSR_INIT };
static uint8_t area[4096] __attribute__((aligned(64)));
static uint64_t all; /* XCR0 */
static uint64_t seed;
static unsigned rounds;

#define LOW(insn)                                                                              \
	insn(0) insn(1) insn(2) insn(3) insn(4) insn(5) insn(6) insn(7)                        \
	insn(8) insn(9) insn(10) insn(11) insn(12) insn(13) insn(14) insn(15)
#define HIGH(insn)                                                                             \
	insn(16) insn(17) insn(18) insn(19) insn(20) insn(21) insn(22) insn(23)                \
	insn(24) insn(25) insn(26) insn(27) insn(28) insn(29) insn(30) insn(31)
#define MASKS(insn) insn(0) insn(1) insn(2) insn(3) insn(4) insn(5) insn(6) insn(7)
#define LOAD(op, reg, n)  __asm__ volatile(op " (%0), %%" reg #n : : "r"(m->v[n]) : "memory");
#define STORE(op, reg, n) __asm__ volatile(op " %%" reg #n ", (%0)" : : "r"(m->v[n]) : "memory");
#define SSE_LOAD(n)	  LOAD("movdqu", "xmm", n)
#define SSE_STORE(n)	  STORE("movdqu", "xmm", n)
#define AVX_LOAD(n)	  LOAD("vmovdqu", "ymm", n)
#define AVX_STORE(n)	  STORE("vmovdqu", "ymm", n)
#define ZMM_LOAD(n)	  LOAD("vmovdqu64", "zmm", n)
#define ZMM_STORE(n)	  STORE("vmovdqu64", "zmm", n)
#define K_LOAD(n)	  __asm__ volatile("kmovq %0, %%k" #n : : "m"(m->k[n]));
#define K_STORE(n)	  __asm__ volatile("kmovq %%k" #n ", %0" : "=m"(m->k[n]));

static void load(const struct image *m)
{
	if (all & OPMASK) {
		LOW(ZMM_LOAD) HIGH(ZMM_LOAD) MASKS(K_LOAD)
	} else if (all & AVX) {
		LOW(AVX_LOAD)
	} else {
		LOW(SSE_LOAD)
	}
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(m->mxcsr));
	if (m->x87) {
		__asm__ volatile("fildq %0" : : "m"(m->x87));
	}
	if (all & PKRU) {
		__asm__ volatile("wrpkru" : : "a"(m->pkru), "c"(0), "d"(0) : "memory");
	}
}

static void store(struct image *m)
{
	uint16_t env[14];
	uint32_t edx;
	memset(m, 0, sizeof(*m));
	if (all & OPMASK) {
		LOW(ZMM_STORE) HIGH(ZMM_STORE) MASKS(K_STORE)
	} else if (all & AVX) {
		LOW(AVX_STORE)
	} else {
		LOW(SSE_STORE)
	}
	__asm__ volatile("fnstenv %0; stmxcsr %1" : "=m"(env), "=m"(m->mxcsr));
	if (env[4] != 0xffff) {
		__asm__ volatile("fldenv %1; fistpq %0" : "=m"(m->x87) : "m"(env));
	}
	if (all & PKRU) {
		__asm__ volatile("rdpkru" : "=a"(m->pkru), "=d"(edx) : "c"(0));
	}
}

/* SDM 1 13.1: what belongs to which state component */
static void copy(struct image *to, const struct image *from, uint64_t mask)
{
	for (unsigned i = 0; i < 16; i++) {
		memcpy(to->v[i], from->v[i], mask & SSE ? 16 : 0);
		memcpy(to->v[i] + 16, from->v[i] + 16, mask & AVX ? 16 : 0);
		memcpy(to->v[i] + 32, from->v[i] + 32, mask & ZMM_HI256 ? 32 : 0);
		memcpy(to->v[16 + i], from->v[16 + i], mask & HI16_ZMM ? 64 : 0);
	}
	memcpy(to->k, from->k, mask & OPMASK ? sizeof(to->k) : 0);
	to->x87 = mask & X87 ? from->x87 : to->x87;
	to->pkru = mask & PKRU ? from->pkru : to->pkru;
}

/* Components out of @mask are in their init state */
static void fill(struct image *m, unsigned seed, uint64_t mask, uint32_t mxcsr)
{
	uint8_t *byte = (uint8_t *)&pattern;
	for (unsigned i = 0; i < sizeof(pattern); i++) {
		byte[i] = (uint8_t)(seed * 37 + i * 7 + (i >> 6) + 1);
	}
	pattern.x87 = (uint64_t)seed << 32 | 0x5a5a;
	pattern.pkru = 0x55555550 ^ seed << 4; /* key 0 is in use */
	*m = init;
	copy(m, &pattern, mask & all);
	m->mxcsr = mxcsr;
}

enum form { XSAVE, XSAVEOPT, XSAVEC, NR_FORMS };
static const char *const name[] = { "xsave", "xsaveopt", "xsavec" };

static void save(enum form form, uint64_t mask)
{
	uint32_t lo = (uint32_t)mask;
	if (form == XSAVE) {
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(lo), "d"(0) : "memory");
	} else if (form == XSAVEOPT) {
		__asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(lo), "d"(0) : "memory");
	} else {
		__asm__ volatile("xsavec64 (%0)" : : "r"(area), "a"(lo), "d"(0) : "memory");
	}
}

static int restore(uint64_t mask)
{
	return TRY("xrstor64 (%0)", : : "r"(area), "a"((uint32_t)mask), "d"(0) : "memory");
}

static void exits(void)
{
	uint32_t r[4];
	cpuid(0xd, 0, r);
	inb(0x1e0);
	__asm__ volatile("hlt" : : : "memory");
}

/* Return: the first byte of struct image that is not as it should be, -1 if none */
static int first_difference(void)
{
	const uint8_t *a = (const uint8_t *)&got, *b = (const uint8_t *)&want;
	for (unsigned i = 0; i < sizeof(got); i++) {
		if (a[i] != b[i]) {
			return (int)i;
		}
	}
	return -1;
}

/* SDM 1 13.7 to 13.10. MXCSR is the SSE component's, but the standard format has it by itself */
static void expect(enum form form, uint64_t s, uint64_t r)
{
	uint64_t owner = form == XSAVEC ? SSE : SSE | AVX;
	want = clobber;
	copy(&want, &saved, s & r);
	copy(&want, &init, r & ~s);
	if (r & owner) {
		want.mxcsr = s & owner ? saved.mxcsr : MXCSR_INIT;
	}
}

static void round_trip(enum form form, uint64_t dirty, uint64_t s, uint64_t r)
{
	bool is_slow = rounds++ % 16 == 0;
	fill(&saved, (unsigned)(seed + rounds), dirty, rounds & 1 ? MXCSR_INIT : 0x3f80);
	fill(&clobber, (unsigned)(seed + rounds + 99), all, 0x5f80);
	memset(area, 0, sizeof(area));
	*(uint32_t *)(area + 24) = MXCSR_INIT;
	load(&saved);
	if (is_slow) {
		exits();
	}
	save(form, s);
	load(&clobber);
	if (is_slow) {
		exits();
	}
	int vector = restore(r);
	if (is_slow) {
		exits();
	}
	store(&got);
	expect(form, s & all, r & all);
	int at = first_difference();
	CHECK(vector == -1 && at == -1, "%s of %lx, saved %lx, restored %lx: exception %d, byte %d", name[form],
	      dirty, s, r, vector, at);
}

/*
 * QEMU 7.2 saves and restores MXCSR with SSE only, not with AVX alone. Bochs 2.7, when XRSTOR puts AVX
 * into its init state, clears ZMM_Hi256 too. So AVX goes with both of them, as in kernels.
 */
static bool is_usual(uint64_t mask)
{
	uint64_t vectors = mask & all & (SSE | AVX | ZMM_HI256);
	return !(vectors & AVX) || vectors == (all & (SSE | AVX | ZMM_HI256));
}

static void form_works(enum form form)
{
	static const uint64_t masks[] = { ~0ull, ~0ull & ~PKRU, AVX | SSE | X87, SSE | X87, X87, SSE, AVX, OPMASK,
					  ZMM_HI256, HI16_ZMM, PKRU, ~0ull & ~OPMASK, ~0ull & ~SSE };
	enum { NR = sizeof(masks) / sizeof(*masks) };
	for (unsigned i = 0; i < NR * NR * NR && failures < 10; i++) {
		uint64_t s = masks[i / NR % NR], r = masks[i / NR / NR];
		if (is_usual(s) && is_usual(r)) {
			round_trip(form, masks[i % NR] & all, s, r);
		}
	}
}

/* SDM 1 13.4.3: the first compacted component is behind the header, whatever it is; not among XMM0 to 15 */
static bool compacts_below_header(void)
{
	fill(&saved, 1, all, MXCSR_INIT);
	load(&saved);
	memset(area, 0, sizeof(area));
	save(XSAVEC, AVX);
	for (unsigned i = 160; i < 416; i++) {
		if (area[i]) {
			return true;
		}
	}
	return false;
}

/* SDM 1 13.8.2 "Compacted Form of XRSTOR": SSE in its init state means MXCSR, too */
static bool keeps_mxcsr(void)
{
	fill(&saved, 1, all & ~SSE, MXCSR_INIT);
	fill(&clobber, 2, all, 0x5f80);
	load(&saved);
	memset(area, 0, sizeof(area));
	save(XSAVEC, all);
	load(&clobber);
	int vector = restore(all);
	store(&got);
	return vector == -1 && got.mxcsr == 0x5f80;
}

static void enable(void)
{
	uint32_t r[4];
	uint64_t cr4;
	cpuid(0xd, 0, r);
	all = r[0] & (X87 | SSE | AVX | OPMASK | ZMM_HI256 | HI16_ZMM | PKRU);
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	cr4 |= 1 << 18 | (all & PKRU ? 1 << 22 : 0) | (cpu_has(7, 1, 0) ? 1 << 16 : 0);
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
	__asm__ volatile("xsetbv" : : "a"((uint32_t)all), "d"(0), "c"(0));
}

static volatile unsigned ticks;

static void tick(struct trap_frame *f)
{
	(void)f;
	ticks++;
}

/* What user mode reads through FS: word 0 is the base itself, as in a thread's control block */
static uint64_t block[2];
static volatile unsigned nr_wrong;

static void in_user(void)
{
	if (block[1]) {
		__asm__ volatile("wrfsbase %0" : : "r"(block));
	}
	for (unsigned begin = ticks; ticks - begin < 20;) {
		uint64_t base;
		__asm__ volatile("mov %%fs:0, %0" : "=r"(base));
		nr_wrong += base != (uint64_t)block;
	}
	__asm__ volatile("int $0x80");
}

static void fs_base(bool by_insn)
{
	block[0] = (uint64_t)block;
	block[1] = by_insn;
	wrmsr(0xc0000100, by_insn ? 0 : (uint64_t)block);
	user_rflags = 0x202;
	int vector = user_run(in_user);
	CHECK(vector == USER_RETURN, "user mode ends by %d at %lx", vector, try_frame.rip);
	CHECK(nr_wrong == 0 && rdmsr(0xc0000100) == (uint64_t)block, "FS base %lx", rdmsr(0xc0000100));
}

int main(const char *cmdline)
{
	uint32_t r[4];
	seed = arg(cmdline, "seed", 1);
	if (!cpu_has(1, 2, 26)) {
		skip("xstate", "this CPU has no XSAVE");
		return 0;
	}
	enable();
	pic_init();
	on_interrupt(PIC_VECTOR(0), tick);
	on_interrupt(PIC_VECTOR(7), tick); /* spurious */
	pit_periodic(1000);
	pic_unmask(0);
	sti(); /* Bochs as an SVM host is deaf while its guest's IF is 0 */
	cpuid(0xd, 1, r);
	form_works(XSAVE);
	if (r[0] & 1) {
		form_works(XSAVEOPT);
	}
	if (r[0] & 2 && all & AVX && compacts_below_header()) {
		skip("XSAVEC", "this CPU begins with compacted components at byte 160, not 576: Bochs 2.7 does");
	} else if (r[0] & 2 && keeps_mxcsr()) {
		skip("XSAVEC", "this CPU leaves MXCSR alone where XRSTOR should reset it: Bochs 3.0 does");
	} else if (r[0] & 2) {
		form_works(XSAVEC);
	}
	load(&init);
	fs_base(false);
	if (cpu_has(7, 1, 0)) {
		fs_base(true);
	}
	return (int)failures;
}
