/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the AMD-V backend that touches the CPU: what it has, switching SVM on, and the way
 * in and out of a guest. The rest of svm_ops is pure and lives beside. Called through svm_ops.
 */
#include "lib/lib.h"
#include "svm.h"
#include "svm_vcpu.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/regs.h"

#define CPUID_HYPERVISOR BIT(31)    /* leaf 1 ECX */
#define CPUID_TCG	 0x54474354 /* "TCGT": the signature is "TCGTCGTCGTCG" */

/* enter.S: the guest until its next #VMEXIT; all GPRs but RAX and RSP by @regs */
static inline void run(u64 *regs, u64 vmcb_pa, u64 host_pa)
{
	__asm__ volatile("call svm_run" : "+D"(regs), "+S"(vmcb_pa), "+d"(host_pa) : :
			 "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

/* CPUID 8000_000A; zeroes if the CPU has no such leaf. Return: is there AMD-V? */
static bool svm_cpuid(u32 *features, u32 *nr_asids)
{
	u32 max[4], ext[4], out[4] = { 0 };
	cpuid(0x80000000, 0, max);
	cpuid(0x80000001, 0, ext);
	if (max[0] >= 0x8000000a) {
		cpuid(0x8000000a, 0, out);
	}
	*nr_asids = out[1];
	*features = out[3];
	return max[0] >= 0x8000000a && ext[2] & CPUID_EXT_SVM;
}

static u32 svm_probe(struct feature *out, u32 max)
{
	u32 features, nr_asids;
	u64 vm_cr = 0;
	bool svm = svm_cpuid(&features, &nr_asids);
	(void)rdmsr_try(MSR_AMD_VM_CR, &vm_cr); /* absent: then nothing can disable SVM */
	const struct feature table[] = {
		{ "svm", svm, "the CPU has no AMD-V" },
		{ "svm-enabled", svm && !(vm_cr & VM_CR_SVMDIS), "SVM is off in firmware setup" },
		{ "npt", features & SVM_FEATURE_NPT, "the CPU has no nested paging" },
		{ "asids", nr_asids >= 2, "the CPU has no address space identifiers for guests" },
		{ "avic", features & SVM_FEATURE_AVIC, NULL },
	};
	u32 nr = MIN((u32)ARRAY_SIZE(table), max);
	memcpy(out, table, nr * sizeof(table[0]));
	return nr;
}

/*
 * Two pages per CPU: the one VMRUN saves host state in, and behind it a VMCB for what VMLOAD and
 * VMSAVE carry. So VM_HSAVE_PA leads to both, and no table of CPUs is needed here.
 */
static enum status svm_cpu_on(struct page_source *pages)
{
	hpa hsave = pages->alloc(pages, 2);
	if (!hsave.v) {
		return STATUS_NO_MEMORY;
	}
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_AMD_VM_HSAVE_PA, hsave.v);
	return STATUS_OK;
}

/* Is this QEMU's own CPU, not one with a KVM in between? */
static bool is_tcg(void)
{
	u32 features[4], out[4];
	cpuid(1, 0, features);
	cpuid(0x40000000, 0, out);
	return features[2] & CPUID_HYPERVISOR && out[1] == CPUID_TCG;
}

static enum status make(struct vcpu *v, const struct vcpu_params *p, u32 nr_pages)
{
	u32 features, nr_asids;
	struct svm_vcpu *hw = v->hw;
	hpa pa = hw ? HPA(hw->pa) : p->pages->alloc(p->pages, nr_pages);
	if (!pa.v) {
		return STATUS_NO_MEMORY;
	}
	hw = p->pages->ptr(p->pages, pa);
	memset(hw, 0, sizeof(*hw));
	hw->pa = pa.v;
	svm_cpuid(&features, &nr_asids);
	svm_vcpu_setup(hw, p, features, nr_asids);
	hw->irq_by_v_irq = is_tcg();
	v->hw = hw;
	v->insn_bytes = features & SVM_FEATURE_DECODE ? hw->vmcb.insn_bytes : NULL;
	return STATUS_OK;
}

static enum status svm_vcpu_init(struct vcpu *v, const struct vcpu_params *p)
{
	return make(v, p, SVM_VCPU_PAGES);
}

static enum status avic_vcpu_init(struct vcpu *v, const struct vcpu_params *p)
{
	enum status s = make(v, p, SVM_VCPU_PAGES + SVM_AVIC_PAGES);
	if (s == STATUS_OK) {
		svm_avic_init(v->hw, p);
		v->has_apic = true;
		v->delivers_irqs = false;
	}
	return s;
}

static void svm_load(struct vcpu *v)
{
	struct svm_vcpu *hw = v->hw;
	hw->host_pa = rdmsr(MSR_AMD_VM_HSAVE_PA) + PAGE_SIZE;
	hw->vmcb.clean &= ~(u32)CLEAN_CR2;
	vmsave(hw->host_pa);
	if (hw->shares_asid) {
		svm_flush(v);
	}
}

/* Nothing of the guest stays in the CPU between two calls of enter(). */
static void svm_put(struct vcpu *v)
{
	(void)v;
}

/* Return: once more, @e was the backend's own affair */
static always_inline bool enter_once(struct vcpu *v, struct exit *e)
{
	struct svm_vcpu *hw = v->hw;
	if (!(hw->vmcb.clean & CLEAN_CR2)) {
		write_cr2(hw->vmcb.cr2); /* VMRUN loads it, but for Bochs's */
	}
	if (hw->has_avic) {
		svm_avic_enter(hw);
	}
	hw->vmcb.rax = v->regs[GPR_RAX];
	run(v->regs, hw->pa, hw->host_pa);
	v->regs[GPR_RAX] = hw->vmcb.rax;
	return svm_exit_take(hw, e);
}

always_inline void svm_enter(struct vcpu *v, struct exit *e)
{
	while (enter_once(v, e)) {
	}
}

always_inline bool svm_is_late(const struct vcpu *v)
{
	return rdtsc() >= v->deadline_tsc;
}

#define SVM_OPS                                                                                             \
	.name = "svm", .probe = svm_probe, .cpu_on = svm_cpu_on, .load = svm_load, .put = svm_put, .enter = svm_enter,         \
	.get = svm_get, .set = svm_set, .get_seg = svm_get_seg, .set_seg = svm_set_seg, .skip = svm_skip,  \
	.inject = svm_inject, .window = svm_window, .flush = svm_flush, .dump = svm_dump
const struct vcpu_ops svm_ops = { SVM_OPS, .vcpu_init = svm_vcpu_init };

static const struct vcpu_ops *svm_no_apic(void)
{
	return &svm_ops;
}

const struct vcpu_ops svm_avic_ops = {
	SVM_OPS, .only_xapic = true, .wants_trial = true, .vcpu_init = avic_vcpu_init,
	.apic = svm_apic, .request = svm_request, .no_apic = svm_no_apic,
};
