/* Asking for new channels at once.
 *
 * libca looks every 32 ms for channels that it has to search for, and asks for many in growing
 * steps, while the answer of a server takes a fraction of a millisecond. Here new channels are
 * asked for as soon as somebody flushes or waits, with datagrams like libca's, from libca's own
 * socket. The answers reach libca, which knows nothing of this: what has not been found it searches
 * for as ever. Name servers (EPICS_CA_NAME_SERVERS) are left to libca altogether.
 *
 * Three things are needed for it.
 *   The addresses: libca has a function that reads the environment for them.
 *   The socket: the one for datagrams that is there after the first channel of a context was made
 * and was not there before. If there are several, nothing is done here.
 *   The number of a channel, which an answer refers to: libca counts the channels of a context,
 * from 1 on, but for those of an IOC in the same process, where nothing is done here.
 *
 * When the last channel of a circuit is cleared libca closes the circuit, and for a moment a
 * channel that is found on the same server would be put on it and stay there, dead, for ten
 * seconds. So before a channel is cleared, answers that may be on their way are waited for, a tenth
 * of a second at most, and nothing is asked for here until as long after it; the same holds after
 * the loss of a connection. libca's own search meets that moment, too, when it comes just then; so
 * the next channel is not made before the circuit has had time to close.
 *
 * A network is not flooded: unanswered names are limited, and as many more may be sent as have
 * been answered (the slow start of TCP, and of libca). What could not be sent within the time in
 * which libca begins by itself is left to it.
 */

#include "engine.h"

#if defined(__linux__)

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <addrList.h>
#include <caProto.h>
#include <ellLib.h>
#include <envDefs.h>
#include <epicsFindSymbol.h>
#include <epicsStdioRedirect.h>

#define FIRST_WINDOW 500          /* names without an answer, at first */
#define LAST_WINDOW 2000          /* and after so many were answered */
#define STALE_NS 30000000u        /* libca has begun by itself by then */
#define FORGET_NS 100000000u      /* who has not answered by then never will */
#define QUIET_NS 100000000u       /* so long after a clear or a loss nothing is sent */
#define CLOSING_NS 10000000u      /* a circuit has ended by then, on a local network */
#define LOOK_SECONDS 0.0005       /* how often a clear looks whether all have answered */
#define EVERY 16                  /* connections: how often to look whether more may be sent */
#define SOCKETS 1024              /* of this process, for datagrams */
#define KEPT_FRAMES 8             /* whose memory stays */
#define FRAMES 512                /* at most; more names are left to libca */
#define MINOR 13                  /* of the protocol, as libca says it */
#define NO_NUMBER 0xffff0000u     /* of a datagram: libca has sent none that has it */

typedef struct frame {
    uint64_t began;
    uint32_t length, names;
    char data[MAX_UDP_SEND];
} frame;

struct cc_search {
    cc_context *context;
    pthread_mutex_t order;        /* held around the creation of a channel */
    pthread_mutex_t lock;         /* of what follows */
    uint32_t channels;            /* so far, the number of the last one */
    int sock;                     /* -1: nothing is done here */
    int ndestinations;
    struct sockaddr_in *destinations;
    frame *frames;                /* a ring, in pages of its own */
    uint32_t head, length;        /* of what is used of it */
    uint32_t longest;             /* since it was empty */
    int open;                     /* more names fit into the last, and may come */
    int waiting;                  /* whether there are frames */
    int answered;                 /* first connections of channels since the last look */
    uint32_t outstanding, window; /* names */
    uint64_t sent, quiet;         /* when last, and since when, ns */
    int closing;                  /* perhaps a circuit is, since then: */
    uint64_t cleared;             /* when a connected channel was cleared, ns */
};

/* Two contexts that make their first channels at once could not tell their sockets apart. */
static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;

cc_search *cc_search_create(cc_context *context)
{
    cc_search *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->context = context;
    if (pthread_mutex_init(&s->order, NULL)) {
        free(s);
        return NULL;
    }
    if (pthread_mutex_init(&s->lock, NULL)) {
        pthread_mutex_destroy(&s->order);
        free(s);
        return NULL;
    }
    s->sock = -1;
    s->window = FIRST_WINDOW;
    return s;
}

void cc_search_destroy(cc_search *s)
{
    if (s->sock >= 0)
        close(s->sock);
    if (s->frames)
        munmap(s->frames, FRAMES * sizeof(frame));
    free(s->destinations);
    pthread_mutex_destroy(&s->order);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* The socket and the addresses -------------------------------------------------------------- */

typedef struct place {
    int number;
    ino_t node;                   /* numbers are used again, and these are not so soon */
} place;

/* Sockets for datagrams that may broadcast and are bound to a port of all addresses. */
static int find_sockets(place *found)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    int n = 0;

    if (!folder)
        return -1;
    while ((entry = readdir(folder)) != NULL) {
        struct sockaddr_in address;
        socklen_t length = sizeof(int);
        int number = atoi(entry->d_name), type = 0, broadcasts = 0;
        struct stat status;

        if (entry->d_name[0] == '.' || number == dirfd(folder)
            || getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_DGRAM
            || getsockopt(number, SOL_SOCKET, SO_BROADCAST, &broadcasts, &length) < 0
            || !broadcasts)
            continue;
        length = sizeof address;
        if (getsockname(number, (struct sockaddr *)&address, &length) < 0
            || address.sin_family != AF_INET || !address.sin_port
            || address.sin_addr.s_addr != htonl(INADDR_ANY) || fstat(number, &status) < 0)
            continue;
        if (n == SOCKETS) {
            n = -1;
            break;
        }
        found[n].number = number;
        found[n++].node = status.st_ino;
    }
    closedir(folder);
    return n;
}

/* A copy of the one that has come: the number of the original may one day be that of another
 * file. */
static int find_new_socket(const place *before, int nbefore)
{
    place found[SOCKETS];
    int n = find_sockets(found), i, j, number = -1;

    for (i = 0; i < n; i++) {
        for (j = 0; j < nbefore && before[j].node != found[i].node; j++)
            ;
        if (j < nbefore)
            continue;
        if (number >= 0)
            return -1;
        number = found[i].number;
    }
    return number < 0 ? -1 : fcntl(number, F_DUPFD_CLOEXEC, 3);
}

/* What there is to say about the settings libca has said. */
static void read_addresses(cc_search *s)
{
    unsigned short port;
    FILE *before = epicsGetThreadStderr(), *nowhere = fopen("/dev/null", "we");
    ELLLIST list = ELLLIST_INIT;
    osiSockAddrNode *node;

    if (!nowhere)
        return;
    epicsSetThreadStderr(nowhere);
    port = envGetInetPortConfigParam(&EPICS_CA_SERVER_PORT, CA_SERVER_PORT);
    configureChannelAccessAddressList(&list, s->sock, port);
    epicsSetThreadStderr(before);
    fclose(nowhere);
    s->destinations = calloc((size_t)ellCount(&list) + 1, sizeof *s->destinations);
    while ((node = (osiSockAddrNode *)ellGet(&list)) != NULL) {
        /* The address follows the links, whatever else a base can store there. */
        const struct sockaddr_in *address = (const void *)(&node->node + 1);
        if (s->destinations && address->sin_family == AF_INET)
            s->destinations[s->ndestinations++] = *address;
        free(node);
    }
}

/* Creating ---------------------------------------------------------------------------------- */

void cc_search_lock(cc_search *s)
{
    pthread_mutex_lock(&s->order);
}

void cc_search_unlock(cc_search *s)
{
    pthread_mutex_unlock(&s->order);
}

/* A circuit may just be closing; the caller has the order. */
void cc_search_before_create(cc_search *s)
{
    uint64_t passed, cleared;

    if (!epicsAtomicGetIntT(&s->closing))
        return;
    epicsAtomicSetIntT(&s->closing, 0);
    pthread_mutex_lock(&s->lock);
    cleared = s->cleared;
    pthread_mutex_unlock(&s->lock);
    passed = epicsMonotonicGet() - cleared;
    if (passed < CLOSING_NS)
        epicsThreadSleep((double)(CLOSING_NS - passed) * 1e-9);
}

/* Whether an IOC may be in this process. A library that a Python extension was linked with is not in
 * the scope that epicsFindSymbol looks at; an IOC that is linked into the program has no file. */
static int is_ioc(void)
{
    FILE *maps;
    char *line = NULL;
    size_t room = 0;
    int found = 0;

    if (epicsFindSymbol("iocInit"))
        return 1;
    maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return 0;
    while (!found && getline(&line, &room, maps) > 0)
        found = strstr(line, "/libdbCore.") != NULL;
    free(line);
    fclose(maps);
    return found;
}

static int is_wanted(void)
{
    const char *wish = getenv("CACHANNEL_SEARCH_AT_ONCE");

    return (!wish || strcasecmp(wish, "NO") != 0) && !is_ioc();
}

/* Let a function make the first channel of a context, once more if it could not; the caller has
 * the order. */
int cc_search_first(cc_search *s, int (*function)(void *), void *argument)
{
    place before[SOCKETS];
    int nbefore, status;

    if (s->sock >= 0 || !is_wanted())
        return cc_run_captured(function, argument);
    pthread_mutex_lock(&first);
    nbefore = find_sockets(before);
    status = cc_run_captured(function, argument);
    if (nbefore >= 0)
        s->sock = find_new_socket(before, nbefore);
    pthread_mutex_unlock(&first);
    if (s->sock >= 0)
        read_addresses(s);     /* may take a while: names of hosts have to be found */
    return status;
}

void cc_search_after_fork(void)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

    first = fresh;
}

/* Messages ---------------------------------------------------------------------------------- */

static void put_header(frame *f, unsigned command, size_t size, unsigned type, uint32_t number,
                       uint32_t available)
{
    caHdr header;

    header.m_cmmd = htons((uint16_t)command);
    header.m_postsize = htons((uint16_t)size);
    header.m_dataType = htons((uint16_t)type);
    header.m_count = htons(MINOR);
    header.m_cid = htonl(number);
    header.m_available = htonl(available);
    memcpy(f->data + f->length, &header, sizeof header);
    f->length += sizeof header;
}

static void tell_sent(cc_search *s, const frame *f, const struct sockaddr_in *to)
{
    char host[INET_ADDRSTRLEN] = "", address[INET_ADDRSTRLEN + 8];

    inet_ntop(AF_INET, &to->sin_addr, host, sizeof host);
    snprintf(address, sizeof address, "%s:%u", host, (unsigned)ntohs(to->sin_port));
    cc_trace(s->context, CC_TRACE_ASK, NULL, address, 0, f->names);
}

static void send_frame(cc_search *s, const frame *f)
{
    int i;

    for (i = 0; i < s->ndestinations; i++) {
        /* Without waiting; what is lost libca asks for again. */
        (void)sendto(s->sock, f->data, f->length, MSG_DONTWAIT,
                     (const struct sockaddr *)&s->destinations[i], sizeof s->destinations[i]);
        if (s->context->traced)
            tell_sent(s, f, &s->destinations[i]);
    }
}

static frame *frame_at(cc_search *s, uint32_t position)
{
    return &s->frames[(s->head + position) % FRAMES];
}

static frame *tail(cc_search *s)
{
    return frame_at(s, s->length - 1);
}

static void drop_head(cc_search *s)
{
    s->head = (s->head + 1) % FRAMES;
    if (--s->length > 0)
        return;
    /* A burst must not keep its memory for ever. */
    if (s->longest > KEPT_FRAMES)
        madvise(s->frames, FRAMES * sizeof(frame), MADV_DONTNEED);
    s->head = s->longest = 0;
}

static int is_stale(const cc_search *s, const frame *f, uint64_t now)
{
    return now - f->began > STALE_NS || now - s->quiet < QUIET_NS;
}

/* Send as many complete frames as may be sent now; with the lock held. */
static void pump(cc_search *s)
{
    uint64_t now = epicsMonotonicGet();
    uint32_t answered = (uint32_t)epicsAtomicGetIntT(&s->answered);

    epicsAtomicAddIntT(&s->answered, -(int)answered);
    if (now - s->sent > FORGET_NS) {
        s->outstanding = 0;
        s->window = FIRST_WINDOW;
    } else {
        s->outstanding -= answered < s->outstanding ? answered : s->outstanding;
        s->window = s->window + answered < LAST_WINDOW ? s->window + answered : LAST_WINDOW;
    }
    while (s->length > (s->open ? 1u : 0u)) {
        const frame *f = frame_at(s, 0);

        if (!is_stale(s, f, now)) {
            if (s->outstanding && s->outstanding + f->names > s->window)
                break;
            send_frame(s, f);
            s->outstanding += f->names;
            s->sent = now;
        }
        drop_head(s);
    }
    epicsAtomicSetIntT(&s->waiting, s->length > 0);
}

static frame *begin_frame(cc_search *s)
{
    uint64_t now = epicsMonotonicGet();
    frame *f;

    if (!s->frames) {
        void *pages = mmap(NULL, FRAMES * sizeof(frame), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED)
            return NULL;
        s->frames = pages;
    }
    /* Nobody may ever flush: libca searches all the same. */
    while (s->length && is_stale(s, frame_at(s, 0), now))
        drop_head(s);
    if (s->length == FRAMES)
        return NULL;
    s->length++;
    if (s->length > s->longest)
        s->longest = s->length;
    s->open = 1;
    f = tail(s);
    f->began = now;
    f->length = f->names = 0;
    put_header(f, CA_PROTO_VERSION, 0, sequenceNoIsValid, NO_NUMBER, 0);
    return f;
}

/* A channel was made; the caller has the order. Returns its number, for cc_search_again. */
uint32_t cc_search_add(cc_search *s, const char *name)
{
    uint32_t number = ++s->channels;

    cc_search_again(s, number, name);
    return number;
}

/* Ask for a channel, also if it has been asked for before: libca repeats its searches in growing
 * steps, of minutes in the end. */
void cc_search_again(cc_search *s, uint32_t number, const char *name)
{
    size_t length = strlen(name) + 1, padded = (length + 7) & ~(size_t)7;
    frame *f;

    if (s->ndestinations == 0 || padded + 2 * sizeof(caHdr) > MAX_UDP_SEND)
        return;
    pthread_mutex_lock(&s->lock);
    f = s->open ? tail(s) : NULL;
    if (f && (f->length + sizeof(caHdr) + padded > sizeof f->data
              || is_stale(s, f, epicsMonotonicGet()))) {
        s->open = 0;
        f = NULL;
    }
    if (!f)
        f = begin_frame(s);
    if (f) {
        put_header(f, CA_PROTO_SEARCH, padded, DONTREPLY, number, number);
        memset(f->data + f->length, 0, padded);
        memcpy(f->data + f->length, name, length);
        f->length += (uint32_t)padded;
        f->names++;
        epicsAtomicSetIntT(&s->waiting, 1);
    }
    pthread_mutex_unlock(&s->lock);
}

/* Somebody wants what was asked for to be sent. */
void cc_search_flush(cc_search *s)
{
    if (!epicsAtomicGetIntT(&s->waiting))
        return;
    pthread_mutex_lock(&s->lock);
    s->open = 0;
    pump(s);
    pthread_mutex_unlock(&s->lock);
}

/* A channel was connected for the first time, so that more may be asked for. */
void cc_search_connected(cc_search *s)
{
    if (epicsAtomicIncrIntT(&s->answered) % EVERY || !epicsAtomicGetIntT(&s->waiting))
        return;
    pthread_mutex_lock(&s->lock);
    pump(s);
    pthread_mutex_unlock(&s->lock);
}

static int are_answers_coming(cc_search *s)
{
    int answer;

    pthread_mutex_lock(&s->lock);
    answer = s->outstanding > (uint32_t)epicsAtomicGetIntT(&s->answered)
             && epicsMonotonicGet() - s->sent < FORGET_NS;
    pthread_mutex_unlock(&s->lock);
    return answer;
}

/* A circuit may be about to end: a channel was cleared, which may have taken a while, or lost. */
void cc_search_be_quiet(cc_search *s)
{
    if (s->ndestinations == 0)
        return;
    pthread_mutex_lock(&s->lock);
    s->quiet = epicsMonotonicGet();
    pthread_mutex_unlock(&s->lock);
}

/* A channel was cleared that had a circuit. */
void cc_search_after_clear(cc_search *s)
{
    pthread_mutex_lock(&s->lock);
    s->quiet = s->cleared = epicsMonotonicGet();
    pthread_mutex_unlock(&s->lock);
    epicsAtomicSetIntT(&s->closing, 1);
}

/* A channel will be cleared. */
void cc_search_before_clear(cc_search *s)
{
    cc_search_be_quiet(s);
    while (are_answers_coming(s)) {
        epicsThreadSleep(LOOK_SECONDS);
        cc_search_be_quiet(s);
    }
}

#else

cc_search *cc_search_create(cc_context *context)
{
    (void)context;
    return calloc(1, 1);
}

void cc_search_destroy(cc_search *s)
{
    free(s);
}

void cc_search_lock(cc_search *s)
{
    (void)s;
}

void cc_search_unlock(cc_search *s)
{
    (void)s;
}

int cc_search_first(cc_search *s, int (*function)(void *), void *argument)
{
    (void)s;
    return cc_run_captured(function, argument);
}

void cc_search_after_fork(void)
{
}

uint32_t cc_search_add(cc_search *s, const char *name)
{
    (void)s;
    (void)name;
    return 0;
}

void cc_search_again(cc_search *s, uint32_t number, const char *name)
{
    (void)s;
    (void)number;
    (void)name;
}

void cc_search_flush(cc_search *s)
{
    (void)s;
}

void cc_search_connected(cc_search *s)
{
    (void)s;
}

void cc_search_before_clear(cc_search *s)
{
    (void)s;
}

void cc_search_after_clear(cc_search *s)
{
    (void)s;
}

void cc_search_before_create(cc_search *s)
{
    (void)s;
}

void cc_search_be_quiet(cc_search *s)
{
    (void)s;
}

#endif
