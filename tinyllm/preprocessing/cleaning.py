"""Make texts and numbers clean: markup, invisible characters, duplicates; and the three usual scalings."""

import html
import re
import unicodedata
from collections.abc import Iterable
from html.entities import html5
from typing import Any

import numpy as np

from tinyllm.preprocessing.text import check_texts

__all__ = ["clean_text", "clean_texts", "l2_normalize", "min_max_scale", "z_score"]

FORMS = ("NFC", "NFD", "NFKC", "NFKD")  # Unicode's normal forms (Unicode Standard Annex 15)
MOST_PASSES = 20  # a text that still changes then is an attack on the clock, not a document
FLAGS = re.IGNORECASE | re.ASCII
BLOCKS = (
    "address|article|aside|blockquote|br|caption|dd|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6]|head|header"
    "|hr|li|main|nav|ol|option|p|pre|section|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
# An attribute without a value must be one that HTML has: else "a<b and c>d" would be a tag.
LONE_ATTRIBUTES = (
    "allowfullscreen|async|autofocus|autoplay|checked|compact|contenteditable|controls|crossorigin|default|defer|disabled"
    "|download|formnovalidate|hidden|inert|ismap|noresize|noshade|nowrap"
    "|itemscope|loop|multiple|muted|nomodule|novalidate|open|playsinline|readonly|required|reversed|selected"
    r"|(?:data|aria)-[\w-]++"
)
# Possessive (++, *+) throughout: what cannot be a tag is given up at once, so time stays linear in the text.
ATTRIBUTE = rf"""(?:[^\s"'<>/=]++\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'<>=`]*+)|(?:{LONE_ATTRIBUTES})(?=[\s/>]))"""
INSIDE = rf"""(?:(?:\s++|(?<=["'])){ATTRIBUTE})*+\s*+/?>"""
BLOCK_TAG = re.compile(rf"</?(?:{BLOCKS})(?=[\s/>]){INSIDE}", FLAGS)
TAG = re.compile(rf"</?[a-z][\w:.-]*+{INSIDE}", FLAGS)
DECLARATION = re.compile(r"<![a-z][^<>]*+>", FLAGS)
ENTITY = re.compile(r"&(?:[a-z][a-z0-9]{0,39}|#[0-9]{1,8}|#x[0-9a-f]{1,6});", FLAGS)
BODIES = [
    (re.compile(opening, FLAGS), re.compile(closing, FLAGS))
    for opening, closing in [
        (r"<!(?=--)", r"--(?<=<!--)-?>|--!?>"),
        (r"<script(?=[\s/>])[^<>]*+>", r"</script\s*+>"),
        (r"<style(?=[\s/>])[^<>]*+>", r"</style\s*+>"),
        (r"<\?(?=[a-z])", r"\?>"),
    ]
]
CDATA = re.compile(r"<!\[CDATA\["), re.compile(r"\]\]>")
# Control (Cc, without white space), format (Cf) and surrogate (Cs) characters, except the formats that text needs: the
# two joiners (Persian, Indic scripts, emoji), Mongolian's vowel separator, and signs one can see (Arabic, Syriac,
# Kaithi numbers; Egyptian quadrats).
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f\ud800-\udfff]"
)


def clean_text(text: str, form: str = "NFKC") -> str:
    """`text` as a reader would see it: no markup, entities resolved, NFKC characters, single spaces.

    Removed: tags, comments, declarations, the bodies of script and style, processing instructions; characters that
    are not there to be seen (controls, byte order marks, soft hyphens, zero-width spaces, direction marks, lone
    surrogates). Kept: the joiners U+200C and U+200D, the text of CDATA, and a "<" or "&" that is no markup. Any run of
    white space, and any tag that starts a new block, becomes one space. Repeated until nothing changes, because
    an entity or a full-width "＜" may spell a tag: so clean_text(clean_text(x)) == clean_text(x) for every x.
    form="NFC" keeps characters that NFKC would replace by plainer ones, such as Chinese punctuation.

    >>> clean_text("<p>Fish &amp; chips</p><p>a < b, I <3 you</p>")
    'Fish & chips a < b, I <3 you'
    >>> clean_text("ＡＢＣ１２３　你<b>好</b>，世界！")
    'ABC123 你好,世界!'
    >>> clean_text("你<b>好</b>，世界！", form="NFC")
    '你好，世界！'
    """
    if form not in FORMS:
        raise ValueError(f"clean_text: unknown form {form!r}; known: {', '.join(FORMS)}")
    if not isinstance(text, str):
        advice = "; decode it first: text.decode('utf-8')" if isinstance(text, bytes) else ""
        raise TypeError(f"clean_text: expected a str, found {type(text).__name__}{advice}")
    for _ in range(MOST_PASSES):
        before, text = text, _one_pass(text, form)
        if text == before:
            return text
    return clean_text(re.sub("[<&]", "", text), form)


def clean_texts(texts: Iterable[str], form: str = "NFKC") -> list[str]:
    """The texts cleaned (see clean_text), without empty ones and without repetitions, in the order of first sight.

    >>> clean_texts(["<b>你好</b>", " ", "再见", "你好"])
    ['你好', '再见']
    """
    cleaned = []
    for position, text in enumerate(check_texts(texts, "clean_texts")):
        if not isinstance(text, str):
            raise TypeError(f"clean_texts: texts[{position}] is {type(text).__name__}; expected a str")
        cleaned.append(clean_text(text, form))
    return [text for text in dict.fromkeys(cleaned) if text]


def min_max_scale(x: Any, axis: int | None = 0) -> np.ndarray:
    """(x - min) / (max - min) along `axis`: from 0 to 1. Where max == min (a constant column) the result is 0.

    Like its two sisters below: float32 stays float32 and any other number becomes float64; huge and tiny values
    neither overflow nor vanish; an empty array comes back empty; NaN or infinity raises ValueError.

    >>> min_max_scale([[1, 7], [2, 7], [5, 7]])
    array([[0.  , 0.  ],
           [0.25, 0.  ],
           [1.  , 0.  ]])
    """
    x = _unit_scale("min_max_scale", x, axis)
    if not x.size:
        return x
    x = x - x.min(axis=axis, keepdims=True)
    return _divide(x, x.max(axis=axis, keepdims=True))


def z_score(x: Any, axis: int | None = 0, ddof: int = 0) -> np.ndarray:
    """(x - mean) / (standard deviation) along `axis`; 0 where the deviation is 0 (a constant column).

    The deviation divides by n - ddof: 0 for the population, 1 for a sample of it. ddof >= n raises ValueError.

    >>> z_score([1.0, 2.0, 3.0, 4.0]).round(4)
    array([-1.3416, -0.4472,  0.4472,  1.3416])
    """
    x = _unit_scale("z_score", x, axis)
    if not x.size:
        return x
    x = x - x.min(axis=axis, keepdims=True)  # a constant column is exactly 0 from here on; its mean could round
    mean = x.mean(axis=axis, keepdims=True)
    count = x.size // mean.size
    if ddof >= count:
        raise ValueError(f"z_score: {count} values and ddof={ddof}; n - ddof divides, so more than {ddof} are needed")
    x = x - mean
    return _divide(x, np.sqrt((x * x).sum(axis=axis, keepdims=True) / (count - ddof)))


def l2_normalize(x: Any, axis: int | None = -1) -> np.ndarray:
    """x / sqrt(sum of x^2 along `axis`): vectors of length 1. A row of zeros stays zero.

    >>> l2_normalize([[3, 4], [0, 0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x = _unit_scale("l2_normalize", x, axis)
    return _divide(x, np.sqrt((x * x).sum(axis=axis, keepdims=True)))


def _one_pass(text: str, form: Any) -> str:
    for opening, closing in BODIES:
        text = _cut(text, opening, closing)
    text = _cut(text, *CDATA, keep_body=True)
    text = DECLARATION.sub("", text)
    text = TAG.sub("", BLOCK_TAG.sub(" ", text))
    text = ENTITY.sub(_resolve, text)
    text = unicodedata.normalize(form, INVISIBLE.sub("", text))
    return " ".join(text.split())


def _cut(text: str, opening: re.Pattern[str], closing: re.Pattern[str], keep_body: bool = False) -> str:
    """`text` without what stands from each `opening` to the next `closing`. (One regex for both could take n^2.)"""
    pieces, position = [], 0
    while (start := opening.search(text, position)) and (end := closing.search(text, start.end())):
        pieces.append(text[position : start.start()])
        if keep_body:
            pieces.append(text[start.end() : end.start()])
        position = end.end()
    return "".join(pieces) + text[position:]


def _resolve(entity: re.Match[str]) -> str:
    reference = entity.group()
    return html.unescape(reference) if reference[1] == "#" else html5.get(reference[1:], reference)


def _unit_scale(caller: str, x: Any, axis: int | None) -> np.ndarray:
    """x as finite floats, times a power of two (so exactly) that brings the largest along `axis` into 1/2 .. 1.

    The three scalings do not feel such a factor, and after it no square or difference can overflow or underflow.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise TypeError(f"{caller}: expected numbers, found dtype {x.dtype}")
    if not x.ndim:
        raise ValueError(f"{caller}: x is the single number {x}; one number has no scale, give an array")
    x = x.astype(x.dtype if x.dtype in (np.float32, np.float64) else np.float64)
    if not x.size:
        return x
    if not np.isfinite(x).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"{caller}: x[{', '.join(map(str, place))}] is {x[place]}; drop or fill such values first")
    exponent = np.frexp(np.abs(x).max(axis=axis, keepdims=True))[1]
    with np.errstate(under="ignore"):
        return np.ldexp(x, -exponent)


def _divide(x: np.ndarray, by: np.ndarray) -> np.ndarray:
    with np.errstate(under="ignore"):
        return np.divide(x, by, out=np.zeros_like(x), where=by > 0)
