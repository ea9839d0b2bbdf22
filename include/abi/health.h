/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can befall a partition, and what is then to be done: the vocabulary of the `health` table of a
 * configuration (docs/config.md). Guests ask for events by number (HC_INFO_LAST).
 */
#ifndef BULKHEAD_ABI_HEALTH_H
#define BULKHEAD_ABI_HEALTH_H

/* Numbers are part of the guest ABI (HC_PARTITION_INFO): append, never reorder */
enum health_event {
	HEALTH_NONE,
	HEALTH_POWEROFF,      /* by ACPI */
	HEALTH_EXIT,	      /* debug exit or HC_EXIT with code 0 */
	HEALTH_EXIT_FAILED,   /* with another code */
	HEALTH_RESET,	      /* the guest asks for a reset of its PC */
	HEALTH_HALTED,	      /* all cores halted for good */
	HEALTH_TRIPLE_FAULT,
	HEALTH_UNHANDLED,     /* an exit that nobody can answer */
	HEALTH_VIOLATION,     /* code, tables or events where there is no memory */
	HEALTH_MACHINE_CHECK,
	HEALTH_WATCHDOG,      /* not served in time */
	HEALTH_REPORT,	      /* the guest reports an error of its own: HC_HEALTH */
	HEALTH_STOPPED,	      /* the whole machine ends */
	HEALTH_OVERRUN,	      /* a window of its schedule began late */
	HEALTH_IO_VIOLATION,  /* a port that no device has, nor a PC leaves silent */
	HEALTH_MEMORY_VIOLATION, /* data where neither memory nor a device is */
	NR_HEALTH_EVENTS,
};

enum health_action {
	HEALTH_DEFAULT, /* nothing configured */
	HEALTH_STOP,
	HEALTH_RESTART,
	HEALTH_SHUTDOWN, /* stop, and the machine with it */
	HEALTH_LOG,	 /* a line, and the guest goes on */
	HEALTH_IGNORE,	 /* as a PC: nobody is told */
};

#endif
