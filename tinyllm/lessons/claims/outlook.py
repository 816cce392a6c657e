"""Sections 7 to 9 of the article: what to read, where it goes, questions and answers."""

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.generation.sampling import sample
from tinyllm.lessons.claims.entry import Claim
from tinyllm.lessons.claims.program import program
from tinyllm.ops import log_softmax, softmax
from tinyllm.optimizers import GD
from tinyllm.preprocessing.text import Tokenizer

__all__ = ["CLAIMS", "gpt_parameters"]

# D. Jurafsky & J. H. Martin, Speech and Language Processing: title page, 1st (2000), 2nd (2009), 3rd edition (draft)
AUTHORS = {"Jurafsky", "Martin"}
COURSES: dict[str, str] = {}  # the titles of Udacity's courses by their codes, as far as we could look them up: none
GPT3 = {
    "depth": 96,
    "width": 12288,
    "vocabulary": 50257,
    "context": 2048,
}  # Brown et al. 2020, table 2.1 and section 2.1


def gpt_parameters(depth: int, width: int, vocabulary: int, context: int) -> int:
    """Weights of a GPT with biases, whose head is its embedding table.

    A block has 12 width^2 + 13 width: attention 4 width^2 + 4 width, network 8 width^2 + 5 width, two norms 4 width.

    >>> gpt_parameters(96, 12288, 50257, 2048)
    174604259328
    """
    return depth * (12 * width**2 + 13 * width) + (vocabulary + context + 2) * width


def images_only() -> bool:
    """Does a sentence keep its characters when it is turned round or its ids are scaled by 2?"""
    text = "今天天气很好。"
    tokenizer = Tokenizer(char_level=True)
    tokenizer.fit_on_texts([text])
    ids = np.array(tokenizer.texts_to_sequences([text])[0])
    turned, scaled = (
        tokenizer.sequences_to_texts([changed.tolist()])[0].replace(" ", "") for changed in (ids[::-1], 2 * ids)
    )
    return text in (turned, scaled)


def leaves_the_weights() -> list[bool]:
    """Does choosing a token leave the weights as they are? Does a step of reinforcement learning?"""
    scores, rng = Tensor(np.zeros(3), requires_grad=True), np.random.default_rng(0)
    before = scores.data.copy()
    token = sample(softmax(scores.data), rng)
    chosen = np.array_equal(scores.data, before)
    reward = 1.0
    (-reward * log_softmax(scores)[token]).backward()  # REINFORCE (Williams 1992)
    GD(0.1).apply_gradients([(scores.grad, scores)])
    return [chosen, np.array_equal(scores.data, before)]


def zero_is_padding() -> bool:
    """Is padding a mark of its own: 0, which no word has?"""
    p = program()
    return bool(np.all(p.padded[:, 1:] == 0)) and 0 not in p.tokenizer.word_index.values()


def overfits() -> bool:
    """Fitting 10 noisy points: do 10 coefficients come nearer to them than 4, and further from 100 other points?"""
    rng = np.random.default_rng(0)
    x, new = np.linspace(-1, 1, 10), np.linspace(-1, 1, 100)
    y, truth = np.sin(3 * x) + 0.2 * rng.normal(size=10), np.sin(3 * new)

    def errors(coefficients: int) -> tuple[float, float]:
        fitted = np.linalg.lstsq(np.vander(x, coefficients), y)[0]
        seen, unseen = np.vander(x, coefficients) @ fitted - y, np.vander(new, coefficients) @ fitted - truth
        return float(np.mean(seen**2)), float(np.mean(unseen**2))

    (seen_4, unseen_4), (seen_10, unseen_10) = errors(4), errors(10)
    return seen_10 < seen_4 and unseen_10 > unseen_4


# fmt: off
CLAIMS = (
    Claim("S7-01", 716, ("Speech and Language Processing is by Jurafsky, Martin and Hogue",
                         "《Speech and Language Processing》的作者是 Jurafsky、Martin、Hogue"), "", "wrong", "",
          "Its authors are Daniel Jurafsky and James H. Martin; there is no Hogue.",
          "作者是 Daniel Jurafsky 和 James H. Martin，没有 Hogue。",
          lambda: {"Jurafsky", "Martin", "Hogue"} == AUTHORS),
    Claim("S7-02", 727, ("course nd893 is Udacity's deep learning nanodegree",
                         "课程 nd893 是 Udacity 的深度学习纳米学位"), "", "unverifiable", "",
          "We could not look it up; its code is believed to be nd101.", "我们查不到；其课程代码据信是 nd101。",
          lambda: COURSES.get("nd893", "not known")),
    Claim("S8-01", 751, ("GPT-3: parameters, in units of a thousand million", "GPT-3 的参数量，单位十亿"),
          "175", "right", "",
          "174,604,259,328, from its depth of 96, its width of 12,288 and its vocabulary of 50,257.",
          "共 174,604,259,328 个，由 96 层、宽 12288、词表 50257 算得。", lambda: gpt_parameters(**GPT3) / 1e9),
    Claim("S9-01", 780, ("rotating and scaling makes more training texts", "旋转、缩放可以增加训练文本"),
          "", "wrong", "",
          "That is for images; for texts one exchanges, deletes or inserts words, or translates there and back.",
          "那是图像的办法；文本可用换词、删词、插词或回译。", images_only),
    Claim("S9-02", 794, ("a way of writing leaves the weights alone: choosing a token, reinforcement learning",
                         "生成策略不改变权重：选词元、强化学习"), "", "imprecise", "",
          "It trains the model; greedy choice, temperature, top-k, top-p and beams are ways of writing.",
          "它是训练方法；贪心、温度、top-k、top-p、束搜索才是生成策略。", leaves_the_weights),
    Claim("S9-03", 786, ("padding is a mark of its own", "填充用一个专门的标记"), "", "right", "",
          "In Keras it is the number 0, which no word ever gets.", "在 Keras 里它是数字 0，不会分给任何词。",
          zero_is_padding),
    Claim("S9-04", 775, ("more parameters fit the training data better, and may fit other data worse",
                         "参数越多，训练数据拟合得越好，也可能过拟合"), "", "right", "",
          "10 coefficients go through 10 noisy points and miss the curve between them; 4 do not.",
          "10 个系数能穿过 10 个带噪声的点，却偏离点间的曲线；4 个则不会。", overfits),
)
# fmt: on
