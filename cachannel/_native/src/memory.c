/* Pools of objects that are named by ids, and the copies of DBR data that outlive a callback. */

#include "engine.h"

#define CHUNK 256
#define INDEX_BITS 24
#define MAX_CHUNKS (1 << (INDEX_BITS - 8))

/* A table of fixed size: it is read without a lock, so it must never move. Its pages cost
 * nothing until they are used. */
typedef struct pool {
    size_t size;
    char *chunks[MAX_CHUNKS];
    uint32_t nchunks;
    cc_head *free;
    unsigned live;
} pool;

static pool pools[CC_POOLS];
static epicsMutexId pool_lock;

/* Never set back, not even after a fork: an id of the parent process stays unknown here. */
static uint64_t serial;

static cc_head *at(pool *p, uint32_t index)
{
    char *chunk = p->chunks[index / CHUNK];
    return chunk ? (cc_head *)(chunk + (index % CHUNK) * p->size) : NULL;
}

/* The link of the free list. */
static cc_head **link_of(cc_head *head)
{
    return (cc_head **)(head + 1);
}

static int grow(pool *p)
{
    uint32_t i;
    char *chunk;

    if (p->nchunks == MAX_CHUNKS)
        return 0;
    chunk = calloc(CHUNK, p->size);
    if (!chunk)
        return 0;
    for (i = CHUNK; i-- > 0;) {
        cc_head *head = (cc_head *)(chunk + i * p->size);
        head->id = -(cc_id)(p->nchunks * CHUNK + i);
        *link_of(head) = p->free;
        p->free = head;
    }
    p->chunks[p->nchunks++] = chunk;
    return 1;
}

/* An object with a fresh id, or NULL without memory. Its other fields are as they were left. */
void *cc_pool_take(int which)
{
    pool *p = &pools[which];
    cc_head *head = NULL;

    epicsMutexMustLock(pool_lock);
    if (p->free || grow(p)) {
        head = p->free;
        p->free = *link_of(head);
        p->live++;
        head->id = (cc_id)(++serial << INDEX_BITS | (uint64_t)-head->id);
        epicsAtomicSetIntT(&head->closing, 0);
    }
    epicsMutexUnlock(pool_lock);
    return head;
}

void cc_pool_give(int which, void *object)
{
    pool *p = &pools[which];
    cc_head *head = object;

    epicsMutexMustLock(pool_lock);
    head->id = -(head->id & ((1 << INDEX_BITS) - 1));
    *link_of(head) = p->free;
    p->free = head;
    p->live--;
    epicsMutexUnlock(pool_lock);
}

/* Start a call on the object with this id; NULL when there is none or it is being ended. */
void *cc_enter(int which, cc_id id)
{
    uint32_t index = (uint32_t)(id & ((1 << INDEX_BITS) - 1));
    cc_head *head;

    if (id <= 0)
        return NULL;
    head = at(&pools[which], index);
    if (!head)
        return NULL;
    epicsAtomicIncrIntT(&head->users);
    /* In this order: an object that is given back and taken again meanwhile is closing until it
     * has its new id. */
    if (epicsAtomicGetIntT(&head->closing) || head->id != id) {
        epicsAtomicDecrIntT(&head->users);
        return NULL;
    }
    return head;
}

void cc_leave(void *object)
{
    epicsAtomicDecrIntT(&((cc_head *)object)->users);
}

/* Become the one that ends the object: 1 for the first caller, 0 for everybody else. */
int cc_begin_close(int which, cc_id id, void **object)
{
    cc_head *head = cc_enter(which, id);
    int first;

    if (!head)
        return 0;
    first = epicsAtomicCmpAndSwapIntT(&head->closing, 0, 1) == 0;
    cc_leave(head);
    *object = head;
    return first;
}

void cc_await_users(void *object)
{
    cc_head *head = object;
    int turns = 0;

    while (epicsAtomicGetIntT(&head->users) > 0)
        epicsThreadSleep(turns++ < 50 ? 0.0 : 0.0005);
}

unsigned cc_pool_live(int which)
{
    return pools[which].live;
}

/* The next object in use from `*index` on, or NULL. Objects may come and go meanwhile. */
void *cc_pool_next(int which, uint32_t *index)
{
    pool *p = &pools[which];

    while (*index < p->nchunks * CHUNK) {
        cc_head *head = at(p, (*index)++);
        if (head && head->id > 0)
            return head;
    }
    return NULL;
}

/* Copies of data. Large blocks are kept for a while: an 8 MB image ten times a second would
 * otherwise spend its time in page faults. */

#define KEEP_FROM 65536
#define KEEP_BLOCKS 8
#define KEEP_BYTES (96u << 20)

typedef struct block {
    size_t room;
    size_t padding;     /* keeps the data behind it aligned to 16 bytes */
} block;

static block *kept[KEEP_BLOCKS];
static size_t kept_bytes;
static uint64_t used_bytes;
static epicsMutexId payload_lock;
static int no_locks;            /* in the child of a fork, until it uses CA */

static block *payload_allocate(size_t nbytes)
{
    block *found = NULL;
    int i;

    epicsMutexMustLock(payload_lock);
    if (nbytes >= KEEP_FROM)
        for (i = 0; i < KEEP_BLOCKS; i++)
            if (kept[i] && kept[i]->room >= nbytes && kept[i]->room / 2 <= nbytes) {
                found = kept[i];
                kept[i] = NULL;
                kept_bytes -= found->room;
                break;
            }
    used_bytes += found ? found->room : nbytes;
    epicsMutexUnlock(payload_lock);
    if (found)
        return found;
    found = malloc(sizeof(block) + nbytes);
    if (found)
        found->room = nbytes;
    else {
        epicsMutexMustLock(payload_lock);
        used_bytes -= nbytes;
        epicsMutexUnlock(payload_lock);
    }
    return found;
}

uint64_t cc_payload_copy(const void *data, size_t nbytes)
{
    block *b = payload_allocate(nbytes);

    if (!b)
        return 0;
    memcpy(b + 1, data, nbytes);
    return (uint64_t)(uintptr_t)(b + 1);
}

void cc_payload_free(uint64_t payload)
{
    block *b;
    int i, keep = 0;

    if (!payload)
        return;
    b = (block *)(uintptr_t)payload - 1;
    if (no_locks) {
        free(b);
        return;
    }
    epicsMutexMustLock(payload_lock);
    used_bytes -= b->room;
    if (b->room >= KEEP_FROM && kept_bytes + b->room <= KEEP_BYTES)
        for (i = 0; i < KEEP_BLOCKS; i++)
            if (!kept[i]) {
                kept[i] = b;
                kept_bytes += b->room;
                keep = 1;
                break;
            }
    epicsMutexUnlock(payload_lock);
    if (!keep)
        free(b);
}

uint64_t cc_payload_bytes(void)
{
    return used_bytes;
}

static int create_locks(void)
{
    pool_lock = epicsMutexCreate();
    payload_lock = epicsMutexCreate();
    return pool_lock && payload_lock;
}

int cc_memory_initialize(void)
{
    pools[CC_POOL_CONTEXT].size = sizeof(cc_context);
    pools[CC_POOL_CHANNEL].size = sizeof(cc_channel);
    pools[CC_POOL_SUBSCRIPTION].size = sizeof(cc_subscription);
    pools[CC_POOL_REQUEST].size = sizeof(cc_request);
    return create_locks();
}

/* In the child of a fork the objects belong to threads that do not exist here, and a lock may be
 * held by one of them for ever. Forget the objects and touch no lock; new locks are made when the
 * child uses CA, which most children never do. */
void cc_memory_after_fork(void)
{
    int i;

    for (i = 0; i < CC_POOLS; i++) {
        memset(pools[i].chunks, 0, pools[i].nchunks * sizeof(pools[i].chunks[0]));
        pools[i].nchunks = 0;
        pools[i].free = NULL;
        pools[i].live = 0;
    }
    memset(kept, 0, sizeof kept);
    kept_bytes = 0;
    used_bytes = 0;
    no_locks = 1;
}

int cc_memory_renew(void)
{
    no_locks = 0;
    return create_locks();
}
