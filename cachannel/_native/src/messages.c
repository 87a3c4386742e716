/* What libca and libCom have to say: into the event queue, and not to the terminal.
 *
 * They have three ways to speak: the printf handler of a context; errlog, which has a thread of
 * its own; and fprintf(stderr), for settings that they cannot use, in the thread that creates a
 * context or its first channel. */

#include "engine.h"

#include <stdio.h>

#if defined(__GLIBC__)
#include <unistd.h>
#endif

#include <epicsFindSymbol.h>
#include <epicsStdioRedirect.h>
#include <errlog.h>

/* libca's printf handler. It does not say which context it is for, so one context takes all. */
int cc_printf(const char *format, va_list arguments)
{
    char text[CC_SMALL];
    int length = vsnprintf(text, sizeof text, format, arguments);

    if (length > 0)
        cc_message(text, length < (int)sizeof text ? (size_t)length : sizeof text - 1);
    return length;
}

#if defined(__GLIBC__)

static int listening;

static void on_errlog(void *unused, const char *text)
{
    (void)unused;
    cc_message(text, strlen(text));
}

/* Once per process. Where an IOC runs in this process its messages belong on its console. */
void cc_listen_to_errlog(void)
{
    if (listening)
        return;
    listening = 1;
    errlogAddListener(on_errlog, NULL);
    if (!epicsFindSymbol("iocInit"))
        eltc(0);
}

static void leave(int status, void *unused)
{
    (void)unused;
    fflush(NULL);
    _exit(status);
}

/* At exit libCom waits for the thread of errlog, which the child of a fork does not have: it
 * would wait for ever. So a child of a process that used CA goes without exit handlers of C;
 * those of Python have run by then. */
void cc_messages_after_fork(void)
{
    if (listening)
        on_exit(leave, NULL);
}

#else

/* Without on_exit there is no way around that, so errlog keeps its console. */
void cc_listen_to_errlog(void)
{
}

void cc_messages_after_fork(void)
{
}

#endif

/* Whether what this context does is put into its queue. */
int cc_context_trace(cc_id id, int wanted)
{
    cc_context *context = cc_enter(CC_POOL_CONTEXT, id);

    if (!context)
        return ECA_NOCACTX;
    context->traced = wanted;
    cc_leave(context);
    return ECA_NORMAL;
}

/* A record of what a context does. `channel`, `address`: the PV and the server, NULL: none; for the
 * connection of a channel the address is asked for here. */
void cc_trace(cc_context *context, int what, chid channel, const char *address, long type,
              unsigned long count)
{
    const char *name = channel ? ca_name(channel) : "";
    char data[CC_SMALL], host[256] = "";
    size_t length = strnlen(name, sizeof data - sizeof host - 2);
    cc_record record;

    if (what == CC_TRACE_UP || what == CC_TRACE_CIRCUIT || what == CC_TRACE_RESPONSIVE) {
        ca_get_host_name(channel, host, sizeof host);
        address = host;
    }
    memcpy(data, name, length);
    data[length++] = 0;
    length += (size_t)snprintf(data + length, sizeof host, "%.255s", address ? address : "") + 1;
    memset(&record, 0, sizeof record);
    record.owner = context->exception_token;
    record.kind = CC_TRACE;
    record.status = what;
    record.type = (int16_t)type;
    record.count = (uint32_t)count;
    if (what == CC_TRACE_UP)
        record.seconds = (ca_read_access(channel) ? 1u : 0u) | (ca_write_access(channel) ? 2u : 0u);
    record.nbytes = (uint32_t)length;
    cc_queue_push(context->queue, &record, data, NULL);
}

/* Call a function, and make messages of what it prints to stderr in this thread. */
int cc_run_captured(int (*function)(void *), void *argument)
{
    FILE *before = epicsGetThreadStderr(), *file;
    int answer;
#if defined(__GLIBC__)
    char *text = NULL;
    size_t length = 0;

    file = open_memstream(&text, &length);
#else
    char text[4096];
    size_t length;

    file = tmpfile();
#endif
    if (!file)
        return function(argument);
    epicsSetThreadStderr(file);
    answer = function(argument);
    epicsSetThreadStderr(before);
#if defined(__GLIBC__)
    fclose(file);
    if (length)
        cc_message(text, length);
    free(text);
#else
    rewind(file);
    while ((length = fread(text, 1, sizeof text, file)) > 0)
        cc_message(text, length);
    fclose(file);
#endif
    return answer;
}
