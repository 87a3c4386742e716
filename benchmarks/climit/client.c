/*
 * The C limit: the same scenarios as the Python peers, on libca and nothing else.
 *
 *     client SCENARIO name=value ...
 *
 * prints one line of JSON, the same one that benchmarks/launch.py prints for a Python peer, and
 * exits 0; or says on stderr what went wrong and exits 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cadef.h>

/* Seconds between 1970-01-01 and 1990-01-01, the EPICS epoch. */
#define EPICS_EPOCH 631152000.0

static int argument_count;
static char **arguments;

static void fail(const char *what, int status)
{
    fprintf(stderr, "%s: %s\n", what, ca_message(status));
    exit(1);
}

static void check(const char *what, int status)
{
    if (status != ECA_NORMAL)
        fail(what, status);
}

static void *allocate(size_t number, size_t size)
{
    void *memory = calloc(number, size);
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memory;
}

static const char *text(const char *name)
{
    size_t length = strlen(name);
    for (int i = 2; i < argument_count; i++)
        if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=')
            return arguments[i] + length + 1;
    fprintf(stderr, "parameter %s is missing\n", name);
    exit(1);
}

static double number(const char *name)
{
    return atof(text(name));
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double wall_start, cpu_start;

static void start(void)
{
    wall_start = seconds_of(CLOCK_MONOTONIC);
    cpu_start = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

struct span {
    double wall, cpu;
};

static struct span elapsed(void)
{
    struct span span = {seconds_of(CLOCK_MONOTONIC) - wall_start,
                        seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_start};
    return span;
}

/* `extra` is either empty or the inside of a JSON object. */
static int report(struct span span, double done, double expected, const char *extra)
{
    printf("{\"seconds\": %.9f, \"cpu_seconds\": %.9f, \"done\": %.0f, \"expected\": %.0f, "
           "\"extra\": {%s}, \"library\": \"libca, protocol %s\"}\n",
           span.wall, span.cpu, done, expected, extra, ca_version());
    return 0;
}

static double resident_bytes(void)
{
    long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &total, &resident) != 2) {
        fprintf(stderr, "cannot read /proc/self/statm\n");
        exit(1);
    }
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static int connected(const chid *channels, int count)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        found += ca_state(channels[i]) == cs_conn;
    return found;
}

/* Create channels prefix<first> ... prefix<first + count - 1> and wait for all of them. */
static void connect_channels(chid *channels, const char *prefix, int first, int count)
{
    char name[128];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s%d", prefix, first + i);
        check(name, ca_create_channel(name, NULL, NULL, 0, &channels[i]));
    }
    ca_pend_io(number("timeout"));
}

static chid *connect_all(const char *prefix, int count)
{
    chid *channels = allocate((size_t)count, sizeof *channels);
    connect_channels(channels, prefix, 0, count);
    if (connected(channels, count) != count)
        fail("connect", ECA_TIMEOUT);
    return channels;
}

static int run_connect(void)
{
    int count = (int)number("count");
    chid *channels = allocate((size_t)count, sizeof *channels);
    start();
    connect_channels(channels, text("prefix"), 0, count);
    struct span span = elapsed();
    return report(span, connected(channels, count), count, "");
}

static int run_get_one(void)
{
    int count = (int)number("count");
    chid *channel = connect_all(text("prefix"), 1);
    double value = -1;
    int done = 0;
    start();
    for (int i = 0; i < count; i++) {
        check("get", ca_get(DBR_DOUBLE, channel[0], &value));
        done += ca_pend_io(number("timeout")) == ECA_NORMAL;
    }
    return report(elapsed(), done, count, "");
}

/* One of several passes of a scenario. */
struct pass {
    struct span span;
    double confirmed;
    int done;
};

static int by_wall_time(const void *left, const void *right)
{
    double a = ((const struct pass *)left)->span.wall, b = ((const struct pass *)right)->span.wall;
    return (a > b) - (a < b);
}

/* The same choice as middle_pass() in benchmarks/peers/protocol.py. */
static struct pass middle_pass(struct pass *passes, int number_of_passes, int expected)
{
    int worst = 0;
    for (int i = 1; i < number_of_passes; i++)
        if (passes[i].done < passes[worst].done)
            worst = i;
    if (passes[worst].done < expected)
        return passes[worst];
    qsort(passes, (size_t)number_of_passes, sizeof *passes, by_wall_time);
    return passes[(number_of_passes - 1) / 2];
}

static void get_values(const chid *channels, double *values, int count)
{
    for (int i = 0; i < count; i++)
        check("get", ca_get(DBR_DOUBLE, channels[i], &values[i]));
    ca_pend_io(number("timeout"));
}

static int run_get_all(void)
{
    int count = (int)number("count"), number_of_passes = (int)number("passes");
    chid *channels = connect_all(text("prefix"), count);
    double *values = allocate((size_t)count, sizeof *values);
    struct pass *passes = allocate((size_t)number_of_passes, sizeof *passes);
    for (int p = 0; p < number_of_passes; p++) {
        for (int i = 0; i < count; i++)
            values[i] = -1;
        start();
        get_values(channels, values, count);
        passes[p].span = elapsed();
        for (int i = 0; i < count; i++)
            passes[p].done += values[i] >= 0;
    }
    struct pass middle = middle_pass(passes, number_of_passes, count);
    return report(middle.span, middle.done, count, "");
}

static int run_put_all(void)
{
    int count = (int)number("count"), number_of_passes = (int)number("passes");
    double *values = allocate((size_t)count, sizeof *values);
    chid *channels = connect_all(text("prefix"), count);
    struct pass *passes = allocate((size_t)number_of_passes, sizeof *passes);
    char extra[100];
    for (int p = 0; p < number_of_passes; p++) {
        double offset = number("offset") + p / 16.0;
        start();
        for (int i = 0; i < count; i++) {
            double value = i + offset;
            check("put", ca_put(DBR_DOUBLE, channels[i], &value));
        }
        check("flush", ca_flush_io());
        passes[p].span = elapsed();
        /* The server answers in order: the reply to a get says that the puts before it are in. */
        get_values(&channels[count - 1], &values[count - 1], 1);
        struct span confirmed = elapsed();
        passes[p].confirmed = confirmed.wall;
        passes[p].span.cpu = confirmed.cpu;
        get_values(channels, values, count);
        for (int i = 0; i < count; i++)
            passes[p].done += values[i] == i + offset;
    }
    struct pass middle = middle_pass(passes, number_of_passes, count);
    snprintf(extra, sizeof extra, "\"confirmed_seconds\": %.9f", middle.confirmed);
    return report(middle.span, middle.done, count, extra);
}

static volatile long events;
static double newest;

static void on_event(struct event_handler_args args)
{
    const struct dbr_time_double *data = args.dbr;
    if (args.status != ECA_NORMAL || data == NULL)
        return;
    events++;
    if (args.usr != NULL)
        newest = EPICS_EPOCH + data->stamp.secPastEpoch + 1e-9 * data->stamp.nsec;
}

static int run_monitor(void)
{
    int count = (int)number("count");
    double rate = number("rate");
    chid *channels = connect_all(text("prefix"), count);
    char extra[100];
    for (int i = 0; i < count; i++)
        check("subscribe",
              ca_create_subscription(DBR_TIME_DOUBLE, 1, channels[i], DBE_VALUE | DBE_ALARM,
                                     on_event, i == 0 ? &newest : NULL, NULL));
    check("flush", ca_flush_io());
    usleep((useconds_t)(1e6 * number("settle")));
    long before = events;
    start();
    usleep((useconds_t)(1e6 * number("window")));
    struct span span = elapsed();
    long delivered = events - before;
    snprintf(extra, sizeof extra, "\"lag_seconds\": %.6f",
             seconds_of(CLOCK_REALTIME) - newest);
    return report(span, (double)delivered, count * rate * span.wall, extra);
}

static int run_waveform(void)
{
    int repeats = (int)number("repeats"), done = 0;
    size_t elements = (size_t)number("elements");
    double *values = allocate(elements, sizeof *values);
    chid channel;
    char extra[100];
    check("create", ca_create_channel(text("pv"), NULL, NULL, 0, &channel));
    check("connect", ca_pend_io(number("timeout")));
    start();
    for (int i = 0; i < repeats; i++) {
        check("get", ca_array_get(DBR_DOUBLE, elements, channel, values));
        done += ca_pend_io(number("timeout")) == ECA_NORMAL
            && values[elements - 1] == (double)(elements - 1);
    }
    struct span span = elapsed();
    snprintf(extra, sizeof extra, "\"bytes\": %.0f",
             (double)done * (double)elements * sizeof *values);
    return report(span, done, repeats, extra);
}

/* Not a measurement: gives the waveform the values that every peer checks for. */
static int run_fill(void)
{
    size_t elements = (size_t)number("elements");
    double *values = allocate(elements, sizeof *values);
    chid channel;
    for (size_t i = 0; i < elements; i++)
        values[i] = (double)i;
    check("create", ca_create_channel(text("pv"), NULL, NULL, 0, &channel));
    check("connect", ca_pend_io(number("timeout")));
    start();
    check("put", ca_array_put(DBR_DOUBLE, elements, channel, values));
    /* The reply to a get says that the put before it is in. */
    check("get", ca_get(DBR_DOUBLE, channel, values));
    check("get", ca_pend_io(number("timeout")));
    return report(elapsed(), 1, 1, "");
}

static int run_memory(void)
{
    int count = (int)number("count");
    chid *channels = allocate((size_t)count + 1, sizeof *channels);
    char extra[100];
    /* Touch the array, so that its pages do not count as the channels'. */
    memset(channels, 1, ((size_t)count + 1) * sizeof *channels);
    connect_channels(channels, text("prefix"), 0, 1);
    double before = resident_bytes();
    start();
    connect_channels(channels + 1, text("prefix"), 1, count - 1);
    struct span span = elapsed();
    int done = connected(channels + 1, count - 1);
    snprintf(extra, sizeof extra, "\"bytes_per_channel\": %.1f",
             (resident_bytes() - before) / done);
    return report(span, done, count - 1, extra);
}

static int run_startup(void)
{
    chid channel;
    double value = -1;
    check("create", ca_create_channel(text("pv"), NULL, NULL, 0, &channel));
    check("connect", ca_pend_io(number("timeout")));
    check("get", ca_get(DBR_DOUBLE, channel, &value));
    check("get", ca_pend_io(number("timeout")));
    printf("0 %g\n", value);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } scenarios[] = {
        {"connect", run_connect}, {"get_one", run_get_one},   {"get_all", run_get_all},
        {"get_list", run_get_all}, {"put_all", run_put_all},  {"monitor", run_monitor},
        {"waveform", run_waveform}, {"memory", run_memory},   {"startup", run_startup},
        {"fill", run_fill},
    };
    argument_count = argc;
    arguments = argv;
    if (argc > 1)
        for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
            if (strcmp(argv[1], scenarios[i].name) == 0) {
                check("context", ca_context_create(ca_enable_preemptive_callback));
                int status = scenarios[i].run();
                fflush(stdout);
                ca_context_destroy();
                return status;
            }
    fprintf(stderr, "usage: client SCENARIO name=value ...\n");
    return 2;
}
