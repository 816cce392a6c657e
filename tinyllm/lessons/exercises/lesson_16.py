# %% [markdown] tags=["en"]
# # Exercises to lesson 16: data quality and tricks
# Three functions in plain NumPy. Check yourself with `tinyllm exercise check lesson_16.py`.
# %% [markdown] tags=["zh"]
# # 第 16 课练习：数据质量与技巧
# 三个函数，都用纯 NumPy。用 `tinyllm exercise check lesson_16.py` 自己检查。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, same

# %% [markdown] tags=["en"]
# ## 16.1 How good is it really?
# A model agrees with a test's labels in the share $a'$ of cases. A share $\eta$ of those labels is wrong, at random. As in the
# lesson,
#
# $$a' = a (1 - \eta) + (1 - a)\, \eta$$
#
# with $a$, the accuracy against the truth. Turn the formula round: write $a$ as a function of $a'$ (`measured`) and $\eta$ (`eta`), two
# numbers. At $\eta = 0.5$ the labels say nothing, and no $a$ can be told: raise a `ValueError` for `eta` of 0.5 or more.
# %% [markdown] tags=["zh"]
# ## 16.1 它到底有多好？
# 模型与测试标签一致的比例是 $a'$。这些标签随机地错了比例 $\eta$。课上说过
#
# $$a' = a (1 - \eta) + (1 - a)\, \eta$$
#
# 其中 $a$ 是与真相相比的准确率。把公式反过来：由 $a'$（`measured`）和 $\eta$（`eta`）两个数写出 $a$。$\eta = 0.5$ 时标签什么也没说，
# $a$ 无从知道：`eta` 达到 0.5 或更大时，抛出 `ValueError`。


# %% tags=["exercise"]
# exercise 16.1 (3 points): how good is it really?
def true_accuracy(measured, eta):
    """The accuracy against the truth, from the one measured on labels of which a share eta is wrong."""
    ### BEGIN SOLUTION
    if eta >= 0.5:
        raise ValueError(f"with {eta} of the labels wrong, the accuracy cannot be told")
    return (measured - eta) / (1 - 2 * eta)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "16.1",
    points=2,
    catches=[
        Mistake(
            "spoils the accuracy once more instead of mending it",
            "(measured - eta) / (1 - 2 * eta)",
            "measured * (1 - eta) + (1 - measured) * eta",
        ),
        Mistake("only takes the wrong share away", "(measured - eta) / (1 - 2 * eta)", "measured + eta"),
        Mistake("forgets that wrong answers may agree with wrong labels", "(measured - eta) / (1 - 2 * eta)",
                "measured / (1 - eta)"),
    ],
)  # fmt: skip
def the_formula_is_turned_round(student, rng):
    """From a' and eta comes the a that they were made of."""
    for _ in range(3):
        a, eta = float(rng.uniform(0.5, 1)), float(rng.uniform(0.05, 0.45))
        measured = a * (1 - eta) + (1 - a) * eta
        close(student.true_accuracy(measured, eta), a, f"true_accuracy({measured:.4f}, {eta:.4f})")


@check(
    "16.1",
    points=1,
    catches=[
        Mistake("does not refuse half of the labels wrong", "eta >= 0.5", "eta > 0.5"),
        Mistake("divides by zero or below without a word", "eta >= 0.5", "eta > 1"),
    ],
)
def half_of_the_labels_wrong_is_refused(student, rng):
    """eta = 0.5 and more: a ValueError; eta = 0 gives the measured value back."""
    student.raises(ValueError).true_accuracy(0.5, 0.5)
    student.raises(ValueError).true_accuracy(0.4, 0.6)
    close(student.true_accuracy(0.75, 0.0), 0.75, "true_accuracy(0.75, 0)")


# %% [markdown] tags=["en", "hint"]
# Multiply out: $a' = a - a\eta + \eta - a\eta$. Collect what has an $a$ in it.
# %% [markdown] tags=["zh", "hint"]
# 先展开：$a' = a - a\eta + \eta - a\eta$。把含 $a$ 的项合在一起。


# %% [markdown] tags=["en"]
# ## 16.2 Find the bug: a split that leaks
# `broken_split` shuffles the texts and holds a part of them out, but a text that occurs twice can be in both parts. Write `split`: every
# text once, in one of the two parts. With $u$ different texts, `round(fraction * u)` of them are held out. The
# order comes from `rng.permutation`. Return two lists, `(train, held_out)`.
# %% [markdown] tags=["zh"]
# ## 16.2 找错：会泄漏的划分
# `broken_split` 把文本打乱，留出一部分；可是出现两次的文本可能两边都有。写出 `split`：每个文本只出现一次，只在其中一边。
# 设不同的文本有 $u$ 个，留出 `round(fraction * u)` 个。顺序用 `rng.permutation` 打乱。返回两个列表 `(train, held_out)`。


# %% tags=["exercise"]
# exercise 16.2 (4 points): a split that does not leak
def broken_split(texts, fraction, rng):
    """Leaks: equal texts can be in both parts."""
    order = rng.permutation(len(texts))
    held = round(fraction * len(texts))
    return [texts[i] for i in order[held:]], [texts[i] for i in order[:held]]


def split(texts, fraction, rng):
    """(train, held_out), two lists; no text twice."""
    ### BEGIN SOLUTION
    unique = list(dict.fromkeys(texts))
    order = rng.permutation(len(unique))
    held = round(fraction * len(unique))
    return [unique[i] for i in order[held:]], [unique[i] for i in order[:held]]
    ### END SOLUTION


# %% tags=["checks"]
def parts_of(student, texts, fraction, rng):
    found = student.split(texts, fraction, rng)
    good = isinstance(found, tuple | list) and len(found) == 2 and all(isinstance(part, list) for part in found)
    expect(good, f"split(texts, {fraction}, rng): must return two lists, (train, held_out)")
    return found


@check(
    "16.2",
    points=2,
    catches=[
        Mistake("splits the copies, too", "unique = list(dict.fromkeys(texts))", "unique = list(texts)", says="both"),
        Mistake(
            "takes copies out of each part alone",
            "return [unique[i] for i in order[held:]], [unique[i] for i in order[:held]]",
            "order = rng.permutation(len(texts)); return (list({texts[i] for i in order[held:]}),"
            " list({texts[i] for i in order[:held]}))",
            says="both",
        ),
    ],
)
def no_text_is_in_both_parts(student, rng):
    """Of 20 texts, each three times, none is in both parts, and the held-out part is not empty."""
    texts = [f"text {i}" for i in rng.integers(1000, 9999, 20)] * 3
    train, held_out = parts_of(student, texts, 0.3, rng)
    expect(len(held_out) > 0, "split(60 texts, 0.3, rng): the held-out part is empty")
    both = set(train) & set(held_out)
    expect(not both, f"split(60 texts, 0.3, rng): {len(both)} texts are in both parts, such as {sorted(both)[:1]}")


@check(
    "16.2",
    points=2,
    catches=[
        Mistake("does not shuffle", "order = rng.permutation(len(unique))", "order = np.arange(len(unique))",
                says="order"),
        Mistake("counts the held-out part from all copies", "held = round(fraction * len(unique))",
                "held = round(fraction * len(texts))"),
        Mistake("loses the text at the seam", "unique[i] for i in order[held:]", "unique[i] for i in order[held + 1 :]", says="all"),
    ],
)  # fmt: skip
def every_text_is_somewhere_once(student, rng):
    """Both parts together hold every text once; the held-out part has the right size; the order is drawn."""
    texts = [f"text {i}" for i in range(40)] + [f"text {i}" for i in range(0, 40, 2)]
    train, held_out = parts_of(student, texts, 0.25, rng)
    everything = sorted(map(str, train + held_out))
    expect(everything == sorted(set(texts)), "split(60 texts, 0.25, rng): not all 40 different texts, each once")
    same(len(held_out), 10, "the length of held_out, with 40 different texts and fraction 0.25")
    expect(train + held_out != texts[:40] and held_out + train != texts[:40], "split: the order was not drawn from rng")


# %% [markdown] tags=["en", "hint"]
# Take the copies out *before* anything else. `list(dict.fromkeys(texts))` keeps each text once, in the order of first sight.
# %% [markdown] tags=["zh", "hint"]
# 做任何事*之前*先去重。`list(dict.fromkeys(texts))` 让每个文本只留一次，顺序不变。


# %% [markdown] tags=["en"]
# ## 16.3 Soft and hard votes
# `p` has the shape (members, texts): what each member gives as the probability of label 1. Return two arrays of shape (texts,):
# the soft vote, the mean over the members, and the hard vote, 1.0 where **more than half** of the members say more than 0.5, else 0.0.
# A probability of exactly 0.5 is a vote for 0.
# %% [markdown] tags=["zh"]
# ## 16.3 软投票与硬投票
# `p` 的形状是 (members, texts)：每个成员认为标签为 1 的概率。返回两个形状为 (texts,) 的数组：软投票是对成员取平均；
# 硬投票是：说大于 0.5 的成员**超过一半**，就是 1.0，否则 0.0。概率恰好为 0.5 算投给 0。


# %% tags=["exercise"]
# exercise 16.3 (4 points): soft and hard votes
def votes(p):
    """(soft, hard), each (texts,), of p (members, texts)."""
    ### BEGIN SOLUTION
    soft = p.mean(axis=0)
    yes = (p > 0.5).sum(axis=0)
    return soft, (yes > len(p) / 2).astype(float)
    ### END SOLUTION


# %% tags=["checks"]
def both_votes(student, p, case):
    found = student.votes(p)
    expect(isinstance(found, tuple | list) and len(found) == 2, f"{case}: must return two arrays, soft and hard")
    return found


@check(
    "16.3",
    points=1,
    catches=[Mistake("takes the mean over the texts", "p.mean(axis=0)", "p.mean(axis=1)", says="shape")],
)
def the_soft_vote_is_the_mean(student, rng):
    """The soft vote is the mean over the members."""
    p = rng.random((3, 5))
    close(both_votes(student, p, "votes of 3 members")[0], p.sum(axis=0) / 3, "the soft vote of 3 members on 5 texts")


@check(
    "16.3",
    points=2,
    catches=[
        Mistake("asks whether the mean is above one half", "(yes > len(p) / 2)", "(soft > 0.5)"),
        Mistake("one yes is enough", "yes > len(p) / 2", "yes > 0"),
    ],
)
def the_hard_vote_is_the_majority(student, rng):
    """One very sure member does not outvote two who doubt; random votes of five."""
    p = np.array([[0.4, 0.6], [0.45, 0.55], [0.99, 0.01]])
    close(
        both_votes(student, p, "votes([[0.4, 0.6], ...])")[1],
        [0.0, 1.0],
        "the hard vote of 0.4, 0.45, 0.99 and 0.6, 0.55, 0.01",
    )
    p = rng.random((5, 20))
    expected = (np.sort(p, axis=0)[2] > 0.5).astype(float)  # the middle one of five
    close(both_votes(student, p, "votes of 5 members")[1], expected, "the hard vote of 5 members on 20 texts")


@check(
    "16.3",
    points=1,
    catches=[
        Mistake("half of the votes are enough", "yes > len(p) / 2", "yes >= len(p) / 2"),
        Mistake("takes exactly 0.5 for a yes", "p > 0.5", "p >= 0.5"),
    ],
)
def ties_and_halves_are_no(student, rng):
    """Two of four is not more than half, and 0.5 is not more than 0.5; three of four is."""
    p = np.array([[0.9, 0.5, 0.9], [0.8, 0.5, 0.7], [0.1, 0.5, 0.6], [0.2, 0.9, 0.2]])
    close(both_votes(student, p, "votes of 4 members")[1], [0.0, 0.0, 1.0], "the hard vote of 4 members")


# %% [markdown] tags=["en", "hint"]
# `(p > 0.5)` is an array of True and False; its sum over the axis of the members counts the yes votes. How many members are there?
# %% [markdown] tags=["zh", "hint"]
# `(p > 0.5)` 是一个真假值数组；沿成员那个轴求和，就数出了赞成票。成员一共有几个？
