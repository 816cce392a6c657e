"""Where Keras loses a mask and we do not: in a recurrent layer that is called with an initial state."""

from tinyllm.saving.keras_config import tensors_in

__all__ = ["layers_that_lose_masks"]

ENDS = ("Flatten", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "Reshape", "RepeatVector")
RECURRENT = ("Bidirectional", "GRU", "LSTM", "SimpleRNN")


def layers_that_lose_masks(graph: dict) -> list[str]:
    """The names of a graph's layers (our description) that get a mask and an initial state at once.

    Keras 3.15 passes a mask on to a call with one tensor only, so there the padding is read; here it is not.
    """
    found, masked = [], set()
    for each in graph.get("layers", ()):
        name = each["config"]["name"]
        found += layers_that_lose_masks(each["config"])
        for call in each.get("calls", ()):
            if any(source in masked for source, _ in tensors_in(call["args"])):
                if call["kwargs"].get("initial_state") is not None:
                    found.append(name)
                if not _ends_masks(each):
                    masked.add(name)
        if _makes_masks(each):
            masked.add(name)
    return found


def _makes_masks(each: dict) -> bool:
    inner = each["config"].get("layers", [])
    return bool(each["config"].get("mask_zero") or each["class_name"] == "Masking" or any(map(_makes_masks, inner)))


def _ends_masks(each: dict) -> bool:
    config = each["config"]["layer"]["config"] if each["class_name"] == "Bidirectional" else each["config"]
    return each["class_name"] in ENDS or (each["class_name"] in RECURRENT and not config.get("return_sequences"))
