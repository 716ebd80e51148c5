"""Several processes that serve one address: the kernel gives each connection to one that is free."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from ..shell import SIGNALLED, say

SHORT_LIFE_S = 5.0  # a worker that lived no longer is not replaced at once: it would die again
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


def supervise(work: Callable[[int], int], count: int, stops_within_s: float) -> int:
    """Run `work` in that many processes until SIGINT or SIGTERM, which all of them get; one that dies is replaced, one
    that has not stopped in time is killed. Returns the exit status.

    `work` is called in each with a descriptor that can be read from when this process is gone. Call it before there are
    threads or an event loop: the processes are forks.
    """
    caught: list[int] = []
    born: dict[int, float] = {}
    held, kept = os.pipe()

    def tell(number: int) -> None:
        for pid in born:
            os.kill(pid, number)

    def stop(number: int, _frame: object) -> None:
        if not caught:
            signal.setitimer(signal.ITIMER_REAL, stops_within_s)
        caught.append(number)
        tell(number)

    def begin() -> None:
        pid = _fork(work, held, kept)
        born[pid] = time.monotonic()
        if caught:  # it came while the list was without this one
            os.kill(pid, caught[0])

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    signal.signal(signal.SIGALRM, lambda *_: tell(signal.SIGKILL))
    for _ in range(count):
        begin()
    while born:
        pid, status = os.wait()
        lived = time.monotonic() - born.pop(pid)
        if caught:
            continue
        say(f"autocomp-mcp: worker {pid} ended ({_how(status)}); another takes its place")
        if lived < SHORT_LIFE_S:
            time.sleep(SHORT_LIFE_S - lived)
        if not caught:
            begin()
    return SIGNALLED + caught[0]


def _fork(work: Callable[[int], int], held: int, kept: int) -> int:
    # A signal between the fork and the worker's own handlers would run the parent's in the worker.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    pid = os.fork()
    if not pid:
        _worker(work, held, kept)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return pid


def _worker(work: Callable[[int], int], held: int, kept: int) -> NoReturn:
    status = 1
    try:
        os.close(kept)  # so that the pipe ends with the parent
        os.setpgrp()  # a terminal's Ctrl-C reaches the parent, which passes it on: once, not twice
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        status = work(held)
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit status {code}"
