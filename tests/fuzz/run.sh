#!/bin/bash
# run.sh PYTHON SECONDS [HARNESS...]: fuzz each for so long, from the corpora of this directory.
# New inputs go to build/fuzz/HARNESS, findings to build/fuzz/findings. What to do with one:
# docs/reliability.md.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
python=$1 seconds=$2
shift 2
harnesses=("$@")
[ "${#harnesses[@]}" -gt 0 ] || harnesses=(init launcher shim calls config state)
out=build/fuzz
mkdir -p "$out/findings"
"$python" -m tests.fuzz.build "$out" --kind fuzz >/dev/null || exit
status=0
for harness in "${harnesses[@]}"; do
	mkdir -p "$out/$harness"
	options=(-max_total_time="$seconds" -timeout=120 -rss_limit_mb=3000 -print_final_stats=1 -max_len=65536)
	corpora=("$out/$harness")
	[ -d "tests/fuzz/corpus/$harness" ] && corpora+=("tests/fuzz/corpus/$harness")
	case $harness in
	init) corpora+=("$out/plans") command=("$out/fuzz_init") ;;
	config) corpora+=(tests/unit/golden/configs) command=("$python" -m tests.fuzz.fuzz_config) ;;
	state) command=("$python" -m tests.fuzz.fuzz_state) ;;
	*) command=("$out/fuzz_$harness") ;;
	esac
	findings=$out/findings
	# In the sandbox of this one only its corpora can be written.
	[ "$harness" = state ] && findings=$out/state
	"${command[@]}" "${options[@]}" -artifact_prefix="$findings/" "${corpora[@]}" \
		>"$out/$harness.log" 2>&1 || { status=1 && tail -40 "$out/$harness.log"; }
	echo "$harness: $(grep -E '^#[0-9]+.*(DONE|cov:)' "$out/$harness.log" | tail -1)"
done
exit $status
