#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# getkernel.sh SUITE META DIR
#
# Unpack into DIR the kernel that Debian's metapackage META of SUITE stands
# for, without installing anything or touching the machine's apt sources:
#   getkernel.sh bookworm-security linux-image-cloud-amd64      kernels/6.1
#   getkernel.sh bookworm-security linux-image-6.12-cloud-amd64 kernels/6.12
#   getkernel.sh trixie-backports  linux-image-cloud-amd64      kernels/new
# linux-image-*-amd64 without "cloud" has every driver and is 3 times as big.
set -euo pipefail
suite=$1 meta=$2 dir=$3

mkdir -p "$dir"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# the archive is the one that the machine's own apt sources name
archives=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
	sed -nE 's/^(URIs:|deb( \[[^]]*\])?) +([a-z]+:[^ ]+).*/\3/p' || :)
case $suite in *-security) end=/debian-security ;; *) end=/debian ;; esac
archive=$(grep -m1 -E "$end/?\$" <<<"$archives") ||
	{ echo "getkernel: no apt source ends in $end" >&2; exit 1; }
key=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$key] $archive $suite main" >"$tmp/sources.list"
mkdir -p "$tmp/lists/partial"
opts=(
	-o Dir::Etc::sourcelist="$tmp/sources.list" -o Dir::Etc::sourceparts=/dev/null
	-o Dir::State::lists="$tmp/lists" -o Dir::State::status=/dev/null
	-o Dir::Cache="$tmp/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none
	-o Acquire::Retries=3
)
apt-get -qq "${opts[@]}" update
image=$(apt-cache "${opts[@]}" depends "$meta" |
	awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
[ -n "$image" ] || { echo "getkernel: $suite: $meta names no kernel" >&2; exit 1; }
version=${image#linux-image-}
# from 6.19 on the image package is empty and needs these three
packages=("$image")
for p in linux-base linux-binary linux-modules; do
	if apt-cache "${opts[@]}" show "$p-$version" >/dev/null 2>&1; then
		packages+=("$p-$version")
	fi
done
(cd "$tmp" && apt-get -qq "${opts[@]}" download "${packages[@]}")
for deb in "$tmp"/*.deb; do dpkg -x "$deb" "$dir"; done
[ -e "$dir/lib" ] || ln -s usr/lib "$dir/lib"
depmod -b "$dir" "$version"
echo "$version"
