/* The C boundary as Python sees it. This one file is both compiled and given to cffi.
 *
 * An id names a context, channel, subscription or request. It is checked on every call and is
 * never used twice, so a stale id is an error (ECA_BADCHID, ...) and never a crash.
 *
 * A token is a number that Python chooses before it calls; the records of the event queue carry
 * it back. So the owner of a record is known before its first record can arrive.
 *
 * Functions that create something return its id (> 0) or a negated ECA status.
 */

typedef int64_t cc_id;

/* What happened: cc_record.kind */
#define CC_CONNECTION 1
#define CC_ACCESS 2
#define CC_EVENT 3
#define CC_GET 4
#define CC_PUT 5
#define CC_EXCEPTION 6
#define CC_MESSAGE 7
#define CC_DROPPED 8
#define CC_BULK 9
#define CC_TRACE 10

/* What a traced context has done: cc_record.status of kind CC_TRACE. The data is the name of the
 * PV and the address of the server, each with its NUL; both may be empty. */
#define CC_TRACE_SEARCH 1         /* a channel was made, and is searched for */
#define CC_TRACE_ASK 2            /* so many names (count) were asked for at an address */
#define CC_TRACE_CIRCUIT 3        /* a circuit has its first channel */
#define CC_TRACE_RESPONSIVE 4     /* the server of an unresponsive circuit answers again */
#define CC_TRACE_UP 5             /* type and count are native, bit 0 of seconds: read, 1: write */
#define CC_TRACE_DOWN 6
#define CC_TRACE_CLEAR 7
#define CC_TRACE_READ 8           /* type and count of the request, here and below */
#define CC_TRACE_WRITE 9
#define CC_TRACE_SUBSCRIBE 10
#define CC_TRACE_UNSUBSCRIBE 11

/* Where the data is: cc_record.place */
#define CC_NOWHERE 0
#define CC_IN_RECORD 1
#define CC_IN_BATCH 2
#define CC_ON_HEAP 3

/* Flags of cc_channel_create */
#define CC_WAITED 1
#define CC_TELL_CONNECTION 2
#define CC_TELL_ACCESS 4

/* Answers of the put calls besides an ECA status */
#define CC_OUT_OF_RANGE -1
#define CC_NOT_A_NUMBER -2
#define CC_IS_STRING -3

/* Answers of cc_request_state */
#define CC_PENDING 0
#define CC_FLOAT 1
#define CC_INTEGER 2
#define CC_OTHER 3
#define CC_FAILED 4
#define CC_GONE 5

/* One event. Alarm and time stamp are filled in for the types that have them. A single number
 * of a plain, STS or TIME type is in `value`; everything else is a copy of the whole DBR
 * structure, at an offset into the batch or at an address on the heap. */
typedef struct cc_record {
    uint64_t owner;
    uint16_t kind;
    uint16_t place;
    int16_t type;
    int16_t alarm_status;
    int16_t alarm_severity;
    uint16_t reserved;
    int32_t status;
    uint32_t count;
    uint32_t seconds;
    uint32_t nanoseconds;
    uint32_t nbytes;
    double value;
    uint64_t payload;
} cc_record;

typedef struct cc_batch {
    cc_record *records;
    char *bytes;
    uint32_t length;
    uint32_t nbytes;
    uint64_t replaced;
} cc_batch;

typedef struct cc_channel_info {
    int state;
    int field_type;
    unsigned long element_count;
    int read_access;
    int write_access;
    unsigned search_attempts;
    unsigned minor_protocol;     /* 0: not connected, or libca is older than EPICS 7.0.10 */
    double beacon_period;
    double watchdog_delay;
} cc_channel_info;

typedef struct cc_counts {
    unsigned contexts;
    unsigned channels;
    unsigned subscriptions;
    unsigned requests;
    unsigned queues;
    uint64_t payload_bytes;
} cc_counts;

typedef struct cc_queue cc_queue;
typedef struct cc_bulk cc_bulk;

/* the libraries */
const char *cc_epics_base(void);       /* EPICS_BASE of the build; "" for epicscorelibs */
const char *cc_epics_version(void);    /* of the headers, and so of the libraries */
int cc_library_path(char *buffer, unsigned size);

/* process */
int cc_initialize(void);
void cc_before_fork(void);
void cc_after_fork(void);
void cc_get_counts(cc_counts *counts);
void cc_payload_free(uint64_t payload);

/* event queues */
cc_queue *cc_queue_create(uint32_t limit_records, uint64_t limit_bytes);
int cc_queue_wait(cc_queue *queue, double timeout);
uint32_t cc_queue_take(cc_queue *queue, cc_batch *batch);
uint64_t cc_queue_mark(cc_queue *queue);
uint32_t cc_batch_numbers(const cc_batch *batch, uint32_t first, uint32_t bits);
void cc_queue_close(cc_queue *queue);
void cc_queue_destroy(cc_queue *queue);
void cc_queue_wake(cc_queue *queue);

/* contexts */
cc_id cc_context_create(cc_queue *queue, uint64_t exception_token, int dispatched);
int cc_context_close(cc_id context);
int cc_close_at_exit(void);
int cc_context_messages(cc_id context, int here);
int cc_context_trace(cc_id context, int wanted);
int cc_flush(cc_id context);
int cc_outstanding(cc_id context);
int cc_wait_all(cc_id context, double timeout);
int cc_wait_mine(cc_id context, double timeout);
int cc_forget_all(cc_id context);
int cc_forget_mine(cc_id context);
uint32_t cc_waited(cc_id context, cc_id *channels, uint32_t room);
int cc_context_show(cc_id context, unsigned level);
unsigned cc_ioc_count(cc_id context);
unsigned cc_beacon_anomalies(cc_id context);

/* channels */
cc_id cc_channel_create(cc_id context, const char *name, unsigned priority, uint64_t token, int flags);
int cc_channel_clear(cc_id channel);
int cc_channel_set_token(cc_id channel, uint64_t token);
int cc_channel_tell_connection(cc_id channel, int tell);
int cc_channel_tell_access(cc_id channel, int tell);
void cc_search_hurry(const cc_id *channels, uint32_t length);
int cc_channel_wait(cc_id channel, double timeout);
int cc_channel_is_connected(cc_id channel);
int cc_channel_info_get(cc_id channel, cc_channel_info *info);
int cc_field_type(cc_id channel);
int64_t cc_element_count(cc_id channel);
int cc_state(cc_id channel);
int cc_access(cc_id channel);
int cc_host_name(cc_id channel, char *buffer, unsigned size);
int cc_name(cc_id channel, char *buffer, unsigned size);

/* reading */
cc_id cc_get(cc_id channel, int type, int64_t count, cc_id previous, int counted);
int cc_get_callback(cc_id channel, int type, int64_t count, uint64_t token);
cc_id cc_subscribe(cc_id channel, int type, int64_t count, long mask, uint64_t token, cc_queue *queue);
int cc_unsubscribe(cc_id subscription);

/* What a read and its wait came to. `state` CC_FLOAT and CC_INTEGER: the number is here and the
 * request is gone. Else `request` is still to be looked at, or below 1: minus the CA status. */
typedef struct cc_reading {
    cc_id request;
    double number;
    int state;
} cc_reading;
static const double CC_BRIEFLY;
double cc_read_number(cc_id channel);
cc_reading cc_last_reading(cc_id channel);

/* writing */
int cc_put(cc_id channel, int type, int64_t count, const void *data);
int cc_put_number(cc_id channel, int type, double value);
int cc_put_callback(cc_id channel, int type, int64_t count, const void *data, uint64_t token);
cc_id cc_put_request(cc_id channel, int type, int64_t count, const void *data, int told);

/* requests that somebody waits for */
int cc_request_wait(cc_id request, double timeout);
int cc_request_state(cc_id request);
double cc_request_float(cc_id request);
cc_reading cc_request_look(cc_id request);
int cc_request_record(cc_id request, cc_record *record, void *data, uint32_t room);
uint64_t cc_request_steal(cc_id request, cc_record *record);
int cc_request_forgive(cc_id request);
int cc_request_release(cc_id request);

/* many at once */
int cc_create_many(cc_id context, const char *names, uint32_t length, unsigned priority,
                   uint64_t first_token, int flags, cc_id *channels);
cc_bulk *cc_get_many(const cc_id *channels, uint32_t length, int type, int64_t count,
                     int variant);
int cc_get_callback_many(const cc_id *channels, uint32_t length, const int32_t *types,
                         const int64_t *counts, uint64_t first_token, int32_t *status);
int cc_put_many(const cc_id *channels, uint32_t length, const double *values, int32_t *status);
cc_bulk *cc_put_many_wait(const cc_id *channels, uint32_t length, const double *values,
                          int32_t *status);
int cc_put_callback_many(const cc_id *channels, uint32_t length, const double *values,
                         uint64_t first_token, int32_t *status);
int cc_subscribe_many(const cc_id *channels, uint32_t length, int type, int64_t count,
                      int variant, long mask, uint64_t first_token, cc_queue *queue,
                      cc_id *subscriptions);
int cc_bulk_wait(cc_bulk *bulk, double timeout);
int cc_bulk_tell(cc_bulk *bulk, uint64_t token);
uint32_t cc_bulk_collect(cc_bulk *bulk, int32_t *status, uint8_t *state, double *values);
const cc_record *cc_bulk_record(cc_bulk *bulk, uint32_t index);
void cc_bulk_release(cc_bulk *bulk);
