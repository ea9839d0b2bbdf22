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
	u32 depth = (u->fcr & 1) ? 16 : 1;
	bool sources[] = { u->msr & 0x0f, u->rx_count, u->thr_empty_pending, u->lsr & 0x1e };
	static const u8 enable[] = { 0x08, 0x01, 0x02, 0x04 };
	bool is_pending = false;

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
	struct vuart u;

	vuart_init(&u, &be, script_irq(&s));
	script_attach(&s, 0x3f8, 8, &vuart_ops, &u);
	while (s.at < s.end) {
		u8 op = script_byte(&s);

		switch (op >> 6) {
		case 0: vuart_rx(&u, op); break;
		case 1: sink.room = op & 31; vuart_poll(&u); CHECK(!sink.room || !u.tx_count); break;
		default: script_access(&s, op, 0x3f8, 8); break;
		}
		check(&s, &u);
	}
	return 0;
}
