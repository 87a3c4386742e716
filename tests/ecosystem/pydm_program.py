"""A program for PyDM's pyepics plugin without a screen."""

import os
import time

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["PYDM_EPICS_LIB"] = "PYEPICS"

import epics
from pydm import PyDMApplication
from pydm.widgets import PyDMEnumComboBox, PyDMLabel, PyDMLineEdit

app = PyDMApplication(use_main_window=False)


def wait_until(condition, timeout=60.0):
    """Let Qt work until something is true."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, condition
        app.processEvents()
        time.sleep(0.005)


epics.caput("catest", 1.25, wait=True)
label = PyDMLabel(init_channel="ca://catest")
edit = PyDMLineEdit(init_channel="ca://calong")
combo = PyDMEnumComboBox(init_channel="ca://cambbo")
for widget in (label, edit, combo):
    widget.show()
wait_until(lambda: label.text().startswith("1.25"))
epics.caput("catest", 2.5)
wait_until(lambda: label.text().startswith("2.5"))
wait_until(lambda: edit.isEnabled())
edit.setText("42")
edit.send_value()
wait_until(lambda: epics.caget("calong", use_monitor=False) == 42)
wait_until(lambda: combo.count() == 4)
epics.caput("cambbo", 3)
wait_until(lambda: combo.currentText() == "three")
for widget in (label, edit, combo):
    for channel in widget.channels():
        channel.disconnect()
print("done")
os._exit(0)
