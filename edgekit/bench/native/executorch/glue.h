/* What executorch.c of the runner and glue.cpp, which is built against ExecuTorch's C++ headers, say to each other. */
#ifndef EDGEKIT_BENCH_EXECUTORCH_GLUE_H
#define EDGEKIT_BENCH_EXECUTORCH_GLUE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { GLUE_UINT8 = 0, GLUE_FLOAT32 = 6, GLUE_MOST_SIZES = 16 }; /* of ExecuTorch's ScalarType */

typedef struct Glue Glue;

typedef struct {
    int type;
    size_t rank;
    int64_t sizes[GLUE_MOST_SIZES];
} GlueTensor;

/* name, what it returns, parameters. Numbers are ExecuTorch's Error: 0 is Ok. */
#define GLUE_FUNCTIONS(ROW)                                                                                            \
    ROW(version, const char *, (void))                                                                                 \
    ROW(said, const char *, (void)) /* the last error that the runtime told since `open` or `run` began, or "" */      \
    ROW(open, uint32_t, (const char *path, uint32_t threads, Glue **opened))                                           \
    ROW(counts, void, (Glue * glue, size_t *inputs, size_t *outputs))                                                  \
    ROW(describe, uint32_t, (Glue * glue, int is_output, GlueTensor *tensor)) /* the first one */                      \
    ROW(run, uint32_t, (Glue * glue, void *input, float *output, size_t output_bytes))                                  \
    ROW(close, void, (Glue * glue))

#define GLUE_DECLARE(name, returns, parameters)                                                                        \
    __attribute__((visibility("default"))) returns edgekit_executorch_##name parameters;
GLUE_FUNCTIONS(GLUE_DECLARE)
#undef GLUE_DECLARE

#ifdef __cplusplus
}
#endif

#endif
