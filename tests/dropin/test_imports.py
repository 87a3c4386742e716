"""The import names of CaChannel 3.2, each seen from a process of its own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.scripts import Outcome, run_python, run_text


def run(text: str, **environment: str) -> Outcome:
    """Run a script that needs no IOC; whatever it writes to standard error fails the test."""
    return run_text(text, {"CACHANNEL_REPEATER": "NO"} | environment).succeeded()


def test_package_has_exactly_the_public_names() -> None:
    outcome = run(
        """
        import CaChannel
        names = [name for name in dir(CaChannel) if not name.startswith("_")]
        print(sorted(names))
        print(CaChannel.__version__, CaChannel.version_info, CaChannel.USE_NUMPY)
        print(type(CaChannel).__mro__[1].__name__, CaChannel.__name__)
        """
    )
    assert outcome.lines == [
        "['CaChannel', 'CaChannelException', 'USE_NUMPY', 'ca', 'version_info']",
        "3.2.0 (3, 2, '0') False",
        "module CaChannel",
    ]


def test_star_import_gives_the_names_without_the_low_level_functions() -> None:
    outcome = run(
        """
        from CaChannel import *
        print(sorted(name for name in dir() if not name.startswith("__")))
        """
    )
    assert outcome.lines == [
        "['CaChannel', 'CaChannelException', 'USE_NUMPY', 'ca', 'version_info']"
    ]


def test_class_and_module_of_the_same_name() -> None:
    outcome = run(
        """
        import importlib, sys, types
        import CaChannel.CaChannel as X
        import cachannel.channel
        module = importlib.import_module("CaChannel.CaChannel")
        assert isinstance(module, types.ModuleType)
        assert sys.modules["CaChannel.CaChannel"] is module
        assert isinstance(X, type) and X is module.CaChannel is cachannel.channel.CaChannel
        assert X.__module__ == "CaChannel.CaChannel"
        import CaChannel
        assert CaChannel.CaChannel is X
        from CaChannel.CaChannel import CaChannel, CaChannelException, ca
        assert CaChannel is X
        assert CaChannelException is cachannel.channel.CaChannelException
        assert ca is cachannel.ca
        print(X, CaChannelException)
        """
    )
    assert outcome.lines == [
        "<class 'CaChannel.CaChannel.CaChannel'> <class 'CaChannel.CaChannel.CaChannelException'>"
    ]


@pytest.mark.parametrize(
    "statements",
    [
        "import CaChannel.ca",
        "import CaChannel",
        "from CaChannel import ca; import CaChannel",
        "import CaChannel.ca as ca; import CaChannel; assert ca is CaChannel.ca",
        "import CaChannel._ca",
        "from CaChannel import _ca; import CaChannel",
    ],
)
def test_low_level_module(statements: str) -> None:
    outcome = run(
        f"""
        {statements}
        import cachannel.ca, sys
        assert CaChannel.ca is cachannel.ca
        assert CaChannel._ca.dbf_type_to_text is cachannel.ca.dbf_type_to_text
        from CaChannel._ca import (
            AlarmSeverity, AlarmCondition, dbf_type_to_DBR_STS, dbf_type_to_DBR_TIME,
            dbf_type_to_text,
        )
        assert AlarmSeverity is CaChannel.ca.AlarmSeverity
        assert not hasattr(CaChannel, "get") and not hasattr(CaChannel, "put")
        """
    )
    assert outcome.stdout == ""


@pytest.mark.parametrize(
    "statement",
    [
        "import CaChannel.util as util",
        "from CaChannel import util",
        "from CaChannel.util import caget, caput, camonitor, cainfo, _channels_",
    ],
)
def test_util_appears_when_it_is_imported(statement: str) -> None:
    run(
        f"""
        import CaChannel
        assert not hasattr(CaChannel, "util")
        {statement}
        import cachannel.util
        assert CaChannel.util is cachannel.util
        assert "util" in dir(CaChannel)
        assert cachannel.util._channels_ == {{}}
        """
    )


def test_top_level_ca_has_every_public_name_of_the_module() -> None:
    run(
        """
        import ca, CaChannel, types
        from CaChannel.ca import *
        for each in CaChannel.ca.__all__:
            assert getattr(ca, each) is getattr(CaChannel.ca, each) is globals()[each], each
        assert ca.ECA_NORMAL == 1 and ca.DBR.CTRL_DOUBLE == 34
        assert ca.HAS_NUMPY in (0, 1)
        assert callable(ca.create_channel) and callable(ca.pend_event)
        """
    )


def test_companions() -> None:
    outcome = run(
        """
        import epicsMotor, epicsPV, CaChannel, time
        import cachannel.epicsMotor, cachannel.epicsPV
        for module in (epicsPV, epicsMotor):
            print(sorted(name for name in dir(module) if not name.startswith("_")))
        assert epicsPV.epicsPV is cachannel.epicsPV.epicsPV
        assert issubclass(epicsPV.epicsPV, CaChannel.CaChannel)
        assert epicsPV.CaChannel is CaChannel.CaChannel and epicsPV.ca is CaChannel.ca
        assert epicsMotor.epicsMotor is cachannel.epicsMotor.epicsMotor
        assert epicsMotor.epicsPV is epicsPV and epicsMotor.time is time
        print(epicsPV.epicsPV, epicsPV.callBack)
        print(epicsMotor.epicsMotor, epicsMotor.epicsMotorException)
        """
    )
    assert outcome.lines == [
        "['CaChannel', 'ca', 'callBack', 'epicsPV', 'getCallback', 'putCallBack']",
        "['epicsMotor', 'epicsMotorException', 'epicsPV', 'time']",
        "<class 'epicsPV.epicsPV'> <class 'epicsPV.callBack'>",
        "<class 'epicsMotor.epicsMotor'> <class 'epicsMotor.epicsMotorException'>",
    ]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("epicsPV", "CaChannel ca callBack epicsPV getCallback putCallBack"),
        ("epicsMotor", "epicsMotor epicsMotorException epicsPV time"),
        (
            "CaChannel.util",
            "CaChannel ca caget cainfo camonitor caput "
            "collections datetime itertools numbers sys threading",
        ),
    ],
)
def test_star_import_of_a_companion(module: str, names: str) -> None:
    outcome = run(
        f"""
        from {module} import *
        print(*(n for n in dir() if not n.startswith("__")))
        """
    )
    assert set(outcome.stdout.split()) == set(names.split())


def test_use_numpy_is_one_flag_under_both_names() -> None:
    run(
        """
        import CaChannel, cachannel
        from CaChannel import USE_NUMPY
        assert USE_NUMPY is CaChannel.USE_NUMPY is cachannel.USE_NUMPY is False
        CaChannel.USE_NUMPY = True
        assert cachannel.USE_NUMPY is True and CaChannel.USE_NUMPY is True
        cachannel.USE_NUMPY = False
        assert CaChannel.USE_NUMPY is False
        setattr(CaChannel, "USE_NUMPY", 1)
        from CaChannel import *
        assert USE_NUMPY == cachannel.USE_NUMPY == 1
        """
    )


def test_use_numpy_takes_effect_at_the_next_call(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        """
        import CaChannel
        chan = CaChannel.CaChannel("cawave")
        chan.searchw()
        chan.putw([1, 2, 3])
        print(type(chan.getw()).__name__)
        CaChannel.USE_NUMPY = True
        print(type(chan.getw()).__name__, chan.getw(count=2).tolist())
        print(type(chan.getw(use_numpy=False)).__name__)
        from CaChannel.util import caget
        print(type(caget("cawave")).__name__)
        CaChannel.USE_NUMPY = False
        print(type(chan.getw()).__name__)
        """
    ).succeeded()
    assert outcome.lines == ["list", "ndarray [1.0, 2.0]", "list", "ndarray", "list"]


@pytest.mark.parametrize(
    "name",
    ["CaChannel", "CaChannel.CaChannel", "CaChannel.ca", "CaChannel._ca", "CaChannel.util", "ca",
     "epicsPV", "epicsMotor"],
)  # fmt: skip
def test_import_has_no_effect_on_the_process(name: str) -> None:
    """No context, no thread, no output, no NumPy, no change of the environment or of signals."""
    outcome = run(
        f"""
        import os, signal, sys, threading, warnings
        environment, filters = dict(os.environ), list(warnings.filters)
        finders, hook = list(sys.meta_path), sys.excepthook
        handlers = [signal.getsignal(number) for number in signal.valid_signals()]
        import {name}
        assert dict(os.environ) == environment and warnings.filters == filters
        assert sys.meta_path == finders and sys.excepthook is hook
        assert [signal.getsignal(number) for number in signal.valid_signals()] == handlers
        assert threading.active_count() == 1
        assert "numpy" not in sys.modules
        from cachannel import ca, context
        assert ca.current_context() is None and context.contexts() == []
        """
    )
    assert outcome.stdout == ""


@pytest.mark.parametrize("backend", ["caffi", "", "anything"])
def test_choice_of_a_backend_is_accepted_and_ignored(backend: str) -> None:
    run("import CaChannel; CaChannel.CaChannel", CACHANNEL_BACKEND=backend)


@pytest.mark.parametrize("module", ["CaChannel.CaChannel", "CaChannel.util"])
def test_modules_can_be_run(module: str) -> None:
    # runpy warns that the package has imported the module already, with the original as well.
    outcome = run_python(["-m", module], {"PYTHONWARNINGS": "ignore"})
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")


def test_unknown_submodule_is_an_ordinary_import_error() -> None:
    outcome = run(
        """
        import CaChannel
        try:
            import CaChannel.nothing
        except ModuleNotFoundError as error:
            print(error)
        try:
            CaChannel.nothing
        except AttributeError as error:
            print(error)
        """
    )
    assert outcome.lines == [
        "No module named 'CaChannel.nothing'",
        "module 'CaChannel' has no attribute 'nothing'",
    ]


def test_exceptions_and_classes_survive_pickling() -> None:
    run(
        """
        import pickle
        from CaChannel import ca, CaChannel, CaChannelException
        from epicsMotor import epicsMotorException
        assert pickle.loads(pickle.dumps(CaChannel)) is CaChannel
        error = pickle.loads(pickle.dumps(CaChannelException(ca.ECA_TIMEOUT)))
        assert type(error) is CaChannelException and error.status == ca.ECA_TIMEOUT
        error = pickle.loads(pickle.dumps(epicsMotorException("limit")))
        assert error.message == "limit"
        """
    )


def test_script_of_the_field_runs_unchanged(run_script: Callable[..., Outcome]) -> None:
    """The idioms of existing scripts, in one."""
    outcome = run_script(
        """
        from CaChannel import *
        import ca
        import CaChannel as package
        from epicsPV import *
        from epicsMotor import epicsMotor

        chan = CaChannel()
        try:
            chan.searchw(str("catest"))
            chan.putw(12.5)
            print(chan.getw(), ca.dbf_text(chan.field_type()))
            chan.setTimeout(0.2)
            chan.searchw("does:not:exist")
        except CaChannelException as status:
            print(int(status) == ca.ECA_TIMEOUT)
            try:
                raise CaChannelException(status)
            except package.CaChannelException as again:
                print(again.status == status.status)
        print(package.ca.poll() == ca.ECA_TIMEOUT)
        pv = epicsPV("cabo", 1)
        pv.putWait("Busy")
        pv.getControl()
        print(pv.callBack.pv_statestrings)
        m = epicsMotor("m1")
        print(m.description != "", m.done_moving)
        """,
    )
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.lines == [
        "12.5 DBF_DOUBLE",
        "True",
        "True",
        "True",
        "('Done', 'Busy')",
        "True 1",
    ]


def test_installed_files_are_single_modules() -> None:
    """A folder CaChannel would be the folder cachannel where file names ignore case."""
    outcome = run("import CaChannel; print(CaChannel.__file__)")
    assert os.path.basename(outcome.stdout.strip()) == "CaChannel.py"


def test_star_import_of_ca_brings_the_modules_it_always_brought(run_script) -> None:
    outcome = run_script(
        """
        from ca import *
        print(os.__name__, warnings.__name__, IntEnum.__name__, HAS_NUMPY)
        """
    )
    assert outcome.succeeded().stdout == "os warnings IntEnum 1\n"


def test_another_cachannel_in_the_way_is_warned_of(
    tmp_path: Path, run_script: Callable[..., Outcome]
) -> None:
    package = tmp_path / "CaChannel"
    package.mkdir()
    (package / "__init__.py").write_text("class CaChannel: pass\nca = None\n")
    outcome = run_script(
        f"""
        import sys, warnings
        sys.path.insert(0, {str(tmp_path)!r})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import epicsPV
        print(*(w.category.__name__ for w in caught), "uninstall" in str(caught[0].message))
        """
    )
    assert outcome.succeeded().lines == ["RuntimeWarning True"]
