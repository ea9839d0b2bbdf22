// SPDX-License-Identifier: BSD-2-Clause
/* Access scripts for the virtual UART: the line follows IER and the sources, no byte comes or goes by itself. */
#include "devices/vuart.h"
#include "script.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct backend {
	size_t room;
	u64 nr_sent;
};

static size_t tx_room(void *ctx)
{
	return ((struct backend *)ctx)->room;
}

static void tx(void *ctx, u8 byte maybe_unused)
{
	struct backend *b = ctx;

	CHECK(b->room > 0);
	b->room--;
	b->nr_sent++;
}

static void check(const struct script *s, struct vuart *u)
{
	static const u8 trigger[] = { 1, 4, 8, 14 };
	u32 depth = (u->fcr & 1) ? 16 : 1;
	bool is_due = u->rx_count >= trigger[u->fcr >> 6] ||
		      (u->rx_count && s->now_ns >= u->rx_timeout_ns);
	bool sources[] = { u->msr & 0x0f, is_due, u->thr_empty_pending, u->lsr & 0x1e };
	static const u8 enable[] = { 0x08, 0x01, 0x02, 0x04 };
	bool is_pending = false;

	/* deadline_ns is kept true by every access: polling before it changes nothing but held bytes */
	CHECK(vuart_poll(u, s->now_ns) > s->now_ns && u->deadline_ns > s->now_ns);
	for (u32 i = 0; i < 4; i++) {
		is_pending |= sources[i] && (u->ier & enable[i]);
	}
	CHECK((u->iir & 1) == !is_pending);
	CHECK(s->level == (is_pending && (u->mcr & 0x18) == 0x08));
	CHECK(u->rx_count <= depth && u->tx_count <= depth && u->rx_head < 16 && u->tx_head < 16);
	CHECK((u->lsr & 0x01) == (u->rx_count > 0));
	CHECK((u->lsr & 0x60) == (u->tx_count ? 0 : 0x60));
	CHECK(u->has_tx_held == (u->tx_count > 0));
	CHECK(vuart_rx_room(u) <= depth - u->rx_count);
	CHECK(!(u->ier & 0xf0) && !(u->mcr & 0xe0) && !(u->lsr & 0x80));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct script s = { .at = data, .end = data + size };
	struct backend sink = { .room = 3 };
	struct vuart_backend be = { .tx_room = tx_room, .tx = tx, .ctx = &sink };
	struct vclock clock = { .now_ns = script_now, .ctx = &s };
	struct vuart u;

	vuart_init(&u, &be, &clock, script_irq(&s));
	script_attach(&s, 0x3f8, 8, &vuart_ops, &u);
	while (s.at < s.end) {
		u8 op = script_byte(&s);

		switch (op >> 6) {
		case 0: vuart_rx(&u, op); break;
		case 1:
			if (op & 0x20) {
				script_wait(&s);
			} else {
				sink.room = op & 31;
			}
			vuart_poll(&u, s.now_ns);
			CHECK(!sink.room || !u.tx_count);
			break;
		default: script_access(&s, op, 0x3f8, 8); break;
		}
		check(&s, &u);
	}
	return 0;
}
