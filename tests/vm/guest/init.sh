#!/bin/sh
# init= of a VM: the jobs that vm.jobs= names, then off.  By default cgroup v2 alone is
# mounted; vm.hybrid mounts the hierarchies of version 1 beside it, with memory in one.
export PATH=/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/shm /dev/pts
mount -t devpts pts /dev/pts
for directory in /dev/shm /run /tmp; do mount -t tmpfs tmpfs $directory; done
mount -t tracefs tracefs /sys/kernel/tracing
cgroup=/sys/fs/cgroup
if grep -q vm.hybrid /proc/cmdline; then
	mount -t tmpfs tmpfs $cgroup
	mkdir $cgroup/unified $cgroup/cpu $cgroup/memory
	mount -t cgroup -o cpu,cpuacct cpu $cgroup/cpu
	mount -t cgroup -o memory memory $cgroup/memory
	mount -t cgroup2 cgroup2 $cgroup/unified
else
	mount -t cgroup2 cgroup2 $cgroup
fi
busybox ip link set lo up
sh /project/tests/vm/guest/jobs.sh
echo o > /proc/sysrq-trigger
sleep 60
