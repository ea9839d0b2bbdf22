// SPDX-License-Identifier: BSD-2-Clause
/*
 * For PREEMPT_RT Linux as a guest: wakes at fixed times, as the highest of real-time threads with all its
 * memory locked, and prints by how much it was late. usage: cyclic loops period-us. Built by tools/bench_rt.py.
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define WARM_UP 20 /* wake-ups that are not counted: caches and page tables of the emulators */

static int64_t to_ns(struct timespec t)
{
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct timespec from_ns(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

int main(int argc, char **argv)
{
	struct sched_param param = { .sched_priority = 99 };
	int64_t loops = argc > 1 ? atoll(argv[1]) : 1000, period = (argc > 2 ? atoll(argv[2]) : 1000) * 1000;
	int64_t best = INT64_MAX, worst = 0, sum = 0;
	struct timespec now;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) || sched_setscheduler(0, SCHED_FIFO, &param) || loops < 1) {
		perror("cyclic");
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t next = to_ns(now);
	for (int64_t i = -WARM_UP; i < loops; i++) {
		next += period;
		struct timespec until = from_ns(next);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		int64_t late = to_ns(now) - next;
		if (i >= 0) {
			best = late < best ? late : best;
			worst = late > worst ? late : worst;
			sum += late;
		}
	}
	printf("cyclic loops=%lld period=%lld us min=%lld ns avg=%lld ns max=%lld ns\n", (long long)loops,
	       (long long)(period / 1000), (long long)best, (long long)(sum / loops), (long long)worst);
	return 0;
}
