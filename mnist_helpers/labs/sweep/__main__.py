"""The command `python -m mnist_helpers.labs.sweep`."""

import argparse
import sys
import warnings
from pathlib import Path

from mnist_helpers.labs.ledger import gather, write_ledger
from mnist_helpers.labs.sweep.grid import EPOCHS, MANY, grid
from mnist_helpers.labs.sweep.work import RunFailedError, sweep
from mnist_helpers.runs import runs_dir


def command_line() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m mnist_helpers.labs.sweep",
        description="Train the runs of the ledger and write it. Stop it whenever "
        "you like (Ctrl+C): every finished run is kept, and the same command goes on from there.",
    )
    parser.add_argument("--folder", type=Path, default=runs_dir() / "sweep", help="one file a run (%(default)s)")
    parser.add_argument("--ledger", type=Path, default=runs_dir() / "ledger", help="its two tables (%(default)s)")
    parser.add_argument("--data", help="the folder with the MNIST files, as load_mnist takes it")
    parser.add_argument("--jobs", type=int, default=-1, help="runs at a time; -1, the default: one for each core")
    parser.add_argument(
        "--scheduler", help="address of a Dask scheduler whose workers are to train, for example tcp://10.0.0.1:8786"
    )
    parser.add_argument("--train-sizes", type=int, nargs="+", choices=EPOCHS, default=list(EPOCHS), help="only these")
    parser.add_argument(
        "--seeds",
        type=int,
        choices=range(1, MANY + 1),
        default=MANY,
        metavar="N",
        help=f"at most so many for each point, 1 to {MANY} (%(default)s)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status, 130 after Ctrl+C as other programs do."""
    options = command_line().parse_args(arguments)
    wanted = [
        setting for setting in grid() if setting.train_size in options.train_sizes and setting.seed < options.seeds
    ]
    warnings.filterwarnings("ignore", category=UserWarning, module="joblib")  # after Ctrl+C, on runs cut short
    status = 0
    try:
        try:
            sweep(wanted, options.folder, root=options.data, jobs=options.jobs, scheduler=options.scheduler)
        except KeyboardInterrupt:
            status = 130
            print("\nStopped. The finished runs are kept; the same command goes on from there.")
        write_ledger(gather(options.folder), options.ledger)
        print(f"All runs of {options.folder} are now in {options.ledger}.")
    except (ModuleNotFoundError, OSError, RunFailedError, ValueError) as error:
        status = status or 1
        print(f"Error: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
