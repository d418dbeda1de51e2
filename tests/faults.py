"""Faults that are really done: processes that have no room on the disk, may not write, are killed or run out of memory.

Each happens in a fork of the tests' process, so that it need not import PyTorch again and nothing is left of it here.
"""

import contextlib
import multiprocessing
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

if os.name == "posix":
    import resource

    FORK = multiprocessing.get_context("fork")

POSIX = pytest.mark.skipif(os.name != "posix", reason="done with processes and users of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="done with a limit of Linux")
NOBODY = 65534  # the user and the group without any rights


def started(action):
    """A fork that has begun with the action, and the pipe on which it sends what it returns and what it raised."""
    receiver, sender = FORK.Pipe(duplex=False)

    def work():
        try:
            outcome = action(), None
        except Exception as error:
            outcome = None, error
        sender.send(outcome)

    process = FORK.Process(target=work, daemon=True)
    process.start()
    return process, receiver


def ended(process, receiver, seconds=60):
    """What the fork returned; raises what it raised."""
    assert receiver.poll(seconds), f"no answer within {seconds} seconds"
    value, error = receiver.recv()
    process.join(seconds)
    if error is not None:
        raise error
    return value


def forked(action, seconds=60):
    """What the action returns or raises in a fork."""
    return ended(*started(action), seconds)


def no_room(action, size=2_000):
    """The action on a disk on which no file can get larger than `size` bytes: writing more is an OSError."""

    def work():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return action()

    return forked(work)


def no_rights(action):
    """The action by a user who may not write where others forbid it (root may)."""

    def work():
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return action()

    return forked(work)


def little_memory(action, size):
    """The action in a process that gets at most `size` bytes of memory more than it has."""

    def work():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + size, resource.RLIM_INFINITY))
        return action()

    return forked(work)


@contextlib.contextmanager
def open_folder():
    """A folder that every user can reach, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="mnist-faults-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
