// SPDX-License-Identifier: BSD-2-Clause
/*
 * No protocol at all: a file at an address, entered at its first byte in the mode asked for. All
 * registers are 0 but those the mode needs; real mode finds CS:IP = address/16 : address%16, data
 * segments 0 and SP 0. Called by load_guest().
 */
#include "load.h"

const char *load_flat(struct loading *l)
{
	const struct partition_config *cfg = l->in->cfg;
	u64 at = cfg->load_address, len = l->in->kernel.len;
	const char *why = load_image(l, at, 0, len, len);
	if (why) {
		return why;
	}
	switch (cfg->flat_mode) {
	case FLAT_REAL:
		if (at >= MIB) {
			return "load-address is beyond real mode's first MiB";
		}
		l->out->mode = ENTRY_REAL;
		l->out->rip = at & 0xf;
		l->out->cs = (u16)(at >> 4);
		return NULL;
	case FLAT_PROTECTED: return load_enter_protected(l, at);
	case FLAT_LONG: return load_enter_long(l, at);
	default: return "no such flat-mode";
	}
}
