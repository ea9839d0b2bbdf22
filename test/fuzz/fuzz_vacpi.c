// SPDX-License-Identifier: BSD-2-Clause
/*
 * Access scripts for ACPI's fixed hardware, the 8042 and the ways to reset: the SCI is what status
 * and enable say, deadlines are kept true by every access, nobody ends the PC but by a write.
 */
#include "devices/vacpi.h"
#include "script.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u32 nr_events;

static void notify(void *ctx maybe_unused, enum vacpi_event e, const char *how)
{
	CHECK(how && (e == VACPI_POWEROFF || e == VACPI_RESET));
	nr_events++;
}

/* By reads only, which must not end anything */
static void check(struct script *s, struct vacpi *a)
{
	u32 events = nr_events;
	u64 due = a->deadline_ns;

	CHECK(due <= s->now_ns || vacpi_poll(a, s->now_ns) == due);
	u64 pm1 = bus_read(&s->bus, VACPI_PM1_EVT, 8);
	CHECK(s->level == (pm1 & pm1 >> 16 & 1));
	CHECK(!(pm1 & ~0x00001c034721ffffull) && (pm1 >> 32 & 1) && !(pm1 & 0xfffe));
	CHECK(bus_read(&s->bus, VACPI_PM_TMR, 4) == (ns_to_ticks(s->now_ns, PM_TIMER_HZ) & 0xffffff));
	CHECK(a->deadline_ns > s->now_ns);
	CHECK((a->deadline_ns == NEVER) == (!(pm1 >> 16 & 1) || (pm1 & 1)));
	CHECK(!(bus_read(&s->bus, 0x92, 1) & ~2ull) && !(bus_read(&s->bus, 0xcf9, 1) & ~0xaull));
	CHECK(!(bus_read(&s->bus, 0x64, 1) & 0xa2));
	CHECK(events == nr_events);
}

/* A controller command is answered at once, and a reply is read once */
static void check_reply(struct script *s)
{
	bus_write(&s->bus, 0x64, 1, 0xaa);
	CHECK(bus_read(&s->bus, 0x64, 1) & 1);
	CHECK(bus_read(&s->bus, 0x60, 1) == 0x55);
	CHECK(!(bus_read(&s->bus, 0x64, 1) & 1));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u16 port[] = { 0x60, 0x64, 0x92, 0xcf9 };
	struct script s = { .at = data, .end = data + size };
	struct vclock clock = { .now_ns = script_now, .ctx = &s };
	struct vacpi a = { .notify = notify };

	vacpi_init(&a, &clock, script_irq(&s));
	script_attach(&s, VACPI_PM1_EVT, VACPI_BLOCK_LEN, &vacpi_pm_ops, &a);
	script_attach(&s, 0x60, 1, &vacpi_kbc_data_ops, &a);
	script_attach(&s, 0x64, 1, &vacpi_kbc_ops, &a);
	script_attach(&s, 0x92, 1, &vacpi_port92_ops, &a);
	script_attach(&s, 0xcf9, 1, &vacpi_cf9_ops, &a);
	while (s.at < s.end) {
		u8 op = script_byte(&s);

		switch (op >> 6) {
		case 0: script_wait(&s); break;
		case 1:
			CHECK(vacpi_poll(&a, s.now_ns) > s.now_ns);
			check_reply(&s);
			break;
		case 2: script_access(&s, op, port[op >> 3 & 3], 1); break;
		default: script_access(&s, op, VACPI_PM1_EVT, VACPI_BLOCK_LEN); break;
		}
		check(&s, &a);
	}
	return 0;
}
