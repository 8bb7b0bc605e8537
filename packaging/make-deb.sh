#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# make-deb.sh DIRECTORY VERSION
#
# Builds the Debian package in DIRECTORY/deb, from a copy of what is here, since dpkg wants ./debian at
# the top; then copies it to DIRECTORY, and prints where it is.
set -eu
directory=$1/deb
version=$2
copy=$directory/synstile-$version
packaged=$(sed -n '1s/.*(\([^)]*\)).*/\1/p' packaging/debian/changelog)
[ "$packaged" = "$version" ] || {
	echo "make-deb: the Makefile has version $version, packaging/debian/changelog $packaged" >&2
	exit 1
}
# The package's make must not take BUILD=... and the like for its own from the one that runs this.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
rm -rf "$directory"
mkdir -p "$copy"
cp -a Makefile README.md COPYING bpf docs include packaging user "$copy"
mkdir "$copy/tests"
cp -a tests/deps.sh "$copy/tests"
mv "$copy/packaging/debian" "$copy/debian"
cd "$copy"
# clang-19 or another one: the Makefile finds what is there. Dependencies are deps.sh's.
dpkg-buildpackage --build=binary --jobs-try=auto --no-sign --no-check-builddeps >"$directory/build.log" 2>&1 || {
	tail -n 40 "$directory/build.log" >&2
	echo "make-deb: dpkg-buildpackage failed; all of it is in $directory/build.log" >&2
	exit 1
}
cp "$directory/synstile_${version}_"*.deb "$directory/.."
ls "$1/synstile_${version}_"*.deb
