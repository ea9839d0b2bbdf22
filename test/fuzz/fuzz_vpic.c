// SPDX-License-Identifier: BSD-2-Clause
/* Access scripts for the 8259A pair: what INTA gives was asked for, not masked, and goes into service. */
#include "devices/vpic.h"
#include <string.h>
#include "script.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u8 asked(const struct vpic_chip *c)
{
	return (u8)(((c->irr & ~c->elcr) | (c->lines & c->elcr)) & ~c->imr);
}

static void check_ack(struct vpic *p)
{
	struct vpic old = *p;
	bool is_pending = vpic_is_pending(p);
	u8 vector = vpic_ack(p);

	if (!is_pending) {
		CHECK(vector == (old.chip[0].vector_base | 7));
		CHECK(!memcmp(&old, p, sizeof(old)));
		return;
	}
	for (u32 n = 0; n < 2; n++) {
		u8 entered = p->chip[n].isr & (u8)~old.chip[n].isr;
		CHECK(!(entered & (entered - 1)));
		CHECK(!(entered & ~asked(&old.chip[n])));
	}
	/* The one that answered gave its own base, and a level that asked */
	bool is_master = (asked(&old.chip[0]) & 1 << (vector & 7)) &&
			 old.chip[0].vector_base == (vector & 0xf8);
	bool is_slave = (asked(&old.chip[1]) & 1 << (vector & 7)) &&
			old.chip[1].vector_base == (vector & 0xf8) && (asked(&old.chip[0]) & 4);
	CHECK(is_master || is_slave);
}

static void check(const struct vpic *p)
{
	for (u32 n = 0; n < 2; n++) {
		const struct vpic_chip *c = &p->chip[n];

		CHECK(!(c->irr & ~c->lines)); /* a request does not outlive its line */
		CHECK(c->priority < 8 && c->icw_step <= 4 && !(c->vector_base & 7));
		CHECK(!(c->elcr & (n ? 0x21 : 0x07)));
	}
	CHECK(!(p->chip[0].lines & 4) || asked(&p->chip[1])); /* the cascade: no INT without a request */
	CHECK(!vpic_is_pending(p) || asked(&p->chip[0]));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct script s = { .at = data, .end = data + size };
	struct vpic p;

	vpic_init(&p);
	script_attach(&s, 0x20, 2, &vpic_master_ops, &p);
	script_attach(&s, 0xa0, 2, &vpic_slave_ops, &p);
	script_attach(&s, 0x4d0, 2, &vpic_elcr_ops, &p);
	while (s.at < s.end) {
		static const u16 base[] = { 0x20, 0x20, 0xa0, 0x4d0 };
		u8 op = script_byte(&s);

		switch (op >> 6) {
		case 0: vpic_set_line(&p, op & 15, op & 16); break;
		case 1: check_ack(&p); break;
		default: script_access(&s, op, base[op >> 5 & 3], 2); break;
		}
		check(&p);
	}
	return 0;
}
