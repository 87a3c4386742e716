"""Where libca's threads run while very many channels are searched for (burst.c).

With one processor the threads are together, and free, all the time.
"""

from collections.abc import Callable

from support.scripts import Outcome

SCRIPT = """
import os, time
from cachannel import CaChannel

everywhere = os.sched_getaffinity(0)

def places():
    # Where each of libca's threads may run.
    found = {}
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as file:
                name = file.read().strip()
            if name.startswith("CAC-"):
                found[name] = os.sched_getaffinity(int(task))
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended
    return found

def search(number):
    channels = [CaChannel("catest") for _ in range(number)]
    for channel in channels:
        channel.search()
    return channels

def together():
    # A loaded machine may take its time for one lot; then it was no burst.
    for _ in range(100):
        channels = search(300)
        if all(len(place) == 1 for place in places().values()):
            return channels
    raise SystemExit("never brought together")

def until_free():
    end = time.monotonic() + 60
    while any(place != everywhere for place in places().values()):
        assert time.monotonic() < end, places()
        time.sleep(0.01)
"""


def test_a_burst_of_channels_is_searched_for_on_one_processor(
    run_script: Callable[..., Outcome],
) -> None:
    """Of the process; afterwards all threads are free, those too that began meanwhile."""
    outcome = run_script(
        SCRIPT
        + """
few = search(150)
few[0].pend_io(60)
assert set(places()) == {"CAC-UDP", "CAC-TCP-recv", "CAC-TCP-send"}
assert all(place == everywhere for place in places().values()), places()
for _ in range(2):
    channels = together()
    assert len(set(map(frozenset, places().values()))) == 1
    assert os.sched_getaffinity(0) == everywhere
    channels[0].pend_io(60)
    until_free()
print("ok")
"""
    )
    assert outcome.succeeded().stdout == "ok\n"


def test_threads_that_begin_in_a_burst_are_let_go(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        SCRIPT
        + """
channels = together()
channels[0].pend_io(60)
assert len(places()) == 3
until_free()
print("ok")
"""
    )
    assert outcome.succeeded().stdout == "ok\n"


def test_the_child_of_a_fork_leaves_the_threads_of_its_parent_alone(
    run_script: Callable[..., Outcome],
) -> None:
    outcome = run_script(
        SCRIPT
        + """
few = search(10)
few[0].pend_io(60)
child = os.fork()
if child == 0:
    channels = search(1000)
    channels[0].pend_io(60)
    assert all(place == everywhere for place in places().values()), places()
    os._exit(0)
while not (ended := os.waitpid(child, os.WNOHANG))[0]:
    assert all(place == everywhere for place in places().values()), places()
    time.sleep(0.001)
print("ok" if ended[1] == 0 else ended)
"""
    )
    assert outcome.succeeded().stdout == "ok\n"
