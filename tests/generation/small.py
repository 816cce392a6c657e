"""Small models and tokenizers, of which one can say beforehand what they write."""

import numpy as np

from tinyllm import Tensor
from tinyllm.models import CausalLM


class Letters:
    """Each letter of the alphabet is a token."""

    def __init__(self, alphabet):
        self.alphabet = alphabet

    def encode(self, text):
        return [self.alphabet.index(c) for c in text]  # ValueError for another

    def decode(self, ids):
        return "".join(self.alphabet[i] for i in ids)


class Parts:
    """Tokens of any bytes: parts[i] is what id i stands for."""

    def __init__(self, parts):
        self.parts = parts

    def encode(self, text):
        return [self.parts.index(bytes([b])) for b in text.encode()]

    def decode_bytes(self, ids):
        return b"".join(self.parts[i] for i in ids)

    def decode(self, ids):
        return self.decode_bytes(ids).decode("utf-8", errors="replace")


class Scripted(CausalLM):
    """Writes a script: after n tokens the most probable by far is script[n - 1]. Counts how often it was read."""

    def __init__(self, vocab_size, script, tokenizer=None):
        super().__init__(vocab_size, tokenizer)
        self.script, self.reads = list(script), 0

    def call(self, ids, training=False):
        self.reads += 1
        follows = [self.script[min(t, len(self.script) - 1)] for t in range(ids.shape[1])]
        logits = np.full((*ids.shape, self.vocab_size), -50.0)
        logits[:, range(ids.shape[1]), follows] = 0
        return Tensor(logits)

    def cast(self, x):
        return np.asarray(x)


class Conditional(CausalLM):
    """P(next | the last token) from a table (vocab_size, vocab_size) of probabilities."""

    context = 1

    def __init__(self, table, tokenizer=None):
        super().__init__(len(table), tokenizer)
        with np.errstate(divide="ignore"):
            self.logs = np.log(np.asarray(table, float))

    def call(self, ids, training=False):
        return Tensor(self.logs[ids])

    def cast(self, x):
        return np.asarray(x)


def scripted(text, parts):
    """A model that writes these parts of a text one after another, behind the token 0, which is a new line."""
    known = list(dict.fromkeys([b"\n", *parts]))
    assert b"".join(parts) == text.encode()
    return Scripted(max(2, len(known)), [known.index(part) for part in parts], Parts(known))
