/* Reads and writes, one at a time and in bulk. */

#include <float.h>
#include <math.h>

#include "engine.h"

/* Life of a request ------------------------------------------------------------------------ */

static void link_request(cc_channel *channel, cc_request *r)
{
    r->channel = channel;
    r->previous = NULL;
    r->next = channel->requests;
    if (r->next)
        r->next->previous = r;
    channel->requests = r;
}

static void unlink_request(cc_request *r)
{
    if (r->previous)
        r->previous->next = r->next;
    else
        r->channel->requests = r->next;
    if (r->next)
        r->next->previous = r->previous;
    r->channel = NULL;
}

static void start_request(cc_request *r, cc_channel *channel, int mode, int counted)
{
    cc_context *context = channel->context;

    r->context = context;
    r->mode = (uint8_t)mode;
    r->is_put = r->abandoned = r->refused = r->told = 0;
    r->pending = 1;
    r->waitset = NULL;
    memset(&r->record, 0, sizeof r->record);
    epicsMutexMustLock(context->lock);
    link_request(channel, r);
    if (counted)
        r->waitset = cc_waitset_join(context);
    cc_unlock(context);
}

static void free_bulk(cc_bulk *bulk)
{
    uint32_t i;

    for (i = 0; i < bulk->length; i++)
        if (bulk->items[i].record.place == CC_ON_HEAP)
            cc_payload_free(bulk->items[i].record.payload);
    free(bulk->items);
    free(bulk);
}

static void tell_of_bulk(cc_context *context, cc_bulk *bulk)
{
    cc_record record;

    memset(&record, 0, sizeof record);
    record.owner = bulk->token;
    record.kind = CC_BULK;
    record.status = ECA_NORMAL;
    cc_queue_push(context->queue, &record, NULL, NULL);
}

/* The answer is in r->record (the lock is held): tell whoever waits. Returns 1 when a bulk
 * request that nobody wants any more is now complete and must be freed without the lock. */
static int settle_request(cc_request *r)
{
    cc_context *context = r->context;
    cc_waitset *waitset = r->waitset;
    int mode = r->mode, abandoned = r->abandoned;
    cc_bulk *bulk = r->bulk;

    unlink_request(r);
    r->waitset = NULL;
    /* The last look at r, unless it is ours: its owner needs no lock to use it again from here
     * on, see take_back. */
    epicsAtomicSetIntT(&r->pending, 0);
    if (waitset)
        cc_waitset_done(context, waitset);
    if (mode == CC_MODE_BULK) {
        if (--bulk->outstanding == 0) {
            cc_settle(context, &bulk->outstanding);
            if (bulk->token && !bulk->abandoned)
                tell_of_bulk(context, bulk);
            return bulk->abandoned;
        }
        return 0;
    }
    cc_settle(context, &r->pending);
    if (mode == CC_MODE_QUEUED || abandoned) {
        if (r->record.place == CC_ON_HEAP)
            cc_payload_free(r->record.payload);
        cc_pool_give(CC_POOL_REQUEST, r);
    }
    return 0;
}

static void report_refusal(cc_context *context, int kind, const struct event_handler_args *args,
                           int status)
{
    struct exception_handler_args report;

    memset(&report, 0, sizeof report);
    report.usr = context;
    report.chid = args->chid;
    report.type = args->type;
    report.count = args->count;
    report.stat = status;
    report.op = kind == CC_GET ? CA_OP_GET : CA_OP_PUT;
    report.ctx = ca_name(args->chid);
    cc_on_exception(report);
}

static void answer(cc_request *r, int kind, const struct event_handler_args *args)
{
    cc_context *context = r->context;
    cc_bulk *bulk = r->bulk;
    const void *data = args->status == ECA_NORMAL && kind == CC_GET ? args->dbr : NULL;
    cc_record record;
    int done, status;

    memset(&record, 0, sizeof record);
    record.owner = r->token;
    record.kind = (uint16_t)kind;
    record.status = args->status;
    data = cc_describe(&record, args->type, args->count, data, r->most);
    status = record.status;
    if (r->mode == CC_MODE_QUEUED) {
        cc_queue_push(context->queue, &record, data, NULL);
        epicsMutexMustLock(context->lock);
        done = settle_request(r);
        cc_unlock(context);
        return;
    }
    if (data && record.place != CC_IN_RECORD) {
        record.payload = cc_payload_copy(data, record.nbytes);
        record.place = record.payload ? CC_ON_HEAP : CC_NOWHERE;
        if (!record.payload)
            record.status = ECA_ALLOCMEM;
    }
    /* libca tells the exception handler when a read for ca_pend_io or a request of a synchronous
     * group fails, and so do we. */
    if (status != ECA_NORMAL && (r->waitset || r->told))
        report_refusal(context, kind, args, status);
    epicsMutexMustLock(context->lock);
    r->record = record;
    if (kind == CC_GET && r->waitset && !r->waitset->forgotten && status != ECA_NORMAL) {
        r->refused = 1;
        context->refused++;
    }
    done = settle_request(r);
    cc_unlock(context);
    if (done)
        free_bulk(bulk);
}

void cc_on_get(struct event_handler_args args)
{
    answer(args.usr, CC_GET, &args);
}

void cc_on_put(struct event_handler_args args)
{
    answer(args.usr, CC_PUT, &args);
}

/* The channel is cleared: libca will not answer any more (the lock is held). */
void cc_drop_request(cc_request *r, int status)
{
    cc_context *context = r->context;
    cc_bulk *bulk = r->mode == CC_MODE_BULK ? r->bulk : NULL;

    if (r->mode == CC_MODE_QUEUED) {
        cc_record record;
        memset(&record, 0, sizeof record);
        record.owner = r->token;
        record.kind = CC_DROPPED;
        record.status = status;
        cc_queue_push(context->queue, &record, NULL, NULL);
    }
    r->record.kind = r->is_put ? CC_PUT : CC_GET;
    r->record.status = status;
    r->record.type = -1;
    if (settle_request(r))
        free_bulk(bulk);
}

/* libca refused: as if the request had never been. */
static void cancel_request(cc_request *r)
{
    cc_context *context = r->context;

    epicsMutexMustLock(context->lock);
    unlink_request(r);
    if (r->waitset) {
        cc_waitset_done(context, r->waitset);
        r->waitset = NULL;
    }
    cc_unlock(context);
}

static cc_request *new_request(cc_channel *channel, int mode, int counted, uint64_t token)
{
    cc_request *r = cc_pool_take(CC_POOL_REQUEST);

    if (r) {
        r->token = token;
        r->bulk = NULL;
        start_request(r, channel, mode, counted);
    }
    return r;
}

/* The caller reports the failure of this read itself: cc_wait_all need not. */
int cc_request_forgive(cc_id id)
{
    cc_request *r = cc_enter(CC_POOL_REQUEST, id);

    if (!r)
        return ECA_BADCHID;
    epicsMutexMustLock(r->context->lock);
    if (r->refused && r->context->refused > 0)
        r->context->refused--;
    r->refused = 0;
    cc_unlock(r->context);
    cc_leave(r);
    return ECA_NORMAL;
}

/* Nobody is inside, and nobody gets in any more: free the request now or when it is answered. */
static void finish_release(cc_request *r)
{
    cc_context *context = r->context;
    int pending;

    epicsMutexMustLock(context->lock);
    pending = r->pending;
    if (pending)
        r->abandoned = 1;
    else if (r->record.place == CC_ON_HEAP)
        cc_payload_free(r->record.payload);
    cc_unlock(context);
    if (!pending)
        cc_pool_give(CC_POOL_REQUEST, r);
}

int cc_request_release(cc_id id)
{
    void *object;

    if (!cc_begin_close(CC_POOL_REQUEST, id, &object))
        return ECA_BADCHID;
    cc_await_users(object);
    finish_release(object);
    return ECA_NORMAL;
}

/* Without the lock: once a request is answered its record does not change. */
static int state_of(const cc_request *r)
{
    if (epicsAtomicGetIntT(&r->pending))
        return CC_PENDING;
    if (r->record.status != ECA_NORMAL)
        return CC_FAILED;
    if (r->record.place != CC_IN_RECORD || r->record.type > DBR_DOUBLE)
        return CC_OTHER;
    return r->record.type == DBR_FLOAT || r->record.type == DBR_DOUBLE ? CC_FLOAT : CC_INTEGER;
}

int cc_request_state(cc_id id)
{
    cc_request *r = cc_enter(CC_POOL_REQUEST, id);
    int state;

    if (!r)
        return CC_GONE;
    state = state_of(r);
    cc_leave(r);
    return state;
}

/* The number of an answer of state CC_FLOAT, in one call; NaN for all others. */
double cc_request_float(cc_id id)
{
    cc_request *r = cc_enter(CC_POOL_REQUEST, id);
    double value = NAN;

    if (!r)
        return value;
    if (state_of(r) == CC_FLOAT)
        value = r->record.value;
    cc_leave(r);
    return value;
}

/* State and number in one look. Two looks might see two answers: the id goes on to another
 * request when another thread reads the same thing meanwhile, see cc_get. */
cc_reading cc_request_look(cc_id id)
{
    cc_reading reading = {id, 0, CC_GONE};
    cc_request *r = cc_enter(CC_POOL_REQUEST, id);

    if (!r)
        return reading;
    reading.state = state_of(r);
    if (reading.state != CC_PENDING)
        reading.number = r->record.value;
    cc_leave(r);
    return reading;
}

/* ECA_NORMAL when answered. A payload of at most `room` bytes is copied to `data`, and still
 * belongs to the request; the address in the record is worth nothing to the caller. */
int cc_request_record(cc_id id, cc_record *record, void *data, uint32_t room)
{
    cc_request *r = cc_enter(CC_POOL_REQUEST, id);
    int pending;

    if (!r)
        return ECA_BADCHID;
    epicsMutexMustLock(r->context->lock);
    pending = r->pending;
    if (!pending) {
        *record = r->record;
        if (record->place == CC_ON_HEAP && record->nbytes <= room)
            memcpy(data, (const void *)(uintptr_t)record->payload, record->nbytes);
    }
    cc_unlock(r->context);
    cc_leave(r);
    return pending ? ECA_IOINPROGRESS : ECA_NORMAL;
}

/* Take the payload over: the caller frees it. The record says how long it is. */
uint64_t cc_request_steal(cc_id id, cc_record *record)
{
    cc_request *r = cc_enter(CC_POOL_REQUEST, id);
    uint64_t payload = 0;

    if (!r)
        return 0;
    epicsMutexMustLock(r->context->lock);
    if (!r->pending && r->record.place == CC_ON_HEAP) {
        *record = r->record;
        payload = r->record.payload;
        r->record.place = CC_NOWHERE;
    }
    cc_unlock(r->context);
    cc_leave(r);
    return payload;
}

/* Reading ---------------------------------------------------------------------------------- */

/* An answered request that its owner does not need any more, to be used again under its id;
 * NULL when there is none. */
static cc_request *take_back(cc_id id, cc_context *context)
{
    void *object;
    cc_request *r;

    if (!id || !cc_begin_close(CC_POOL_REQUEST, id, &object))
        return NULL;
    r = object;
    cc_await_users(r);
    if (epicsAtomicGetIntT(&r->pending) || r->context != context) {
        finish_release(r);
        return NULL;
    }
    if (r->record.place == CC_ON_HEAP)
        cc_payload_free(r->record.payload);
    return r;
}

/* A read that somebody waits for. `counted`: among what cc_wait_all and cc_wait_mine wait for.
 * `previous` is released, and its id may be the answer. */
cc_id cc_get(cc_id id, int type, int64_t count, cc_id previous, int counted)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    cc_request *r = NULL;
    cc_id answer;
    int status;

    if (!channel) {
        if (previous)
            cc_request_release(previous);
        return -ECA_BADCHID;
    }
    if (previous)
        r = take_back(previous, channel->context);
    status = cc_choose_read(channel, &type, &count, counted);
    if (status == ECA_NORMAL) {
        if (r)
            start_request(r, channel, CC_MODE_WAITED, counted);
        else
            r = new_request(channel, CC_MODE_WAITED, counted, 0);
        if (!r)
            status = ECA_ALLOCMEM;
        else {
            answer = r->head.id;
            r->most = cc_most_bytes(channel, type, count);
            CC_TELL(channel->context, CC_TRACE_READ, channel->chid, type, count);
            status = ca_array_get_callback(type, (unsigned long)count, channel->chid, cc_on_get,
                                           r);
            if (status != ECA_NORMAL)
                cancel_request(r);
            else
                epicsAtomicSetIntT(&r->head.closing, 0);
        }
    }
    if (status != ECA_NORMAL && r)
        cc_pool_give(CC_POOL_REQUEST, r);
    cc_leave(channel);
    return status == ECA_NORMAL ? answer : -status;
}

/* The most frequent read, of one number in its native type, with as few crossings from Python as
 * can be: request, wait for what this thread has outstanding, but only briefly, number. One integer
 * and one float go to and fro, which cost cffi no tuple and no struct: NaN when the number is not a
 * float or has not come, and then cc_last_reading tells the same thread what there is. */
static CC_THREAD_LOCAL struct {
    cc_id channel;
    cc_reading reading;
} last;

double cc_read_number(cc_id id)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    cc_reading reading = {0, NAN, CC_GONE};
    cc_request *r;

    if (channel) {
        if (channel->context->dispatched)
            reading.request = cc_get(id, CC_ANY, CC_ANY, 0, 1);
        cc_leave(channel);
    }
    r = reading.request > 0 ? cc_enter(CC_POOL_REQUEST, reading.request) : NULL;
    if (r) {
        /* What else is out must be waited for, too, even when this answer is here. */
        reading.state = cc_wait_mine(r->context->head.id, CC_BRIEFLY) == ECA_NORMAL
                            ? state_of(r) : CC_PENDING;
        reading.number = r->record.value;
        cc_leave(r);
        if (reading.state == CC_FLOAT || reading.state == CC_INTEGER) {
            cc_request_release(reading.request);
            reading.request = 0;
        }
    }
    if (reading.state == CC_FLOAT && !isnan(reading.number))
        return reading.number;
    /* Nobody asked for the last one: an exception of Python's came in between. */
    if (last.reading.request > 0)
        cc_request_release(last.reading.request);
    last.channel = id;
    last.reading = reading;
    return NAN;
}

/* What came of the last cc_read_number of this thread; CC_GONE when that was of another channel, or
 * has been asked for: a signal handler or finalizer that reads may have come in between. */
cc_reading cc_last_reading(cc_id channel)
{
    const cc_reading none = {0, NAN, CC_GONE};
    cc_reading reading = none;

    if (last.channel == channel) {
        reading = last.reading;
        last.channel = 0;
        last.reading = none;
    }
    return reading;
}

int cc_get_callback(cc_id id, int type, int64_t count, uint64_t token)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    cc_request *r;
    int status;

    if (!channel)
        return ECA_BADCHID;
    status = cc_choose_read(channel, &type, &count, 0);
    if (status == ECA_NORMAL) {
        r = new_request(channel, CC_MODE_QUEUED, 0, token);
        if (!r)
            status = ECA_ALLOCMEM;
        else {
            r->most = cc_most_bytes(channel, type, count);
            CC_TELL(channel->context, CC_TRACE_READ, channel->chid, type, count);
            status = ca_array_get_callback(type, (unsigned long)count, channel->chid, cc_on_get,
                                           r);
            if (status != ECA_NORMAL) {
                cancel_request(r);
                cc_pool_give(CC_POOL_REQUEST, r);
            }
        }
    }
    cc_leave(channel);
    return status;
}

/* Writing ---------------------------------------------------------------------------------- */

static int choose_write(cc_channel *channel, int *type)
{
    if (*type == CC_ANY) {
        *type = cc_native(channel);
        if (channel->unconnected)
            return ECA_BADTYPE;
    }
    if ((*type < 0 || *type > DBR_DOUBLE) && *type != DBR_PUT_ACKT && *type != DBR_PUT_ACKS)
        return ECA_BADTYPE;
    return channel->unconnected ? ECA_DISCONN : ECA_NORMAL;
}

/* A number in the C type of a DBR type. A fraction is cut off; nothing else is changed. */
int cc_put_value(int type, double value, void *out)
{
    double low, high, whole = trunc(value);

    switch (type) {
    case DBR_DOUBLE:
        memcpy(out, &value, sizeof value);
        return ECA_NORMAL;
    case DBR_FLOAT: {
        dbr_float_t f = (dbr_float_t)value;
        if (isinf(f) && !isinf(value))
            return CC_OUT_OF_RANGE;
        memcpy(out, &f, sizeof f);
        return ECA_NORMAL;
    }
    case DBR_STRING:
        return CC_IS_STRING;
    case DBR_SHORT: low = -32768; high = 32767; break;
    case DBR_CHAR: low = 0; high = 255; break;
    case DBR_LONG: low = -2147483648.0; high = 2147483647.0; break;
    default: low = 0; high = 65535; break;
    }
    if (isnan(value))
        return CC_NOT_A_NUMBER;
    if (whole < low || whole > high)
        return CC_OUT_OF_RANGE;
    switch (type) {
    case DBR_SHORT: *(dbr_short_t *)out = (dbr_short_t)whole; break;
    case DBR_CHAR: *(dbr_char_t *)out = (dbr_char_t)whole; break;
    case DBR_LONG: *(dbr_long_t *)out = (dbr_long_t)whole; break;
    default: *(dbr_enum_t *)out = (dbr_enum_t)whole; break;
    }
    return ECA_NORMAL;
}

int cc_put(cc_id id, int type, int64_t count, const void *data)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    int status;

    if (!channel)
        return ECA_BADCHID;
    status = choose_write(channel, &type);
    if (status == ECA_NORMAL) {
        CC_TELL(channel->context, CC_TRACE_WRITE, channel->chid, type, count);
        status = ca_array_put(type, (unsigned long)count, channel->chid, data);
    }
    cc_leave(channel);
    return status;
}

int cc_put_number(cc_id id, int type, double value)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    double data = 0;
    int status;

    if (!channel)
        return ECA_BADCHID;
    status = choose_write(channel, &type);
    if (status == ECA_NORMAL)
        status = cc_put_value(type, value, &data);
    if (status == ECA_NORMAL) {
        CC_TELL(channel->context, CC_TRACE_WRITE, channel->chid, type, 1);
        status = ca_array_put(type, 1, channel->chid, &data);
    }
    cc_leave(channel);
    return status;
}

static int put_with(cc_channel *channel, cc_request *r, int type, int64_t count, const void *data)
{
    int status;

    r->is_put = 1;
    CC_TELL(channel->context, CC_TRACE_WRITE, channel->chid, type, count);
    status = ca_array_put_callback(type, (unsigned long)count, channel->chid, data, cc_on_put, r);
    if (status != ECA_NORMAL)
        cancel_request(r);
    return status;
}

int cc_put_callback(cc_id id, int type, int64_t count, const void *data, uint64_t token)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    cc_request *r;
    int status;

    if (!channel)
        return ECA_BADCHID;
    status = choose_write(channel, &type);
    if (status == ECA_NORMAL) {
        r = new_request(channel, CC_MODE_QUEUED, 0, token);
        status = r ? put_with(channel, r, type, count, data) : ECA_ALLOCMEM;
        if (r && status != ECA_NORMAL)
            cc_pool_give(CC_POOL_REQUEST, r);
    }
    cc_leave(channel);
    return status;
}

/* A write whose completion somebody waits for. `told`: a refusal is also an exception. */
cc_id cc_put_request(cc_id id, int type, int64_t count, const void *data, int told)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    cc_request *r;
    cc_id answer;
    int status;

    if (!channel)
        return -ECA_BADCHID;
    status = choose_write(channel, &type);
    if (status == ECA_NORMAL) {
        r = new_request(channel, CC_MODE_WAITED, 0, 0);
        if (!r)
            status = ECA_ALLOCMEM;
        else {
            answer = r->head.id;
            r->told = (uint8_t)told;
            status = put_with(channel, r, type, count, data);
            if (status != ECA_NORMAL)
                cc_pool_give(CC_POOL_REQUEST, r);
        }
    }
    cc_leave(channel);
    return status == ECA_NORMAL ? answer : -status;
}

/* Bulk requests (bulk.c) ------------------------------------------------------------------- */

void cc_bulk_start(cc_bulk *bulk, uint32_t index, cc_channel *channel)
{
    cc_request *r = &bulk->items[index];

    bulk->context = channel->context;
    r->bulk = bulk;
    epicsMutexMustLock(channel->context->lock);
    bulk->outstanding++;
    cc_unlock(channel->context);
    start_request(r, channel, CC_MODE_BULK, 0);
}

/* The request could not even be made. */
void cc_bulk_refuse(cc_bulk *bulk, uint32_t index, int status)
{
    cc_request *r = &bulk->items[index];

    if (r->pending) {
        cancel_request(r);
        epicsMutexMustLock(bulk->context->lock);
        bulk->outstanding--;
        cc_unlock(bulk->context);
    }
    r->pending = 0;
    r->record.status = status;
    r->record.type = -1;
}

/* Ask for a record when the last answer is here, in place of waiting. Returns 0 when it is. */
int cc_bulk_tell(cc_bulk *bulk, uint64_t token)
{
    int pending;

    if (!bulk->context)
        return 0;
    epicsMutexMustLock(bulk->context->lock);
    pending = bulk->outstanding > 0;
    if (pending)
        bulk->token = token;
    cc_unlock(bulk->context);
    return pending;
}

/* For each: ECA status, CC_FLOAT, CC_INTEGER or CC_OTHER (...), and the value of the first two.
 * Returns how many are CC_FLOAT. A request without an answer has status ECA_TIMEOUT. */
uint32_t cc_bulk_collect(cc_bulk *bulk, int32_t *status, uint8_t *state, double *values)
{
    uint32_t i, floats = 0;

    if (bulk->context)
        epicsMutexMustLock(bulk->context->lock);
    for (i = 0; i < bulk->length; i++) {
        cc_request *r = &bulk->items[i];

        state[i] = (uint8_t)state_of(r);
        status[i] = state[i] == CC_PENDING ? ECA_TIMEOUT : r->record.status;
        values[i] = r->record.value;
        floats += state[i] == CC_FLOAT;
    }
    if (bulk->context)
        cc_unlock(bulk->context);
    return floats;
}

/* Answers that are still to come are thrown away as they come. */
void cc_bulk_release(cc_bulk *bulk)
{
    cc_context *context = bulk->context;
    int pending = 0;

    if (context) {
        epicsMutexMustLock(context->lock);
        pending = bulk->outstanding > 0;
        bulk->abandoned = pending;
        cc_unlock(context);
    }
    if (!pending)
        free_bulk(bulk);
}
