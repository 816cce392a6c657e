# %% [markdown] tags=["en"]
# # 6. Checking gradients: the laboratory
# You wrote a backward pass. It runs, the loss even falls a little. Is it right? A wrong gradient raises no error: it just learns worse.
# In this lesson you build a checker in ten lines, find out how far it sees, hand it mistakes, and try to fool it.
#
# **You need** lesson 1 and the chain rule. **It takes** 35 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 6. 检验梯度：实验室
# 你写好了反向传播。程序能跑，损失也降了一点。可它对吗？梯度写错不会报错，只会学得差一些。
# 本课用十行代码造一个检验器，看它的眼力有多好，把各种错误交给它，再想办法骗过它。
#
# **需要**：第 1 课，以及链式法则。**用时**：35 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm import gradcheck
from tinyllm.lessons import claim
from tinyllm.ops import relu, sigmoid, softmax

COLOURS = "#D55E00", "#0072B2", "#009E73"


# %% [markdown] tags=["en"]
# ## A gradient is a promise
# The gradient $f'(x)$ of a number $f(x)$ promises: move $x$ by a little $h$, and $f$ moves by about $f'(x)\,h$. A promise can be tested
# without any calculus. Move both ways and look; this is the **central difference**:
#
# $$f'(x) \approx \frac{f(x + h) - f(x - h)}{2h}$$
#
# First on trial: the gradient that the article prints for the cross-entropy, $\sum_i (y_i - p_i)\,x_i$ with $p_i = \sigma(\theta x_i)$, at $\theta = 0.5$.
# The laboratory, `gradcheck`, does the same and says what it thinks. (Its two numbers are ours times `g`, which comes in a moment.)
# %% [markdown] tags=["zh"]
# ## 梯度是一个承诺
# $f(x)$ 是一个数，它的梯度 $f'(x)$ 承诺：$x$ 挪动一点点 $h$，$f$ 就挪动约 $f'(x)\,h$。承诺可以检验，而且用不着微积分：
# 往两边各挪一步，看看就知道。这就是**中心差分**：
#
# $$f'(x) \approx \frac{f(x + h) - f(x - h)}{2h}$$
#
# 第一个受审的，是文章给交叉熵印出的梯度 $\sum_i (y_i - p_i)\,x_i$，其中 $p_i = \sigma(\theta x_i)$，取 $\theta = 0.5$。
# 实验室 `gradcheck` 做同样的对照，还会说出它的看法。（它的两个数是我们的数乘上 `g`，这是什么，马上就讲。）
# %%
X, Y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0])


def cross_entropy(theta):
    p = sigmoid(theta * X)
    return -np.sum(Y * np.log(p) + (1 - Y) * np.log(1 - p))


def printed_gradient(theta):
    return np.sum((Y - sigmoid(theta * X)) * X)


difference = (cross_entropy(0.5 + 1e-5) - cross_entropy(0.5 - 1e-5)) / 2e-5
claim("S4-02", computed=difference, claimed=printed_gradient(0.5))
# %%
gradcheck(cross_entropy, 0.5, gradient=lambda g, theta: g * printed_gradient(theta))


# %% [markdown] tags=["en"]
# ## Which step? Not the smallest
# The formula's own error falls with $h$: for the central difference it is $\frac{h^2}{6} f'''$, for the one-sided **forward** difference
# $[f(x + h) - f(x)]\,/\,h$ it is $\frac{h}{2} f''$. But a computer keeps 16 digits (`float64`) or 7 (`float32`). Subtract two nearly equal
# numbers, and the digits that they share are gone; what is left is rounding, about $\varepsilon f / h$, which *grows* as $h$ falls. Here
# $\varepsilon$ is the spacing of numbers near 1, $2 \times 10^{-16}$ or $10^{-7}$. The best step is where both errors are equal:
#
# $$h_{\text{forward}} \approx \varepsilon^{1/2}, \qquad h_{\text{central}} \approx \varepsilon^{1/3}$$
#
# A third way subtracts nothing: step into the complex plane. Since $f(x + ih) = f(x) + i h f'(x) - \dots$, the slope is
# $\operatorname{Im} f(x + ih)\,/\,h$, for any small $h$. Guess how the three curves look before you run the cell.
# %% [markdown] tags=["zh"]
# ## 步长取多少？不是越小越好
# 公式本身的误差随 $h$ 变小：中心差分是 $\frac{h^2}{6} f'''$；只往一边走的**前向差分** $[f(x + h) - f(x)]\,/\,h$ 是 $\frac{h}{2} f''$。
# 可是计算机只留 16 位数字（`float64`）或 7 位（`float32`）。两个几乎相等的数一减，相同的那些位全没了，剩下的是舍入误差，
# 约为 $\varepsilon f / h$，$h$ 越小它反而*越大*。$\varepsilon$ 是 1 附近相邻两数的间隔，$2 \times 10^{-16}$ 或 $10^{-7}$。两种误差相等时步长最好：
#
# $$h_{\text{前向}} \approx \varepsilon^{1/2}, \qquad h_{\text{中心}} \approx \varepsilon^{1/3}$$
#
# 第三条路什么也不减：往复平面里迈一步。因为 $f(x + ih) = f(x) + i h f'(x) - \dots$，所以斜率就是
# $\operatorname{Im} f(x + ih)\,/\,h$，$h$ 多小都行。运行之前，先猜猜三条曲线的样子。
# %%
def slopes(f, x, h):
    return (f(x + h) - f(x)) / h, (f(x + h) - f(x - h)) / (2 * h), f(x + 1j * h).imag / h


near_one = (1 + 0.1 * np.random.default_rng(6).standard_normal(50)).astype("float32")
fig, axes = plt.subplots(1, 2, figsize=(10, 4.6), facecolor="white", layout="constrained", sharey=True)
for ax, dtype in zip(axes, ["float64", "float32"]):
    x, steps, eps = near_one.astype(dtype), np.logspace(-16, 0, 97).astype(dtype), np.finfo(dtype).eps
    ratio = [slopes(np.exp, x, h) / np.exp(x.astype("float64")) for h in steps]  # exp is its own derivative
    errors = np.sqrt(np.mean((np.array(ratio) - 1) ** 2, axis=-1)).T  # over the 50 points
    for error, name, colour, power in zip(errors, ["forward", "central", "complex"], COLOURS, [1 / 2, 1 / 3, 0]):
        ax.loglog(steps, error, "-" if power else "--", color=colour, label=f"{name}: {error.min():.0e} at best")
        if power:
            ax.plot(steps[error.argmin()], error.min(), "o", color=colour)
            ax.axvline(eps**power, color=colour, linestyle=":", linewidth=1)
    ax.set(xlabel="step h (dotted: where theory wants it)", ylim=(1e-17, 1e1))
    ax.legend(loc=(0.02, 0.1))
axes[0].set(title="float64: two valleys; the complex step has none", ylabel="relative error of the slope of exp near 1")
axes[1].set(title=f"float32: no difference is better than {errors[1].min():.0e}")
plt.show()


# %% [markdown] tags=["en"]
# Each valley has its floor near the dotted line. Left of it rounding rules, right of it the formula. Three rules to take home:
# central, not forward; never below $10^{-6}$; and **never in `float32`**, where a difference cannot tell a mistake from noise.
# The complex step is the most exact of all, where it can be used: a function with `abs` or a comparison inside breaks it without a word.
#
# ## Many numbers in, many numbers out
# A layer turns arrays into an array $y = f(x)$; the loss comes later. Backpropagation hands us $g = \partial L / \partial y$, of the
# shape of $y$, and wants $\partial L / \partial x$, of the shape of $x$. To test that alone, draw $g$ at random and take as the loss
#
# $$L(x) = \sum_k g_k\, y_k, \qquad \text{error} = \frac{|\text{analytic} - \text{numeric}|}{\max(|\text{analytic}|, |\text{numeric}|)}$$
#
# Now every element of $x$ is a number that can be moved. The error is **relative**: being wrong by 0.001 is a lot if the gradient is 0.002.
# That is your checker. `gradcheck` draws $g$ itself, uses better formulas, and knows the usual slips: below, it is handed seven.
# %% [markdown] tags=["zh"]
# 两个谷底都在虚线附近。左边是舍入误差说了算，右边是公式的误差说了算。记住三条：用中心差分，别用前向；步长别小于 $10^{-6}$；
# **千万别在 `float32` 里做差分**，那里的差分分不清错误和噪声。复数步最精确，但有条件：函数里若有 `abs` 或比较，它会不声不响地出错。
#
# ## 输入很多数，输出也很多数
# 一个层把数组变成数组：$y = f(x)$，损失还在后面。反向传播交给我们 $g = \partial L / \partial y$，形状与 $y$ 相同，想要的是
# $\partial L / \partial x$，形状与 $x$ 相同。要单独检验这一步，就随机取一个 $g$，把损失定为
#
# $$L(x) = \sum_k g_k\, y_k, \qquad \text{误差} = \frac{|\text{解析} - \text{数值}|}{\max(|\text{解析}|, |\text{数值}|)}$$
#
# 这样 $x$ 的每个元素都是可以单独挪动的数。误差是**相对**的：梯度只有 0.002 时，差 0.001 就很多了。
# 这就是你的检验器。`gradcheck` 自己取 $g$，用更好的公式，还认得常见的错误：下面就交给它七种。
# %%
def numeric_gradient(f, x, g, h=6e-6):
    slope = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i], down[i] = x[i] + h, x[i] - h
        slope[i] = np.sum(g * (f(up) - f(down))) / (2 * h)
    return slope


def dense(x, w, b):
    return np.tanh(x @ w + b)


def dense_gradient(g, x, w, b):
    d = g * (1 - np.tanh(x @ w + b) ** 2)  # back through tanh; then through the sum and the product
    return d @ w.T, x.T @ d, d.sum(axis=0)


rng = np.random.default_rng(6)
x, w, b, g = rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(4, 3))
analytic, numeric = dense_gradient(g, x, w, b)[1], numeric_gradient(lambda w: dense(x, w, b), w, g)
error = np.abs(analytic - numeric) / np.maximum(np.abs(analytic), np.abs(numeric))
print(f"your checker: the gradient of w, {w.shape}, is off by at most {error.max():.0e} of its size")

slips = {
    "nothing wrong": dense_gradient,
    "g forgotten": lambda g, x, w, b: dense_gradient(np.ones_like(g), x, w, b),
    "the sign turned": lambda *a: tuple(-part for part in dense_gradient(*a)),
    "x: w for w.T": lambda g, x, w, b: (g * (1 - dense(x, w, b) ** 2) @ w, *dense_gradient(g, x, w, b)[1:]),
    "w: transposed": lambda *a: (dense_gradient(*a)[0], dense_gradient(*a)[1].T, dense_gradient(*a)[2]),
    "b: mean for sum": lambda *a: (*dense_gradient(*a)[:2], dense_gradient(*a)[2] / len(a[1])),
    "b: first row only": lambda g, x, w, b: (*dense_gradient(g, x, w, b)[:2], (g * (1 - dense(x, w, b) ** 2))[0]),
    "times 1.00001": lambda *a: tuple(1.00001 * part for part in dense_gradient(*a)),
}
reports = {name: gradcheck(dense, x, w, b, gradient=gradient) for name, gradient in slips.items()}
worst = np.array([[argument.error for argument in report.arguments] for report in reports.values()])
found = sum(not report.ok for report in reports.values())
named = found - sum("no mistake of the table" in report.diagnosis for report in reports.values())
fig, ax = plt.subplots(figsize=(9, 4.2), facecolor="white", layout="constrained")
ax.imshow(np.log10(worst), cmap="YlOrRd", vmin=-12, vmax=0, aspect="auto")
for (row, column), error in np.ndenumerate(worst):
    ax.text(column, row, f"{error:.0e}", ha="center", va="center", color="white" if error > 1e-3 else "black")
for row, report in enumerate(reports.values()):
    said = report.diagnosis.replace("only the bias is wrong: ", "").split(";")[0].split(": ")[:2]
    ax.text(2.6, row, ": ".join(said) or "right", va="center", color="#555555" if report.ok else "#D55E00")
ax.set_yticks(range(len(slips)), slips)
ax.set_xticks(range(3), ["x (4, 3)", "w (3, 3)", "b (3,)"])
ax.set(xlim=(-0.5, 6.5), title=f"{found} slips, {found} found, {named} of them by name (worst relative error)")
ax.spines[:].set_visible(False)
plt.show()
# %% [markdown] tags=["en"]
# Your checker saw ten digits agree. Of the seven slips one was found and not named: `w` for `w.T` hides behind tanh. So **check small pieces**:
# the product alone gets its name. And **look where the errors are**: below, a softmax cross-entropy whose author forgot the - 1 at the labels.
# %% [markdown] tags=["zh"]
# 你的检验器看到十位数字相符。七种错误里，有一种发现了，却没叫出名字：把 `w.T` 写成 `w`，被 tanh 挡住了。所以要**一小块一小块地查**：
# 只查矩阵乘积，它就叫得出。还要**看错在哪里**：下面是 softmax 交叉熵，作者忘了在标签处减 1。
# %%
print(gradcheck(np.matmul, x, w, gradient=lambda g, x, w: (g @ w, x.T @ g)).diagnosis)


def mean_loss(z, labels):
    return -np.mean(np.log(softmax(z)[np.arange(len(labels)), labels]))


z, labels = rng.normal(size=(6, 5)), np.array([1, 0, 4, 2, 2, 3])
report = gradcheck(mean_loss, z, labels, gradient=lambda g, z, labels: (g * softmax(z) / len(labels), None))
print(report.diagnosis)
report.plot()
# %% [markdown] tags=["en"]
# ## A corner
# relu, $\max(x, 0)$, has no slope at 0, and a step that reaches over the corner measures a bit of both sides: 0.55 at $x = 0.0001$ with
# $h = 0.001$. Widening the tolerance until that passes would let real mistakes through. The laboratory finds the corner, and takes the step
# small enough; *on* the corner it accepts what lies between the slopes of both sides, and nothing else.
# %% [markdown] tags=["zh"]
# ## 拐点
# relu，即 $\max(x, 0)$，在 0 处没有斜率；步子跨过拐点，量到的就是两边各一部分：$x = 0.0001$、$h = 0.001$ 时得 0.55。放宽容差让它通过，
# 真正的错误也就跟着混过去了。实验室会找到拐点，把步子收小；正好*在*拐点上时，介于两侧斜率之间的它都接受，别的一概不认。
# %%
print("textbook's step:", numeric_gradient(relu, np.array([1e-4]), np.ones(1), h=1e-3), "  true slope: 1")
for point, at_zero in [(1e-4, 0), (0.0, 0), (0.0, 0.7), (0.0, 5)]:
    corner = gradcheck(relu, [point, 1.0], gradient=lambda g, x, s=at_zero: g * np.where(x == 0, s, x > 0))
    print(f"at {point:6}, slope taken at 0: {at_zero:3} -> {corner.grade}")
print(*corner.notes)


# %% [markdown] tags=["en"]
# ## Fool a checker
# With ones for $g$ and an absolute tolerance of $10^{-6}$, yours is what many people write. Four ways to fool it: which fools the laboratory, too?
# %% [markdown] tags=["zh"]
# ## 骗过检验器
# 把上面自制的检验器配上全 1 的 $g$ 和 $10^{-6}$ 的绝对容差，就是许多人写的那种。有四种办法骗过它。哪一种连实验室也骗得过？
# %%
tricks = {
    "softmax, zero for its gradient": (softmax, x, lambda g, x: 0 * x),
    "a tiny loss, half its gradient": (lambda x: 1e-9 * x * x, x, lambda g, x: 1e-9 * g * x),
    "x^3 at 0, 100 g x": (lambda x: x**3, np.zeros(3), lambda g, x: 100 * g * x),
    "a mean; f, too, forgets its 1/n": (np.sum, x, lambda g, x: g * np.ones_like(x)),
}
for name, (f, at, gradient) in tricks.items():
    lab, ones = gradcheck(f, at, gradient=gradient), np.ones_like(f(at))
    off = np.abs(gradient(ones, at) - numeric_gradient(f, at, ones)).max()
    print(f"{name:32} yours: {'right' if off < 1e-6 else 'wrong'}   laboratory: {lab.grade}", *lab.notes, sep="\n    ")
# %% [markdown] tags=["en"]
# The outputs of softmax add up to 1, so with ones for $g$ its true gradient *is* 0: $g$ must be random. The tolerance must be relative. At a
# point where everything is 0 there is nothing to see, and the laboratory says so. The last one passes everywhere, and rightly: the gradient
# belongs to the function. No checker knows which function you *meant*. That is what the losses worked out by hand in lesson 1 are for.
#
# ## Try next
# 1. Check a layer, `LSTM` of `tinyllm.layers`: `gradcheck(LSTM(4), rng.normal(size=(2, 3, 5)), order=2)`. What does order 2 add?
# 2. Find another $g$ for which zero passes as the gradient of softmax. (Which vectors are orthogonal to every row of its Jacobian?)
# 3. Use `slopes` on `lambda x: np.sin(50 * x)`. Where is the best step now, and why? `tinyllm.experiments.step_size` draws it.
# %% [markdown] tags=["zh"]
# softmax 的输出加起来总是 1，所以 $g$ 全取 1 时它的真梯度*就是* 0：$g$ 必须随机。容差必须是相对的。在处处为 0 的点上什么也看不出，实验室会
# 明说。最后一种谁都放行，而且没放错：这个梯度确实属于这个函数。检验器不知道你*本来想要*哪个函数，这要靠第 1 课那样亲手算出的损失来把关。
#
# ## 接着试试
# 1. 检验一整个层，`tinyllm.layers` 里的 `LSTM`：`gradcheck(LSTM(4), rng.normal(size=(2, 3, 5)), order=2)`。order 2 多查了什么？
# 2. 再找一个 $g$，让“零”冒充 softmax 的梯度也能通过。（哪些向量与它的雅可比矩阵的每一行都正交？）
# 3. 对 `lambda x: np.sin(50 * x)` 用 `slopes`。最好的步长到哪里去了，为什么？`tinyllm.experiments.step_size` 会画出来。
