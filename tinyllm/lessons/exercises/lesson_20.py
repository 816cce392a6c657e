# %% [markdown] tags=["en"]
# # Exercises to lesson 20: three applications
# A yardstick, a split in time, a similarity. Check yourself with `tinyllm exercise check lesson_20.py`.
# %% [markdown] tags=["zh"]
# # 第 20 课练习：三个应用
# 一把尺子、一次按时间的划分、一种相似度。用 `tinyllm exercise check lesson_20.py` 自己检查。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect

# %% [markdown] tags=["en"]
# ## 20.1 Better than "tomorrow equals today"?
# `x` (days,) is a price; `guess` (days - 1,) is what was predicted for `x[1:]`. With $E$ the mean squared error of the guess, and $E_0$ that of
# the yardstick "tomorrow equals today", return the skill
#
# $$1 - E / E_0$$
#
# one number: 1 is perfect, 0 no better than the yardstick, below 0 worse.
# %% [markdown] tags=["zh"]
# ## 20.1 比“明天等于今天”强吗？
# `x`（days,）是价格；`guess`（days - 1,）是对 `x[1:]` 的预测。设 $E$ 是这些预测的均方误差，$E_0$ 是尺子“明天等于今天”的均方误差，
# 返回技巧分
#
# $$1 - E / E_0$$
#
# 一个数：1 是完美，0 是不比尺子强，小于 0 是更差。


# %% tags=["exercise"]
# exercise 20.1 (3 points): better than "tomorrow equals today"?
def skill(x, guess):
    """1 - E / E0: how much better than the yardstick."""
    ### BEGIN SOLUTION
    error = np.mean((x[1:] - guess) ** 2)
    yardstick = np.mean((x[1:] - x[:-1]) ** 2)
    return 1 - error / yardstick
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "20.1",
    points=2,
    catches=[
        Mistake("compares the guess with the day before", "(x[1:] - guess)", "(x[:-1] - guess)"),
        Mistake("compares with the mean price", "x[1:] - x[:-1]", "x[1:] - x.mean()"),
        Mistake("gives the ratio itself", "1 - error / yardstick", "error / yardstick"),
        Mistake("takes absolute errors", "(x[1:] - guess) ** 2", "abs(x[1:] - guess)"),
    ],
)
def a_random_series(student, rng):
    """A random price and a random guess, against the formula."""
    x = np.cumsum(rng.normal(size=30))
    guess = x[1:] + 0.7 * rng.normal(size=29)
    error = sum((a - b) ** 2 for a, b in zip(x[1:], guess)) / 29
    steps = sum((a - b) ** 2 for a, b in zip(x[1:], x)) / 29
    close(student.skill(x, guess), 1 - error / steps, "skill of 29 guesses")


@check(
    "20.1", points=1, catches=[Mistake("turns the ratio round", "error / yardstick", "yardstick / max(error, 1e-30)")]
)
def the_yardstick_itself_and_the_truth(student, rng):
    """The truth has skill 1, the yardstick 0, twice its errors -3."""
    x = np.cumsum(rng.normal(size=12))
    close(student.skill(x, x[1:]), 1.0, "skill of the truth")
    close(student.skill(x, x[:-1]), 0.0, "skill of the yardstick")
    close(student.skill(x, x[1:] + 2 * (x[1:] - x[:-1])), -3.0, "skill with errors twice the yardstick's")


# %% [markdown] tags=["en", "hint"]
# `x[1:]` is tomorrow, `x[:-1]` is today: two arrays of one length.
# %% [markdown] tags=["zh", "hint"]
# `x[1:]` 是明天，`x[:-1]` 是今天：两个一样长的数组。


# %% [markdown] tags=["en"]
# ## 20.2 Windows without a look into the future
# From a series `x` (days,) make samples: a window of `size` days and, as its target, the day that follows. The days `0 .. split - 1` are for training. Return
# four arrays:
# - `train_windows` (`split - size`, `size`) and `train_targets` (`split - size`,): every window whose **target** lies before day `split`;
# - `test_windows` (`days - split`, `size`) and `test_targets` (`days - split`,): every window whose target is day `split` or later.
#
# All of them are scaled alike, $(x - m) / s$, with $m$ the mean and $s$ the standard deviation of the **training days only**.
# %% [markdown] tags=["zh"]
# ## 20.2 不偷看未来的窗口
# 由序列 `x`（days,）做样本：`size` 天的窗口，目标是紧接着的那一天。第 `0 .. split - 1` 天用于训练。返回四个数组：
# - `train_windows`（`split - size`, `size`）和 `train_targets`（`split - size`,）：**目标**在第 `split` 天之前的所有窗口；
# - `test_windows`（`days - split`, `size`）和 `test_targets`（`days - split`,）：目标在第 `split` 天或之后的所有窗口。
#
# 全部用同样的办法缩放：$(x - m) / s$，$m$ 和 $s$ 是**只用训练日**算出的均值和标准差。


# %% tags=["exercise"]
# exercise 20.2 (5 points): windows without a look into the future
def windows(x, size, split):
    """(train_windows, train_targets, test_windows, test_targets), scaled by the training days."""
    ### BEGIN SOLUTION
    z = (x - x[:split].mean()) / x[:split].std()
    inputs = np.stack([z[t - size : t] for t in range(size, len(z))])
    targets = z[size:]
    cut = split - size
    return inputs[:cut], targets[:cut], inputs[cut:], targets[cut:]
    ### END SOLUTION


# %% tags=["checks"]
def four(student, x, size, split):
    found = student.windows(x, size, split)
    expect(isinstance(found, tuple | list) and len(found) == 4, f"windows(x, {size}, {split}): must return four arrays")
    return found


@check(
    "20.2",
    points=3,
    catches=[
        Mistake("lets the target stand in its own window", "z[t - size : t]", "z[t - size + 1 : t + 1]"),
        Mistake(
            "takes the day after next for the target", "targets = z[size:]", "targets = np.append(z[size + 1:], z[-1])"
        ),
        Mistake("cuts by windows instead of by days", "cut = split - size", "cut = split", says="shape"),
        Mistake("turns the windows round", "z[t - size : t]", "z[t - size : t][::-1]"),
    ],
)
def windows_and_targets_fit(student, rng):
    """Scaled back, every window is followed by its target, and the cut lies at the day split."""
    days, size = int(rng.integers(20, 30)), int(rng.integers(3, 6))
    split, x = days - 7, np.cumsum(rng.normal(size=days))
    z = (x - x[:split].mean()) / x[:split].std()
    expected = [z[s : s + size] for s in range(days - size)]
    names = ("train_windows", "train_targets", "test_windows", "test_targets")
    wanted = (expected[: split - size], z[size:split], expected[split - size :], z[split:])
    for name, one, other in zip(names, four(student, x, size, split), wanted):
        close(one, np.array(other), f"{name} of windows({days} days, {size}, {split})")


@check(
    "20.2",
    points=2,
    catches=[
        Mistake("scales by the mean of all days", "x[:split].mean()", "x.mean()", says="future"),
        Mistake("scales by the spread of all days", "x[:split].std()", "x.std()", says="future"),
        Mistake("does not scale", "z = (x - x[:split].mean()) / x[:split].std()", "z = x", says="mean"),
    ],
)
def another_future_changes_nothing_in_training(student, rng):
    """The training part is scaled, and it is the same whatever the later days will be."""
    x, size, split = 50 + 4 * rng.normal(size=40), 3, 25
    other = np.concatenate([x[:split], 900 + 100 * rng.normal(size=15)])
    first, second = four(student, x, size, split), four(student, other, size, split)
    expect(np.shape(first[1]) == (22,), f"train_targets: expected the shape (22,); found {np.shape(first[1])}")
    for i, name in enumerate(("train_windows", "train_targets")):
        close(second[i], first[i], f"{name}, when only the future is another")
    used = np.concatenate([np.ravel(first[0])[:size], np.ravel(first[1])])
    close(np.mean(used), 0.0, "the mean of the scaled training days")


# %% [markdown] tags=["en", "hint"]
# Scale first: `z = (x - x[:split].mean()) / x[:split].std()`. The target of the window `z[t - size : t]` is `z[t]`; the first target is day `size`.
# %% [markdown] tags=["zh", "hint"]
# 先缩放：`z = (x - x[:split].mean()) / x[:split].std()`。窗口 `z[t - size : t]` 的目标是 `z[t]`；第一个目标是第 `size` 天。


# %% [markdown] tags=["en"]
# ## 20.3 The similarity of two answers
# `a` and `b` are texts. Put them in small letters, cut them at white space, count how often each word stands in each: $v_a$, $v_b$ over all words of
# both. Return the cosine
#
# $$\frac{v_a \cdot v_b}{\|v_a\|\, \|v_b\|}$$
#
# and 0.0 if one of the texts has no word at all.
# %% [markdown] tags=["zh"]
# ## 20.3 两个答案的相似度
# `a` 和 `b` 是两段文本。转成小写，按空白切开，数出每个词在每段里出现几次：$v_a$、$v_b$，遍历两段的所有词。返回余弦
#
# $$\frac{v_a \cdot v_b}{\|v_a\|\, \|v_b\|}$$
#
# 有一段一个词也没有，就返回 0.0。


# %% tags=["exercise"]
# exercise 20.3 (4 points): the similarity of two answers
def similarity(a, b):
    """The cosine of the word counts of two texts."""
    ### BEGIN SOLUTION
    one, two = a.lower().split(), b.lower().split()
    words = sorted(set(one) | set(two))
    v = np.array([one.count(word) for word in words], float)
    w = np.array([two.count(word) for word in words], float)
    lengths = np.sqrt((v @ v) * (w @ w))
    return float(v @ w / lengths) if lengths > 0 else 0.0
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "20.3",
    points=2,
    catches=[
        Mistake("does not divide by the lengths", "v @ w / lengths", "v @ w"),
        Mistake("counts every word once", "[one.count(word) for word in words]", "[word in one for word in words]"),
        Mistake("divides by the squares of the lengths", "np.sqrt((v @ v) * (w @ w))", "(v @ v) * (w @ w)"),
    ],
)
def counted_words(student, rng):
    """Two texts with repeated words, by hand; and whatever the order of the words."""
    k = int(rng.integers(2, 6))
    text = " ".join(["loss"] * k + ["gradient"])
    expected = (k + 1) / np.sqrt((k * k + 1) * 3)
    close(
        student.similarity(text, "gradient loss falls"), expected, f"similarity('loss' {k} times and 'gradient', ...)"
    )
    shuffled = " ".join(rng.permutation(text.split()).tolist())
    close(student.similarity(text, shuffled), 1.0, "similarity of a text and the same words in another order")


@check(
    "20.3",
    points=2,
    catches=[
        Mistake(
            "takes capitals for other words",
            "one, two = a.lower().split(), b.lower().split()",
            "one, two = a.split(), b.split()",
        ),
        Mistake("divides by zero for an empty text", "if lengths > 0 else 0.0", "if one or True else 0.0"),
        Mistake(
            "cuts at single spaces only",
            "a.lower().split(), b.lower().split()",
            "a.lower().split(' '), b.lower().split(' ')",
        ),
    ],
)
def capitals_blanks_and_nothing(student, rng):
    """Capitals and white space do not matter; a text without words is like nothing: 0."""
    close(
        student.similarity("The  Gradient\nfalls", "the gradient falls"),
        1.0,
        "similarity('The  Gradient\\nfalls', ...)",
    )
    close(student.similarity("the loss", "a gradient"), 0.0, "similarity of two texts without a common word")
    close(student.similarity(" ", "the loss"), 0.0, "similarity(' ', 'the loss')")
    close(student.similarity("", ""), 0.0, "similarity('', '')")


# %% [markdown] tags=["en", "hint"]
# `text.split()` without an argument cuts at any white space. `words.count("loss")` counts in a list. Look at the lengths before you divide.
# %% [markdown] tags=["zh", "hint"]
# 不带参数的 `text.split()` 在任何空白处切开。`words.count("loss")` 在列表里计数。除之前先看看长度。
