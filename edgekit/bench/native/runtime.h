/* What is measured with: a runtime is a file with one of these rows, and an entry of RUNTIMES. */
#ifndef EDGEKIT_BENCH_RUNTIME_H
#define EDGEKIT_BENCH_RUNTIME_H

#include "common.h"

typedef struct Engine Engine; /* what a runtime keeps between two calls; each has its own */

struct Runtime {
    const char *format, *suffix; /* of its models: as --format calls it, and how their names end */
    const char *name, *backend;  /* as a result calls them */
    const char *right_library;   /* what to do where --library is another one */
    /* Load the library and set options, which is no part of opening a model. The version is in the runtime's memory,
     * NULL where it does not say. */
    Engine *(*start)(const Arguments *arguments, const char **version);
    void (*open)(Engine *engine);
    /* Check that the opened model takes one image and gives one embedding, which are in this memory from now on. */
    void (*bind)(Engine *engine, void *input, size_t input_bytes, float *output, size_t output_bytes);
    void (*run)(Engine *engine);
    void (*close)(Engine *engine);
    void (*stop)(Engine *engine); /* after close */
};

extern const Runtime ONNX_RUNTIME, LITERT, EXECUTORCH;
extern const Runtime *const RUNTIMES[];
extern const size_t RUNTIME_COUNT;

typedef void (*Function)(void);

/* Open --library; a name without a slash is looked for in the current folder first. */
void *open_library(const Arguments *arguments);

/* A function of it, or NULL. */
Function find_function(void *library, const char *name);

/* Zeroed memory, or an end with an error. */
void *take(size_t bytes);

/* End the process where a model has not one input and one output. */
void check_counts(const Arguments *arguments, size_t inputs, size_t outputs);

/* The sizes of the input: [1,3,H,W] or [1,H,W,3]. */
void input_shape(const Arguments *arguments, int64_t shape[4]);

/* End the process where a found shape is not the due one; a size that is open, below 0, fits every number. */
void check_shape(const Arguments *arguments, const char *which, bool right_type, const char *type_name,
                 const int64_t *found, size_t found_rank, const int64_t *due, size_t rank);

#endif
