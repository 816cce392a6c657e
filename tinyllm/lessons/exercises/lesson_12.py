# %% [markdown] tags=["en"]
# # Exercises to lesson 12: language models
# Four functions: a loss, a table of pairs, the best loss there can be, and how counting copes with what it never saw.
# Check yourself with `tinyllm exercise check lesson_12.py`; `tinyllm exercise hint 12.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 12 课练习：语言模型
# 四个函数：一个损失，一张字对表，可能达到的最好损失，以及计数怎样对付没见过的东西。
# 用 `tinyllm exercise check lesson_12.py` 自己检查；卡住了就看提示：`tinyllm exercise hint 12.1`。
# %%
import math

import numpy as np

from tinyllm.lessons.grading import Mistake, check, close

# %% [markdown] tags=["en"]
# ## 12.1 Nats and perplexity
# At each of $T$ steps a model gave the probability $p_t$ to the character that then really came. Return the pair
#
# $$L = -\frac{1}{T} \sum_{t=1}^{T} \ln p_t, \qquad e^L$$
#
# the loss in nats per character, and the perplexity. `p` is an array of shape (T,), all above 0.
# %% [markdown] tags=["zh"]
# ## 12.1 奈特与困惑度
# 在 $T$ 步的每一步，模型给后来真正出现的那个字的概率是 $p_t$。返回一对数
#
# $$L = -\frac{1}{T} \sum_{t=1}^{T} \ln p_t, \qquad e^L$$
#
# 即每字多少奈特的损失，以及困惑度。`p` 是形状为 (T,) 的数组，都大于 0。


# %% tags=["exercise"]
# exercise 12.1 (2 points): nats and perplexity
def nats_and_perplexity(p):
    """(loss in nats per character, perplexity) for the probabilities p (T,) of what came."""
    ### BEGIN SOLUTION
    loss = -np.mean(np.log(p))
    return loss, np.exp(loss)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "12.1",
    points=2,
    catches=[
        Mistake("takes bits for nats", "np.log(p)", "np.log2(p)"),
        Mistake("takes the logarithm of the mean", "np.mean(np.log(p))", "np.log(np.mean(p))"),
        Mistake("loses the minus sign", "-np.mean", "np.mean"),
        Mistake("adds up instead of taking the mean", "np.mean", "np.sum"),
        Mistake("gives two to the power of a loss in nats", "np.exp(loss)", "2**loss", says="[1]"),
    ],
)
def loss_and_perplexity_of_random_probabilities(student, rng):
    """Random probabilities, and ten choices that are all alike: ln 10 and 10."""
    close(student.nats_and_perplexity(np.full(7, 0.1)), (math.log(10), 10.0), "nats_and_perplexity([0.1] * 7)")
    for size in (1, 5, 40):
        p = rng.uniform(0.01, 1, size)
        loss = -np.log(p).sum() / size
        close(student.nats_and_perplexity(p), (loss, math.exp(loss)), f"nats_and_perplexity of {size} probabilities")


# %% [markdown] tags=["en", "hint"]
# First the logarithm of each probability, then the mean, then the minus sign. `np.log` is the natural logarithm.
# %% [markdown] tags=["zh", "hint"]
# 先对每个概率取对数，再取平均，最后加负号。`np.log` 是自然对数。


# %% [markdown] tags=["en"]
# ## 12.2 Count a bigram model
# `ids` is a text as whole numbers from 0 to `size - 1`, shape (T,). Return the table $P$ (size, size): $P_{ab}$ is the probability
# that $b$ comes after $a$, counted,
#
# $$P_{ab} = \frac{n(ab)}{\sum_c n(ac)}$$
#
# with $n(ab)$ the number of times that $b$ stands right behind $a$. A row whose $a$ was never followed by anything knows nothing: there,
# all `size` tokens are equally probable.
# %% [markdown] tags=["zh"]
# ## 12.2 数出一个二元模型
# `ids` 是一段文本，由 0 到 `size - 1` 的整数组成，形状 (T,)。返回表 $P$（size, size）：$P_{ab}$ 是数出来的、$b$ 跟在 $a$ 后面的概率，
#
# $$P_{ab} = \frac{n(ab)}{\sum_c n(ac)}$$
#
# 其中 $n(ab)$ 是 $b$ 紧跟在 $a$ 后面的次数。如果 $a$ 后面从来没有出现过任何东西，这一行就什么也不知道：`size` 个词元机会均等。


# %% tags=["exercise"]
# exercise 12.2 (4 points): count a bigram model
def bigram_table(ids, size):
    """P (size, size): row a says what comes after a."""
    ### BEGIN SOLUTION
    counts = np.zeros((size, size))
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, counts / np.maximum(totals, 1), 1 / size)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "12.2",
    points=3,
    catches=[
        Mistake(
            "counts a pair once, however often it comes",
            "np.add.at(counts, (ids[:-1], ids[1:]), 1)",
            "counts[ids[:-1], ids[1:]] += 1",
        ),
        Mistake("turns the pair round", "(ids[:-1], ids[1:])", "(ids[1:], ids[:-1])"),
        Mistake("counts what stands in the same place", "(ids[:-1], ids[1:])", "(ids, ids)"),
        Mistake("divides by the columns' sums", "axis=1, keepdims=True", "axis=0, keepdims=True"),
        Mistake("does not divide", "counts / np.maximum(totals, 1)", "counts"),
    ],
)
def every_pair_is_counted(student, rng):
    """A random text in which every token is followed by something: each pair's share of its row."""
    size = 4
    ids = np.concatenate([np.arange(size), rng.integers(size, size=60), [0]])
    expected = np.array([[np.mean(ids[1:][ids[:-1] == a] == b) for b in range(size)] for a in range(size)])
    close(student.bigram_table(ids, size), expected, "bigram_table of a random text")


@check(
    "12.2",
    points=1,
    catches=[
        Mistake(
            "divides by zero where nothing was counted",
            "np.where(totals > 0, counts / np.maximum(totals, 1), 1 / size)",
            "counts / totals",
            says="RuntimeWarning",
        ),
        Mistake("leaves an empty row empty", "1 / size)", "0.0)"),
        Mistake("adds one to every count", "np.zeros((size, size))", "np.ones((size, size))"),
    ],
)
def a_row_without_counts_is_even(student, rng):
    """Tokens that never come, or only at the very end: their rows are even, the others are exact."""
    a, b, last = rng.permutation(4)[:3].tolist()
    expected = np.full((4, 4), 0.25)
    expected[[a, b]] = 0
    expected[a, b], expected[b, a], expected[b, last] = 1.0, 0.5, 0.5
    close(
        student.bigram_table(np.array([a, b, a, b, last]), 4),
        expected,
        f"bigram_table([{a}, {b}, {a}, {b}, {last}], 4)",
    )


# %% [markdown] tags=["en", "hint"]
# `ids[:-1]` are the firsts of all pairs, `ids[1:]` their seconds. A plain loop over the pairs is quite all right.
# %% [markdown] tags=["zh", "hint"]
# `ids[:-1]` 是各对的前一个，`ids[1:]` 是后一个。老老实实写个循环也完全可以。
# %% [markdown] tags=["en", "hint"]
# `counts[rows, columns] += 1` counts a pair once even if it comes ten times: NumPy reads, adds and writes back. `np.add.at` adds each.
# %% [markdown] tags=["zh", "hint"]
# `counts[rows, columns] += 1` 即使一对出现十次也只加一次：NumPy 先读、再加、再写回。`np.add.at` 才会逐个相加。


# %% [markdown] tags=["en"]
# ## 12.3 Compute: the floor
# A text consists of `lines`, and a model reads them one at a time: at the beginning of a line it knows nothing, and at its end it has to
# predict that it ends. What is the smallest loss, in nats per prediction, that any model can have on these very lines? A line of $n$ characters
# takes $n + 1$ predictions. The article's three lines have the floor $3 \ln 3 / 21$. A line may occur several times.
# %% [markdown] tags=["zh"]
# ## 12.3 计算：下限
# 一段文本由若干行 `lines` 组成，模型一行一行地读：行首时它一无所知，行尾时它要预测“到此结束”。任何模型在这些行上的损失最小能是多少
# （每次预测多少奈特）？一行有 $n$ 个字，就要预测 $n + 1$ 次。文章那三行的下限是 $3 \ln 3 / 21$。同一行可能出现多次。


# %% tags=["exercise"]
# exercise 12.3 (4 points): the floor
def floor(lines):
    """The smallest possible loss in nats per prediction, a number; lines is a list of str."""
    ### BEGIN SOLUTION
    surprise = -sum(math.log(lines.count(line) / len(lines)) for line in lines)
    return surprise / sum(len(line) + 1 for line in lines)
    ### END SOLUTION


# %% tags=["checks"]
def lowest(lines):
    """The loss of a model that counts what follows every beginning of a line: no model beats it on these lines."""
    seen = [(line[:t], (line + "$")[t]) for line in lines for t in range(len(line) + 1)]
    begins = [begin for begin, _ in seen]
    return -np.mean([math.log(seen.count(each) / begins.count(each[0])) for each in seen])


@check(
    "12.3",
    points=2,
    catches=[
        Mistake("forgets the ends of the lines", "len(line) + 1", "len(line)", says="0.156945"),
        Mistake("takes one line's surprise for all", "return surprise /", "return surprise / len(lines) /"),
        Mistake("takes bits for nats", "math.log(", "math.log2("),
    ],
)
def different_lines(student, rng):
    """The article's lines, 3 ln 3 / 21, and random ones that begin alike."""
    three = ["你好，世界！", "今天天气很好。", "我爱中国。"]
    close(student.floor(three), 3 * math.log(3) / 21, "floor of the article's three lines")
    for n in (2, 5):
        lines = sorted({"a" * int(k) + "b" * int(m) for k, m in rng.integers(1, 6, (n, 2))} | {"a", "aa"})
        close(student.floor(lines), lowest(lines), f"floor({lines})")


@check(
    "12.3",
    points=2,
    catches=[
        Mistake("takes equal lines for different ones", "lines.count(line) / len(lines)", "1 / len(lines)"),
        Mistake("drops the copies", "lines.count(line) / len(lines)", "1 / len(set(lines))"),
        Mistake(
            "looks at the first characters alone", "lines.count(line) /", "sum(each[0] == line[0] for each in lines) /"
        ),
    ],
)
def lines_that_come_again(student, rng):
    """Lines that occur several times are less surprising, and one line alone is no surprise."""
    close(student.floor(["abc"] * 3), 0.0, "floor(['abc'] * 3)")
    for n in (4, 7):
        lines = [["ab", "ac", "b", "ba"][i] for i in [0, 0, 1, *rng.integers(4, size=n)]]
        close(student.floor(lines), lowest(lines), f"floor({lines})")


# %% [markdown] tags=["en", "hint"]
# The surprises of all predictions in a line add up to minus the logarithm of the *line's* probability. What is the best probability to
# give to a line that makes up a third of the text?
# %% [markdown] tags=["zh", "hint"]
# 一行里各次预测的意外加起来，等于*整行*概率的对数取负。如果某一行占全文的三分之一，最好给它多大的概率？


# %% [markdown] tags=["en"]
# ## 12.4 Mixing with a shorter history
# For one history $h$, `counts` (V,) says how often each of the $V$ tokens followed it, and `shorter` (V,) is the distribution
# $P(c \mid h')$ of the history without its oldest token. Return Witten and Bell's mixture, shape (V,),
#
# $$P(c \mid h) = \frac{n(hc) + T(h)\,P(c \mid h')}{n(h) + T(h)}$$
#
# where $n(hc)$ are the counts, $n(h)$ is their sum, and $T(h)$ the number of *different* tokens that followed. If nothing ever followed
# $h$, the answer is `shorter`.
# %% [markdown] tags=["zh"]
# ## 12.4 与更短的历史混合
# 对某个历史 $h$，`counts`（V,）说明 $V$ 个词元各在它后面出现过几次，`shorter`（V,）是去掉最老一个词元的历史的分布 $P(c \mid h')$。
# 返回 Witten 和 Bell 的混合，形状 (V,)：
#
# $$P(c \mid h) = \frac{n(hc) + T(h)\,P(c \mid h')}{n(h) + T(h)}$$
#
# 其中 $n(hc)$ 是各个计数，$n(h)$ 是它们的和，$T(h)$ 是后面出现过的*不同*词元的个数。如果 $h$ 后面从没出现过任何东西，答案就是 `shorter`。


# %% tags=["exercise"]
# exercise 12.4 (4 points): mixing with a shorter history
def mixed(counts, shorter):
    """P(c | h) for every token c, (V,)."""
    ### BEGIN SOLUTION
    total, types = counts.sum(), np.count_nonzero(counts)
    if total == 0:
        return shorter
    return (counts + types * shorter) / (total + types)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "12.4",
    points=3,
    catches=[
        Mistake("takes all that followed for the different ones", "np.count_nonzero(counts)", "counts.sum()"),
        Mistake("takes the vocabulary for the different ones", "np.count_nonzero(counts)", "len(counts)"),
        Mistake("divides by the count alone", "(total + types)", "total"),
        Mistake(
            "adds the shorter one only where nothing was counted", "types * shorter", "types * shorter * (counts == 0)"
        ),
    ],
)
def the_mixture_is_the_librarys(student, rng):
    """As the library's NGram mixes, for a history of one token in a random text."""
    from tinyllm.models import NGram

    for size in (3, 6):
        ids = np.concatenate([[0, 1], rng.integers(size, size=12)])
        model, single = NGram(size, order=2), NGram(size, order=1)
        model.count(ids)
        single.count(ids)
        counts = np.bincount(ids[1:][ids[:-1] == 0], minlength=size)
        expected = model.probabilities([0])
        close(student.mixed(counts, single.probabilities([0])), expected, f"mixed({counts.tolist()}, ...)", rtol=1e-5)


@check(
    "12.4",
    points=1,
    catches=[
        Mistake("divides zero by zero", "if total == 0", "if total < 0", says="RuntimeWarning"),
        Mistake("is even where nothing is known", "return shorter", "return np.full(len(shorter), 1 / len(shorter))"),
    ],
)
def an_unknown_history_asks_the_shorter_one(student, rng):
    """Counts that are all zero: the shorter history's distribution; and with counts, the sum is 1."""
    shorter = rng.dirichlet(np.ones(5))
    close(student.mixed(np.zeros(5, int), shorter), shorter, "mixed of five zeros")
    close(np.sum(student.mixed(rng.integers(1, 9, 5), shorter)), 1.0, "the sum of mixed(...)")


# %% [markdown] tags=["en", "hint"]
# `counts.sum()` is $n(h)$. How many entries of `counts` are not zero? That is $T(h)$.
# %% [markdown] tags=["zh", "hint"]
# `counts.sum()` 就是 $n(h)$。`counts` 里有几个不是零？那就是 $T(h)$。
