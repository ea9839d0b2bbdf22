#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# PID 1 of the guest of test_channel.py: takes kib=N KiB from one partition and sends as much to another, first
# by asking again and again, then asleep until its doorbell interrupts.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
for word in $(cat /proc/cmdline); do
	case $word in
	kib=*) kib=${word#kib=} ;;
	esac
done
/chan list
/chan receive "$kib" data-polled back-polled || echo "guest: FAIL receive"
for m in /modules/*.ko; do
	insmod "$m" || echo "guest: FAIL insmod $m"
done
echo "1af4 1110" >/sys/bus/pci/drivers/uio_pci_generic/new_id
/chan self data-in || echo "guest: FAIL self"
/chan receive "$kib" data-in back-in || echo "guest: FAIL receive"
/chan send "$kib" data-out back-out || echo "guest: FAIL send"
dmesg -r | sed -n 's/^<[0-4]>\(\[[^]]*\] \)\?/warning: /p'
sed -n 's/  */ /g; s/^ \?\([^:]*: .*uio.*\)/irq \1/p' /proc/interrupts
echo "guest: done"
poweroff -f
