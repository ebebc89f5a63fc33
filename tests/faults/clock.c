/* Sets the time of day back by an hour, for the processes that preload it, as soon as a file is there.
   Clocks that only run, such as CLOCK_MONOTONIC, are left alone: nobody can set those.

   Ray's own daemons keep their time: their timers (boost's deadline_timer) go by the time of day, and stand still for
   as long as it was set back. Nodes then hear nothing new of each other, and trials aren't placed.

   The kernel keeps its own time of day, so the end of a wait that a program asks for by that clock is put forward by
   what the program's clock is back. Without this every such wait would have ended an hour ago, and loops around them
   would spin. A wait whose end was reckoned before the clock went back lasts an hour longer, as with a real clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec *);

static int is_rays_daemon(void) {
    const char *name = program_invocation_short_name;
    return !strcmp(name, "raylet") || !strcmp(name, "gcs_server");
}

static long back(void) {
    static volatile long found, looked = -1; /* it is looked for once a second: programs ask for the time often */
    struct timespec running;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    real(CLOCK_MONOTONIC_COARSE, &running);
    if (running.tv_sec != looked) {
        const char *file = getenv("LAPE_CLOCK_IS_BACK");
        found = file && !is_rays_daemon() && access(file, F_OK) == 0 ? 3600 : 0;
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

/* The end of a wait by the kernel's time of day. A condition doesn't tell its clock: what lies between 2001 and 5138
   is a time of day, since CLOCK_MONOTONIC counts from the machine's start, and what is later stands for "for ever". */
static const struct timespec *forward(const struct timespec *end, struct timespec *kernels) {
    if (!end || end->tv_sec < 1000000000 || end->tv_sec > 100000000000) return end;
    *kernels = *end;
    kernels->tv_sec += back();
    return kernels;
}

/* The C library's own function; of conditions not the one of an older format, which has the same name. */
static void *original(const char *name) {
    void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    return found ? found : dlsym(RTLD_NEXT, name);
}

#define ORIGINAL(name) \
    static __typeof__(&name) original_##name; \
    if (!original_##name) original_##name = original(#name)

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict end) {
    ORIGINAL(pthread_cond_timedwait);
    struct timespec kernels;
    return original_pthread_cond_timedwait(condition, mutex, forward(end, &kernels));
}

int pthread_cond_clockwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, clockid_t clock,
                           const struct timespec *restrict end) {
    ORIGINAL(pthread_cond_clockwait);
    struct timespec kernels;
    return original_pthread_cond_clockwait(condition, mutex, clock, forward(end, &kernels));
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict end) {
    ORIGINAL(pthread_mutex_timedlock);
    struct timespec kernels;
    return original_pthread_mutex_timedlock(mutex, forward(end, &kernels));
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict end) {
    ORIGINAL(sem_timedwait);
    struct timespec kernels;
    return original_sem_timedwait(semaphore, forward(end, &kernels));
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict end) {
    ORIGINAL(sem_clockwait);
    struct timespec kernels;
    return original_sem_clockwait(semaphore, clock, forward(end, &kernels));
}

/* Abseil, on which gRPC and Ray are built, asks the kernel itself. */
long syscall(long number, ...) {
    ORIGINAL(syscall);
    struct timespec kernels;
    long given[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++) given[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_futex && (given[1] & FUTEX_CLOCK_REALTIME))
        given[3] = (long)forward((const struct timespec *)given[3], &kernels);
    return original_syscall(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
