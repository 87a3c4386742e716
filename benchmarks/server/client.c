/* The measuring client: libca, one thread, no work of its own.
 *
 *   client connect PREFIX N          connect N channels PREFIX0 ... in one burst
 *   client get NAME N                N gets with callback of one PV, as many in flight as go
 *   client put NAME N                N puts, the last one with completion
 *   client putcb NAME N              N puts with completion, as many in flight as go
 *   client latency NAME N            N gets, each after the other was answered
 *   client array NAME N COUNT        N gets of an array of COUNT doubles, one after the other
 *   client monitor PREFIX N SECONDS  subscribe to N PVs, count events
 *   client fanout NAME N SECONDS     the same PV N times, each over a circuit of its own
 *
 * Prints one number per line: seconds, a count, and what else there is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cadef.h>
#include <epicsTime.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void check(int status, const char *what)
{
    if (status != ECA_NORMAL) {
        fprintf(stderr, "%s: %s\n", what, ca_message(status));
        exit(1);
    }
}

static volatile long events, failures;

static void on_event(struct event_handler_args args)
{
    if (args.status == ECA_NORMAL)
        events++;
    else
        failures++;
}

static volatile long connected;

static void on_connection(struct connection_handler_args args)
{
    connected += args.op == CA_OP_CONN_UP ? 1 : -1;
}

static chid single(const char *name)
{
    chid channel;
    check(ca_create_channel(name, NULL, NULL, CA_PRIORITY_DEFAULT, &channel), name);
    check(ca_pend_io(10.0), name);
    return channel;
}

static void wait_for(long count)
{
    double end = now() + 60;
    while (events + failures < count && now() < end)
        ca_pend_event(0.002);
}

int main(int argc, char **argv)
{
    const char *what = argv[1], *name = argv[2];
    long number = atol(argv[3]), i;
    double start, seconds;

    check(ca_context_create(ca_disable_preemptive_callback), "context");
    if (!strcmp(what, "connect")) {
        char pv[64];
        chid channel;
        start = now();
        for (i = 0; i < number; i++) {
            snprintf(pv, sizeof pv, "%s%ld", name, i);
            check(ca_create_channel(pv, on_connection, NULL, 0, &channel), pv);
        }
        ca_flush_io();
        while (connected < number && now() < start + 60)
            ca_pend_event(0.002);
        seconds = now() - start;
        printf("%f\n%ld\n", seconds, connected);
        return 0;
    }
    if (!strcmp(what, "get")) {
        chid channel = single(name);
        start = now();
        for (i = 0; i < number; i++)
            check(ca_get_callback(DBR_DOUBLE, channel, on_event, NULL), "get");
        ca_flush_io();
        wait_for(number);
        printf("%f\n%ld\n%ld\n", now() - start, events, failures);
        return 0;
    }
    if (!strcmp(what, "put") || !strcmp(what, "putcb")) {
        chid channel = single(name);
        int callback = !strcmp(what, "putcb");
        start = now();
        for (i = 0; i < number; i++) {
            double value = i;
            if (callback || i == number - 1)
                check(ca_array_put_callback(DBR_DOUBLE, 1, channel, &value, on_event, NULL), "put");
            else
                check(ca_put(DBR_DOUBLE, channel, &value), "put");
        }
        ca_flush_io();
        wait_for(callback ? number : 1);
        printf("%f\n%ld\n%ld\n", now() - start, number, failures);
        return 0;
    }
    if (!strcmp(what, "latency")) {
        chid channel = single(name);
        double value;
        start = now();
        for (i = 0; i < number; i++) {
            check(ca_get(DBR_DOUBLE, channel, &value), "get");
            check(ca_pend_io(5.0), "get");
        }
        printf("%f\n%ld\n", now() - start, number);
        return 0;
    }
    if (!strcmp(what, "array")) {
        long count = atol(argv[4]);
        double *values = malloc(count * sizeof *values);
        chid channel = single(name);
        check(ca_array_get(DBR_DOUBLE, count, channel, values), "get");
        check(ca_pend_io(10.0), "get");
        start = now();
        for (i = 0; i < number; i++) {
            check(ca_array_get(DBR_DOUBLE, count, channel, values), "get");
            check(ca_pend_io(10.0), "get");
        }
        seconds = now() - start;
        printf("%f\n%ld\n%f\n", seconds, number, number * count * 8 / seconds / 1e6);
        return 0;
    }
    if (!strcmp(what, "monitor") || !strcmp(what, "fanout")) {
        double duration = atof(argv[4]), end;
        int fanout = !strcmp(what, "fanout");
        char pv[64];
        chid *channels = calloc(number, sizeof *channels);
        struct ca_client_context **contexts = calloc(number, sizeof *contexts);
        for (i = 0; i < number; i++) {
            snprintf(pv, sizeof pv, fanout ? "%s" : "%s%ld", name, i);
            if (fanout && i) {
                /* A context of its own has a circuit of its own. */
                ca_detach_context();
                check(ca_context_create(ca_enable_preemptive_callback), "context");
            }
            contexts[i] = ca_current_context();
            check(ca_create_channel(pv, NULL, NULL, 0, &channels[i]), pv);
            if (fanout)
                check(ca_pend_io(10.0), pv);
        }
        if (!fanout)
            check(ca_pend_io(20.0), "connect");
        for (i = 0; i < number; i++) {
            if (fanout) {
                ca_detach_context();
                ca_attach_context(contexts[i]);
            }
            check(ca_create_subscription(DBR_TIME_DOUBLE, 1, channels[i], DBE_VALUE, on_event,
                                         NULL, NULL), "subscribe");
            ca_flush_io();
        }
        if (fanout) {
            ca_detach_context();
            ca_attach_context(contexts[0]);
        }
        ca_pend_event(1.0);
        events = 0;
        start = now();
        end = start + duration;
        while (now() < end)
            ca_pend_event(0.01);
        printf("%f\n%ld\n%ld\n", now() - start, events, failures);
        return 0;
    }
    fprintf(stderr, "unknown: %s\n", what);
    return 2;
}
