// SPDX-License-Identifier: BSD-2-Clause
/*
 * A kernel of any bytes, by any protocol, into 4 MiB of guest memory. Input: protocol (bits 0-2),
 * flat mode (3-4), ACPI (5), modules (6-7); load address in 64 KiB; the kernel.
 */
#include "kernel/loader.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (4 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static u8 ram[RAM];
	struct gmem mem = { { { GPA(0), HPA((uintptr_t)ram + MIB), 3 * MIB },
			      { GPA(3 * MIB), HPA((uintptr_t)ram), MIB } }, 2 };
	struct partition_config cfg = { .name = "f", .kernel = "k", .cmdline = "x y" };
	struct load_input in = { .cfg = &cfg };
	struct guest_entry out;
	if (size < 2) {
		return 0;
	}
	cfg.boot = (enum boot_protocol)(data[0] & 7);
	cfg.flat_mode = (enum flat_mode)(data[0] >> 3 & 3);
	cfg.load_address = (u64)data[1] << 16;
	in.rsdp = GPA(data[0] & 0x20 ? GUEST_ACPI_BASE : 0);
	in.kernel = (struct blob){ data + 2, size - 2 };
	in.initrd = (struct blob){ data, data[1] & 1 ? size : 0 };
	for (; in.nr_modules < data[0] >> 6; in.nr_modules++) {
		in.modules[in.nr_modules] = (struct load_module){ { data, size }, "m a" };
	}
	if (load_guest(&in, &mem, &out)) {
		return 0;
	}
	/* whoever was loaded finds its descriptors and what it is told in RAM */
	if (out.mode != ENTRY_REAL && (!out.gdt.v || !gmem_ptr(&mem, out.gdt, out.gdt_limit + 1u))) {
		abort();
	}
	if ((out.mode == ENTRY_LONG && !gmem_ptr(&mem, GPA(out.cr3), 1)) ||
	    !gmem_ptr(&mem, GPA(out.gpr[GPR_RBX]), 1) || !gmem_ptr(&mem, GPA(out.gpr[GPR_RSI]), 1)) {
		abort();
	}
	return 0;
}
