/* Load the model, run it, compare every output. */
#include "draft.h"
#include "runtime.h"
#include "sha256.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SPARE = 64 }; /* bytes behind a tensor that vector instructions may read */

typedef struct {
    const Arguments *arguments;
    const Files *files;
    Engine *engine;
    void *input;   /* one image as the model takes it, refilled before every run */
    float *output; /* one embedding, spoilt before every run */
    uint8_t *pixels; /* one image as its file holds it, where the model takes another form */
    Draft rows;      /* the embeddings, where they are asked for */
    Sha256 hash;     /* of them */
    size_t turns;  /* inferences so far; the image of each is turns % count */
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

/* Put one image into the model's input: uint8 [H,W,3] as it is, or as float32 with values 0-255, [H,W,3] or [3,H,W]. */
static void set_input(Runner *runner, size_t image) {
    const Layout layout = runner->arguments->layout;
    const uint8_t *pixels = runner->pixels;
    read_image(runner->arguments, runner->files, image, layout == NHWC_U8 ? runner->input : runner->pixels);
    if (layout == NHWC_U8) return;
    const size_t area = runner->arguments->height * runner->arguments->width;
    const size_t step = layout == NHWC ? CHANNELS : 1, plane = layout == NHWC ? 1 : area;
    float *values = runner->input;
    for (size_t at = 0; at < area; at++) {
        for (size_t channel = 0; channel < CHANNELS; channel++) {
            values[at * step + channel * plane] = (float)pixels[at * CHANNELS + channel];
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

static void keep_row(Runner *runner, Measurement *measured) {
    const size_t bytes = runner->arguments->dim * sizeof *runner->output;
    write_draft(&runner->rows, runner->output, bytes);
    sha256_add(&runner->hash, runner->output, bytes);
    measured->rows++;
}

/* One inference of the next image. Only the run is timed. */
static int64_t run_next(Runner *runner, Measurement *measured) {
    const size_t image = runner->turns++ % runner->arguments->count;
    set_input(runner, image);
    for (size_t i = 0; i < runner->arguments->dim; i++) runner->output[i] = NAN; /* an output left as it was shows */

    const int64_t start = now_ns();
    runner->arguments->runtime->run(runner->engine);
    const int64_t took = now_ns() - start;

    compare(runner, image, measured);
    if (runner->arguments->embeddings != NULL && runner->turns <= runner->arguments->count) keep_row(runner, measured);
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

static int64_t open_model(const Runner *runner) {
    const int64_t start = now_ns();
    runner->arguments->runtime->open(runner->engine);
    return now_ns() - start;
}

/* Aligned as runtimes want it. */
static void *room_for(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes + SPARE) != 0) {
        fail(EXIT_RUNTIME, "no memory for one image and its embedding: free some or use a smaller model");
    }
    memset(memory, 0, bytes + SPARE);
    return memory;
}

static void bind_model(Runner *runner) {
    const Arguments *arguments = runner->arguments;
    const size_t input_bytes = runner->files->image_bytes * (arguments->layout == NHWC_U8 ? 1 : sizeof(float));
    const size_t output_bytes = arguments->dim * sizeof(float);
    runner->input = room_for(input_bytes);
    runner->output = room_for(output_bytes);
    if (arguments->layout != NHWC_U8) runner->pixels = room_for(runner->files->image_bytes);
    arguments->runtime->bind(runner->engine, runner->input, input_bytes, runner->output, output_bytes);
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
    if (arguments->embeddings != NULL) runner.rows = open_draft("embeddings", arguments->embeddings);
    sha256_start(&runner.hash);
    runner.engine = arguments->runtime->start(arguments, &measured.version);

    const int64_t before = memory_now("VmRSS");
    measured.cold_load_ns = open_model(&runner);
    bind_model(&runner);
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

    arguments->runtime->close(runner.engine);
    measured.warm_load_ns = open_model(&runner);
    arguments->runtime->close(runner.engine);
    arguments->runtime->stop(runner.engine);
    free(runner.input);
    free(runner.output);
    free(runner.pixels);
    sha256_end(&runner.hash, measured.sha256);
    if (arguments->embeddings != NULL) publish_draft(&runner.rows);

    measured.images = runner.turns < arguments->count ? runner.turns : arguments->count;
    measured.passed = measured.comparable && measured.min_cosine >= arguments->min_cosine;
    return measured;
}
