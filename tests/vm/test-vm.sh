#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test-vm.sh [KERNEL...]: the prog and net tests on other kernels (6.1, 6.12, new), emulated.
#
# Debian's kernels are fetched once, into BUILD/kernels. CPU work is some 12 times slower in
# there, so the net tests are a selection (SELECT, as pytest -k) unless FULL=1: about half an
# hour for each kernel. Run by `make test-vm`; the logs are BUILD/test-vm-*.log.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${BUILD:-$PWD/build}
# What differs between kernels: programs that load and attach in every way, the ways to finish
# a handshake, the firewall's kfuncs, VLANs, and one flood; what the agent may do without root's
# capabilities, a policy put in force, its alarms, and what a dashboard shows. (Not
# test_live_connections: with other work on the machine its preparation can outlast the 63 s that
# the kernel keeps a half-open one.)
selection=${SELECT:-"test_both_on or test_detach_gives or test_another_xdp or test_second_interface_has or \
test_every_connection or test_ack_and_data or test_fin_first or test_full_accept_queue or test_port_reused or \
test_every_new_client or test_stateful_firewall or test_firewall_loaded or test_forged or test_vlan or \
test_capabilities or test_kill_and_adopt or test_apply_show_diff or test_by_interface or test_allowed_and_denied or \
test_retries_follow or test_by_completion_alone or test_once or test_live_frames or test_half_open_rows or \
test_clients_are_no_source"}
args=(-rfE --tb=short)
[ -n "${FULL:-}" ] || args+=(-k "$selection")

fetch() { # NAME: the kernel's directory, filled
	local dir=$build/kernels/$1 suites suite
	case $1 in
	6.1) suites=bookworm-security meta=linux-image-cloud-amd64 ;;
	6.12) suites=bookworm-security meta=linux-image-6.12-cloud-amd64 ;;
	new) suites="trixie-backports sid" meta=linux-image-cloud-amd64 ;;
	*) echo "no kernel \"$1\"; there are: 6.1 6.12 new" && return 1 ;;
	esac
	if compgen -G "$dir/boot/vmlinuz*" >/dev/null; then return; fi
	for suite in $suites; do
		rm -rf "$dir"
		if tests/vm/getkernel.sh "$suite" "$meta" "$dir"; then return; fi
	done
	rm -rf "$dir"
	echo "cannot be fetched (from $suites)"
	return 1
}

summary=() failed=0
for kernel in "${@:-6.1 6.12 new}"; do
	for k in $kernel; do
		if ! reason=$(fetch "$k" 2>&1); then
			summary+=("$k: skipped: $(tail -n1 <<<"$reason")")
			[ "$k" = new ] || failed=1
			continue
		fi
		version=$(basename "$build/kernels/$k"/lib/modules/*)
		log=$build/test-vm-$k.log
		echo "=== $k: $version"
		rc=0
		VM_TIMEOUT=${VM_TIMEOUT:-3600} VM_MEM=${VM_MEM:-2048} nice tests/vm/vmrun.sh "$build/kernels/$k" \
			tests/vm/guest.sh "$build" "${args[@]}" 2>&1 | tee "$log" || rc=$?
		prog=$(grep -ac '^\[       OK \]' "$log" || :)
		bad=$(grep -aE '^\[  (FAILED|ERROR )  \] [a-z]' "$log" | sort -u | wc -l || :)
		summary+=("$k ($version): prog $prog passed, $bad failed; net $(tail -n3 "$log" |
			grep -aoE '[0-9]+ (passed|failed|skipped|error).* in .*' || echo "no result") (status $rc)")
		[ $rc = 0 ] || failed=1
	done
done
printf '%s\n' "=== test-vm" "${summary[@]}"
exit $failed
