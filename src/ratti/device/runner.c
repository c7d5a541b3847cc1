/* Times a model on a phone or a gateway: one thread of one static program, which is pushed there.

   runner ROUNDS SECONDS: standard input holds the inputs of some inferences. Each runs once, and its outputs are
   written. Then the first one runs ROUNDS times, and on until SECONDS have passed. Behind the outputs come lines of
   text, one a second (and one for what is left at the end):

       slice SECONDS RUNS FIRST-QUARTILE MEDIAN THIRD-QUARTILE MHZ MILLICELSIUS
       peak KIB

   with times of one inference in nanoseconds, the highest clock and the hottest sensor of the moment; 0 where the
   system does not tell. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

static int32_t arena[(MODEL_ARENA_BYTES + 3) / 4];

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The largest number in the files that match. */
static long largest(const char *pattern)
{
    glob_t found;
    long most = 0;
    size_t k;
    if (glob(pattern, 0, NULL, &found) != 0)
        return 0;
    for (k = 0; k < found.gl_pathc; k++) {
        char text[32];
        const int file = open(found.gl_pathv[k], O_RDONLY);
        const ssize_t bytes = file < 0 ? -1 : read(file, text, sizeof text - 1);
        if (bytes > 0) {
            text[bytes] = 0;
            if (atol(text) > most)
                most = atol(text);
        }
        if (file >= 0)
            close(file);
    }
    globfree(&found);
    return most;
}

/* KiB of memory that this program has used at most; getrusage would count what its parent used before. */
static long peak(void)
{
    FILE *const file = fopen("/proc/self/status", "r");
    char line[200];
    long most = 0;
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0)
            most = atol(line + 6);
    if (file)
        fclose(file);
    return most;
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void tell(int64_t *times, long count, int64_t since)
{
    qsort(times, (size_t)count, sizeof *times, by_size);
    printf("slice %.2f %ld %lld %lld %lld %ld %ld\n", (double)since * 1e-9, count, (long long)times[count / 4],
           (long long)times[count / 2], (long long)times[count - 1 - count / 4],
           largest("/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq") / 1000,
           largest("/sys/class/thermal/thermal_zone*/temp"));
    fflush(stdout); /* who has gone away ends the program here */
}

int main(int argc, char **argv)
{
    enum { MOST = 1 << 17 };
    static char inputs[MODEL_INPUTS_BYTES], first[MODEL_INPUTS_BYTES];
    static int64_t times[MOST];
    const long rounds = argc > 1 ? atol(argv[1]) : 1;
    const int64_t least = (int64_t)(1e9 * (argc > 2 ? atof(argv[2]) : 0));
    int64_t begin, told, end;
    long inferences = 0, runs = 0, count = 0;
    for (; fread(inputs, 1, sizeof inputs, stdin) == sizeof inputs; inferences++) {
        if (inferences == 0)
            memcpy(first, inputs, sizeof first);
        model_write((int8_t *)arena, inputs);
        MODEL_RUN((int8_t *)arena);
        model_read((const int8_t *)arena, stdout);
    }
    if (inferences == 0)
        return 1;
    begin = told = now();
    do {
        int64_t start;
        model_write((int8_t *)arena, first);
        start = now();
        MODEL_RUN((int8_t *)arena);
        end = now();
        runs++;
        times[count++] = end - start;
        if (end - told >= 1000000000 || count == MOST) {
            tell(times, count, end - begin);
            count = 0, told = end;
        }
    } while (runs < rounds || end - begin < least);
    if (count)
        tell(times, count, end - begin);
    printf("peak %ld\n", peak());
    return 0;
}
