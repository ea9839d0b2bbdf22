// SPDX-License-Identifier: BSD-2-Clause
/*
 * 16550A as in the PC16550D data sheet (National Semiconductor, June 1995), section 8 "Registers".
 * Characters take no time: the transmitter is empty as soon as the backend took the bytes, and the
 * receiver's character timeout (four character times) has always passed already.
 * Called through the bus, and by the partition's console.
 */
#include "vuart.h"

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR }; /* DLAB: DLL, DLM in place of the first two */

#define IER_RDA	 0x01
#define IER_THRE 0x02
#define IER_RLS	 0x04
#define IER_MS	 0x08

#define IIR_MS	 0x00
#define IIR_NONE 0x01
#define IIR_THRE 0x02
#define IIR_RDA	 0x04
#define IIR_RLS	 0x06
#define IIR_CTI	 0x0c
#define IIR_ID	 0x0f
#define IIR_FIFO 0xc0

#define FCR_ENABLE   0x01
#define FCR_RESET_RX 0x02
#define FCR_RESET_TX 0x04
#define FCR_KEPT     0xc9 /* the reset bits clear themselves */

#define LCR_DLAB 0x80
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10

#define LSR_DR	   0x01
#define LSR_OE	   0x02
#define LSR_ERRORS 0x1e /* OE, PE, FE, BI */
#define LSR_THRE   0x20
#define LSR_TEMT   0x40

#define MSR_TERI   0x04
#define MSR_RI	   0x40
#define MSR_DELTAS 0x0f
#define MSR_LINES  0xb0 /* what we wire up: DCD, DSR and CTS on */

static u32 fifo_depth(const struct vuart *u)
{
	return (u->fcr & FCR_ENABLE) ? VUART_FIFO : 1;
}

/* Section 8.6, table IV "Interrupt Control Functions": the highest source that is enabled */
static u8 interrupt_id(const struct vuart *u)
{
	static const u8 trigger[] = { 1, 4, 8, 14 };

	if ((u->ier & IER_RLS) && (u->lsr & LSR_ERRORS)) {
		return IIR_RLS;
	}
	if ((u->ier & IER_RDA) && u->rx_count) {
		return (u->fcr & FCR_ENABLE) && u->rx_count < trigger[u->fcr >> 6] ? IIR_CTI : IIR_RDA;
	}
	if ((u->ier & IER_THRE) && u->thr_empty_pending) {
		return IIR_THRE;
	}
	if ((u->ier & IER_MS) && (u->msr & MSR_DELTAS)) {
		return IIR_MS;
	}
	return IIR_NONE;
}

/*
 * On a PC, OUT2 connects INTR to the bus. Loopback forces the OUT2 pin inactive (8.7), so no
 * interrupt leaves the card then, though IIR still shows it.
 */
static void update_irq(struct vuart *u)
{
	u->iir = interrupt_id(u);
	irq_line_set(&u->irq, u->iir != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2);
}

static void receive(struct vuart *u, u8 byte)
{
	if (u->rx_count < fifo_depth(u)) {
		u->rx[(u->rx_head + u->rx_count++) % VUART_FIFO] = byte;
	} else {
		/* 8.4: a full FIFO keeps its bytes, a full RBR is overwritten */
		u->lsr |= LSR_OE;
		if (!(u->fcr & FCR_ENABLE)) {
			u->rx[u->rx_head] = byte;
		}
	}
	u->lsr |= LSR_DR;
}

static u8 read_rbr(struct vuart *u)
{
	u8 byte = u->rx[u->rx_head];

	if (u->rx_count) {
		u->rx_head = (u->rx_head + 1) % VUART_FIFO;
		u->rx_count--;
	}
	if (!u->rx_count) {
		u->lsr &= (u8)~LSR_DR;
	}
	return byte;
}

static void reset_rx(struct vuart *u)
{
	u->rx_count = 0;
	u->lsr &= (u8)~LSR_DR;
}

/* Hand over what the backend takes. Once all is gone, THR is empty and says so. */
static void transmit(struct vuart *u)
{
	while (u->tx_count && u->be->tx_room(u->be->ctx)) {
		u->be->tx(u->be->ctx, u->tx[u->tx_head]);
		u->tx_head = (u->tx_head + 1) % VUART_FIFO;
		u->tx_count--;
	}
	u->has_tx_held = u->tx_count != 0;
	if (!u->has_tx_held && !(u->lsr & LSR_THRE)) {
		u->lsr |= LSR_THRE | LSR_TEMT;
		u->thr_empty_pending = true;
	}
}

static void write_thr(struct vuart *u, u8 byte)
{
	u->lsr &= (u8) ~(LSR_THRE | LSR_TEMT);
	u->thr_empty_pending = false;
	update_irq(u); /* the line falls for as long as THR is full: edge-triggered inputs need it */
	if (u->mcr & MCR_LOOP) {
		receive(u, byte);
	} else if (u->tx_count < fifo_depth(u)) {
		u->tx[(u->tx_head + u->tx_count++) % VUART_FIFO] = byte;
	}
	transmit(u);
}

/* 8.5: bits other than FCR0 count only if FCR0 is 1; a change of FCR0 empties both FIFOs */
static void write_fcr(struct vuart *u, u8 value)
{
	bool is_switched = (value ^ u->fcr) & FCR_ENABLE;

	if (!(value & FCR_ENABLE)) {
		value = 0;
	}
	u->fcr = value & FCR_KEPT;
	if (is_switched || (value & FCR_RESET_RX)) {
		reset_rx(u);
	}
	if (is_switched || (value & FCR_RESET_TX)) {
		u->tx_count = 0;
		transmit(u);
	}
}

/* 8.7, 8.8: in loopback the four modem inputs are the four outputs DTR, RTS, OUT1, OUT2 */
static void write_mcr(struct vuart *u, u8 value)
{
	u8 old = u->msr, lines = MSR_LINES;

	if (value & MCR_LOOP) {
		lines = (u8)((value & 1) << 5 | (value & 2) << 3 | (value & 0x0c) << 4);
	}
	u8 changed = (old ^ lines) & 0xf0;
	u8 deltas = (changed >> 4) & (u8)~MSR_TERI;
	if (changed & old & MSR_RI) { /* TERI: trailing edge only */
		deltas |= MSR_TERI;
	}
	u->mcr = value & 0x1f;
	u->msr = (u8)(lines | (old & MSR_DELTAS) | deltas);
}

static void write_ier(struct vuart *u, u8 value)
{
	/* Enabling THRE asks anew, though IIR was read before: Linux tests for it, Windows needs it */
	if ((value & ~u->ier & IER_THRE) && (u->lsr & LSR_THRE)) {
		u->thr_empty_pending = true;
	}
	u->ier = value & 0x0f;
}

static u8 read_iir(struct vuart *u)
{
	u8 id = u->iir;

	if (id == IIR_THRE) {
		u->thr_empty_pending = false;
	}
	return (u8)(id | ((u->fcr & FCR_ENABLE) ? IIR_FIFO : 0));
}

static u8 read_and_clear(u8 *reg, u8 clear)
{
	u8 value = *reg;

	*reg &= (u8)~clear;
	return value;
}

static u8 read_reg(struct vuart *u, u64 reg)
{
	bool is_dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR: return is_dlab ? u->dll : read_rbr(u);
	case IER: return is_dlab ? u->dlm : u->ier;
	case IIR_FCR: return read_iir(u);
	case LCR: return u->lcr;
	case MCR: return u->mcr;
	case LSR: return read_and_clear(&u->lsr, LSR_ERRORS);
	case MSR: return read_and_clear(&u->msr, MSR_DELTAS);
	default: return u->scr;
	}
}

static u64 vuart_read(void *self, u64 offset, u32 width maybe_unused)
{
	struct vuart *u = self;
	u8 value = read_reg(u, offset & 7);

	update_irq(u);
	return value;
}

static void write_reg(struct vuart *u, u64 reg, u8 value)
{
	if ((u->lcr & LCR_DLAB) && reg <= IER) {
		*(reg == IER ? &u->dlm : &u->dll) = value;
		return;
	}
	switch (reg) {
	case RBR_THR: write_thr(u, value); break;
	case IER: write_ier(u, value); break;
	case IIR_FCR: write_fcr(u, value); break;
	case LCR: u->lcr = value; break;
	case MCR: write_mcr(u, value); break;
	case SCR: u->scr = value; break;
	default: break; /* LSR, MSR: writing them is for factory tests */
	}
}

static void vuart_write(void *self, u64 offset, u32 width maybe_unused, u64 value)
{
	struct vuart *u = self;

	write_reg(u, offset & 7, (u8)value);
	update_irq(u);
}

const struct vdev_ops vuart_ops = {
	.read = vuart_read, .write = vuart_write, .is_byte_wide = true,
};

void vuart_init(struct vuart *u, const struct vuart_backend *be, struct irq_line irq)
{
	*u = (struct vuart){
		.be = be,
		.irq = irq,
		.iir = IIR_NONE,
		.lsr = LSR_THRE | LSR_TEMT,
		.msr = MSR_LINES,
		.dll = 12, /* 9600 baud */
	};
}

size_t vuart_rx_room(const struct vuart *u)
{
	return (u->mcr & MCR_LOOP) ? 0 : fifo_depth(u) - MIN(u->rx_count, fifo_depth(u));
}

void vuart_rx(struct vuart *u, u8 byte)
{
	if (!(u->mcr & MCR_LOOP)) { /* SIN is disconnected in loopback */
		receive(u, byte);
		update_irq(u);
	}
}

void vuart_poll(struct vuart *u)
{
	transmit(u);
	update_irq(u);
}
