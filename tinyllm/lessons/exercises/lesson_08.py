# %% [markdown] tags=["en"]
# # Exercises to lesson 8: text to integers
# Measure a text, number its characters, make a rectangle of it, and join pairs of bytes. Check yourself with
# `tinyllm exercise check lesson_08.py`; `tinyllm exercise hint 08.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 8 课练习：文本变成整数
# 量一量文本，给字编号，装成矩形，再把字节两两合并。用 `tinyllm exercise check lesson_08.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 08.1`。
# %%
from itertools import pairwise

import numpy as np

from tinyllm.lessons.grading import Mistake, check, same

# %% [markdown] tags=["en"]
# ## 8.1 How long is a text?
# Return three whole numbers for a text: how many tokens it has when cut at spaces, as Keras does (a run of spaces makes
# no empty token); how many when cut into characters, spaces too; and how many bytes it has in UTF-8. For `"你好 world"` they
# are 2, 8 and 12.
# %% [markdown] tags=["zh"]
# ## 8.1 一段文本有多长？
# 对一段文本返回三个整数：像 Keras 那样在空格处切开，有几个词元（连续的空格之间不算空词元）；按字符切（空格也算），有几个；
# 用 UTF-8 写成字节，有几个。`"你好 world"` 的三个数是 2、8、12。


# %% tags=["exercise"]
# exercise 08.1 (2 points): three lengths of a text
def lengths(text):
    """(words, characters, bytes) of a text."""
    ### BEGIN SOLUTION
    words = [word for word in text.split(" ") if word]
    return len(words), len(text), len(text.encode("utf-8"))
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "08.1",
    points=1,
    catches=[
        Mistake("takes characters for bytes", 'len(text.encode("utf-8"))', "len(text)"),
        Mistake("counts characters without the spaces", "len(text), len(text.enc", 'len("".join(words)), len(text.enc'),
        Mistake("counts 2 bytes for a Chinese character", 'text.encode("utf-8")', 'text.encode("gbk")'),
    ],
)
def texts_in_two_languages(student, rng):
    """Random texts of Chinese and English words with single spaces."""
    pool = ["你好", "今天天气很好。", "world", "我爱中国", "a", "语言模型,"]
    for count in (1, 3, 6):
        words = [pool[i] for i in rng.integers(len(pool), size=count)]
        text = " ".join(words)
        size = sum(1 if ord(character) < 128 else 3 for character in text)
        same(student.lengths(text), (count, len(text), size), f"lengths({text!r})")


@check(
    "08.1",
    points=1,
    catches=[Mistake("makes empty tokens of spaces", " if word]", "]")],
)
def spaces_make_no_tokens(student, rng):
    """Spaces in front, behind and in a row make no tokens; an empty text has none of anything."""
    front, middle, back = (" " * int(n) for n in rng.integers(1, 4, size=3))
    text = f"{front}你{middle} 好{back}"
    same(student.lengths(text), (2, len(text), len(text) + 4), f"lengths({text!r})")
    same(student.lengths(""), (0, 0, 0), "lengths('')")


# %% [markdown] tags=["en", "hint"]
# `text.split(" ")` gives empty strings between two spaces; leave them out. `text.encode("utf-8")` is the row of bytes.
# %% [markdown] tags=["zh", "hint"]
# `text.split(" ")` 会在两个空格之间给出空字符串，要去掉。`text.encode("utf-8")` 就是那串字节。


# %% [markdown] tags=["en"]
# ## 8.2 Number the characters
# What `Tokenizer(char_level=True)` does when it is fitted: count every character of all the texts together and number them
# from 1, the most frequent first; characters that are equally frequent stand in the order in which they were first seen.
# 0 is nobody's: it is for padding. Return a dict from character to id.
# %% [markdown] tags=["zh"]
# ## 8.2 给字编号
# 也就是 `Tokenizer(char_level=True)` 在 fit 时做的事：把所有文本里的每个字符放在一起数，从 1 开始编号，越常见的越靠前；
# 一样常见的，先出现的在前。0 不归任何字，留给填充。返回一个字典：字符到编号。


# %% tags=["exercise"]
# exercise 08.2 (4 points): number the characters
def character_ids(texts):
    """{character: id}, ids from 1, the most frequent character first, ties in the order of first sight."""
    ### BEGIN SOLUTION
    counts = {}
    for text in texts:
        for character in text:
            counts[character] = counts.get(character, 0) + 1
    ordered = sorted(counts, key=counts.get, reverse=True)
    return {character: i for i, character in enumerate(ordered, start=1)}
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "08.2",
    points=2,
    catches=[
        Mistake("gives 0 away", "start=1", "start=0"),
        Mistake("numbers the rarest first", ", reverse=True", ""),
        Mistake(
            "counts in how many texts a character stands",
            "for character in text:",
            "for character in dict.fromkeys(text):",
        ),
        Mistake("does not sort", "sorted(counts, key=counts.get, reverse=True)", "list(counts)"),
    ],
)
def as_keras_numbers_them(student, rng):
    """Random texts are numbered as `Tokenizer(char_level=True)` numbers them."""
    from tinyllm.preprocessing.text import Tokenizer

    for size in (6, 30):
        pool = "春夏秋冬花雨风的了。"
        texts = ["".join(pool[int(rng.integers(k + 1))] for k in rng.integers(len(pool), size=size)) for _ in range(3)]
        tokenizer = Tokenizer(char_level=True)
        tokenizer.fit_on_texts(texts)
        same(student.character_ids(texts), tokenizer.word_index, f"character_ids({texts})")


@check(
    "08.2",
    points=2,
    catches=[
        Mistake("sorts ties by their code", "sorted(counts, key", "sorted(sorted(counts), key", says="expected"),
        Mistake(
            "puts the last of a tie first",
            "sorted(counts, key=counts.get, reverse=True)",
            "sorted(counts, key=counts.get)[::-1]",
        ),
    ],
)
def ties_keep_their_order(student, rng):
    """Characters that are equally frequent are numbered as they were first seen, in whichever text."""
    letters = [str(each) for each in rng.permutation(list("zyxwabcd"))]
    texts = ["".join(letters[:3]), "".join(letters[3:])]
    wanted = {character: i for i, character in enumerate(letters, start=1)}
    same(student.character_ids(texts), wanted, f"character_ids({texts}), each character once")


# %% [markdown] tags=["en", "hint"]
# `sorted(..., reverse=True)` leaves equal ones in the order in which it finds them, and a dict keeps the order of first sight.
# %% [markdown] tags=["zh", "hint"]
# `sorted(..., reverse=True)` 会让相等的元素保持原来的先后；字典记得谁先进来。


# %% [markdown] tags=["en"]
# ## 8.3 Find the bug: which end is cut
# `broken_pad` means to do what `pad_sequences` does: an array of whole numbers, (sequences, `maxlen`), too short ones filled
# with 0 at the end that `padding` names, too long ones cut at the end that `truncating` names, `"pre"` (in front) or `"post"`
# (behind). It is right as long as nothing is too long, and for one of the two cuts. Write `pad`.
# %% [markdown] tags=["zh"]
# ## 8.3 找错：截的是哪一头
# `broken_pad` 想做的是 `pad_sequences` 做的事：一个整数数组，形状 (sequences, `maxlen`)；太短的，在 `padding` 所说的那一头补 0；
# 太长的，在 `truncating` 所说的那一头截掉；`"pre"` 是前面，`"post"` 是后面。只要没有太长的，它就是对的；太长时，两种截法里也对一种。
# 请写出 `pad`。


# %% tags=["exercise"]
# exercise 08.3 (4 points): find the bug in padding
def broken_pad(sequences, maxlen, padding="pre", truncating="pre"):
    """Meant to be pad_sequences."""
    out = np.zeros((len(sequences), maxlen), dtype=int)
    for row, sequence in zip(out, sequences):
        kept = sequence[:maxlen]
        if padding == "pre":
            row[maxlen - len(kept) :] = kept
        else:
            row[: len(kept)] = kept
    return out


def pad(sequences, maxlen, padding="pre", truncating="pre"):
    """An array (sequences, maxlen) of whole numbers; maxlen is at least 1."""
    ### BEGIN SOLUTION
    table = np.zeros((len(sequences), maxlen), dtype=int)
    for i, sequence in enumerate(sequences):
        kept = sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen]
        start = maxlen - len(kept) if padding == "pre" else 0
        table[i, start : start + len(kept)] = kept
    return table
    ### END SOLUTION


# %% tags=["checks"]
def random_sequences(rng, lengths):
    return [[int(n) for n in rng.integers(1, 90, size=length)] for length in lengths]


@check(
    "08.3",
    points=1,
    catches=[
        Mistake("always pads in front", 'maxlen - len(kept) if padding == "pre" else 0', "maxlen - len(kept)"),
        Mistake(
            "fills with -1",
            "np.zeros((len(sequences), maxlen), dtype=int)\n    for i",
            "np.zeros((len(sequences), maxlen), dtype=int) - 1\n    for i",
        ),
    ],
)
def short_ones_are_filled(student, rng):
    """Sequences that fit, and an empty one, are filled with 0 at the end that padding names."""
    sequences = random_sequences(rng, [3, 0, 5])
    for padding in ("pre", "post"):
        zeros = [[0] * (5 - len(each)) for each in sequences]
        rows = [z + each if padding == "pre" else each + z for z, each in zip(zeros, sequences)]
        same(student.pad(sequences, 5, padding=padding), np.array(rows), f"pad({sequences}, 5, padding={padding!r})")


@check(
    "08.3",
    points=3,
    catches=[
        Mistake(
            "always cuts behind",
            'sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen]',
            "sequence[:maxlen]",
        ),
        Mistake(
            "always cuts in front",
            'sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen]',
            "sequence[-maxlen:]",
        ),
        Mistake("cuts where it pads", 'truncating == "pre"', 'padding == "pre"'),
        Mistake("drops one element too many", "sequence[-maxlen:]", "sequence[1 - maxlen:]"),
    ],
)
def long_ones_are_cut(student, rng):
    """Each of the four ways to pad and to cut gives what `pad_sequences` gives."""
    from tinyllm.preprocessing.sequence import pad_sequences

    sequences = random_sequences(rng, [6, 2, 4, 9])
    for padding in ("pre", "post"):
        for truncating in ("pre", "post"):
            found = student.pad(sequences, 4, padding=padding, truncating=truncating)
            expected = pad_sequences(sequences, 4, padding=padding, truncating=truncating)
            same(found, expected, f"pad({sequences}, 4, {padding!r}, {truncating!r})")


# %% [markdown] tags=["en", "hint"]
# `sequence[:4]` keeps the first four, `sequence[-4:]` the last four. Which of them cuts *in front*?
# %% [markdown] tags=["zh", "hint"]
# `sequence[:4]` 留下最前面四个，`sequence[-4:]` 留下最后四个。哪一个才是从*前面*截？


# %% [markdown] tags=["en"]
# ## 8.4 One step of byte pair encoding
# `sequences` is a list of lists of ids. Find the pair of neighbours (first, second) that occurs most often in all of them
# together; of equally frequent pairs the smaller one, compared as tuples. A pair is counted at every place where it stands, so
# `[7, 7, 7]` has (7, 7) twice; no pair reaches from one sequence into the next. Then replace the pair by `new` wherever it
# stands, from left to right; what has been joined is not joined again in the same step, so `[7, 7, 7]` becomes `[new, 7]`.
# Return the pair (a tuple) and the new list of lists. At least one sequence has two ids.
# %% [markdown] tags=["zh"]
# ## 8.4 字节对编码的一步
# `sequences` 是若干个编号列表组成的列表。找出在所有列表里总共出现最多的一对邻居 (first, second)；一样多时取较小的一对（按元组比较）。
# 一对邻居每出现一处就数一次，所以 `[7, 7, 7]` 里 (7, 7) 有两次；一对不会跨过两个列表。然后从左到右，把这一对换成 `new`；
# 刚合并出来的，同一步里不再合并，所以 `[7, 7, 7]` 变成 `[new, 7]`。返回这一对（元组）和新的列表。至少有一个列表含两个以上的编号。


# %% tags=["exercise"]
# exercise 08.4 (5 points): one step of byte pair encoding
def merge_once(sequences, new):
    """The most frequent pair of neighbours, and the sequences with that pair replaced by new."""
    ### BEGIN SOLUTION
    counts = {}
    for ids in sequences:
        for pair in pairwise(ids):
            counts[pair] = counts.get(pair, 0) + 1
    best = min(counts, key=lambda pair: (-counts[pair], pair))
    merged = []
    for ids in sequences:
        out, i = [], 0
        while i < len(ids):
            if tuple(ids[i : i + 2]) == best:
                out.append(new)
                i += 2
            else:
                out.append(ids[i])
                i += 1
        merged.append(out)
    return best, merged
    ### END SOLUTION


# %% tags=["checks"]
def expected_merge(sequences, new):
    pairs = [pair for ids in sequences for pair in pairwise(ids)]
    best = sorted(set(pairs), key=lambda pair: (-pairs.count(pair), pair))[0]
    merged = []
    for ids in sequences:
        left, out = list(ids), []
        while left:
            if tuple(left[:2]) == best:
                out, left = [*out, new], left[2:]
            else:
                out, left = [*out, left[0]], left[1:]
        merged.append(out)
    return best, merged


@check(
    "08.4",
    points=2,
    catches=[
        Mistake("takes the rarest pair", "-counts[pair]", "counts[pair]"),
        Mistake("replaces the first id only", "i += 2", "i += 1"),
        Mistake("forgets the ids that are in no pair", "                out.append(ids[i])\n", ""),
        Mistake("puts the pair itself back", "out.append(new)", "out.extend(best)"),
    ],
)
def a_clear_winner(student, rng):
    """One pair that occurs more often than any other, in sequences of different lengths."""
    a, b = (int(n) for n in rng.permutation(100)[:2])
    noise = [int(n) for n in rng.permutation(np.arange(100, 130))]
    sequences = [[a, b, *noise[:2], a, b], [noise[2]], [noise[3], a, b, noise[4]], []]
    same(student.merge_once(sequences, 256), expected_merge(sequences, 256), f"merge_once({sequences}, 256)")


@check(
    "08.4",
    points=3,
    catches=[
        Mistake("takes the larger pair of a tie", "(-counts[pair], pair)", "(-counts[pair], -pair[0], -pair[1])"),
        Mistake("takes the pair of a tie that it saw first", "(-counts[pair], pair)", "-counts[pair]"),
        Mistake(
            "lets pairs reach into the next sequence",
            "for ids in sequences:\n        for",
            "for ids in [sum(sequences, [])]:\n        for",
        ),
        Mistake("counts a pair once in a sequence", "in pairwise(ids)", "in set(pairwise(ids))"),
    ],
)
def ties_repetitions_and_ends(student, rng):
    """Random sequences of few ids, with ties and repetitions, and no pair across two sequences."""
    cases = [
        [[7, 7, 7]],
        [[2, 1], [1, 2], [2, 3]],
        [[5, 6], [6, 5, 5], [6, 5, 4, 5]],
        [[4, 4, 4, 4, 4], [1, 2, 9, 1, 2], [1, 2]],
    ]
    cases += [[[int(n) for n in rng.integers(3, size=length)] for length in (5, 1, 4, 7)] for _ in range(6)]
    for sequences in cases:
        same(student.merge_once(sequences, 300), expected_merge(sequences, 300), f"merge_once({sequences}, 300)")


# %% [markdown] tags=["en", "hint"]
# `pairwise(ids)` walks through the neighbours. `min(counts, key=lambda pair: (-counts[pair], pair))` compares the counts first,
# then the pairs.
# %% [markdown] tags=["zh", "hint"]
# `pairwise(ids)` 依次走过每对邻居。`min(counts, key=lambda pair: (-counts[pair], pair))` 先比次数，再比这一对本身。
# %% [markdown] tags=["en", "hint"]
# To replace, walk with an index that goes on by 2 after a join and by 1 otherwise: a `while` loop.
# %% [markdown] tags=["zh", "hint"]
# 替换时用一个下标往前走：合并之后走 2 步，否则走 1 步，用 `while` 循环。
