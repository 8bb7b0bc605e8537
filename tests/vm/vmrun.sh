#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vmrun.sh KERNEL_DIR COMMAND [ARG...]
#
# Boot the kernel unpacked in KERNEL_DIR (dpkg -x of a Debian kernel package)
# under QEMU and run COMMAND as root in the current directory. The guest sees
# the host's root file system; what it writes goes to memory and is lost,
# except in the current directory, which is the host's own. The output of
# COMMAND (stdout and stderr) goes to stdout, its exit status is returned.
# Status 124: no end within VM_TIMEOUT. Status 125: the machine failed to
# start, crashed or stopped without a status; the end of its console is shown.
#
# Environment: VM_TIMEOUT (seconds, 300)  VM_CPUS (2)  VM_MEM (MiB, 1024)
#   VM_ACCEL (tcg,thread=single)  VM_APPEND (kernel arguments)
#   VM_CONSOLE (file that keeps the kernel's console output)
# Needs: qemu-system-x86 busybox-static kmod cpio xz-utils; and virtiofsd for
#   kernels without 9p (the "cloud" flavour), in Debian 12 part of the former.
# Limits: virtiofsd holds a descriptor for each file the guest has looked up, so
#   no more than "ulimit -Hn" of them; 9p has no Unix sockets in the current
#   directory (put them in /run or /tmp); output is a serial line, 200 KB/s.
set -euo pipefail

die() { echo "vmrun: $*" >&2; exit 125; }

[ $# -ge 2 ] || die "usage: vmrun.sh KERNEL_DIR COMMAND [ARG...]"
kdir=$(realpath -e "$1") || die "no directory $1"
shift
cpus=${VM_CPUS:-2} mem=${VM_MEM:-1024}
vmlinuz=$(find "$kdir" -name 'vmlinuz*' -print -quit)
moddir=$(find "$kdir" -path '*/lib/modules/*' -prune -print -quit)
if [ -z "$vmlinuz" ] || [ -z "$moddir" ]; then die "no kernel with modules in $kdir"; fi
version=${moddir##*/}

tmp=$(mktemp -d /tmp/vmrun.XXXXXX)
pids=()
cleanup() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || :
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 143' INT TERM HUP

# modprobe and depmod look in lib/modules; newer packages have usr/lib/modules
[ -e "$kdir/lib" ] || ln -s usr/lib "$kdir/lib"
[ -s "$moddir/modules.dep" ] || depmod -b "$kdir" "$version" 2>"$tmp/depmod" ||
	die "depmod: $(cat "$tmp/depmod")"

# --- the initial file system: busybox, the modules to reach the host's root
root=$tmp/root
mkdir -p "$root"/{bin,dev,proc,sys,host,rw,new,mod}
cp "$(command -v busybox)" "$root/bin/busybox"
share=9p modules=(virtio_pci 9pnet_virtio 9p overlay)
if [ -z "$(find "$moddir" -name '9p.ko*' -print -quit)" ]; then
	share=virtiofs modules=(virtio_pci virtiofs overlay)
fi
n=100
for m in "${modules[@]}"; do # a name that is not found is built into the kernel
	modprobe -d "$kdir" -S "$version" --show-depends "$m" 2>/dev/null || :
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$tmp/modules"
while read -r file; do
	case $file in
	*.xz) xz -dc "$file" >"$root/mod/$n.ko" ;;
	*.zst) zstd -qdc "$file" >"$root/mod/$n.ko" ;;
	*) cp "$file" "$root/mod/$n.ko" ;;
	esac
	n=$((n + 1))
done <"$tmp/modules"

printf 'share=%q cwd=%q kdir=%q moddir=%q version=%q\n' \
	"$share" "$PWD" "$kdir" "$moddir" "$version" >"$root/vars"
{
	echo 'cd "$1" || exit'
	printf '%q ' "$@"
	echo
} >"$root/command"

cat >"$root/init" <<'INIT'
#!/bin/busybox sh
# first stage: find the host's root, lay memory over it, go there
/bin/busybox --install -s /bin
. /vars
mount -t proc proc /proc
mount -t sysfs sysfs /sys
grep -q ' /dev ' /proc/mounts || mount -t devtmpfs devtmpfs /dev
for m in /mod/*.ko; do [ ! -e "$m" ] || insmod "$m"; done
case $share in
9p) mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host ;;
virtiofs) mount -t virtiofs host /host ;;
esac || exit
mount -t tmpfs tmpfs /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work overlay /new || exit
mkdir -p "/new/lib/modules/$version"
mount --bind "/host$moddir" "/new/lib/modules/$version"
for f in "/host$kdir/boot/config-$version" "/host$moddir/config"; do # libbpf reads it
	[ ! -e "$f" ] || cp "$f" "/new/boot/config-$version"
done
[ "$cwd" = / ] || mount --bind "/host$cwd" "/new$cwd" || exit
for m in proc sys dev; do mount --move /$m /new/$m; done
mount -t tmpfs tmpfs /new/run
mkdir /new/run/vmrun
cp /vars /command /stage2 /bin/busybox /new/run/vmrun/
exec switch_root /new /bin/sh /run/vmrun/stage2
INIT

cat >"$root/stage2" <<'STAGE2'
# second stage, on the host's root: the usual mounts, the command, its status
. /run/vmrun/vars
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
hostname vm
ip link set lo up
stty -F /dev/ttyS1 raw -echo
stty -F /dev/ttyS2 raw -echo
echo "vmrun: command starts" >/dev/ttyS0
bash /run/vmrun/command "$cwd" </dev/null >/dev/ttyS1 2>&1
echo $? >/dev/ttyS2
sync
/run/vmrun/busybox poweroff -f
STAGE2
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) >"$tmp/initrd"

# --- the machine: console on ttyS0, output on ttyS1, exit status on ttyS2
mkfifo "$tmp/out"
: >"$tmp/status"
console=${VM_CONSOLE:-$tmp/console}
# shellcheck disable=SC2054 # commas are QEMU's
args=(
	-M q35 -accel "${VM_ACCEL:-tcg,thread=single}" -cpu max,la57=off
	-smp "$cpus" -m "$mem" -nodefaults -no-user-config -display none -no-reboot
	-kernel "$vmlinuz" -initrd "$tmp/initrd"
	-append "console=ttyS0 panic=-1 oops=panic mitigations=off ${VM_APPEND:-}"
	-chardev "file,id=con,path=$console" -device isa-serial,chardev=con,index=0
	-chardev "file,id=out,path=$tmp/out" -device isa-serial,chardev=out,index=1
	-chardev "file,id=status,path=$tmp/status" -device isa-serial,chardev=status,index=2
)
if [ $share = 9p ]; then
	# shellcheck disable=SC2054
	args+=(-virtfs local,path=/,mount_tag=host,security_model=none,multidevs=remap)
else
	virtiofsd=/usr/lib/qemu/virtiofsd
	[ -x $virtiofsd ] || die "$version has no 9p and there is no $virtiofsd"
	setpriv --pdeathsig TERM "$virtiofsd" --socket-path="$tmp/fs" -o source=/ \
		-o cache=always -o sandbox=chroot >"$tmp/virtiofsd.log" 2>&1 &
	pids+=($!)
	for _ in {1..100}; do [ -S "$tmp/fs" ] && break; sleep 0.05; done
	[ -S "$tmp/fs" ] || die "virtiofsd: $(cat "$tmp/virtiofsd.log")"
	# shellcheck disable=SC2054
	args+=(
		-object "memory-backend-memfd,id=mem,size=${mem}M,share=on" -numa node,memdev=mem
		-chardev "socket,id=fs,path=$tmp/fs" -device vhost-user-fs-pci,chardev=fs,tag=host
	)
fi

cat "$tmp/out" &
out=$!
setpriv --pdeathsig TERM timeout -k 5 "${VM_TIMEOUT:-300}" \
	qemu-system-x86_64 "${args[@]}" </dev/null >"$tmp/qemu.log" 2>&1 &
vm=$!
pids+=("$vm" "$out")
rc=0
wait "$vm" || rc=$?
exec 3<>"$tmp/out" 3>&- # lets cat end if QEMU never opened the pipe
wait "$out" || :

status=$(tr -cd 0-9 <"$tmp/status")
if [ -n "$status" ]; then
	grep -aE 'WARNING:|BUG:' "$console" | sed 's/^/vmrun: kernel: /' >&2 || :
	exit "$status"
fi
case $rc in 124 | 137) rc=124 ;; *) rc=125 ;; esac
{
	cat "$tmp/qemu.log"
	tail -n 40 "$console" 2>/dev/null | sed 's/^/vmrun: console: /'
	echo "vmrun: $version: no exit status from the command (status $rc)"
} >&2
exit "$rc"
