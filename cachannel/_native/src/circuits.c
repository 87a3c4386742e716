/* Circuits to servers that do not answer.
 *
 * libca notices a silent server after EPICS_CA_CONN_TMO, and then keeps the circuit for as long as
 * TCP does: a quarter of an hour after a host was switched off, for ever if a process hangs. As long
 * as the circuit is there libca does not search for its channels, so that no replacement is found.
 * The end of a context waits 30 s for each such circuit.
 *
 * Three things are done here about it, on Linux only:
 *   A circuit gets TCP_USER_TIMEOUT, so TCP gives up on a dead host: of EPICS_CA_CONN_TMO, the 5 s that
 * libca waits for an echo, and the limit below, because TCP must not give up on a circuit that may still
 * become responsive.
 *   A circuit that stays unresponsive for longer than a limit is shut, and libca searches again.
 *   A circuit of a context that ends is shut if its server neither closes it nor takes more data.
 *
 * libca tells nobody its sockets. But it reports the connection of a channel on the thread that
 * receives for the circuit, and the kernel tells in which system call a sleeping thread is, with its
 * arguments: the socket is the first argument of its recvfrom(). So a socket is found for certain, and
 * no socket of another library, of another context or of an IOC in this process can be taken for it.
 * Where the kernel does not tell (no /proc/self/task/N/syscall), nothing is done.
 *
 * A thread of our own, which is there while there are circuits, does all of this. It sleeps unless a
 * circuit is new, unresponsive, or ending.
 */

#include "engine.h"

#if defined(__linux__)

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <envDefs.h>

#define CIRCUITS 65536            /* numbers of circuits fit the field of a channel; 0: none */
#define LIMIT_SECONDS 10.0        /* after which an unresponsive circuit is shut */
#define SILENCE_SECONDS 30.0      /* EPICS_CA_CONN_TMO, if it is not usable */
#define ECHO_SECONDS 5.0          /* that libca then waits for an echo (CA_ECHO_TIMEOUT) */
#define END_NS 800000000u         /* a server that does nothing for so long when its context ends */
#define LOOK_NS 100000000u        /* how often to look at circuits that end */
#define AGAIN_NS 10000000u        /* how soon to look again for the socket of a new circuit */
#define OTHERS 64                 /* circuits without channels that are shut at a time */
#define TRIES 100                 /* so often, as the thread may be busy rather than asleep */

/* A number is used again only after all others have been: the channels of a circuit are told of its
 * end some time after the thread that receives is gone. */
typedef struct circuit {
    cc_id context;                /* 0: no circuit has this number now */
    uint16_t next, previous;      /* circuits that are there; 0: none */
    pid_t thread;                 /* that receives */
    int tries;                    /* left to find the socket of a new circuit */
    int unresponsive;
    uint64_t since;               /* that is so, ns */
    uint64_t ending;              /* its context ends, and it has moved no data since then; 0: not */
    int unsent;                   /* bytes, when last looked at */
} circuit;

/* Guards all of this. A receiving thread takes it when its circuit begins, ends or changes its state;
 * the watching thread never holds it while it sleeps. So while it is held no thread of a circuit that
 * is listed can end, and its number is not used again. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static pthread_key_t leaving;
static int has_key;
static circuit *circuits;         /* by number, in pages that come into being when they are used */
static uint16_t first, last_number;
static uint32_t live;
static int watching;
static int endings;               /* contexts that are being ended */
static uint64_t ending_since;     /* the last of them, ns */
static CC_THREAD_LOCAL uint16_t mine;

/* Settings, read when a context is made. */
static uint64_t limit_ns = (uint64_t)(LIMIT_SECONDS * 1e9);   /* 0: circuits are never shut */
static unsigned user_timeout_ms;  /* 0: left to TCP */

static void leave(void *argument)
{
    circuit *c;

    pthread_mutex_lock(&lock);
    c = circuits + (uintptr_t)argument;
    if (c->previous)
        circuits[c->previous].next = c->next;
    else
        first = c->next;
    if (c->next)
        circuits[c->next].previous = c->previous;
    memset(c, 0, sizeof *c);
    if (--live == 0)
        pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void prepare(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
    has_key = pthread_key_create(&leaving, leave) == 0;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Read the settings; libca has said what there is to say about EPICS_CA_CONN_TMO. */
void cc_circuits_read_settings(void)
{
    const char *limit = getenv("CACHANNEL_UNRESPONSIVE_LIMIT");
    const char *silence = envGetConfigParamPtr(&EPICS_CA_CONN_TMO);
    double seconds = LIMIT_SECONDS;
    char *end;

    if (limit && strcasecmp(limit, "NO") == 0)
        seconds = 0.0;
    else if (limit && *limit) {
        seconds = strtod(limit, &end);
        if (end == limit || *end || !(seconds >= 0.0 && seconds < 1e9))
            seconds = LIMIT_SECONDS;
    }
    pthread_mutex_lock(&lock);
    limit_ns = (uint64_t)(seconds * 1e9);
    /* As libca: text behind the number makes it unusable. */
    seconds = silence ? strtod(silence, &end) : 0.0;
    if ((silence && end[strspn(end, " \t\r\n")]) || !(seconds > 0.0))
        seconds = SILENCE_SECONDS;
    seconds += ECHO_SECONDS + (double)limit_ns * 1e-9;
    user_timeout_ms = limit_ns && seconds < 2e6 ? (unsigned)(seconds * 1e3) + 1u : 0u;
    pthread_mutex_unlock(&lock);
}

/* Sockets ----------------------------------------------------------------------------------- */

/* The socket from which a thread sleeps to receive; -1: it does something else, or we cannot know. */
static int receiving_from(pid_t thread)
{
    char path[64], text[64];
    unsigned long call, argument;
    ssize_t length;
    int file;

    snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", (long)thread);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return -1;
    text[length] = 0;
    if (sscanf(text, "%lu %lx", &call, &argument) != 2 || call != SYS_recvfrom)
        return -1;
    return (int)argument;
}

/* A copy of it, which is ours: the number of the original may be that of another file by the time at
 * which it is used. */
static int copy_socket(pid_t thread)
{
    int number = receiving_from(thread), copy, type = 0;
    socklen_t size = sizeof type;

    if (number < 0)
        return -1;
    copy = fcntl(number, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -1;
    if (receiving_from(thread) == number
        && getsockopt(copy, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM)
        return copy;
    close(copy);
    return -1;
}

static int set_timeout(pid_t thread)
{
    int copy = copy_socket(thread);

    if (copy < 0)
        return 0;
    if (user_timeout_ms)
        (void)setsockopt(copy, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms,
                         sizeof user_timeout_ms);
    close(copy);
    return 1;
}

/* Bytes that the other host has not acknowledged, -1 if unknown. */
static int unsent_bytes(pid_t thread)
{
    int copy = copy_socket(thread), unsent = -1;

    if (copy < 0)
        return -1;
    if (ioctl(copy, SIOCOUTQ, &unsent) != 0)
        unsent = -1;
    close(copy);
    return unsent;
}

/* Shut the socket from which a thread receives; `server`: its address, for a message, or NULL. */
static int shut(pid_t thread, struct sockaddr_in *server)
{
    int copy = copy_socket(thread), done;
    socklen_t size = sizeof *server;

    if (copy < 0)
        return 0;
    if (server && getpeername(copy, (struct sockaddr *)server, &size) != 0)
        memset(server, 0, sizeof *server);
    done = shutdown(copy, SHUT_RDWR) == 0;
    close(copy);
    return done;
}

/* The circuit of a name server that never served a channel is not listed. When all contexts end its
 * thread can still be known: by its name, among the threads of libCom, and because no thread receives
 * datagrams for a context any more, of ours or of another library. */
static int others[OTHERS], nothers, datagrams;

static void look_for_others(epicsThreadId thread)
{
    char name[16];

    epicsThreadGetName(thread, name, sizeof name);
    datagrams += strcmp(name, "CAC-UDP") == 0;
    /* Here and not later: a thread that libCom lists has not ended. */
    if (strncmp(name, "CAC-TCP-recv", 12) == 0 && nothers < OTHERS
        && (others[nothers] = copy_socket(thread->lwpId)) >= 0)
        nothers++;
}

static void shut_others(void)
{
    nothers = datagrams = 0;
    epicsThreadMap(look_for_others);
    while (nothers > 0) {
        nothers--;
        if (!datagrams)
            shutdown(others[nothers], SHUT_RDWR);
        close(others[nothers]);
    }
}

/* Watching ---------------------------------------------------------------------------------- */

/* The earlier of two moments; 0 is none. */
static uint64_t sooner(uint64_t a, uint64_t b)
{
    return !a || (b && b < a) ? b : a;
}

static void say_shut(const struct sockaddr_in *server, double seconds)
{
    char text[160], host[INET_ADDRSTRLEN] = "";
    int length;

    inet_ntop(AF_INET, &server->sin_addr, host, sizeof host);
    length = snprintf(text, sizeof text,
                      "circuit to %s:%u closed: no answer for %.3g s after it became unresponsive; its "
                      "channels are searched for again\n",
                      host, (unsigned)ntohs(server->sin_port), seconds);
    if (length > 0)
        cc_message(text, (size_t)length);
}

/* Do what is due for one circuit, with the lock held; return when to look again (0: no need).
 * `closed`: gets the address of the server if the circuit was shut. */
static uint64_t look_at(circuit *c, uint64_t now, struct sockaddr_in *closed)
{
    uint64_t next = 0;

    if (c->tries > 0) {
        c->tries = set_timeout(c->thread) ? 0 : c->tries - 1;
        if (c->tries > 0)
            next = now + AGAIN_NS;
    }
    if (c->unresponsive && limit_ns) {
        if (now < c->since + limit_ns)
            next = sooner(next, c->since + limit_ns);
        else if (shut(c->thread, closed))
            c->unresponsive = 0;
        else
            next = sooner(next, now + LOOK_NS);
    }
    if (c->ending) {
        int unsent = unsent_bytes(c->thread);

        if (unsent >= 0 && unsent < c->unsent)
            c->ending = now;      /* the server still takes what we send */
        c->unsent = unsent;
        if (now < c->ending + END_NS || !shut(c->thread, NULL))
            next = sooner(next, now + LOOK_NS);
        else
            c->ending = 0;
    }
    return next;
}

static void *watch(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "cachannel-circ");
    pthread_mutex_lock(&lock);
    while (live || endings) {
        uint64_t now = now_ns(), next = 0;
        double limit = (double)limit_ns * 1e-9;
        struct sockaddr_in closed = {0};
        uint16_t number;

        for (number = first; number && !closed.sin_family; number = circuits[number].next)
            next = sooner(next, look_at(&circuits[number], now, &closed));
        if (closed.sin_family) {
            pthread_mutex_unlock(&lock);
            say_shut(&closed, limit);
            pthread_mutex_lock(&lock);
            continue;
        }
        if (endings && now >= ending_since + END_NS) {
            pthread_mutex_unlock(&lock);
            shut_others();
            pthread_mutex_lock(&lock);
            next = sooner(next, now + LOOK_NS);
        } else if (endings)
            next = sooner(next, ending_since + END_NS);
        if (!next)
            pthread_cond_wait(&changed, &lock);
        else {
            struct timespec end;

            end.tv_sec = (time_t)(next / 1000000000u);
            end.tv_nsec = (long)(next % 1000000000u);
            pthread_cond_timedwait(&changed, &lock, &end);
        }
    }
    watching = 0;
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Wake the watching thread, or begin it; with the lock held. */
static void call_watcher(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    if (watching) {
        pthread_cond_signal(&changed);
        return;
    }
    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    watching = pthread_create(&thread, &attributes, watch, NULL) == 0;
    pthread_attr_destroy(&attributes);
}

/* Called by libca's threads ----------------------------------------------------------------- */

/* A number for a new circuit, 0 if there is none; with the lock held. */
static uint16_t take_number(void)
{
    if (!circuits)
        circuits = calloc(CIRCUITS, sizeof *circuits);
    if (!circuits || live == CIRCUITS - 1)
        return 0;
    do
        last_number++;
    while (!last_number || circuits[last_number].context);
    return last_number;
}

static uint16_t join(cc_context *context, chid channel)
{
    char name[16];
    uint16_t number;

    pthread_once(&prepared, prepare);
    /* The channels of an IOC in this process are connected by other threads. */
    epicsThreadGetName(epicsThreadGetIdSelf(), name, sizeof name);
    if (!has_key || strncmp(name, "CAC-TCP-recv", 12) != 0)
        return 0;
    pthread_mutex_lock(&lock);
    number = take_number();
    if (number && pthread_setspecific(leaving, (void *)(uintptr_t)number) == 0) {
        circuit *c = &circuits[number];

        c->context = context->head.id;
        c->thread = (pid_t)syscall(SYS_gettid);
        c->tries = TRIES;
        c->next = first;
        if (first)
            circuits[first].previous = number;
        first = mine = number;
        live++;
        call_watcher();
    } else
        number = 0;
    pthread_mutex_unlock(&lock);
    if (number)
        CC_TELL(context, CC_TRACE_CIRCUIT, channel, 0, 0);
    return number;
}

/* A channel is connected; called on the thread that receives for its circuit. */
uint16_t cc_circuit_up(cc_context *context, chid channel)
{
    uint16_t number = mine ? mine : join(context, channel);

    /* Only this thread makes it zero, and only if it was unresponsive there is something to do. */
    if (number && epicsAtomicGetIntT(&circuits[number].unresponsive)) {
        pthread_mutex_lock(&lock);
        circuits[number].unresponsive = 0;
        pthread_mutex_unlock(&lock);
        CC_TELL(context, CC_TRACE_RESPONSIVE, channel, 0, 0);
    }
    return number;
}

/* A channel is not connected any more. If the circuit has ended its number is not in use now or soon
 * will not be; else the circuit has become unresponsive. */
void cc_circuit_down(uint16_t number)
{
    if (!number || number == mine || epicsAtomicGetIntT(&circuits[number].unresponsive))
        return;
    pthread_mutex_lock(&lock);
    if (circuits[number].context) {
        circuits[number].unresponsive = 1;
        circuits[number].since = now_ns();
        call_watcher();
    }
    pthread_mutex_unlock(&lock);
}

/* A context is about to be ended. */
void cc_circuits_end(cc_id context)
{
    uint64_t now = now_ns();
    uint16_t number;

    pthread_once(&prepared, prepare);
    pthread_mutex_lock(&lock);
    for (number = first; number; number = circuits[number].next)
        if (circuits[number].context == context) {
            circuits[number].ending = now;
            circuits[number].unsent = 0;
            circuits[number].unresponsive = 0;
        }
    endings++;
    ending_since = now;
    call_watcher();
    pthread_mutex_unlock(&lock);
}

/* It has ended. */
void cc_circuits_ended(void)
{
    pthread_mutex_lock(&lock);
    endings--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

void cc_circuits_after_fork(void)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

    /* The threads are not here, and the old list may have been left in the middle of a change. */
    memcpy(&lock, &fresh, sizeof lock);
    if (has_key)
        prepare();
    circuits = NULL;
    live = 0;
    endings = 0;
    first = mine = 0;
    watching = 0;
}

#else

uint16_t cc_circuit_up(cc_context *context, chid channel)
{
    (void)context;
    (void)channel;
    return 0;
}

void cc_circuit_down(uint16_t number)
{
    (void)number;
}

void cc_circuits_end(cc_id context)
{
    (void)context;
}

void cc_circuits_ended(void)
{
}

void cc_circuits_read_settings(void)
{
}

void cc_circuits_after_fork(void)
{
}

#endif
