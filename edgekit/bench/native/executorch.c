/* ExecuTorch, on the CPU. Its interface is C++: --library is libedgekit_executorch.so, built from executorch/glue.cpp. */
#include "executorch/glue.h"
#include "runtime.h"

#include <stdlib.h>

#define GLUE_POINTER(name, returns, parameters) returns(*name) parameters;

struct Engine {
    const Arguments *arguments;
    struct {
        GLUE_FUNCTIONS(GLUE_POINTER)
    } glue;
    Glue *opened;
    void *input;
    float *output;
    size_t output_bytes;
};

/* End the process where the runtime says no; it gives a number, whose meaning runtime/core/error.h of it tells. */
static void expect(const Engine *engine, uint32_t error, const char *what) {
    if (error == 0) return;
    const char *said = engine->glue.said();
    fail(EXIT_RUNTIME, "%.200s: cannot %s (ExecuTorch's error %u%s%.300s): export it again, or take a newer runtime",
         engine->arguments->model, what, (unsigned)error, *said == '\0' ? "" : ", ", said);
}

static Engine *start(const Arguments *arguments, const char **version) {
    Engine *engine = take(sizeof *engine);
    void *library = open_library(arguments);
    const char *missing = NULL;
    engine->arguments = arguments;
#define GLUE_FIND(name, returns, parameters)                                                                           \
    engine->glue.name = (returns(*) parameters)find_function(library, "edgekit_executorch_" #name);                    \
    if (engine->glue.name == NULL) missing = "edgekit_executorch_" #name;
    GLUE_FUNCTIONS(GLUE_FIND)
#undef GLUE_FIND
    if (missing != NULL) {
        fail(EXIT_RUNTIME, "--library %.200s: is not libedgekit_executorch.so of this runner (it has no %s): %s",
             arguments->library, missing, EXECUTORCH.right_library);
    }
    *version = engine->glue.version();
    return engine;
}

static void open_model(Engine *engine) {
    const Arguments *arguments = engine->arguments;
    expect(engine, engine->glue.open(arguments->model, (uint32_t)arguments->threads, &engine->opened),
           "load this model");
}

static void check_tensor(const Engine *engine, bool is_output, int type, const int64_t *shape, size_t rank) {
    GlueTensor found = {0, 0, {0}};
    expect(engine, engine->glue.describe(engine->opened, is_output, &found), "read a shape");
    check_shape(engine->arguments, is_output ? "output" : "input", found.type == type,
                type == GLUE_UINT8 ? "uint8" : "float32", found.sizes, found.rank, shape, rank);
}

static void bind_model(Engine *engine, void *input, size_t input_bytes, float *output, size_t output_bytes) {
    const Arguments *arguments = engine->arguments;
    size_t inputs = 0, outputs = 0;
    (void)input_bytes; /* of the shape that is checked here */
    engine->glue.counts(engine->opened, &inputs, &outputs);
    check_counts(arguments, inputs, outputs);
    int64_t shape[4];
    const int64_t embedding[2] = {1, (int64_t)arguments->dim};
    input_shape(arguments, shape);
    check_tensor(engine, false, arguments->layout == NHWC_U8 ? GLUE_UINT8 : GLUE_FLOAT32, shape, 4);
    check_tensor(engine, true, GLUE_FLOAT32, embedding, 2);
    engine->input = input;
    engine->output = output;
    engine->output_bytes = output_bytes;
}

static void run_model(Engine *engine) {
    expect(engine, engine->glue.run(engine->opened, engine->input, engine->output, engine->output_bytes),
           "run this model");
}

static void close_model(Engine *engine) { engine->glue.close(engine->opened); }

static void stop(Engine *engine) { free(engine); }

const Runtime EXECUTORCH = {
    .format = "executorch",
    .suffix = ".pte",
    .name = "executorch",
    .backend = "XNNPACK",
    .right_library = "take libedgekit_executorch.so, built for this device, with ExecuTorch's libraries beside it",
    .start = start,
    .open = open_model,
    .bind = bind_model,
    .run = run_model,
    .close = close_model,
    .stop = stop,
};
