"""The exception tree, and how exceptions print, compare and travel."""

import copy
import pickle

import pytest

from cachannel import CaChannelException, ca, errors as module
from cachannel.errors import CAError, check, describe, error_class
from cachannel.protocol.enums import ECA

CLASSES = [
    value
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, CAError)
]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_exception_carries_what_it_is_about(cls: type[CAError]) -> None:
    error = cls(ECA.TIMEOUT, "some:pv", "get", "after 3 s")
    assert (error.status, error.pvname, error.operation) == (ECA.TIMEOUT, "some:pv", "get")
    assert str(error).endswith(": get of 'some:pv', after 3 s")
    assert str(error).startswith(ca.message(80))


@pytest.mark.parametrize("cls", CLASSES)
def test_every_exception_can_be_pickled_and_copied(cls: type[CAError]) -> None:
    error = cls(ECA.DISCONN, "some:pv", "get")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is cls
        assert str(other) == str(error)
        assert (other.status, other.pvname, other.args) == (error.status, error.pvname, error.args)


@pytest.mark.parametrize(
    ("status", "builtin"),
    [(ECA.TIMEOUT, TimeoutError), (ECA.DISCONN, ConnectionError), (ECA.BADCHID, ConnectionError),
     (ECA.NORDACCESS, PermissionError), (ECA.NOWTACCESS, PermissionError), (ECA.BADTYPE, TypeError),
     (ECA.BADCOUNT, ValueError), (ECA.BADSTR, ValueError), (ECA.GETFAIL, CAError)],
)  # fmt: skip
def test_causes_are_also_the_built_in_ones(status: ECA, builtin: type[Exception]) -> None:
    with pytest.raises(builtin) as caught:
        check(status, "some:pv", "get")
    assert isinstance(caught.value, error_class(status))
    assert "some:pv" in str(caught.value)


def test_normal_raises_nothing() -> None:
    check(ECA.NORMAL, "some:pv", "get")


@pytest.mark.parametrize("status", [*ECA, 9999])
def test_cachannel_exception_is_its_status(status: int) -> None:
    error = CaChannelException(status)
    assert int(error) == error.status == status
    assert error.args == (status,)
    assert isinstance(error, CAError)
    assert str(error)
    assert int(CaChannelException(error)) == status


def test_description_leaves_out_what_is_unknown() -> None:
    text = ca.message(ECA.TIMEOUT)
    assert describe(ECA.TIMEOUT) == text
    assert describe(ECA.TIMEOUT, operation="pend_io") == f"{text}: pend_io"
    assert describe(ECA.TIMEOUT, "some:pv") == f"{text}: 'some:pv'"
