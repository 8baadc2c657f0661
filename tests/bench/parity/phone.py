"""A runner for simulated phones: it gives back what is due, and on demand what a phone may give in its place."""

from __future__ import annotations

from pathlib import Path

__all__ = ["RUNNER", "write_runner"]

# Keeps to the native runner's command line. ROWS is what it does wrong, PART in which part: the number of its runs.
RUNNER = r"""#!/bin/sh
while [ $# -gt 1 ]; do
  case "$1" in
  --run-id) run=$2 ;; --model-sha256) sha=$2 ;; --out) out=$2 ;; --model) model=$2 ;;
  --inputs) inputs=$2 ;; --golden) golden=$2 ;; --count) count=$2 ;; --dim) dim=$2 ;; --iterations) iterations=$2 ;;
  --embeddings) rows=$2
    if [ "$ROWS" = old ]; then echo "edgekit_bench: unknown argument '--embeddings'" >&2; exit 2; fi ;;
  *) ;;
  esac
  shift 2
done
[ "$iterations" = "$count" ] || { echo "iterations is $iterations" >&2; exit 2; }
echo . >>"$DEVICE/runs"
[ -z "$PART" ] || [ "$PART" = "$(wc -l <"$DEVICE/runs")" ] || ROWS=
size=$(wc -c <"$inputs"); bytes=$((4 * dim))
[ -z "$MEMORY" ] || [ "$size" -le "$MEMORY" ] || kill -9 $$
cp "$golden" "$rows"
cosine=1
case "$ROWS" in
slow) exec sleep 300 ;;
few) count=$((count - 1)); head -c $((count * bytes)) "$golden" >"$rows" ;;
short) head -c 12 "$golden" >"$rows" ;;
missing) rm "$rows" ;;
nan) { printf '\000\000\300\177'; tail -c +5 "$golden"; } >"$rows"; cosine=null ;;
other) head -c $((count * bytes)) "$OTHER" >"$rows"; cosine=0 ;;
order) { tail -c +$((bytes + 1)) "$golden"; head -c "$bytes" "$golden"; } >"$rows"; cosine=0.1 ;;
mixed) cosine=0.995 ;;
esac
digest=$(sha256sum "$rows" 2>/dev/null | cut -c 1-64)
[ "$ROWS" != changed ] || printf '\001' | dd of="$rows" conv=notrunc 2>/dev/null
said="\"embeddings\": {\"rows\": $count, \"sha256\": \"$digest\"},"
[ "$ROWS" != missing ] || said="\"embeddings\": {\"rows\": $count, \"sha256\": \"$(printf '%064d' 0)\"},"
[ "$ROWS" != silent ] || said=
cat >"$out" <<END
{"schema": "edgekit.bench/1", "run_id": "$run", "started_utc": "1970-01-01T00:00:00Z",
 "tool": {"edgekit": "0", "runner": "android-native"},
 "model": {"name": "m", "format": "onnx", "sha256": "$sha", "bytes": 1, "input": [4, 4]},
 "runtime": {"name": "onnxruntime", "version": "1.23.0", "backend": "CPUExecutionProvider", "threads": 9},
 "device": {"platform": "android"}, "errors": [], $said
 "protocol": {"warmup": 0, "min_iterations": 1, "min_duration_s": 0, "iterations": 1, "inputs": 1},
 "latency_ms": {"cold_load": 40.5, "first": 9.5, "samples": [2.5], "p50": 0.001},
 "check": {"images": $count, "min_cosine": $cosine, "max_abs": 0.0, "passed": true},
 "validity": {"valid": true}}
END
"""


def write_runner(folder: Path) -> Path:
    """The program, for `runner`."""
    path = folder / "edgekit_bench"
    path.write_text(RUNNER)
    return path
