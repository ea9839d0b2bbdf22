/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest in the windows of a major frame. It asks for its windows, then reads its TSC all the time: each
 * reading has to be in one of them, and after each time away the next window has to be the next in the
 * table. frames=N: to run; frame-us=N: the frame's length; windows=N: how many it must have; slop-us=N: how
 * much later than its end a window may be left; yield=1: it gives its turn away at each reading, to nobody;
 * smp=1: the machine has other CPUs.
 */
#include "lib/hypercall.h"

#define MAX 8

static struct window win[MAX];
static uint32_t nr;

static void learn(uint32_t want, uint64_t frame_us)
{
	nr = (uint32_t)hypercall_schedule(0, &win[0]);
	CHECK(nr == want && nr <= MAX, "%u windows, not %u", nr, want);
	uint64_t end = 0, per_us = frame_us ? win[0].frame / frame_us : 1;
	CHECK(per_us > 0, "%lu ticks in a frame", win[0].frame);
	for (uint32_t i = 0; i < nr && i < MAX; i++) {
		CHECK(hypercall_schedule(i, &win[i]) == nr, "another number");
		CHECK(win[i].offset >= end && win[i].len > 0, "window %u begins at %lu", i, win[i].offset);
		end = win[i].offset + win[i].len;
		CHECK(end <= win[i].frame + 2 && win[i].frame == win[0].frame, "window %u ends at %lu of %lu", i, end,
		      win[i].frame);
	}
	struct window none = { 0 };
	CHECK(hypercall_schedule(nr, &none) == nr && none.offset == nr, "there is one more");
}

/* Return: the window that @phase is in, @slop included; @nr if none */
static uint32_t find(uint64_t phase, uint64_t slop)
{
	uint32_t i = 0;
	while (i < nr && !(phase >= win[i].offset && phase < win[i].offset + win[i].len + slop)) {
		i++;
	}
	return i;
}

struct seen {
	uint64_t outside, away, wrong_next, phase; /* @phase: of the last reading outside */
};

/* The TSC is read for @ticks; away is whoever read nothing for more than @slop */
static void watch(struct seen *s, uint64_t ticks, uint64_t slop, bool yields)
{
	uint64_t end = rdtsc() + ticks, last = rdtsc();
	uint32_t in = nr;
	while (last < end) {
		uint64_t now = rdtsc(), phase = (now - win[0].start) % win[0].frame;
		uint32_t at = find(phase, slop);
		if (at == nr) {
			s->outside++;
			s->phase = phase;
		}
		if (now - last > slop) {
			s->away++;
			s->wrong_next += in < nr && at < nr && at != (in + 1) % nr;
		}
		in = at;
		last = now;
		if (yields) {
			hypercall(HC_YIELD, 0, 0);
		}
	}
}

int main(const char *cmdline)
{
	uint64_t frames = arg(cmdline, "frames", 50), frame_us = arg(cmdline, "frame-us", 0);
	struct seen s = { 0 };
	pic_init(); /* all masked; IF=1, or Bochs as an SVM host takes no interrupt of its own */
	sti();
	learn((uint32_t)arg(cmdline, "windows", 1), frame_us);
	if (failures) {
		return (int)failures;
	}
	uint64_t slop = arg(cmdline, "slop-us", 50) * (win[0].frame / frame_us);
	watch(&s, frames * win[0].frame, slop, arg(cmdline, "yield", 0));
	CHECK(s.away > 0, "never away");
	if (is_nested()) {
		skip("edges", "the clock of its machine runs on while the host has other work");
		return (int)failures;
	}
	if (is_lax() && arg(cmdline, "smp", 0)) {
		skip("edges", "QEMU runs its CPUs one after the other, each while the others' clock runs on");
		return (int)failures;
	}
	CHECK(s.outside == 0, "%lu readings outside the windows, the last at %lu of %lu", s.outside, s.phase,
	      win[0].frame);
	CHECK(s.away + 2 >= frames * nr && s.away <= frames * nr + 2, "away %lu times in %lu frames", s.away, frames);
	CHECK(s.wrong_next == 0, "%lu times not the next window", s.wrong_next);
	return (int)failures;
}
