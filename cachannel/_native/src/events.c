/* The bounded event queue, and the callbacks that fill it from libca's threads. */

#include "engine.h"

static const uint32_t first_records = 256, first_room = 4096;
static int queues;

cc_queue *cc_queue_create(uint32_t limit_records, uint64_t limit_bytes)
{
    cc_queue *q = calloc(1, sizeof *q);

    if (!q)
        return NULL;
    q->lock = epicsMutexCreate();
    q->wake = cc_event_create();
    if (!q->lock || !q->wake) {
        if (q->lock)
            epicsMutexDestroy(q->lock);
        if (q->wake)
            cc_event_destroy(q->wake);
        free(q);
        return NULL;
    }
    epicsAtomicIncrIntT(&queues);
    q->references = 1;
    q->generation = 1;
    q->limit_records = limit_records;
    q->limit_bytes = limit_bytes;
    return q;
}

static void free_payloads(cc_record *records, uint32_t length)
{
    uint32_t i;

    for (i = 0; i < length; i++)
        if (records[i].place == CC_ON_HEAP)
            cc_payload_free(records[i].payload);
}

/* From here on nothing is queued any more and nobody waits. */
void cc_queue_close(cc_queue *q)
{
    epicsMutexMustLock(q->lock);
    q->closed = 1;
    free_payloads(q->fill.records, q->fill.length);
    q->fill.length = q->fill.nbytes = 0;
    q->heap_bytes = 0;
    epicsMutexUnlock(q->lock);
    cc_event_signal(q->wake);
}

/* A subscription feeds the queue until libca has forgotten it, which may be after the owner of the
 * queue has: somebody else may be clearing its channel. */
void cc_queue_hold(cc_queue *q)
{
    epicsAtomicIncrIntT(&q->references);
}

void cc_queue_drop(cc_queue *q)
{
    if (epicsAtomicDecrIntT(&q->references) > 0)
        return;
    free(q->fill.records);
    free(q->fill.bytes);
    free(q->drain.records);
    free(q->drain.bytes);
    cc_event_destroy(q->wake);
    epicsMutexDestroy(q->lock);
    free(q);
    epicsAtomicDecrIntT(&queues);
}

/* Only when no context and no thread uses the queue any more. */
void cc_queue_destroy(cc_queue *q)
{
    cc_queue_close(q);
    cc_queue_drop(q);
}

/* In the child of a fork: the queues of the parent are not touched again. */
void cc_queues_after_fork(void)
{
    queues = 0;
}

unsigned cc_queues_live(void)
{
    return (unsigned)epicsAtomicGetIntT(&queues);
}

/* End a running cc_queue_wait early. */
void cc_queue_wake(cc_queue *q)
{
    epicsMutexMustLock(q->lock);
    q->woken = 1;
    epicsMutexUnlock(q->lock);
    cc_event_signal(q->wake);
}

/* 1 when there are records, 0 after the time-out (seconds; < 0: none) or cc_queue_wake,
 * -1 when the queue is closed. One consumer at a time. */
int cc_queue_wait(cc_queue *q, double timeout)
{
    uint64_t end = 0;
    int answer;

    if (timeout >= 0)
        end = epicsMonotonicGet() + (uint64_t)(timeout * 1e9);
    epicsMutexMustLock(q->lock);
    for (;;) {
        double left = CC_LONG;

        if (q->closed)
            answer = -1;
        else if (q->fill.length)
            answer = 1;
        else if (q->woken)
            answer = 0;
        else
            answer = 2;
        if (answer != 2)
            break;
        if (timeout >= 0) {
            left = ((double)end - (double)epicsMonotonicGet()) * 1e-9;
            if (left <= 0) {
                answer = 0;
                break;
            }
        }
        q->waiting = 1;
        epicsMutexUnlock(q->lock);
        cc_event_wait(q->wake, left);
        epicsMutexMustLock(q->lock);
    }
    q->waiting = 0;
    q->woken = 0;
    epicsMutexUnlock(q->lock);
    return answer;
}

/* Hand out what has been queued. The batch stays valid until the next call. */
uint32_t cc_queue_take(cc_queue *q, cc_batch *batch)
{
    epicsMutexMustLock(q->lock);
    {
        uint32_t keep = q->limit_records / 16;
        /* A burst must not keep its memory for ever. */
        if (q->drain.capacity > first_records && q->drain.capacity > keep
            && q->drain.length < q->drain.capacity / 8) {
            free(q->drain.records);
            free(q->drain.bytes);
            memset(&q->drain, 0, sizeof q->drain);
        }
    }
    {
        cc_record *records = q->drain.records;
        char *bytes = q->drain.bytes;
        uint32_t capacity = q->drain.capacity, room = q->drain.room;

        q->drain = q->fill;
        q->fill.records = records;
        q->fill.bytes = bytes;
        q->fill.capacity = capacity;
        q->fill.room = room;
        q->fill.length = q->fill.nbytes = 0;
    }
    q->heap_bytes = q->notices = 0;
    q->generation++;
    q->taken++;
    batch->records = q->drain.records;
    batch->bytes = q->drain.bytes;
    batch->length = q->drain.length;
    batch->nbytes = q->drain.nbytes;
    batch->replaced = q->replaced;
    epicsMutexUnlock(q->lock);
    return batch->length;
}

/* Where the records end, from the given one on, that differ only in the lowest bits of their
 * tokens and have all that there is in themselves. */
uint32_t cc_batch_numbers(const cc_batch *batch, uint32_t first, uint32_t bits)
{
    uint64_t run = batch->records[first].owner >> bits;

    while (first < batch->length && batch->records[first].owner >> bits == run
           && batch->records[first].place <= CC_IN_RECORD)
        first++;
    return first;
}

/* How many calls of cc_queue_take it takes, from the first on, until all that is queued now has
 * been handed out. */
uint64_t cc_queue_mark(cc_queue *q)
{
    uint64_t mark;

    epicsMutexMustLock(q->lock);
    mark = q->taken + (q->fill.length ? 1 : 0);
    epicsMutexUnlock(q->lock);
    return mark;
}

static int has_room(cc_queue *q, uint32_t nbytes)
{
    if (q->fill.length == q->fill.capacity) {
        uint32_t capacity = q->fill.capacity ? 2 * q->fill.capacity : first_records;
        cc_record *records = realloc(q->fill.records, (size_t)capacity * sizeof *records);
        if (!records)
            return 0;
        q->fill.records = records;
        q->fill.capacity = capacity;
    }
    if (q->fill.room - q->fill.nbytes < nbytes) {
        uint32_t room = q->fill.room ? 2 * q->fill.room : first_room;
        /* Offsets have 32 bits: what comes after 2 GB that nobody takes is refused. */
        char *bytes = room ? realloc(q->fill.bytes, room) : NULL;
        if (!bytes)
            return 0;
        q->fill.bytes = bytes;
        q->fill.room = room;
    }
    return 1;
}

/* The newest value of a subscription takes the place of the pending one. */
static void replace(cc_queue *q, cc_record *old, cc_record *record, const void *data)
{
    if (record->place == CC_IN_BATCH) {
        if (old->place == CC_IN_BATCH && old->nbytes >= record->nbytes) {
            memcpy(q->fill.bytes + old->payload, data, record->nbytes);
            record->payload = old->payload;
        } else {
            record->payload = cc_payload_copy(data, record->nbytes);
            record->place = record->payload ? CC_ON_HEAP : CC_NOWHERE;
            q->heap_bytes += record->nbytes;
        }
    }
    if (old->place == CC_ON_HEAP) {
        q->heap_bytes -= old->nbytes;
        cc_payload_free(old->payload);
    }
    *old = *record;
    q->replaced++;
}

/* A server can send errors faster than anybody can read them. The last one that is kept is
 * followed by a word about the others. */
static int is_one_too_many(cc_queue *q, cc_record *record, const void **data)
{
    static const char others[] = "more messages than can be shown: some are dropped\n";

    if (record->kind == CC_TRACE)
        return q->fill.length >= q->limit_records;
    if (record->kind != CC_EXCEPTION && record->kind != CC_MESSAGE)
        return 0;
    if (q->notices++ == CC_NOTICES) {
        uint64_t owner = record->owner;

        if (record->place == CC_ON_HEAP)
            cc_payload_free(record->payload);
        memset(record, 0, sizeof *record);
        record->owner = owner;
        record->kind = CC_MESSAGE;
        record->nbytes = sizeof others - 1;
        record->place = CC_IN_BATCH;
        *data = others;
    }
    return q->notices > CC_NOTICES + 1;
}

/* The pending record of a channel's access rights, of which only the last matter when there are
 * more records than the queue should hold. */
static cc_record *pending_access(cc_queue *q, const cc_record *record)
{
    uint32_t i = q->fill.length;

    if (record->kind == CC_ACCESS && i >= q->limit_records)
        while (i-- > 0)
            if (q->fill.records[i].kind == CC_ACCESS
                && q->fill.records[i].owner == record->owner)
                return &q->fill.records[i];
    return NULL;
}

/* Append a record. When the queue is full it may replace an older one instead, of the values of the
 * same subscription or the access rights of the same channel. Nothing else is ever dropped but
 * messages. */
void cc_queue_push(cc_queue *q, cc_record *record, const void *data, cc_subscription *s)
{
    cc_record *older;
    int signal = 0;

    if (data && record->place != CC_IN_RECORD) {
        record->place = record->nbytes > CC_SMALL ? CC_ON_HEAP : CC_IN_BATCH;
        if (record->place == CC_ON_HEAP) {
            record->payload = cc_payload_copy(data, record->nbytes);
            if (!record->payload)
                record->place = CC_NOWHERE;
        }
    }
    epicsMutexMustLock(q->lock);
    if (q->closed || is_one_too_many(q, record, &data))
        goto refuse;
    if (record->place == CC_ON_HEAP)
        q->heap_bytes += record->nbytes;
    if (s && s->pending_generation == q->generation
        && (q->fill.length >= q->limit_records
            || q->heap_bytes + q->fill.nbytes >= q->limit_bytes)) {
        replace(q, &q->fill.records[s->pending_index], record, data);
    } else if ((older = pending_access(q, record)) != NULL) {
        *older = *record;
    } else {
        uint32_t padded = record->place == CC_IN_BATCH ? (record->nbytes + 7u) & ~7u : 0;

        if (!has_room(q, padded)) {
            q->replaced++;
            goto refuse;
        }
        if (padded) {
            memcpy(q->fill.bytes + q->fill.nbytes, data, record->nbytes);
            record->payload = q->fill.nbytes;
            q->fill.nbytes += padded;
        }
        if (s) {
            s->pending_index = q->fill.length;
            s->pending_generation = q->generation;
        }
        q->fill.records[q->fill.length++] = *record;
        signal = q->waiting;
        q->waiting = 0;
    }
    epicsMutexUnlock(q->lock);
    if (signal)
        cc_event_signal(q->wake);
    return;
refuse:
    epicsMutexUnlock(q->lock);
    if (record->place == CC_ON_HEAP)
        cc_payload_free(record->payload);
}

/* Records from what libca hands over ------------------------------------------------------- */

int cc_is_number(long type, long count)
{
    return count == 1 && type >= 0 && type <= DBR_TIME_DOUBLE && type % (DBR_DOUBLE + 1);
}

static uint64_t bytes_of(long type, uint64_t count)
{
    return type == DBR_CLASS_NAME ? dbr_size[type]
                                  : dbr_value_offset[type] + count * dbr_value_size[type];
}

/* The most that an answer may have: all elements of the PV, as a server may give more than were
 * asked for. One that counts wrong would have what lies behind its message taken for data. Who asks
 * for the current length (0) takes what fits a record. */
uint64_t cc_most_bytes(const cc_channel *channel, int type, int64_t count)
{
    uint64_t native = channel->native_count, most = UINT32_MAX;

    if (count > 0)
        most = bytes_of(type, (uint64_t)count > native ? (uint64_t)count : native);
    return most < UINT32_MAX ? most : UINT32_MAX;
}

/* Fill in type, count, alarm, time stamp, size and the value of a single number. Returns the data,
 * or NULL without any; what is larger than it can be gets the status ECA_BADCOUNT. */
const void *cc_describe(cc_record *record, long type, long count, const void *dbr, uint64_t most)
{
    const char *data = dbr;
    const dbr_short_t *alarm = dbr;
    int known = type >= 0 && type <= LAST_BUFFER_TYPE;

    /* libca gives 4294967295 for the type of a refused request: (unsigned)-1 made long. */
    record->type = (int16_t)(known ? type : -1);
    record->count = count > 0 ? (uint32_t)count : 0;
    record->place = CC_NOWHERE;
    if (!known || !dbr)
        return dbr;
    if (bytes_of(type, record->count) > most) {
        record->status = ECA_BADCOUNT;
        record->type = -1;
        record->count = 0;
        return NULL;
    }
    if (type >= DBR_STS_STRING && type <= DBR_CTRL_DOUBLE) {
        record->alarm_status = alarm[0];
        record->alarm_severity = alarm[1];
    } else if (type == DBR_STSACK_STRING) {
        record->alarm_status = alarm[0];
        record->alarm_severity = alarm[1];
    }
    if (type >= DBR_TIME_STRING && type <= DBR_TIME_DOUBLE) {
        const epicsTimeStamp *stamp = (const epicsTimeStamp *)(data + 4);
        record->seconds = stamp->secPastEpoch;
        record->nanoseconds = stamp->nsec;
    }
    record->nbytes = (uint32_t)bytes_of(type, record->count);
    if (cc_is_number(type, count)) {
        const void *value = data + dbr_value_offset[type];
        record->place = CC_IN_RECORD;
        switch (type % (DBR_DOUBLE + 1)) {
        case DBR_SHORT: record->value = *(const dbr_short_t *)value; break;
        case DBR_FLOAT: record->value = *(const dbr_float_t *)value; break;
        case DBR_ENUM: record->value = *(const dbr_enum_t *)value; break;
        case DBR_CHAR: record->value = *(const dbr_char_t *)value; break;
        case DBR_LONG: record->value = *(const dbr_long_t *)value; break;
        case DBR_DOUBLE: memcpy(&record->value, value, sizeof record->value); break;
        }
    }
    return data;
}

void cc_on_event(struct event_handler_args args)
{
    cc_subscription *s = args.usr;
    const char *data = args.status == ECA_NORMAL ? args.dbr : NULL;
    cc_record record;

    if (s->is_plain && args.type >= DBR_STS_STRING && args.type <= DBR_STS_DOUBLE) {
        if (data)
            data += dbr_value_offset[args.type];
        args.type -= DBR_STS_STRING;
    }
    memset(&record, 0, sizeof record);
    record.owner = s->token;
    record.kind = CC_EVENT;
    record.status = args.status;
    data = cc_describe(&record, args.type, args.count, data, s->most);
    cc_queue_push(s->queue, &record, data, s);
}

static unsigned rights(chid id)
{
    return (ca_read_access(id) ? 1u : 0u) | (ca_write_access(id) ? 2u : 0u);
}

void cc_on_connection(struct connection_handler_args args)
{
    cc_channel *channel = ca_puser(args.chid);
    cc_context *context = channel->context;
    int up = args.op == CA_OP_CONN_UP;
    cc_record record;
    int tell, is_first = 0;

    /* Type and count are left for later: each question takes libca's main lock once more, which
     * its search and send threads are fighting for while thousands of channels connect. */
    epicsMutexMustLock(context->lock);
    if (epicsAtomicGetIntT(&channel->head.closing)) {
        cc_unlock(context);
        return;
    }
    channel->chid = args.chid;
    channel->native_type = up ? CC_UNASKED : TYPENOTCONN;
    channel->native_count = 0;
    channel->connections++;
    channel->unconnected = !up;
    if (up) {
        cc_burst_connected();
        is_first = channel->connections == 1;
        cc_settle(context, &channel->unconnected);
        if (channel->waitset) {
            cc_waitset_done(context, channel->waitset);
            channel->waitset = NULL;
        }
    }
    tell = channel->flags & CC_TELL_CONNECTION;
    cc_unlock(context);
    if (up)
        channel->circuit = cc_circuit_up(context, args.chid);
    else
        cc_circuit_down(channel->circuit);
    CC_TELL(context, up ? CC_TRACE_UP : CC_TRACE_DOWN, args.chid,
            up ? ca_field_type(args.chid) : TYPENOTCONN, up ? ca_element_count(args.chid) : 0);
    if (!up)
        cc_search_be_quiet(context->search);
    else if (is_first)
        cc_search_connected(context->search);
    if (tell) {
        memset(&record, 0, sizeof record);
        record.owner = channel->token;
        record.payload = (uint64_t)channel->head.id;
        record.kind = CC_CONNECTION;
        record.status = (int32_t)args.op;
        record.type = (int16_t)(up ? ca_field_type(args.chid) : TYPENOTCONN);
        record.count = (uint32_t)(up ? ca_element_count(args.chid) : 0);
        record.seconds = up ? rights(args.chid) : 0;
        cc_queue_push(context->queue, &record, NULL, NULL);
    }
}

void cc_on_access(struct access_rights_handler_args args)
{
    cc_channel *channel = ca_puser(args.chid);
    cc_context *context = channel->context;
    cc_record record;
    int tell;

    epicsMutexMustLock(context->lock);
    tell = (channel->flags & CC_TELL_ACCESS) && !(channel->access & CC_ACCESS_MUTED)
           && !epicsAtomicGetIntT(&channel->head.closing);
    cc_unlock(context);
    if (!tell)
        return;
    memset(&record, 0, sizeof record);
    record.owner = channel->token;
    record.payload = (uint64_t)channel->head.id;
    record.kind = CC_ACCESS;
    record.status = (args.ar.read_access ? 1 : 0) | (args.ar.write_access ? 2 : 0);
    cc_queue_push(context->queue, &record, NULL, NULL);
}

/* The payload of an exception: the channel's id or 0, then two texts, each with its NUL. */
void cc_on_exception(struct exception_handler_args args)
{
    cc_context *context = args.usr;
    cc_channel *channel = args.chid ? ca_puser(args.chid) : NULL;
    cc_id id = channel ? channel->head.id : 0;
    char data[768];
    size_t length = sizeof id, space;
    const char *texts[2];
    cc_record record;
    int i;

    texts[0] = args.ctx ? args.ctx : "";
    texts[1] = args.pFile ? args.pFile : "";
    memcpy(data, &id, sizeof id);
    for (i = 0; i < 2; i++) {
        size_t n = strlen(texts[i]);
        space = (sizeof data - length) / (size_t)(2 - i) - 1;
        if (n > space)
            n = space;
        memcpy(data + length, texts[i], n);
        data[length + n] = 0;
        length += n + 1;
    }
    memset(&record, 0, sizeof record);
    record.owner = context->exception_token;
    record.kind = CC_EXCEPTION;
    record.type = (int16_t)(args.type >= 0 && args.type <= LAST_BUFFER_TYPE ? args.type : -1);
    record.count = (uint32_t)args.count;
    record.status = (int32_t)args.stat;
    record.seconds = args.lineNo;
    record.value = (double)args.op;
    record.nbytes = (uint32_t)length;
    cc_queue_push(context->queue, &record, data, NULL);
}
