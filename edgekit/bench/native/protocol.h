/* What all languages agree on. Its source is edgekit/bench/protocol.json; tests/bench/test_constants.py compares. */
#ifndef EDGEKIT_BENCH_PROTOCOL_H
#define EDGEKIT_BENCH_PROTOCOL_H

#define RESULT_SCHEMA "edgekit.bench/1"
#define RUN_ID_DIGITS 32
#define MAX_IMAGES 100000
#define MAX_SIDE 65536
#define MAX_DIM 1000000
#define MAX_SAMPLES 1000000
#define MAX_DURATION_S 86400
#define MAX_THREADS 256
#define MAX_CORES 4096
#define MAX_DIFFERENCE 1e6

#endif
