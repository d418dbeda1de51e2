"""Panels with sliders. Those of lessons 1 to 5 stand here, lesson 6's in `widgets.ledger`, lesson 7's in `widgets.pad`
and `widgets.clinic`, lesson 8's in `widgets.case`, lesson 9's in `widgets.scaling`; they load more libraries.
"""

from mnist_helpers.widgets.descent import descent_explorer
from mnist_helpers.widgets.images import digit_browser, prediction_explorer
from mnist_helpers.widgets.network import curve_reader, dropout_microscope, step_explorer
from mnist_helpers.widgets.training import training_lab

__all__ = [
    "curve_reader",
    "descent_explorer",
    "digit_browser",
    "dropout_microscope",
    "prediction_explorer",
    "step_explorer",
    "training_lab",
]
