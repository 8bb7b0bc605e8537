#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# deps.sh GROUP...
#
# Install what is missing of Debian 12's packages for a purpose: build, lab, test, lint, fuzz,
# package, vm or web. With nothing missing it needs neither root nor the network.
set -euo pipefail

declare -A groups=(
	[build]="gcc make libc6-dev clang-19 bpftool pkg-config libbpf-dev libxdp-dev libjansson-dev libmnl-dev libevent-dev libcurl4-gnutls-dev libnftables-dev libcap-ng-dev libyaml-dev libncurses-dev libsystemd-dev scdoc"
	[lab]="python3 iproute2 ethtool procps nginx"
	[test]="libcmocka-dev python3-pytest python3-pytest-timeout python3-pytest-xdist python3-jsonschema python3-scapy curl nftables iptables tcpdump wrk iperf3 prometheus strace systemd mandoc zsh tmux"
	[lint]="clang-format-14 clang-tidy-14 shellcheck pyflakes3"
	[fuzz]="clang-14 libclang-rt-14-dev libyaml-dev libjansson-dev"
	[package]="dpkg-dev debhelper fakeroot lintian mandoc zsh"
	[vm]="qemu-system-x86 busybox-static kmod cpio xz-utils zstd xdp-tools"
	[web]="chromium nodejs npm"
)

die() {
	echo "deps: $*" >&2
	exit 1
}

[ $# -gt 0 ] || die "usage: deps.sh GROUP... (of: ${!groups[*]})"
wanted=()
for group; do
	[ -n "${groups[$group]:-}" ] || die "no group \"$group\"; there are: ${!groups[*]}"
	read -ra names <<<"${groups[$group]}"
	wanted+=("${names[@]}")
done

command -v dpkg-query >/dev/null || die "this system has no dpkg; install what Debian 12 calls: ${wanted[*]}"
missing=()
for package in "${wanted[@]}"; do
	case $package in
	# they may be from elsewhere
	nodejs) ! command -v node >/dev/null || continue ;;
	npm) ! command -v npm >/dev/null || continue ;;
	esac
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=absent
	[ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || die "this system has no apt-get; missing: ${missing[*]}"
[ "$(id -u)" = 0 ] || die "run as root (sudo make deps); missing: ${missing[*]}"

# Packages that start a service when they are installed: the lab runs an nginx of its own, and of
# prometheus only promtool is wanted.
quiet=()
for package in nginx prometheus; do
	[[ " ${missing[*]} " != *" $package "* ]] || quiet+=("$package")
done
policy=/usr/sbin/policy-rc.d
allow_services() {
	[ -z "${policy_made:-}" ] || rm -f "$policy"
	[ -z "${masked:-}" ] || systemctl --quiet unmask --runtime "${quiet[@]/%/.service}"
	policy_made='' masked=''
}
forbid_services() {
	trap allow_services EXIT
	if [ ! -e "$policy" ]; then
		policy_made=1
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	if [ -d /run/systemd/system ]; then
		masked=1
		systemctl --quiet mask --runtime "${quiet[@]/%/.service}"
	fi
}
[ ${#quiet[@]} = 0 ] || forbid_services

echo "deps: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# a machine that has just been started may be updating itself
patient=(-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
apt-get -qq "${patient[@]}" update ||
	echo "deps: some package lists could not be updated; going on" >&2
apt-get -qq -y "${patient[@]}" -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" </dev/null ||
	die "apt-get could not install: ${missing[*]}"
if [ ${#quiet[@]} -gt 0 ]; then
	allow_services
	for service in "${quiet[@]}"; do
		update-rc.d "$service" disable >/dev/null 2>&1 || :
	done
fi
