// SPDX-License-Identifier: BSD-2-Clause
/* Access scripts for the 8254: deadlines lie ahead, polling twice is polling once, BCD stays BCD. */
#include "devices/vpit.h"
#include "script.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check_poll(struct script *s, struct vpit *p)
{
	bool was_due = p->deadline_ns <= s->now_ns;
	u64 next = vpit_poll(p, s->now_ns);

	CHECK(next > s->now_ns);
	CHECK(!was_due || s->level);
	CHECK(next == vpit_poll(p, s->now_ns));
	CHECK(next == NEVER || next - s->now_ns <= ticks_to_ns(2 * 65536 + 2, PIT_HZ));
}

static void check(struct script *s, struct vpit *p)
{
	for (u32 i = 0; i < 3; i++) {
		struct vpit_channel *c = &p->ch[i];

		CHECK(c->reload <= 65536 && c->next_reload <= 65536);
		CHECK(!c->is_loaded || c->reload);
		CHECK(c->mode <= 5 && c->latched_bytes <= 2);
		CHECK(i == 2 || c->gate);
	}
	/* deadline_ns is kept true by every access: polling before it does nothing */
	CHECK(p->deadline_ns <= s->now_ns || vpit_poll(p, s->now_ns) == p->deadline_ns);
	CHECK(p->ch[2].gate == (p->port61 & 1));
	CHECK(!(bus_read(&s->bus, 0x61, 1) & 0xc0));
}

/* Latch and read a BCD channel: four decimal digits, whatever was written */
static void check_bcd(struct script *s, u32 channel)
{
	u64 port = 0x40 + channel;

	bus_write(&s->bus, 0x43, 1, channel << 6 | 0x31 | (script_byte(s) & 0x0e));
	bus_write(&s->bus, port, 1, script_byte(s));
	bus_write(&s->bus, port, 1, script_byte(s));
	script_wait(s);
	bus_write(&s->bus, 0x43, 1, channel << 6);
	u64 v = bus_read(&s->bus, port, 1);
	v |= bus_read(&s->bus, port, 1) << 8;
	for (u32 i = 0; i < 16; i += 4) {
		CHECK((v >> i & 15) < 10);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct script s = { .at = data, .end = data + size };
	struct vclock clock = { .now_ns = script_now, .ctx = &s };
	struct vpit p;

	vpit_init(&p, &clock, script_irq(&s));
	script_attach(&s, 0x40, 4, &vpit_ops, &p);
	script_attach(&s, 0x61, 1, &vpit_port61_ops, &p);
	while (s.at < s.end) {
		u8 op = script_byte(&s);

		switch (op >> 6) {
		case 0: script_wait(&s); break;
		case 1:
			if (op & 0x38) {
				check_poll(&s, &p);
			} else {
				check_bcd(&s, (op & 7) % 3);
			}
			break;
		case 2: script_access(&s, op, 0x61, 1); break;
		default: script_access(&s, op, 0x40, 4); break;
		}
		check(&s, &p);
	}
	return 0;
}
