/* The result, as an edgekit.bench/1 document. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "draft.h"
#include "runtime.h"

#include <inttypes.h>
#include <locale.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#ifndef EDGEKIT_VERSION
#define EDGEKIT_VERSION "unknown"
#endif

static const char *const TEXT_SAFE = " !#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`"
                                     "abcdefghijklmnopqrstuvwxyz{|}~";
static const char *const NAME_SAFE = "-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* A quoted string of at most 200 characters; every byte that is not among the safe ones becomes `_`. */
static void put_text(FILE *file, const char *text, size_t length, const char *safe) {
    fputc('"', file);
    for (size_t i = 0; i < length && i < 200; i++) fputc(strchr(safe, text[i]) != NULL ? text[i] : '_', file);
    fputc('"', file);
}

static void put_name(FILE *file, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1, *dot = strrchr(name, '.');
    put_text(file, name, dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name), NAME_SAFE);
}

static void put_ms(FILE *file, int64_t ns) { fprintf(file, "%" PRId64 ".%06" PRId64, ns / 1000000, ns % 1000000); }

static void put_bytes(FILE *file, int64_t bytes) {
    if (bytes < 0) {
        fputs("null", file);
    } else {
        fprintf(file, "%" PRId64, bytes);
    }
}

/* The cores that this process may run on. */
static void put_cores(FILE *file) {
    cpu_set_t *cores = CPU_ALLOC(MAX_CORES);
    const size_t bytes = CPU_ALLOC_SIZE(MAX_CORES);
    if (cores != NULL) CPU_ZERO_S(bytes, cores);
    if (cores == NULL || sched_getaffinity(0, bytes, cores) != 0) {
        fputs("null", file);
    } else {
        const char *before = "";
        fputc('[', file);
        for (size_t core = 0; core < MAX_CORES; core++) {
            if (CPU_ISSET_S(core, bytes, cores)) {
                fprintf(file, "%s%zu", before, core);
                before = ", ";
            }
        }
        fputc(']', file);
    }
    if (cores != NULL) CPU_FREE(cores);
}

static void put_report(FILE *file, const Arguments *arguments, const Files *files, const Measurement *measured,
                       const char *started_utc) {
    fprintf(file, "{\n \"schema\": \"" RESULT_SCHEMA "\",\n \"run_id\": \"%s\",\n \"started_utc\": \"%s\",\n",
            arguments->run_id, started_utc);
    fputs(" \"tool\": {\"edgekit\": ", file);
    put_text(file, EDGEKIT_VERSION, strlen(EDGEKIT_VERSION), TEXT_SAFE);
    fputs(", \"runner\": \"android-native\"},\n \"model\": {\"name\": ", file);
    put_name(file, arguments->model);
    fprintf(file,
            ", \"format\": \"%s\", \"sha256\": \"%s\", \"bytes\": %" PRIu64 ", \"input\": [%zu, %zu]},\n"
            " \"runtime\": {\"name\": \"%s\", \"version\": ",
            arguments->runtime->format, arguments->model_sha256, files->model_bytes, arguments->height,
            arguments->width, arguments->runtime->name);
    if (measured->version == NULL) {
        fputs("null", file);
    } else {
        put_text(file, measured->version, strlen(measured->version), TEXT_SAFE);
    }
    fprintf(file, ", \"backend\": \"%s\", \"threads\": %zu, \"cores\": ", arguments->runtime->backend,
            arguments->threads);
    put_cores(file);
    fprintf(file,
            "},\n \"device\": {\"platform\": \"android\"},\n"
            " \"protocol\": {\"warmup\": %zu, \"min_iterations\": %zu, \"min_duration_s\": %.15g, \"iterations\": %zu, "
            "\"inputs\": %zu},\n",
            arguments->warmup, arguments->iterations, arguments->duration, measured->samples, arguments->count);
    fputs(" \"latency_ms\": {\"cold_load\": ", file);
    put_ms(file, measured->cold_load_ns);
    fputs(", \"warm_load\": ", file);
    put_ms(file, measured->warm_load_ns);
    fputs(", \"first\": ", file);
    put_ms(file, measured->first_ns);
    fputs(", \"min\": null, \"mean\": null, \"std\": null, \"max\": null, \"p50\": null, \"p90\": null, \"p95\": null, "
          "\"p99\": null, \"first_decile_p50\": null, \"last_decile_p50\": null, \"outliers\": null,\n  \"samples\": [",
          file);
    for (size_t i = 0; i < measured->samples; i++) {
        if (i > 0) fputs(", ", file);
        put_ms(file, measured->samples_ns[i]);
    }
    fputs("]},\n \"memory_bytes\": {\"peak_rss\": ", file);
    put_bytes(file, measured->peak_rss);
    fputs(", \"loaded\": ", file);
    put_bytes(file, measured->loaded);
    fprintf(file, "},\n \"check\": {\"images\": %zu, \"min_cosine\": ", measured->images);
    if (measured->comparable) {
        fprintf(file, "%.17g, \"max_abs\": %.17g", measured->min_cosine, measured->max_abs);
    } else {
        fputs("null, \"max_abs\": null", file);
    }
    fprintf(file, ", \"passed\": %s},\n \"validity\": {\"valid\": %s, \"reasons\": [%s]},\n",
            measured->passed ? "true" : "false", measured->passed ? "true" : "false",
            measured->passed ? "" : "\"wrong-output\"");
    if (arguments->embeddings != NULL) {
        fprintf(file, " \"embeddings\": {\"rows\": %zu, \"sha256\": \"%s\"},\n", measured->rows, measured->sha256);
    }
    fputs(" \"errors\": []\n}\n", file);
}

void write_report(const Arguments *arguments, const Files *files, const Measurement *measured,
                  const char *started_utc) {
    Draft draft = open_draft("out", arguments->out);
    setlocale(LC_ALL, "C"); /* whatever the runtime's library has set */
    put_report(draft.file, arguments, files, measured, started_utc);
    publish_draft(&draft);
}
