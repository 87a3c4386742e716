/* Channels and subscriptions: creating, ending, asking about them. */

#include "engine.h"

typedef struct creation {
    const char *name;
    unsigned priority;
    cc_channel *channel;
} creation;

static int ask_libca(void *argument)
{
    creation *c = argument;

    return ca_create_channel(c->name, cc_on_connection, c->channel, c->priority,
                             &c->channel->chid);
}

static int create(void *argument)
{
    creation *c = argument;
    cc_context *context = c->channel->context;
    int status;

    cc_search_lock(context->search);
    cc_search_before_create(context->search);
    if (context->searching) {
        status = ask_libca(c);
    } else {
        /* With it libca reads its address lists, and may have something to say. */
        status = cc_search_first(context->search, ask_libca, c);
        context->searching = status == ECA_NORMAL;
    }
    if (status == ECA_NORMAL) {
        CC_TELL(context, CC_TRACE_SEARCH, c->channel->chid, 0, 0);
        cc_burst_created();
        c->channel->number = cc_search_add(context->search, c->name);
    }
    cc_search_unlock(context->search);
    return status;
}

static void abandon_wait(cc_channel *channel)
{
    if (channel->waitset) {
        cc_waitset_done(channel->context, channel->waitset);
        channel->waitset = NULL;
    }
}

static cc_channel *prepare(cc_context *context, uint64_t token, int flags)
{
    cc_channel *channel = cc_pool_take(CC_POOL_CHANNEL);

    if (!channel)
        return NULL;
    channel->context = context;
    channel->chid = NULL;
    channel->token = token;
    channel->flags = (uint8_t)flags;
    channel->access = 0;
    channel->unconnected = 1;
    channel->native_type = TYPENOTCONN;
    channel->native_count = 0;
    channel->connections = 0;
    channel->circuit = 0;
    channel->number = 0;
    channel->waitset = NULL;
    channel->requests = NULL;
    channel->subscriptions = NULL;
    epicsMutexMustLock(context->lock);
    if (flags & CC_WAITED)
        channel->waitset = cc_waitset_join(context);
    cc_unlock(context);
    return channel;
}

static void discard(cc_channel *channel)
{
    cc_context *context = channel->context;

    epicsMutexMustLock(context->lock);
    abandon_wait(channel);
    channel->context = NULL;
    cc_unlock(context);
    cc_pool_give(CC_POOL_CHANNEL, channel);
}

cc_id cc_channel_create(cc_id id, const char *name, unsigned priority, uint64_t token, int flags)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    cc_channel *channel;
    creation c;
    cc_id answer;
    int status = ECA_ALLOCMEM;

    if (!context)
        return -ECA_NOCACTX;
    channel = prepare(context, token, flags);
    if (channel) {
        answer = channel->head.id;
        c.name = name;
        c.priority = priority;
        c.channel = channel;
        status = cc_run_attached(context->ca, create, &c);
        if (status == ECA_NORMAL && (flags & CC_TELL_ACCESS)) {
            channel->access = CC_ACCESS_INSTALLED;
            ca_replace_access_rights_event(channel->chid, cc_on_access);
        }
        if (status != ECA_NORMAL)
            discard(channel);
    }
    cc_leave(context);
    return status == ECA_NORMAL ? answer : -status;
}

typedef struct many {
    const char *name;
    cc_channel **prepared;
    uint32_t length;
    unsigned priority;
    int flags;
    cc_id *ids;
} many;

static int create_many(void *argument)
{
    many *m = argument;
    uint32_t i;

    for (i = 0; i < m->length; i++) {
        cc_channel *channel = m->prepared[i];
        creation c;
        int status;

        c.name = m->name;
        c.priority = m->priority;
        c.channel = channel;
        m->ids[i] = channel->head.id;
        status = create(&c);
        if (status != ECA_NORMAL) {
            m->ids[i] = -status;
            discard(channel);
        } else if (m->flags & CC_TELL_ACCESS) {
            channel->access = CC_ACCESS_INSTALLED;
            ca_replace_access_rights_event(channel->chid, cc_on_access);
        }
        m->name += strlen(m->name) + 1;
    }
    return ECA_NORMAL;
}

/* `names`: one after the other, each with its NUL. `channels` gets an id or -status for each. */
int cc_create_many(cc_id id, const char *names, uint32_t length, unsigned priority,
                   uint64_t first_token, int flags, cc_id *channels)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    many m;
    uint32_t i;
    int status;

    if (!context)
        return ECA_NOCACTX;
    m.name = names;
    m.length = length;
    m.priority = priority;
    m.flags = flags;
    m.ids = channels;
    m.prepared = malloc((length ? length : 1) * sizeof *m.prepared);
    status = m.prepared ? ECA_NORMAL : ECA_ALLOCMEM;
    /* Here and not where libca is called, which may be in another thread: what is waited for
     * belongs to this one. */
    for (i = 0; i < length && status == ECA_NORMAL; i++) {
        m.prepared[i] = prepare(context, first_token + i, flags);
        if (!m.prepared[i])
            status = ECA_ALLOCMEM;
    }
    if (status == ECA_NORMAL)
        status = cc_run_attached(context->ca, create_many, &m);
    if (status != ECA_NORMAL)
        /* Nothing was created: neither the loop nor the call was reached. */
        while (i-- > 0)
            if (m.prepared[i])
                discard(m.prepared[i]);
    free(m.prepared);
    cc_leave(context);
    return status;
}

static void give_subscription(cc_subscription *s)
{
    s->evid = NULL;
    cc_queue_drop(s->queue);
    cc_pool_give(CC_POOL_SUBSCRIPTION, s);
}

/* libca has forgotten the channel: end what hung on it. Nobody is inside any more. */
void cc_channel_dismantle(cc_channel *channel)
{
    cc_context *context = channel->context;
    cc_subscription *s;

    epicsMutexMustLock(context->lock);
    abandon_wait(channel);
    while (channel->requests)
        cc_drop_request(channel->requests, ECA_CHANDESTROY);
    channel->context = NULL;      /* from here on the context does not find it, see next_of */
    cc_unlock(context);
    while ((s = channel->subscriptions) != NULL) {
        channel->subscriptions = s->next;
        epicsAtomicCmpAndSwapIntT(&s->head.closing, 0, 2);
        cc_await_users(s);
        give_subscription(s);
    }
    cc_pool_give(CC_POOL_CHANNEL, channel);
}

int cc_channel_clear(cc_id id)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    cc_context *context;
    void *object;
    int status, connected;

    if (!channel)
        return ECA_BADCHID;
    context = cc_enter(CC_POOL_CONTEXT, channel->context->head.id);
    cc_leave(channel);
    if (!context)
        return ECA_BADCHID;
    if (!cc_begin_close(CC_POOL_CHANNEL, id, &object)) {
        cc_leave(context);
        return ECA_BADCHID;
    }
    epicsMutexMustLock(context->lock);
    connected = !channel->unconnected;
    channel->unconnected = 0;
    cc_settle(context, &channel->unconnected);
    cc_unlock(context);
    cc_await_users(channel);
    cc_search_before_clear(context->search);
    CC_TELL(context, CC_TRACE_CLEAR, channel->chid, 0, 0);
    /* Ends the subscriptions, too, and waits for a callback that is running. */
    status = ca_clear_channel(channel->chid);
    if (connected)
        cc_search_after_clear(context->search);
    else
        cc_search_be_quiet(context->search);
    cc_channel_dismantle(channel);
    cc_leave(context);
    return status;
}

/* Give a channel that was made without one a token for its connection and access events. */
int cc_channel_set_token(cc_id id, uint64_t token)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);

    if (!channel)
        return ECA_BADCHID;
    epicsMutexMustLock(channel->context->lock);
    channel->token = token;
    cc_unlock(channel->context);
    cc_leave(channel);
    return ECA_NORMAL;
}

/* Whether connects and disconnects are queued. */
int cc_channel_tell_connection(cc_id id, int tell)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);

    if (!channel)
        return ECA_BADCHID;
    epicsMutexMustLock(channel->context->lock);
    if (tell) {
        channel->flags |= CC_TELL_CONNECTION;
        abandon_wait(channel);
    } else
        channel->flags &= (uint8_t)~CC_TELL_CONNECTION;
    cc_unlock(channel->context);
    cc_leave(channel);
    return ECA_NORMAL;
}

/* Whether changes of the access rights are queued; the present ones are not. */
int cc_channel_tell_access(cc_id id, int tell)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    int install;

    if (!channel)
        return ECA_BADCHID;
    epicsMutexMustLock(channel->context->lock);
    if (tell)
        channel->flags |= CC_TELL_ACCESS;
    else
        channel->flags &= (uint8_t)~CC_TELL_ACCESS;
    install = tell && !(channel->access & CC_ACCESS_INSTALLED);
    if (install)
        channel->access = CC_ACCESS_INSTALLED | CC_ACCESS_MUTED;
    cc_unlock(channel->context);
    if (install) {
        ca_replace_access_rights_event(channel->chid, cc_on_access);
        channel->access = CC_ACCESS_INSTALLED;
    }
    cc_leave(channel);
    return ECA_NORMAL;
}

/* Ask at once for those channels that are still searched for; sent with the next flush. */
void cc_search_hurry(const cc_id *channels, uint32_t length)
{
    uint32_t i;

    for (i = 0; i < length; i++) {
        cc_channel *channel = cc_enter(CC_POOL_CHANNEL, channels[i]);

        if (!channel)
            continue;
        if (channel->unconnected && channel->number)
            cc_search_again(channel->context->search, channel->number, ca_name(channel->chid));
        cc_leave(channel);
    }
}

/* The native type, and with it the native count, asking libca after each connect once. The
 * caller is inside the channel. */
int cc_native(cc_channel *channel)
{
    int type = channel->native_type;

    /* Once more after a reconnect meanwhile, which may have brought another type and count. */
    while (type == CC_UNASKED) {
        uint16_t connections = channel->connections;
        int asked = ca_field_type(channel->chid);
        unsigned long count = ca_element_count(channel->chid);

        epicsMutexMustLock(channel->context->lock);
        if (connections == channel->connections && channel->native_type == CC_UNASKED) {
            channel->native_count = (uint32_t)count;
            CC_BEFORE_WRITE();
            channel->native_type = (int16_t)asked;
        }
        type = channel->native_type;
        cc_unlock(channel->context);
    }
    CC_AFTER_READ();
    return type;
}

/* Asking ----------------------------------------------------------------------------------- */

int cc_field_type(cc_id id)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    int answer;

    if (!channel)
        return -2;
    answer = cc_native(channel);
    cc_leave(channel);
    return answer;
}

int64_t cc_element_count(cc_id id)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    int64_t answer;

    if (!channel)
        return -1;
    cc_native(channel);
    answer = (int64_t)channel->native_count;
    cc_leave(channel);
    return answer;
}

int cc_channel_is_connected(cc_id id)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    int answer;

    if (!channel)
        return -1;
    answer = !channel->unconnected;
    cc_leave(channel);
    return answer;
}

int cc_state(cc_id id)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    int answer;

    if (!channel)
        return -1;
    answer = (int)ca_state(channel->chid);
    cc_leave(channel);
    return answer;
}

/* Bit 0: may read, bit 1: may write; -1 for an unknown channel. */
int cc_access(cc_id id)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    int answer;

    if (!channel)
        return -1;
    answer = (ca_read_access(channel->chid) ? 1 : 0) | (ca_write_access(channel->chid) ? 2 : 0);
    cc_leave(channel);
    return answer;
}

int cc_host_name(cc_id id, char *buffer, unsigned size)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);

    if (!channel)
        return ECA_BADCHID;
    buffer[0] = 0;
    ca_get_host_name(channel->chid, buffer, size);
    cc_leave(channel);
    return ECA_NORMAL;
}

int cc_name(cc_id id, char *buffer, unsigned size)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);

    if (!channel || !size)
        return ECA_BADCHID;
    strncpy(buffer, ca_name(channel->chid), size - 1);
    buffer[size - 1] = 0;
    cc_leave(channel);
    return ECA_NORMAL;
}

int cc_channel_info_get(cc_id id, cc_channel_info *info)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);

    if (!channel)
        return ECA_BADCHID;
    info->state = (int)ca_state(channel->chid);
    info->field_type = cc_native(channel);
    info->element_count = channel->native_count;
    info->read_access = (int)ca_read_access(channel->chid);
    info->write_access = (int)ca_write_access(channel->chid);
    info->search_attempts = ca_search_attempts(channel->chid);
    if (!info->search_attempts && channel->connections)
        info->search_attempts = 1;      /* found by what search.c has asked */
#if defined(HAS_CA_HOST_MINOR_PROTOCOL)
    info->minor_protocol = ca_host_minor_protocol(channel->chid);
#else
    info->minor_protocol = 0;
#endif
    info->beacon_period = ca_beacon_period(channel->chid);
    info->watchdog_delay = ca_receive_watchdog_delay(channel->chid);
    cc_leave(channel);
    return ECA_NORMAL;
}

static int is_waited(const cc_waitset *set)
{
    return set && !set->forgotten;
}

/* The channels that cc_wait_all waits for, because of their connection or an answer: their number,
 * and the ids of as many as there is room for. */
uint32_t cc_waited(cc_id id, cc_id *channels, uint32_t room)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);
    cc_channel *channel;
    uint32_t found = 0, at;

    if (!context)
        return 0;
    /* With the lock held no channel loses its context, so that its requests are its own. */
    epicsMutexMustLock(context->lock);
    for (at = 0; (channel = cc_pool_next(CC_POOL_CHANNEL, &at)) != NULL;) {
        const cc_request *r;
        int waited;

        if (channel->context != context)
            continue;
        waited = is_waited(channel->waitset);
        for (r = channel->requests; r && !waited; r = r->next)
            waited = is_waited(r->waitset);
        if (!waited)
            continue;
        if (found < room)
            channels[found] = channel->head.id;
        found++;
    }
    cc_unlock(context);
    cc_leave(context);
    return found;
}

/* Subscriptions ---------------------------------------------------------------------------- */

/* Settle what to ask for: native type and count where CC_ANY is given, the count clipped to the
 * native one. Scripts know a lost channel by BADTYPE and DISCONN, in this order. */
int cc_choose_read(cc_channel *channel, int *type, int64_t *count, int zero_is_one)
{
    int connected = !channel->unconnected;
    int native_type = cc_native(channel);
    int64_t native = (int64_t)channel->native_count;

    if (*type == CC_ANY) {
        *type = native_type;
        if (!connected)
            return ECA_BADTYPE;
    }
    if (*type < 0 || *type > LAST_BUFFER_TYPE || *type == DBR_PUT_ACKT || *type == DBR_PUT_ACKS)
        return ECA_BADTYPE;
    if (!connected)
        return ECA_DISCONN;
    if (*count == CC_ANY || *count > native)
        *count = native;
    else if (*count < 0)
        return ECA_BADCOUNT;
    if (*count == 0 && zero_is_one)
        *count = 1;
    /* This one has no array form: the rest would be leftovers of the server's memory. */
    if (*type == DBR_CLASS_NAME)
        *count = 1;
    return ECA_NORMAL;
}

/* What cc_subscribe_many is to do, and how far it is. */
typedef struct subscriptions {
    const cc_id *channels;
    uint32_t length;
    int type, variant;
    int64_t count;
    long mask;
    uint64_t token;
    cc_queue *queue;
    cc_id *ids;
    uint32_t next;
    cc_context *context;
} subscriptions;

static cc_id subscribe(cc_channel *channel, const subscriptions *wanted, int type, uint64_t token)
{
    cc_context *context = channel->context;
    cc_queue *queue = wanted->queue;
    int64_t count = wanted->count;
    cc_subscription *s;
    int status;
    cc_id id;

    /* A subscription may be made before the channel connects, when the type is given. */
    status = cc_choose_read(channel, &type, &count, 0);
    if (status == ECA_DISCONN) {
        /* As scripts know it, the count is clipped to what is known, which is nothing. */
        if (!queue || count < 0)
            count = 0;
    }
    else if (status != ECA_NORMAL)
        return -status;
    s = cc_pool_take(CC_POOL_SUBSCRIPTION);
    if (!s)
        return -ECA_ALLOCMEM;
    id = s->head.id;
    s->channel = channel;
    s->queue = queue ? queue : context->queue;
    cc_queue_hold(s->queue);
    s->token = token;
    s->evid = NULL;
    s->pending_generation = 0;
    s->most = cc_most_bytes(channel, type, count);
    CC_TELL(context, CC_TRACE_SUBSCRIBE, channel->chid, type, count);
    /* libca drops an event of a plain type without elements: on the wire it cannot be told from the
     * answer to a cancelled subscription. The STS type has a header, so its events always come;
     * cc_on_event takes the header off. */
    s->is_plain = type <= DBR_DOUBLE;
    if (s->is_plain)
        type += DBR_STS_STRING;
    status = ca_create_subscription(type, (unsigned long)count, channel->chid, wanted->mask,
                                    cc_on_event, s, &s->evid);
    if (status != ECA_NORMAL) {
        give_subscription(s);
        return -status;
    }
    epicsMutexMustLock(context->lock);
    s->previous = NULL;
    s->next = channel->subscriptions;
    if (s->next)
        s->next->previous = s;
    channel->subscriptions = s;
    cc_unlock(context);
    return id;
}

/* Go on up to the first channel of another context. */
static int subscribe_on(void *argument)
{
    subscriptions *wanted = argument;

    for (; wanted->next < wanted->length; wanted->next++) {
        uint32_t i = wanted->next;
        cc_channel *channel = cc_enter(CC_POOL_CHANNEL, wanted->channels[i]);
        int type = wanted->type;

        if (!channel) {
            wanted->ids[i] = -ECA_BADCHID;
            continue;
        }
        if (channel->context != wanted->context) {
            cc_leave(channel);
            break;
        }
        if (type == CC_ANY && !channel->unconnected)
            type = cc_native(channel) + wanted->variant;
        wanted->ids[i] = subscribe(channel, wanted, type, wanted->token + i);
        cc_leave(channel);
    }
    return ECA_NORMAL;
}

static cc_context *enter_context_of(cc_id id)
{
    cc_channel *channel = cc_enter(CC_POOL_CHANNEL, id);
    cc_context *context;

    if (!channel)
        return NULL;
    context = cc_enter(CC_POOL_CONTEXT, channel->context->head.id);
    cc_leave(channel);
    return context;
}

/* In a thread that is attached to the context of the channels. In an IOC, the first subscription
 * of a context makes libca start a thread for the events of that IOC's own records, and attach
 * it to the context of the calling thread: without one the process ends. */
static void subscribe_all(subscriptions *wanted)
{
    while (wanted->next < wanted->length) {
        uint32_t before = wanted->next;
        int status = ECA_BADCHID;

        wanted->context = enter_context_of(wanted->channels[before]);
        if (wanted->context) {
            status = cc_run_attached(wanted->context->ca, subscribe_on, wanted);
            cc_leave(wanted->context);
        }
        if (wanted->next == before)
            wanted->ids[wanted->next++] = -status;
    }
}

/* Queue NULL: the queue of the context. */
cc_id cc_subscribe(cc_id id, int type, int64_t count, long mask, uint64_t token, cc_queue *queue)
{
    cc_id answer;
    subscriptions wanted = {&id, 1, type, 0, count, mask, token, queue, &answer, 0, NULL};

    subscribe_all(&wanted);
    return answer;
}

/* `variant` (0 plain, 7 STS, 14 TIME, ...) is added to the native type when `type` is CC_ANY. */
int cc_subscribe_many(const cc_id *channels, uint32_t length, int type, int64_t count,
                      int variant, long mask, uint64_t first_token, cc_queue *queue,
                      cc_id *answers)
{
    subscriptions wanted = {channels, length, type, variant, count, mask, first_token, queue,
                            answers, 0, NULL};

    subscribe_all(&wanted);
    return ECA_NORMAL;
}

int cc_unsubscribe(cc_id id)
{
    cc_subscription *s = cc_enter(CC_POOL_SUBSCRIPTION, id);
    cc_channel *channel;
    cc_id channel_id;
    void *object;
    int status;

    if (!s)
        return ECA_BADMONID;
    channel_id = s->channel->head.id;
    cc_leave(s);
    /* While this is inside the channel nobody can clear it, and the subscription with it. */
    channel = cc_enter(CC_POOL_CHANNEL, channel_id);
    if (!channel)
        return ECA_BADMONID;
    if (!cc_begin_close(CC_POOL_SUBSCRIPTION, id, &object)) {
        cc_leave(channel);
        return ECA_BADMONID;
    }
    s = object;
    cc_await_users(s);
    CC_TELL(channel->context, CC_TRACE_UNSUBSCRIBE, channel->chid, 0, 0);
    status = ca_clear_subscription(s->evid);
    epicsMutexMustLock(channel->context->lock);
    if (s->previous)
        s->previous->next = s->next;
    else
        channel->subscriptions = s->next;
    if (s->next)
        s->next->previous = s->previous;
    cc_unlock(channel->context);
    give_subscription(s);
    cc_leave(channel);
    return status;
}
