/* LiteRT, on the CPU: its compiled model takes XNNPACK there. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2 */
#endif
#include "litert_api.h"
#include "runtime.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAID = 4096 }; /* characters of what the runtime says that are looked at */

struct Engine {
    const Arguments *arguments;
    LiteRtApi api;
    LiteRtEnvironment *environment;
    LiteRtOptions *options;
    LiteRtModel *model;
    LiteRtCompiledModel *compiled;
    LiteRtTensorBuffer *input, *output;
    int errors, heard; /* the process's stderr, and what reads it, while the runtime is listened to; else -1 */
};

/* The runtime logs to stderr, where a person expects one line of ours: listen to it while it opens a model. */
static void listen(Engine *engine) {
    int ends[2];
    engine->errors = engine->heard = -1;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
    engine->errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    engine->heard = ends[0];
    if (engine->errors >= 0) dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

/* Stop listening; the last error that the runtime told, or "". */
static const char *heard(Engine *engine, char said[SAID]) {
    ssize_t length = 0;
    if (engine->errors >= 0) {
        fflush(stderr);
        dup2(engine->errors, STDERR_FILENO);
        close(engine->errors);
    }
    if (engine->heard >= 0) {
        length = read(engine->heard, said, SAID - 1);
        close(engine->heard);
    }
    engine->errors = engine->heard = -1;
    said[length > 0 ? length : 0] = '\0';
    char *last = said + (length > 0 ? length : 0); /* the empty text at its end */
    for (char *at = said; (at = strstr(at, "ERROR: ")) != NULL;) last = at += strlen("ERROR: ");
    last[strcspn(last, "\n")] = '\0';
    return last;
}

/* End the process where the runtime says no; it gives a number, whose meaning litert_common.h of LiteRT tells. */
static void expect(Engine *engine, int status, const char *what, const char *advice) {
    if (status != LITERT_OK) {
        char said[SAID];
        const char *reason = heard(engine, said);
        fail(EXIT_RUNTIME, "%.200s: cannot %s (LiteRT's error %d%s%.300s): %s", engine->arguments->model, what, status,
             *reason == '\0' ? "" : ", ", reason, advice);
    }
}

static void load(Engine *engine) {
    void *library = open_library(engine->arguments);
    const char *missing = NULL;
#define LITERT_FIND(returns, name, parameters)                                                                         \
    engine->api.name = (returns(*) parameters)find_function(library, "LiteRt" #name);                                  \
    if (engine->api.name == NULL) missing = "LiteRt" #name;
    LITERT_FUNCTIONS(LITERT_FIND)
#undef LITERT_FIND
    if (missing != NULL) {
        fail(EXIT_RUNTIME, "--library %.200s: is not LiteRT 2.1.6 or newer (it has no %s): %s",
             engine->arguments->library, missing, LITERT.right_library);
    }
}

static Engine *start(const Arguments *arguments, const char **version) {
    Engine *engine = take(sizeof *engine);
    const char *const advice = LITERT.right_library;
    engine->arguments = arguments;
    engine->errors = engine->heard = -1;
    load(engine);
    *version = NULL; /* its C interface does not say */
    const LiteRtEnvOption quiet = {LITERT_MIN_SEVERITY, {LITERT_WHOLE, LITERT_SILENT}};
    expect(engine, engine->api.CreateEnvironment(1, &quiet, &engine->environment), "start the runtime", advice);

    /* What its accelerator of the CPU reads is a text in TOML. */
    const size_t room = 64;
    char *threads = take(room);
    snprintf(threads, room, "num_threads = %zu\n", arguments->threads);
    LiteRtOpaqueOptions *cpu = NULL;
    expect(engine, engine->api.CreateOptions(&engine->options), "make options", advice);
    expect(engine, engine->api.SetOptionsHardwareAccelerators(engine->options, LITERT_CPU), "choose the CPU", advice);
    expect(engine, engine->api.CreateOpaqueOptions("xnnpack", threads, free, &cpu), "set the threads", advice);
    expect(engine, engine->api.AddOpaqueOptions(engine->options, cpu), "set the threads", advice);
    return engine;
}

static void open_model(Engine *engine) {
    const char *const advice = "export it again, or take a newer libLiteRt.so";
    char said[SAID];
    listen(engine);
    expect(engine, engine->api.CreateModelFromFile(engine->environment, engine->arguments->model, &engine->model),
           "load this model", advice);
    expect(engine,
           engine->api.CreateCompiledModel(engine->environment, engine->model, engine->options, &engine->compiled),
           "compile this model", advice);
    heard(engine, said);
}

/* One input or output: its type and shape must be the due ones. */
static LiteRtTensorType type_of(Engine *engine, LiteRtTensor *tensor, const char *which, int type,
                                const int64_t *shape, size_t rank) {
    const char *const advice = "export the model with edgekit";
    int kind = -1;
    LiteRtTensorType found = {0, {0, 0, {0}, {0}}};
    int64_t sizes[LITERT_MOST_SIZES] = {0};
    expect(engine, engine->api.GetTensorTypeId(tensor, &kind), "read a type", advice);
    if (kind == LITERT_RANKED) expect(engine, engine->api.GetRankedTensorType(tensor, &found), "read a shape", advice);
    for (size_t i = 0; i < LITERT_MOST_SIZES; i++) sizes[i] = found.layout.sizes[i];
    check_shape(engine->arguments, which, kind == LITERT_RANKED && found.element_type == type,
                type == LITERT_UINT8 ? "uint8" : "float32", sizes, found.layout.rank, shape, rank);
    for (size_t i = 0; i < rank; i++) found.layout.sizes[i] = (int32_t)shape[i]; /* where one is open */
    return found;
}

static void bind_model(Engine *engine, void *input, size_t input_bytes, float *output, size_t output_bytes) {
    const LiteRtApi *api = &engine->api;
    const Arguments *arguments = engine->arguments;
    const char *const advice = "export the model with edgekit";
    LiteRtSignature *signature = NULL;
    LiteRtSubgraph *subgraph = NULL;
    LiteRtTensor *tensor = NULL;
    size_t inputs = 0, outputs = 0;
    expect(engine, api->GetModelSignature(engine->model, 0, &signature), "read its signature", advice);
    expect(engine, api->GetSignatureSubgraph(signature, &subgraph), "read its signature", advice);
    expect(engine, api->GetNumSubgraphInputs(subgraph, &inputs), "count the inputs", advice);
    expect(engine, api->GetNumSubgraphOutputs(subgraph, &outputs), "count the outputs", advice);
    check_counts(arguments, inputs, outputs);
    int64_t shape[4];
    const int64_t embedding[2] = {1, (int64_t)arguments->dim};
    const int type = arguments->layout == NHWC_U8 ? LITERT_UINT8 : LITERT_FLOAT32;
    input_shape(arguments, shape);
    expect(engine, api->GetSubgraphInput(subgraph, 0, &tensor), "find the input", advice);
    const LiteRtTensorType input_type = type_of(engine, tensor, "input", type, shape, 4);
    expect(engine, api->GetSubgraphOutput(subgraph, 0, &tensor), "find the output", advice);
    const LiteRtTensorType output_type = type_of(engine, tensor, "output", LITERT_FLOAT32, embedding, 2);
    expect(engine, api->CreateTensorBufferFromHostMemory(&input_type, input, input_bytes, NULL, &engine->input),
           "make the input", advice);
    expect(engine, api->CreateTensorBufferFromHostMemory(&output_type, output, output_bytes, NULL, &engine->output),
           "make the output", advice);
}

static void run_model(Engine *engine) {
    expect(engine, engine->api.RunCompiledModel(engine->compiled, 0, 1, &engine->input, 1, &engine->output),
           "run this model", "export it again, or take a newer libLiteRt.so");
}

static void close_model(Engine *engine) {
    engine->api.DestroyCompiledModel(engine->compiled);
    engine->api.DestroyModel(engine->model);
}

static void stop(Engine *engine) {
    engine->api.DestroyTensorBuffer(engine->input);
    engine->api.DestroyTensorBuffer(engine->output);
    engine->api.DestroyOptions(engine->options);
    engine->api.DestroyEnvironment(engine->environment);
    free(engine);
}

const Runtime LITERT = {
    .format = "litert",
    .suffix = ".tflite",
    .name = "litert",
    .backend = "XNNPACK",
    .right_library = "take libLiteRt.so of LiteRT, built for this device",
    .start = start,
    .open = open_model,
    .bind = bind_model,
    .run = run_model,
    .close = close_model,
    .stop = stop,
};
