/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hardware task switches by CALL, JMP, IRET, INT n, an exception with an error code, an interrupt and
 * NMIs; to 32-bit, 16-bit, user and virtual-8086 tasks; tasks that cannot be loaded; the T bit. Without
 * paging, with 4 MiB pages, with PAE. tasks.S switches and notes, this judges (SDM 3A chapter 7).
 */
#include "lib/guest.h"

enum { CODE = 0x08, DATA = 0x10, MAIN = 0x18, VISITOR = 0x20, SMALL = 0x28, GP = 0x30, BAD_GS = 0x38,
       NO_DS = 0x40, TRAPPED = 0x48, V86 = 0x50, USER = 0x58, LDT = 0x60, UCODE = 0x68, UDATA = 0x70,
       ABSENT = 0x78, CODE_16 = 0x80, IN_LDT = 4 };

#define NT	0x4000
#define RF	0x10000
#define VM	0x20000
#define TS	8
#define WINDOW	0x40000000u /* is another page in the visitor's address space */
#define MARK	0x6000
#define V86_AT	0x8000

struct tss {
	uint32_t link, esp0, ss0, unused[4], cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt, trap;
};
struct tss_16 {
	uint16_t link, sp0, ss0, unused[4], ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};
struct visit {
	uint32_t eflags, tr, link, eax, esp, cr3, es, ldtr, eip, main_eflags, main_ebx, busy, main_busy, cr0, word, unused;
};

struct tss tss_main, tss_visitor, tss_gp, tss_bad_gs, tss_no_ds, tss_trapped, tss_v86, tss_user;
struct tss_16 tss_small;
uint64_t task_gdt[17], ldt[1];
static uint64_t idt[0x51];
struct {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed)) task_gdt_pointer, task_idt_pointer;
volatile uint32_t notes[32];
static struct visit visits[8];
static uint32_t frames[2][9];
static uint8_t stacks[9][1024] __attribute__((aligned(16)));
static uint32_t pd_32[2][1024] __attribute__((aligned(4096)));
static uint64_t pdpt_pae[2][4] __attribute__((aligned(32))), pd_pae[512] __attribute__((aligned(4096)));
extern uint32_t main_cr3, frames_at, no_faults;
extern char behind_call[], behind_jmp[], behind_int[], gp_at[], task16[], visit[], bad_gs[], trapped[], on_gp[],
	on_ts[], on_np[], on_db[], on_ud[], ud_at[];
void run_tasks(int mode);

static uint32_t at(const volatile void *p)
{
	return (uint32_t)(uint64_t)p;
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t attr)
{
	return (limit & 0xffff) | (base & 0xffffffull) << 16 | (uint64_t)attr << 40 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)(base >> 24) << 56;
}

static void task(uint16_t sel, struct tss *t, const void *code, unsigned stack)
{
	*t = (struct tss){ .ss0 = DATA, .esp0 = at(stacks[stack] + 1024), .esp = at(stacks[stack] + 512),
			   .eip = at(code), .eflags = 2, .cs = CODE, .ss = DATA, .ds = DATA, .es = DATA,
			   .fs = DATA, .gs = DATA, .cr3 = main_cr3, .trap = 0x680000 };
	task_gdt[sel / 8] = descriptor(at(t), sizeof(*t) - 1, 0x89);
}

static void gate(uint8_t vector, uint16_t sel, const void *code)
{
	idt[vector] = (at(code) & 0xffff) | (uint64_t)sel << 16 | (code ? 0x8e00ull : 0x8500) << 32 |
		      (uint64_t)(at(code) >> 16) << 48;
}

static void build_tables(int mode)
{
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned n = 0; n < 1024; n++) {
			pd_32[i][n] = n << 22 | 0x87;
		}
		pd_32[i][WINDOW >> 22] = i << 22 | 0x87;
		for (unsigned n = 0; n < 4; n++) {
			pdpt_pae[i][n] = (uint64_t)&pd[512 * n] | 1;
		}
	}
	memcpy(pd_pae, &pd[512], sizeof(pd_pae));
	pd_pae[0] = 0x400087;
	pdpt_pae[1][1] = (uint64_t)pd_pae | 1;
	pd[512] = 0x87;
	*(volatile uint32_t *)MARK = 0xaaaa0000;
	*(volatile uint32_t *)(0x400000ull + MARK) = 0xbbbb0000;
	main_cr3 = mode == 1 ? at(pd_32[0]) : at(pdpt_pae[0]);
}

static void build(int mode)
{
	build_tables(mode);
	memset((void *)notes, 0, sizeof(notes));
	memset(visits, 0, sizeof(visits));
	memset(frames, 0, sizeof(frames));
	frames_at = at(frames);
	task_gdt[CODE / 8] = descriptor(0, 0xfffff, 0xc09b);
	task_gdt[DATA / 8] = descriptor(0, 0xfffff, 0xc093);
	task_gdt[UCODE / 8] = descriptor(0, 0xfffff, 0xc0fa); /* not yet accessed */
	task_gdt[UDATA / 8] = descriptor(0, 0xfffff, 0xc0f2);
	task_gdt[ABSENT / 8] = descriptor(0, 0xfffff, 0xc013);
	task_gdt[CODE_16 / 8] = descriptor(at(task16), 0xfffff, 0xc09b);
	task_gdt[LDT / 8] = descriptor(at(ldt), sizeof(ldt) - 1, 0x82);
	ldt[0] = descriptor(0, 0xfffff, 0xc093);
	task(MAIN, &tss_main, NULL, 0);
	task(VISITOR, &tss_visitor, visit, 1);
	tss_visitor.eax = 0xb00b0000;
	tss_visitor.edi = at(visits);
	tss_visitor.ldt = LDT;
	tss_visitor.es = IN_LDT;
	tss_visitor.esi = mode ? WINDOW + MARK : 0;
	tss_visitor.cr3 = mode == 1 ? at(pd_32[1]) : at(pdpt_pae[1]);
	task(GP, &tss_gp, on_gp, 2);
	task(BAD_GS, &tss_bad_gs, bad_gs, 3);
	tss_bad_gs.gs = 0x1f8;
	task(NO_DS, &tss_no_ds, bad_gs, 4);
	tss_no_ds.ds = ABSENT;
	task(TRAPPED, &tss_trapped, trapped, 5);
	tss_trapped.trap |= 1;
	task(V86, &tss_v86, (void *)0, 6);
	tss_v86.eflags = VM | 2;
	tss_v86.cs = V86_AT >> 4;
	tss_v86.esp = 0x200;
	tss_v86.gs = 0x1234;
	memcpy((void *)V86_AT, ud_at, 2);
	task(USER, &tss_user, ud_at, 7);
	tss_user.cs = UCODE | 3;
	tss_user.ss = tss_user.ds = tss_user.es = UDATA | 3;
	tss_user.fs = tss_user.gs = 0;
	tss_small = (struct tss_16){ .flags = 2, .ax = 0x1616, .cs = CODE_16, .ss = DATA, .ds = DATA, .es = DATA };
	task_gdt[SMALL / 8] = descriptor(at(&tss_small), sizeof(tss_small) - 1, 0x81);
	gate(1, CODE, on_db);
	gate(2, VISITOR, NULL);
	gate(6, CODE, on_ud);
	gate(10, CODE, on_ts);
	gate(11, CODE, on_np);
	gate(13, GP, NULL);
	gate(0x40, VISITOR, NULL);
	gate(0x50, VISITOR, NULL);
	task_gdt_pointer.limit = sizeof(task_gdt) - 1;
	task_gdt_pointer.base = at(task_gdt);
	task_idt_pointer.limit = sizeof(idt) - 1;
	task_idt_pointer.base = at(idt);
}

static void check_visit(int mode, unsigned i, const char *how)
{
	const struct visit *v = &visits[i];
	bool is_jmp = i == 1;
	CHECK(v->tr == VISITOR, "%s: TR %x", how, v->tr);
	CHECK((v->eflags & NT) == (is_jmp ? 0 : NT), "%s: EFLAGS %x", how, v->eflags);
	CHECK(is_jmp || v->link == MAIN, "%s: link %x", how, v->link);
	CHECK(v->eax == 0xb00b0000 + (i != 0), "%s: EAX %x", how, v->eax);
	CHECK(v->esp == at(stacks[1] + 512), "%s: ESP %x", how, v->esp);
	CHECK(v->es == IN_LDT && v->ldtr == LDT, "%s: ES %x LDTR %x", how, v->es, v->ldtr);
	CHECK(v->busy == 0x8b && v->main_busy == (is_jmp ? 0x89 : 0x8b), "%s: busy %x, main %x", how, v->busy,
	      v->main_busy);
	CHECK(v->cr0 & TS, "%s: CR0 %x", how, v->cr0);
	/* at such a switch Bochs 2.7 says that the last exception was on its way, not the interrupt it delivers itself */
	uint32_t no_rf = i == 3 && is_intel() ? 0 : RF;
	CHECK(!(v->main_eflags & (NT | no_rf)), "%s: EFLAGS of main %x", how, v->main_eflags);
	CHECK(mode == 0 || (v->word == 0xbbbb0000 && v->cr3 == tss_visitor.cr3), "%s: CR3 %x, sees %x", how, v->cr3,
	      v->word);
}

static void check_visits(int mode)
{
	check_visit(mode, 0, "CALL");
	CHECK(visits[0].eip == at(behind_call), "EIP %x", visits[0].eip);
	CHECK(visits[0].main_ebx == 0x12345678 && notes[0] == 0x12345678, "EBX %x, then %x", visits[0].main_ebx, notes[0]);
	CHECK(!(notes[1] & NT), "EFLAGS behind CALL %x", notes[1]);
	check_visit(mode, 1, "JMP");
	CHECK(visits[1].eip == at(behind_jmp) && !(notes[2] & NT), "EIP %x, EFLAGS %x", visits[1].eip, notes[2]);
	check_visit(mode, 2, "INT");
	CHECK(visits[2].eip == at(behind_int), "EIP %x", visits[2].eip);
	check_visit(mode, 3, "interrupt");
	check_visit(mode, 4, "NMI");
	check_visit(mode, 5, "second NMI");
}

static void check_others(void)
{
	if (is_intel()) {
		skip("RF of a task that an interrupt suspends", "Bochs 2.7 names a stale event at that exit");
	}
	CHECK((notes[3] & 0xffff) == 0x1616 && notes[4] == SMALL && notes[5] == MAIN && notes[6] == 0,
	      "16-bit: AX %x TR %x link %x GS %x", notes[3], notes[4], notes[5], notes[6]);
	CHECK(notes[7] == 0x1f8 && notes[8] == at(gp_at), "#GP: error %x at %x", notes[7], notes[8]);
	if (is_lax()) {
		skip("RF in the TSS", "QEMU does not set it");
		skip("T bit", "QEMU does not look at it");
		skip("faults in the new task", "QEMU's have the EIP of the old one");
	} else {
		CHECK(notes[9] & RF, "#GP: EFLAGS %x", notes[9]);
		CHECK(notes[15] & 0x8000 || is_bochs_svm(), "T: DR6 %x", notes[15]); /* lost: see guest debugregs */
		CHECK(notes[16] == at(trapped), "T: at %x", notes[16]);
	}
	CHECK(no_faults || (notes[10] == 0x1f8 && notes[11] == at(bad_gs) && notes[12] == BAD_GS), "#TS: error %x at %x TR %x",
	      notes[10], notes[11], notes[12]);
	CHECK(no_faults || (notes[13] == ABSENT && notes[14] == NO_DS), "#NP: error %x TR %x", notes[13], notes[14]);
	CHECK(notes[17] == 1, "not reached behind the trap");
	const uint32_t *f = frames[0];
	CHECK(f[0] == 0 && f[1] == V86_AT >> 4 && f[2] & VM && f[3] == 0x200 && f[4] == DATA && f[8] == 0x1234,
	      "V86: EIP %x CS %x EFLAGS %x ESP %x SS %x GS %x", f[0], f[1], f[2], f[3], f[4], f[8]);
	f = frames[1];
	CHECK(f[0] == at(ud_at) && f[1] == (UCODE | 3) && f[4] == (UDATA | 3), "user: EIP %x CS %x SS %x", f[0], f[1], f[4]);
	CHECK(f[3] == at(stacks[7] + 512), "user: ESP %x", f[3]);
	CHECK(is_lax() || (task_gdt[UCODE / 8] >> 40 & 1 && task_gdt[UDATA / 8] >> 40 & 1), "accessed bits");
	for (unsigned sel = MAIN; sel <= USER; sel += 8) {
		uint8_t type = task_gdt[sel / 8] >> 40 & 0xff, idle = sel == SMALL ? 0x81 : 0x89;
		CHECK(type == (sel == MAIN ? 0x8b : idle), "in the end %x is of type %x", sel, type);
	}
}

int main(const char *cmdline)
{
	static const char *const names[] = { "no paging", "4 MiB pages", "PAE" };
	(void)cmdline;
	pic_init();
	no_faults = is_lax();
	for (int mode = 0; mode < 3; mode++) {
		unsigned before = failures;
		build(mode);
		run_tasks(mode);
		check_visits(mode);
		check_others();
		if (failures != before) {
			print("with %s\n", names[mode]);
		}
	}
	return (int)failures;
}
