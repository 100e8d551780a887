#!/bin/busybox sh
# The first program in a VM, in its initrd: mounts both disks and starts init=.
busybox=/bin/busybox
$busybox mount -t devtmpfs dev /dev
$busybox mount -t proc proc /proc
for module in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci \
	virtio_blk; do
	[ ! -e /$module.ko ] || $busybox insmod /$module.ko
done
while [ ! -b /dev/vdb ]; do $busybox sleep 0.1; done
for word in $($busybox cat /proc/cmdline); do
	case $word in init=*) init=${word#init=} ;; esac
done
$busybox mount -t ext4 /dev/vda /mnt
$busybox mount -t ext4 /dev/vdb /mnt/project
$busybox mount --move /dev /mnt/dev
$busybox umount /proc
exec $busybox switch_root /mnt "$init"
