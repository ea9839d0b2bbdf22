/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The feature report at start: what CPUID says of the host's own needs, then what the backend found
 * of its. Checks all and lists all before anybody stops. kmain calls it.
 */
#include "features.h"
#include "cpu.h"
#include "lib/lib.h"
#include "log.h"
#include "svm/svm.h"
#include "vmx/vmx.h"
#include "x86/insn.h"

enum { EAX, EBX, ECX, EDX };

/* @reason: set for what we cannot do without; the others are for information */
struct host_feature {
	const char *name;
	u32 leaf, reg, bit;
	const char *reason;
};

static const struct host_feature host_features[] = {
	{ "tsc", 1, EDX, 4, "this CPU has no time stamp counter" },
	{ "msr", 1, EDX, 5, "this CPU has no model-specific registers" },
	{ "lapic", 1, EDX, 9, "the local APIC is off in the firmware or missing" },
	{ "pat", 1, EDX, 16, "this CPU has no page attribute table" },
	{ "nx", 0x80000001, EDX, 20, "no-execute is off in the firmware or missing" },
	{ "x2apic", 1, ECX, 21, NULL },
	{ "tsc-deadline", 1, ECX, 24, NULL },
	{ "xsave", 1, ECX, 26, NULL },
	{ "smep", 7, EBX, 7, NULL },
	{ "smap", 7, EBX, 20, NULL },
	{ "umip", 7, ECX, 2, NULL },
	{ "1gib-pages", 0x80000001, EDX, 26, NULL },
	{ "invariant-tsc", 0x80000007, EDX, 8, NULL },
};

const char *cpu_vendor(void)
{
	static char name[13];
	u32 out[4];

	cpuid(0, 0, out);
	memcpy(name, (const u32[]){ out[EBX], out[EDX], out[ECX] }, 12);
	if (!strcmp(name, "AuthenticAMD")) {
		return "AMD";
	}
	return strcmp(name, "GenuineIntel") ? name : "Intel";
}

enum apic_use apic_use(const char *cmdline)
{
	static const char *const words[NR_APIC_USES] = { "auto", "try", "trust", "exits" };
	const char *value;
	int len = arg_find(cmdline, "apic", &value);
	u32 use = 0;

	while (len >= 0 && use < NR_APIC_USES && (strlen(words[use]) != (size_t)len || memcmp(words[use], value, len))) {
		use++;
	}
	return use;
}

const struct vcpu_ops *backend_pick(void)
{
	if (cpuid_has(1, ECX, 5)) {
		return &vmx_ops;
	}
	return !cpuid_has(0x80000001, ECX, 2) ? NULL : cpuid_has(0x8000000a, EDX, 13) ? &svm_avic_ops : &svm_ops;
}

static struct feature needs[MAX_FEATURES + ARRAY_SIZE(host_features) + 1];
static u32 nr;

bool feature_has(const char *name)
{
	for (u32 i = 0; i < nr; i++) {
		if (!strcmp(needs[i].name, name)) {
			return needs[i].is_present;
		}
	}
	return false;
}

bool features_check(const struct vcpu_ops *ops)
{
	u32 nr_missing = 0;

	for (nr = 0; nr < ARRAY_SIZE(host_features); nr++) {
		const struct host_feature *h = &host_features[nr];
		bool is_present = cpuid_has(h->leaf, h->reg, h->bit);
		needs[nr] = (struct feature){ h->name, is_present, h->reason };
	}
	needs[nr++] = (struct feature){ "virtualization", ops != NULL,
					"this CPU has neither VMX nor SVM, or firmware hides it" };
	nr += ops ? ops->probe(needs + nr, MAX_FEATURES) : 0;
	for (u32 i = 0; i < nr; i++) {
		log("feature %s=%s", needs[i].name, needs[i].is_present ? "present" : "absent");
	}
	for (u32 i = 0; i < nr; i++) {
		if (!needs[i].is_present && needs[i].reason) {
			log("FATAL feature=%s %s", needs[i].name, needs[i].reason);
			nr_missing++;
		}
	}
	return nr_missing == 0;
}
