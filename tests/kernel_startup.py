"""Run by IPython when a kernel of the tests starts (see figures.py): its figures are shown with their description."""


def _describe_figures():
    import importlib.util
    import os
    import sys

    from IPython import get_ipython
    from IPython.core.formatters import BaseFormatter
    from traitlets import Unicode

    place = os.path.join(os.path.dirname(os.environ["PYTHONSTARTUP"]), "figures.py")  # noqa: PTH118, PTH120
    spec = importlib.util.spec_from_file_location("figures", place)
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)

    class Description(BaseFormatter):
        format_type = Unicode(figures.MIME)

        def __call__(self, thing):  # not registered for a type: the inline backend takes all functions of figures away
            return figures.describe(thing) if "matplotlib.figure" in sys.modules else None

    formatters = get_ipython().display_formatter.formatters
    formatters[figures.MIME] = Description(parent=get_ipython().display_formatter)


_describe_figures()
del _describe_figures
