/* What the parts of edgekit_bench share: the arguments, the measurement and how a run ends. */
#ifndef EDGEKIT_BENCH_COMMON_H
#define EDGEKIT_BENCH_COMMON_H

#include "protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "golden.bin is little-endian and is read as it is: only little-endian machines are supported"
#endif

enum { EXIT_BAD_INPUT = 2, EXIT_RUNTIME = 3 };
enum { CHANNELS = 3 };

typedef struct Runtime Runtime;

typedef enum { NCHW, NHWC, NHWC_U8 } Layout; /* float32 [1,3,H,W] or [1,H,W,3] of 0-255, or uint8 [1,H,W,3] */

typedef struct {
    const Runtime *runtime; /* that --format names */
    const char *model, *library, *inputs, *golden, *out, *run_id, *model_sha256;
    const char *embeddings; /* a path beside `out`, or NULL */
    size_t count, height, width, dim, warmup, iterations, threads;
    double duration, min_cosine;
    Layout layout; /* what the model takes */
} Arguments;

typedef struct {
    int images;    /* a file of [count,height,width,3] */
    float *golden; /* [count,dim] */
    size_t image_bytes;
    uint64_t model_bytes;
} Files;

typedef struct {
    const char *version; /* of the runtime, in its memory; NULL where it does not say */
    int64_t cold_load_ns, first_ns, warm_load_ns;
    int64_t *samples_ns;
    size_t samples, samples_room;
    int64_t peak_rss, loaded; /* bytes; -1 where /proc does not say */
    size_t images;            /* different ones compared */
    double min_cosine, max_abs;
    bool comparable; /* every output was finite, not all zero and within the schema's range */
    bool passed;
    size_t rows;     /* of the embeddings that were written */
    char sha256[65]; /* of their file */
} Measurement;

/* Print one line on stderr, whatever is in the arguments, and end the process. */
_Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

Arguments parse_arguments(int count, char **values);
Files read_files(const Arguments *arguments);

/* Read one image, uint8 [height,width,3]. */
void read_image(const Arguments *arguments, const Files *files, size_t image, void *into);

Measurement measure(const Arguments *arguments, const Files *files);
void write_report(const Arguments *arguments, const Files *files, const Measurement *measured, const char *started_utc);

#endif
