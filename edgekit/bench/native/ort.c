/* ONNX Runtime, on the CPU. */
#include "ort_api.h"
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>

struct Engine {
    const Arguments *arguments;
    const OrtApi *api;
    OrtEnv *env;
    OrtSessionOptions *options;
    OrtSession *session;
    OrtAllocator *allocator;
    OrtMemoryInfo *memory;
    char *input_name, *output_name;
    OrtValue *input, *output;
};

/* End the process where the runtime says no. */
static void expect(const Engine *engine, OrtStatus *status, const char *what, const char *advice) {
    if (status != NULL) {
        fail(EXIT_RUNTIME, "%.200s: cannot %s (%.400s): %s", engine->arguments->model, what,
             engine->api->GetErrorMessage(status), advice);
    }
}

static const OrtApi *load(const Arguments *arguments, const char **version) {
    const char *const path = arguments->library;
    void *library = open_library(arguments);
    const OrtApiBase *(*get_base)(void) = (const OrtApiBase *(*)(void))find_function(library, "OrtGetApiBase");
    const OrtApiBase *base = get_base == NULL ? NULL : get_base();
    if (base == NULL || base->GetApi == NULL || base->GetVersionString == NULL) {
        fail(EXIT_RUNTIME, "--library %.200s: is not ONNX Runtime (it has no OrtGetApiBase): %s", path,
             ONNX_RUNTIME.right_library);
    }
    *version = base->GetVersionString();
    /* An old runtime prints a line of its own when asked for a table that it does not have: look at its version first. */
    unsigned major = 0, minor = 0;
    bool old = *version != NULL && sscanf(*version, "%9u.%9u", &major, &minor) == 2 && major == 1 &&
               minor < ORT_API_ASKED;
    const OrtApi *api = old ? NULL : base->GetApi(ORT_API_ASKED);
    if (api == NULL) {
        fail(EXIT_RUNTIME, "--library %.200s: ONNX Runtime %.40s has no C interface of version %d: %s", path,
             *version ? *version : "of unknown version", ORT_API_ASKED, ONNX_RUNTIME.right_library);
    }
    return api;
}

static Engine *start(const Arguments *arguments, const char **version) {
    Engine *engine = take(sizeof *engine);
    const OrtApi *api = engine->api = load(arguments, version);
    const char *const advice = ONNX_RUNTIME.right_library;
    engine->arguments = arguments;
    expect(engine, api->CreateEnv(ORT_LOG_FATAL, "edgekit_bench", &engine->env), "start the runtime", advice);
    expect(engine, api->CreateSessionOptions(&engine->options), "make options", advice);
    expect(engine, api->SetSessionLogSeverityLevel(engine->options, ORT_LOG_FATAL), "set the log", advice);
    expect(engine, api->SetIntraOpNumThreads(engine->options, (int)arguments->threads), "set the threads",
           "give fewer --threads");
    expect(engine, api->SetInterOpNumThreads(engine->options, 1), "set the threads", advice);
    /* On x86 without VNNI the runtime would cut sums of 8-bit products off at 16 bits; on arm64 this does nothing. */
    expect(engine, api->AddSessionConfigEntry(engine->options, "session.x64quantprecision", "1"), "set an option",
           advice);
    return engine;
}

static void open_model(Engine *engine) {
    OrtStatus *status =
        engine->api->CreateSession(engine->env, engine->arguments->model, engine->options, &engine->session);
    expect(engine, status, "load this model", "export it again, or take a newer libonnxruntime.so");
}

/* One input or output: its type and shape must be the due ones. */
static void check_tensor(const Engine *engine, OrtTypeInfo *info, const char *which, int type, const int64_t *shape,
                         size_t rank) {
    const char *const advice = "export the model with edgekit";
    const OrtApi *api = engine->api;
    const OrtTensorInfo *tensor = NULL;
    expect(engine, api->CastTypeInfoToTensorInfo(info, &tensor), "read a type", advice);
    int found_type = 0;
    size_t found_rank = 0;
    int64_t found[4] = {0, 0, 0, 0};
    if (tensor != NULL) {
        expect(engine, api->GetTensorElementType(tensor, &found_type), "read an element type", advice);
        expect(engine, api->GetDimensionsCount(tensor, &found_rank), "read a shape", advice);
        if (found_rank == rank) expect(engine, api->GetDimensions(tensor, found, rank), "read a shape", advice);
    }
    check_shape(engine->arguments, which, tensor != NULL && found_type == type, type == ORT_UINT8 ? "uint8" : "float32",
                found, found_rank, shape, rank);
    api->ReleaseTypeInfo(info);
}

static void bind_model(Engine *engine, void *input, size_t input_bytes, float *output, size_t output_bytes) {
    const OrtApi *api = engine->api;
    const Arguments *arguments = engine->arguments;
    const char *const advice = "export the model with edgekit";
    size_t inputs = 0, outputs = 0;
    expect(engine, api->SessionGetInputCount(engine->session, &inputs), "count the inputs", advice);
    expect(engine, api->SessionGetOutputCount(engine->session, &outputs), "count the outputs", advice);
    check_counts(arguments, inputs, outputs);
    const int64_t embedding[2] = {1, (int64_t)arguments->dim};
    const int type = arguments->layout == NHWC_U8 ? ORT_UINT8 : ORT_FLOAT;
    int64_t shape[4];
    input_shape(arguments, shape);

    OrtTypeInfo *info = NULL;
    expect(engine, api->SessionGetInputTypeInfo(engine->session, 0, &info), "read the input's type", advice);
    check_tensor(engine, info, "input", type, shape, 4);
    expect(engine, api->SessionGetOutputTypeInfo(engine->session, 0, &info), "read the output's type", advice);
    check_tensor(engine, info, "output", ORT_FLOAT, embedding, 2);

    expect(engine, api->GetAllocatorWithDefaultOptions(&engine->allocator), "get an allocator", advice);
    expect(engine, api->SessionGetInputName(engine->session, 0, engine->allocator, &engine->input_name),
           "read the input's name", advice);
    expect(engine, api->SessionGetOutputName(engine->session, 0, engine->allocator, &engine->output_name),
           "read the output's name", advice);
    expect(engine, api->CreateCpuMemoryInfo(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &engine->memory),
           "describe memory", advice);
    expect(engine,
           api->CreateTensorWithDataAsOrtValue(engine->memory, input, input_bytes, shape, 4, type, &engine->input),
           "make the input", advice);
    expect(engine,
           api->CreateTensorWithDataAsOrtValue(engine->memory, output, output_bytes, embedding, 2, ORT_FLOAT,
                                               &engine->output),
           "make the output", advice);
}

static void run_model(Engine *engine) {
    const char *const input_names[1] = {engine->input_name}, *const output_names[1] = {engine->output_name};
    const OrtValue *const inputs[1] = {engine->input};
    OrtValue *outputs[1] = {engine->output};
    OrtStatus *status = engine->api->Run(engine->session, NULL, input_names, inputs, 1, output_names, 1, outputs);
    expect(engine, status, "run this model", "export it again, or take a newer libonnxruntime.so");
}

static void close_model(Engine *engine) {
    engine->api->ReleaseSession(engine->session);
    engine->session = NULL;
}

static void stop(Engine *engine) {
    const OrtApi *api = engine->api;
    const char *const advice = ONNX_RUNTIME.right_library;
    api->ReleaseValue(engine->input);
    api->ReleaseValue(engine->output);
    api->ReleaseMemoryInfo(engine->memory);
    expect(engine, api->AllocatorFree(engine->allocator, engine->input_name), "free a name", advice);
    expect(engine, api->AllocatorFree(engine->allocator, engine->output_name), "free a name", advice);
    api->ReleaseSessionOptions(engine->options);
    api->ReleaseEnv(engine->env);
    free(engine);
}

const Runtime ONNX_RUNTIME = {
    .format = "onnx",
    .suffix = ".onnx",
    .name = "onnxruntime",
    .backend = "CPUExecutionProvider",
    .right_library = "take libonnxruntime.so 1.17 or newer, built for this device",
    .start = start,
    .open = open_model,
    .bind = bind_model,
    .run = run_model,
    .close = close_model,
    .stop = stop,
};
