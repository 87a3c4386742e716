"""Locks and semaphores that the system does not give are errors, and no crash.

A small library is loaded before all others. It answers our extension as a system does that has no
more of them, after as many as the test allows.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.ioc import clean_environment

FAULTS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int is_refused(const char *name, const void *caller)
{
    static int calls;
    const char *refused = getenv("REFUSED"), *given = getenv("GIVEN");
    Dl_info info;

    return refused && given && strcmp(refused, name) == 0 && dladdr(caller, &info)
           && strstr(info.dli_fname, "_cachannel") && calls++ >= atoi(given);
}

typedef int semaphore_init(void *, int, unsigned);
typedef int mutex_init(void *, const void *);
typedef void *mutex_create(const char *, int);

int sem_init(void *semaphore, int shared, unsigned value)
{
    semaphore_init *real = (semaphore_init *)dlsym(RTLD_NEXT, "sem_init");

    if (!is_refused("semaphore", __builtin_return_address(0)))
        return real(semaphore, shared, value);
    errno = ENOSPC;
    return -1;
}

int pthread_mutex_init(void *mutex, const void *attributes)
{
    mutex_init *real = (mutex_init *)dlsym(RTLD_NEXT, "pthread_mutex_init");

    return is_refused("mutex", __builtin_return_address(0)) ? ENOMEM : real(mutex, attributes);
}

void *epicsMutexOsiCreate(const char *file, int line)
{
    mutex_create *real = (mutex_create *)dlsym(RTLD_DEFAULT, "epicsMutexOsiCreateReal");

    if (is_refused("epicsMutex", __builtin_return_address(0)))
        return NULL;
    if (!real) {
        void *library = dlopen(getenv("LIBCOM"), RTLD_LAZY | RTLD_NOLOAD);
        real = (mutex_create *)dlsym(library, "epicsMutexOsiCreate");
    }
    return real(file, line);
}
"""

SCRIPT = """
try:
    from cachannel.context import Context
    context = Context(repeater=False)
    # A wait, and a channel that nobody has.
    from cachannel._native import lib
    from cachannel.errors import check
    channel = lib.cc_channel_create(context.id, b"nobody:has:this", 0, 0, 0)
    check(-channel if channel < 0 else 1, operation="create a channel")
    status = lib.cc_channel_wait(channel, 0.01)
    if status != 80:  # ECA_TIMEOUT
        check(status, operation="wait")
    context.close()
    with Context(repeater=False):
        pass
except Exception as exc:
    print(type(exc).__name__, flush=True)
else:
    print("made", flush=True)
"""


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library."""
    folder = tmp_path_factory.mktemp("faults")
    source, library = folder / "faults.c", folder / "faults.so"
    source.write_text(FAULTS)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run(
        [*compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60
    )
    return library


@pytest.fixture
def outcome(faults: Path) -> Callable[[str, int], str]:
    """Run the script with so many locks of a kind; it returns what became of it."""
    from epicscorelibs.path import get_lib

    def run(refused: str, given: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=clean_environment()
            | {"EPICS_CA_ADDR_LIST": "127.0.0.1", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
            | {"LD_PRELOAD": str(faults), "LIBCOM": get_lib("Com")}
            | {"REFUSED": refused, "GIVEN": str(given)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), (refused, given, done)
        return done.stdout.strip()

    return run


@pytest.mark.parametrize("kind", ["semaphore", "mutex", "epicsMutex"])
def test_every_refusal_is_an_exception(outcome: Callable[[str, int], str], kind: str) -> None:
    said = []
    for given in range(20):
        said.append(outcome(kind, given))
        if said[-1] == "made":
            break
    *refusals, last = said
    assert last == "made"
    assert refusals
    assert set(refusals) <= {"MemoryError", "ImportError", "CAError", "CaChannelException"}
