"""What every test may rely on: figures without a display, and no network."""

from __future__ import annotations

import os
import socket

import pytest

os.environ["MPLBACKEND"] = "Agg"  # before anything imports matplotlib, here or in a child process


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """Refuse every connection off this machine, so that no test can come to depend on one."""

    def refuse(self, address, *_):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"A test tried to reach {address}; tests use no network.")
        return connect(self, address)

    connect = socket.socket.connect
    socket.socket.connect = refuse
    yield
    socket.socket.connect = connect
