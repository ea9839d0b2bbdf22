/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The current VMCS, field by typed field. A field that cannot be read or written is our bug: we
 * name only fields whose controls probe() has found, so VMfail here ends in BUG_ON.
 */
#ifndef BULKHEAD_VMX_VMCS_H
#define BULKHEAD_VMX_VMCS_H

#include "log.h"
#include "vmx/vmx_room.h"
#include "x86/vmx_insn.h"

static inline u64 vmcs_get(u64 enc)
{
	u64 value;
	BUG_ON(vmread(enc, &value));
	return value;
}

static inline void vmcs_set(u64 enc, u64 value)
{
	BUG_ON(vmwrite(enc, value));
}

/*
 * The same unchecked, for the fields that most exits need: each CPU that probe() accepts has them (the interrupt
 * status where its control is on), and a VMCS is current.
 */
static inline u64 vmcs_peek_enc(u64 enc)
{
	u64 value;
	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(enc) : "cc");
	return value;
}

static inline void vmcs_poke_enc(u64 enc, u64 value)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"(enc), "r"(value) : "cc");
}

#define VMCS_ACCESSORS(type, value_type, field_type)                          \
	static inline value_type vmcs_read##type(field_type f)                     \
	{                                                                     \
		return (value_type)vmcs_get(f.enc);                           \
	}                                                                     \
	static inline value_type vmcs_peek##type(field_type f)                     \
	{                                                                     \
		return (value_type)vmcs_peek_enc(f.enc);                      \
	}                                                                     \
	static inline void vmcs_poke##type(field_type f, value_type value)         \
	{                                                                     \
		vmcs_poke_enc(f.enc, value);                                  \
	}                                                                     \
	static inline void vmcs_write##type(field_type f, value_type value)        \
	{                                                                     \
		vmcs_set(f.enc, value);                                       \
	}
VMCS_ACCESSORS(16, u16, vmcs16)
VMCS_ACCESSORS(32, u32, vmcs32)
VMCS_ACCESSORS(64, u64, vmcs64)
VMCS_ACCESSORS(nat, u64, vmcs_nat)
#undef VMCS_ACCESSORS

/** vmcs_update32() - clear the bits @off, set the bits @on. */
static inline void vmcs_update32(vmcs32 f, u64 off, u64 on)
{
	vmcs_write32(f, (vmcs_read32(f) & ~(u32)off) | (u32)on);
}

/**
 * vmcs_borrow() - make @v's VMCS current if @v is not loaded; vmcs_return() undoes it
 *
 * Return: what vmcs_return() wants. Between the two nothing may be entered.
 */
u64 vmcs_borrow(const struct vcpu *v);
void vmcs_return(const struct vcpu *v, u64 before);

#endif
