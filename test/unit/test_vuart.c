// SPDX-License-Identifier: BSD-2-Clause
/* The virtual 16550A against the PC16550D data sheet, and what operating systems probe. */
#include "devices/vuart.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "vdev.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FCR IIR

static struct bench bench;
static struct vclock clk = { .now_ns = bench_now, .ctx = &bench };
static struct vuart u;
static size_t room;
static char sent[64];
static u32 nr_sent;

static size_t tx_room(void *ctx maybe_unused)
{
	return room;
}

static void tx(void *ctx maybe_unused, u8 byte)
{
	assert_true(room > 0);
	room--;
	sent[nr_sent++ % 64] = (char)byte;
}

static const struct vuart_backend backend = { .tx_room = tx_room, .tx = tx };

static int setup(void **state maybe_unused)
{
	bench = (struct bench){ 0 };
	room = 1000;
	nr_sent = 0;
	memset(sent, 0, sizeof(sent));
	vuart_init(&u, &backend, &clk, bench_line(&bench));
	return 0;
}

static u8 in(u64 reg)
{
	return rd(&vuart_ops, &u, reg);
}

static void out(u64 reg, u8 v)
{
	wr(&vuart_ops, &u, reg, v);
}

static void reset_state(void **state maybe_unused)
{
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(LCR), 0);
	assert_int_equal(in(MCR), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
	assert_false(bench.level);
}

/* IER and MCR have no upper bits, SCR and the divisor latch keep all, LSR and MSR are read-only */
static void registers_keep_what_they_should(void **state maybe_unused)
{
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f);
	out(MCR, 0xef);
	assert_int_equal(in(MCR), 0x0f);
	out(SCR, 0xa5);
	assert_int_equal(in(SCR), 0xa5);
	out(LSR, 0x1f);
	assert_int_equal(in(LSR), 0x60);
	out(MSR, 0x0f);
	assert_int_equal(in(MSR), 0xb0);
	out(LCR, 0x83);
	out(DATA, 0x34);
	out(IER, 0x12);
	assert_int_equal(in(DATA), 0x34);
	assert_int_equal(in(IER), 0x12);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0x0f);
	assert_int_equal(nr_sent, 0);
}

static void is_a_16550a_and_nothing_newer(void **state maybe_unused)
{
	out(FCR, 0xe1); /* 64-byte FIFO bit of a 16750 */
	assert_int_equal(in(IIR) & 0xf0, 0xc0);
	out(FCR, 0);
	assert_int_equal(in(IIR) & 0xf0, 0x00);
	out(FCR, 0xc0); /* without FCR0 nothing is programmed */
	out(FCR, 0x01);
	out(IER, 1);
	vuart_rx(&u, 1);
	assert_int_equal(in(IIR) & 0x0f, 0x04); /* trigger level 1 */
}

/* Nothing enabled: all sources at once show nothing */
static void disabled_sources_are_silent(void **state maybe_unused)
{
	out(FCR, 0x81);
	out(MCR, 0x10);
	out(MCR, 0x08);
	for (u32 i = 0; i < 17; i++) {
		vuart_rx(&u, 0);
	}
	out(DATA, 0);
	assert_int_equal(in(IIR), 0xc1);
	assert_false(bench.level);
	static const u8 next[][2] = { { 0x04, 0xc6 }, { 0x01, 0xc4 }, { 0x02, 0xc2 }, { 0x08, 0xc0 } };
	for (u32 i = 0; i < 4; i++) {
		out(IER, next[i][0]);
		assert_int_equal(in(IIR), next[i][1]);
	}
}

/* Each write changes its own register, and a 16-bit access is two of them */
static void writes_do_not_spill(void **state maybe_unused)
{
	struct bus b = { 0 };
	struct bus_range r = { .base = 0x3f8, .len = 8, .ops = &vuart_ops, .self = &u };

	assert_int_equal(bus_attach(&b, &r), STATUS_OK);
	bus_write(&b, 0x3fa, 2, 0x1b01);
	assert_int_equal(bus_read(&b, 0x3fa, 2), 0x1bc1);
	assert_int_equal(in(MCR), 0);
	out(FCR, 0x00);
	out(MCR, 0x03);
	assert_int_equal(in(SCR), 0);
	out(IER, 0x05);
	assert_int_equal(bus_read(&b, 0x3f9, 4), 0x031b0105);
	vuart_rx(&u, 'a');
	out(FCR, 0x06); /* resets need FCR0 */
	assert_int_equal(in(LSR), 0x61);
}

static void sends(void **state maybe_unused)
{
	for (const char *s = "hello"; *s; s++) {
		assert_int_equal(in(LSR) & 0x60, 0x60);
		out(DATA, (u8)*s);
	}
	assert_string_equal(sent, "hello");
}

static void thre_interrupt(void **state maybe_unused)
{
	out(MCR, 0x08);
	out(IER, 0x02);
	assert_true(bench.level); /* enabling with an empty THR interrupts */
	assert_int_equal(in(IIR), 0x02);
	assert_false(bench.level); /* reading IIR, it being the source, clears */
	assert_int_equal(in(IIR), 0x01);
	out(IER, 0x02);
	assert_false(bench.level); /* no edge of ETBEI */
	out(IER, 0x00);
	out(IER, 0x02);
	assert_true(bench.level);
	u32 rises = bench.rises;
	out(DATA, 'x'); /* writing THR clears, emptying it sets: an edge */
	assert_int_equal(bench.rises, rises + 1);
	assert_int_equal(in(IIR), 0x02);
	assert_false(bench.level);
}

static void iir_read_of_another_source_keeps_thre(void **state maybe_unused)
{
	out(MCR, 0x08);
	out(IER, 0x03);
	vuart_rx(&u, 'a');
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(IIR), 0x04);
	in(DATA);
	assert_int_equal(in(IIR), 0x02);
	assert_false(bench.level);
}

static void no_room_holds_thre(void **state maybe_unused)
{
	out(MCR, 0x08);
	out(IER, 0x02);
	in(IIR);
	room = 0;
	out(DATA, 'a');
	assert_int_equal(in(LSR) & 0x60, 0);
	assert_true(u.has_tx_held);
	assert_in_range(u.deadline_ns, bench.now_ns + 1, bench.now_ns + NSEC_PER_MSEC);
	assert_false(bench.level);
	vuart_poll(&u, bench.now_ns);
	assert_int_equal(in(LSR) & 0x60, 0);
	room = 5;
	vuart_poll(&u, bench.now_ns);
	assert_true(bench.level);
	assert_string_equal(sent, "a");
	assert_false(u.has_tx_held);
	assert_int_equal(u.deadline_ns, NEVER);
	assert_int_equal(in(LSR) & 0x60, 0x60);
}

/* A driver that saw THRE writes 16 bytes blindly: none may be lost, whatever the room */
static void fifo_takes_sixteen(void **state maybe_unused)
{
	out(FCR, 0x01);
	room = 3;
	for (u32 i = 0; i < 16; i++) {
		out(DATA, (u8)('a' + i));
	}
	assert_string_equal(sent, "abc");
	assert_int_equal(in(LSR) & 0x60, 0);
	room = 4;
	vuart_poll(&u, bench.now_ns);
	assert_int_equal(in(LSR) & 0x60, 0);
	room = 100;
	vuart_poll(&u, bench.now_ns);
	assert_string_equal(sent, "abcdefghijklmnop");
	assert_int_equal(in(LSR) & 0x60, 0x60);
}

static void tx_reset_forgets_held_bytes(void **state maybe_unused)
{
	out(FCR, 0x01);
	room = 0;
	out(DATA, 'a');
	out(FCR, 0x03); /* not this one */
	assert_int_equal(in(LSR) & 0x60, 0);
	out(FCR, 0x05);
	assert_int_equal(in(LSR) & 0x60, 0x60);
	room = 1;
	vuart_poll(&u, bench.now_ns);
	assert_int_equal(nr_sent, 0);
}

static void receives_without_fifo(void **state maybe_unused)
{
	out(MCR, 0x08);
	out(IER, 0x05);
	assert_int_equal(vuart_rx_room(&u), 1);
	vuart_rx(&u, 'a');
	assert_int_equal(vuart_rx_room(&u), 0);
	assert_true(bench.level);
	assert_int_equal(in(IIR), 0x04);
	vuart_rx(&u, 'b'); /* overrun: RBR is overwritten */
	assert_int_equal(in(IIR), 0x06);
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(DATA), 'b');
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x01);
	assert_false(bench.level);
}

static void receives_with_fifo(void **state maybe_unused)
{
	out(FCR, 0x01);
	assert_int_equal(vuart_rx_room(&u), 16);
	for (u32 i = 0; i < 16; i++) {
		vuart_rx(&u, (u8)i);
	}
	assert_int_equal(vuart_rx_room(&u), 0);
	vuart_rx(&u, 99); /* overrun: the FIFO keeps its bytes */
	assert_int_equal(in(LSR), 0x63);
	for (u32 i = 0; i < 16; i++) {
		assert_int_equal(in(LSR), 0x61);
		assert_int_equal(in(DATA), i);
	}
	assert_int_equal(in(LSR), 0x60);
}

static void expect_timeout_after(u64 ns)
{
	assert_in_range(u.deadline_ns, bench.now_ns + ns - 1, bench.now_ns + ns);
	vuart_poll(&u, u.deadline_ns - 1);
	assert_false(bench.level);
	bench.now_ns = u.deadline_ns;
	assert_int_equal(vuart_poll(&u, bench.now_ns), NEVER);
	assert_true(bench.level);
	assert_int_equal(in(IIR), 0xcc);
}

/* 8.10: four character times of silence and of nobody reading */
static void character_timeout(void **state maybe_unused)
{
	static const struct {
		u8 lcr, dll, dlm;
		u64 ns;
	} row[] = {
		{ 0x0f, 0x80, 0x01, 160 * NSEC_PER_MSEC }, /* the data sheet's example: 300 baud, 12 bits */
		{ 0x03, 0x0c, 0x00, 4166667 },		   /* 9600 8N1 */
		{ 0x03, 0x01, 0x00, 347223 },		   /* 115200 8N1 */
		{ 0x04, 0x0c, 0x00, 3125000 },		   /* 5 bits, one and a half stop bits */
		{ 0x1e, 0x0c, 0x00, 4583334 },		   /* 7E2 */
		{ 0x03, 0x00, 0x00, 347223 },		   /* a divisor of 0 counts as 1 */
	};

	out(MCR, 0x08);
	out(FCR, 0xc1);
	out(IER, 0x01);
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		out(LCR, 0x80);
		out(DATA, row[i].dll);
		out(IER, row[i].dlm);
		out(LCR, row[i].lcr);
		vuart_rx(&u, 1);
		vuart_rx(&u, 2);
		bench.now_ns += row[i].ns / 2;
		vuart_rx(&u, 3); /* each character restarts it, ... */
		expect_timeout_after(row[i].ns);
		vuart_rx(&u, 4); /* ... but does not take it back once it has come: ... */
		assert_int_equal(in(IIR), 0xcc);
		in(DATA); /* ... that does reading */
		assert_int_equal(in(IIR), 0xc1);
		assert_false(bench.level);
		expect_timeout_after(row[i].ns);
		out(IER, 0);
		assert_int_equal(u.deadline_ns, NEVER);
		out(IER, 1);
		assert_true(bench.level);
		in(DATA);
		in(DATA);
		in(DATA);
		assert_int_equal(u.deadline_ns, NEVER);
		assert_int_equal(in(IIR), 0xc1);
		bench.now_ns += NSEC_PER_SEC;
		assert_int_equal(in(IIR), 0xc1); /* an empty FIFO has no timeout */
	}
	out(FCR, 0x01);
	vuart_rx(&u, 1);
	assert_int_equal(in(IIR), 0xc4);
	bench.now_ns += NSEC_PER_SEC;
	assert_int_equal(in(IIR), 0xcc); /* the trigger level does not matter to it */
	out(FCR, 0x00);
	vuart_rx(&u, 1);
	bench.now_ns += NSEC_PER_SEC;
	assert_int_equal(in(IIR), 0x04); /* without FIFOs none either */
}

static void trigger_levels_and_timeout(void **state maybe_unused)
{
	static const u8 level[] = { 1, 4, 8, 14 };

	for (u32 t = 0; t < 4; t++) {
		out(FCR, (u8)(t << 6 | 0x03));
		out(IER, 1);
		for (u32 i = 1; i <= 16; i++) {
			vuart_rx(&u, 0);
			assert_int_equal(in(IIR), i >= level[t] ? 0xc4 : 0xc1);
			u64 due = i >= level[t] ? NEVER : bench.now_ns + 2916667;
			assert_in_range(u.deadline_ns, due - 1, due); /* 9600 baud, 7 bits */
			if (i < level[t]) {
				u64 before = bench.now_ns;
				bench.now_ns = due;
				assert_int_equal(in(IIR), 0xcc);
				bench.now_ns = before;
			}
		}
		out(FCR, (u8)(t << 6 | 0x03)); /* RX reset */
		assert_int_equal(in(LSR) & 1, 0);
		assert_int_equal(in(IIR), 0xc1);
	}
}

static void switching_fifos_empties_them(void **state maybe_unused)
{
	vuart_rx(&u, 'a');
	out(FCR, 0x01);
	assert_int_equal(in(LSR), 0x60);
	vuart_rx(&u, 'a');
	out(FCR, 0x01);
	assert_int_equal(in(LSR), 0x61);
	out(FCR, 0x00);
	assert_int_equal(in(LSR), 0x60);
}

static void loopback(void **state maybe_unused)
{
	/* Each output comes back on its input: DTR-DSR, RTS-CTS, OUT1-RI, OUT2-DCD */
	static const u8 pair[][2] = { { 1, 0x20 }, { 2, 0x10 }, { 4, 0x40 }, { 8, 0x80 }, { 0x0a, 0x90 } };

	for (u32 i = 0; i < ARRAY_SIZE(pair); i++) {
		out(MCR, 0x10 | pair[i][0]);
		assert_int_equal(in(MSR) & 0xf0, pair[i][1]);
	}
	out(LCR, 0x43); /* break: SOUT alone, and that is disconnected */
	assert_int_equal(in(LSR), 0x60);
	out(MCR, 0x1f);
	out(IER, 0x01);
	assert_int_equal(vuart_rx_room(&u), 0);
	vuart_rx(&u, 'x'); /* from outside: not connected */
	assert_int_equal(in(LSR), 0x60);
	out(DATA, 'y');
	assert_int_equal(nr_sent, 0);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(IIR), 0x04);
	assert_false(bench.level); /* the OUT2 pin is forced off */
	assert_int_equal(in(DATA), 'y');
	for (u8 word = 0; word < 4; word++) {
		out(LCR, word);
		out(DATA, 0xff);
		assert_int_equal(in(DATA), 0x1f | 0xff >> (3 - word)); /* 5 to 8 bits */
	}
	out(MCR, 0x08);
	assert_int_equal(in(MSR) & 0xf0, 0xb0);
}

static void modem_status_deltas(void **state maybe_unused)
{
	out(MCR, 0x10);
	in(MSR);
	out(IER, 0x08);
	out(MCR, 0x13); /* DTR, RTS rise */
	assert_int_equal(in(IIR), 0x00);
	assert_int_equal(in(MSR), 0x33);
	assert_int_equal(in(MSR), 0x30);
	assert_int_equal(in(IIR), 0x01);
	out(MCR, 0x17); /* RI rises: not the trailing edge */
	assert_int_equal(in(MSR), 0x70);
	out(MCR, 0x13);
	assert_int_equal(in(MSR), 0x34);
	out(MCR, 0x1b);
	out(MCR, 0x13); /* twice changed is changed */
	assert_int_equal(in(MSR), 0x38);
}

/* A guest that only ever reads LSR sees the transmitter empty as soon as there is room */
static void reads_push_held_bytes(void **state maybe_unused)
{
	room = 0;
	out(DATA, 'a');
	assert_int_equal(in(LSR) & 0x60, 0);
	room = 1;
	assert_int_equal(in(LSR) & 0x60, 0x60);
	assert_string_equal(sent, "a");
}

static void out2_gates_the_line(void **state maybe_unused)
{
	out(IER, 0x02);
	assert_false(bench.level);
	out(MCR, 0x08);
	assert_true(bench.level);
	out(MCR, 0x18);
	assert_false(bench.level);
	out(MCR, 0x08);
	assert_true(bench.level);
	out(MCR, 0x00);
	assert_false(bench.level);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(reset_state), T(registers_keep_what_they_should), T(is_a_16550a_and_nothing_newer),
		T(disabled_sources_are_silent), T(writes_do_not_spill), T(sends), T(thre_interrupt), T(iir_read_of_another_source_keeps_thre),
		T(no_room_holds_thre), T(reads_push_held_bytes), T(fifo_takes_sixteen), T(tx_reset_forgets_held_bytes),
		T(receives_without_fifo), T(receives_with_fifo), T(trigger_levels_and_timeout),
		T(character_timeout),
		T(switching_fifos_empties_them), T(loopback), T(modem_status_deltas),
		T(out2_gates_the_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
