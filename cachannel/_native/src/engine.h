/* Inside of the C boundary: objects, locks, and who may touch what.
 *
 * Threads. libca calls the functions named on_* from its own threads, holding locks of its own.
 * They copy what they are given and return: they never wait, never run Python, and take only the
 * leaf locks below for a few instructions. So a thread that holds libca's locks never waits for
 * Python, and user code may make any CA call from anywhere.
 *
 * Locks, in the order in which they may be taken. The first two are held around
 * ca_create_channel, which waits for no callback, and none of the others around any call of libca:
 *   search order    who makes a channel of a context (search.c)
 *   first           who makes the first channel of any context (search.c)
 *   context->lock   requests, waits, lists of channels and subscriptions
 *   search lock     what is asked for at once (search.c)
 *   circuits lock   which thread receives for which circuit (circuits.c)
 *   queue->lock     the records of one event queue
 *   pool locks      free lists (memory.c)
 *
 * Life. Objects live in pools whose memory is never given back, so an id can always be checked.
 * A call on an object counts itself in `users`; whoever ends the object first makes it closing
 * (from then on no call gets in) and waits until users is zero before libca may free it.
 */

#ifndef CC_ENGINE_H
#define CC_ENGINE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cadef.h>
#include <epicsAtomic.h>
#include <epicsMutex.h>
#include <epicsThread.h>
#include <epicsTime.h>

#include "../cdef/engine.h"
#include "wake.h"

#if defined(_MSC_VER)
#define CC_THREAD_LOCAL __declspec(thread)
#else
#define CC_THREAD_LOCAL __thread
#endif

/* For two fields that are read without the lock: who sees the second one sees the first one, too.
 * On x86 neither costs an instruction. */
#if defined(__GNUC__)
#define CC_BEFORE_WRITE() __atomic_thread_fence(__ATOMIC_RELEASE)
#define CC_AFTER_READ() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#else
#define CC_BEFORE_WRITE() epicsAtomicWriteMemoryBarrier()
#define CC_AFTER_READ() epicsAtomicReadMemoryBarrier()
#endif

#define CC_UNASKED (-3)    /* of native_type: connected, but libca was not asked yet */
#define CC_ANY (-1)        /* type or count: as the channel has it */
#define CC_SMALL 1024      /* payloads up to here are copied into the batch */
#define CC_NOTICES 1000    /* exceptions and messages that may wait */
#define CC_DUE 4           /* waiters that one release of the lock can wake */
#define CC_LONG 60.0       /* seconds that a wait without limit sleeps at a time */

/* Seconds that cc_read_number waits: more than a round trip to a server nearby, and less than
 * anybody's time-out. */
static const double CC_BRIEFLY = 0.005;

/* memory.c ------------------------------------------------------------------------------- */

/* There may be 100,000 channels, so no object has a byte too many. In the free list `id` is the
 * negated index, and the pointer behind the head is the link. */
typedef struct cc_head {
    cc_id id;
    int users;          /* calls inside, see "Life" above */
    int closing;
} cc_head;

enum { CC_POOL_CONTEXT, CC_POOL_CHANNEL, CC_POOL_SUBSCRIPTION, CC_POOL_REQUEST, CC_POOLS };

void *cc_pool_take(int pool);
void cc_pool_give(int pool, void *object);
void *cc_enter(int pool, cc_id id);
void cc_leave(void *object);
int cc_begin_close(int pool, cc_id id, void **object);
void cc_await_users(void *object);
unsigned cc_pool_live(int pool);
void *cc_pool_next(int pool, uint32_t *index);

int cc_memory_initialize(void);
void cc_memory_after_fork(void);
int cc_memory_renew(void);

uint64_t cc_payload_copy(const void *data, size_t nbytes);
uint64_t cc_payload_bytes(void);

/* events.c ------------------------------------------------------------------------------- */

struct cc_queue {
    int references;          /* its owner, and the context and subscriptions that feed it */
    epicsMutexId lock;
    cc_event wake;
    int waiting;             /* the consumer sleeps and wants the event */
    int closed;
    int woken;               /* cc_queue_wake was called */
    uint32_t generation;     /* counts the batches handed out, from 1 on */
    uint64_t taken;          /* counts them from 0 on, and never wraps */
    uint32_t limit_records;
    uint64_t limit_bytes;
    uint64_t heap_bytes;     /* of the batch being filled */
    uint64_t replaced;
    uint32_t notices;        /* exceptions and messages in the batch being filled */
    struct { cc_record *records; char *bytes; uint32_t length, nbytes, capacity, room; } fill, drain;
};

struct cc_subscription;

void cc_queue_hold(cc_queue *queue);
void cc_queue_drop(cc_queue *queue);
unsigned cc_queues_live(void);
void cc_queues_after_fork(void);
const void *cc_describe(cc_record *record, long type, long count, const void *dbr, uint64_t most);
int cc_is_number(long type, long count);
void cc_queue_push(cc_queue *queue, cc_record *record, const void *data,
                   struct cc_subscription *subscription);

/* burst.c -------------------------------------------------------------------------------- */

int cc_bursts_initialize(void);
void cc_burst_created(void);
void cc_burst_connected(void);

/* fork.c --------------------------------------------------------------------------------- */

void cc_await_resolver(void);

/* search.c ------------------------------------------------------------------------------- */

typedef struct cc_search cc_search;

struct cc_context;

cc_search *cc_search_create(struct cc_context *context);
void cc_search_destroy(cc_search *search);
void cc_search_lock(cc_search *search);
void cc_search_unlock(cc_search *search);
int cc_search_first(cc_search *search, int (*function)(void *), void *argument);
void cc_search_after_fork(void);
uint32_t cc_search_add(cc_search *search, const char *name);
void cc_search_again(cc_search *search, uint32_t number, const char *name);
void cc_search_flush(cc_search *search);
void cc_search_connected(cc_search *search);
void cc_search_before_clear(cc_search *search);
void cc_search_after_clear(cc_search *search);
void cc_search_before_create(cc_search *search);
void cc_search_be_quiet(cc_search *search);

/* circuits.c ----------------------------------------------------------------------------- */

uint16_t cc_circuit_up(struct cc_context *context, chid channel);
void cc_circuit_down(uint16_t circuit);
void cc_circuits_end(cc_id context);
void cc_circuits_ended(void);
void cc_circuits_after_fork(void);
void cc_circuits_read_settings(void);

/* waits ---------------------------------------------------------------------------------- */

/* Tell what a context does, if anybody wants to know. */
#define CC_TELL(context, what, channel, type, count)                                             \
    do {                                                                                         \
        if ((context)->traced)                                                                   \
            cc_trace(context, what, channel, NULL, (long)(type), (unsigned long)(count));        \
    } while (0)

/* What one thread has asked for and has not got yet. It exists only while something is out. */
typedef struct cc_waitset {
    size_t thread;
    int outstanding;
    int references;
    int forgotten;
    struct cc_waitset *next;
} cc_waitset;

/* A thread that sleeps until the number at `counter` is zero. */
typedef struct cc_waiter {
    const int *counter;
    cc_event event;
    struct cc_waiter *next;
} cc_waiter;

struct cc_request;

typedef struct cc_context {
    cc_head head;
    struct ca_client_context *ca;
    epicsMutexId lock;
    cc_queue *queue;
    cc_search *search;
    uint64_t exception_token;
    int closed;
    int dispatched;               /* a thread of its own runs the callbacks at all times */
    int takes_messages;
    int traced;                   /* what it does is put into the queue, for people to read */
    int searching;                /* has had a channel: libca has read its address lists */
    int outstanding;
    int refused;                  /* reads that ended with an error since the last wait for all */
    cc_waitset *waitsets, *spare_waitsets;
    cc_waiter *waiters, *spare_waiters;
    cc_event due[CC_DUE];     /* to be signalled when the lock is released */
    int ndue;
    struct cc_context *next;      /* list of all, under the list lock of context.c */
} cc_context;

typedef struct cc_channel {
    cc_head head;
    cc_context *context;          /* NULL while it is in nobody's hands */
    chid chid;
    uint64_t token;
    cc_waitset *waitset;          /* of the first connection, if it is waited for */
    struct cc_request *requests;
    struct cc_subscription *subscriptions;
    int unconnected;              /* 0 while connected: a waiter's counter */
    uint16_t connections;         /* connects and disconnects so far */
    uint16_t circuit;             /* number of its last circuit, see circuits.c */
    uint32_t native_count;
    uint32_t number;              /* by which servers answer a search for it */
    int16_t native_type;          /* CC_UNASKED: look with cc_native */
    uint8_t flags;
    uint8_t access;               /* of the access rights handler, see below */
} cc_channel;

enum { CC_ACCESS_INSTALLED = 1, CC_ACCESS_MUTED = 2 };

typedef struct cc_subscription {
    cc_head head;
    cc_channel *channel;
    cc_queue *queue;
    evid evid;
    uint64_t token;
    uint64_t most;                /* bytes of an event */
    int is_plain;                 /* the caller wants the plain type, libca is asked for STS */
    uint32_t pending_index, pending_generation;
    struct cc_subscription *next, *previous;
} cc_subscription;

enum { CC_MODE_QUEUED, CC_MODE_WAITED, CC_MODE_BULK };

typedef struct cc_request {
    cc_head head;
    cc_context *context;
    cc_channel *channel;          /* NULL once answered or dropped */
    cc_bulk *bulk;
    cc_waitset *waitset;
    uint64_t token;
    uint64_t most;                /* bytes of an answer to what was asked for */
    uint8_t mode, is_put, abandoned, refused, told;
    int pending;                  /* 1 until answered: a waiter's counter */
    cc_record record;
    struct cc_request *next, *previous;
} cc_request;

struct cc_bulk {
    cc_context *context;
    uint32_t length;
    int outstanding;
    int abandoned;
    uint64_t token;               /* of the record that tells of the last answer; 0: nobody asks */
    cc_request *items;
};

int cc_wait_counter(cc_context *context, const int *counter, double timeout);
void cc_settle(cc_context *context, const int *counter);
void cc_unlock(cc_context *context);
cc_waitset *cc_waitset_join(cc_context *context);
void cc_waitset_done(cc_context *context, cc_waitset *waitset);

int cc_run_attached(struct ca_client_context *ca, int (*function)(void *), void *argument);
int cc_printf(const char *format, va_list arguments);
void cc_message(const char *text, size_t length);
void cc_trace(cc_context *context, int what, chid channel, const char *address, long type,
              unsigned long count);
void cc_listen_to_errlog(void);
void cc_messages_after_fork(void);
int cc_run_captured(int (*function)(void *), void *argument);
int cc_put_value(int type, double value, void *out);

void cc_channel_dismantle(cc_channel *channel);
void cc_drop_request(cc_request *request, int status);
void cc_on_get(struct event_handler_args args);
void cc_on_put(struct event_handler_args args);
void cc_on_event(struct event_handler_args args);
void cc_on_connection(struct connection_handler_args args);
void cc_on_access(struct access_rights_handler_args args);
void cc_on_exception(struct exception_handler_args args);
int cc_native(cc_channel *channel);
int cc_choose_read(cc_channel *channel, int *type, int64_t *count, int zero_is_one);
uint64_t cc_most_bytes(const cc_channel *channel, int type, int64_t count);

/* bulk.c and request.c */
void cc_bulk_start(cc_bulk *bulk, uint32_t index, cc_channel *channel);
void cc_bulk_refuse(cc_bulk *bulk, uint32_t index, int status);

#endif
