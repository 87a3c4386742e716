/* Keeping libca's threads on one processor while very many channels are searched for.
 *
 * For each answer to a search, libca's UDP thread wakes the thread that sends on the circuit, and
 * both want the same mutex, which passes the priority of who waits on to who holds it. On two
 * processors almost every answer ends in such a meeting, two system calls and two changes of
 * thread: 10,000 channels take half as long again to connect, and twice the CPU time. On one
 * processor the sender runs when the UDP thread has nothing left to do, and sends it all at once,
 * which is what libca counts on.
 *
 * So a burst of new channels brings those threads together, on a processor that is not the
 * caller's, and they are free again as soon as no more channels connect, within two seconds in any
 * case: in the long run the scheduler knows better.
 */

#include "engine.h"

#define BURST_LENGTH 200      /* so many channels */
#define BURST_NS 100000000u   /* within so long make a burst */
#define LOOK_SECONDS 0.1      /* how often to see whether channels still connect */
#define LOOKS 20

#if defined(__linux__) && defined(__GLIBC__)

#include <pthread.h>
#include <sched.h>

static epicsMutexId lock;     /* of what follows; taken before libCom's own, never inside them */
static int is_child;
static int pinned;
static int has_pinned;        /* once at least: `everywhere` is set */
static cpu_set_t everywhere;  /* where those threads ran before */
static cpu_set_t here;
static uint64_t began;        /* the burst being counted, ns */
static uint32_t length;
static size_t connections;    /* of all channels */

static int is_client(epicsThreadId thread)
{
    char name[16];

    epicsThreadGetName(thread, name, sizeof name);
    return strncmp(name, "CAC-", 4) == 0 || strcmp(name, "timerQueue") == 0;
}

static void find_set(epicsThreadId thread)
{
    if (!has_pinned && is_client(thread))
        has_pinned = pthread_getaffinity_np(epicsThreadGetPosixThreadId(thread),
                                            sizeof everywhere, &everywhere) == 0;
}

static void pin(epicsThreadId thread)
{
    if (is_client(thread))
        pthread_setaffinity_np(epicsThreadGetPosixThreadId(thread), sizeof here, &here);
}

static void unpin(epicsThreadId thread)
{
    if (is_client(thread))
        pthread_setaffinity_np(epicsThreadGetPosixThreadId(thread), sizeof everywhere, &everywhere);
}

/* libca's threads inherit the set of the thread that starts them. This runs in each new one, and
 * frees those whose creator was not free yet when all that there were had been set free. */
static void started(epicsThreadId thread)
{
    if (is_child || !has_pinned)
        return;
    epicsMutexMustLock(lock);
    if (!pinned)
        unpin(thread);
    epicsMutexUnlock(lock);
}

static void watch(void *unused)
{
    size_t seen = epicsAtomicGetSizeT(&connections);
    int looks, idle = 0;

    (void)unused;
    for (looks = 0; looks < LOOKS && idle < 2; looks++) {
        size_t now;

        epicsThreadSleep(LOOK_SECONDS);
        now = epicsAtomicGetSizeT(&connections);
        idle = now == seen ? idle + 1 : 0;
        seen = now;
    }
    epicsMutexMustLock(lock);
    pinned = 0;
    epicsThreadMap(unpin);
    epicsMutexUnlock(lock);
}

/* One of the processors of `everywhere`, not this one; 0 if there is no choice. */
static int choose(void)
{
    int own = sched_getcpu(), i;

    if (own < 0 || CPU_COUNT(&everywhere) < 2)
        return 0;
    for (i = 1; i < CPU_SETSIZE; i++) {
        int candidate = (own + i) % CPU_SETSIZE;

        if (CPU_ISSET(candidate, &everywhere)) {
            CPU_ZERO(&here);
            CPU_SET(candidate, &here);
            return 1;
        }
    }
    return 0;
}

static void gather(void)
{
    has_pinned = 0;
    epicsThreadMap(find_set);
    if (!has_pinned || !choose())
        return;
    pinned = epicsThreadCreate("cachannel-burst", epicsThreadPriorityLow,
                               epicsThreadGetStackSize(epicsThreadStackSmall), watch, NULL) != NULL;
    if (pinned)
        epicsThreadMap(pin);
}

/* A channel was created. */
void cc_burst_created(void)
{
    uint64_t now = epicsMonotonicGet();

    if (is_child)  /* where libCom's list of threads is the parent's */
        return;
    epicsMutexMustLock(lock);
    if (now - began > BURST_NS) {
        began = now;
        length = 0;
    }
    if (++length == BURST_LENGTH && !pinned)
        gather();
    epicsMutexUnlock(lock);
}

/* A channel was connected. */
void cc_burst_connected(void)
{
    epicsAtomicIncrSizeT(&connections);
}

void cc_bursts_after_fork(void)
{
    is_child = 1;
}

int cc_bursts_initialize(void)
{
    lock = epicsMutexCreate();
    return lock && epicsThreadHookAdd(started) == 0;
}

#else

void cc_burst_created(void)
{
}

void cc_burst_connected(void)
{
}

void cc_bursts_after_fork(void)
{
}

int cc_bursts_initialize(void)
{
    return 1;
}

#endif
