"""Network namespaces without names: made by a thread, held by a descriptor, gone with the process. Linux, as root.

Python has `os.setns` from 3.12 on only. A namespace belongs to a thread, and sockets to the one they were opened in,
so that a relay's sockets can be in another network than the rest of its process.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000

_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _own() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Namespace:
    """A network of its own, with only `lo` in it. Raises `OSError` where that is not allowed."""

    def __init__(self) -> None:
        self.descriptor = -1
        self.descriptor = self._in_thread(self._unshare)
        self.configure("link set lo up")

    @staticmethod
    def _unshare() -> int:
        _checked(_libc.unshare(_CLONE_NEWNET))
        return _own()

    def _in_thread(self, function: Callable[[], T]) -> T:
        """Run `function` in a thread that may change its namespace, and return what it does."""
        results: list[T] = []
        errors: list[OSError] = []

        def run() -> None:
            try:
                if self.descriptor >= 0:
                    _checked(_libc.setns(self.descriptor, _CLONE_NEWNET))
                results.append(function())
            except OSError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def command(self, *arguments: str) -> list[str]:
        """The command, to be run in here."""
        return ["nsenter", f"--net={self.path}", *arguments]

    def python(self, module: str, *arguments: str) -> list[str]:
        return self.command(sys.executable, "-m", module, *arguments)

    def configure(self, *lines: str) -> None:
        """Commands of `ip`, all or an `OSError`."""
        done = subprocess.run(
            self.command("ip", "-batch", "-"), input="\n".join(lines), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OSError(f"ip: {done.stderr.strip()}")

    def device(self, name: str) -> int:
        """A TUN device in here: whole IP packets are read from and written to the returned descriptor."""

        def make() -> int:
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
            except OSError:
                os.close(descriptor)
                raise
            return descriptor

        return self._in_thread(make)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread opens meanwhile are in here."""
        before = _own()
        try:
            _checked(_libc.setns(self.descriptor, _CLONE_NEWNET))
            yield
        finally:
            _checked(_libc.setns(before, _CLONE_NEWNET))
            os.close(before)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def why_not() -> str:
    """Why there can't be networks of our own here; empty: there can."""
    try:
        namespace = Namespace()
    except (OSError, FileNotFoundError) as error:
        return f"needs network namespaces, which only root may make: {error}"
    try:
        os.close(namespace.device("probe"))
    except OSError as error:
        return f"needs TUN devices (/dev/net/tun): {error}"
    finally:
        namespace.close()
    return ""
