# %% [markdown] tags=["en"]
# # Exercises to lesson 9: embeddings
# The gradient of a table, the mean of a sentence without its padding, and the neighbours of a word. Check yourself with
# `tinyllm exercise check lesson_09.py`; `tinyllm exercise hint 09.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 9 课练习：嵌入
# 一张表的梯度，去掉填充的句子均值，一个词的邻居。用 `tinyllm exercise check lesson_09.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 09.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, laboratory, same

# %% [markdown] tags=["en"]
# ## 9.1 The gradient of a table
# An embedding looks up rows: $y = M[\text{ids}]$, with a table $M$ (rows, features) and whole numbers `ids` (batch, time), so $y$ has the
# shape (batch, time, features). From $g$, the gradient with respect to $y$, make the gradient with respect to $M$:
#
# $$\bar M_i = \sum_{b,t\,:\,\text{ids}_{b,t} = i} g_{b,t}$$
#
# of the shape (rows, features). An id may occur many times or never.
# %% [markdown] tags=["zh"]
# ## 9.1 一张表的梯度
# 嵌入就是取行：$y = M[\text{ids}]$，表 $M$ 的形状是 (rows, features)，`ids` 是整数，形状 (batch, time)，所以 $y$ 的形状是
# (batch, time, features)。$g$ 是对 $y$ 的梯度，由它求出对 $M$ 的梯度：
#
# $$\bar M_i = \sum_{b,t\,:\,\text{ids}_{b,t} = i} g_{b,t}$$
#
# 形状为 (rows, features)。一个编号可能出现很多次，也可能一次也不出现。


# %% tags=["exercise"]
# exercise 09.1 (4 points): the gradient of a table
def table_gradient(g, ids, rows):
    """The gradient with respect to a table of that many rows; (rows, features)."""
    ### BEGIN SOLUTION
    gradient = np.zeros((rows, g.shape[-1]))
    np.add.at(gradient, ids, g)
    return gradient
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "09.1",
    points=3,
    catches=[
        Mistake(
            "overwrites instead of adding", "np.add.at(gradient, ids, g)", "gradient[ids] = g", says="repeated indices"
        ),
        Mistake(
            "adds, but each row once", "np.add.at(gradient, ids, g)", "gradient[ids] += g", says="repeated indices"
        ),
        Mistake(
            "divides by how often the id occurs",
            "return gradient",
            "return gradient / np.maximum(np.bincount(ids.ravel(), minlength=rows), 1)[:, None]",
        ),
        Mistake("leaves the padding, id 0, out", "return gradient", "gradient[0] = 0\n    return gradient"),
    ],
)
def the_gradient_agrees_with_differences(student, rng):
    """The gradient agrees with differences, with ids that repeat and id 0 among them."""
    table = rng.normal(size=(5, 3))
    for ids in (np.array([[4, 1, 4], [2, 1, 0]]), rng.integers(3, size=(2, 4))):
        laboratory(
            lambda g, table, ids: (student.table_gradient(g, ids, 5), None), lambda table, ids: table[ids], table, ids
        )


@check(
    "09.1",
    points=1,
    catches=[
        Mistake(
            "makes a table of the ids that occur",
            "np.zeros((rows, g.shape[-1]))",
            "np.zeros((int(ids.max()) + 1, g.shape[-1]))",
            says="shape",
        )
    ],
)
def the_table_keeps_its_size(student, rng):
    """Rows that nobody looked up are there, and 0."""
    rows, g = int(rng.integers(8, 12)), rng.normal(size=(1, 2, 4))
    expected = np.zeros((rows, 4))
    expected[2] = g[0].sum(axis=0)
    close(student.table_gradient(g, np.array([[2, 2]]), rows), expected, f"ids [[2, 2]], {rows} rows")


# %% [markdown] tags=["en", "hint"]
# `gradient[ids] += g` reads all the rows first and then writes each place once: repeated ids get lost. What does `np.add.at` do?
# %% [markdown] tags=["zh", "hint"]
# `gradient[ids] += g` 会先把所有行读出来，再把每个位置写一次：重复的编号就丢了。`np.add.at` 是怎么做的？


# %% [markdown] tags=["en"]
# ## 9.2 A sentence's mean, without its padding
# The simplest vector for a sentence is the mean of its words' rows. The ids (batch, time) are padded with 0, and padding is no word.
# With the table $M$ (rows, features) return, for each sentence, the mean of $M[\text{id}]$ over the places where the id is not 0: an
# array (batch, features). A sentence of padding only gets zeros, without a warning. Where the zeros stand does not matter.
# %% [markdown] tags=["zh"]
# ## 9.2 句子的均值，不算填充
# 句子最简单的向量，就是各词那几行的平均。编号 (batch, time) 用 0 填充，而填充不是词。给定表 $M$ (rows, features)，对每个句子返回
# 编号不为 0 的各处 $M[\text{id}]$ 的平均：数组，形状 (batch, features)。全是填充的句子得零向量，而且不许出现警告。零在哪一头都一样。


# %% tags=["exercise"]
# exercise 09.2 (4 points): the mean of a padded sentence
def sentence_means(M, ids):
    """The mean row of each sentence's words, padding (id 0) left out; (batch, features)."""
    ### BEGIN SOLUTION
    words = (ids != 0)[:, :, None]
    count = words.sum(axis=1)
    return (M[ids] * words).sum(axis=1) / np.maximum(count, 1)
    ### END SOLUTION


# %% tags=["checks"]
def expected_means(M, ids):
    return np.array([np.mean([M[i] for i in row if i] or [0 * M[0]], axis=0) for row in ids.tolist()])


@check(
    "09.2",
    points=3,
    catches=[
        Mistake("counts the padding as words", "(ids != 0)", "(ids >= 0)"),
        Mistake("divides by the padded length", "np.maximum(count, 1)", "ids.shape[1]"),
        Mistake("adds up and does not divide", " / np.maximum(count, 1)", ""),
        Mistake("leaves out the padding below, not above", "(M[ids] * words)", "M[ids]"),
    ],
)
def padding_does_not_count(student, rng):
    """Sentences of different lengths, padded in front or behind; row 0 of the table is not zero."""
    M, ids = rng.normal(size=(6, 3)), rng.integers(1, 6, size=(5, 4))
    for row, zeros in zip(ids, ([], [3], [0, 1], [1, 2, 3], [0])):
        row[zeros] = 0
    close(student.sentence_means(M, ids), expected_means(M, ids), f"ids {ids.tolist()}")


@check(
    "09.2",
    points=1,
    catches=[Mistake("divides 0 by 0", "np.maximum(count, 1)", "count", says="RuntimeWarning")],
)
def nothing_but_padding_gives_zeros(student, rng):
    """A sentence of padding only has the mean 0, and its neighbour its own."""
    M, ids = rng.normal(size=(4, 2)), np.array([[0, 0, 0], [3, 0, 1]])
    close(student.sentence_means(M, ids), expected_means(M, ids), "ids [[0, 0, 0], [3, 0, 1]]")


# %% [markdown] tags=["en", "hint"]
# Multiply the rows by a mask, 1 for a word and 0 for padding, of the shape (batch, time, 1), then sum over time and divide by the number of words.
# %% [markdown] tags=["zh", "hint"]
# 让各行乘上掩码：词是 1，填充是 0，形状 (batch, time, 1)；再对时间求和，除以词数。


# %% [markdown] tags=["en"]
# ## 9.3 Neighbours
# Return the ids of the `count` rows of $M$ (rows, features) that are most like row `i`, the most alike first, by the cosine
#
# $$\cos(u, v) = \frac{u \cdot v}{\lVert u \rVert\, \lVert v \rVert}$$
#
# Row `i` is not its own neighbour, and row 0, the padding, is nobody's. A list of whole numbers. No row is all zeros, no two
# cosines are equal, and there are at least `count` rows to choose from.
# %% [markdown] tags=["zh"]
# ## 9.3 邻居
# 返回 $M$ (rows, features) 里与第 `i` 行最像的 `count` 行的编号，最像的在前，用余弦来比：
#
# $$\cos(u, v) = \frac{u \cdot v}{\lVert u \rVert\, \lVert v \rVert}$$
#
# 第 `i` 行不算自己的邻居；第 0 行是填充，不算任何行的邻居。返回整数列表。没有全零的行，没有相等的余弦，可选的行不少于 `count`。


# %% tags=["exercise"]
# exercise 09.3 (4 points): the neighbours of a row
def neighbours(M, i, count):
    """The ids of the count rows most like row i by cosine, best first, without i and without 0."""
    ### BEGIN SOLUTION
    unit = M / np.linalg.norm(M, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit[i]))
    return [int(j) for j in order if j not in (0, i)][:count]
    ### END SOLUTION


# %% tags=["checks"]
def expected_neighbours(M, i, count):
    cosine = {j: M[j] @ M[i] / np.sqrt((M[j] @ M[j]) * (M[i] @ M[i])) for j in range(1, len(M)) if j != i}
    return sorted(cosine, key=cosine.get, reverse=True)[:count]


@check(
    "09.3",
    points=3,
    catches=[
        Mistake("takes the product for the cosine", "unit @ unit[i]", "M @ M[i]"),
        Mistake("lists the least alike first", "np.argsort(-(unit @ unit[i]))", "np.argsort(unit @ unit[i])"),
        Mistake("takes a row for its own neighbour", "(0, i)", "(0,)"),
        Mistake("measures the columns", "axis=1", "axis=0"),
        Mistake("takes opposite rows for alike", "-(unit @ unit[i])", "-np.abs(unit @ unit[i])"),
    ],
)
def the_direction_counts(student, rng):
    """Random rows of very different lengths: their directions alone decide."""
    for count in (1, 3, 8):
        M = rng.normal(size=(10, 4)) * rng.uniform(0.1, 10, size=(10, 1))
        i = int(rng.integers(1, 10))
        found = student.neighbours(M, i, count)
        same(
            [int(n) for n in found] if isinstance(found, np.ndarray) else found,
            expected_neighbours(M, i, count),
            f"neighbours(M, {i}, {count})",
        )


@check("09.3", points=1, catches=[Mistake("lets the padding in", "(0, i)", "(i,)")])
def padding_is_nobodys_neighbour(student, rng):
    """Row 0 is left out though it points exactly where row i does."""
    M = rng.normal(size=(6, 3))
    M[0] = 2 * M[4]
    found = student.neighbours(M, 4, 2)
    expect(
        isinstance(found, list | np.ndarray) and len(found) == 2,
        f"neighbours(M, 4, 2): two ids are asked; found {found!r:.60}",
    )
    same([int(n) for n in found], expected_neighbours(M, 4, 2), "neighbours(M, 4, 2), row 0 twice row 4")


# %% [markdown] tags=["en", "hint"]
# Divide every row by its length first; then one product `unit @ unit[i]` gives all the cosines, and `np.argsort` of their
# negatives the order.
# %% [markdown] tags=["zh", "hint"]
# 先让每行除以自己的长度；一次乘积 `unit @ unit[i]` 就得到全部余弦，对它们的相反数用 `np.argsort` 就得到次序。
