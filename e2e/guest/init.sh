#!/bin/busybox sh
# Runs in the initial RAM disk of a guest. The new root is the host's root: read-only over 9p, below a tmpfs overlay
# that takes every write and is discarded. It is entered by switch_root, because in a chroot the kernel refuses to
# create user namespaces.
export PATH=/bin
/bin/busybox --install -s /bin

fail() {
	echo "trigon-guest: $*" >/dev/console
	poweroff -f
}

mount -t devtmpfs dev /dev || mknod /dev/console c 5 1
exec </dev/console >/dev/console 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do
	insmod "/modules/$module" || echo "trigon-guest: insmod $module failed"
done </modules.list

for word in $(cat /proc/cmdline); do
	case $word in trigon.session=*) session=${word#*=} ;; esac
done
mkdir -p /lower /scratch /root /hold /session
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose host /lower || fail "cannot mount the host's root"
mount -t tmpfs -o mode=755,size=75% scratch /scratch
mkdir /scratch/upper /scratch/work
mount -t overlay -o lowerdir=/lower,upperdir=/scratch/upper,workdir=/scratch/work root /root || fail "cannot mount the overlay"
cp "/lower$session"/files/* /session/ || fail "no session in $session"

# Fresh /tmp and /run, because the host's contain sockets of other programs; paths that the session needs stay.
i=0
while read -r path; do
	mkdir -p "/hold/$i"
	mount --bind "/root$path" "/hold/$i" || fail "cannot keep $path"
	i=$((i + 1))
done </session/keep
mount -t tmpfs -o mode=1777 tmp /root/tmp
mount -t tmpfs -o mode=755 run /root/run
mkdir -p /root/run/lock /root/run/trigon /root/dev /root/proc /root/sys
i=0
while read -r path; do
	mkdir -p "/root$path"
	mount --move "/hold/$i" "/root$path"
	i=$((i + 1))
done </session/keep

modules=$(cat /session/modules)
release=$(uname -r)
mkdir -p "/root/lib/modules/$release"
mount --bind "/root$modules/lib/modules/$release" "/root/lib/modules/$release" || fail "cannot show the modules"
cp "/lower$(cat /session/config)" "/root/boot/config-$release"

cp /session/* /bin/busybox /root/run/trigon/
mount --move /dev /root/dev
mount --move /proc /root/proc
mount --move /sys /root/sys
exec switch_root /root /bin/sh /run/trigon/session.sh
