# %% [markdown] tags=["en"]
# # Exercises to lesson 14: sampling
# From scores to a token in four ways. Check yourself with `tinyllm exercise check lesson_14.py`;
# `tinyllm exercise hint 14.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 14 课练习：采样
# 从分数到词元的四种办法。用 `tinyllm exercise check lesson_14.py` 自己检查；卡住了就看提示：`tinyllm exercise hint 14.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, same

# %% [markdown] tags=["en"]
# ## 14.1 Temperature
# `logits` (V,) are a model's scores, $\tau$ (`tau`) a temperature above 0. Return the probabilities (V,)
#
# $$p_i = \frac{e^{z_i / \tau}}{\sum_j e^{z_j / \tau}}$$
#
# Logits of several thousand must do no harm, nor a very small $\tau$.
# %% [markdown] tags=["zh"]
# ## 14.1 温度
# `logits`（V,）是模型的分数，$\tau$（`tau`）是大于 0 的温度。返回概率 (V,)
#
# $$p_i = \frac{e^{z_i / \tau}}{\sum_j e^{z_j / \tau}}$$
#
# logits 大到几千，或者 $\tau$ 很小，都不能出问题。


# %% tags=["exercise"]
# exercise 14.1 (3 points): temperature
def with_temperature(logits, tau):
    """The probabilities (V,) of logits (V,) at the temperature tau."""
    ### BEGIN SOLUTION
    z = (logits - logits.max()) / tau
    return np.exp(z) / np.exp(z).sum()
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "14.1",
    points=2,
    catches=[
        Mistake("multiplies by the temperature", "/ tau", "* tau"),
        Mistake("ignores the temperature", " / tau", ""),
        Mistake(
            "divides the probabilities, not the logits",
            "(logits - logits.max()) / tau",
            "np.log(np.exp(logits - logits.max()) / tau)",
        ),
        Mistake("does not make the sum 1", " / np.exp(z).sum()", ""),
    ],
)
def the_probabilities_at_some_temperatures(student, rng):
    """Random logits at the temperatures 0.5, 1 and 3: p to the power of 1 / tau, scaled to the sum 1."""
    for tau in (0.5, 1.0, 3.0):
        p = rng.dirichlet(np.ones(6))
        expected = p ** (1 / tau) / np.sum(p ** (1 / tau))
        close(student.with_temperature(np.log(p) + 2.0, tau), expected, f"with_temperature(logits, {tau})")


@check(
    "14.1",
    points=1,
    catches=[
        Mistake("does not subtract the largest logit", "(logits - logits.max())", "logits", says="RuntimeWarning"),
        Mistake("subtracts it after the division", "(logits - logits.max()) / tau", "logits / tau - logits.max()"),
    ],
)
def large_logits_and_small_temperatures(student, rng):
    """Logits around 3000, and the temperature 0.001: no warning, and the most probable token gets all."""
    place = int(rng.integers(5))
    logits = 3000.0 + 10.0 * np.arange(5)
    logits[[place, 4]] = logits[[4, place]]
    close(student.with_temperature(logits, 0.001), np.eye(5)[place], "with_temperature(large logits, 0.001)")
    expected = np.exp((logits - 3040) / 20) / np.exp((logits - 3040) / 20).sum()
    close(student.with_temperature(logits, 20.0), expected, "with_temperature(large logits, 20)")


# %% [markdown] tags=["en", "hint"]
# Subtract the largest logit first: softmax does not change, and the largest exponential is 1. Then divide by `tau`.
# %% [markdown] tags=["zh", "hint"]
# 先减去最大的 logit：softmax 不变，最大的指数是 1。然后再除以 `tau`。


# %% [markdown] tags=["en"]
# ## 14.2 Draw a token
# Lay the probabilities `p` (V,) side by side on the line from 0 to 1: token 0 takes the first `p[0]`, token 1 the next `p[1]`, and so on. `u` is
# a number drawn evenly from $0 \le u < 1$. Return the id of the token on whose piece it falls (a piece has its left end and not its
# right one). A token with probability 0 has no piece, and must never come.
# %% [markdown] tags=["zh"]
# ## 14.2 抽一个词元
# 把概率 `p`（V,）并排放在 0 到 1 的线段上：词元 0 占最前面的 `p[0]`，词元 1 占接下来的 `p[1]`，依次类推。`u` 是从 $0 \le u < 1$
# 里均匀抽出的数。返回它落在哪个词元的那一段上（一段包括左端，不包括右端）。概率为 0 的词元没有自己的段，绝不能抽到。


# %% tags=["exercise"]
# exercise 14.2 (4 points): draw a token
def draw(p, u):
    """The id, a whole number, of the token on whose piece of the line u falls; p (V,), 0 <= u < 1."""
    ### BEGIN SOLUTION
    return int(np.searchsorted(np.cumsum(p), u, side="right"))
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "14.2",
    points=3,
    catches=[
        Mistake("takes the most probable token", 'np.searchsorted(np.cumsum(p), u, side="right")', "np.argmax(p)"),
        Mistake(
            "is one too far",
            'np.searchsorted(np.cumsum(p), u, side="right")',
            "min(len(p) - 1, 1 + np.searchsorted(np.cumsum(p), u))",
        ),
        Mistake("looks among the probabilities, not their sums", "np.cumsum(p)", "np.sort(p)"),
        Mistake(
            "draws anew instead of using u",
            'np.searchsorted(np.cumsum(p), u, side="right")',
            "np.random.default_rng(0).choice(len(p), p=p)",
        ),
    ],
)
def every_piece_belongs_to_its_token(student, rng):
    """The middle of every token's piece gives that token."""
    for size in (2, 5):
        p = rng.dirichlet(np.ones(size)) * 0.9 + 0.1 / size
        middles = np.cumsum(p) - p / 2
        for token, u in enumerate(middles):
            same(student.draw(p, float(u)), token, f"draw({p.round(3).tolist()}, {u:.4f})")


@check(
    "14.2",
    points=1,
    catches=[
        Mistake("takes the right end for the left one", 'side="right"', 'side="left"', says="expected 1; found 0"),
    ],
)
def ends_and_empty_pieces(student, rng):
    """A piece begins with its left end, and a token of probability 0 never comes, not even at u = 0."""
    cases = [([0.0, 0.5, 0.0, 0.5], 0.0, 1), ([0.0, 0.5, 0.0, 0.5], 0.5, 3), ([0.25, 0.25, 0.5], 0.25, 1)]
    for p, u, expected in [*cases, ([0.25, 0.25, 0.5], 0.999, 2)]:
        same(student.draw(np.array(p), u), expected, f"draw({p}, {u})")


# %% [markdown] tags=["en", "hint"]
# `np.cumsum(p)` holds the right ends of the pieces. The token is the number of right ends that are at most `u`.
# %% [markdown] tags=["zh", "hint"]
# `np.cumsum(p)` 是各段的右端。有几个右端不大于 `u`，编号就是几。


# %% [markdown] tags=["en"]
# ## 14.3 Top-p
# Keep the smallest set of tokens, the most probable first, whose probabilities together reach at least `share` (above 0, at most 1); give the
# others the probability 0, and scale what is kept so that it sums to 1. `p` (V,) in, (V,) out, every token in its own place.
# %% [markdown] tags=["zh"]
# ## 14.3 Top-p
# 从概率最高的开始，留下最少的词元，使它们的概率合起来至少达到 `share`（大于 0，至多为 1）；其余的概率变成 0，留下的放大到和为 1。
# 输入 `p`（V,），输出 (V,)，每个词元都在自己的位置上。


# %% tags=["exercise"]
# exercise 14.3 (5 points): top-p
def top_p(p, share):
    """The probabilities (V,) that top-p leaves of p (V,)."""
    ### BEGIN SOLUTION
    order = np.argsort(-p)
    before = np.cumsum(p[order]) - p[order]
    kept = order[before < share]
    cut = np.zeros_like(p)
    cut[kept] = p[kept]
    return cut / cut.sum()
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "14.3",
    points=3,
    catches=[
        Mistake("leaves out the token that reaches the share", "before < share", "before + p[order] <= share"),
        Mistake("does not scale what is left", "cut / cut.sum()", "cut"),
        Mistake("begins with the least probable", "np.argsort(-p)", "np.argsort(p)"),
        Mistake("keeps them in the order of their probability", "cut[kept] = p[kept]", "cut[:len(kept)] = p[kept]"),
        Mistake("forgets that probabilities must be sorted", "np.argsort(-p)", "np.arange(len(p))"),
    ],
)
def random_distributions(student, rng):
    """Random probabilities: as the library's generation.distribution has it."""
    from tinyllm.generation import distribution

    for share in (0.3, 0.6, 0.9):
        p = rng.dirichlet(np.full(7, 0.5)) * 0.99 + 0.01 / 7
        close(student.top_p(p, share), distribution(np.log(p), top_p=share), f"top_p of 7 tokens, share {share}")


@check(
    "14.3",
    points=2,
    catches=[
        Mistake(
            "keeps tokens of that probability instead",
            "order[before < share]",
            "order[p[order] >= share]",
        ),
        Mistake("keeps one token more than needed", "before < share", "before - p[order] < share"),
    ],
)
def the_set_is_never_empty_and_never_too_large(student, rng):
    """A share below every probability keeps one token, a share of 1 keeps all, and one between as few as will do."""
    p = rng.permutation([0.4, 0.3, 0.2, 0.1])
    close(student.top_p(p, 0.01), (p == 0.4).astype(float), f"top_p({p.tolist()}, 0.01)")
    close(student.top_p(p, 1.0), p, f"top_p({p.tolist()}, 1.0)")
    close(student.top_p(p, 0.65), np.where(p >= 0.3, p, 0) / 0.7, f"top_p({p.tolist()}, 0.65)")


# %% [markdown] tags=["en", "hint"]
# `order = np.argsort(-p)` gives the ids, the most probable first. A token is needed if those *before* it in this order do not reach the share.
# %% [markdown] tags=["zh", "hint"]
# `order = np.argsort(-p)` 给出编号，概率最高的在前。按这个顺序，排在它*前面*的还没达到 `share`，它就是需要的。


# %% [markdown] tags=["en"]
# ## 14.4 A beam of two steps
# A text has two tokens. `first` (V,) are the probabilities of the first, row `a` of `then` (V, V) those of the second after `a`. Keep the `beams` most
# probable first tokens, continue each with every second one, and return the best: a tuple (first token, second token, probability
# of both). One beam is greedy choice; V beams search everything.
# %% [markdown] tags=["zh"]
# ## 14.4 两步的束
# 一段文本有两个词元。`first`（V,）是第一个词元的概率，`then`（V, V）的第 `a` 行是 `a` 之后第二个词元的概率。留下概率最高的 `beams` 个首词元，
# 每个都接上所有可能的第二个，返回最好的：元组（第一个，第二个，两者合起来的概率）。一束就是贪心；V 束就是全部搜一遍。


# %% tags=["exercise"]
# exercise 14.4 (4 points): a beam of two steps
def beam(first, then, beams):
    """(first token, second token, their probability) of the best text that a beam of this width finds."""
    ### BEGIN SOLUTION
    kept = np.argsort(-first)[:beams]
    both = first[kept, None] * then[kept]
    row, second = np.unravel_index(both.argmax(), both.shape)
    return int(kept[row]), int(second), float(both[row, second])
    ### END SOLUTION


# %% tags=["checks"]
FIRST = np.array([0.5, 0.4, 0.1])
THEN = np.array([[0.4, 0.3, 0.3], [0.9, 0.05, 0.05], [0.34, 0.33, 0.33]])


@check(
    "14.4",
    points=2,
    catches=[
        Mistake("is greedy however wide it is", "[:beams]", "[:1]", says="beam(first, then, 2)"),
        Mistake("searches everything however narrow it is", "[:beams]", ""),
        Mistake("adds probabilities", "first[kept, None] * then", "first[kept, None] + then"),
        Mistake("returns the place in the beam, not the token", "int(kept[row])", "int(row)"),
    ],
)
def the_tree_of_the_lesson(student, rng):
    """The lesson's tree, its tokens in a random order: 0.20 with one beam, 0.36 with two."""
    order = rng.permutation(3)
    first, then = FIRST[order], THEN[order]
    for beams, a, probability in [(1, 0, 0.2), (2, 1, 0.36)]:
        expected = (int(np.flatnonzero(order == a)[0]), 0, probability)
        close(student.beam(first, then, beams), expected, f"beam(first, then, {beams}) with first = {first.tolist()}")


@check(
    "14.4",
    points=2,
    catches=[
        Mistake(
            "forgets the first token's probability",
            "first[kept, None] * then[kept]",
            "then[kept] * np.ones((len(kept), 1))",
        ),
        Mistake("keeps the least probable", "np.argsort(-first)", "np.argsort(first)"),
        Mistake("returns the second step's probability", "float(both[row, second])", "float(then[kept[row], second])"),
    ],
)
def random_tables(student, rng):
    """Random tables: the best among the texts whose first token is kept, for every width of the beam."""
    for size in (4, 5):
        first, then = rng.dirichlet(np.ones(size)), rng.dirichlet(np.ones(size), size=size)
        found = []
        for beams in range(1, size + 1):
            kept = sorted(range(size), key=lambda a: -first[a])[:beams]
            expected = max((first[a] * then[a, b], a, b) for a in kept for b in range(size))
            found.append(student.beam(first, then, beams))
            close(found[-1], (expected[1], expected[2], expected[0]), f"beam of {beams} among {size} tokens")
        expect(found[-1][2] >= found[0][2], "a wider beam must not find a less probable text")


# %% [markdown] tags=["en", "hint"]
# A loop over the kept first tokens and over all second ones, with the best so far in a variable, is fine. Probabilities of steps multiply.
# %% [markdown] tags=["zh", "hint"]
# 对留下的首词元和所有第二个词元各写一层循环，用变量记住目前最好的，就可以了。各步的概率要相乘。
