#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# PID 1 of the Linux guests: a shell on the serial line; run=... on the kernel command line is run first.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
hostname guest
echo "guest: $(uname -sr) up after $(cut -d' ' -f1 /proc/uptime) s, $(grep -c ^processor /proc/cpuinfo) CPU, $(free -m | awk '/Mem/ {print $2}') MiB"
for word in $(cat /proc/cmdline); do
	case $word in
	run=*) eval "$(echo "${word#run=}" | tr , ' ')" ;;
	script=*) sh "/${word#script=}" ;;
	esac
done
echo "guest: shell"
while :; do
	setsid cttyhack sh
done
