# %% [markdown] tags=["en"]
# # Exercises to lesson 19: looking inside
# Three maps of what a model looks at, in plain NumPy. Check yourself with `tinyllm exercise check lesson_19.py`.
# %% [markdown] tags=["zh"]
# # 第 19 课练习：往里看
# 三张“模型在看什么”的图，都用纯 NumPy。用 `tinyllm exercise check lesson_19.py` 自己检查。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect

# %% [markdown] tags=["en"]
# ## 19.1 Gradient x input
# A small network gives the number $z = v \cdot \tanh(x W + b)$, with $x$ (features,), $W$ (features, units), $b$ and $v$ (units,). Return the
# map, (features,):
#
# $$S_i = x_i\, \frac{\partial z}{\partial x_i}$$
#
# The derivative of $\tanh$ is $1 - \tanh^2$.
# %% [markdown] tags=["zh"]
# ## 19.1 梯度乘输入
# 一个小网络给出一个数 $z = v \cdot \tanh(x W + b)$，$x$ 的形状是（features,），$W$ 是（features, units），$b$ 和 $v$ 是（units,）。
# 返回形状为（features,）的图：
#
# $$S_i = x_i\, \frac{\partial z}{\partial x_i}$$
#
# $\tanh$ 的导数是 $1 - \tanh^2$。


# %% tags=["exercise"]
# exercise 19.1 (4 points): gradient x input
def saliency(x, W, b, v):
    """x_i dz/dx_i of z = v . tanh(x W + b), shaped as x."""
    ### BEGIN SOLUTION
    h = np.tanh(x @ W + b)
    return x * (W @ (v * (1 - h**2)))
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "19.1",
    points=3,
    catches=[
        Mistake("forgets the derivative of tanh", "v * (1 - h**2)", "v"),
        Mistake("takes tanh for its derivative", "1 - h**2", "h"),
        Mistake("forgets to multiply by the input", "x * (W", "1.0 * (W"),
        Mistake("forgets the bias", "x @ W + b", "x @ W"),
    ],
)
def the_map_agrees_with_differences(student, rng):
    """Each entry is x_i times a difference of z."""
    n, units = 4, 3
    x, W, b, v = rng.normal(size=n), rng.normal(size=(n, units)), rng.normal(size=units), rng.normal(size=units)

    def z(x):
        return v @ np.tanh(x @ W + b)

    step = 1e-5 * np.eye(n)
    slopes = np.array([(z(x + each) - z(x - each)) / 2e-5 for each in step])
    close(student.saliency(x, W, b, v), x * slopes, "saliency of 4 features, against differences", rtol=1e-5, atol=1e-8)


@check("19.1", points=1, catches=[Mistake("keeps no sign", "return x * (W", "return abs(x) * abs(W")])
def a_linear_network_is_shared_out(student, rng):
    """With small weights z is linear, and the map adds up to z - z(0); its signs are kept."""
    x, W, v = rng.normal(size=5), 1e-4 * rng.normal(size=(5, 4)), rng.normal(size=4)
    found = student.saliency(x, W, np.zeros(4), v)
    expect(np.shape(found) == (5,), f"saliency: expected the shape (5,); found {np.shape(found)}")
    close(np.sum(found), v @ np.tanh(x @ W), "the sum of the map of a nearly linear network", rtol=1e-4)


# %% [markdown] tags=["en", "hint"]
# Backwards, one step at a time: $\partial z/\partial h = v$; through $\tanh$, times $1 - h^2$; through $x W$, times $W^\top$.
# %% [markdown] tags=["zh", "hint"]
# 一步一步往回走：$\partial z/\partial h = v$；经过 $\tanh$，乘 $1 - h^2$；经过 $x W$，乘 $W^\top$。


# %% [markdown] tags=["en"]
# ## 19.2 Find the bug: occlusion
# `score` is given: it makes one number from embeddings `e` (words, features). Occlusion asks what is lost when **one** word gives way
# to `neutral` (features,): $O_t = \text{score}(e) - \text{score}(e \text{ with word } t \text{ replaced})$. `broken_occlusion` is wrong in two ways,
# and it spoils its input. Write `occlusion`; it returns (words,) and leaves `e` as it was.
# %% [markdown] tags=["zh"]
# ## 19.2 找错：遮挡
# `score` 已给出：它由嵌入 `e`（words, features）算出一个数。遮挡问的是：把**一个**词换成 `neutral`（features,），会少掉多少：
# $O_t = \text{score}(e) - \text{score}(e \text{ 换掉第 } t \text{ 个词})$。`broken_occlusion` 有两处错，还会弄坏输入。写出正确的 `occlusion`，
# 返回（words,），并让 `e` 保持原样。


# %% tags=["exercise"]
# exercise 19.2 (4 points): find the bug in an occlusion
def score(e):
    """One number from the embeddings (words, features)."""
    return float(np.sum(np.tanh(np.cumsum(e, axis=0))))


def broken_occlusion(e, neutral):
    """Wrong in two ways."""
    whole = score(e)
    lost = []
    for t in range(len(e)):
        e[t] = neutral
        lost.append(score(e) - whole)
    return np.array(lost)


def occlusion(e, neutral):
    """What each word adds to the score, (words,)."""
    ### BEGIN SOLUTION
    lost = np.zeros(len(e))
    for t in range(len(e)):
        without = e.copy()
        without[t] = neutral
        lost[t] = score(e) - score(without)
    return lost
    ### END SOLUTION


# %% tags=["checks"]
def lost_by_hand(e, neutral):
    def z(e):
        return np.sum(np.tanh(np.cumsum(e, axis=0)))

    return np.array([z(e) - z(np.concatenate([e[:t], [neutral], e[t + 1 :]])) for t in range(len(e))])


@check(
    "19.2",
    points=3,
    catches=[
        Mistake("turns the sign", "score(e) - score(without)", "score(without) - score(e)"),
        Mistake("never puts a word back", "        without = e.copy()\n        without[t] = neutral",
                "        without = np.where(np.arange(len(e))[:, None] <= t, neutral, e)"),
        Mistake("puts zeros where neutral belongs", "without[t] = neutral", "without[t] = 0"),
        Mistake("takes the word out and moves the others up", "score(without)", "score(np.delete(without, t, axis=0))"),
    ],
)  # fmt: skip
def one_word_at_a_time(student, rng):
    """Five words: each entry is the score minus the score without that one word."""
    e, neutral = rng.normal(size=(5, 3)), rng.normal(size=3)
    close(student.occlusion(e, neutral), lost_by_hand(e, neutral), "occlusion of 5 words")


@check(
    "19.2",
    points=1,
    catches=[
        Mistake(
            "writes into its input and mends it with zeros",
            "score(e) - score(without)",
            "score(e) - score(without); e[t] *= 0",
        )
    ],
)
def the_input_is_left_as_it_was(student, rng):
    """Asked twice with the same array, the answer and the array are the same."""
    e, neutral = rng.normal(size=(4, 2)), rng.normal(size=2)
    twice = student.run(
        "e = e.copy(); first = occlusion(e, neutral); result = [first, occlusion(e, neutral), e]", e=e, neutral=neutral
    )
    close(twice[2], e, "the array e after occlusion(e, neutral)")
    close(twice[1], lost_by_hand(e, neutral), "occlusion of the same array, the second time")


# %% [markdown] tags=["en", "hint"]
# `e[t] = neutral` changes the array that was handed in, and the next round sees it. A copy per round is enough.
# %% [markdown] tags=["zh", "hint"]
# `e[t] = neutral` 改的是传进来的那个数组，下一轮看到的就是改过的。每一轮复制一份就行。


# %% [markdown] tags=["en"]
# ## 19.3 An attention map
# `Q` and `K` are (time, size). Return the map $A$ (time, time): row $t$ says how much $t$ looks at each position **up to and including** $t$,
#
# $$A = \mathrm{softmax}\big(Q K^\top / \sqrt{\text{size}} + M\big)$$
#
# with $M = -\infty$ for later positions and 0 elsewhere; softmax along each row. Every row adds up to 1. Scores may be as large as 1000.
# %% [markdown] tags=["zh"]
# ## 19.3 注意力图
# `Q` 和 `K` 的形状是（time, size）。返回图 $A$（time, time）：第 $t$ 行说明 $t$ 对**直到它自己为止**的每个位置各看多少，
#
# $$A = \mathrm{softmax}\big(Q K^\top / \sqrt{\text{size}} + M\big)$$
#
# $M$ 在后面的位置取 $-\infty$，其余为 0；softmax 沿每一行。每行之和为 1。分数可能大到 1000。


# %% tags=["exercise"]
# exercise 19.3 (5 points): an attention map
def attention(Q, K):
    """The causal attention map, (time, time)."""
    ### BEGIN SOLUTION
    scores = Q @ K.T / np.sqrt(Q.shape[1])
    scores = np.where(np.tri(len(Q), dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "19.3",
    points=3,
    catches=[
        Mistake("forgets the square root of the size", " / np.sqrt(Q.shape[1])", ""),
        Mistake("divides by the size itself", "np.sqrt(Q.shape[1])", "Q.shape[1]"),
        Mistake("looks at later positions instead", "np.tri(len(Q), dtype=bool)", "np.tri(len(Q), dtype=bool).T"),
        Mistake(
            "does not see itself",
            "np.tri(len(Q), dtype=bool)",
            "np.tri(len(Q), k=-1, dtype=bool) | (np.arange(len(Q)) == 0)",
        ),
        Mistake("takes the softmax along the columns", "weights.sum(axis=1, keepdims=True)", "weights.sum(axis=0)"),
    ],
)
def every_row_is_the_formula(student, rng):
    """Five positions: each row is the softmax of the scores up to its own position."""
    Q, K = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    expected = np.zeros((5, 5))
    for t in range(5):
        raised = np.exp([Q[t] @ K[s] / 2 for s in range(t + 1)])
        expected[t, : t + 1] = raised / raised.sum()
    close(student.attention(Q, K), expected, "attention of 5 positions of size 4")


@check(
    "19.3",
    points=1,
    catches=[
        Mistake("does not hide the future", "-np.inf)", "scores)", says="later"),
        Mistake("hides the future after the softmax, and rows no longer add up",
                "return weights / weights.sum(axis=1, keepdims=True)",
                "raw = np.exp(Q @ K.T); return np.tri(len(Q)) * raw / raw.sum(axis=1, keepdims=True)", says="sum of each"),
    ],
)  # fmt: skip
def no_row_looks_ahead_and_each_adds_up(student, rng):
    """Later positions have exactly 0, and every row adds up to 1."""
    found = student.attention(rng.normal(size=(6, 3)), rng.normal(size=(6, 3)))
    expect(np.shape(found) == (6, 6), f"attention: expected the shape (6, 6); found {np.shape(found)}")
    expect(bool(np.all(np.triu(found, 1) == 0)), "attention: a row looks at a later position")
    close(np.sum(found, axis=1), np.ones(6), "the sum of each row")


@check(
    "19.3",
    points=1,
    catches=[Mistake("overflows where scores are large", "scores - scores.max(axis=1, keepdims=True)", "scores")],
)
def large_scores_do_no_harm(student, rng):
    """Scores of 1000 and more: no overflow, no NaN."""
    Q = np.array([[1.0], [1000.0], [1000.0]])
    found = student.attention(Q, np.array([[1.0], [2.0], [-1.0]]))
    close(found, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]], "attention with scores of 1000 and 2000")


# %% [markdown] tags=["en", "hint"]
# Hide the future **before** the softmax: `np.where(np.tri(time, dtype=bool), scores, -np.inf)`; then $e^{-\infty} = 0$ does the rest.
# Subtract each row's largest score first.
# %% [markdown] tags=["zh", "hint"]
# 在 softmax **之前**遮住未来：`np.where(np.tri(time, dtype=bool), scores, -np.inf)`，$e^{-\infty} = 0$ 会办好其余的事。
# 先减去每行最大的分数。
