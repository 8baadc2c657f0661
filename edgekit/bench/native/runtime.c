/* The table of runtimes, and what they share. */
#include "runtime.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const Runtime *const RUNTIMES[] = {&ONNX_RUNTIME, &LITERT, &EXECUTORCH};
const size_t RUNTIME_COUNT = sizeof RUNTIMES / sizeof *RUNTIMES;

void *take(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (memory == NULL) fail(EXIT_RUNTIME, "no memory for %zu bytes: free some", bytes);
    return memory;
}

/* dlopen looks for a name without a slash in the system's folders only; here the current folder comes first. */
static void *open_path(const char *path) {
    if (strchr(path, '/') != NULL || access(path, F_OK) != 0) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const size_t room = strlen(path) + 3;
    char *here = take(room);
    snprintf(here, room, "./%s", path);
    void *library = dlopen(here, RTLD_NOW | RTLD_LOCAL);
    free(here);
    return library;
}

void *open_library(const Arguments *arguments) {
    void *library = open_path(arguments->library);
    if (library == NULL) {
        const char *reason = dlerror();
        fail(EXIT_RUNTIME, "--library %.200s: does not load (%.400s): %s", arguments->library,
             reason ? reason : "unknown reason", arguments->runtime->right_library);
    }
    return library;
}

Function find_function(void *library, const char *name) {
    Function function = NULL;
    void *symbol = dlsym(library, name);
    _Static_assert(sizeof function == sizeof symbol, "POSIX: a function's address is a pointer");
    memcpy(&function, &symbol, sizeof symbol);
    return function;
}

void check_counts(const Arguments *arguments, size_t inputs, size_t outputs) {
    if (inputs == 1 && outputs == 1) return;
    fail(EXIT_RUNTIME, "%.200s: has %zu inputs and %zu outputs, an embedder has one of each: export the model with edgekit",
         arguments->model, inputs, outputs);
}

void input_shape(const Arguments *arguments, int64_t shape[4]) {
    const int64_t height = (int64_t)arguments->height, width = (int64_t)arguments->width;
    const int64_t planes[4] = {1, CHANNELS, height, width}, pixels[4] = {1, height, width, CHANNELS};
    memcpy(shape, arguments->layout == NCHW ? planes : pixels, sizeof planes);
}

void check_shape(const Arguments *arguments, const char *which, bool right_type, const char *type_name,
                 const int64_t *found, size_t found_rank, const int64_t *due, size_t rank) {
    bool fits = right_type && found_rank == rank;
    for (size_t i = 0; fits && i < rank; i++) fits = found[i] < 0 || found[i] == due[i];
    if (fits) return;
    char wanted[128] = "";
    for (size_t i = 0, used = 0; i < rank && used < sizeof wanted; i++) {
        int more = snprintf(wanted + used, sizeof wanted - used, "%s%lld", i ? "," : "", (long long)due[i]);
        used += more > 0 ? (size_t)more : 0;
    }
    fail(EXIT_RUNTIME,
         "%.200s: its %s is not %s [%s]: export the model with edgekit, or correct --layout, --height, --width and --dim",
         arguments->model, which, type_name, wanted);
}
