/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition on the host: built by partition_build() out of a flat image, its vCPUs driven by the
 * scripted backend, the machine around it a handful of variables that a test sets and reads.
 */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include "fake.h"
#include "kernel/partition.h"

#define RIG_LOAD_ADDR 0x200000
#define RIG_TSC_HZ    1000000000ull /* so that a tick is a nanosecond */
#define RIG_BIRTH     1000

/* @host_len, @max_pages: set before rig_build() to run out; 0 = enough. @channels: likewise, to have some */
struct rig {
	u64 tsc, xcr0;
	bool is_intel; /* else CPUID says AMD */
	char log[4096];
	u32 pokes[CONFIG_MAX_VCPUS]; /* by vCPU */
	u32 notes[CONFIG_MAX_VCPUS]; /* likewise: posted requests alone */
	u32 kicks[CONFIG_MAX_CPUS];  /* by CPU */
	u64 host_len;
	u32 max_pages;
	struct channel *channels;
	u32 nr_channels;
	const struct vcpu_ops *ops; /* likewise; NULL = fake_ops */
	u16 tags[4]; /* by CPU */
	const char *input; /* what is typed */
	struct partition *part;
	void *ram;
	struct frames frames;
};
extern struct rig rig;

/* rig_config - one CPU, 6 MiB, long mode at RIG_LOAD_ADDR, debug-exit at 0xf4 */
extern const struct partition_config rig_config;

/* rig_build() - build and start rig.part. Return: NULL or why not; rig_fini() is due in any case. */
const char *rig_build(const struct partition_config *cfg);
void rig_fini(void);

/* rig_play() - let vCPU @n have exit @e. insn_len 0 there means that the kernel has to decode at RIP. */
bool rig_play(u32 n, struct exit e);

#endif
