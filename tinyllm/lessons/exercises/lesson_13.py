# %% [markdown] tags=["en"]
# # Exercises to lesson 13: attention
# Shapes, the weights, their derivative, and the cache that makes writing fast. Check yourself with
# `tinyllm exercise check lesson_13.py`; `tinyllm exercise hint 13.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 13 课练习：注意力
# 形状、权重、权重的导数，以及让写作变快的缓存。用 `tinyllm exercise check lesson_13.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 13.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, laboratory, same

# %% [markdown] tags=["en"]
# ## 13.1 Predict: shapes and weights
# Self-attention reads `x` (batch, time, width). The width is shared out among `heads`, so each head has queries, keys and values of
# `width / heads` numbers. Four kernels without biases: for queries, keys, values, and for the output. Return a tuple of four:
# the shape of the queries of all heads, (batch, heads, ..., ...); the shape of the attention weights $A$ of all heads; the shape of the
# output; and the number of weights in the four kernels.
# %% [markdown] tags=["zh"]
# ## 13.1 预测：形状与权重
# 自注意力读入 `x`（batch, time, width）。宽度由 `heads` 个头平分，所以每个头的查询、键、值都是 `width / heads` 个数。
# 共四个核，没有偏置：查询、键、值各一个，输出一个。返回一个四元组：所有头的查询的形状 (batch, heads, ..., ...)；所有头的注意力权重 $A$ 的形状；
# 输出的形状；四个核的权重总数。


# %% tags=["exercise"]
# exercise 13.1 (3 points): shapes and weights of attention
def shapes(batch, time, width, heads):
    """(queries' shape, shape of A, output's shape, number of weights)."""
    ### BEGIN SOLUTION
    queries = (batch, heads, time, width // heads)
    looking = (batch, heads, time, time)
    return queries, looking, (batch, time, width), 4 * width * width
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "13.1",
    points=3,
    catches=[
        Mistake("gives every head the whole width", "width // heads)", "width)", says="[0]"),
        Mistake(
            "lets a head look at features",
            "looking = (batch, heads, time, time)",
            "looking = (batch, heads, width, width)",
        ),
        Mistake(
            "thinks that more heads have more weights", "4 * width * width", "4 * heads * width * width", says="[3]"
        ),
        Mistake("forgets the output's kernel", "4 * width", "3 * width", says="[3]"),
    ],
)
def the_shapes_are_the_librarys(student, rng):
    """As the library's MultiHeadAttention has them."""
    from tinyllm.layers import MultiHeadAttention

    for _ in range(3):
        batch, time, heads, size = (int(n) for n in rng.permutation([2, 3, 4, 5]))
        layer = MultiHeadAttention(heads, size, use_bias=False)
        x = np.ones((batch, time, heads * size))
        y, looking = layer(x, x, return_attention_scores=True)
        expected = ((batch, heads, time, size), looking.shape, y.shape, layer.count_params())
        arguments = (batch, time, heads * size, heads)
        same(student.shapes(*arguments), expected, f"shapes{arguments}")


# %% [markdown] tags=["en", "hint"]
# $A_{ij}$ says how much position $i$ looks at position $j$. How many positions are there? And the queries of all heads side by side are as
# wide as `x`: so one kernel serves all heads.
# %% [markdown] tags=["zh", "hint"]
# $A_{ij}$ 说的是位置 $i$ 看位置 $j$ 看得多重。一共有几个位置？所有头的查询并排起来和 `x` 一样宽：所以一个核供所有头用。


# %% [markdown] tags=["en"]
# ## 13.2 Causal attention weights
# `Q` and `K` are the queries and keys of $T$ positions, both of shape (T, d). Return $A$ (T, T): with the scores
# $s_{ij} = Q_i \cdot K_j / \sqrt{d}$,
#
# $$A_{ij} = \frac{e^{s_{ij}}}{\sum_{k \le i} e^{s_{ik}}} \text{ for } j \le i, \qquad A_{ij} = 0 \text{ for } j > i$$
#
# so each row sums to 1 and no position looks at a later one. Scores of 1000 must do no harm.
# %% [markdown] tags=["zh"]
# ## 13.2 因果注意力的权重
# `Q` 和 `K` 是 $T$ 个位置的查询和键，形状都是 (T, d)。返回 $A$（T, T）：分数为 $s_{ij} = Q_i \cdot K_j / \sqrt{d}$，
#
# $$A_{ij} = \frac{e^{s_{ij}}}{\sum_{k \le i} e^{s_{ik}}} \text{ 当 } j \le i, \qquad A_{ij} = 0 \text{ 当 } j > i$$
#
# 所以每行加起来为 1，没有哪个位置看得到后面。分数到 1000 也不能出问题。


# %% tags=["exercise"]
# exercise 13.2 (5 points): causal attention weights
def looking(Q, K):
    """A (T, T) for queries Q and keys K, (T, d) both."""
    ### BEGIN SOLUTION
    scores = Q @ K.T / np.sqrt(Q.shape[1])
    scores = np.where(np.tri(len(Q), dtype=bool), scores, -np.inf)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% tags=["checks"]
def by_rows(Q, K):
    """A, a row at a time."""
    A = np.zeros((len(Q), len(Q)))
    for i, q in enumerate(Q):
        s = K[: i + 1] @ q / np.sqrt(len(q))
        A[i, : i + 1] = np.exp(s - s.max()) / np.exp(s - s.max()).sum()
    return A


@check(
    "13.2",
    points=3,
    catches=[
        Mistake("forgets the square root", " / np.sqrt(Q.shape[1])", ""),
        Mistake("takes the root of the time", "np.sqrt(Q.shape[1])", "np.sqrt(len(Q))"),
        Mistake("hides the past instead of the future", "np.tri(len(Q), dtype=bool)", "np.tri(len(Q), dtype=bool).T"),
        Mistake("hides with the score 0", "-np.inf)", "0.0)"),
        Mistake(
            "lets nobody look at itself",
            "np.tri(len(Q), dtype=bool)",
            "np.tri(len(Q), k=-1, dtype=bool) | (np.arange(len(Q)) == 0)",
        ),
        Mistake("swaps queries and keys", "Q @ K.T", "K @ Q.T"),
    ],
)
def the_weights_of_random_queries(student, rng):
    """Random queries and keys: every weight is right."""
    for time, d in [(1, 3), (4, 2), (5, 16)]:
        Q, K = rng.normal(size=(time, d)), rng.normal(size=(time, d))
        close(student.looking(Q, K), by_rows(Q, K), f"looking with T = {time}, d = {d}")


@check(
    "13.2",
    points=1,
    catches=[
        Mistake(
            "masks after the softmax",
            "return e / e.sum(axis=1, keepdims=True)",
            "e = np.exp(Q @ K.T / np.sqrt(Q.shape[1]));  return np.tril(e / e.sum(axis=1, keepdims=True))",
        ),
        Mistake("makes the columns sum to 1", "e / e.sum(axis=1, keepdims=True)", "e / e.sum(axis=0, keepdims=True)"),
    ],
)
def rows_sum_to_one(student, rng):
    """Each row sums to 1, and above the diagonal all is 0."""
    Q, K = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    A = student.looking(Q, K)
    close(np.sum(A, axis=-1), np.ones(6), "the sums of looking(Q, K)'s rows")
    close(np.triu(A, k=1), np.zeros((6, 6)), "looking(Q, K) above the diagonal")


@check(
    "13.2",
    points=1,
    catches=[
        Mistake(
            "does not subtract the largest score", " - scores.max(axis=1, keepdims=True)", "", says="RuntimeWarning"
        ),
    ],
)
def large_scores_do_no_harm(student, rng):
    """Scores of several thousand, without a warning."""
    Q, K = 100 * rng.normal(size=(4, 8)), 100 * rng.normal(size=(4, 8))
    close(student.looking(Q, K), by_rows(Q, K), "looking with large queries and keys")


# %% [markdown] tags=["en", "hint"]
# `np.tri(n, dtype=bool)` is True on and below the diagonal. What must a score be so that its exponential is 0?
# %% [markdown] tags=["zh", "hint"]
# `np.tri(n, dtype=bool)` 在对角线及其下方为 True。分数要取什么值，指数才会是 0？
# %% [markdown] tags=["en", "hint"]
# Softmax does not change when a row's largest score is subtracted from the row. After that the largest exponential is 1.
# %% [markdown] tags=["zh", "hint"]
# 每行减去该行最大的分数，softmax 不变；这时最大的指数是 1。


# %% [markdown] tags=["en"]
# ## 13.3 Backward through the softmax
# $A = \text{softmax}(s)$, row by row. $g$ is the gradient of a loss with respect to $A$, shaped as $A$ (rows, n). Every score of a row moves every
# weight of it: $\partial A_{ij} / \partial s_{ik} = A_{ij}\,([j = k] - A_{ik})$, where $[j = k]$ is 1 if $j = k$, else 0. Summed over $j$ that gives
#
# $$\frac{\partial L}{\partial s_{ik}} = A_{ik} \left( g_{ik} - \sum_j g_{ij} A_{ij} \right)$$
#
# Write it. The function gets $A$, not $s$.
# %% [markdown] tags=["zh"]
# ## 13.3 反向穿过 softmax
# $A = \text{softmax}(s)$，逐行计算。$g$ 是损失对 $A$ 的梯度，形状与 $A$ 相同，(rows, n)。一行里每个分数都会牵动该行的每个权重：
# $\partial A_{ij} / \partial s_{ik} = A_{ij}\,([j = k] - A_{ik})$，其中 $j = k$ 时 $[j = k]$ 为 1，否则为 0。对 $j$ 求和得
#
# $$\frac{\partial L}{\partial s_{ik}} = A_{ik} \left( g_{ik} - \sum_j g_{ij} A_{ij} \right)$$
#
# 把它写出来。函数得到的是 $A$，不是 $s$。


# %% tags=["exercise"]
# exercise 13.3 (4 points): the derivative of the softmax
def softmax_gradient(g, A):
    """The gradient with respect to the scores, for g with respect to A = softmax(scores); shapes alike, (rows, n)."""
    ### BEGIN SOLUTION
    return A * (g - np.sum(g * A, axis=-1, keepdims=True))
    ### END SOLUTION


# %% tags=["checks"]
def softmax(s):
    e = np.exp(s - np.max(s, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


@check(
    "13.3",
    points=3,
    catches=[
        Mistake("forgets g", "A * (g -", "A * (1 -"),
        Mistake(
            "keeps only what each score does to its own weight",
            "(g - np.sum(g * A, axis=-1, keepdims=True))",
            "g * (1 - A)",
        ),
        Mistake("sums over the rows", "axis=-1", "axis=0"),
        Mistake("turns the sign", "A * (g - np", "-A * (g - np", says="sign"),
        Mistake("forgets the weights in the sum", "np.sum(g * A,", "np.sum(g,"),
    ],
)
def the_gradient_agrees_with_differences(student, rng):
    """The gradient agrees with differences."""
    laboratory(lambda g, s: student.softmax_gradient(g, softmax(s)), softmax, rng.normal(size=(3, 4)))


@check("13.3", points=1, catches=[Mistake("leaves the sum out", " - np.sum(g * A, axis=-1, keepdims=True)", "")])
def each_row_sums_to_zero(student, rng):
    """Adding one number to all scores of a row changes nothing, so the row's gradients sum to 0; and they are not all 0."""
    g, A = rng.normal(size=(5, 4)), softmax(rng.normal(size=(5, 4)))
    found = student.softmax_gradient(g, A)
    close(np.sum(found, axis=-1), np.zeros(5), "the sums of the gradient's rows")
    expect(
        bool(np.max(np.abs(found)) > 1e-3), "softmax_gradient(g, A): expected numbers that are not all 0; found zeros"
    )


# %% [markdown] tags=["en", "hint"]
# `np.sum(..., axis=-1, keepdims=True)` has the shape (rows, 1), so it can be subtracted from (rows, n).
# %% [markdown] tags=["zh", "hint"]
# `np.sum(..., axis=-1, keepdims=True)` 的形状是 (rows, 1)，所以能从 (rows, n) 里减去。


# %% [markdown] tags=["en"]
# ## 13.4 Keep the keys and values
# When a GPT writes, each new position looks at all before it, whose keys and values do not change: keep them. Write one step:
# `q`, `k`, `v` (d,) belong to the new position, `keys` and `values` (t, d) to those before (t may be 0). The new position looks at all, itself
# included. Return three arrays: its result $y$ (d,), the longer keys (t + 1, d) and the longer values, the new one at the end:
#
# $$y = \sum_j a_j v_j, \qquad a = \text{softmax}_j \left( \frac{q \cdot k_j}{\sqrt{d}} \right)$$
# %% [markdown] tags=["zh"]
# ## 13.4 留住键和值
# GPT 写字时，每个新位置都要看前面所有位置，而那些位置的键和值不会变：留着就行。请写出一步：
# `q`、`k`、`v`（d,）属于新位置，`keys` 和 `values`（t, d）属于之前的位置（t 可能是 0）。新位置看所有位置，包括自己。
# 返回三个数组：它的结果 $y$（d,），加长了的键 (t + 1, d)，加长了的值，新的放在末尾：
#
# $$y = \sum_j a_j v_j, \qquad a = \text{softmax}_j \left( \frac{q \cdot k_j}{\sqrt{d}} \right)$$


# %% tags=["exercise"]
# exercise 13.4 (4 points): one step with kept keys and values
def step(q, k, v, keys, values):
    """(y, keys, values) after one more position; q, k, v (d,); keys, values (t, d)."""
    ### BEGIN SOLUTION
    keys, values = np.vstack([keys, k]), np.vstack([values, v])
    scores = keys @ q / np.sqrt(len(q))
    e = np.exp(scores - scores.max())
    return (e / e.sum()) @ values, keys, values
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "13.4",
    points=3,
    catches=[
        Mistake("forgets the square root", " / np.sqrt(len(q))", ""),
        Mistake("divides by d", "np.sqrt(len(q))", "len(q)"),
        Mistake("weighs the keys instead of the values", "(e / e.sum()) @ values", "(e / e.sum()) @ keys"),
        Mistake("does not scale the weights to 1", "(e / e.sum())", "e"),
    ],
)
def step_by_step_is_all_at_once(student, rng):
    """Five steps give the rows that causal attention gives at once."""
    Q, K, V = rng.normal(size=(3, 5, 4))
    expected, keys, values = by_rows(Q, K) @ V, np.zeros((0, 4)), np.zeros((0, 4))
    for t in range(5):
        y, keys, values = student.step(Q[t], K[t], V[t], keys, values)
        close(y, expected[t], f"y of step {t}")


@check(
    "13.4",
    points=1,
    catches=[
        Mistake("puts the new key first", "np.vstack([keys, k])", "np.vstack([k, keys])"),
        Mistake("returns the old keys", "@ values, keys, values", "@ values, keys[:-1], values[:-1]", says="shape"),
        Mistake("keeps the query for the key", "np.vstack([keys, k])", "np.vstack([keys, q])"),
    ],
)
def what_is_kept_grows_at_its_end(student, rng):
    """The keys and values are the old ones with the new one behind them."""
    q, k, v = rng.normal(size=(3, 4))
    keys, values = rng.normal(size=(2, 3, 4))
    _, longer_keys, longer_values = student.step(q, k, v, keys, values)
    close(longer_keys, np.concatenate([keys, k[None]]), "the keys after a step")
    close(longer_values, np.concatenate([values, v[None]]), "the values after a step")


# %% [markdown] tags=["en", "hint"]
# `np.vstack([keys, k])` puts a row below a table. The scores are `keys @ q`, one number for each position. There is nothing to mask: whatever
# is there came before.
# %% [markdown] tags=["zh", "hint"]
# `np.vstack([keys, k])` 在表的下面加一行。分数是 `keys @ q`，每个位置一个数。不需要掩码：凡是在那里的，都在前面。
