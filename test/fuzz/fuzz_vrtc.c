// SPDX-License-Identifier: BSD-2-Clause
/* Access scripts for the CMOS clock: a running clock shows a real date, IRQF is its definition and the line. */
#include "devices/vrtc.h"
#include "script.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u32 get(struct script *s, u8 reg)
{
	bus_write(&s->bus, 0x70, 1, reg);
	return (u32)bus_read(&s->bus, 0x71, 1);
}

static u32 number(const struct vrtc *r, u32 v)
{
	if (r->ram[0x0b] & 0x04) {
		return v;
	}
	CHECK((v & 15) < 10 && v >> 4 < 10);
	return (v >> 4) * 10 + (v & 15);
}

static void check_time(struct script *s, struct vrtc *r)
{
	static const u8 days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	u32 hour = get(s, 4), month = number(r, get(s, 8)), day = number(r, get(s, 7));

	CHECK(number(r, get(s, 0)) < 60 && number(r, get(s, 2)) < 60);
	if (r->ram[0x0b] & 0x02) {
		CHECK(number(r, hour) < 24);
	} else {
		CHECK(number(r, hour & 0x7f) >= 1 && number(r, hour & 0x7f) <= 12);
	}
	CHECK(month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1]);
	CHECK(number(r, get(s, 6)) - 1 < 7);
	CHECK(number(r, get(s, 9)) < 100 && number(r, get(s, 0x32)) < 100);
}

static void check(struct script *s, struct vrtc *r)
{
	u8 b = r->ram[0x0b], c = r->ram[0x0c];

	CHECK(!!(c & 0x80) == !!(b & c & 0x70));
	CHECK(s->level == !!(c & 0x80));
	CHECK(!(c & 0x0f) && r->ram[0x0d] == 0x80);
	CHECK(!(r->ram[0x0a] & 0x80) && r->index < 128);
	/* deadline_ns is kept true by every access: polling before it does nothing */
	CHECK(r->deadline_ns <= s->now_ns || vrtc_poll(r, s->now_ns) == r->deadline_ns);
	CHECK(!(c & 0x80) || r->deadline_ns == NEVER);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct script s = { .at = data, .end = data + size };
	struct vclock clock = { .now_ns = script_now, .ctx = &s };
	struct vrtc r;

	vrtc_init(&r, &clock, script_irq(&s), script_byte(&s) * 12345678ull);
	script_attach(&s, 0x70, 2, &vrtc_ops, &r);
	while (s.at < s.end) {
		u8 op = script_byte(&s);

		switch (op >> 6) {
		case 0: script_wait(&s); break;
		case 1:
			CHECK(vrtc_poll(&r, s.now_ns) > s.now_ns);
			if (!(r.ram[0x0b] & 0x80) && (r.ram[0x0a] & 0x60) != 0x60) {
				check_time(&s, &r);
			}
			break;
		case 2: /* a register at once: random index writes seldom hit one that matters */
			bus_write(&s.bus, 0x70, 1, op & 15);
			bus_write(&s.bus, 0x71, 1, script_byte(&s));
			break;
		default: script_access(&s, op, 0x70, 2); break;
		}
		check(&s, &r);
	}
	return 0;
}
