/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run loop: pick a vCPU, arm the timer, enter, decide, apply. All of the machine's time passes in
 * here. Knows the host's interrupts, timer and register state between vCPUs; decides nothing itself.
 */
#include "kernel/run.h"
#include "config/config_room.h"
#include "drivers/clock.h"
#include "drivers/lapic.h"
#include "kernel/exit.h"
#include "kernel/sched.h"
#include "kernel/speculation_host.h"
#include "kernel/trap.h"
#include "kernel/windows.h"
#include "lib/lib.h"
#include "log.h"
#include "x86/insn.h"

#define INPUT_POLL_NS (20 * NSEC_PER_MSEC) /* a keyboard is slow; no UART interrupt is used */
#define DRAIN_NS      NSEC_PER_MSEC	   /* 16 bytes a ms outrun 115200 baud */

/*
 * How much of its console CPU 0 does at a time, in bytes of each UART. Beside windows it must end with the
 * slack: at most three UARTs, two port accesses for a key and one for a byte sent, each about 1 us.
 */
struct chore {
	u32 nr_keys, nr_sent;
	u64 pause_ns; /* while there is more to send */
};
static const struct chore chore_any = { 64, 2048, DRAIN_NS }, chore_slack = { 2, 8, DRAIN_NS / 2 };
#define CHORE_NS (CONFIG_CONSOLE_US * NSEC_PER_USEC * 3 / 4) /* a gap is looked at when it has begun */

struct machine machine;

struct runner {
	struct cpu *cpu;
	struct core *core[CONFIG_MAX_PER_CPU];
	struct sched_entry entry[CONFIG_MAX_PER_CPU];
	u32 nr;
	struct sched_queue queue;
	struct vcpu *loaded;
	const struct partition *last; /* whose traces this CPU holds; NULL = of one that has ended, or none */
	struct vcpu *running; /* atomic; NULL = this CPU looks at all its cores before it runs or sleeps */
	u64 armed_tsc, armed_irqs;
	u64 chores_tsc; /* BSP only: next look at the UART */
	struct windows windows;
};
static struct runner *runners[MAX_CPUS]; /* others read .running and .windows.owners */

static u64 ns(u64 n)
{
	return ns_to_tsc(&machine.host.time, n);
}

/* The timer is left alone while it is set for the same moment: arming costs an APIC access. */
static void arm_timer(struct runner *r, u64 deadline)
{
	if (r->armed_tsc != deadline || r->armed_irqs != r->cpu->nr_timer_irqs) {
		r->armed_tsc = deadline;
		r->armed_irqs = r->cpu->nr_timer_irqs;
		lapic_timer_arm(deadline);
	}
}

static void save_state(struct vcpu *v)
{
	v->ops->put(v);
	v->dr[0] = read_dr0();
	v->dr[1] = read_dr1();
	v->dr[2] = read_dr2();
	v->dr[3] = read_dr3();
	if (machine.host_xcr0) {
		v->xcr0 = xgetbv(0);
		xsetbv(0, machine.host_xcr0);
		xsave(v->xsave, machine.host_xcr0);
	} else {
		fxsave(v->xsave);
	}
}

static void load_state(struct vcpu *v)
{
	if (machine.host_xcr0) {
		xsetbv(0, machine.host_xcr0);
		xrstor(v->xsave, machine.host_xcr0);
		xsetbv(0, v->xcr0);
	} else {
		fxrstor(v->xsave);
	}
	write_dr0(v->dr[0]);
	write_dr1(v->dr[1]);
	write_dr2(v->dr[2]);
	write_dr3(v->dr[3]);
	v->ops->load(v);
}

static void switch_to(struct runner *r, struct vcpu *v)
{
	if (r->loaded == v && !v->is_dr_reset) {
		return;
	}
	if (r->loaded) {
		save_state(r->loaded);
	}
	if (v->is_dr_reset) {
		memset(v->dr, 0, sizeof(v->dr));
		v->is_dr_reset = false;
	}
	load_state(v);
	if (r->last != v->part) {
		speculation_switch();
		r->last = v->part;
	}
	v->is_wanted = &r->cpu->is_kicked;
	r->loaded = v;
}

static enum partition_state state_of(const struct partition *p)
{
	return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct partition *p, enum partition_state s)
{
	__atomic_store_n(&p->state, s, __ATOMIC_RELEASE); /* pairs with state_of() */
}

/* Does this CPU have a part in the life of @c, which has begun and not ended? */
static bool is_alive(const struct core *c)
{
	return !core_is_parked(c) && state_of(c->v.part) != PARTITION_NONE;
}

/* Let the devices act that are due, on the CPU of core 0, and this core's local APIC */
static void poll(struct core *c, u64 now)
{
	struct partition *p = c->v.part;
	u64 now_ns = tsc_to_ns(&machine.host.time, now - p->birth_tsc);
	u64 next = c->lapic.deadline_ns;
	if (now_ns >= next) {
		next = vlapic_poll(&c->lapic, now_ns);
	}
	c->lapic_due_ns = next;
	if (c->v.id == 0) {
		u64 device = __atomic_load_n(&p->pc.deadline_ns, __ATOMIC_RELAXED);
		next = MIN(next, now_ns >= device ? pc_poll(p, now_ns) : device);
	}
	c->due_tsc = next == NEVER ? NEVER : p->birth_tsc + ns(next);
}

/* Who was killed in a window must not take others' windows to tell of it */
static bool write_postmortem(struct runner *r, struct core *c, u64 until)
{
	while (c->is_dying && rdtsc() < until) {
		c->is_dying = postmortem_piece(&c->v, &c->last_exit, c->nr_pieces++);
	}
	if (!c->is_dying) {
		cpu_kick(r->cpu->index); /* attend() parks it */
	}
	return false;
}

/* The BSP looks after the console: output while there is some, input now and then. */
static void chores(struct runner *r, const struct chore *at_most)
{
	u64 now = rdtsc();
	if (r->cpu->index != 0 || now < r->chores_tsc) {
		return;
	}
	u64 got = console_poll_input(at_most->nr_keys);
	for (u32 i = 0; got && i < machine.nr_partitions; i++) {
		if (got & BIT(i)) {
			cpu_kick(machine.partition[i]->core[0]->v.cpu);
		}
	}
	bool has_more = console_drain(at_most->nr_sent);
	r->chores_tsc = now + ns(has_more ? at_most->pause_ns : INPUT_POLL_NS);
}

/* A line that its guest has not finished may be a prompt: has it nothing more to say? */
static bool has_prompt(const struct core *c)
{
	struct pc *pc = &c->v.part->pc;
	if (c->v.id != 0 || pc->console.len == 0) {
		return false;
	}
	__atomic_store_n(&pc->deadline_ns, 0, __ATOMIC_RELAXED);
	return true;
}

/*
 * Their interrupts are sent then. No CPU is interrupted there, so that is soon. An interrupt that tells of posts which
 * have been taken already does no harm, but on Bochs 3.0, which gives its guest vector 255.
 */
static void await_posters(const struct core *c)
{
	while (__atomic_load_n(&c->mail.nr_posting, __ATOMIC_ACQUIRE)) {
		cpu_pause();
	}
}

/*
 * Pairs with host_poke() and host_notify(): either they see that @v runs, or we see its mail before the entry. While it
 * runs, posts are the CPU's where it takes them: their interrupt waits for the guest. That of earlier ones has gone.
 */
static void set_running(struct runner *r, struct vcpu *v)
{
	__atomic_store_n(&r->running, v, __ATOMIC_SEQ_CST);
	if (v->takes_posts && core_has_mail(core_of(v)) & MAIL_POSTED) {
		await_posters(core_of(v));
		cpu_notify(r->cpu->index);
	}
}

/* From now on its posts are ours, and what tells of them is nobody's */
static void clear_running(struct runner *r)
{
	struct vcpu *v = r->running;
	__atomic_store_n(&r->running, NULL, __ATOMIC_SEQ_CST);
	if (v && v->takes_posts) {
		await_posters(core_of(v));
		irq_window();
	}
}

/*
 * @c, which has this CPU to itself, has halted: wait here, which is a short way back. Mail comes as an interrupt.
 * Return: it runs on, *@until the next chore; else somebody wants this CPU.
 */
static bool doze(struct runner *r, struct core *c, u64 *until)
{
	if (r->nr > 1 || r->windows.frame.nr || !c->v.is_halted) {
		return false;
	}
	bool has_news = has_prompt(c);
	clear_running(r);
	while (!__atomic_load_n(&r->cpu->is_kicked, __ATOMIC_ACQUIRE)) {
		u64 now = rdtsc();
		if (now >= c->due_tsc || has_news) {
			poll(c, now);
			has_news = false;
		}
		if (core_is_runnable(c)) {
			switch_to(r, &c->v); /* INIT may have come */
			set_running(r, &c->v);
			*until = r->chores_tsc;
			return true;
		}
		if (now >= r->chores_tsc) {
			chores(r, &chore_any);
			continue; /* a key may have come */
		}
		arm_timer(r, MIN(c->due_tsc, r->chores_tsc));
		irq_wait();
	}
	return false;
}

/* That of posts is no exit, but for a hypervisor below that has not seen whose it is: then they are ours. */
static void take_irq(struct core *c, u8 vector)
{
	irq_take(vector);
	if (vector == HOST_VEC_POSTED) {
		core_take_mail(c, MAIL_POSTED);
	}
}

/* Run @c until its time is over, it gives way (true), or somebody else wants this CPU. */
static bool run_core(struct runner *r, struct core *c, u64 until)
{
	struct vcpu *v = &c->v;
	bool gives_way = false;
	switch_to(r, v);
	if (windows_is_due(&r->windows)) {
		windows_begin(&r->windows, v->part, rdtsc());
	}
	if (c->is_dying) {
		return write_postmortem(r, c, until);
	}
	u32 letters = v->takes_posts ? ~(u32)MAIL_POSTED : MAIL_ALL;
	set_running(r, v);
	while (!gives_way || doze(r, c, &until)) {
		u64 now = rdtsc();
		if (core_has_mail(c) & letters) {
			core_take_mail(c, letters);
			switch_to(r, v); /* INIT resets what the CPU holds of it */
		}
		if (now >= until || c->state == CORE_WAITING ||
		    __atomic_load_n(&r->cpu->is_kicked, __ATOMIC_ACQUIRE)) {
			return false;
		}
		if (now >= c->due_tsc) {
			poll(c, now);
		}
		v->deadline_tsc = MIN(c->due_tsc, until);
		if (!v->ops->has_deadline) {
			arm_timer(r, v->deadline_tsc);
		}
		gives_way = vcpu_step(v);
		if (vcpu_last_exit(v)->kind == EXIT_INTERRUPT) {
			take_irq(c, vcpu_last_exit(v)->vector);
		}
	}
	return true;
}

static void stop_partition(struct partition *p, bool is_shutdown)
{
	const struct partition_end *end = &p->end;
	log("[%s] verdict=%s reason=\"%s\" exits=%lu restarts=%u", p->cfg->name,
	    health_is_ok(end->event) ? "OK" : "FAILED", end->why, partition_exits(p), p->life.nr);
	set_state(p, PARTITION_STOPPED);
	if (is_shutdown) {
		__atomic_store_n(&machine.is_ending, true, __ATOMIC_RELEASE);
	}
	__atomic_fetch_sub(&machine.nr_running, 1, __ATOMIC_ACQ_REL);
	for (u32 i = 0; i < cpu_count(); i++) {
		cpu_kick(i);
	}
}

/* The last core is parked: nobody runs anything of @p */
static void judge(struct partition *p)
{
	enum health_action a = life_judge(p);
	console_source_flush(&p->pc.console, NEVER);
	if (!strcmp(p->end.why, "exit")) {
		log("[%s] exit code=%lu", p->cfg->name, p->end.code);
	}
	if (a != HEALTH_RESTART) {
		stop_partition(p, a == HEALTH_SHUTDOWN);
		return;
	}
	log("[%s] restart=%u reason=\"%s\" exits=%lu", p->cfg->name, p->life.nr, p->end.why,
	    partition_exits(p));
	birth_begin(p, BIRTH_SCRUB);
	set_state(p, PARTITION_BIRTH);
	cpu_kick(p->core[0]->v.cpu);
}

/* Nothing of a parked core stays in the CPU: the next life must not find it, nor be saved over */
static void park(struct runner *r, struct core *c)
{
	if (r->loaded == &c->v) {
		c->v.ops->put(&c->v);
		r->loaded = NULL;
		r->last = NULL;
	}
	__atomic_store_n(&c->is_parked, true, __ATOMIC_RELEASE);
	struct partition *p = c->v.part;
	if (__atomic_add_fetch(&p->nr_parked, 1, __ATOMIC_ACQ_REL) == p->nr_cores) {
		judge(p);
	}
}

static bool is_in_birth(const struct core *c)
{
	return c->v.id == 0 && state_of(c->v.part) == PARTITION_BIRTH;
}

static bool is_ending(void)
{
	return __atomic_load_n(&machine.is_ending, __ATOMIC_ACQUIRE);
}

/*
 * Make the next life, in the time of core 0, and begin it. A machine that ends meanwhile takes it as
 * stopped.
 */
static void run_birth(struct runner *r, struct partition *p, u64 until)
{
	bool has_more = true;
	r->windows.edge = 0; /* a life that is being made has no claim to be punctual */
	while (has_more && rdtsc() < until && !__atomic_load_n(&r->cpu->is_kicked, __ATOMIC_ACQUIRE)) {
		has_more = birth_step(p);
	}
	irq_window();
	if (has_more) {
		return;
	}
	BUG_ON(p->birth.why); /* what could be loaded once can be loaded again */
	partition_start(p);
	for (u32 i = 1; i < p->nr_cores; i++) {
		cpu_kick(p->core[i]->v.cpu);
	}
}

/* What other CPUs may have asked of this one's cores. Who parks the last core stops the partition. */
static void attend(struct runner *r)
{
	if (!__atomic_exchange_n(&r->cpu->is_kicked, false, __ATOMIC_SEQ_CST)) {
		return;
	}
	for (u32 i = 0; i < r->nr; i++) {
		struct core *c = r->core[i];
		struct partition *p = c->v.part;
		if (is_in_birth(c) && is_ending()) {
			partition_end(p, HEALTH_STOPPED, "stopped", 0);
			stop_partition(p, false);
		}
		if (!is_alive(c)) {
			continue;
		}
		if (c->v.id == 0) {
			pc_lock(p); /* pairs with pc_touched() */
			__atomic_store_n(&p->pc.console_ns, 0, __ATOMIC_RELAXED); /* there may be input */
			__atomic_store_n(&p->pc.deadline_ns, 0, __ATOMIC_RELAXED);
			pc_unlock(p);
			c->due_tsc = 0;
		}
		if (is_ending()) {
			partition_end(p, HEALTH_STOPPED, "stopped", 0);
		}
		if (partition_has_end(p) && !c->is_dying) {
			park(r, c);
		}
	}
}

static noreturn_fn void end_machine(void)
{
	bool is_ok = true;
	for (u32 i = 0; i < cpu_count(); i++) {
		windows_log(&runners[i]->windows, i);
	}
	for (u32 i = 0; i < machine.nr_partitions; i++) {
		is_ok &= health_is_ok(machine.partition[i]->end.event);
	}
	host_memory_log();
	log("shutdown verdict=%s partitions=%u", is_ok ? "OK" : "FAILED", machine.nr_partitions);
	console_sync(false);
	cpus_freeze();
	machine_poweroff(&machine.acpi);
}

/* The cores of @mask: who of them could run? The others are not looked at. Return: is there one? */
static bool refresh(struct runner *r, u64 mask, u64 now)
{
	bool has_one = false;
	for (u32 i = 0; i < r->nr; i++) {
		struct core *c = r->core[i];
		struct sched_entry *e = &r->entry[i];
		*e = (struct sched_entry){ .slice_tsc = e->slice_tsc, .wake_tsc = NEVER };
		if (mask & BIT(i) && is_in_birth(c)) {
			e->is_runnable = has_one = true;
		} else if (mask & BIT(i) && is_alive(c)) {
			bool is_runnable = core_is_runnable(c);
			if (now >= c->due_tsc || has_prompt(c)) {
				poll(c, now);
			}
			e->is_runnable = is_runnable || core_is_runnable(c);
			e->wake_tsc = c->due_tsc;
			has_one |= e->is_runnable;
		}
	}
	return has_one;
}

static struct sched_choice pick_turn(struct runner *r)
{
	chores(r, &chore_any);
	u64 now = rdtsc();
	refresh(r, ~0ull, now);
	struct sched_choice pick = sched_pick(&r->queue, r->entry, r->nr, now);
	pick.until = MIN(pick.until, r->chores_tsc);
	return pick;
}

/*
 * The present window's owners first; the others are looked at only if there is time for them, and their
 * mail and devices wait until then. So it is with the console.
 */
static struct sched_choice pick_window(struct runner *r)
{
	struct windows *w = &r->windows;
	const struct sched_frame *f = &w->frame;
	u64 now = rdtsc(), edge = windows_cross(w, &r->queue, now), owners = windows_owners(w);
	if (!refresh(r, owners, now)) {
		refresh(r, owners | f->background, now);
	}
	struct sched_choice pick = sched_frame_pick(f, &r->queue, r->entry, r->nr, now);
	if (pick.index >= 0 && owners & BIT(pick.index)) {
		w->edge = edge;
		return pick;
	}
	windows_missed(w, edge, now);
	if (pick.until >= now + ns(CHORE_NS)) {
		chores(r, &chore_slack);
		pick.until = MIN(pick.until, r->chores_tsc);
	}
	return pick;
}

/* Core 0's CPU sets the partition going; the siblings are then in the wait for SIPI */
static void adopt(struct runner *r)
{
	for (u32 i = 0; i < machine.nr_partitions; i++) {
		struct partition *p = machine.partition[i];
		for (u32 k = 0; k < p->nr_cores; k++) {
			if (p->core[k]->v.cpu == r->cpu->index) {
				r->entry[r->nr].slice_tsc = ns(p->cfg->slice_us * NSEC_PER_USEC);
				r->core[r->nr++] = p->core[k];
			}
		}
		if (p->core[0]->v.cpu == r->cpu->index) {
			partition_start(p);
		}
	}
}

static void adopt_windows(struct runner *r)
{
	const struct windows_clock clock = { &machine.host.time, machine.epoch_tsc, rdtsc() };
	const struct schedule_config *s = config_schedule_of(machine.config, r->cpu->index);
	windows_adopt(&r->windows, s, &clock, r->core, r->nr);
}

struct vcpu *host_loaded(void)
{
	return runners[this_cpu()->index]->loaded;
}

/* A CPU that is busy with another vCPU looks when that one's turn is over, or at once in @v's own window */
void host_poke(const struct vcpu *v)
{
	struct runner *r = runners[v->cpu];
	const struct core *c = (const struct core *)v;
	const struct vcpu *running = __atomic_load_n(&r->running, __ATOMIC_SEQ_CST);
	if (running != v && windows_owners(&r->windows) & c->sched_bit) {
		cpu_kick(v->cpu);
	} else if ((!running || running == v) && r->cpu != this_cpu()) {
		cpu_poke(v->cpu);
	}
}

/*
 * A CPU that takes posts while @v runs there needs only the interrupt. If @v stops running before it comes, its mail is
 * seen as any other: it was written before we looked. Whoever runs there then has nothing posted, or takes it.
 */
void host_notify(const struct vcpu *v)
{
	struct runner *r = runners[v->cpu];
	if (v->takes_posts && __atomic_load_n(&r->running, __ATOMIC_SEQ_CST) == v && r->cpu != this_cpu()) {
		cpu_notify(v->cpu);
	} else {
		host_poke(v);
	}
}

bool run_init(void)
{
	const u32 pages = ALIGN_UP(sizeof(struct runner), PAGE_SIZE) / PAGE_SIZE;
	bool is_ok = true;
	for (u32 i = 0; i < cpu_count() && is_ok; i++) {
		hpa at = host_memory.pages.alloc(&host_memory.pages, pages);
		is_ok = at.v;
		runners[i] = phys_ptr(at);
		if (is_ok) {
			runners[i]->cpu = cpu_by_index(i);
		}
	}
	return is_ok;
}

void run_cpu(struct cpu *c)
{
	struct runner *r = runners[c->index];
	r->armed_tsc = NEVER;
	r->chores_tsc = c->index == 0 ? 0 : NEVER;
	adopt(r);
	adopt_windows(r);
	for (;;) {
		clear_running(r);
		attend(r);
		if (c->index == 0 && __atomic_load_n(&machine.nr_running, __ATOMIC_ACQUIRE) == 0) {
			end_machine();
		}
		struct sched_choice pick = r->windows.frame.nr ? pick_window(r) : pick_turn(r);
		if (pick.index < 0) {
			arm_timer(r, pick.until);
			if (!__atomic_load_n(&c->is_kicked, __ATOMIC_ACQUIRE)) {
				irq_wait();
			}
		} else if (is_in_birth(r->core[pick.index])) {
			run_birth(r, r->core[pick.index]->v.part, pick.until);
		} else if (run_core(r, r->core[pick.index], pick.until)) {
			r->queue.slice_end = 0;
		}
	}
}
