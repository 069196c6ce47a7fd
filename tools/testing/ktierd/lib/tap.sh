# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For test scripts that print TAP: source this, tap_plan N, check ..., tap_end.
# check() wants a directory $tmp.

tap_number=0
tap_failed=0

tap_plan() { printf 'TAP version 13\n1..%d\n' "$1"; }

# check NAME COMMAND...: a test, passed if the command succeeds
check()
{
	local name=$1

	shift
	tap_number=$((tap_number + 1))
	# shellcheck disable=SC2154	# the caller's
	if "$@" > "$tmp/diagnosis" 2>&1; then
		echo "ok $tap_number $name"
	else
		sed 's/^/# /' "$tmp/diagnosis"
		echo "not ok $tap_number $name"
		tap_failed=1
	fi
}

tap_end() { exit $tap_failed; }
