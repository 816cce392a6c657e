"""Transfer learning: keep what a model has learnt, freeze it, give it another head; start from ready-made vectors."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyllm.checks import positive
from tinyllm.layers import Embedding, Layer
from tinyllm.models.graph import calls_between, symbols_in
from tinyllm.models.sequential import Sequential
from tinyllm.preprocessing.text import Tokenizer

__all__ = ["Coverage", "freeze", "load_embeddings", "read_vectors", "replace_head", "unfreeze"]

LONGEST_LINE = 1_000_000  # bytes: a line that is longer is no vector


def freeze(model: Any, up_to: str) -> list[str]:
    """Freeze the layers from the first to the one called up_to, and return their names; compile again afterwards.

    Training leaves their weights as they are, to the last bit. Raises ValueError for a name the model does not have.

    >>> from tinyllm.layers import Dense
    >>> model = Sequential([Dense(3, input_shape=(2,), name="base"), Dense(1, name="head")])
    >>> freeze(model, up_to="base"), len(model.trainable_weights)
    (['base'], 2)
    """
    layers = model.layers[: _position("freeze", model, up_to) + 1]
    for layer in layers:
        layer.trainable = False
    return [layer.name for layer in layers]


def unfreeze(model: Any, down_to: str) -> list[str]:
    """Let the layers from the last down to the one called down_to be trained again; compile again afterwards.

    Layer by layer from the top, it is the gradual unfreezing of J. Howard & S. Ruder 2018, "Universal language model
    fine-tuning for text classification", section 3.3.
    """
    layers = model.layers[_position("unfreeze", model, down_to) :]
    for layer in layers:
        layer.trainable = True
    return [layer.name for layer in layers]


def replace_head(model: Any, head: Layer | Iterable[Layer], after: str | None = None, seed: int = 0) -> Sequential:
    """A new model: the layers up to `after` (default: all but the last) with copies of their weights, then `head`.

    The head's weights are fresh, drawn from the seed; the kept ones are equal bit for bit, and training the new model
    leaves the old one as it is. The texts' preprocess goes along; compile the new model before training it. Raises
    ValueError for a model whose layers do not simply follow each other.

    >>> from tinyllm.layers import Dense
    >>> old = Sequential([Dense(3, input_shape=(2,), name="base"), Dense(1)])
    >>> new = replace_head(old, Dense(4, activation="softmax"))
    >>> new.output_shape, bool(np.all(new.get_weights()[0] == old.get_weights()[0]))
    ((None, 4), True)
    """
    unbuilt = [layer.name for layer in model.layers if not layer.built]
    if unbuilt or not model.layers:
        what = f"the layer '{unbuilt[0]}' has no weights yet" if unbuilt else "the model has no layers"
        raise ValueError(f"replace_head: {what}; there is nothing to keep: train the model, or build() it, first")
    if not (isinstance(model, Sequential) or _in_a_row(model)):
        what = f"the layers of {type(model).__name__} '{model.name}' do not simply follow each other"
        raise ValueError(f"replace_head: {what}; make a Model(inputs, head(features)) of its symbolic tensors")
    kept = model.layers[:-1] if after is None else model.layers[: _position("replace_head", model, after) + 1]
    new = [head] if isinstance(head, Layer) else list(head)
    if not new:
        raise ValueError("replace_head: found no head; give a layer such as Dense(1, activation='sigmoid')")
    for layer in new:
        if getattr(layer, "built", False):
            raise ValueError(f"replace_head: the layer '{layer.name}' has weights of another model; give a new one")
    copies = [type(layer).from_config(layer.get_config()) for layer in kept]
    result = Sequential([], name=model.name, seed=seed, dtype=getattr(model, "dtype", None))
    shape = model.layers[0].input_shape
    for layer in [*copies, *new]:
        result.add(layer)
        layer.ensure_built(shape)
        shape = layer.compute_output_shape(shape)
    for copy, layer in zip(copies, kept):
        copy.set_weights(layer.get_weights())
    result.preprocess = model.preprocess
    return result


@dataclass(frozen=True)
class Coverage:
    """What load_embeddings() found: how many words of the vocabulary have a vector, and which have none.

    running is the same share over the tokens of the texts that the tokenizer was fitted on (frequent words count more);
    None where their counts are not known.
    """

    words: int
    found: int
    missing: tuple[str, ...]
    running: float | None

    @property
    def share(self) -> float:
        """found / words."""
        return self.found / self.words

    def __str__(self) -> str:
        running = "" if self.running is None else f", {self.running:.1%} of the running text"
        some = ", ".join(map(repr, self.missing[:5])) + (", ..." if len(self.missing) > 5 else "")
        return f"{self.found} of {self.words} words have a vector ({self.share:.1%}{running})" + (
            f"; without: {some}" if some else ""
        )


def load_embeddings(embedding: Embedding, vectors: Any, tokenizer: Tokenizer | Mapping[str, int]) -> Coverage:
    """Put ready-made word vectors into an Embedding's rows, by the tokenizer's word_index; the others stay as they are.

    vectors: a mapping word -> (output_dim,) numbers, or the path of a text file (see read_vectors), of which only the
    vocabulary's words are kept. All or nothing: ValueError for a vector of another length or that is not finite, for
    an id without a row, and if no word at all is found, which most often means words of another case.

    >>> layer = Embedding(3, 2)
    >>> print(load_embeddings(layer, {"cat": [1.0, 2.0]}, {"cat": 1, "dog": 2}))
    1 of 2 words have a vector (50.0%); without: 'dog'
    >>> layer.get_weights()[0][1]
    array([1., 2.], dtype=float32)
    """
    if not isinstance(embedding, Embedding):
        raise TypeError(f"load_embeddings: expected an Embedding layer; found {embedding!r:.60}")
    ids = _ids(tokenizer)
    largest = max(ids, key=ids.__getitem__)
    if ids[largest] >= embedding.input_dim:
        raise ValueError(
            f"load_embeddings: the word {largest!r:.40} has id {ids[largest]} and the table rows 0.."
            f"{embedding.input_dim - 1}; input_dim must be at least {ids[largest] + 1}"
        )
    if not isinstance(vectors, Mapping):
        vectors = read_vectors(vectors, ids, dimension=embedding.output_dim)
    embedding.ensure_built((None, embedding.input_length))
    rows = embedding.embeddings.data.copy()
    for word in (found := [word for word in ids if word in vectors]):
        try:
            value = np.asarray(vectors[word], float)
        except (TypeError, ValueError):
            raise ValueError(f"load_embeddings: the vector of {word!r:.40} does not hold numbers") from None
        if value.shape != (embedding.output_dim,):
            raise ValueError(
                f"load_embeddings: the vector of {word!r:.40} has shape {value.shape}; expected "
                f"({embedding.output_dim},), the table's output_dim"
            )
        if not (np.abs(value) <= np.finfo(rows.dtype).max).all():
            raise ValueError(f"load_embeddings: the vector of {word!r:.40} is not finite in {rows.dtype}")
        rows[ids[word]] = value
    if not found:
        raise ValueError(
            f"load_embeddings: none of the {len(ids)} words, such as {next(iter(ids))!r:.40}, has a vector; "
            "are they written in another case or language, or cut in another way?"
        )
    embedding.set_weights([rows])
    counts = getattr(tokenizer, "word_counts", {})
    total = sum(counts.values())
    running = sum(counts.get(word, 0) for word in found) / total if total else None
    return Coverage(len(ids), len(found), tuple(word for word in ids if word not in vectors), running)


def read_vectors(
    path: Any, words: Collection[str] | None = None, dimension: int | None = None, limit: int = 1_000_000
) -> dict[str, np.ndarray]:
    """Word vectors from a UTF-8 text file in the format of GloVe (a word and its numbers a line) or word2vec (the same
    after a first line "words dimension"), float32 (dimension,) each.

    Read line by line, never more than `limit` vectors (such files begin with the frequent words); with `words` only
    theirs are kept, and reading stops when all are found. Of a word that occurs twice the first counts.

    Raises ValueError, naming the line, for what is no UTF-8, no number, not finite, of another length, or cut short.
    """
    limit = positive("read_vectors: limit", limit)
    name = os.fspath(path)
    if os.path.isdir(name) or not os.path.lexists(name):
        kind, what = (IsADirectoryError, "a folder") if os.path.isdir(name) else (FileNotFoundError, "not there")
        raise kind(f"read_vectors: {name!r:.200} is {what}; give the path of a text file of vectors")
    found: dict[str, np.ndarray] = {}
    wanted = None if words is None else set(words)
    announced, count, number = None, 0, 0
    with open(name, "rb") as file:
        while count < limit and (wanted is None or len(found) < len(wanted)):
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                if announced is not None and count < announced:
                    raise ValueError(f"{name}: line 1 announces {announced} vectors, the file ends after {count}")
                break
            number += 1
            where = f"{os.path.basename(name)}, line {number}"
            if len(line) > LONGEST_LINE:
                raise ValueError(f"{where}: longer than {LONGEST_LINE:,} bytes; this is no text file of vectors")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
                header = line.split()
                if len(header) == 2 and all(each.isdigit() and len(each) < 12 for each in header):
                    announced, announced_dimension = map(int, header)
                    dimension = _agreed(where, dimension, announced_dimension)
                    continue
            if not line.strip():
                continue
            fields = len(line.split()) - 1
            dimension = fields if dimension is None else dimension
            if fields < max(dimension, 1):
                raise ValueError(f"{where}: expected a word and {max(dimension, 1)} numbers; found {fields + 1} fields")
            count += 1
            parts = line.rsplit(None, dimension)  # the numbers from the right: a few words of GloVe's hold spaces
            if fields > dimension and all(map(_is_number, parts[0].split()[1:])):
                raise ValueError(f"{where}: expected {dimension} numbers after the word; found {fields}")
            word = _decoded(parts[0], where)
            if word not in found and (wanted is None or word in wanted):
                found[word] = _numbers(parts[1:], where)
    if not count:
        raise ValueError(f"{name}: found no vectors in it")
    return found


def _agreed(where: str, asked: int | None, announced: int) -> int:
    if announced < 1 or (asked is not None and asked != announced):
        expected = "at least 1" if asked is None else f"{asked}, the table's output_dim"
        raise ValueError(f"{where}: the vectors have {announced} numbers; expected {expected}")
    return announced


def _decoded(word: bytes, where: str) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: not UTF-8 (byte 0x{word[error.start]:02X}); is it compressed, or word2vec's binary format?"
        ) from None


def _numbers(fields: list[bytes], where: str) -> np.ndarray:
    try:
        values = np.array([float(field) for field in fields])
    except ValueError:
        wrong = next(field for field in fields if not _is_number(field))
        raise ValueError(f"{where}: {wrong[:40].decode('utf-8', 'replace')!r} is no number") from None
    if not (np.abs(values) <= np.finfo(np.float32).max).all():
        raise ValueError(f"{where}: a number is not finite, or too large for float32")
    return values.astype(np.float32)


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _ids(tokenizer: Any) -> dict[str, int]:
    """The words that the tokenizer gives an id to, without the stand-in for unknown ones."""
    index = tokenizer.word_index if isinstance(tokenizer, Tokenizer) else tokenizer
    if not isinstance(index, Mapping):
        raise TypeError(f"load_embeddings: expected a Tokenizer or its word_index; found {type(index).__name__}")
    limit, unknown = getattr(tokenizer, "num_words", None) or float("inf"), getattr(tokenizer, "oov_token", None)
    ids = {word: i for word, i in index.items() if i < limit and word != unknown}
    if not ids:
        raise ValueError("load_embeddings: the tokenizer knows no words; call fit_on_texts first")
    wrong = next((i for i in ids.values() if isinstance(i, bool) or not isinstance(i, int | np.integer) or i < 1), None)
    if wrong is not None:
        raise ValueError(f"load_embeddings: an id is a whole number of at least 1 (0 is padding); found {wrong!r}")
    return ids


def _in_a_row(model: Any) -> bool:
    """Whether a graph calls each of its layers once, on what the one before gives."""
    row, ends = symbols_in(model.inputs), symbols_in(model.outputs)
    calls = calls_between(row, ends)
    given = [*row, *(symbol for call in calls for symbol in call.outputs)]
    follows = all(call.x is symbol for call, symbol in zip(calls, given))
    once = len({id(call.layer) for call in calls}) == len(calls) == len(given) - 1
    return once and follows and ends == given[-1:]


def _position(caller: str, model: Any, name: str) -> int:
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise ValueError(f"{caller}: the model has no layer {name!r}; its layers: {', '.join(names)}")
    return names.index(name)
