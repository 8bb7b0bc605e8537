#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# guest.sh BUILD [PYTEST-ARGUMENT...]: what test-vm.sh runs inside the emulated machine.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
export SYNSTILE_BUILD=$1 SYNSTILE_SLOW=${SYNSTILE_SLOW:-12} PYTHONDONTWRITEBYTECODE=1
shift
rc=0

for test in "$SYNSTILE_BUILD"/prog/test_*; do
	[[ $test == *.* ]] && continue
	"$test" || { echo "guest: $test: status $?"; rc=1; }
done
# Debian loads it with the first ruleset; attach must have been tried without it too
lsmod | grep -q '^nf_conntrack ' && echo "guest: nf_conntrack was there before any ruleset"
/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/vm tests/net "$@" || rc=1
exit $rc
