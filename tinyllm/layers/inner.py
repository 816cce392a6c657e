"""The layers inside a layer or model: their paths and names, and what they are handed down."""

from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyllm.layers.base import Layer

__all__ = ["adopt", "all_layers", "free_name", "unique_names"]


def all_layers(outer: "Layer") -> dict[str, "Layer"]:
    """The layers in a layer or model, however deep, by paths such as "bidirectional/forward_lstm"; itself as ""."""
    found = {"": outer}
    for layer in outer.inner:
        found |= {f"{layer.name}/{path}".rstrip("/"): each for path, each in all_layers(layer).items()}
    return found


def adopt(outer: "Layer", layers: list["Layer"]) -> None:
    """Give the layers inside another one different names, and its dtype and random numbers where they have no own."""
    unique_names(f"{type(outer).__name__} '{outer.name}'", layers)
    for layer in layers:
        if not layer.dtype_given:
            layer.dtype = outer.dtype
        if layer.rng is None:
            layer.rng = outer.generator


def free_name(name: str, taken: Any) -> str:
    """The name, with a number behind it where it is taken."""
    return name if name not in taken else next(f"{name}_{i}" for i in count(1) if f"{name}_{i}" not in taken)


def unique_names(owner: str, layers: list["Layer"]) -> None:
    """Number layers that were given no name and would be called alike; from now on a name stays.

    ValueError where two have the same name for good.
    """
    taken: set[str] = set()
    for layer in layers:
        if layer.named and layer.name in taken:
            raise ValueError(
                f"{owner}: there is a layer called '{layer.name}' already; names must differ: give it a name='...'"
            )
        taken |= {layer.name} if layer.named else set()
    for layer in layers:
        if not layer.named and layer.name in taken:
            layer.name = free_name(layer.name, taken)
        layer.named = True
        taken.add(layer.name)
