#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# PID 1 of the guests of test_linux.py: says what the kernel made of its machine, puts each CPU to work,
# lists what the kernel warned of, and ends. seconds=N on the command line: work for that long.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
seconds=0
for word in $(cat /proc/cmdline); do
	case $word in
	seconds=*) seconds=${word#seconds=} ;;
	esac
done
cpus=$(grep -c ^processor /proc/cpuinfo)
clock=/sys/devices/system/clocksource/clocksource0
echo "guest: $(uname -r) cpus=$cpus clocksource=$(cat $clock/current_clocksource) of $(cat $clock/available_clocksource)"

# on CPU $1: memory, pipes and arithmetic; its sum must be what everybody else's is
work() {
	dd if=/dev/zero bs=64k count=32 2>/dev/null | tr '\0' "\\$1" | tr "\\$1" x | gzip -1 | gunzip | md5sum
}
round() {
	n=0
	while [ $n -lt "$cpus" ]; do
		work 10$((n % 8)) >/tmp/sum.$n &
		taskset -p $((1 << n)) $! >/dev/null
		n=$((n + 1))
	done
	wait
	[ "$(cat /tmp/sum.* | sort -u)" = "$want" ] || echo "guest: FAIL sums differ: $(cat /tmp/sum.*)"
}
want=$(work 106)
rounds=0
end=$(($(cut -d. -f1 /proc/uptime) + seconds))
while :; do
	round
	rounds=$((rounds + 1))
	sleep 0.1
	[ "$(cut -d. -f1 /proc/uptime)" -lt $end ] || break
done
sed -n 's/  */ /g; s/^ \?\([^:]*: .*\)/irq \1/p' /proc/interrupts | grep -v ': \(0 \)*[A-Z]'
echo "guest: load rounds=$rounds uptime=$(cut -d' ' -f1 /proc/uptime)"
dmesg -r | sed -n 's/^<[0-4]>\(\[[^]]*\] \)\?/warning: /p'
echo "guest: done"
if grep -q acpi=off /proc/cmdline; then
	# there is no S5: the debug-exit port, and where even that is not to be had, reset
	[ ! -c /dev/port ] || printf '\0' | dd of=/dev/port bs=1 seek=244 2>/dev/null
	reboot -f
fi
poweroff -f
