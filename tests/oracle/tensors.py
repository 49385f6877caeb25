# SPDX-License-Identifier: Apache-2.0
"""safetensors files with the standard library alone: 8 bytes of header length, a JSON header, raw little-endian tensors.

A tensor is a `Tensor`: its dtype as the format writes it (F32, F64, I64, ...), its shape, and its values in an array.array.
Writing is deterministic: sorted names, no spaces, padded to 8 bytes.
"""
import json
import struct
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path

CODES = {"F32": "f", "F64": "d", "I64": "q", "I32": "i", "U8": "B"}


@dataclass
class Tensor:
    dtype: str
    shape: tuple[int, ...]
    values: array

    @classmethod
    def make(cls, dtype: str, shape: tuple[int, ...], values) -> "Tensor":
        return cls(dtype, tuple(shape), array(CODES[dtype], values))


def write(path: Path | str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    header: dict = {"__metadata__": dict(sorted((metadata or {}).items()))}
    offset = 0
    for name in sorted(tensors):
        size = len(tensors[name].values) * tensors[name].values.itemsize
        header[name] = {"dtype": tensors[name].dtype, "shape": list(tensors[name].shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            file.write(little_endian(tensors[name].values).tobytes())


def read(path: Path | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    content = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + position for position in entry["data_offsets"])
        values = array(CODES[entry["dtype"]])
        values.frombytes(content[begin:end])
        tensors[name] = Tensor(entry["dtype"], tuple(entry["shape"]), little_endian(values))
    return tensors, metadata


def little_endian(values: array) -> array:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values
