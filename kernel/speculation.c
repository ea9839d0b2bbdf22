/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of known faults of speculative execution, and the rules by which a CPU has them. Bits with
 * which a CPU says "not I" come first, lists of models last. Sources: Intel's "Affected Processors" table,
 * AMD's security bulletins, SDM 4 table 2-2. Knows no MSR access. Pure; speculation_host.c calls it.
 */
#include "kernel/speculation.h"
#include "lib/lib.h"

#define NOT_AFFECTED ((struct spec_answer){ SPEC_NOT_AFFECTED, NULL })
#define MITIGATED(s) ((struct spec_answer){ SPEC_MITIGATED, s })
#define OPEN(s)	     ((struct spec_answer){ SPEC_OPEN, s })
#define OFF	     OPEN("mitigations=off")

/* What models of Intel's family 6 have, or have not */
enum {
	IN_ORDER = 1,	/* no speculation of this kind at all */
	NO_L1TF = 2, NO_MDS = 4, NO_SSB = 8, NO_MULTIHIT = 16,
	SRBDS = 32, MMIO = 64, RETBLEED = 128, GDS = 256, RFDS = 512, ITS = 1024, NO_PBRSB = 2048,
};
#define SILVERMONT (NO_L1TF | NO_SSB | NO_MULTIHIT)
#define GOLDMONT   (NO_L1TF | NO_MDS | NO_MULTIHIT | RFDS)
#define TREMONT	   (NO_L1TF | NO_MDS | NO_MULTIHIT | MMIO | RFDS | NO_PBRSB)
#define SKYLAKE	   (MMIO | RETBLEED | GDS)

/* @stepping: the first one that has it */
static const struct {
	u8 model, stepping;
	u16 has;
} models[] = {
	{ 0x1c, 0, IN_ORDER }, { 0x26, 0, IN_ORDER }, { 0x27, 0, IN_ORDER }, /* Bonnell, Saltwell */
	{ 0x35, 0, IN_ORDER }, { 0x36, 0, IN_ORDER },
	{ 0x37, 0, SILVERMONT }, { 0x4a, 0, SILVERMONT }, { 0x4d, 0, SILVERMONT },
	{ 0x4c, 0, SILVERMONT }, { 0x5a, 0, SILVERMONT }, { 0x75, 0, SILVERMONT }, /* Airmont */
	{ 0x57, 0, SILVERMONT }, { 0x85, 0, SILVERMONT },			  /* Knights */
	{ 0x5c, 0, GOLDMONT }, { 0x5f, 0, GOLDMONT }, { 0x7a, 0, GOLDMONT },
	{ 0x86, 0, TREMONT }, { 0x96, 0, TREMONT }, { 0x9c, 0, TREMONT },
	{ 0x3a, 0, SRBDS },							  /* Ivy Bridge */
	{ 0x3c, 0, SRBDS }, { 0x45, 0, SRBDS }, { 0x46, 0, SRBDS }, { 0x3f, 0, MMIO }, /* Haswell */
	{ 0x3d, 0, SRBDS }, { 0x47, 0, SRBDS }, { 0x56, 0, MMIO }, { 0x4f, 0, MMIO },  /* Broadwell */
	{ 0x4e, 0, SKYLAKE | SRBDS }, { 0x5e, 0, SKYLAKE | SRBDS },
	{ 0x55, 0, SKYLAKE }, { 0x55, 6, ITS },				  /* X; Cascade Lake */
	{ 0x8e, 0, SKYLAKE | SRBDS }, { 0x8e, 12, ITS },			  /* Kaby Lake and later */
	{ 0x9e, 0, SKYLAKE | SRBDS }, { 0x9e, 13, ITS }, { 0x66, 0, RETBLEED },
	{ 0x7e, 0, SKYLAKE | ITS }, { 0x6a, 0, MMIO | GDS | ITS }, { 0x6c, 0, MMIO | GDS | ITS }, /* Ice Lake */
	{ 0xa5, 0, SKYLAKE | ITS }, { 0xa6, 0, SKYLAKE | ITS }, { 0xa7, 0, SKYLAKE | ITS },
	{ 0x8c, 0, GDS | ITS }, { 0x8d, 0, GDS | ITS }, { 0x8a, 0, MMIO | RETBLEED },
	{ 0x97, 0, RFDS }, { 0x9a, 0, RFDS }, { 0xb7, 0, RFDS },		  /* Alder, Raptor Lake */
	{ 0xba, 0, RFDS }, { 0xbf, 0, RFDS }, { 0xbe, 0, RFDS },
};

static bool is_intel(const struct spec_facts *f)
{
	return f->vendor == SPEC_INTEL;
}

static bool is_amd(const struct spec_facts *f)
{
	return f->vendor == SPEC_AMD || f->vendor == SPEC_HYGON;
}

static bool has(const struct spec_facts *f, u32 what)
{
	bool found = false;
	for (u32 i = 0; i < ARRAY_SIZE(models); i++) {
		found |= is_intel(f) && f->family == 6 && models[i].model == f->model &&
			 f->stepping >= models[i].stepping && models[i].has & what;
	}
	return found;
}

/* Neither a vendor that is known to be right, nor a bit that says so */
static bool is_suspect(const struct spec_facts *f, u64 caps_no, u32 model_no)
{
	return !is_amd(f) && !(f->arch_caps & caps_no) && !has(f, model_no | IN_ORDER);
}

static bool has_l1tf(const struct spec_facts *f)
{
	return f->is_vmx && is_suspect(f, CAPS_RDCL_NO, NO_L1TF);
}

static bool has_mds(const struct spec_facts *f)
{
	return is_suspect(f, CAPS_MDS_NO, NO_MDS);
}

/* A CPU without MDS but with TSX; CPUs with MDS have it too, and the same remedy */
static bool has_taa(const struct spec_facts *f)
{
	return is_intel(f) && !(f->arch_caps & CAPS_TAA_NO) &&
	       (f->leaf7_ebx & LEAF7_EBX_RTM || f->arch_caps & CAPS_TSX_CTRL);
}

static bool has_mmio(const struct spec_facts *f)
{
	return has(f, MMIO) && (f->arch_caps & CAPS_MMIO_NO) != CAPS_MMIO_NO;
}

static bool has_rfds(const struct spec_facts *f)
{
	return has(f, RFDS) && !(f->arch_caps & CAPS_RFDS_NO);
}

static bool has_tsa(const struct spec_facts *f)
{
	return is_amd(f) && f->family == 0x19 && (f->ext21_ecx & EXT21_ECX_TSA_NO) != EXT21_ECX_TSA_NO;
}

static bool has_multihit(const struct spec_facts *f)
{
	return f->is_vmx && is_suspect(f, CAPS_PSCHANGE_NO, NO_MULTIHIT);
}

/* Does VERW also empty buffers here? (SDM 2B "VERW" of old says nothing of it: microcode) */
static bool verw_clears(const struct spec_facts *f)
{
	return is_amd(f) ? f->ext21_eax & EXT21_EAX_VERW_CLEAR :
			   f->leaf7_edx & LEAF7_EDX_MD_CLEAR ||
				   f->arch_caps & (CAPS_FB_CLEAR | CAPS_RFDS_CLEAR);
}

static bool has_eibrs(const struct spec_facts *f)
{
	return is_intel(f) && f->arch_caps & CAPS_IBRS_ALL && f->leaf7_edx & LEAF7_EDX_IBRS_IBPB;
}

static bool has_ibpb(const struct spec_facts *f)
{
	return f->leaf7_edx & LEAF7_EDX_IBRS_IBPB || f->ext8_ebx & EXT8_EBX_IBPB;
}

/* With enhanced IBRS branch history still chooses among the hypervisor's own targets */
static bool has_bhi(const struct spec_facts *f)
{
	return has_eibrs(f) && !(f->arch_caps & CAPS_BHI_NO);
}

struct spec_plan spec_plan(const struct spec_facts *f)
{
	struct spec_plan p = { .plain_branches = f->is_off };
	if (f->is_off) {
		return p;
	}
	if (has_eibrs(f)) {
		p.spec_ctrl = SPEC_CTRL_IBRS;
		p.spec_ctrl |= has_bhi(f) && f->leaf7_2_edx & LEAF7_2_EDX_BHI ? SPEC_CTRL_BHI_DIS_S : 0;
		p.plain_branches = !has_bhi(f) || p.spec_ctrl & SPEC_CTRL_BHI_DIS_S;
		p.spec_ctrl |= !p.plain_branches && f->leaf7_2_edx & LEAF7_2_EDX_RRSBA ?
				       SPEC_CTRL_RRSBA_DIS_S : 0;
	}
	p.auto_ibrs = is_amd(f) && f->ext21_eax & EXT21_EAX_AUTO_IBRS;
	p.plain_branches |= p.auto_ibrs || has(f, IN_ORDER);
	p.small_pages = has_multihit(f);
	p.ibpb = has_ibpb(f) && !has(f, IN_ORDER);
	p.flush_l1d = has_l1tf(f) && f->leaf7_edx & LEAF7_EDX_L1D_FLUSH && !(f->arch_caps & CAPS_SKIP_L1DFL);
	p.verw = verw_clears(f) && (has_mds(f) || has_taa(f) || has_mmio(f) || has_rfds(f) || has_tsa(f));
	return p;
}

static struct spec_answer by_verw(bool is_affected, const struct spec_facts *f, const struct spec_plan *p)
{
	return !is_affected ? NOT_AFFECTED : p->verw ? MITIGATED("verw-on-switch") :
	       f->is_off ? OFF : OPEN("VERW clears nothing, newer microcode is needed");
}

/* A guest has tables of its own: no hypervisor page is in its address space at any level */
static struct spec_answer meltdown(const struct spec_facts *f, maybe_unused const struct spec_plan *p)
{
	return is_suspect(f, CAPS_RDCL_NO, 0) ? MITIGATED("own-address-space") : NOT_AFFECTED;
}

static struct spec_answer spectre_v1(const struct spec_facts *f, maybe_unused const struct spec_plan *p)
{
	return has(f, IN_ORDER) ? NOT_AFFECTED : OPEN("indices out of guest values are checked, not masked");
}

static struct spec_answer swapgs(maybe_unused const struct spec_facts *f, maybe_unused const struct spec_plan *p)
{
	return NOT_AFFECTED; /* the hypervisor has no such instruction */
}

static struct spec_answer spectre_v2(const struct spec_facts *f, const struct spec_plan *p)
{
	if (has(f, IN_ORDER)) {
		return NOT_AFFECTED;
	}
	if (f->is_off) {
		return OFF;
	}
	if (!p->spec_ctrl && !p->auto_ibrs && !f->has_retpoline) {
		return OPEN("compiled without retpolines");
	}
	if (!p->ibpb) {
		return OPEN("no IBPB, partitions on one CPU train each other; the hypervisor has retpolines");
	}
	return MITIGATED(p->auto_ibrs ? "auto-ibrs,ibpb-on-switch" :
			 p->spec_ctrl ? "enhanced-ibrs,ibpb-on-switch" : "retpoline,ibpb-on-switch");
}

/* The guest's returns leave targets behind that the hypervisor's own may use */
static struct spec_answer spectre_rsb(const struct spec_facts *f, const struct spec_plan *p)
{
	if (has(f, IN_ORDER)) {
		return NOT_AFFECTED;
	}
	return p->auto_ibrs   ? MITIGATED("auto-ibrs") :
	       !p->spec_ctrl  ? OPEN("the return stack is not filled at exits") :
	       f->arch_caps & CAPS_PBRSB_NO || has(f, NO_PBRSB) ? MITIGATED("enhanced-ibrs") :
				OPEN("one return after an exit may use the guest's entry (PBRSB)");
}

static struct spec_answer bhi(const struct spec_facts *f, const struct spec_plan *p)
{
	if (!has_bhi(f)) {
		return NOT_AFFECTED; /* or spectre-v2's retpolines serve for both */
	}
	return f->is_off			       ? OFF :
	       p->spec_ctrl & SPEC_CTRL_BHI_DIS_S      ? MITIGATED("bhi-dis-s") :
	       !f->has_retpoline		       ? OPEN("compiled without retpolines") :
	       f->arch_caps & CAPS_RRSBA && !(p->spec_ctrl & SPEC_CTRL_RRSBA_DIS_S) ?
		       OPEN("no BHI_DIS_S, and returns may be predicted as branches (RRSBA)") :
		       MITIGATED("retpoline");
}

static struct spec_answer ssb(const struct spec_facts *f, maybe_unused const struct spec_plan *p)
{
	bool is_right = f->arch_caps & CAPS_SSB_NO || f->ext8_ebx & EXT8_EBX_SSB_NO ||
			has(f, NO_SSB | IN_ORDER) || (is_amd(f) && f->family <= 0x12);
	return is_right ? NOT_AFFECTED : OPEN("SSBD stays off: no foreign code runs in the hypervisor");
}

static struct spec_answer lazy_fp(const struct spec_facts *f, maybe_unused const struct spec_plan *p)
{
	return is_amd(f) || has(f, IN_ORDER) ? NOT_AFFECTED : MITIGATED("eager-fpu");
}

static struct spec_answer l1tf(const struct spec_facts *f, const struct spec_plan *p)
{
	return !has_l1tf(f) ? NOT_AFFECTED : f->is_off ? OFF :
	       f->arch_caps & CAPS_SKIP_L1DFL ? MITIGATED("by-the-hypervisor-below") :
	       p->flush_l1d ? MITIGATED("l1d-flush-on-switch") :
			      OPEN("no L1D_FLUSH, newer microcode is needed");
}

static struct spec_answer mds(const struct spec_facts *f, const struct spec_plan *p)
{
	return by_verw(has_mds(f), f, p);
}

static struct spec_answer taa(const struct spec_facts *f, const struct spec_plan *p)
{
	return by_verw(has_taa(f), f, p);
}

static struct spec_answer mmio_stale_data(const struct spec_facts *f, const struct spec_plan *p)
{
	return by_verw(has_mmio(f), f, p);
}

static struct spec_answer rfds(const struct spec_facts *f, const struct spec_plan *p)
{
	return by_verw(has_rfds(f), f, p);
}

static struct spec_answer tsa(const struct spec_facts *f, const struct spec_plan *p)
{
	return by_verw(has_tsa(f), f, p);
}

static struct spec_answer itlb_multihit(const struct spec_facts *f, const struct spec_plan *p)
{
	return !has_multihit(f) ? NOT_AFFECTED : p->small_pages ? MITIGATED("4-kib-pages") : OFF;
}

/* Microcode does it unless somebody has switched that off */
static struct spec_answer by_microcode(bool has_control, bool is_switched_off)
{
	return !has_control ? OPEN("newer microcode is needed") :
	       is_switched_off ? OPEN("firmware has switched the mitigation off") : MITIGATED("microcode");
}

static struct spec_answer srbds(const struct spec_facts *f, maybe_unused const struct spec_plan *p)
{
	bool is_right = f->arch_caps & CAPS_MDS_NO && !has_taa(f);
	return !has(f, SRBDS) || is_right ? NOT_AFFECTED :
	       by_microcode(f->leaf7_edx & LEAF7_EDX_SRBDS_CTRL, f->mcu_opt & MCU_OPT_RNGDS_OFF);
}

static struct spec_answer gds(const struct spec_facts *f, maybe_unused const struct spec_plan *p)
{
	return !has(f, GDS) || f->arch_caps & CAPS_GDS_NO ? NOT_AFFECTED :
	       by_microcode(f->arch_caps & CAPS_GDS_CTRL, f->mcu_opt & MCU_OPT_GDS_OFF);
}

static struct spec_answer retbleed(const struct spec_facts *f, const struct spec_plan *p)
{
	bool is_bad_amd = is_amd(f) && f->family >= 0x15 && f->family <= 0x18 &&
			  !(f->ext8_ebx & EXT8_EBX_BTC_NO);
	if (!is_bad_amd && !has(f, RETBLEED)) {
		return NOT_AFFECTED;
	}
	return f->is_off ? OFF : p->spec_ctrl ? MITIGATED("enhanced-ibrs") :
	       OPEN("returns are predicted by the guest's branches; IBPB is only on switch");
}

/* Zen 1 and 2 have it only with two threads a core */
static struct spec_answer srso(const struct spec_facts *f, maybe_unused const struct spec_plan *p)
{
	bool is_old = f->family == 0x17 || f->family == 0x18;
	if (!is_amd(f) || f->ext21_eax & EXT21_EAX_SRSO_NO || (!is_old && f->family != 0x19) ||
	    (is_old && f->threads < 2)) {
		return NOT_AFFECTED;
	}
	return f->is_off ? OFF : OPEN("returns are not made safe at exits; IBPB is only on switch");
}

static struct spec_answer its(const struct spec_facts *f, maybe_unused const struct spec_plan *p)
{
	return !has(f, ITS) || f->arch_caps & CAPS_ITS_NO ? NOT_AFFECTED :
	       f->is_off ? OFF : OPEN("thunks are placed well, returns are not");
}

const struct spec_issue spec_issues[] = {
	{ "meltdown", meltdown },	{ "spectre-v1", spectre_v1 },
	{ "spectre-v2", spectre_v2 },	{ "spectre-v4", ssb },
	{ "spectre-rsb", spectre_rsb }, { "swapgs", swapgs },
	{ "lazy-fp", lazy_fp },		{ "l1tf", l1tf },
	{ "mds", mds },			{ "taa", taa },
	{ "itlb-multihit", itlb_multihit }, { "srbds", srbds },
	{ "mmio-stale-data", mmio_stale_data }, { "bhi", bhi },
	{ "retbleed", retbleed },	{ "srso", srso },
	{ "gds", gds },			{ "rfds", rfds },
	{ "its", its },			{ "tsa", tsa },
};

size_t spec_text(const struct spec_issue *issue, const struct spec_facts *f, const struct spec_plan *p,
		 char *buf, size_t size)
{
	static const char *const word[] = { " not-affected", " mitigated=", " open: " };
	struct spec_answer a = issue->judge(f, p);
	return format(buf, size, "%s%s%s", issue->name, word[a.state], a.by ? a.by : "");
}
