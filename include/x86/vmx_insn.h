/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMX instructions (SDM 3D chapter 31) and the few others that only a VT-x host needs. Impure, as
 * x86/insn.h. A true return of a VMX instruction is VMfail (CF or ZF, SDM 3D 31.2 "Conventions").
 */
#ifndef BULKHEAD_X86_VMX_INSN_H
#define BULKHEAD_X86_VMX_INSN_H

#include "x86/insn.h"

/* The four that take a 64-bit physical address in memory */
#define VMX_ADDR_INSN(name)                                                                    \
	static inline bool must_check name(u64 pa)                                             \
	{                                                                                      \
		bool fail;                                                                     \
		__asm__ volatile(#name " %1" : "=@ccbe"(fail) : "m"(pa) : "memory");           \
		return fail;                                                                   \
	}
VMX_ADDR_INSN(vmxon)
VMX_ADDR_INSN(vmclear)
VMX_ADDR_INSN(vmptrld)
#undef VMX_ADDR_INSN

/** vmptrst() - the current VMCS, all ones if there is none. */
static inline u64 vmptrst(void)
{
	u64 pa;
	__asm__ volatile("vmptrst %0" : "=m"(pa) : : "memory");
	return pa;
}

static inline void vmxoff(void)
{
	__asm__ volatile("vmxoff" : : : "memory");
}

static inline bool must_check vmread(u64 enc, u64 *value)
{
	bool fail;
	__asm__ volatile("vmread %2, %1" : "=@ccbe"(fail), "=r"(*value) : "r"(enc));
	return fail;
}

static inline bool must_check vmwrite(u64 enc, u64 value)
{
	bool fail;
	__asm__ volatile("vmwrite %2, %1" : "=@ccbe"(fail) : "r"(enc), "r"(value));
	return fail;
}

static inline bool must_check invept(u64 type, u64 eptp)
{
	const u64 desc[2] = { eptp, 0 };
	bool fail;
	__asm__ volatile("invept %1, %2"
			 : "=@ccbe"(fail) : "m"(desc), "r"(type) : "memory");
	return fail;
}

static inline u16 read_cs(void)
{
	u16 v;
	__asm__ volatile("mov %%cs, %0" : "=r"(v));
	return v;
}

static inline u16 read_tr(void)
{
	u16 v;
	__asm__ volatile("str %0" : "=r"(v));
	return v;
}

struct table_register {
	u16 limit;
	u64 base;
} __attribute__((packed));
static_assert(sizeof(struct table_register) == 10, "SGDT and SIDT store 10 bytes");

static inline u64 read_gdt_base(void)
{
	struct table_register r;
	__asm__ volatile("sgdt %0" : "=m"(r));
	return r.base;
}

static inline u64 read_idt_base(void)
{
	struct table_register r;
	__asm__ volatile("sidt %0" : "=m"(r));
	return r.base;
}

/*
 * nmi_redeliver() - have the host's own handler take an NMI that a VM exit consumed. NMIs stay
 * blocked after such an exit until the next IRET (SDM 3C 28.5.5), which is that handler's.
 */
static inline void nmi_redeliver(void)
{
	__asm__ volatile("int $2" : : : "memory");
}

#endif
