"""What all three clients do alike, against the IOC of EPICS base and against ours."""

import warnings
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flavours import FLAVOURS

from cachannel.client.responses import ReadNotifyResponse, ReadResponse, WriteNotifyResponse
from cachannel.protocol.channel_types import AlarmStatus, ChannelType
from cachannel.protocol.errors import CaprotoTimeoutError
from support.waiting import wait_until


@pytest.fixture(params=["softIoc", "cachannel.server"])
def client(flavour: Any, request: pytest.FixtureRequest) -> Any:
    """One of the three clients, with PVs on one of the two servers."""
    if request.param != "softIoc":
        request.getfixturevalue("own")
        flavour.prefix = "own:"
    return flavour


@pytest.fixture(params=list(FLAVOURS))
def flavour(request: pytest.FixtureRequest, ioc: Any) -> Iterator[Any]:
    """One of the three clients."""
    made = FLAVOURS[request.param]()
    yield made
    made.close()


def test_a_number_is_an_array_of_one_element_in_native_byte_order(client: Any) -> None:
    response = client.read("catest")
    assert isinstance(response, ReadNotifyResponse)
    assert response.data.shape == (1,)
    assert response.data.dtype == np.dtype("f8")
    assert response.data.dtype.isnative
    assert response.data_type is ChannelType.DOUBLE
    assert response.data_count == 1
    assert response.metadata is None
    assert response.status.name == "ECA_NORMAL"


def test_the_array_belongs_to_the_caller(client: Any) -> None:
    client.write("cawaveh", [1, 2, 3])
    first = client.read("cawaveh").data
    first[0] = 99
    assert list(client.read("cawaveh").data) == [1, 2, 3]
    assert list(first) == [99, 2, 3]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("native", ChannelType.DOUBLE),
        ("STATUS", ChannelType.STS_DOUBLE),
        ("time", ChannelType.TIME_DOUBLE),
        ("graphic", ChannelType.GR_DOUBLE),
        ("control", ChannelType.CTRL_DOUBLE),
        (ChannelType.CTRL_FLOAT, ChannelType.CTRL_FLOAT),
        (5, ChannelType.LONG),
    ],
)
def test_the_type_is_chosen_by_group_type_or_number(
    client: Any, group: Any, expected: ChannelType
) -> None:
    response = client.read("catest", data_type=group)
    assert response.data_type is expected
    assert (response.metadata is None) == (expected < 7)


def test_limits_and_units_are_in_the_metadata(client: Any) -> None:
    metadata = client.read("catest", data_type="control").metadata
    assert metadata.units == b"mm"
    assert metadata.precision == 4
    assert (metadata.upper_disp_limit, metadata.lower_ctrl_limit) == (200.0, -190.0)
    assert metadata.to_dict()["status"] in AlarmStatus
    assert len(bytes(metadata)) == 80


def test_an_unknown_type_is_refused_before_anything_is_asked(client: Any) -> None:
    with pytest.raises(KeyError):
        client.read("catest", data_type="bogus")
    with pytest.raises(ValueError, match="99"):
        client.read("catest", data_type=99)


def test_enumerations_have_names_in_the_metadata(client: Any) -> None:
    metadata = client.read("cambbo", data_type="control").metadata
    assert metadata.enum_strings == (b"zero", b"one", b"two", b"three")


def test_a_string_is_a_list_of_bytes(client: Any) -> None:
    response = client.read("castring")
    assert response.data == [b"a string"]
    assert response.payload_size == 40
    assert response.data.tobytes() == b"a string".ljust(40, b"\0")


@pytest.mark.parametrize("data_type", [ChannelType.GR_STRING, ChannelType.CTRL_STRING])
def test_what_a_string_has_no_limits_for_is_its_alarm(client: Any, data_type: Any) -> None:
    response = client.read("castring", data_type=data_type)
    assert response.data == [b"a string"]
    assert response.metadata.to_dict() == {"status": 0, "severity": 0}
    assert response.payload_size == 48


def test_an_array_with_acknowledgement_counts_all_its_texts(flavour: Any) -> None:
    flavour.write("cawaveh", [1, 2, 3])
    response = flavour.read("cawaveh", data_type=ChannelType.STSACK_STRING)
    assert response.metadata.value == b"1"
    assert len(response.data) == 0
    assert (response.data_count, response.payload_size) == (3, 48 + 80)
    assert bytes(response)[-40:].rstrip(b"\0").startswith(b"3")


def test_fewer_elements_than_there_are(client: Any) -> None:
    client.write("cawaveh", [1, 2, 3, 4])
    assert list(client.read("cawaveh").data) == [1, 2, 3, 4]
    assert list(client.read("cawaveh", data_count=2).data) == [1, 2]


def test_more_elements_than_there_are_come_as_zeros(client: Any) -> None:
    client.write("catest", 1.5)
    response = client.read("catest", data_count=3, data_type="time")
    assert list(response.data) == [1.5, 0, 0]
    assert response.data_count == 3
    assert response.metadata.timestamp > 1e9


@pytest.mark.parametrize("count", ["2", 1.5, -1, 2**40, 2**70])
def test_what_is_no_number_of_elements_is_refused_at_once(flavour: Any, count: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="data_count"):
        flavour.read("cawaveh", data_count=count, timeout=60)
    assert flavour.read("cawaveh", data_count=np.int16(2)).data_count == 2


@pytest.mark.parametrize("timeout", ["5", [1], float("nan")])
def test_what_is_no_time_out_is_refused_at_once(flavour: Any, timeout: Any) -> None:
    for call in (flavour.read, lambda *a, **k: flavour.write(*a, 1.0, **k)):
        with pytest.raises((TypeError, ValueError), match="time-out"):
            call("catest", timeout=timeout)


def test_an_infinite_time_out_is_no_limit(flavour: Any) -> None:
    for timeout in (float("inf"), np.float32(60)):
        flavour.write("catest", 2.5, timeout=timeout)
        assert flavour.read("catest", timeout=timeout).data[0] == 2.5


def test_a_refused_read_is_a_response_with_its_status(flavour: Any) -> None:
    response = flavour.read("canoaccess")
    assert response.status.name == "ECA_NORDACCESS"
    assert response.data_count == 0
    assert len(response.data) == 0
    assert response.data_type is ChannelType.DOUBLE


def test_a_refused_write_is_a_response_with_its_status(client: Any) -> None:
    response = client.write("caread", 1)
    assert isinstance(response, WriteNotifyResponse)
    assert response.status.name == "ECA_NOWTACCESS"


def test_a_disabled_record_answers_with_a_status(flavour: Any) -> None:
    assert flavour.write("cadisabled", 1).status.name == "ECA_PUTFAIL"


def test_a_write_as_a_type_with_metadata_is_refused(client: Any) -> None:
    for data, count in ((5, 1), ([1, 2], 2)):
        response = client.write("catest", data, data_type="time")
        assert (response.data_type, response.data_count) == (ChannelType.TIME_DOUBLE, count)
    assert client.write("catest", 1, data_type="time").status.name == "ECA_PUTFAIL"


def test_a_write_takes_numbers_text_and_arrays(client: Any) -> None:
    for data, expected in ((2.5, 2.5), ("3.5", 3.5), ([4], 4.0), (np.float32(5), 5.0)):
        response = client.write("catest", data)
        assert response.status.success
        assert response.data_type is ChannelType.DOUBLE
        assert client.read("catest").data[0] == expected
    client.write("cawave", np.arange(3, dtype=">f8"))
    assert list(client.read("cawave").data) == [0, 1, 2]


def test_a_write_without_completion_returns_none(client: Any) -> None:
    assert client.write("cascratch1", 7.5, notify=False) is None
    wait_until(lambda: client.read("cascratch1").data[0] == 7.5)


def test_a_longer_write_is_cut(client: Any) -> None:
    response = client.write("cawavel", list(range(15)))
    assert response.status.success
    assert response.data_count == 15
    assert list(client.read("cawavel").data) == list(range(10))


def test_an_empty_list_empties_a_waveform(client: Any) -> None:
    client.write("cawavel", [1, 2])
    client.write("cawavel", [])
    assert client.read("cawavel").data_count == 0


def test_text_that_is_no_number_is_refused_before_it_is_sent(client: Any) -> None:
    with pytest.raises(ValueError, match="abc"):
        client.write("catest", "abc")


def test_a_generator_is_no_value(client: Any) -> None:
    with pytest.raises(TypeError):
        client.write("catest", (x for x in [1]))


def test_text_goes_to_an_enumeration_by_name(client: Any) -> None:
    client.write("cambbo", "three")
    assert client.read("cambbo", data_type="native").data[0] == 3
    client.write("cambbo", 1)
    assert client.read("cambbo", data_type=ChannelType.STRING).data == [b"one"]


def test_text_to_chars_is_the_array_itself(client: Any) -> None:
    client.write("calongtext", "hello")
    assert client.read("calongtext").data.tobytes() == b"hello"


@pytest.mark.parametrize("text", [["long text"], (b"long text",), np.array(["long text"])])
def test_one_text_in_a_sequence_goes_to_chars_as_text(client: Any, text: Any) -> None:
    assert client.write("calongtext", text).data_count == 9
    assert bytes(client.read("calongtext").data) == b"long text"


@pytest.mark.parametrize("data", [None, object(), {"a": 1}, {"a"}, [None], [["a"]], 5j])
def test_what_is_neither_text_nor_number_is_refused_for_a_string(client: Any, data: Any) -> None:
    with pytest.raises(TypeError):
        client.write("castring", data)
    assert client.read("castring").data == [b"a string"]


def test_a_number_goes_to_a_string_as_its_text(client: Any) -> None:
    client.write("castring", 2.5)
    assert client.read("castring").data == [b"2.5"]
    client.write("castring", [np.int64(7)])
    assert client.read("castring").data == [b"7"]
    client.write("castring", "a string")


def test_a_view_of_memory_is_taken_element_by_element(client: Any) -> None:
    assert client.write("cawave", memoryview(array("d", [1.5, 2.5]))).data_count == 2
    assert list(client.read("cawave").data) == [1.5, 2.5]
    client.write("cawave", memoryview(b"ab"))
    assert list(client.read("cawave").data) == [97, 98]
    client.write("calongtext", memoryview(b"ab"))
    assert bytes(client.read("calongtext").data) == b"ab"
    client.write("calongtext", memoryview(array("d", [1, 2])))
    assert list(client.read("calongtext").data) == [1, 2]


def test_an_unknown_pv_times_out_and_is_named(client: Any) -> None:
    with pytest.raises(CaprotoTimeoutError, match="cadoesnotexist"):
        client.read("cadoesnotexist", timeout=0.2)


def test_a_name_that_is_no_text_is_refused(client: Any) -> None:
    with pytest.raises(TypeError):
        client.read(b"catest")


def test_an_old_read_has_no_status_but_data(client: Any) -> None:
    with pytest.warns(UserWarning, match="deprecated"):
        response = client.read("catest", notify=False)
    assert isinstance(response, ReadResponse)
    assert len(response.data) == 1
    assert type(response.data_type) is int
    with pytest.raises(AttributeError):
        _ = response.status


def test_the_wire_form_of_a_number(client: Any) -> None:
    client.write("catest", 3.0)
    response = client.read("catest")
    assert bytes(response)[16:] == b"@\x08" + bytes(6)
    assert bytes(response)[:12] == bytes.fromhex("000f00080006000100000001")
    assert response.buffers[0] == b""
    assert bytes(response.buffers[1]) == b"@\x08" + bytes(6)
    assert (response.header.command, response.header.payload_size) == (15, 8)
    assert len(response) == response.nbytes == 24


def test_updates_come_in_order_and_none_is_lost(client: Any) -> None:
    client.write("cascratch2", 0)
    following = client.follow("cascratch2")
    try:
        wait_until(lambda: following.responses, what="the first update")
        for number in range(1, 51):
            client.write("cascratch2", number)
        wait_until(lambda: len(following.responses) == 51, what="all updates")
        assert following.numbers == list(range(51))
        assert following.responses[-1].metadata.timestamp > 1e9
    finally:
        following.stop()


def test_nothing_comes_after_the_end(client: Any) -> None:
    following = client.follow("cascratch3")
    wait_until(lambda: following.responses)
    following.stop()
    number = len(following.responses)
    client.write("cascratch3", 5)
    client.read("cascratch3")
    assert len(following.responses) == number


def test_a_large_waveform(client: Any) -> None:
    data = np.arange(1_000_000, dtype="f8")
    client.write("camillion", data)
    response = client.read("camillion")
    assert np.array_equal(response.data, data)
    assert type(response.header).__name__ == "ExtendedMessageHeader"
    assert bytes(response)[24:] == data.astype(">f8").tobytes()


def test_a_subscription_warns_of_the_old_signature_and_works(client: Any) -> None:
    seen = []

    def old(response: Any) -> None:
        seen.append(response)

    following = client.follow("catest")
    try:
        wait_until(lambda: following.responses)
        with pytest.warns(UserWarning, match="response"):
            following.subscription.add_callback(old)
        with warnings.catch_warnings():
            client.write("catest", client.read("catest").data[0] + 1)
        wait_until(lambda: seen)
    finally:
        following.stop()
