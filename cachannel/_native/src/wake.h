/* Waking one sleeping thread.
 *
 * Where there are semaphores without names (Linux) they are used: the thread that is woken takes
 * no lock. An epicsEvent is a mutex and a condition, and the woken thread often meets its waker
 * still inside; that costs a context switch, a tenth of a round trip to a local server.
 */

#ifndef CC_WAKE_H
#define CC_WAKE_H

#include <stdint.h>
#include <stdlib.h>

#if defined(__linux__)

#include <semaphore.h>
#include <time.h>

#define CC_HAS_CLOCKWAIT 1
#ifdef __GLIBC_PREREQ
#if !__GLIBC_PREREQ(2, 30)
/* Built for an older glibc, as manylinux wheels are; NULL if the process runs on such a glibc. */
extern int sem_clockwait(sem_t *, clockid_t, const struct timespec *) __attribute__((weak));
#undef CC_HAS_CLOCKWAIT
#define CC_HAS_CLOCKWAIT (sem_clockwait != NULL)
#endif
#endif

typedef sem_t *cc_event;

static inline cc_event cc_event_create(void)
{
    sem_t *event = malloc(sizeof *event);

    if (event && sem_init(event, 0, 0)) {
        free(event);
        event = NULL;
    }
    return event;
}

static inline void cc_event_destroy(cc_event event)
{
    sem_destroy(event);
    free(event);
}

static inline void cc_event_signal(cc_event event)
{
    sem_post(event);
}

/* Forget signals that nobody waited for. */
static inline void cc_event_clear(cc_event event)
{
    while (sem_trywait(event) == 0)
        ;
}

/* Sleep for at most so many seconds. May return early for nothing. */
static inline void cc_event_wait(cc_event event, double timeout)
{
    struct timespec end;
    /* The other clock can be set, and then the wait is longer or shorter. */
    clock_gettime(CC_HAS_CLOCKWAIT ? CLOCK_MONOTONIC : CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)timeout;
    end.tv_nsec += (long)((timeout - (double)(time_t)timeout) * 1e9);
    if (end.tv_nsec >= 1000000000L) {
        end.tv_nsec -= 1000000000L;
        end.tv_sec++;
    }
    if (CC_HAS_CLOCKWAIT)
        sem_clockwait(event, CLOCK_MONOTONIC, &end);
    else
        sem_timedwait(event, &end);
}

#else

#include <epicsEvent.h>

typedef epicsEventId cc_event;

static inline cc_event cc_event_create(void)
{
    return epicsEventCreate(epicsEventEmpty);
}

static inline void cc_event_destroy(cc_event event)
{
    epicsEventDestroy(event);
}

static inline void cc_event_signal(cc_event event)
{
    epicsEventSignal(event);
}

static inline void cc_event_clear(cc_event event)
{
    epicsEventTryWait(event);
}

static inline void cc_event_wait(cc_event event, double timeout)
{
    epicsEventWaitWithTimeout(event, timeout);
}

#endif

#endif
