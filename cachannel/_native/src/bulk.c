/* Reads and writes of many channels with one call from Python. */

#include "engine.h"

static cc_bulk *new_bulk(uint32_t length)
{
    cc_bulk *bulk = calloc(1, sizeof *bulk);

    if (!bulk)
        return NULL;
    bulk->items = calloc(length ? length : 1, sizeof *bulk->items);
    if (!bulk->items) {
        free(bulk);
        return NULL;
    }
    bulk->length = length;
    bulk->outstanding = 1;      /* held until all have been started */
    return bulk;
}

static void all_started(cc_bulk *bulk)
{
    cc_context *context = bulk->context;

    if (!context)
        return;
    epicsMutexMustLock(context->lock);
    if (--bulk->outstanding == 0)
        cc_settle(context, &bulk->outstanding);
    cc_unlock(context);
}

/* All channels must be of one context. NULL: no memory. */
cc_bulk *cc_get_many(const cc_id *channels, uint32_t length, int type, int64_t count, int variant)
{
    cc_bulk *bulk = new_bulk(length);
    uint32_t i;

    if (!bulk)
        return NULL;
    for (i = 0; i < length; i++) {
        cc_channel *channel = cc_enter(CC_POOL_CHANNEL, channels[i]);
        int asked = type;
        int64_t elements = count;
        int status;

        if (!channel) {
            cc_bulk_refuse(bulk, i, ECA_BADCHID);
            continue;
        }
        status = cc_choose_read(channel, &asked, &elements, 0);
        if (status == ECA_NORMAL) {
            if (type == CC_ANY)
                asked += variant;
            cc_bulk_start(bulk, i, channel);
            bulk->items[i].most = cc_most_bytes(channel, asked, elements);
            CC_TELL(channel->context, CC_TRACE_READ, channel->chid, asked, elements);
            status = ca_array_get_callback(asked, (unsigned long)elements, channel->chid,
                                           cc_on_get, &bulk->items[i]);
        }
        if (status != ECA_NORMAL)
            cc_bulk_refuse(bulk, i, status);
        cc_leave(channel);
    }
    all_started(bulk);
    return bulk;
}

/* A cc_get_callback for each, with tokens one after the other. Returns how many were refused. */
int cc_get_callback_many(const cc_id *channels, uint32_t length, const int32_t *types,
                         const int64_t *counts, uint64_t first_token, int32_t *status)
{
    uint32_t i;
    int failures = 0;

    for (i = 0; i < length; i++) {
        status[i] = cc_get_callback(channels[i], types[i], counts[i], first_token + i);
        failures += status[i] != ECA_NORMAL;
    }
    return failures;
}

static int native_number(cc_channel *channel, double value, int *type, double *data)
{
    *type = cc_native(channel);
    *data = 0;
    if (channel->unconnected)
        return ECA_DISCONN;
    return cc_put_value(*type, value, data);
}

/* One number to each channel, in its native type. `status`: ECA_*, or CC_OUT_OF_RANGE etc. */
int cc_put_many(const cc_id *channels, uint32_t length, const double *values, int32_t *status)
{
    uint32_t i;
    int failures = 0, type;
    double data;

    for (i = 0; i < length; i++) {
        cc_channel *channel = cc_enter(CC_POOL_CHANNEL, channels[i]);

        if (!channel)
            status[i] = ECA_BADCHID;
        else {
            status[i] = native_number(channel, values[i], &type, &data);
            if (status[i] == ECA_NORMAL) {
                CC_TELL(channel->context, CC_TRACE_WRITE, channel->chid, type, 1);
                status[i] = ca_array_put(type, 1, channel->chid, &data);
            }
            cc_leave(channel);
        }
        failures += status[i] != ECA_NORMAL;
    }
    return failures;
}

/* The same with completion: wait for the answer with cc_bulk_wait. `status`: what each call
 * itself gave; the answers are in the bulk. */
cc_bulk *cc_put_many_wait(const cc_id *channels, uint32_t length, const double *values,
                          int32_t *status)
{
    cc_bulk *bulk = new_bulk(length);
    uint32_t i;
    int type;
    double data;

    if (!bulk)
        return NULL;
    for (i = 0; i < length; i++) {
        cc_channel *channel = cc_enter(CC_POOL_CHANNEL, channels[i]);

        if (!channel) {
            status[i] = ECA_BADCHID;
            cc_bulk_refuse(bulk, i, ECA_BADCHID);
            continue;
        }
        status[i] = native_number(channel, values[i], &type, &data);
        if (status[i] == ECA_NORMAL) {
            cc_bulk_start(bulk, i, channel);
            bulk->items[i].is_put = 1;
            CC_TELL(channel->context, CC_TRACE_WRITE, channel->chid, type, 1);
            status[i] = ca_array_put_callback(type, 1, channel->chid, &data, cc_on_put,
                                              &bulk->items[i]);
        }
        if (status[i] != ECA_NORMAL)
            cc_bulk_refuse(bulk, i, status[i]);
        cc_leave(channel);
    }
    all_started(bulk);
    return bulk;
}

/* A cc_put_callback of one number for each, in its native type, with tokens one after the other.
 * `status`: ECA_*, or CC_OUT_OF_RANGE etc. Returns how many were refused. */
int cc_put_callback_many(const cc_id *channels, uint32_t length, const double *values,
                         uint64_t first_token, int32_t *status)
{
    uint32_t i;
    int failures = 0, type;
    double data;

    for (i = 0; i < length; i++) {
        cc_channel *channel = cc_enter(CC_POOL_CHANNEL, channels[i]);

        status[i] = channel ? native_number(channel, values[i], &type, &data) : ECA_BADCHID;
        if (channel)
            cc_leave(channel);
        if (status[i] == ECA_NORMAL)
            status[i] = cc_put_callback(channels[i], type, 1, &data, first_token + i);
        failures += status[i] != ECA_NORMAL;
    }
    return failures;
}

const cc_record *cc_bulk_record(cc_bulk *bulk, uint32_t index)
{
    return &bulk->items[index].record;
}
