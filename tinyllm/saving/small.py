"""Weights in fewer bytes, for small devices: stored as float16 or int8, and as wide as before once they are loaded.

float16  each number to the nearest float16, an error of at most 1 part in 2,048 (from 6e-5 to 65,504).
int8     q = round(w / s) in -127..127 with a scale s = max |w| / 127 for each column (the last axis: a unit, a gate, a
         feature), so an error of at most s / 2 (symmetric quantisation per channel: Krishnamoorthi 2018, section 2).
         Vectors and arrays of fewer than 64 numbers stay as they are: they are few, and a bias must be right.

What is not floating (counts) stays, too. The file holds q under the tensor's name and s under name + "/scale".
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyllm.saving.safetensors import Spec

__all__ = ["KINDS", "narrowed", "widened", "widened_specs"]

KINDS = ("float16", "int8")
SCALE = "/scale"
FEWEST = 64  # numbers that are worth a scale


def narrowed(tensors: Mapping[str, np.ndarray], kind: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors as they are stored, and what the manifest says of it: {"as": kind, "from": the dtype before}.

    ValueError for another kind, for tensors of two floating dtypes, and for numbers that float16 cannot hold.

    >>> stored, said = narrowed({"kernel": np.eye(8, dtype="float32")}, "int8")
    >>> stored["kernel"].dtype, stored["kernel/scale"].shape, said
    (dtype('int8'), (8,), {'as': 'int8', 'from': 'float32'})
    """
    if kind not in KINDS:
        raise ValueError(f"save: weights are stored as {' or '.join(map(repr, KINDS))}; found {kind!r}")
    dtypes = {value.dtype.name for value in tensors.values() if value.dtype.kind == "f"} or {"float32"}
    if len(dtypes) > 1:
        raise ValueError(f"save: weights={kind!r} needs weights of one dtype; found {', '.join(sorted(dtypes))}")
    stored: dict[str, np.ndarray] = {}
    for name, value in tensors.items():
        if value.dtype.kind != "f":
            stored[name] = value
        elif not np.isfinite(value).all():
            raise ValueError(f"save: '{name}' holds NaN or infinity, which {kind} files of ours do not")
        elif kind == "float16":
            stored[name] = _half(name, value)
        elif _worth(value.shape):
            stored[name], stored[name + SCALE] = _quantised(value)
        else:
            stored[name] = value
    return stored, {"as": kind, "from": dtypes.pop()}


def widened_specs(stored: Mapping[str, Spec], said: Any, where: str) -> dict[str, Spec]:
    """What the stored tensors become. ValueError where they do not go together."""
    kind, dtype = _read(said, where)
    if kind == "float16":
        return {name: Spec(spec.shape, dtype) if spec.dtype == np.float16 else spec for name, spec in stored.items()}
    specs = {}
    for name, spec in stored.items():
        scale = stored.get(name + SCALE)
        if scale is not None:
            if spec.dtype != np.int8 or scale.dtype != np.float32 or scale.shape != spec.shape[-1:]:
                raise ValueError(
                    f"{where}: '{name}' is {spec.dtype} {spec.shape}, its scale {scale.dtype} {scale.shape}"
                )
            specs[name] = Spec(spec.shape, dtype)
        elif not _is_scale(name, stored):
            specs[name] = spec
    return specs


def widened(tensors: Mapping[str, np.ndarray], said: Any, where: str) -> dict[str, np.ndarray]:
    """The tensors in the dtype that they had."""
    kind, dtype = _read(said, where)
    if kind == "float16":
        return {name: value.astype(dtype) if value.dtype == np.float16 else value for name, value in tensors.items()}
    found = {}
    for name, value in tensors.items():
        if name + SCALE in tensors:
            found[name] = value.astype(dtype) * tensors[name + SCALE].astype(dtype)
        elif not _is_scale(name, tensors):
            found[name] = value
    return found


def _half(name: str, value: np.ndarray) -> np.ndarray:
    if value.size and np.abs(value).max() > np.finfo(np.float16).max:
        raise ValueError(f"save: '{name}' holds {np.abs(value).max():g}, and float16 ends at 65504")
    return value.astype(np.float16)


def _quantised(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.abs(value).max(axis=tuple(range(value.ndim - 1))).astype(np.float32) / np.float32(127)
    if not np.isfinite(scale).all():
        raise ValueError("save: a column of the weights is too large for int8's scale, a float32")
    scale[scale == 0] = 1  # a column of zeros
    return np.clip(np.rint(value / scale), -127, 127).astype(np.int8), scale


def _worth(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and math.prod(shape) >= FEWEST


def _is_scale(name: str, tensors: Mapping[str, Any]) -> bool:
    return name.endswith(SCALE) and name.removesuffix(SCALE) in tensors


def _read(said: Any, where: str) -> tuple[str, np.dtype]:
    good = isinstance(said, dict) and said.get("as") in KINDS and said.get("from") in ("float16", "float32", "float64")
    if not good:
        raise ValueError(f"{where}: cannot tell how the weights are stored: {said!r:.80}")
    return said["as"], np.dtype(said["from"])
