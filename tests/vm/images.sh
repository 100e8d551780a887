#!/bin/sh
# images.sh DIRECTORY: what VMs boot.  Makes what is missing of DIRECTORY/root.img and
# DIRECTORY/kernels/NAME/{vmlinuz,initrd}; a later call takes what is there.
# Needs root and Debian's mmdebstrap, e2fsprogs, cpio, xz-utils.
set -eu

directory=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
root=$directory/root
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
	head -n 1)}

# Debian 13 with systemd 257 and Python 3.13.  An image is renamed to its name when it
# is whole.
if [ ! -e "$directory/root.img" ]; then
	rm -rf "$root"
	mmdebstrap --quiet --variant=minbase --mode=root \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--include=busybox-static,dbus,dbus-user-session,libpam-systemd,procps,python3,systemd,systemd-sysv,udev \
		trixie "$root" "$mirror"
	# No network, no login, no maintenance.
	for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
		e2scrub_all.timer fstrim.timer getty@tty1.service serial-getty@ttyS0.service \
		systemd-networkd.service systemd-networkd-wait-online.service; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit"
	done
	chroot "$root" useradd --uid 1000 --create-home user
	echo vm > "$root/etc/hostname"
	: > "$root/etc/fstab"
	mkdir "$root/project"
	rm -f "$directory/root.new"
	mke2fs -q -t ext4 -O ^has_journal -d "$root" "$directory/root.new" 2G
	mv "$directory/root.new" "$directory/root.img"
fi

# kernel NAME SUITE: the kernel that Debian has for clouds in that suite.
kernel() {
	to=$directory/kernels/$1
	[ ! -e "$to/initrd" ] || return 0
	apt=$directory/apt/$2
	mkdir -p "$to" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/unpacked"
	: > "$apt/status"
	echo "deb $mirror $2 main" > "$apt/sources.list"
	# Lists and packages of their own: those of this machine stay as they are.
	set -- -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists="$apt/lists" -o Dir::State::Status="$apt/status" \
		-o Dir::Cache="$apt/cache" -o APT::Architecture=amd64 -o APT::Sandbox::User=root
	apt-get "$@" update > /dev/null
	packages=$(apt-cache "$@" depends --recurse --no-recommends --no-suggests \
		--no-conflicts --no-breaks --no-replaces linux-image-cloud-amd64 |
		grep -E '^linux-[a-z-]*-[0-9].*-cloud-amd64$' | sort -u)
	(cd "$apt" && apt-get "$@" download $packages > /dev/null)
	for package in "$apt"/*.deb; do
		dpkg-deb -x "$package" "$apt/unpacked"
	done
	cp "$(find "$apt/unpacked" -name 'vmlinuz*' -type f)" "$to/vmlinuz"

	initrd=$apt/initrd
	mkdir -p "$initrd/bin" "$initrd/dev" "$initrd/mnt" "$initrd/proc"
	cp "$root/usr/bin/busybox" "$initrd/bin/busybox"
	cp "$here/initrd.sh" "$initrd/init"
	# What the disks need and the kernel has not built in.
	for module in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev \
		virtio_pci virtio_blk; do
		find "$apt/unpacked" -name "$module.ko*" -exec cp {} "$initrd" \;
	done
	xz -dq "$initrd"/*.xz 2> /dev/null || true
	(cd "$initrd" && find . | cpio -o -H newc --quiet | gzip -1) > "$to/initrd.new"
	mv "$to/initrd.new" "$to/initrd"
	rm -r "$apt"
}
kernel 5.10 bullseye
kernel 6.1 bookworm
kernel 6.12 trixie
kernel 7.x trixie-backports
