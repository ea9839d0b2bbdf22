#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# PID 1 of the guest of test_watchdog.py: serves its watchdog for a while, then no longer. Born again, it finds
# out why and switches its PC off.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
for m in /modules/*.ko; do
	insmod "$m" heartbeat=2 || echo "guest: FAIL insmod $m"
done
dog=/sys/class/watchdog/watchdog0
echo "guest: $(cat $dog/identity), status $(cat $dog/bootstatus)"
if [ "$(cat $dog/bootstatus)" != 0 ]; then
	echo "guest: bitten"
	poweroff -f
fi
exec 3>/dev/watchdog
for i in 1 2 3 4 5; do
	sleep 1
	echo >&3
	echo "guest: served $i"
done
sleep 100
echo "guest: FAIL still alive"
poweroff -f
