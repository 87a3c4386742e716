/* libca contexts, the waits for what is outstanding in them, and attaching threads to them. */

#include "engine.h"

#include <stdio.h>

#if !defined(_WIN32)
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#endif

#define ENDINGS 32        /* contexts that end at the same time */

static epicsMutexId list_lock;
static cc_context *contexts;

/* Tells threads apart. Not by an address, which a later thread would have as well: it would wait
 * for what a thread that is gone has started. */
static CC_THREAD_LOCAL size_t this_thread;
static size_t threads;

static size_t my_number(void)
{
    if (!this_thread)
        this_thread = epicsAtomicIncrSizeT(&threads);
    return this_thread;
}

int cc_initialize(void)
{
    static int done;

    if (!done) {
        list_lock = epicsMutexCreate();
        done = list_lock && cc_memory_initialize() && cc_bursts_initialize();
    }
    return done;
}

static int forked;      /* until this child uses CA */
static int is_child;

void cc_before_fork(void)
{
    if (!forked)     /* libCom has not been used in this process, and is not to be yet */
        cc_await_resolver();
}

void cc_after_fork(void)
{
    is_child = 1;
    contexts = NULL;
    cc_memory_after_fork();
    cc_queues_after_fork();
    cc_messages_after_fork();
    cc_search_after_fork();
    cc_circuits_after_fork();
    forked = 1;
}

/* libCom warns on stderr, once, when the child of a fork uses it. It is told not to: nothing of
 * the parent's contexts is used here, and what is left of libCom has proved to work. */
static int renew(void)
{
#if !defined(_WIN32)
    int saved, nowhere;

    fflush(stderr);
    saved = dup(2);
    nowhere = open("/dev/null", O_WRONLY);
    if (saved >= 0 && nowhere >= 0) {
        dup2(nowhere, 2);
        epicsThreadGetIdSelf();
        fflush(stderr);
        dup2(saved, 2);
    }
    if (saved >= 0)
        close(saved);
    if (nowhere >= 0)
        close(nowhere);
#endif
    forked = 0;
    list_lock = epicsMutexCreate();
    return list_lock && cc_memory_renew();
}

void cc_get_counts(cc_counts *counts)
{
    counts->contexts = cc_pool_live(CC_POOL_CONTEXT);
    counts->channels = cc_pool_live(CC_POOL_CHANNEL);
    counts->subscriptions = cc_pool_live(CC_POOL_SUBSCRIPTION);
    counts->requests = cc_pool_live(CC_POOL_REQUEST);
    counts->payload_bytes = cc_payload_bytes();
    counts->queues = cc_queues_live();
}

/* Attaching -------------------------------------------------------------------------------- */

typedef struct job {
    struct ca_client_context *ca;
    int (*function)(void *);
    void *argument;
    int answer;
    int finished;
} job;

static int attach_and_run(struct ca_client_context *ca, int (*function)(void *), void *argument)
{
    int answer;

    if (ca) {
        int status = ca_attach_context(ca);
        if (status != ECA_NORMAL)
            return status;
    }
    answer = function(argument);
    ca_detach_context();
    return answer;
}

static void worker(void *argument)
{
    job *j = argument;

    j->answer = attach_and_run(j->ca, j->function, j->argument);
    epicsAtomicSetIntT(&j->finished, 1);   /* the last look at j, which is gone after it */
}

/* Call a function while this thread belongs to the context `ca` (NULL: to none), and leave the
 * thread as it was found: another library in this process may have put it into a context of its
 * own. A context without preemptive callbacks could not be attached again, so that a thread
 * which is in one stays there, and another thread makes the call. */
int cc_run_attached(struct ca_client_context *ca, int (*function)(void *), void *argument)
{
    struct ca_client_context *found = ca_current_context();
    int answer;

    if (found && found == ca)
        return function(argument);
    if (!found)
        return attach_and_run(ca, function, argument);
    if (ca_preemtive_callback_is_enabled()) {
        ca_detach_context();
        answer = attach_and_run(ca, function, argument);
        ca_attach_context(found);
    } else {
        job j;

        j.ca = ca;
        j.function = function;
        j.argument = argument;
        j.answer = ECA_ALLOCMEM;
        j.finished = 0;
        if (epicsThreadCreate("cachannel", epicsThreadPriorityMedium,
                              epicsThreadGetStackSize(epicsThreadStackMedium), worker, &j))
            while (!epicsAtomicGetIntT(&j.finished))
                epicsThreadSleep(0.0005);
        answer = j.answer;
    }
    return answer;
}

/* Waits ------------------------------------------------------------------------------------ */

/* The number at `counter` has become zero (the lock is held). Who waits for it is woken when the
 * lock is released: a thread that wakes up earlier would only run into the lock. */
void cc_settle(cc_context *context, const int *counter)
{
    cc_waiter *w;

    for (w = context->waiters; w; w = w->next)
        if (w->counter == counter) {
            if (context->ndue < CC_DUE)
                context->due[context->ndue++] = w->event;
            else
                cc_event_signal(w->event);
        }
}

/* Release the lock, then wake the threads whose wait has come to an end. */
void cc_unlock(cc_context *context)
{
    cc_event due[CC_DUE];
    int i, n = context->ndue;

    for (i = 0; i < n; i++)
        due[i] = context->due[i];
    context->ndue = 0;
    epicsMutexUnlock(context->lock);
    /* The events live as long as the context; one that has found a new user meanwhile is woken
     * for nothing, and looks again. */
    for (i = 0; i < n; i++)
        cc_event_signal(due[i]);
}

static cc_waiter *take_waiter(cc_context *context)
{
    cc_waiter *w = context->spare_waiters;

    if (w) {
        context->spare_waiters = w->next;
        cc_event_clear(w->event);
        return w;
    }
    w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->event = cc_event_create();
    if (!w->event) {
        free(w);
        return NULL;
    }
    return w;
}

/* Sleep until the number is zero: ECA_NORMAL, ECA_TIMEOUT, or ECA_NOCACTX when the context ends.
 * Time-out in seconds; < 0: none. */
int cc_wait_counter(cc_context *context, const int *counter, double timeout)
{
    cc_waiter *w, **link;
    uint64_t end = 0;
    int status;

    epicsMutexMustLock(context->lock);
    if (*counter == 0 || timeout == 0 || context->closed) {
        status = *counter == 0 ? ECA_NORMAL : context->closed ? ECA_NOCACTX : ECA_TIMEOUT;
        cc_unlock(context);
        return status;
    }
    w = take_waiter(context);
    if (!w) {
        cc_unlock(context);
        return ECA_ALLOCMEM;
    }
    w->counter = counter;
    w->next = context->waiters;
    context->waiters = w;
    if (timeout > 0)
        end = epicsMonotonicGet() + (uint64_t)(timeout * 1e9);
    while (*counter != 0 && !context->closed) {
        double left = CC_LONG;

        if (timeout > 0) {
            left = ((double)end - (double)epicsMonotonicGet()) * 1e-9;
            if (left <= 0)
                break;
        }
        cc_unlock(context);
        cc_event_wait(w->event, left);
        epicsMutexMustLock(context->lock);
    }
    status = *counter == 0 ? ECA_NORMAL : context->closed ? ECA_NOCACTX : ECA_TIMEOUT;
    for (link = &context->waiters; *link != w; link = &(*link)->next)
        ;
    *link = w->next;
    w->next = context->spare_waiters;
    context->spare_waiters = w;
    cc_unlock(context);
    return status;
}

static cc_waitset *find_mine(cc_context *context)
{
    size_t me = my_number();
    cc_waitset *s;

    for (s = context->waitsets; s; s = s->next)
        if (s->thread == me)
            return s;
    return NULL;
}

static void unreference(cc_context *context, cc_waitset *set)
{
    cc_waitset **link;

    if (--set->references > 0)
        return;
    if (!set->forgotten) {
        for (link = &context->waitsets; *link != set; link = &(*link)->next)
            ;
        *link = set->next;
    }
    set->next = context->spare_waitsets;
    context->spare_waitsets = set;
}

/* One more request of this thread is out (the lock is held). */
cc_waitset *cc_waitset_join(cc_context *context)
{
    cc_waitset *set = find_mine(context);

    if (!set) {
        set = context->spare_waitsets;
        if (set)
            context->spare_waitsets = set->next;
        else
            set = malloc(sizeof *set);
        if (!set)
            return NULL;
        set->thread = my_number();
        set->outstanding = set->references = set->forgotten = 0;
        set->next = context->waitsets;
        context->waitsets = set;
    }
    set->outstanding++;
    set->references++;
    context->outstanding++;
    return set;
}

/* One of them is through (the lock is held). */
void cc_waitset_done(cc_context *context, cc_waitset *set)
{
    if (!set->forgotten) {
        if (--set->outstanding == 0)
            cc_settle(context, &set->outstanding);
        if (--context->outstanding == 0)
            cc_settle(context, &context->outstanding);
    }
    unreference(context, set);
}

static void forget(cc_context *context, cc_waitset *set)
{
    cc_waitset **link;

    for (link = &context->waitsets; *link != set; link = &(*link)->next)
        ;
    *link = set->next;
    context->outstanding -= set->outstanding;
    set->outstanding = 0;
    set->forgotten = 1;
    cc_settle(context, &set->outstanding);
}

static int flush(void *argument)
{
    cc_context *context = argument;

    cc_search_flush(context->search);
    return ca_flush_io();
}

static int flush_and_wait(cc_context *context, const int *counter, double timeout)
{
    int status = cc_run_attached(context->ca, flush, context);

    return status == ECA_NORMAL ? cc_wait_counter(context, counter, timeout) : status;
}

int cc_flush(cc_id id)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    int status;

    if (!context)
        return ECA_NOCACTX;
    status = cc_run_attached(context->ca, flush, context);
    cc_leave(context);
    return status;
}

int cc_outstanding(cc_id id)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    int answer;

    if (!context)
        return 0;
    answer = context->outstanding;
    cc_leave(context);
    return answer;
}

/* Flush, and wait for everything outstanding in the context. A read that the server
 * refused makes the answer ECA_GETFAIL instead of ECA_NORMAL. */
int cc_wait_all(cc_id id, double timeout)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    int status;

    if (!context)
        return ECA_NOCACTX;
    status = flush_and_wait(context, &context->outstanding, timeout);
    if (status == ECA_NORMAL) {
        epicsMutexMustLock(context->lock);
        if (context->refused)
            status = ECA_GETFAIL;
        context->refused = 0;
        cc_unlock(context);
    }
    cc_leave(context);
    return status;
}

/* Flush, and wait for what the calling thread has outstanding in the context. */
int cc_wait_mine(cc_id id, double timeout)
{
    static const int nothing = 0;
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    cc_waitset *set;
    int status;

    if (!context)
        return ECA_NOCACTX;
    epicsMutexMustLock(context->lock);
    set = find_mine(context);
    if (set)
        set->references++;
    cc_unlock(context);
    status = flush_and_wait(context, set ? &set->outstanding : &nothing, timeout);
    if (set) {
        epicsMutexMustLock(context->lock);
        unreference(context, set);
        cc_unlock(context);
    }
    cc_leave(context);
    return status;
}

int cc_forget_all(cc_id id)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);

    if (!context)
        return ECA_NOCACTX;
    epicsMutexMustLock(context->lock);
    while (context->waitsets)
        forget(context, context->waitsets);
    context->refused = 0;
    cc_settle(context, &context->outstanding);
    cc_unlock(context);
    cc_leave(context);
    return ECA_NORMAL;
}

int cc_forget_mine(cc_id id)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    cc_waitset *set;

    if (!context)
        return ECA_NOCACTX;
    epicsMutexMustLock(context->lock);
    set = find_mine(context);
    if (set)
        forget(context, set);
    if (context->outstanding == 0)
        cc_settle(context, &context->outstanding);
    cc_unlock(context);
    cc_leave(context);
    return ECA_NORMAL;
}

/* Contexts --------------------------------------------------------------------------------- */

static int create(void *argument)
{
    cc_context *context = argument;
    int status = ca_context_create(ca_enable_preemptive_callback);

    if (status != ECA_NORMAL)
        return status;
    context->ca = ca_current_context();
    /* Without these two libca writes to the terminal and may even end the process. */
    ca_add_exception_event(cc_on_exception, context);
    ca_replace_printf_handler(cc_printf);
    return ECA_NORMAL;
}

static int create_captured(void *argument)
{
    return cc_run_captured(create, argument);
}

static void unlist(cc_context *context)
{
    cc_context **link;

    epicsMutexMustLock(list_lock);
    for (link = &contexts; *link && *link != context; link = &(*link)->next)
        ;
    if (*link)
        *link = context->next;
    epicsMutexUnlock(list_lock);
}

/* `dispatched`: a thread empties the queue at all times, so that who waits need not; libca's
 * messages go to such a context first. */
cc_id cc_context_create(cc_queue *queue, uint64_t exception_token, int dispatched)
{
    cc_context *context;
    int status;

    if (forked && !renew())
        return -ECA_ALLOCMEM;
    context = cc_pool_take(CC_POOL_CONTEXT);
    if (!context)
        return -ECA_ALLOCMEM;
    /* The lock stays with the memory of the context, for the next one. */
    if (!context->lock)
        context->lock = epicsMutexCreate();
    context->search = context->lock ? cc_search_create(context) : NULL;
    if (!context->search) {
        cc_pool_give(CC_POOL_CONTEXT, context);
        return -ECA_ALLOCMEM;
    }
    context->queue = queue;
    cc_queue_hold(queue);
    context->exception_token = exception_token;
    context->dispatched = context->takes_messages = dispatched;
    context->closed = context->outstanding = context->refused = 0;
    context->ndue = context->searching = context->traced = 0;
    /* In the list first: what libca has to say about its settings is for this context. */
    epicsMutexMustLock(list_lock);
    context->next = contexts;
    contexts = context;
    epicsMutexUnlock(list_lock);
    cc_listen_to_errlog();
    cc_circuits_read_settings();
    status = cc_run_attached(NULL, create_captured, context);
    if (status != ECA_NORMAL) {
        unlist(context);
        cc_search_destroy(context->search);
        cc_queue_drop(queue);
        cc_pool_give(CC_POOL_CONTEXT, context);
        return -status;
    }
    return context->head.id;
}

static int destroy(void *unused)
{
    (void)unused;
    ca_context_destroy();
    return ECA_NORMAL;
}

/* The next channel of a context. A channel that is new, or gone, has no context. */
static cc_channel *next_of(cc_context *context, uint32_t *index)
{
    cc_channel *channel;

    while ((channel = cc_pool_next(CC_POOL_CHANNEL, index)) != NULL)
        if (channel->context == context)
            return channel;
    return NULL;
}

int cc_context_close(cc_id id)
{
    cc_context *context;
    cc_channel *channel;
    cc_waiter *w;
    uint32_t at;
    void *object;

    if (!cc_begin_close(CC_POOL_CONTEXT, id, &object))
        return ECA_NOCACTX;
    context = object;
    unlist(context);

    epicsMutexMustLock(context->lock);
    context->closed = 1;
    for (w = context->waiters; w; w = w->next)
        cc_event_signal(w->event);
    cc_unlock(context);
    /* Whoever is inside may still make a channel. */
    cc_await_users(context);
    for (at = 0; (channel = next_of(context, &at)) != NULL;)
        epicsAtomicCmpAndSwapIntT(&channel->head.closing, 0, 2);
    for (at = 0; (channel = next_of(context, &at)) != NULL;)
        cc_await_users(channel);

    /* Channels without a server first. ca_context_destroy ends the search and then waits for the
     * thread that takes the answers; when that one has one in hand it throws, nobody catches, and
     * the process is aborted. The answer for a channel that is cleared is ignored.
     *
     * In the child of a fork all channels, and that is all: libca flushes errlog when it ends a
     * context, and would wait for a thread that only the parent has. The circuits end with their
     * last channel; the rest goes with the process. */
    for (at = 0; (channel = next_of(context, &at)) != NULL;)
        if (is_child || channel->unconnected)
            ca_clear_channel(channel->chid);
    if (!is_child) {
        cc_circuits_end(context->head.id);
        cc_run_attached(context->ca, destroy, NULL);
        cc_circuits_ended();
    }

    for (at = 0; (channel = next_of(context, &at)) != NULL;)
        cc_channel_dismantle(channel);
    while (context->spare_waiters) {
        w = context->spare_waiters;
        context->spare_waiters = w->next;
        cc_event_destroy(w->event);
        free(w);
    }
    while (context->spare_waitsets) {
        cc_waitset *set = context->spare_waitsets;
        context->spare_waitsets = set->next;
        free(set);
    }
    cc_search_destroy(context->search);
    cc_queue_drop(context->queue);
    cc_pool_give(CC_POOL_CONTEXT, context);
    return ECA_NORMAL;
}

#if !defined(_WIN32)
static void *end_context(void *id)
{
    cc_context_close(*(cc_id *)id);
    return NULL;
}

/* Side by side, because each may take a while if its server hangs. */
static void close_all(void)
{
    cc_id ids[ENDINGS];
    pthread_t enders[ENDINGS];
    int started[ENDINGS], n, i, ended = 1;

    /* Without one there may be no lock either: in the child of a fork that has not used CA. */
    while (contexts && ended) {
        cc_context *context;

        epicsMutexMustLock(list_lock);
        for (n = 0, context = contexts; context && n < ENDINGS; context = context->next)
            ids[n++] = context->head.id;
        epicsMutexUnlock(list_lock);
        for (i = 1; i < n; i++)
            started[i] = pthread_create(&enders[i], NULL, end_context, &ids[i]) == 0;
        ended = n && cc_context_close(ids[0]) == ECA_NORMAL;
        for (i = 1; i < n; i++) {
            if (started[i])
                pthread_join(enders[i], NULL);
            else
                cc_context_close(ids[i]);
        }
    }
}
#endif

/* End all contexts when the process exits, after Python and before libca. 0 where that is too late:
 * Windows ends all other threads before the handlers of a library run. */
int cc_close_at_exit(void)
{
#if defined(_WIN32)
    return 0;
#else
    static int arranged;

    if (!arranged)
        arranged = atexit(close_all) == 0;
    return arranged;
#endif
}

/* Whether libca's messages go to this context's queue. */
int cc_context_messages(cc_id id, int here)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);

    if (!context)
        return ECA_NOCACTX;
    epicsMutexMustLock(list_lock);
    context->takes_messages = here;
    epicsMutexUnlock(list_lock);
    cc_leave(context);
    return ECA_NORMAL;
}

/* A piece of text from libca. It does not say which context it is about, so one takes all. */
void cc_message(const char *text, size_t length)
{
    cc_context *context, *taker = NULL;
    cc_record record;

    memset(&record, 0, sizeof record);
    record.kind = CC_MESSAGE;
    record.nbytes = (uint32_t)length;
    epicsMutexMustLock(list_lock);
    for (context = contexts; context; context = context->next)
        if (!taker || context->takes_messages > taker->takes_messages)
            taker = context;
    if (taker) {
        record.owner = taker->exception_token;
        cc_queue_push(taker->queue, &record, text, NULL);
    }
    epicsMutexUnlock(list_lock);
}

int cc_context_show(cc_id id, unsigned level)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    int status;

    if (!context)
        return ECA_NOCACTX;
    status = ca_context_status(context->ca, level);
    fflush(stdout);
    cc_leave(context);
    return status;
}

static int ioc_count(void *unused)
{
    (void)unused;
    return (int)ca_get_ioc_connection_count();
}

static int beacon_anomalies(void *unused)
{
    (void)unused;
    return (int)ca_beacon_anomaly_count();
}

static unsigned ask(cc_id id, int (*function)(void *))
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    unsigned answer;

    if (!context)
        return 0;
    answer = (unsigned)cc_run_attached(context->ca, function, NULL);
    cc_leave(context);
    return answer;
}

unsigned cc_ioc_count(cc_id id)
{
    return ask(id, ioc_count);
}

unsigned cc_beacon_anomalies(cc_id id)
{
    return ask(id, beacon_anomalies);
}

/* The last wait of a request or bulk request, here because it must flush. */

int cc_request_wait(cc_id id, double timeout)
{
    cc_request *request = cc_enter(CC_POOL_REQUEST, id);
    int status;

    if (!request)
        return ECA_BADCHID;
    /* An answer that is already here must not depend on a context that may be gone. */
    if (!request->pending)
        status = ECA_NORMAL;
    else if (cc_enter(CC_POOL_CONTEXT, request->context->head.id)) {
        status = flush_and_wait(request->context, &request->pending, timeout);
        cc_leave(request->context);
    } else
        status = ECA_NOCACTX;
    cc_leave(request);
    return status;
}

int cc_channel_wait(cc_id id, double timeout)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    int status;

    if (!channel)
        return ECA_BADCHID;
    status = flush_and_wait(channel->context, &channel->unconnected, timeout);
    if (status == ECA_NORMAL && epicsAtomicGetIntT(&channel->head.closing))
        status = ECA_BADCHID;
    cc_leave(channel);
    return status;
}

int cc_bulk_wait(cc_bulk *bulk, double timeout)
{
    cc_context *context = bulk->context;
    int status;

    if (!context)
        return ECA_NORMAL;
    if (!cc_enter(CC_POOL_CONTEXT, context->head.id))
        return ECA_NOCACTX;
    status = flush_and_wait(context, &bulk->outstanding, timeout);
    cc_leave(context);
    return status;
}
