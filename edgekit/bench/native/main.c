/* edgekit_bench: measure an embedder on this device and write one edgekit.bench/1 result. See ../README.md. */
#include "common.h"
#include "draft.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **values) {
    const Arguments arguments = parse_arguments(count, values);
    check_place("out", arguments.out);
    if (arguments.embeddings != NULL) check_place("embeddings", arguments.embeddings);
    Files files = read_files(&arguments);

    char started_utc[32];
    const time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) == NULL || utc.tm_year < 0 || utc.tm_year > 9999 - 1900 ||
        strftime(started_utc, sizeof started_utc, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        fail(EXIT_RUNTIME, "the clock shows no date between 1900 and 9999: set the device's clock");
    }

    Measurement measured = measure(&arguments, &files);
    write_report(&arguments, &files, &measured, started_utc);
    free(measured.samples_ns);
    close(files.images);
    free(files.golden);
    return 0;
}
