# %% [markdown] tags=["en"]
# # 4. A scalar autograd in 60 lines
# The article says "backpropagation" and trusts the framework. You write the machine yourself, for single numbers and in plain
# Python, see it fail in the two classic ways (a wrong order, a gradient counted twice), and train a neuron with it.
#
# **You need** lesson 1, the chain rule, Python classes. **It takes** 40 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`. `make tour` shows the short version.
# %% [markdown] tags=["zh"]
# # 4. 60 行写一个标量自动求导
# 文章提了一句“反向传播”，就交给框架了。本课用纯 Python 自己写出这台机器，每次只算一个数；再看它怎样以两种经典的方式出错
# （顺序不对、梯度重复计算），最后用它训练一个神经元。
#
# **需要**：第 1 课、链式法则、Python 的类。**用时**：40 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。`make tour` 可看简短版。
# %%
import math
from itertools import count

import matplotlib.pyplot as plt
import numpy as np

from tinyllm import Tensor, gradcheck
from tinyllm.lessons import claim
from tinyllm.visualize import graph, trace


# %% [markdown] tags=["en"]
# ## The idea
# Let $L$ be the number at the end, and $y = f(a, b)$ one step on the way to it. Write $g = \partial L / \partial y$ for what has arrived at $y$. The chain rule
# hands it on, and where a number was used several times, everything that arrives is added up:
#
# $$\frac{\partial L}{\partial a} = \sum_{y \text{ uses } a} \frac{\partial L}{\partial y} \cdot \frac{\partial y}{\partial a}$$
#
# So each step remembers two things: its **parents** ($a$ and $b$), and one **slope** for each ($\partial y / \partial a$, $\partial y / \partial b$). All are
# plain numbers here; lesson 5 makes them arrays.
# %% [markdown] tags=["zh"]
# ## 想法
# 设 $L$ 是最后那个数，$y = f(a, b)$ 是通往它的一步。用 $g = \partial L / \partial y$ 表示已经传到 $y$ 的梯度。链式法则把它继续往回传；
# 一个数若被用了几次，传来的各份就加起来：
#
# $$\frac{\partial L}{\partial a} = \sum_{y \text{ 用到 } a} \frac{\partial L}{\partial y} \cdot \frac{\partial y}{\partial a}$$
#
# 所以每一步只要记住两样东西：它的**父节点**（这里是 $a$ 和 $b$），以及对每个父节点的**斜率**（$\partial y / \partial a$、$\partial y / \partial b$）。
# 本课里它们都是普通的数；第 5 课把它们变成数组。
# %%
def newest_first(root):
    """Every node below root, once. No recursion: a long chain does no harm."""
    found, waiting = {root}, [root]
    while waiting:
        new = set(waiting.pop().parents) - found
        found |= new
        waiting += new
    return sorted(found, key=lambda node: node.number, reverse=True)


class Value:
    clock = count()

    def __init__(self, data, parents=(), slopes=()):
        self.data, self.grad = float(data), 0.0
        self.parents, self.slopes = parents, slopes
        self.number = next(Value.clock)  # a node is always newer than its parents

    def __add__(self, other):
        other = lift(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = lift(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, n):
        return Value(self.data**n, (self,), (n * self.data ** (n - 1),))

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, (self,), (1 - y * y,))

    def __sub__(self, other):
        return self + lift(other) * -1

    __radd__, __rmul__ = __add__, __mul__

    def backward(self, order=newest_first):
        arrived = {self: 1.0}  # d L / d L
        for node in order(self):
            g = arrived.pop(node)
            if not node.parents:
                node.grad += g  # a leaf: here gradients collect
            for parent, slope in zip(node.parents, node.slopes):
                arrived[parent] = arrived.get(parent, 0.0) + g * slope


def lift(x):
    return x if isinstance(x, Value) else Value(x)


# %% [markdown] tags=["en"]
# ## Is it right?
# One expression, three ways: with `Value`, with this library's `Tensor`, and by `gradcheck`, which moves each input a little and looks
# how far the result moves. It takes any gradient, so it takes ours. (`np.tanh` meets a `Value`, does not know it, and calls its
# method `tanh`. So the same line serves numbers, Values and Tensors.)
# %% [markdown] tags=["zh"]
# ## 算得对吗？
# 一个式子，三种算法：用 `Value`；用本库的 `Tensor`；再让 `gradcheck` 把每个输入挪一点，看结果动多少。它能检验任何梯度，
# 当然也能检验我们的。（`np.tanh` 遇到不认识的 `Value`，就去调用它的方法 `tanh`。所以同一行代码，普通的数、我们的节点和库里的张量都能用。）
# %%
def off(w, x, b):
    return (np.tanh(w * x + b) - 1) ** 2


def by_value(upstream, *inputs):
    leaves = [Value(v) for v in inputs]
    off(*leaves).backward()
    return [upstream * leaf.grad for leaf in leaves]


point = 0.8, -1.5, 0.3  # w, x, b
leaves = [Tensor(v, requires_grad=True) for v in point]
loss = off(*leaves)
loss.backward(retain_graph=True)
print("Value ", by_value(1.0, *point))
print("Tensor", [float(leaf.grad) for leaf in leaves])
print(gradcheck(off, *point, gradient=by_value))
graph(loss, rules=True, names=dict(zip("wxb", leaves)))


# %% [markdown] tags=["en"]
# Data ran from top to bottom, gradients come from bottom to top. `value` is what the node holds, `grad` is what has arrived at it, and
# each last line is one slope times what arrived. Ours is the same graph, but for one thing: the library keeps the **rule**, such as
# `g * (1 - y * y)`, and works out the slope on the way back: arrays would have far too many slopes to store. (`one_less(b, a)` is $b - 1$.)
# %% [markdown] tags=["zh"]
# 数据从上往下算，梯度从下往上传。`value` 是节点的值，`grad` 是传到它的梯度，每个框的最后一行就是“斜率乘传来的梯度”。
# 我们自己的图和它一样，只有一处不同：库里存的是**规则**，例如 `g * (1 - y * y)`，往回走时才算斜率：数组的斜率太多，存不下。（`one_less(b, a)` 就是 $b - 1$。）
# %% [markdown] tags=["en"]
# ## Why the order matters
# A diamond: $u = x^2$ is used twice, $L = u + 3u = 4x^2$, so $\partial L / \partial x = 8x = 24$ at $x = 3$. A node may hand on what has arrived
# only when **everything** has arrived, that is, after all nodes made from it. Newest first does that. Below, beside it, the order in
# which one meets the nodes when walking down from $L$: there $u$ comes before $3u$, and hands on too early.
# %% [markdown] tags=["zh"]
# ## 顺序为什么要紧
# 一个菱形：$u = x^2$ 用了两次，$L = u + 3u = 4x^2$，所以在 $x = 3$ 处 $\partial L / \partial x = 8x = 24$。一个节点必须等**所有**梯度都到齐，
# 才能往下传，也就是排在所有由它算出的节点之后：“最新的先走”。下面还试了另一种顺序：从 $L$ 往下，先遇到谁就先处理谁。这样 $u$ 传得太早了。
# %%
def as_met(root):
    order = [root]
    for node in order:
        order += [parent for parent in node.parents if parent not in order]
    return order


def diamond(x):
    u = x**2
    return u + u * 3


for order in (newest_first, as_met):
    x = Value(3.0)
    diamond(x).backward(order)
    print(f"{order.__name__:13} dL/dx = {x.grad}")
leaf = Tensor(3.0, requires_grad=True)
print(*trace(diamond(leaf), names={"x": leaf}), sep="\n")

# %% [markdown] tags=["en"]
# Look for `there now`: at $u$ (`%2`) first 1 arrives, then 3 more, and only then is it the turn of $u$. Could one not hand on each piece by
# itself, as soon as it comes? That is right, and hopeless: sixty diamonds in a row have $2^{60}$ paths. Visiting every node once
# adds them all up in 61 steps. (And a loop, not recursion, goes down: Python would give up after 1,000 calls.)
# %% [markdown] tags=["zh"]
# 请找 `there now`：在 $u$（`%2`）处，先到 1，再到 3，然后才轮到 $u$ 自己。能不能来一份就传一份？结果是对的，但没有希望算完：
# 六十个菱形连起来，有 $2^{60}$ 条路。每个节点只走一次，61 步就把它们全加起来了。（往下走用的是循环而不是递归：Python 递归一千层就放弃了。）
# %%
x = y = Value(1.0)
for _ in range(60):
    y = y + y
y.backward()
print(f"{len(newest_first(y))} nodes, {x.grad:.0f} paths")

# %% [markdown] tags=["en"]
# ## Why is my gradient doubled? Why is it zero?
# Leaves **collect**: a second `backward()` adds to the first, as in PyTorch. That is meant (a large batch in two halves), and so whoever
# trains sets the gradients back before each step. And a gradient is zero, or `None` in the library, for three reasons. The number was
# **detached**: a new node was made of its bare value, and the trail ends there. It has **no part** in the result. Or the function is
# **flat**: at 20, tanh is 1 to the last digit, its slope exactly 0, and nothing before it learns.
# %% [markdown] tags=["zh"]
# ## 梯度为什么翻倍？为什么是零？
# 叶子会**累加**：第二次 `backward()` 加在第一次上面，PyTorch 也这样。这是有意的（大批次可以分两半算），所以训练的人每走一步之前
# 都要把梯度清零。梯度为零（库里是 `None`），原因有三种。数被**断开**了：用光秃秃的数值新建节点，线索就断在那里。它和结果**没有关系**。
# 或者函数在那里是**平**的：tanh 在 20 处精确到最后一位就是 1，斜率正好是 0，它前面的一切都学不到东西。
# %%
w, unused, far, x = Value(0.8), Value(1.0), Value(20.0), Value(-1.5)
loss = off(w, x, 0.3)
loss.backward()
print("once ", w.grad)
loss.backward()
print("twice", w.grad, "  no part:", unused.grad)
w = Value(0.8)
off(Value(w.data), x, 0.3).backward()  # the way on is cut: this is another leaf
far.tanh().backward()
leaf = Tensor(3.0, requires_grad=True)
(leaf * leaf.detach()).backward()  # one of two ways is cut
print(f"detached: {w.grad}   flat: {far.grad}   x * x.detach() at 3: {leaf.grad}, and not 6")

# %% [markdown] tags=["en"]
# ## Train a neuron
# A teacher neuron says $y = \tanh(0.5 x_1 - x_2 + 0.25)$ about twenty points $(x_1, x_2)$. Ours, $\tanh(w_1 x_1 + w_2 x_2 + b)$, starts from zeros and is
# to find the three numbers. Loss: the mean of the squared differences. One step: forward, loss, backward, then $w \leftarrow w - 0.5\, \partial L / \partial w$ (and
# $b$ alike), then **the gradients back to 0**. Backpropagation itself changes no weight, whatever the article's step 4 says.
# %% [markdown] tags=["zh"]
# ## 训练一个神经元
# 一个“老师”神经元对二十个点 $(x_1, x_2)$ 给出 $y = \tanh(0.5 x_1 - x_2 + 0.25)$。我们的神经元 $\tanh(w_1 x_1 + w_2 x_2 + b)$ 从零开始，
# 要把这三个数找出来。损失是平方差的平均。一步分为：前向、损失、反向，然后 $w \leftarrow w - 0.5\, \partial L / \partial w$（$b$ 也一样），
# 再把**梯度清零**。反向传播本身不改动任何权重，不管文章的第 4 步怎么说。
# %%
points, teacher = np.random.default_rng(4).normal(size=(20, 2)), np.array([0.5, -1.0, 0.25])
wanted = np.tanh(points @ teacher[:2] + teacher[2])


def train(leaf, zero_grad=True):
    weights, losses, path = [leaf(0.0) for _ in range(3)], [], []
    for _ in range(40):
        w1, w2, b = weights
        loss = sum((np.tanh(w1 * x1 + w2 * x2 + b) - y) ** 2 for (x1, x2), y in zip(points, wanted)) * (1 / 20)
        loss.backward()
        losses.append(float(loss.data))
        path.append([float(w.data) for w in weights])
        for w in weights:
            w.data = w.data - 0.5 * w.grad
            if zero_grad:
                w.grad = 0 * w.grad
    return losses, np.array(path)


(losses, path), (forgotten, _) = train(Value), train(Value, zero_grad=False)
by_tensors, _ = train(lambda v: Tensor(v, requires_grad=True))
assert np.allclose(losses, by_tensors, rtol=1e-9)
print(f"loss {losses[0]:.4f} -> {losses[-1]:.6f} (Tensors: {by_tensors[-1]:.6f}), weights {path[-1].round(3)}")
claim("S3-01")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), facecolor="white", layout="constrained")
left.plot(losses, color="#2b6cb0", label="gradients set back to 0")
left.plot(forgotten, color="#d9485f", label="forgotten: every old gradient pushes on")
left.set(title="Gradients that are never cleared drive it away again", xlabel="step", ylabel="loss")
right.plot(path, label=["$w_1$", "$w_2$", "$b$"])
right.hlines(teacher, 0, 39, colors="black", linestyles="dotted", label="teacher")
right.set(title="Our 60 lines find the teacher's weights", xlabel="step", ylabel="weight")
left.legend()
right.legend()
plt.show()

# %% [markdown] tags=["en"]
# ## Try next
# 1. Give `Value` a method `exp`, and write the logistic function with it. `gradcheck` tells you whether the slope is right.
# 2. Drop the test for repeats from `as_met` and call it for 10, 15 and 20 diamonds in a row. How long is the list each time?
# 3. In `train`, count nodes with `len(newest_first(loss))` and multiply by the steps. How many would a batch of 1,000 make? (Lesson 5.)
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. 给 `Value` 加一个方法 `exp`，用它写出逻辑斯谛函数。斜率对不对，`gradcheck` 会告诉你。
# 2. 去掉 `as_met` 里防重复的判断，对连成一串的 10、15、20 个菱形各调用一次。列表各有多长？
# 3. 在 `train` 里用 `len(newest_first(loss))` 数节点，再乘以步数。一批 1000 个样本会有多少？（见第 5 课。）
