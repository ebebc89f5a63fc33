/* Sets the time of day back by an hour, for the processes that preload it, as soon as a file is there.
   Clocks that only run, such as CLOCK_MONOTONIC, are left alone: nobody can set those. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec *);

static long back(void) {
    static volatile long found, looked = -1; /* it is looked for once a second: programs ask for the time often */
    struct timespec running;
    real(CLOCK_MONOTONIC_COARSE, &running);
    if (running.tv_sec != looked) {
        const char *file = getenv("LAPE_CLOCK_IS_BACK");
        found = file && access(file, F_OK) == 0 ? 3600 : 0;
        looked = running.tv_sec;
    }
    return found;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec -= back();
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    int status = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return status;
}

time_t time(time_t *seconds) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (seconds) *seconds = precise.tv_sec;
    return precise.tv_sec;
}
