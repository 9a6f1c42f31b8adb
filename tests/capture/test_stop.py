"""A stop request wakes its waiter, whoever makes it."""

from __future__ import annotations

import os
import signal
import socket
import time

from btresearch.capture.stop import StopRequest


def test_no_request_waits_and_says_so() -> None:
    stop = StopRequest()
    assert not stop.wait(1)
    stop.close()


def test_a_signal_handler_may_make_it_during_the_wait() -> None:
    stop = StopRequest()
    before = signal.signal(signal.SIGALRM, lambda *_: stop.make())
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    began = time.monotonic()
    assert stop.wait(20_000)
    assert time.monotonic() - began < 10
    signal.signal(signal.SIGALRM, before)
    stop.close()


def test_input_elsewhere_ends_the_wait_without_a_request() -> None:
    stop = StopRequest()
    near, far = socket.socketpair()
    with near, far:
        os.write(far.fileno(), b"x")
        assert not stop.wait(20_000, near)
        stop.make()
        assert stop.wait(0, near)
    stop.close()
