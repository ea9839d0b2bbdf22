// SPDX-License-Identifier: BSD-2-Clause
/*
 * 16550A as in the PC16550D data sheet (National Semiconductor, June 1995), section 8 "Registers".
 * Sending takes no time: the transmitter is empty as soon as the backend took the bytes. Character
 * times count for the receiver's timeout only, lazily: nothing ticks.
 * Called through the bus, by the partition's console, and by the kernel's poll.
 */
#include "vuart.h"

/* With DLAB set, the divisor latches DLL and DLM are in place of the first two */
enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

enum { IER_RDA = 0x01, IER_THRE = 0x02, IER_RLS = 0x04, IER_MS = 0x08 };
enum { IIR_MS, IIR_NONE, IIR_THRE, IIR_RDA = 4, IIR_RLS = 6, IIR_CTI = 12, IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 0x01, FCR_RESET_RX = 0x02, FCR_RESET_TX = 0x04, FCR_TRIGGER = 0xc0 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUTS = 0x0c, MCR_OUT2 = 0x08, MCR_LOOP = 0x10 };
enum { LSR_DR = 0x01, LSR_OE = 0x02, LSR_ERRORS = 0x1e, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum { MSR_DELTAS = 0x0f, MSR_TERI = 0x04, MSR_RI = 0x40 };

enum { LCR_WORD = 0x03, LCR_STOP = 0x04, LCR_PARITY = 0x08, LCR_DLAB = 0x80 };

#define UART_HZ	    1843200ull
#define TX_RETRY_NS (200 * NSEC_PER_USEC)
#define MSR_LINES 0xb0 /* what we wire up: DCD, DSR and CTS on */

static u32 fifo_depth(const struct vuart *u)
{
	return (u->fcr & FCR_ENABLE) ? VUART_FIFO : 1;
}

/* 8.10 "FIFO Interrupt Mode Operation": a character with start, parity and stop bits, four times */
static u64 timeout_ns(const struct vuart *u)
{
	u32 word = u->lcr & LCR_WORD, divisor = MAX(u->dll | u->dlm << 8, 1);
	u32 stop_halves = !(u->lcr & LCR_STOP) ? 2 : word ? 4 : 3;
	u32 halves = 2 * (6 + word + !!(u->lcr & LCR_PARITY)) + stop_halves;

	return 4 * 16 * divisor * halves * NSEC_PER_SEC / 2 / UART_HZ;
}

static bool is_timed_out(const struct vuart *u)
{
	return (u->fcr & FCR_ENABLE) && u->rx_count && vclock_now(u->clock) >= u->rx_timeout_ns;
}

static bool is_triggered(const struct vuart *u)
{
	static const u8 trigger[] = { 1, 4, 8, 14 };

	return u->rx_count >= trigger[u->fcr >> 6]; /* without FIFOs FCR is 0: 1 */
}

/* 8.6 "Interrupt Identification Register": the highest source that is enabled */
static u8 interrupt_id(const struct vuart *u)
{
	if ((u->ier & IER_RLS) && (u->lsr & LSR_ERRORS)) {
		return IIR_RLS;
	}
	if ((u->ier & IER_RDA) && is_timed_out(u)) {
		return IIR_CTI; /* "Bit 3": whether or not the trigger level is reached */
	}
	if ((u->ier & IER_RDA) && is_triggered(u)) {
		return IIR_RDA;
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
 * On a PC, OUT2 connects INTR to the bus. Loopback forces the OUT2 pin inactive (8.8), so no
 * interrupt leaves the card then, though IIR still shows it.
 */
static void update_irq(struct vuart *u)
{
	u->iir = interrupt_id(u);
	irq_line_set(&u->irq, u->iir != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2);
	u->deadline_ns = u->tx_count ? vclock_now(u->clock) + TX_RETRY_NS : NEVER;
	if ((u->ier & IER_RDA) && u->rx_count && !is_triggered(u) && !is_timed_out(u)) {
		u->deadline_ns = MIN(u->deadline_ns, u->rx_timeout_ns);
	}
}

static void restart_timeout(struct vuart *u)
{
	u->rx_timeout_ns = vclock_now(u->clock) + timeout_ns(u);
}

static void receive(struct vuart *u, u8 byte)
{
	if (!is_timed_out(u)) { /* else the timeout stands until RBR is read */
		restart_timeout(u);
	}
	if (u->rx_count < fifo_depth(u)) {
		u->rx[(u->rx_head + u->rx_count++) % VUART_FIFO] = byte;
	} else {
		/* 8.4 "Line Status Register": a full FIFO keeps its bytes, a full RBR does not */
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
	restart_timeout(u);
	return byte;
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
	update_irq(u); /* the line falls while THR is full: edge-triggered inputs need it */
	if (u->mcr & MCR_LOOP) {
		receive(u, byte & (0xff >> (3 - (u->lcr & LCR_WORD)))); /* 5 to 8 bits */
	} else if (u->tx_count < fifo_depth(u)) {
		u->tx[(u->tx_head + u->tx_count++) % VUART_FIFO] = byte;
	}
	transmit(u);
}

/* 8.5 "FIFO Control Register": without FCR0 no other bit counts; its change empties both FIFOs */
static void write_fcr(struct vuart *u, u8 value)
{
	bool is_switched = (value ^ u->fcr) & FCR_ENABLE;

	value = (value & FCR_ENABLE) ? value : 0;
	u->fcr = value & (FCR_ENABLE | FCR_TRIGGER); /* the reset bits clear themselves */
	if (is_switched || (value & FCR_RESET_RX)) {
		u->rx_count = 0;
		u->lsr &= (u8)~LSR_DR;
	}
	if (is_switched || (value & FCR_RESET_TX)) {
		u->tx_count = 0;
		transmit(u);
	}
}

/* 8.8 "Modem Control Register": in loopback DTR, RTS, OUT1, OUT2 are the four modem inputs */
static void write_mcr(struct vuart *u, u8 value)
{
	u8 old = u->msr, lines = MSR_LINES;

	if (value & MCR_LOOP) {
		lines = (u8)((value & MCR_DTR) << 5 | (value & MCR_RTS) << 3 |
			     (value & MCR_OUTS) << 4);
	}
	/* TERI tells the trailing edge of RI only */
	u8 mask = (old & MSR_RI) ? MSR_DELTAS : MSR_DELTAS & ~MSR_TERI;
	u8 deltas = (u8)(old ^ lines) >> 4 & mask;
	u->mcr = value & 0x1f;
	u->msr = lines | (old & MSR_DELTAS) | deltas;
}

static void write_ier(struct vuart *u, u8 value)
{
	/* Enabling THRE asks anew, though IIR was read: Linux tests it, Windows needs it */
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

/* With no byte on its way in or out, time changes nothing */
static bool is_idle(const struct vuart *u)
{
	return !u->tx_count && !u->rx_count && (u->lsr & LSR_THRE);
}

/* Can a read of the register at @offset, which gave @value, have changed which interrupt is due? */
static bool is_read_felt(u64 offset, u8 value)
{
	return offset == RBR_THR || offset == IIR_FCR || offset == MSR ||
	       (offset == LSR && (value & LSR_ERRORS));
}

static noinline u64 reg_read_any(struct vuart *u, u64 offset)
{
	bool is_dlab = u->lcr & LCR_DLAB, was_idle = is_idle(u);
	u8 value = u->scr;

	if (!was_idle) {
		transmit(u); /* what was due before the read has happened */
		update_irq(u);
	}
	switch (offset) {
	case RBR_THR: value = is_dlab ? u->dll : read_rbr(u); break;
	case IER: value = is_dlab ? u->dlm : u->ier; break;
	case IIR_FCR: value = read_iir(u); break;
	case LCR: value = u->lcr; break;
	case MCR: value = u->mcr; break;
	case LSR: value = read_and_clear(&u->lsr, LSR_ERRORS); break;
	case MSR: value = read_and_clear(&u->msr, MSR_DELTAS); break;
	default: break;
	}
	if (!was_idle || is_read_felt(offset, value)) {
		update_irq(u);
	}
	return value;
}

/* A sender asks again and again whether there is room: with nothing on its way a read of LSR changes nothing */
static u64 reg_read(void *self, u64 offset, u32 width maybe_unused)
{
	struct vuart *u = self;

	return offset == LSR && !(u->tx_count | u->rx_count) && (u->lsr & (LSR_THRE | LSR_ERRORS)) == LSR_THRE ?
		       u->lsr :
		       reg_read_any(u, offset);
}

static void reg_write(void *self, u64 offset, u32 width maybe_unused, u64 value64)
{
	struct vuart *u = self;
	u8 value = (u8)value64;

	if ((u->lcr & LCR_DLAB) && offset <= IER) {
		*(offset == IER ? &u->dlm : &u->dll) = value;
		return;
	}
	switch (offset) {
	case RBR_THR: write_thr(u, value); break;
	case IER: write_ier(u, value); break;
	case IIR_FCR: write_fcr(u, value); break;
	case LCR: u->lcr = value; break;
	case MCR: write_mcr(u, value); break;
	case SCR: u->scr = value; break;
	default: break; /* LSR, MSR: writing them is for factory tests */
	}
	update_irq(u);
}

const struct vdev_ops vuart_ops = { .read = reg_read, .write = reg_write, .is_byte_wide = true };

void vuart_init(struct vuart *u, const struct vuart_backend *be, const struct vclock *clock,
		struct irq_line irq)
{
	*u = (struct vuart){ .be = be, .clock = clock, .irq = irq, .iir = IIR_NONE,
			     .lsr = LSR_THRE | LSR_TEMT, .msr = MSR_LINES, .deadline_ns = NEVER,
			     .dll = 12 /* 9600 baud */ };
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

u64 vuart_poll(struct vuart *u, u64 now_ns)
{
	if (u->has_tx_held || now_ns >= u->deadline_ns) {
		transmit(u);
		update_irq(u);
	}
	return u->deadline_ns;
}
