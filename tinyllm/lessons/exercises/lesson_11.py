# %% [markdown] tags=["en"]
# # Exercises to lesson 11: the article's program
# One prediction and two repairs, each a few lines. Check yourself with `tinyllm exercise check lesson_11.py`;
# `tinyllm exercise hint 11.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 11 课练习：文章的程序
# 一个预测，两处修理，每个只要几行。用 `tinyllm exercise check lesson_11.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 11.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, expect, same

# %% [markdown] tags=["en"]
# ## 11.1 Predict: how many parameters?
# A classifier as the article's: an embedding with `vocabulary` rows of `features` numbers, an LSTM with `units` units, and one
# sigmoid that reads the LSTM's last state. An LSTM has four gates; each has a kernel for the input, a recurrent kernel for
# the state before, and a bias. Return the three layers' numbers of parameters as a tuple.
# %% [markdown] tags=["zh"]
# ## 11.1 预测：有多少参数？
# 像文章那样的分类器：一个嵌入层，`vocabulary` 行，每行 `features` 个数；一个有 `units` 个单元的 LSTM；一个 sigmoid，读 LSTM 的最后状态。
# LSTM 有四个门，每个门都有一个对输入的核、一个对前一状态的循环核和一个偏置。以元组返回三层各自的参数个数。


# %% tags=["exercise"]
# exercise 11.1 (3 points): the number of parameters
def parameters(vocabulary, features, units):
    """(of the embedding, of the LSTM, of the sigmoid layer): three whole numbers."""
    ### BEGIN SOLUTION
    gate = features * units + units * units + units
    return vocabulary * features, 4 * gate, units + 1
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "11.1",
    points=1,
    catches=[
        Mistake("counts the gates of a GRU", "4 * gate", "3 * gate", says="60400"),
        Mistake("forgets the recurrent kernel", " + units * units", ""),
    ],
)
def the_articles_model_is_counted(student, rng):
    """The article's model: 200, 60,400 and 101 parameters."""
    same(student.parameters(4, 50, 100), (200, 60400, 101), "parameters(4, 50, 100)")


@check(
    "11.1",
    points=2,
    catches=[
        Mistake("forgets the gates' biases", "units * units + units", "units * units"),
        Mistake("takes the recurrent kernel for one row", "units * units", "units"),
        Mistake("forgets the bias of the sigmoid layer", "units + 1", "units"),
        Mistake("adds a row for the padding once more", "vocabulary * features,", "(vocabulary + 1) * features,"),
    ],
)
def any_sizes_are_counted(student, rng):
    """Other sizes: as many as the library's layers have."""
    from tinyllm.layers import LSTM, Dense, Embedding
    from tinyllm.models import Sequential

    for _ in range(3):
        vocabulary, features, units = (int(n) for n in rng.integers(2, 9, 3))
        model = Sequential([Embedding(vocabulary, features), LSTM(units), Dense(1, "sigmoid")])
        model.build((None, 5))
        counts = tuple(layer.count_params() for layer in model.layers)
        same(student.parameters(vocabulary, features, units), counts, f"parameters({vocabulary}, {features}, {units})")


# %% [markdown] tags=["en", "hint"]
# One gate computes `x @ kernel + h @ recurrent_kernel + bias`, where x has `features` numbers, h has `units`, and the result has
# `units`. What shapes do the three have?
# %% [markdown] tags=["zh", "hint"]
# 一个门计算 `x @ kernel + h @ recurrent_kernel + bias`，x 有 `features` 个数，h 有 `units` 个，结果有 `units` 个。三者各是什么形状？


# %% [markdown] tags=["en"]
# ## 11.2 Find the bug: the same answer to everyone
# The article's server turns `predictions` into classes with `broken_classes`, and answers 0 to every sentence. Write `classes`:
# `predictions` has the shape (texts, outputs). With **one** output it is the probability of class 1: the class is 1 where it is above
# one half, else 0. With **several** outputs there is one probability for each class: the class is the most probable one.
# Return one whole number for each text, shape (texts,).
# %% [markdown] tags=["zh"]
# ## 11.2 找错：对谁都一个答案
# 文章的服务端用 `broken_classes` 把 `predictions` 变成类别，结果对每句话都答 0。请写出 `classes`：
# `predictions` 的形状是 (texts, outputs)。只有**一个**输出时，它是类别 1 的概率：大于二分之一就是 1，否则是 0。
# 有**多个**输出时，每个类别一个概率：取概率最大的类别。每个文本返回一个整数，形状 (texts,)。


# %% tags=["exercise"]
# exercise 11.2 (4 points): find the bug in the server's answer
def broken_classes(predictions):
    """Meant to be the class of each text."""
    return predictions.argmax(axis=1).flatten()


def classes(predictions):
    """The class of each text, (texts,), for predictions (texts, outputs)."""
    ### BEGIN SOLUTION
    if predictions.shape[1] == 1:
        return (predictions[:, 0] > 0.5).astype(int)
    return np.argmax(predictions, axis=1)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "11.2",
    points=2,
    catches=[
        Mistake(
            "leaves it as it was",
            "(predictions[:, 0] > 0.5).astype(int)",
            "predictions.argmax(axis=1)",
            says="expected 1; found 0",
        ),
        Mistake("returns a column", "(predictions[:, 0] > 0.5)", "(predictions > 0.5)", says="shape"),
        Mistake("returns True and False", ".astype(int)", ""),
        Mistake("rounds up at one half", "> 0.5", ">= 0.5"),
    ],
)
def one_output_is_compared_with_one_half(student, rng):
    """One output: 1 where the probability is above 0.5, else 0; exactly 0.5 is not above."""
    p = rng.uniform(size=(6, 1))
    p[:3, 0] = [0.9996, 0.0007, 0.5]
    same(student.classes(p), (p[:, 0] > 0.5).astype(int), "classes of (6, 1) probabilities")


@check(
    "11.2",
    points=2,
    catches=[
        Mistake("goes by one half with several classes, too", "if predictions.shape[1] == 1", "if True"),
        Mistake("looks along the texts", "np.argmax(predictions, axis=1)", "np.argmax(predictions, axis=0)"),
        Mistake("takes two outputs for one", "shape[1] == 1", "shape[1] <= 2"),
    ],
)
def several_outputs_have_their_largest(student, rng):
    """Several outputs: the most probable class of each text."""
    for texts, outputs in [(5, 3), (4, 2), (3, 4)]:
        p = rng.dirichlet(np.full(outputs, 0.3), size=texts)
        same(student.classes(p), p.argmax(axis=1), f"classes of ({texts}, {outputs}) probabilities")


# %% [markdown] tags=["en", "hint"]
# `argmax` says *where* the largest entry is. If there is one entry, where is it? `predictions.shape[1]` is the number of outputs.
# %% [markdown] tags=["zh", "hint"]
# `argmax` 给出最大元素*在哪里*。只有一个元素时，它在哪里？`predictions.shape[1]` 是输出的个数。


# %% [markdown] tags=["en"]
# ## 11.3 Repair: a generator that can draw
# The article writes `np.random.choice(words, p=predictions[i][j])`, where one probability stands for a whole vocabulary, and then
# looks a word up as if it were a number. Here is a model that can: row `i` of `table` (words, words) holds the probability of each word to
# come after word number `i`. Number 0 is the end. Begin with word number `start`; draw the next *number* from the right row with
# `rng.choice(len(words), p=...)`, one call a word; stop when 0 is drawn, or when there are `length` words. Return the words with spaces between.
# %% [markdown] tags=["zh"]
# ## 11.3 修理：能抽词的生成器
# 文章写的是 `np.random.choice(words, p=predictions[i][j])`：用一个概率代替整个词表，然后又把词当成编号去查表。
# 这里给你一个能用的模型：`table`（words, words）的第 `i` 行，是每个词跟在第 `i` 个词后面的概率。编号 0 表示结束。从第 `start` 个词开始；
# 每个词调用一次 `rng.choice(len(words), p=...)`，从正确的那一行抽出下一个*编号*；抽到 0，或者已有 `length` 个词，就停下。返回用空格隔开的词。


# %% tags=["exercise"]
# exercise 11.3 (5 points): a generator that can draw
def generate(table, words, start, length, rng):
    """A text of at most `length` words, the first being words[start], as one str."""
    ### BEGIN SOLUTION
    ids = [start]
    while len(ids) < length:
        following = int(rng.choice(len(words), p=table[ids[-1]]))
        if following == 0:
            break
        ids.append(following)
    return " ".join(words[i] for i in ids)
    ### END SOLUTION


# %% tags=["checks"]
WORDS = ["<end>", "spring", "wind", "river", "snow"]


def random_table(rng):
    table = rng.dirichlet(np.ones(len(WORDS)), size=len(WORDS))
    return table / table.sum(axis=1, keepdims=True)


@check(
    "11.3",
    points=2,
    catches=[
        Mistake("reads a column of the table", "table[ids[-1]]", "table[:, ids[-1]]"),
        Mistake(
            "writes the end as a word",
            "            break\n",
            "            return ' '.join(words[i] for i in [*ids, 0])\n",
        ),
        Mistake("writes one word too many", "len(ids) < length", "len(ids) <= length"),
        Mistake("goes on from the first word always", "ids[-1]", "ids[0]"),
    ],
)
def a_certain_table_leaves_no_choice(student, rng):
    """Where every next word is certain, the text is certain, and it stops at the end or at its length."""
    order = [int(i) for i in rng.permutation([1, 2, 3, 4])]
    table = np.eye(len(WORDS))
    for a, b in zip(order, [*order[1:], 0]):
        table[a] = np.eye(len(WORDS))[b]
    for length in (2, 4, 9):
        expected = " ".join(WORDS[i] for i in order[:length])
        found = student.generate(table, WORDS, order[0], length, np.random.default_rng(0))
        same(found, expected, f"generate with certain words, length {length}")


@check(
    "11.3",
    points=2,
    catches=[
        Mistake(
            "takes the most probable word", "rng.choice(len(words), p=table[ids[-1]])", "np.argmax(table[ids[-1]])"
        ),
        Mistake("draws all words alike", ", p=table[ids[-1]]", ""),
    ],
)
def words_come_as_often_as_they_are_probable(student, rng):
    """3000 draws: each word follows as often as the table says, within 5 in 100."""
    table, start = random_table(rng), int(rng.integers(1, len(WORDS)))
    code = "result = [generate(table, words, start, 2, rng) for _ in range(3000)]"
    texts = student.run(code, table=table, words=WORDS, start=start, rng=rng)
    for i, word in enumerate(WORDS):
        wanted = WORDS[start] if i == 0 else f"{WORDS[start]} {word}"
        share = texts.count(wanted) / 3000
        expect(
            abs(share - table[start, i]) < 0.05,
            f"{word!r} after {WORDS[start]!r} must come in {table[start, i]:.2f} of the draws; found {share:.2f}",
        )


@check(
    "11.3",
    points=1,
    catches=[
        Mistake("draws from NumPy's global generator", "rng.choice", "np.random.choice"),
        Mistake("makes its own generator", "rng.choice", "np.random.default_rng(0).choice"),
    ],
)
def the_generator_that_is_handed_in_decides(student, rng):
    """The same seed writes the same text, and it is the text that those draws give."""
    table = random_table(rng)
    table[:, 0] /= 10  # long texts
    table /= table.sum(axis=1, keepdims=True)
    for seed in rng.integers(2**32, size=3).tolist():
        expected = generate(table, WORDS, 1, 12, np.random.default_rng(seed))
        found = student.generate(table, WORDS, 1, 12, np.random.default_rng(seed))
        asked = f"generate with the seed {seed}: rng.choice, called once a word, must give {expected!r}"
        expect(isinstance(found, str) and found == expected, f"{asked}; found another text")


# %% [markdown] tags=["en", "hint"]
# Keep a list of numbers, and turn numbers into words only at the end. Which row of the table is about the word that was written last?
# %% [markdown] tags=["zh", "hint"]
# 先存一串编号，最后再换成词。表里哪一行说的是刚写下的那个词？
# %% [markdown] tags=["en", "hint"]
# `rng.choice(n, p=row)` gives a number from 0 to n - 1, as often as `row` says.
# %% [markdown] tags=["zh", "hint"]
# `rng.choice(n, p=row)` 按 `row` 的概率给出 0 到 n - 1 中的一个编号。
