/* Load the model, run it, compare every output: with ONNX Runtime, whose library is opened while running. */
#include "common.h"
#include "ort_api.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    const Arguments *arguments;
    const Files *files;
    const OrtApi *api;
    OrtEnv *env;
    OrtSessionOptions *options;
    OrtSession *session;
    OrtAllocator *allocator;
    OrtMemoryInfo *memory;
    char *input_name, *output_name;
    void *input;   /* one image as the model takes it, refilled before every run */
    float *output; /* one embedding, spoilt before every run */
    OrtValue *input_value, *output_value;
    size_t turns; /* inferences so far; the image of each is turns % count */
} Runner;

static int64_t now_ns(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) fail(EXIT_RUNTIME, "the monotonic clock cannot be read");
    return (int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec;
}

/* A line of /proc/self/status in bytes, or -1. */
static int64_t memory_now(const char *key) {
    FILE *status = fopen("/proc/self/status", "re");
    if (status == NULL) return -1;
    char line[256];
    int64_t bytes = -1;
    size_t length = strlen(key);
    while (fgets(line, sizeof line, status) != NULL) {
        long long kilobytes = 0;
        if (strncmp(line, key, length) == 0 && line[length] == ':' &&
            sscanf(line + length + 1, "%12lld kB", &kilobytes) == 1 && kilobytes >= 0) {
            bytes = (int64_t)kilobytes * 1024;
        }
    }
    fclose(status);
    return bytes;
}

/* End the process where the runtime says no. */
static void expect(const Runner *runner, OrtStatus *status, const char *what, const char *advice) {
    if (status != NULL) {
        fail(EXIT_RUNTIME, "%.200s: cannot %s (%.400s): %s", runner->arguments->model, what,
             runner->api->GetErrorMessage(status), advice);
    }
}

static const char *const WRONG_LIBRARY = "take libonnxruntime.so 1.17 or newer, built for this device";

/* dlopen looks for a name without a slash in the system's folders only; here the current folder comes first. */
static void *open_library(const char *path) {
    if (strchr(path, '/') != NULL || access(path, F_OK) != 0) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const size_t room = strlen(path) + 3;
    char *here = malloc(room);
    if (here == NULL) fail(EXIT_RUNTIME, "no memory for a file name: free some");
    snprintf(here, room, "./%s", path);
    void *library = dlopen(here, RTLD_NOW | RTLD_LOCAL);
    free(here);
    return library;
}

static const OrtApi *load_library(const char *path, const char **version) {
    void *library = open_library(path);
    if (library == NULL) {
        const char *reason = dlerror();
        fail(EXIT_RUNTIME, "--library %.200s: does not load (%.400s): %s", path, reason ? reason : "unknown reason",
             WRONG_LIBRARY);
    }
    const OrtApiBase *(*get_base)(void) = NULL;
    void *symbol = dlsym(library, "OrtGetApiBase");
    _Static_assert(sizeof get_base == sizeof symbol, "POSIX: a function's address is a pointer");
    memcpy(&get_base, &symbol, sizeof symbol);
    const OrtApiBase *base = get_base == NULL ? NULL : get_base();
    if (base == NULL || base->GetApi == NULL || base->GetVersionString == NULL) {
        fail(EXIT_RUNTIME, "--library %.200s: is not ONNX Runtime (it has no OrtGetApiBase): %s", path, WRONG_LIBRARY);
    }
    *version = base->GetVersionString();
    /* An old runtime prints a line of its own when asked for a table that it does not have: look at its version first. */
    unsigned major = 0, minor = 0;
    bool old = *version != NULL && sscanf(*version, "%9u.%9u", &major, &minor) == 2 && major == 1 &&
               minor < ORT_API_ASKED;
    const OrtApi *api = old ? NULL : base->GetApi(ORT_API_ASKED);
    if (api == NULL) {
        fail(EXIT_RUNTIME, "--library %.200s: ONNX Runtime %.40s has no C interface of version %d: %s", path,
             *version ? *version : "of unknown version", ORT_API_ASKED, WRONG_LIBRARY);
    }
    return api;
}

/* One input or output: its type and shape must be the expected ones, where a size that is open fits every number. */
static void check_tensor(const Runner *runner, OrtTypeInfo *info, const char *which, int type, const char *type_name,
                         const int64_t *shape, size_t rank) {
    const char *const advice = "export the model with edgekit, or correct --layout, --height, --width and --dim";
    const OrtApi *api = runner->api;
    const OrtTensorInfo *tensor = NULL;
    expect(runner, api->CastTypeInfoToTensorInfo(info, &tensor), "read a type", advice);
    int found_type = 0;
    size_t found_rank = 0;
    int64_t found[4] = {0, 0, 0, 0};
    if (tensor != NULL) {
        expect(runner, api->GetTensorElementType(tensor, &found_type), "read an element type", advice);
        expect(runner, api->GetDimensionsCount(tensor, &found_rank), "read a shape", advice);
        if (found_rank == rank) expect(runner, api->GetDimensions(tensor, found, rank), "read a shape", advice);
    }
    bool fits = tensor != NULL && found_type == type && found_rank == rank;
    for (size_t i = 0; fits && i < rank; i++) fits = found[i] < 0 || found[i] == shape[i];
    if (!fits) {
        char wanted[128] = "";
        for (size_t i = 0, used = 0; i < rank && used < sizeof wanted; i++) {
            int more = snprintf(wanted + used, sizeof wanted - used, "%s%lld", i ? "," : "", (long long)shape[i]);
            used += more > 0 ? (size_t)more : 0;
        }
        fail(EXIT_RUNTIME, "%.200s: its %s is not %s [%s]: %s", runner->arguments->model, which, type_name, wanted,
             advice);
    }
    api->ReleaseTypeInfo(info);
}

static int64_t open_session(Runner *runner) {
    int64_t start = now_ns();
    OrtStatus *status =
        runner->api->CreateSession(runner->env, runner->arguments->model, runner->options, &runner->session);
    int64_t took = now_ns() - start;
    expect(runner, status, "load this model", "export it again, or take a newer libonnxruntime.so");
    return took;
}

static void check_model(Runner *runner) {
    const OrtApi *api = runner->api;
    const Arguments *arguments = runner->arguments;
    const char *const advice = "export the model with edgekit";
    size_t inputs = 0, outputs = 0;
    expect(runner, api->SessionGetInputCount(runner->session, &inputs), "count the inputs", advice);
    expect(runner, api->SessionGetOutputCount(runner->session, &outputs), "count the outputs", advice);
    if (inputs != 1 || outputs != 1) {
        fail(EXIT_RUNTIME, "%.200s: has %zu inputs and %zu outputs, an embedder has one of each: %s", arguments->model,
             inputs, outputs, advice);
    }
    const int64_t height = (int64_t)arguments->height, width = (int64_t)arguments->width;
    const int64_t planes[4] = {1, CHANNELS, height, width}, pixels[4] = {1, height, width, CHANNELS};
    const int64_t embedding[2] = {1, (int64_t)arguments->dim};
    const int64_t *shape = arguments->bytes ? pixels : planes;
    const int type = arguments->bytes ? ORT_UINT8 : ORT_FLOAT;
    const size_t input_bytes = runner->files->image_bytes * (arguments->bytes ? 1 : sizeof(float));
    const size_t output_bytes = arguments->dim * sizeof(float);

    OrtTypeInfo *info = NULL;
    expect(runner, api->SessionGetInputTypeInfo(runner->session, 0, &info), "read the input's type", advice);
    check_tensor(runner, info, "input", type, arguments->bytes ? "uint8" : "float32", shape, 4);
    expect(runner, api->SessionGetOutputTypeInfo(runner->session, 0, &info), "read the output's type", advice);
    check_tensor(runner, info, "output", ORT_FLOAT, "float32", embedding, 2);

    expect(runner, api->GetAllocatorWithDefaultOptions(&runner->allocator), "get an allocator", advice);
    expect(runner, api->SessionGetInputName(runner->session, 0, runner->allocator, &runner->input_name),
           "read the input's name", advice);
    expect(runner, api->SessionGetOutputName(runner->session, 0, runner->allocator, &runner->output_name),
           "read the output's name", advice);

    void *input = NULL, *output = NULL;
    if (posix_memalign(&input, 64, input_bytes) != 0 || posix_memalign(&output, 64, output_bytes) != 0) {
        fail(EXIT_RUNTIME, "no memory for one image and its embedding: free some or use a smaller model");
    }
    runner->input = input;
    runner->output = output;
    expect(runner, api->CreateCpuMemoryInfo(ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &runner->memory),
           "describe memory", advice);
    expect(runner,
           api->CreateTensorWithDataAsOrtValue(runner->memory, input, input_bytes, shape, 4, type, &runner->input_value),
           "make the input", advice);
    expect(runner,
           api->CreateTensorWithDataAsOrtValue(runner->memory, output, output_bytes, embedding, 2, ORT_FLOAT,
                                               &runner->output_value),
           "make the output", advice);
}

/* Put one image into the model's input: uint8 [H,W,3] as it is, or as float32 [3,H,W] with values 0-255. */
static void set_input(Runner *runner, size_t image) {
    const uint8_t *pixels = runner->files->images + image * runner->files->image_bytes;
    if (runner->arguments->bytes) {
        memcpy(runner->input, pixels, runner->files->image_bytes);
        return;
    }
    const size_t area = runner->arguments->height * runner->arguments->width;
    float *planes = runner->input;
    for (size_t at = 0; at < area; at++) {
        for (size_t channel = 0; channel < CHANNELS; channel++) {
            planes[channel * area + at] = (float)pixels[at * CHANNELS + channel];
        }
    }
}

static void compare(const Runner *runner, size_t image, Measurement *measured) {
    const size_t dim = runner->arguments->dim;
    const float *golden = runner->files->golden + image * dim;
    double dot = 0, golden_square = 0, output_square = 0, max_abs = 0;
    bool finite = true;
    for (size_t i = 0; i < dim; i++) {
        const double output = (double)runner->output[i], wanted = (double)golden[i];
        if (!isfinite(output)) finite = false;
        dot += output * wanted;
        golden_square += wanted * wanted;
        output_square += output * output;
        max_abs = fmax(max_abs, fabs(output - wanted));
    }
    const double cosine = dot / (sqrt(golden_square) * sqrt(output_square));
    if (!finite || !isfinite(cosine) || max_abs > MAX_DIFFERENCE) {
        measured->comparable = false;
        return;
    }
    measured->min_cosine = fmin(measured->min_cosine, cosine);
    measured->max_abs = fmax(measured->max_abs, max_abs);
}

/* One inference of the next image. Only Run is timed. */
static int64_t run_next(Runner *runner, Measurement *measured) {
    const size_t image = runner->turns++ % runner->arguments->count;
    const char *const input_names[1] = {runner->input_name}, *const output_names[1] = {runner->output_name};
    const OrtValue *const inputs[1] = {runner->input_value};
    OrtValue *outputs[1] = {runner->output_value};
    set_input(runner, image);
    for (size_t i = 0; i < runner->arguments->dim; i++) runner->output[i] = NAN; /* an output left as it was shows */

    const int64_t start = now_ns();
    OrtStatus *status = runner->api->Run(runner->session, NULL, input_names, inputs, 1, output_names, 1, outputs);
    const int64_t took = now_ns() - start;

    expect(runner, status, "run this model", "export it again, or take a newer libonnxruntime.so");
    compare(runner, image, measured);
    return took;
}

static void keep(Measurement *measured, int64_t took) {
    if (measured->samples == measured->samples_room) {
        size_t room = measured->samples_room == 0 ? 4096 : 2 * measured->samples_room;
        int64_t *more = realloc(measured->samples_ns, room * sizeof *more);
        if (more == NULL) fail(EXIT_RUNTIME, "no memory for %zu samples: give a shorter --duration", room);
        measured->samples_ns = more;
        measured->samples_room = room;
    }
    measured->samples_ns[measured->samples++] = took;
}

static void open_runtime(Runner *runner) {
    const OrtApi *api = runner->api;
    expect(runner, api->CreateEnv(ORT_LOG_FATAL, "edgekit_bench", &runner->env), "start the runtime", WRONG_LIBRARY);
    expect(runner, api->CreateSessionOptions(&runner->options), "make options", WRONG_LIBRARY);
    expect(runner, api->SetSessionLogSeverityLevel(runner->options, ORT_LOG_FATAL), "set the log", WRONG_LIBRARY);
    expect(runner, api->SetIntraOpNumThreads(runner->options, (int)runner->arguments->threads), "set the threads",
           "give fewer --threads");
    expect(runner, api->SetInterOpNumThreads(runner->options, 1), "set the threads", WRONG_LIBRARY);
    /* On x86 without VNNI the runtime would cut sums of 8-bit products off at 16 bits; on arm64 this does nothing. */
    expect(runner, api->AddSessionConfigEntry(runner->options, "session.x64quantprecision", "1"), "set an option",
           WRONG_LIBRARY);
}

static void release(Runner *runner) {
    const OrtApi *api = runner->api;
    api->ReleaseValue(runner->input_value);
    api->ReleaseValue(runner->output_value);
    api->ReleaseMemoryInfo(runner->memory);
    expect(runner, api->AllocatorFree(runner->allocator, runner->input_name), "free a name", WRONG_LIBRARY);
    expect(runner, api->AllocatorFree(runner->allocator, runner->output_name), "free a name", WRONG_LIBRARY);
    api->ReleaseSession(runner->session);
    api->ReleaseSessionOptions(runner->options);
    api->ReleaseEnv(runner->env);
    free(runner->input);
    free(runner->output);
}

Measurement measure(const Arguments *arguments, const Files *files) {
    Measurement measured;
    Runner runner;
    memset(&measured, 0, sizeof measured);
    memset(&runner, 0, sizeof runner);
    measured.min_cosine = INFINITY;
    measured.comparable = true;
    runner.arguments = arguments;
    runner.files = files;
    runner.api = load_library(arguments->library, &measured.version);
    open_runtime(&runner);

    const int64_t before = memory_now("VmRSS");
    measured.cold_load_ns = open_session(&runner);
    check_model(&runner);
    measured.first_ns = run_next(&runner, &measured);
    for (size_t i = 0; i < arguments->warmup; i++) run_next(&runner, &measured);

    const int64_t least_ns = (int64_t)ceil(arguments->duration * 1e9), start = now_ns();
    while (measured.samples < MAX_SAMPLES &&
           (measured.samples < arguments->iterations || now_ns() - start < least_ns)) {
        keep(&measured, run_next(&runner, &measured));
    }
    measured.peak_rss = memory_now("VmHWM");
    measured.loaded = -1;
    if (before >= 0 && measured.peak_rss >= before) measured.loaded = measured.peak_rss - before;

    runner.api->ReleaseSession(runner.session);
    runner.session = NULL;
    measured.warm_load_ns = open_session(&runner);
    release(&runner);

    measured.images = runner.turns < arguments->count ? runner.turns : arguments->count;
    measured.passed = measured.comparable && measured.min_cosine >= arguments->min_cosine;
    return measured;
}
