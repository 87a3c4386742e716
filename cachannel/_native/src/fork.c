/* Choosing a good moment for a fork.
 *
 * libCom has one thread for the whole process that finds the names of hosts, and libca wakes it for
 * every circuit, in the child of a fork too, where it does not exist. If it was awake when the
 * child was made it may have held the mutex that waking it takes, and the child would be aborted:
 * the mutex is one with priority inheritance, and its owner is nowhere to be found. That thread
 * works when a server has been connected, so a script that forks then meets it easily.
 */

#include "engine.h"

#if defined(__linux__)

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_SECONDS 0.0005
#define LOOKS 400

static int lwp;

static void find(epicsThreadId thread)
{
    char name[16];

    epicsThreadGetName(thread, name, sizeof name);
    if (strcmp(name, "ipToAsciiProxy") == 0)
        lwp = thread->lwpId;
}

/* 'R' runs, 'S' sleeps; what follows the name, which is in parentheses. */
static int state_of_thread(int number)
{
    char path[48], text[128];
    char *after;
    ssize_t length;
    int file;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", number);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    after = strrchr(text, ')');
    return after && after[1] ? after[2] : 0;
}

/* Wait until that thread sleeps, for a fifth of a second at most. */
void cc_await_resolver(void)
{
    int looks;

    lwp = 0;
    epicsThreadMap(find);
    for (looks = 0; lwp && looks < LOOKS && state_of_thread(lwp) == 'R'; looks++)
        epicsThreadSleep(LOOK_SECONDS);
}

#else

void cc_await_resolver(void)
{
}

#endif
