"""What every call of pytest does, for tests and for notebooks: keep the runs that they make apart from the user's."""

import os
import shutil
import tempfile


def keep_runs_apart(config):
    """Let tests and notebooks keep their runs in a temporary folder, never in the user's runs/."""
    if not os.environ.get("MNIST_RUNS_DIR"):
        folder = tempfile.mkdtemp(prefix="mnist-runs-")
        os.environ["MNIST_RUNS_DIR"] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
