# %% [markdown] tags=["en"]
# # Exercises to lesson 4: a scalar autograd
# Plain Python, no library: slopes, a training loop with two bugs, the order of the walk, and the walk itself.
# Check yourself with `tinyllm exercise check lesson_04.py`; `tinyllm exercise hint 04.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 4 课练习：标量自动求导
# 纯 Python，不用任何库：斜率、一个有两处错误的训练循环、回传的顺序，最后是回传本身。
# 用 `tinyllm exercise check lesson_04.py` 自己检查；卡住了就看提示：`tinyllm exercise hint 04.1`。
# %%
import math
from itertools import count

import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect

# %% [markdown] tags=["en"]
# ## 4.1 Slopes
# A node $y = f(a, b)$ keeps two slopes, $\partial y / \partial a$ and $\partial y / \partial b$, both numbers. Return them as a pair for each of five operations:
# `"add"` ($a + b$), `"subtract"` ($a - b$), `"multiply"` ($a b$), `"divide"` ($a / b$) and `"power"` ($a^b$, with $a > 0$).
# Any other name: raise `ValueError`.
# %% [markdown] tags=["zh"]
# ## 4.1 斜率
# 节点 $y = f(a, b)$ 记着两个斜率 $\partial y / \partial a$ 和 $\partial y / \partial b$，都是数。对下面五种运算，把它们作为一对返回：
# `"add"`（$a + b$）、`"subtract"`（$a - b$）、`"multiply"`（$a b$）、`"divide"`（$a / b$）、`"power"`（$a^b$，其中 $a > 0$）。
# 别的名字：抛出 `ValueError`。


# %% tags=["exercise"]
# exercise 04.1 (4 points): slopes
def slopes(operation, a, b):
    """(dy/da, dy/db) at the numbers a and b."""
    ### BEGIN SOLUTION
    if operation == "add":
        return 1.0, 1.0
    if operation == "subtract":
        return 1.0, -1.0
    if operation == "multiply":
        return b, a
    if operation == "divide":
        return 1 / b, -a / b**2
    if operation == "power":
        return b * a ** (b - 1), a**b * math.log(a)
    raise ValueError(f"no slopes for {operation!r}")
    ### END SOLUTION


# %% tags=["checks"]
def compared(student, operation: str, f, rng: np.random.Generator) -> None:
    """The student's slopes against f's, by complex steps: Im f(a + ih) / h."""
    h = 1e-20
    for _ in range(4):
        a, b = float(rng.uniform(0.5, 3)), float(rng.choice([-1, 1]) * rng.uniform(0.5, 2))
        expected = (f(a + h * 1j, b + 0j).imag / h, f(a + 0j, b + h * 1j).imag / h)
        close(student.slopes(operation, a, b), expected, f"slopes({operation!r}, {a:.3f}, {b:.3f})")


@check("04.1", points=2, catches=[
    Mistake("gives each factor its own value", "return b, a", "return a, b"),
    Mistake("forgets the minus of the second", "1.0, -1.0", "1.0, 1.0"),
])  # fmt: skip
def sums_and_products(student, rng):
    """Addition, subtraction and multiplication agree with differences; another name raises ValueError."""
    compared(student, "add", lambda a, b: a + b, rng)
    compared(student, "subtract", lambda a, b: a - b, rng)
    compared(student, "multiply", lambda a, b: a * b, rng)
    student.raises(ValueError).slopes("divided by", 1.0, 2.0)


@check("04.1", points=2, catches=[
    Mistake("forgets the square below the line", "-a / b**2", "-a / b"),
    Mistake("forgets the sign of the quotient rule", "-a / b**2", "a / b**2"),
    Mistake("leaves the exponent as it was", "b * a ** (b - 1)", "b * a**b"),
    Mistake("takes the exponent for a constant", "a**b * math.log(a)", "0.0"),
])  # fmt: skip
def quotients_and_powers(student, rng):
    """Division and power agree with differences, for negative b as well."""
    compared(student, "divide", lambda a, b: a / b, rng)
    compared(student, "power", lambda a, b: a**b, rng)


# %% [markdown] tags=["en", "hint"]
# Hold one of the two fixed and differentiate in the other. $a / b = a\, b^{-1}$. In $a^b$, seen as a function of $b$, write $a^b = e^{b \log a}$.
# %% [markdown] tags=["zh", "hint"]
# 固定其中一个，对另一个求导。$a / b = a\, b^{-1}$。把 $a^b$ 看成 $b$ 的函数时，写成 $a^b = e^{b \log a}$。


# %% [markdown] tags=["en"]
# ## 4.2 Find the bugs: a training loop
# `broken_train` ought to fit $y \approx w x + b$ by gradient descent on the mean of $(w x_i + b - y_i)^2$, from $w = b = 0$, with `steps` steps of rate `rate`. In each step both
# gradients are taken at the **same** place, then both numbers move. It has two bugs, and neither makes it stop with an error. Write `train`,
# which has none, and returns `(w, b)`.
# %% [markdown] tags=["zh"]
# ## 4.2 找错：训练循环
# `broken_train` 本该用梯度下降拟合 $y \approx w x + b$：损失是 $(w x_i + b - y_i)^2$ 的平均，从 $w = b = 0$ 出发，以学习率 `rate` 走 `steps` 步。
# 每一步里，两个梯度都在**同一处**求，然后两个数一起移动。它有两个错，而且都不会报错。请写出没有错的 `train`，返回 `(w, b)`。


# %% tags=["exercise"]
# exercise 04.2 (3 points): find the bugs in the training loop
def broken_train(xs, ys, rate, steps):
    """Wrong in two places."""
    w, b, dw, db = 0.0, 0.0, 0.0, 0.0
    for _ in range(steps):
        for x, y in zip(xs, ys):
            dw += 2 * (w * x + b - y) * x / len(xs)
        w -= rate * dw
        for x, y in zip(xs, ys):
            db += 2 * (w * x + b - y) / len(xs)
        b -= rate * db
    return w, b


def train(xs, ys, rate, steps):
    """(w, b) after `steps` steps; xs and ys are lists of numbers."""
    ### BEGIN SOLUTION
    w, b = 0.0, 0.0
    for _ in range(steps):
        dw = db = 0.0
        for x, y in zip(xs, ys):
            error = w * x + b - y
            dw += 2 * error * x / len(xs)
            db += 2 * error / len(xs)
        w, b = w - rate * dw, b - rate * db
    return w, b
    ### END SOLUTION


# %% tags=["checks"]
def descended(xs: np.ndarray, ys: np.ndarray, rate: float, steps: int) -> np.ndarray:
    """(w, b), by arrays."""
    X, weights = np.stack([xs, np.ones(len(xs))], axis=1), np.zeros(2)
    for _ in range(steps):
        weights = weights - rate * 2 * X.T @ (X @ weights - ys) / len(xs)
    return weights


@check("04.2", points=1, catches=[
    Mistake("lets b see the w that has moved", "w, b = w - rate * dw, b - rate * db",
            "w -= rate * dw; db = sum(2 * (w * x + b - y) / len(xs) for x, y in zip(xs, ys)); b -= rate * db"),
    Mistake("forgets the 2 of the square", "2 * error / len(xs)", "error / len(xs)"),
    Mistake("goes uphill", "w - rate * dw, b - rate * db", "w + rate * dw, b + rate * db"),
])  # fmt: skip
def the_first_step(student, rng):
    """One step from w = b = 0."""
    xs, ys = rng.normal(size=(2, 6)) + 1
    close(student.train(xs.tolist(), ys.tolist(), 0.1, 1), tuple(descended(xs, ys, 0.1, 1)), "train(xs, ys, 0.1, 1)")


@check("04.2", points=2, catches=[
    Mistake("never clears the gradients, as the broken one does", "    for _ in range(steps):\n        dw = db = 0.0",
            "    dw = db = 0.0\n    for _ in range(steps):"),
    Mistake("clears them at every sample", "error = w * x + b - y",
            "dw = db = 0.0; error = w * x + b - y"),
    Mistake("clears one of the two only", "        dw = db = 0.0", "        dw, db = 0.0, locals().get('db', 0.0)"),
    Mistake("adds up and takes no mean", "error * x / len(xs)", "error * x"),
])  # fmt: skip
def more_steps_and_the_best_line(student, rng):
    """Two, five and 500 steps: where descent is then, at last on the line of least squares."""
    xs = rng.uniform(-1, 1, size=8)
    ys = rng.uniform(1, 3) * xs + rng.uniform(-2, 2) + 0.1 * rng.normal(size=8)
    for steps in (2, 5, 500):
        close(student.train(xs.tolist(), ys.tolist(), 0.3, steps), tuple(descended(xs, ys, 0.3, steps)),
              f"train(xs, ys, 0.3, {steps})")  # fmt: skip


# %% [markdown] tags=["en", "hint"]
# What do `dw` and `db` hold at the beginning of the second step? And which `w` does the loop for `db` use?
# %% [markdown] tags=["zh", "hint"]
# 第二步开始时，`dw` 和 `db` 里是什么？求 `db` 的那个循环用的又是哪个 `w`？


# %% [markdown] tags=["en"]
# ## 4.3 The order of the walk
# A graph is a dict: `parents[node]` lists what the node was made from; a node that is not in the dict is a leaf. A name may stand twice in a
# list (in $x \cdot x$). Return the nodes below `root`, `root` first, each once, so that **every node comes after all nodes made from it**. What `root` does not
# depend on is left out. A chain of 5,000 nodes must do no harm, so no recursion. (The names tell nothing about the order.)
# %% [markdown] tags=["zh"]
# ## 4.3 回传的顺序
# 图是一个字典：`parents[node]` 列出该节点由哪些节点算出；不在字典里的节点是叶子。列表里同一个名字可能出现两次（例如 $x \cdot x$）。
# 返回 `root` 所依赖的节点，`root` 在最前，每个一次，使得**每个节点都排在所有由它算出的节点之后**。`root` 用不到的节点不要。
# 五千个节点的长链也要能处理，所以不能用递归。（名字不透露顺序。）


# %% tags=["exercise"]
# exercise 04.3 (4 points): the order of the walk
def walk_order(parents, root):
    """A list of names, root first; `parents` is a dict from a name to a list of names."""
    ### BEGIN SOLUTION
    uses, waiting = {root: 0}, [root]
    while waiting:
        for parent in parents.get(waiting.pop(), []):
            if parent not in uses:
                uses[parent] = 0
                waiting.append(parent)
            uses[parent] += 1
    order, ready = [], [root]
    while ready:
        node = ready.pop()
        order.append(node)
        for parent in parents.get(node, []):
            uses[parent] -= 1
            if uses[parent] == 0:
                ready.append(parent)
    return order
    ### END SOLUTION


# %% tags=["checks"]
def ordered(found: object, parents: dict[str, list[str]], root: str, case: str) -> None:
    """Lost unless found is an order in which gradients can go back from root."""
    below, waiting = {root}, [root]
    while waiting:
        new = set(parents.get(waiting.pop(), [])) - below
        below |= new
        waiting += new
    expect(isinstance(found, list) and all(isinstance(each, str) for each in found), f"{case}: a list of names")
    wanted = f"each of the {len(below)} nodes below {root!r} once"
    expect(len(found) == len(below) and set(found) == below, f"{case}: {wanted}; found {len(found)}: {found!r:.80}")
    place = {name: i for i, name in enumerate(found)}
    early = [f"{b!r} must come after {a!r}" for a in found for b in parents.get(a, []) if place[b] < place[a]]
    expect(not early, f"{case}: {''.join(early[:1])}; found {found!r:.80}")


@check("04.3", points=3, catches=[
    Mistake("takes the nodes as it meets them", "if uses[parent] == 0:",
            "if uses[parent] >= 0 and not uses.update({parent: -9}):"),
    Mistake("hands on every path by itself", "if uses[parent] == 0:", "if True:"),
    Mistake("begins with the leaves", "return order", "return order[::-1]"),
    Mistake("counts a node once that another uses twice", "parents.get(waiting.pop(), [])",
            "set(parents.get(waiting.pop(), []))"),
])  # fmt: skip
def after_all_that_was_made_from_it(student, rng):
    """A diamond, x * x, and random graphs with nodes that the root does not need."""
    diamond = {"L": ["u", "v"], "v": ["u", "u"], "u": ["x"], "other": ["x", "L"]}
    ordered(student.walk_order(diamond, "L"), diamond, "L", f"walk_order({diamond}, 'L')")
    for _ in range(6):
        names = [f"n{i}" for i in rng.permutation(7)]
        made = [int(i) for i in rng.permutation(np.arange(2, 7))]
        parents = {names[i]: [names[j] for j in rng.integers(i, size=min(i, 3))] for i in made}
        ordered(student.walk_order(parents, names[5]), parents, names[5], f"walk_order({parents}, {names[5]!r})")


@check("04.3", points=1, catches=[
    Mistake("goes down by recursion", "    while ready:\n        node = ready.pop()\n        order.append(node)\n"
            "        for parent in parents.get(node, []):\n            uses[parent] -= 1\n"
            "            if uses[parent] == 0:\n                ready.append(parent)",
            "    def visit(node):\n        order.append(node)\n        for parent in parents.get(node, []):\n"
            "            uses[parent] -= 1\n            if uses[parent] == 0:\n"
            "                visit(parent)\n    visit(root)", says="RecursionError"),
])  # fmt: skip
def a_long_chain_does_no_harm(student, rng):
    """5,000 nodes in a row, with a few shortcuts."""
    names = [f"n{i}" for i in rng.permutation(5_001)]
    parents = {names[i]: [names[i + 1]] for i in range(5_000)}
    for i in rng.integers(4_000, size=3):
        parents[names[i]].append(names[i + int(rng.integers(1, 999))])
    ordered(student.walk_order(parents, names[0]), parents, names[0], "walk_order(a chain of 5,001 nodes)")


# %% [markdown] tags=["en", "hint"]
# Count first: how often is each node below the root used as a parent? Then start with the root alone. Whenever a node is placed, take one off
# the count of each of its parents; a parent whose count has come to 0 may be placed. A list with `append` and `pop` does for the waiting ones.
# %% [markdown] tags=["zh", "hint"]
# 先数：`root` 下面的每个节点被当作父节点用了几次？然后从 `root` 一个开始。每排好一个节点，就把它各个父节点的计数减一；
# 减到 0 的父节点就可以排了。等待的节点放在一个列表里，用 `append` 和 `pop` 就行。


# %% [markdown] tags=["en"]
# ## 4.4 Backward
# `Value` is given: each node holds its `parents`, one of the `slopes` for each of them, and its `number` (a node is newer than its parents). Write `backward(root)`. It carries
# gradients from `root`, whose own is 1, down to the leaves, the nodes without parents, and **adds** what arrives to their `grad`. Other nodes' `grad` stays 0, so that a second
# `backward` on the same graph exactly doubles the leaves' gradients. No recursion.
# %% [markdown] tags=["zh"]
# ## 4.4 反向传播
# 类 `Value` 已给出：每个节点记着 `parents`、对每个父节点的斜率 `slopes`，以及编号 `number`（节点比它的父节点新）。请写 `backward(root)`：
# 从 `root`（它自己的梯度是 1）往下传到叶子，即没有父节点的节点，把到达的梯度**加**到叶子的 `grad` 上。其他节点的 `grad` 保持 0，
# 这样在同一张图上再做一次 `backward`，叶子的梯度恰好翻倍。不能用递归。


# %% tags=["exercise"]
# exercise 04.4 (6 points): backward
class Value:
    """A number that remembers what it was made from."""

    clock = count()

    def __init__(self, data, parents=(), slopes=()):
        self.data, self.grad, self.number = data, 0.0, next(Value.clock)
        self.parents, self.slopes = parents, slopes

    def __add__(self, other):
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, (self,), (1 - y * y,))


def backward(root):
    """Add d root / d leaf to the grad of every leaf below root."""
    ### BEGIN SOLUTION
    found, waiting = {root}, [root]
    while waiting:
        new = set(waiting.pop().parents) - found
        found |= new
        waiting += new
    arrived = {root: 1.0}
    for node in sorted(found, key=lambda each: each.number, reverse=True):
        g = arrived.get(node, 0.0)
        if not node.parents:
            node.grad += g
        for parent, slope in zip(node.parents, node.slopes):
            arrived[parent] = arrived.get(parent, 0.0) + g * slope
    ### END SOLUTION


# %% tags=["checks"]
def diamonds(x, y, z):
    u = x * y
    v = np.tanh(u * z)
    return u + (v * v + v)


EXPRESSIONS = {  # three inputs each; on the left for Values, on the right for Tensors
    "out = x * y + z": lambda x, y, z: x * y + z,
    "out = x * x * x + y.tanh() * z": lambda x, y, z: x * x * x + np.tanh(y) * z,
    "out = (x + x).tanh() + y * z": lambda x, y, z: np.tanh(x + x) + y * z,
    "u = x * y; v = (u * z).tanh(); w = v * v; out = u + (w + v)": diamonds,
}
BACK = "x, y, z = map(Value, inputs)\n{}\nbackward(out)\nresult = [x.grad, y.grad, z.grad]"


def slopes_of(f, inputs: list[float]) -> list[float]:
    """The three derivatives, by the library."""
    from tinyllm import grad

    return [float(d) for d in grad(f, (0, 1, 2))(*inputs)]


@check("04.4", points=3, catches=[
    Mistake("counts a number once that was used twice", "arrived.get(parent, 0.0) + g * slope", "g * slope"),
    Mistake("forgets the slope", "+ g * slope", "+ g"),
    Mistake("forgets what has arrived", "+ g * slope", "+ slope"),
    Mistake("walks from the oldest to the newest", "reverse=True", "reverse=False"),
    Mistake("looks at the values for the order", "each.number", "-each.data"),
])  # fmt: skip
def four_expressions(student, rng):
    """Four expressions of three numbers, one with two diamonds: the gradients that the library finds."""
    for text, f in EXPRESSIONS.items():
        inputs = rng.uniform(-1.5, 1.5, size=3).tolist()
        found = student.run(BACK.format(text), inputs=inputs)
        close(found, slopes_of(f, inputs), f"x, y, z = {np.round(inputs, 2).tolist()}; {text}: the gradients")


@check("04.4", points=2, catches=[
    Mistake("overwrites the leaf's gradient", "node.grad += g", "node.grad = g", says="twice"),
    Mistake("keeps the gradients between, as some engines do", "        if not node.parents:",
            "        if node.parents:\n            g = node.grad = node.grad + g\n        else:", says="twice"),
    Mistake("leaves gradients at the nodes between", "if not node.parents:", "if True:", says="between"),
])  # fmt: skip
def twice_is_double(student, rng):
    """backward() twice on one graph: exactly double at the leaves, and 0 between."""
    inputs = rng.uniform(0.5, 1.5, size=3).tolist()
    code = BACK.format("u = x * y\nv = u.tanh()\nout = v * z")
    again = "\nbackward(out)\nresult = result, [x.grad, y.grad, z.grad], [u.grad, v.grad]"
    once, twice, between = student.run(code + again, inputs=inputs)
    close(once, slopes_of(lambda x, y, z: np.tanh(x * y) * z, inputs), "gradients of tanh(x y) z")
    close(twice, [2 * g for g in once], "the leaves' gradients after backward() twice")
    close(between, [0.0, 0.0], "grad of the nodes between, which are no leaves")


@check("04.4", points=1, catches=[
    Mistake("goes down by recursion",
            "    while waiting:\n        new = set(waiting.pop().parents) - found\n        found |= new\n"
            "        waiting += new",
            "    def visit(node):\n        for each in set(node.parents) - found:\n            found.add(each)\n"
            "            visit(each)\n    visit(root)", says="RecursionError"),
    Mistake("looks at one parent only", "set(waiting.pop().parents)", "set(waiting.pop().parents[:1])"),
])  # fmt: skip
def long_chains_and_many_diamonds(student, rng):
    """A chain of 5,000 sums, and 200 diamonds in a row: 2^200 paths, 201 nodes."""
    inputs = rng.uniform(0.5, 1.5, size=3).tolist()
    chain = "out = x * y\nfor _ in range(5000):\n    out = out + z"
    expected = [inputs[1], inputs[0], 5000.0]
    close(student.run(BACK.format(chain), inputs=inputs), expected, "gradients of x y + z + z + ...")
    doubled = "out = x * y + z\nfor _ in range(200):\n    out = out + out"
    expected = [2.0**200 * g for g in (inputs[1], inputs[0], 1.0)]
    close(student.run(BACK.format(doubled), inputs=inputs), expected, "gradients of x y + z, doubled 200 times")


# %% [markdown] tags=["en", "hint"]
# Three parts. Collect the nodes below the root in a set, with a list of those still to be looked at. Sort them by `number`, the newest first. Then walk, with a
# dict from nodes to what has arrived at them so far: `{root: 1.0}` at first. The dict lives in the call, so a second call starts afresh.
# %% [markdown] tags=["zh", "hint"]
# 分三步。用一个集合收集 `root` 下面的节点，另用一个列表放还没看过的。按 `number` 从新到旧排序。然后一个个走过去，用一个字典记住每个节点
# 目前收到了多少梯度，开始时是 `{root: 1.0}`。字典只活在这次调用里，所以第二次调用会从头开始。
