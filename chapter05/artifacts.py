"""What the built-in algorithms leave in `model.tar.gz`, opened without their containers.

K-Means, PCA and Linear Learner were written with Apache MXNet, which is retired; their artifacts
still have its format for arrays. It is short enough to read here. Source of the layout:
https://github.com/apache/mxnet/blob/1.9.1/src/ndarray/ndarray.cc
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile

import boto3
import numpy as np
import xgboost as xgb

_LIST_MAGIC, _ARRAY_MAGIC = 0x112, 0xF993FAC9
_TYPES = ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")


def fetch(uri: str) -> dict[str, bytes]:
    """The files in the `model.tar.gz` at an S3 URI, by name.

    Raises:
        ValueError: what lies there is no archive.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    content = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return unpack(content)


def unpack(content: bytes) -> dict[str, bytes]:
    """The files in a `.tar.gz`, by name. Raises ValueError for something else."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return {
                member.name: tar.extractfile(member).read() for member in tar if member.isfile()
            }
    except tarfile.TarError as error:
        raise ValueError(f"not a model.tar.gz: {error}") from error


def linear_learner(files: dict[str, bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Weights (outputs, features) and biases (outputs,) for features as they were given."""
    with zipfile.ZipFile(io.BytesIO(_model(files))) as archive:
        arrays = arrays_by_name(archive.read("mx-mod-0000.params"))
    return arrays["arg:fc0_weight"], arrays["arg:fc0_bias"]


def kmeans(files: dict[str, bytes]) -> np.ndarray:
    """The centroids, shape (k, features)."""
    return read_arrays(_model(files))[0][0]


def pca(files: dict[str, bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (features,), components (features, components), singular values; the largest is last."""
    arrays = arrays_by_name(_model(files))
    return arrays["mean"].ravel(), arrays["v"], arrays["s"].ravel()


def xgboost(files: dict[str, bytes]) -> xgb.Booster:
    """The booster in `xgboost-model`."""
    booster = xgb.Booster()
    booster.load_model(bytearray(_model(files, "xgboost-model")))
    return booster


def arrays_by_name(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an MXNet file whose arrays have names."""
    arrays, names = read_arrays(content)
    return dict(zip(names, arrays, strict=True))


def read_arrays(content: bytes) -> tuple[list[np.ndarray], list[str]]:
    """The dense arrays in an MXNet file, and their names if they have any.

    Raises:
        ValueError: the bytes are something else.
    """
    position = 0

    def take(form: str) -> tuple:
        nonlocal position
        size = struct.calcsize(form)
        if position + size > len(content):
            raise ValueError(f"the file of arrays is cut off at byte {position}")
        values = struct.unpack_from(form, content, position)
        position += size
        return values

    magic, _, count = take("<QQQ")
    if magic != _LIST_MAGIC:
        raise ValueError(f"not a file of MXNet arrays: it begins with {content[:8]!r}")
    arrays = []
    for _ in range(count):
        kind, _, dimensions = take("<IiI")
        if kind != _ARRAY_MAGIC:
            raise ValueError("only dense arrays of MXNet's second version are read")
        shape = take(f"<{dimensions}q")
        _, _, number = take("<iii")
        dtype = np.dtype(_TYPES[number])
        (raw,) = take(f"{int(np.prod(shape)) * dtype.itemsize}s")
        arrays.append(np.frombuffer(raw, dtype).reshape(shape))
    (named,) = take("<Q")
    names = [take(f"{take('<Q')[0]}s")[0].decode() for _ in range(named)]
    return arrays, names


def _model(files: dict[str, bytes], name: str = "model_algo-1") -> bytes:
    if name not in files:
        raise ValueError(f"the artifact holds {sorted(files)} but no {name}")
    return files[name]
