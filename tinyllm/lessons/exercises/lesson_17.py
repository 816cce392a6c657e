# %% [markdown] tags=["en"]
# # Exercises to lesson 17: bias and fairness
# Four functions in plain NumPy. Check yourself with `tinyllm exercise check lesson_17.py`.
# %% [markdown] tags=["zh"]
# # 第 17 课练习：偏见与公平
# 四个函数，都用纯 NumPy。用 `tinyllm exercise check lesson_17.py` 自己检查。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect

# %% [markdown] tags=["en"]
# ## 17.1 Three rates of a group
# `y` (people,) is the truth, `said` (people,) the answer, both 0 or 1; `group` (people,) holds the names. For the group `name` return
# three numbers `(s, t, f)`:
#
# $$s = P(\hat y = 1), \qquad t = P(\hat y = 1 \mid y = 1), \qquad f = P(\hat y = 1 \mid y = 0)$$
#
# where $\hat y$ is the answer and each probability is a share among the people of that group.
# %% [markdown] tags=["zh"]
# ## 17.1 一个组的三个比率
# `y`（人数,）是真相，`said`（人数,）是回答，都取 0 或 1；`group`（人数,）是组名。对名为 `name` 的组返回三个数 `(s, t, f)`：
#
# $$s = P(\hat y = 1), \qquad t = P(\hat y = 1 \mid y = 1), \qquad f = P(\hat y = 1 \mid y = 0)$$
#
# 其中 $\hat y$ 是回答，每个概率都是在该组的人里数出来的比例。


# %% tags=["exercise"]
# exercise 17.1 (3 points): three rates of a group
def rates(y, said, group, name):
    """(selection rate, true positive rate, false positive rate) of one group."""
    ### BEGIN SOLUTION
    inside = group == name
    y, said = y[inside], said[inside]
    return said.mean(), said[y == 1].mean(), said[y == 0].mean()
    ### END SOLUTION


# %% tags=["checks"]
def three_rates(student, rng, n=60):
    group, y = np.array(["A", "B"])[rng.permutation(n) % 2], rng.integers(0, 2, n)
    said = (rng.random(n) < np.where(group == "B", 0.7, 0.3)).astype(int)
    y[:4], said[:4], group[:4] = [0, 1, 0, 1], [1, 0, 0, 1], ["A", "A", "B", "B"]
    found = student.rates(y, said, group, "B")
    expect(isinstance(found, tuple | list) and len(found) == 3, "rates(y, said, group, 'B'): must return three numbers")
    rows = [(int(a), int(b)) for a, b, g in zip(y, said, group) if g == "B"]
    return found, rows


@check(
    "17.1",
    points=1,
    catches=[
        Mistake("takes all groups together", "inside = group == name", "inside = group != ''", says="selection"),
        Mistake("takes the other group", "group == name", "group != name", says="selection"),
    ],
)
def the_selection_rate_of_the_group(student, rng):
    """s is the share of the group that gets the answer 1."""
    found, rows = three_rates(student, rng)
    close(found[0], sum(said for _, said in rows) / len(rows), "s, the selection rate of B")


@check(
    "17.1",
    points=2,
    catches=[
        Mistake("asks how many of the selected are true", "said[y == 1].mean()", "y[said == 1].mean()", says="t,"),
        Mistake("divides by the whole group", "said[y == 1].mean()", "(said * y).mean()", says="t,"),
        Mistake("takes the false negatives for the false positives", "said[y == 0].mean()", "1 - said[y == 1].mean()",
                says="f,"),
    ],
)  # fmt: skip
def the_rates_under_each_truth(student, rng):
    """t among those whose truth is 1, f among those whose truth is 0."""
    found, rows = three_rates(student, rng, 80)
    for name, value, truth in (("t, the true positive rate", found[1], 1), ("f, the false positive rate", found[2], 0)):
        among = [said for y, said in rows if y == truth]
        close(value, sum(among) / len(among), f"{name} of B")


# %% [markdown] tags=["en", "hint"]
# `said[y == 1]` keeps the answers of those whose truth is 1. The mean of zeros and ones is the share of ones.
# %% [markdown] tags=["zh", "hint"]
# `said[y == 1]` 只留下真相为 1 的人得到的回答。一串 0 和 1 的平均，就是 1 的比例。


# %% [markdown] tags=["en"]
# ## 17.2 Find the bug: equalised odds
# `table` has the shape (groups, 3): a row $(s_g, t_g, f_g)$ for each of two **or more** groups. The equalised odds difference is
#
# $$\max\big(\max_g t_g - \min_g t_g,\ \ \max_g f_g - \min_g f_g\big)$$
#
# `broken_odds` is wrong in two ways. Write `odds`; it returns a number.
# %% [markdown] tags=["zh"]
# ## 17.2 找错：均等几率
# `table` 的形状是 (groups, 3)：两组**或更多**组，每组一行 $(s_g, t_g, f_g)$。均等几率之差是
#
# $$\max\big(\max_g t_g - \min_g t_g,\ \ \max_g f_g - \min_g f_g\big)$$
#
# `broken_odds` 有两处错。写出正确的 `odds`，返回一个数。


# %% tags=["exercise"]
# exercise 17.2 (3 points): find the bug in equalised odds
def broken_odds(table):
    """Wrong in two ways."""
    return np.max(table[0] - table[1])


def odds(table):
    """The equalised odds difference of the rows (s, t, f)."""
    ### BEGIN SOLUTION
    return np.ptp(table[:, 1:], axis=0).max()
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "17.2",
    points=2,
    catches=[
        Mistake("lets the selection rate count, too", "table[:, 1:]", "table"),
        Mistake("takes the smaller of the two", ".max()", ".min()"),
        Mistake("takes their mean", ".max()", ".mean()"),
        Mistake("looks at the true positives only", "table[:, 1:]", "table[:, 1:2]"),
    ],
)
def two_groups(student, rng):
    """Two groups: the larger of the two differences, whichever group is ahead; the selection rate is left out."""
    for low in (1, 2):
        table = np.array([[0.95, 0.5, 0.5], [0.05, 0.5, 0.5]]) + 0.01 * rng.random((2, 3))
        table[:, low] += rng.permutation([0.1, 0.4])
        expected = max(abs(table[0, 1] - table[1, 1]), abs(table[0, 2] - table[1, 2]))
        close(student.odds(table), expected, f"odds of two groups that differ in {'stf'[low]}")


@check(
    "17.2",
    points=1,
    catches=[
        Mistake("compares the first two groups only", "np.ptp(table[:, 1:], axis=0)", "abs(table[0] - table[1])[1:]")
    ],
)
def more_than_two_groups(student, rng):
    """Four groups: the largest and the smallest rate of all."""
    table = rng.random((4, 3))
    table[2:, 1:] = [[0.0, 0.5], [1.0, 0.5]]
    close(student.odds(table), 1.0, "odds of four groups whose t go from 0 to 1")


# %% [markdown] tags=["en", "hint"]
# `np.ptp(column)` is the largest minus the smallest; with `axis=0`, of each column. Which columns count?
# %% [markdown] tags=["zh", "hint"]
# `np.ptp(column)` 是最大减最小；加上 `axis=0` 就对每一列算。哪几列算数？


# %% [markdown] tags=["en"]
# ## 17.3 The weights of the remedy
# Reweighting gives each person of group $g$ and label $y$ the weight
#
# $$w(g, y) = \frac{P(g)\, P(y)}{P(g, y)}$$
#
# with shares among all people: $P(g)$ in the group, $P(y)$ with the label, $P(g, y)$ both. `group` and `y` are (people,); return the
# weights, (people,).
# %% [markdown] tags=["zh"]
# ## 17.3 补救用的权重
# 重新加权给组 $g$、标签 $y$ 的每个人一个权重
#
# $$w(g, y) = \frac{P(g)\, P(y)}{P(g, y)}$$
#
# 概率都是在所有人里的比例：$P(g)$ 是属于该组的，$P(y)$ 是有该标签的，$P(g, y)$ 是两者兼有的。`group` 和 `y` 的形状是（人数,）；
# 返回权重，形状（人数,）。


# %% tags=["exercise"]
# exercise 17.3 (4 points): the weights of the remedy
def weights(group, y):
    """The weight of each person, (people,)."""
    ### BEGIN SOLUTION
    w = np.empty(len(y))
    for g in np.unique(group):
        for label in np.unique(y):
            cell = (group == g) & (y == label)
            w[cell] = np.mean(group == g) * np.mean(y == label) / np.mean(cell)
    return w
    ### END SOLUTION


# %% tags=["checks"]
def crowd(rng, n=50):
    group = np.array(["A", "B", "C"])[rng.integers(0, 3, n)]
    y = (rng.random(n) < np.where(group == "A", 0.8, 0.3)).astype(int)
    group[:6], y[:6] = list("AABBCC"), [0, 1] * 3  # nobody is missing
    return group, y


@check(
    "17.3",
    points=2,
    catches=[
        Mistake("turns the fraction round", "np.mean(group == g) * np.mean(y == label) / np.mean(cell)",
                "np.mean(cell) / (np.mean(group == g) * np.mean(y == label))"),
        Mistake("weighs by the cell alone", "np.mean(group == g) * np.mean(y == label) / np.mean(cell)",
                "1 / np.mean(cell)"),
        Mistake("takes the share of the label within the group", "np.mean(y == label) / np.mean(cell)",
                "np.mean(y[group == g] == label) / np.mean(cell)"),
    ],
)  # fmt: skip
def every_weight_is_the_formula(student, rng):
    """Three groups: each weight is P(g) P(y) / P(g, y)."""
    group, y = crowd(rng)
    n, people = len(y), list(zip(group.tolist(), y.tolist()))
    expected = [
        sum(a == g for a, _ in people) * sum(b == v for _, b in people) / n / people.count((g, v)) for g, v in people
    ]
    close(student.weights(group, y), np.array(expected), "weights of 50 people in three groups")


@check(
    "17.3",
    points=2,
    catches=[Mistake("forgets the labels", "np.mean(y == label) / np.mean(cell)", "1 / np.mean(cell)")],
)
def weighted_group_and_label_are_independent(student, rng):
    """Weighted, the label 1 has the same share in every group as among all; the weights add up to the number of people."""
    group, y = crowd(rng, 200)
    w = np.asarray(student.weights(group, y), float)
    expect(w.shape == y.shape, f"weights: expected the shape {y.shape}; found {w.shape}")
    close(w.sum(), 200.0, "the sum of the weights of 200 people")
    for g in "ABC":
        inside = group == g
        close(w[inside & (y == 1)].sum() / w[inside].sum(), y.mean(), f"the weighted share of label 1 in group {g}")


# %% [markdown] tags=["en", "hint"]
# Two loops, over the names and over the labels; inside, a mask `(group == g) & (y == label)`. The mean of a mask is a share.
# %% [markdown] tags=["zh", "hint"]
# 两重循环，一重走组名，一重走标签；里面用掩码 `(group == g) & (y == label)`。掩码的平均就是比例。


# %% [markdown] tags=["en"]
# ## 17.4 A threshold for equal opportunity
# A group's scores are `p` (people,), its truths `y` (people,); the answer is 1 where `p >= threshold`. Return the **largest** threshold,
# one of the scores, at which at least the share `target` of those with $y = 1$ gets the answer 1 ($0 < $ `target` $\le 1$).
# %% [markdown] tags=["zh"]
# ## 17.4 机会均等的门槛
# 一个组的得分是 `p`（人数,），真相是 `y`（人数,）；`p >= threshold` 时回答 1。返回使 $y = 1$ 的人里至少有比例 `target`
# 得到回答 1 的**最大**门槛，它是得分之一（$0 < $ `target` $\le 1$）。


# %% tags=["exercise"]
# exercise 17.4 (4 points): a threshold for equal opportunity
def threshold_for(p, y, target):
    """The largest threshold at which the true positive rate is at least target."""
    ### BEGIN SOLUTION
    deserving = np.sort(p[y == 1])[::-1]
    needed = int(np.ceil(target * len(deserving)))
    return deserving[needed - 1]
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "17.4",
    points=2,
    catches=[
        Mistake("counts everybody, not only those with y = 1", "np.sort(p[y == 1])[::-1]", "np.sort(p)[::-1]"),
        Mistake("sorts the wrong way", "[::-1]", "[::1]"),
        Mistake("goes one too far down", "deserving[needed - 1]", "deserving[min(needed, len(deserving) - 1)]"),
    ],
)
def the_rate_is_reached_and_just_so(student, rng):
    """The true positive rate at the threshold is at least the target; at the next higher score it is below."""
    y = rng.permutation(np.arange(40) % 2)
    p = rng.random(40) + y  # who would pay back has the higher score
    found = float(student.threshold_for(p, y, 0.63))
    rate = np.mean(p[y == 1] >= found)
    expect(rate >= 0.63, f"target 0.63: at the threshold {found:.4f} the true positive rate is {rate:.3f}")
    above = np.mean(p[y == 1] > found)
    expect(above < 0.63, f"target 0.63: the threshold {found:.4f} is too low; above it the rate is still {above:.3f}")


@check(
    "17.4",
    points=2,
    catches=[
        Mistake(
            "rounds the number of people down",
            "int(np.ceil(target * len(deserving)))",
            "max(1, int(target * len(deserving)))",
        )
    ],
)
def a_part_of_a_person_is_a_person(student, rng):
    """Of four people, 30 % are two, and all of them are four."""
    p, y = rng.permutation(np.linspace(0.1, 0.9, 8)), np.array([1, 0, 1, 0, 1, 0, 1, 0])
    low, _, second, _ = np.sort(p[y == 1])
    close(student.threshold_for(p, y, 0.3), second, "target 0.3 among four people with y = 1")
    close(student.threshold_for(p, y, 1.0), low, "target 1 among four people with y = 1")


# %% [markdown] tags=["en", "hint"]
# Sort the scores of those with $y = 1$, the highest first. How many of them must pass? The last of these is the threshold.
# %% [markdown] tags=["zh", "hint"]
# 把 $y = 1$ 的人的得分从高到低排好。必须让几个人通过？其中最后一个人的得分就是门槛。
