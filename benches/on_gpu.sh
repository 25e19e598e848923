#!/usr/bin/env bash
# Everything that the record wants to know of a GPU, in one command of some minutes that needs neither a network nor a toolchain:
#
#   benches/on_gpu.sh build            builds the suite and the benches into target/on_gpu, some 40 MB in all
#   benches/on_gpu.sh run [SECONDS]    runs them there: on a machine with a GPU, to which this folder was carried
#
# It writes target/on_gpu/record.md, and beside it what each program printed.
set -uo pipefail
cd "$(dirname "$0")/.."
out=target/on_gpu
programs="gpu sizes ablation latency scaling"

build() {
    mkdir -p "$out"
    # The commit goes along: where this runs there may be no git.
    git describe --always --dirty > "$out/commit"
    cargo build --release --locked --test gpu --bench sizes --bench ablation --bench latency --bench scaling \
        --message-format=json-render-diagnostics |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' > "$out/executables" || return
    for program in $programs; do
        cp "$(grep "/$program-[0-9a-f]*\$" "$out/executables" | tail -1)" "$out/$program" || return
        strip "$out/$program" 2> "$out/strip.log"
    done
    ls -l "$out"
}

# run NAME LIMIT COMMAND..: what it prints goes into a file; the record has its end, its exit code and its seconds.
section() {
    local name=$1 limit=$2 begin=$SECONDS code
    shift 2
    timeout "$limit" "$@" > "$out/$name.log" 2>&1
    code=$?
    printf '\n## %s: exit code %s after %s s\n\n' "$name" "$code" "$((SECONDS - begin))" | tee -a "$out/record.md"
}

run() {
    local limit=${1:-300}
    {
        printf '# wgpu-gru %s, %s\n\n' "$(cat "$out/commit")" "$(date -u +%F)"
        printf -- '- CPU: %s, %s threads\n' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)" "$(nproc)"
        nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2> "$out/nvidia-smi.log" | sed 's/^/- GPU: /'
    } > "$out/record.md"
    left() { echo "$((limit > SECONDS + 5 ? limit - SECONDS : 5))"; }
    WGPU_GRU_REQUIRE_GPU=1 section suite "$(left)" "$out/gpu"
    grep -E '^test result|FAILED|^    [a-z_]+::' "$out/suite.log" >> "$out/record.md"
    for bench in sizes latency ablation scaling; do
        section "$bench" "$(left)" "$out/$bench" --quick
        # The tables alone: the programs show each row twice, as it comes and at the end.
        sed -n 's/\r$//; /^### /,$p' "target/$bench.md" >> "$out/record.md"
    done
    echo "$out/record.md"
}

case ${1:-} in
build) build ;;
run) run "${2:-300}" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
