"""The command `python -m tests.benchmarks`, from the repository's root."""

import argparse
from pathlib import Path

from .compare import ROOT, compare
from .first_figure import first_figures
from .peers import PEERS, VARIANTS
from .scaling import scaling
from .startup import startup
from .task import Task


def command_line() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure how fast training is.")
    parser.add_argument(
        "what",
        nargs="?",
        choices=["compare", "scaling", "startup", "first-figure"],
        default="compare",
        help="compare (the default): ways of training, side by side; scaling: seconds and memory as the work grows; "
        "startup: what a kernel needs before it trains; first-figure: from Run All to a lesson's first figure",
    )
    parser.add_argument("--epochs", type=int, default=3, help="epochs in each process (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="processes for each way, in turns (%(default)s)")
    parser.add_argument("--images", type=int, help="training images (48,000; for scaling 12,000)")
    parser.add_argument("--threads", type=int, help="for all ways; without it each has its own default")
    parser.add_argument("--ways", nargs="+", choices=[*PEERS, *VARIANTS], default=list(PEERS), metavar="WAY")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "benchmarks", help="for figures (%(default)s)")
    return parser


def main(arguments: list[str] | None = None) -> None:
    options = command_line().parse_args(arguments)
    if options.what == "startup":
        startup(options.rounds)
    elif options.what == "first-figure":
        first_figures(options.rounds)
    elif options.what == "scaling":
        scaling(Task(folder="", epochs=options.epochs, images=options.images or 12_000), options.folder)
    else:
        task = Task(folder="", epochs=options.epochs, images=options.images or 48_000)
        compare(task, options.ways, options.rounds, options.folder, options.threads)


if __name__ == "__main__":
    main()
