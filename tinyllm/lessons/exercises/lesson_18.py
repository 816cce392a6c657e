# %% [markdown] tags=["en"]
# # Exercises to lesson 18: more parameters
# Three functions: two that count, one that stops in time. Check yourself with `tinyllm exercise check lesson_18.py`.
# %% [markdown] tags=["zh"]
# # 第 18 课练习：更多的参数
# 三个函数：两个数参数，一个及时停下。用 `tinyllm exercise check lesson_18.py` 自己检查。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, same

# %% [markdown] tags=["en"]
# ## 18.1 Counting a stack of layers
# `sizes` is a list such as `[2, 16, 16, 1]`: two inputs, layers of 16, 16 and 1 units, all fully connected. A layer of $m$ units that reads
# $n$ numbers has a kernel of shape ($n$, $m$) and, if `bias` is True, $m$ biases. Return how many parameters there are in all.
# %% [markdown] tags=["zh"]
# ## 18.1 数一数一叠层
# `sizes` 是形如 `[2, 16, 16, 1]` 的列表：两个输入，然后是 16、16、1 个单元的全连接层。读入 $n$ 个数、有 $m$ 个单元的层，核的形状是
# ($n$, $m$)；若 `bias` 为 True，还有 $m$ 个偏置。返回参数总数。


# %% tags=["exercise"]
# exercise 18.1 (3 points): counting a stack of layers
def dense_parameters(sizes, bias):
    """The number of weights of fully connected layers of these sizes; sizes[0] is the number of inputs."""
    ### BEGIN SOLUTION
    total, n = 0, sizes[0]
    for m in sizes[1:]:
        total += n * m + (m if bias else 0)
        n = m
    return total
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "18.1",
    points=2,
    catches=[
        Mistake("forgets the biases", "(m if bias else 0)", "0"),
        Mistake("gives every layer as many biases as it has inputs", "(m if bias else 0)", "(n if bias else 0)"),
        Mistake("gives the inputs biases, too", "total, n = 0, sizes[0]", "total, n = sizes[0], sizes[0]"),
        Mistake("leaves the last layer out", "in sizes[1:]", "in sizes[1:-1]"),
    ],
)
def with_biases(student, rng):
    """The lesson's network of h units has h^2 + 5h + 1; and four random sizes."""
    h = int(rng.integers(3, 99))
    same(student.dense_parameters([2, h, h, 1], True), h * h + 5 * h + 1, f"dense_parameters([2, {h}, {h}, 1], True)")
    a, b, c, d = (int(n) for n in rng.permutation(np.arange(2, 60))[:4])
    expected = a * b + b + b * c + c + c * d + d
    same(student.dense_parameters([a, b, c, d], True), expected, f"dense_parameters([{a}, {b}, {c}, {d}], True)")


@check("18.1", points=1, catches=[Mistake("always counts biases", "(m if bias else 0)", "m")])
def without_biases(student, rng):
    """bias=False: the kernels alone."""
    a, b, c = (int(n) for n in rng.integers(2, 60, 3))
    same(student.dense_parameters([a, b, c], False), a * b + b * c, f"dense_parameters([{a}, {b}, {c}], False)")


# %% [markdown] tags=["en", "hint"]
# Go from layer to layer and remember how many numbers the last one gave: these are what the next one reads.
# %% [markdown] tags=["zh", "hint"]
# 一层一层地走，记住上一层给出几个数：那就是下一层读入的。


# %% [markdown] tags=["en"]
# ## 18.2 The parameters of a GPT
# Write the count of the lesson from its parts. Depth $L$ (blocks), width $d$, vocabulary $V$, context $C$:
# - two tables, of tokens ($V$, $d$) and of positions ($C$, $d$); the head **is** the token table and costs nothing more;
# - per block four Dense layers with biases: $d \to 3d$, $d \to d$, $d \to 4d$, $4d \to d$; and two normalisations with $2d$ each;
# - one more normalisation at the end, $2d$.
#
# Return a whole number.
# %% [markdown] tags=["zh"]
# ## 18.2 GPT 的参数
# 把课上的总数按零件写出来。深度 $L$（块数）、宽度 $d$、词表 $V$、上下文 $C$：
# - 两张表：词元 ($V$, $d$)、位置 ($C$, $d$)；输出头**就是**词元表，不另花参数；
# - 每块四个带偏置的 Dense 层：$d \to 3d$、$d \to d$、$d \to 4d$、$4d \to d$；两个归一化，各 $2d$；
# - 最后还有一个归一化，$2d$。
#
# 返回一个整数。


# %% tags=["exercise"]
# exercise 18.2 (4 points): the parameters of a GPT
def gpt_parameters(depth, width, vocabulary, context):
    """The number of weights of a GPT with biases."""
    ### BEGIN SOLUTION
    d = width
    dense = (d * 3 * d + 3 * d) + (d * d + d) + (d * 4 * d + 4 * d) + (4 * d * d + d)
    block = dense + 2 * 2 * d
    return (vocabulary + context) * d + depth * block + 2 * d
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "18.2",
    points=3,
    catches=[
        Mistake("forgets the table of positions", "(vocabulary + context)", "vocabulary"),
        Mistake("counts the head once more", "(vocabulary + context)", "(2 * vocabulary + context)"),
        Mistake("forgets the last normalisation", "depth * block + 2 * d", "depth * block"),
        Mistake("forgets the biases", "dense = (d * 3 * d + 3 * d)", "dense = -9 * d + (d * 3 * d + 3 * d)"),
        Mistake("gives a block one normalisation", "dense + 2 * 2 * d", "dense + 2 * d"),
    ],
)
def as_many_as_the_library_makes(student, rng):
    """Small random sizes: what tinyllm's GPT(..., bias=True) has."""
    from tinyllm.models import GPT

    depth, width, vocabulary, context = (int(rng.integers(*each)) for each in ((1, 4), (3, 9), (5, 30), (2, 20)))
    model = GPT(vocabulary, context, depth, 1, width, bias=True)
    model.build((None, 1))
    case = f"gpt_parameters({depth}, {width}, {vocabulary}, {context})"
    same(student.gpt_parameters(depth, width, vocabulary, context), model.count_params(), case)


@check("18.2", points=1, catches=[Mistake("has one block only", "depth * block", "block")])
def gpt_3(student, rng):
    """GPT-3: depth 96, width 12288, vocabulary 50257, context 2048 give 174,604,259,328."""
    found = student.gpt_parameters(96, 12288, 50257, 2048)
    same(found, 174_604_259_328, "gpt_parameters(96, 12288, 50257, 2048)")


# %% [markdown] tags=["en", "hint"]
# A Dense layer $n \to m$ has $nm + m$. The four of a block make $12 d^2 + 9 d$ together; check that first.
# %% [markdown] tags=["zh", "hint"]
# Dense 层 $n \to m$ 有 $nm + m$ 个参数。一块里的四层加起来应是 $12 d^2 + 9 d$，先核对这个。


# %% [markdown] tags=["en"]
# ## 18.3 Stop in time
# `losses` is a list: the held-out loss after each epoch, as it would be if training went on. Early stopping keeps the lowest loss so far. Training
# stops when `patience` epochs in a row have not been **lower** than it, or when the list ends. Return two whole numbers, both
# counted from 1: `(stopped, best)`, the epoch after which training stopped and the epoch of the lowest loss up to there.
# %% [markdown] tags=["zh"]
# ## 18.3 及时停下
# `losses` 是列表：假如一直训练下去，每轮之后的留出损失。早停记住迄今最低的损失。如果接连 `patience` 轮都没有比它**更低**，或者列表到头，
# 训练就停。返回两个从 1 数起的整数 `(stopped, best)`：训练在第几轮之后停下，以及到那时为止损失最低的是第几轮。


# %% tags=["exercise"]
# exercise 18.3 (4 points): stop in time
def early_stop(losses, patience):
    """(the last epoch that was trained, the best epoch), both counted from 1."""
    ### BEGIN SOLUTION
    best, lowest = 0, float("inf")
    for epoch, loss in enumerate(losses, 1):
        if loss < lowest:
            best, lowest = epoch, loss
        elif epoch - best >= patience:
            return epoch, best
    return len(losses), best
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "18.3",
    points=2,
    catches=[
        Mistake("waits one epoch too long", "epoch - best >= patience", "epoch - best > patience"),
        Mistake("gives the last epoch for the best", "return epoch, best", "return epoch, epoch"),
        Mistake("stops at the first epoch that is no better", "epoch - best >= patience", "epoch > best"),
        Mistake("gives the number of the best epoch from 0", "return epoch, best", "return epoch, best - 1"),
    ],
)
def it_stops_after_patience(student, rng):
    """A fall, a small hill, a deeper valley, then a rise: the small hill is crossed, the rise ends it."""
    hill, tail = int(rng.integers(1, 3)), rng.uniform(0.7, 0.9, 8)
    losses = [1.0, 0.8, *[0.85] * hill, 0.6, 0.5, *tail.tolist()]
    best = 4 + hill
    same(
        tuple(student.early_stop(losses, 3)), (best + 3, best), f"early_stop(a hill of {hill}, then a rise, patience 3)"
    )


@check(
    "18.3",
    points=2,
    catches=[
        Mistake(
            "compares with the epoch before", "loss < lowest", "loss < (losses[epoch - 2] if epoch > 1 else lowest)"
        ),
        Mistake("takes an equal loss for a better one", "loss < lowest", "loss <= lowest"),
        Mistake("forgets the list that ends first", "return len(losses), best", "return len(losses), len(losses)"),
    ],
)
def equal_is_not_lower_and_lists_end(student, rng):
    """A plateau counts as no better; a list that ends earlier; a zigzag that sinks below its start only in its first epoch."""
    low = float(rng.uniform(0.1, 0.4))
    same(tuple(student.early_stop([0.9, low, low, low, low], 2)), (4, 2), "early_stop on a plateau, patience 2")
    same(tuple(student.early_stop([0.9, low, 0.5, 0.6], 5)), (4, 2), "early_stop on four epochs, patience 5")
    zigzag = [low, 0.9, 0.5, 0.9, 0.5, 0.9]
    same(tuple(student.early_stop(zigzag, 3)), (4, 1), "early_stop on a zigzag above the first epoch, patience 3")


# %% [markdown] tags=["en", "hint"]
# Remember two things while you go: the lowest loss and its epoch. How long ago was that epoch?
# %% [markdown] tags=["zh", "hint"]
# 边走边记两样：最低的损失，和它是第几轮。那一轮过去多久了？
