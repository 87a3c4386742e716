"""What objects of the clients look like at a prompt, in IPython and in a notebook."""

import re
from typing import Any

import numpy as np

from cachannel.client.responses import ReadNotifyResponse
from cachannel.many import BulkSink
from cachannel.threading.client import Batch, Context


class Printer:
    """The part of IPython's printer that is used."""

    def __init__(self) -> None:
        self.written = ""

    def text(self, text: str) -> None:
        self.written += text


def pretty(response: Any) -> str:
    printer = Printer()
    response._repr_pretty_(printer, False)
    return printer.written


def test_a_response_is_a_table_in_ipython(client: Any) -> None:
    client.write("catest", 1.5)
    shown = pretty(client.read("catest", data_type="time"))
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d"
    assert re.fullmatch(
        r"ReadNotifyResponse\n  value  1.5\n  alarm  NO_ALARM\n"
        rf"  time   {stamp}\n  type   TIME_DOUBLE, 1 element\(s\)",
        shown,
    )
    shown = pretty(client.read("catest", data_type="control"))
    assert "  units  " in shown
    assert "  time" not in shown
    client.write("cambbo", 2)
    assert "  value  two (2)\n" in pretty(client.read("cambbo", data_type="control"))
    assert "  value  a string" in pretty(client.read("castring"))
    assert repr(client.read("castring")).startswith("ReadNotifyResponse(data=")


def test_the_alarm_of_a_response_is_in_words(client: Any) -> None:
    response = ReadNotifyResponse([3.0], 20, 1, 1, 0, metadata=(3, 2, (1, 0)))
    assert "  alarm  MAJOR_ALARM, HIHI" in pretty(response)
    unknown = ReadNotifyResponse([3.0], 20, 1, 1, 0, metadata=(99, 9, (1, 0)))
    assert "  alarm  9, 99" in pretty(unknown)


def test_a_refused_read_shows_its_status(threading_client: Any) -> None:
    shown = pretty(threading_client.read("canoaccess"))
    assert "(ECA_NORDACCESS)" in shown
    assert "value" not in shown


def test_a_table_of_a_notebook_has_no_markup_of_the_value(client: Any) -> None:
    client.write("castring", "<b>&\u00b5")
    shown = client.read("castring")._repr_html_()
    assert "<td>&lt;b&gt;&amp;\u00b5</td>" in shown
    client.write("castring", "a string")
    client.write("cawave", np.arange(2.0))
    assert "<th>value</th><td>[0. 1.]</td>" in client.read("cawave")._repr_html_()


def test_objects_say_what_they_are(ioc: Any) -> None:
    with Context(timeout=60) as context:
        pvs = context.get_pvs("cascratch1", "cascratch2")
        for pv in pvs:
            pv.wait_for_connection()
        assert repr(context) == "<Context searches_pending=0 circuits=1 pvs=2 idle=0>"
        with Batch(timeout=5) as batch:
            batch.read(pvs[0], print)
            batch.read(pvs[1], id)
            batch.write(pvs[0], 1.0)
            batch.write(pvs[1], [1.0, 2.0], id)
            assert repr(batch) == "<Batch reads=2 writes=2 timeout=5>"
            batch._reset()
        with context.monitor_many(["cascratch1"]) as updates:
            assert repr(updates) == "<Updates of 1 PVs, 0 dropped>"
        assert repr(updates) == "<Updates of 1 PVs, 0 dropped closed>"
        with BulkSink(["cascratch1", "cascratch2"], context=context._engine.ca) as sink:
            assert repr(sink) == "<BulkSink of 2 PVs, 0 events replaced>"
        assert repr(sink) == "<BulkSink of 2 PVs, 0 events replaced closed>"
