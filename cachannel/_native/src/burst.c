/* Keeping libca's threads on one processor while very many channels are searched for.
 *
 * For each answer to a search, libca's UDP thread wakes the thread that sends on the circuit, and
 * both want the same mutex, which passes the priority of who waits on to who holds it. On two
 * processors almost every answer ends in such a meeting, two system calls and two changes of
 * thread: 10,000 channels take half as long again to connect, and twice the CPU time. On one
 * processor the sender runs when the UDP thread has nothing left to do, and sends it all at once,
 * which is what libca counts on.
 *
 * So a burst of new channels brings those threads together, and they are free again as soon as no
 * more channels connect, within two seconds in any case: in the long run the scheduler knows better.
 */

#include "engine.h"

#define BURST_LENGTH 200      /* so many channels */
#define BURST_NS 100000000u   /* within so long make a burst */
#define LOOK_SECONDS 0.1      /* how often to see whether channels still connect */
#define LOOKS 20

#if defined(__linux__) && defined(__GLIBC__)

#include <pthread.h>
#include <sched.h>

/* Of what follows. Whoever holds it may be inside libCom, so a fork waits for it: the child would
 * find libCom's locks taken for ever. (A mutex of libCom could not be unlocked in the child.) */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
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
    pthread_mutex_lock(&lock);
    if (!pinned)
        unpin(thread);
    pthread_mutex_unlock(&lock);
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
    pthread_mutex_lock(&lock);
    pinned = 0;
    epicsThreadMap(unpin);
    pthread_mutex_unlock(&lock);
}

/* The processor that the caller is on: it will soon wait for its channels, and the others are left
 * to servers on this host. 0 if there is no choice. */
static int choose(void)
{
    int own = sched_getcpu();

    if (own < 0 || own >= CPU_SETSIZE || CPU_COUNT(&everywhere) < 2
        || !CPU_ISSET((size_t)own, &everywhere))
        return 0;
    CPU_ZERO(&here);
    CPU_SET((size_t)own, &here);
    return 1;
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

    if (is_child)
        return;
    pthread_mutex_lock(&lock);
    if (now - began > BURST_NS) {
        began = now;
        length = 0;
    }
    if (++length == BURST_LENGTH && !pinned)
        gather();
    pthread_mutex_unlock(&lock);
}

/* A channel was connected. */
void cc_burst_connected(void)
{
    epicsAtomicIncrSizeT(&connections);
}

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* libCom's list of threads is the parent's there, and none of them is to be touched. */
static void after_fork_in_child(void)
{
    is_child = 1;
    pthread_mutex_unlock(&lock);
}

int cc_bursts_initialize(void)
{
    return pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0
        && epicsThreadHookAdd(started) == 0;
}

#else

void cc_burst_created(void)
{
}

void cc_burst_connected(void)
{
}

int cc_bursts_initialize(void)
{
    return 1;
}

#endif
