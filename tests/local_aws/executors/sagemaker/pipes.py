"""The input mode Pipe: data that a program reads as it comes, without a file on the disk.

For each channel and each pass over the data there is a named pipe, `train_0`, `train_1`, …, through
which the objects come one after the other.
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import threading
from collections.abc import Iterable
from pathlib import Path

from ... import storage
from ...storage import S3Location

_CHUNK = 1 << 20
_POLL_SECONDS = 0.02
_MAGIC = 0xCED7230A
# Three of the 32 bits after the magic number say whether a record is continued.
_LONGEST_RECORD = (1 << 29) - 1


class Pipe:
    """A channel that is fed until it is closed. Opening a pipe of the next number rewinds it."""

    def __init__(
        self, folder: Path, channel: str, objects: Iterable[S3Location], caller: str, *, wrap: bool
    ) -> None:
        """
        Args:
            folder: where the pipes appear, `/opt/ml/input/data`.
            objects: what comes through, in this order.
            wrap: put each object into a record of the RecordIO format.
        """
        self._folder, self._channel = folder, channel
        self._objects, self._caller, self._wrap = list(objects), caller, wrap
        self._closed = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)
        self._make(0)
        self._thread = threading.Thread(target=self._feed, name=f"pipe-{channel}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop feeding."""
        self._closed.set()
        self._thread.join(5)

    def _make(self, epoch: int) -> Path:
        path = self._folder / f"{self._channel}_{epoch}"
        os.mkfifo(path)
        return path

    def _feed(self) -> None:
        epoch = 0
        while not self._closed.is_set():
            path = self._folder / f"{self._channel}_{epoch}"
            pipe = self._open(path)
            if pipe is None:
                return
            # The next pipe must be there when the reader has come to the end of this one.
            self._make(epoch + 1)
            with contextlib.suppress(BrokenPipeError), os.fdopen(pipe, "wb") as target:
                for location in self._objects:
                    self._send(location, target)
            path.unlink(missing_ok=True)
            epoch += 1

    def _open(self, path: Path) -> int | None:
        """Open a pipe as soon as somebody reads it; None if the channel is closed before."""
        while not self._closed.wait(_POLL_SECONDS):
            try:
                pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nobody reads yet
                    continue
                if error.errno == errno.ENOENT:  # the job's folder is gone
                    return None
                raise
            os.set_blocking(pipe, True)
            return pipe
        return None

    def _send(self, location: S3Location, target: object) -> None:
        with storage.open_object(location, self._caller) as source:
            if self._wrap:
                target.write(_record(source.read()))  # type: ignore[attr-defined]
                return
            while chunk := source.read(_CHUNK):
                target.write(chunk)  # type: ignore[attr-defined]


def _record(data: bytes) -> bytes:
    """One RecordIO record: magic number, length, data, zeros up to a multiple of four bytes.

    Raises:
        ValueError: the object is longer than a record can be.
    """
    if len(data) > _LONGEST_RECORD:
        raise ValueError(f"an object of {len(data):,} bytes is too long for one record")
    return struct.pack("<II", _MAGIC, len(data)) + data + b"\0" * (-len(data) % 4)
