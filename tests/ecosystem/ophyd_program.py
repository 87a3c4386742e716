"""A program for ophyd and bluesky, as anybody might write it: it knows of pyepics only.

``ophyd_program.py NAME`` runs the function of that name.
"""

import sys
import time

import epics
from bluesky import RunEngine, plans as bp
from bluesky.plan_stubs import mv
from ophyd import Component as Cpt, Device, EpicsMotor, EpicsSignal, EpicsSignalRO, cl
from ophyd.status import wait as wait_status
from ophyd.utils import LimitError


def wait_until(condition, timeout=60.0):
    """Wait for a condition."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.005)


def signal(name: str, **keywords):
    made = EpicsSignal(name, name=name.replace(":", "_"), **keywords)
    made.wait_for_connection(timeout=60)
    return made


def this_is_ours():
    assert cl.name == "pyepics"
    assert epics.__name__ == "epics_compat"


def signal_reads_and_writes():
    made = signal("cascratch1")
    made.put(3.25, wait=True)
    assert made.get() == 3.25
    assert made.read()["cascratch1"]["value"] == 3.25
    assert made.describe()["cascratch1"]["dtype"] == "number"
    status = made.set(4.5)
    wait_status(status, timeout=60)
    assert made.get() == 4.5
    assert made.limits is not None


def signal_monitors():
    made = signal("cascratch2", auto_monitor=True)
    values = []
    made.subscribe(lambda value, **kws: values.append(value))
    made.put(11.0, wait=True)
    wait_until(lambda: 11.0 in values)
    made.unsubscribe_all()
    made.destroy()


def enums_arrays_and_strings():
    state = signal("cambbo", string=True)
    state.put("one", wait=True)
    assert state.get(use_monitor=False) == "one"
    assert state.enum_strs == ("zero", "one", "two", "three")
    wave = signal("cawave")
    wave.put([1, 2, 3], wait=True)
    assert wave.get(use_monitor=False).tolist() == [1.0, 2.0, 3.0]
    text = signal("calongtext", string=True)
    text.put("some text", wait=True)
    assert text.get(use_monitor=False) == "some text"


def read_only_signal_and_metadata():
    made = EpicsSignalRO("catest", name="catest", auto_monitor=True)
    made.wait_for_connection(timeout=60)
    metadata = []
    made.subscribe(lambda **kw: metadata.append(kw), event_type=made.SUB_META)
    wait_until(lambda: made.metadata["connected"])
    assert made.metadata["units"] == "mm"
    assert made.precision == 4


def motor_moves():
    motor = EpicsMotor("m1", name="m1")
    motor.wait_for_connection(timeout=60)
    assert motor.egu == "mm"
    assert motor.limits == (-100.0, 100.0)
    motor.move(5.0, wait=True, timeout=60)
    assert motor.position == 5.0
    assert not motor.moving
    # Ten seconds, to be found moving also on a busy machine; then faster.
    motor.velocity.put(1.0, wait=True)
    status = motor.move(-5.0, wait=False)
    wait_until(lambda: motor.moving)
    motor.velocity.put(50.0, wait=True)
    wait_status(status, timeout=60)
    assert status.success
    assert motor.user_readback.get(use_monitor=False) == -5.0
    # A motion that is stopped ends its status.
    positions = []
    motor.subscribe(lambda value, **kws: positions.append(value), event_type=motor.SUB_READBACK)
    status = motor.move(95.0, wait=False)
    wait_until(lambda: any(-5.0 < value < 95.0 for value in positions))
    motor.stop()
    wait_until(lambda: status.done)
    assert motor.position < 95.0
    motor.move(0.0, wait=True, timeout=60)
    try:
        motor.move(1000.0, wait=True)
    except LimitError:
        return
    raise AssertionError("it moved outside its limits")


def a_scan_of_a_motor():
    motor = EpicsMotor("m1", name="m1")
    detector = signal("catest")
    motor.wait_for_connection(timeout=60)
    documents = []
    engine = RunEngine({}, during_task=None)
    engine(bp.scan([detector], motor, 0, 2, 5), lambda name, doc: documents.append((name, doc)))
    events = [doc for name, doc in documents if name == "event"]
    assert [event["data"]["m1"] for event in events] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert documents[-1][1]["exit_status"] == "success"
    engine(mv(motor, 0))
    assert motor.position == 0.0


class Axis(Device):
    """What a scan needs of a motor."""

    place = Cpt(EpicsSignal, "cascratch3", auto_monitor=True)


def a_scan_of_bluesky():
    axis = Axis("", name="axis")
    detector = signal("catest")
    axis.wait_for_connection(timeout=60)
    documents = []
    engine = RunEngine({}, during_task=None)
    engine(
        bp.scan([detector], axis.place, 1, 5, 5), lambda name, doc: documents.append((name, doc))
    )
    events = [doc for name, doc in documents if name == "event"]
    assert [event["data"]["axis_place"] for event in events] == [1, 2, 3, 4, 5]
    assert documents[-1][1]["exit_status"] == "success"
    engine(mv(axis.place, 0))
    engine(bp.count([detector], num=3), lambda name, doc: documents.append((name, doc)))
    assert documents[-1][1]["num_events"] == {"primary": 3}


def a_device_with_a_thousand_components():
    parts = {f"s{i}": Cpt(EpicsSignal, f"{i}") for i in range(1000)}
    big = type("Big", (Device,), parts)
    since = time.monotonic()
    device = big("big:", name="big")
    device.wait_for_connection(timeout=60)
    print(f"{time.monotonic() - since:.2f} s")
    assert len(device.read()) == 1000
    device.destroy()


def signals_come_and_go():
    for _ in range(100):
        made = EpicsSignal("cascratch1", name="coming")
        made.wait_for_connection(timeout=60)
        made.destroy()
    try:
        EpicsSignal("no:such:pv", name="none").wait_for_connection(timeout=0.2)
    except TimeoutError:
        return
    raise AssertionError("it connected")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
