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
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 30)
    clock_gettime(CLOCK_MONOTONIC, &end);
#else
    clock_gettime(CLOCK_REALTIME, &end);
#endif
    end.tv_sec += (time_t)timeout;
    end.tv_nsec += (long)((timeout - (double)(time_t)timeout) * 1e9);
    if (end.tv_nsec >= 1000000000L) {
        end.tv_nsec -= 1000000000L;
        end.tv_sec++;
    }
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 30)
    sem_clockwait(event, CLOCK_MONOTONIC, &end);
#else
    sem_timedwait(event, &end);
#endif
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
