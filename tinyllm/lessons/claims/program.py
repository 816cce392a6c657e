"""Sections 5.2 and 5.3 of the article: its program, run on this library once, with a fixed seed."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from tinyllm.generation.sampling import sample
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.lessons.claims.entry import Claim, tried
from tinyllm.lessons.claims.environment import SENTENCES
from tinyllm.models import Sequential
from tinyllm.preprocessing.sequence import pad_sequences
from tinyllm.preprocessing.text import Tokenizer

__all__ = ["CLAIMS", "Program", "program"]

LABELS = np.array([1, 0, 1])  # line 542
UNSEEN = "我爱学习。"
PARTS = ("data", "model", "training", "evaluation", "generation")  # lines 565 to 582


@dataclass(frozen=True)
class Program:
    """What the article's program has made when it comes to its line 546."""

    tokenizer: Tokenizer
    ids: list[list[int]]
    padded: np.ndarray
    model: Sequential
    predictions: np.ndarray

    @property
    def words(self) -> list[str]:
        return list(self.tokenizer.word_index)


@cache
def program() -> Program:
    """Lines 524 to 545, seed 0: half a second the first time, then kept. Do not change what it returns."""
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(SENTENCES)
    ids = tokenizer.texts_to_sequences(SENTENCES)
    padded = pad_sequences(ids, maxlen=5, padding="post")
    layers = [Embedding(len(tokenizer.word_index) + 1, 50, input_length=5), LSTM(100), Dense(1, activation="sigmoid")]
    model = Sequential(layers, seed=0)
    model.compile("adam", "binary_crossentropy", ["accuracy"])
    model.fit(padded, LABELS, epochs=100, batch_size=1, verbose=0)
    return Program(tokenizer, ids, padded, model, model.predict(padded))


def parameters(layer: int) -> int:
    return int(program().model.layers[layer].count_params())


def accuracy() -> float:
    return float(program().model.evaluate(program().padded, LABELS)[1])


def evaluated() -> list[bool]:
    """Are the training sentences answered rightly? Does an unseen sentence reach the model as anything but zeros?"""
    p = program()
    right = np.array_equal(p.predictions[:, 0] > 0.5, LABELS == 1)
    return [right, bool(np.any(p.tokenizer.texts_to_sequences([UNSEEN])[0]))]


def generate() -> list[str]:
    """Lines 549 to 556, the drawing of words."""
    p = program()
    index_to_word = {i: word for word, i in p.tokenizer.word_index.items()}
    texts = []
    for row in p.predictions:
        words = [k for k, v in p.tokenizer.word_index.items() if v != "<PAD>"]
        drawn = [np.random.choice(words, p=row[j]) for j in range(5)]  # noqa: NPY002  (the article's call)
        texts.append(" ".join(index_to_word[index] for index in drawn))
    return texts


def look_up_a_word() -> str:
    p = program()
    index_to_word = {i: word for word, i in p.tokenizer.word_index.items()}
    return index_to_word[p.words[0]]  # type: ignore[index]  # a word where a number is wanted: that is the claim


def padding_is_left_out() -> bool:
    """Does the condition v != "<PAD>" leave anything out?"""
    index = program().tokenizer.word_index
    return len([word for word, v in index.items() if v != "<PAD>"]) < len(index)


def drawn_is_most_probable() -> bool:
    """Is a random draw the most probable token, always? And has the model a probability for each word?"""
    p, rng = np.array([0.5, 0.3, 0.2]), np.random.default_rng(0)
    always = all(sample(p, rng) == np.argmax(p) for _ in range(100))
    return always and one_probability_a_word()


def one_probability_a_word() -> bool:
    return program().predictions.shape[1] == len(program().words)


def numbers_every_word() -> list[bool]:
    """Has every sentence got numbers? Is every entry a word, without a full stop in it?"""
    p = program()
    return [all(p.ids), not any(mark in word for word in p.words for mark in "，。！")]


# fmt: off
CLAIMS = (
    Claim("S5-06", 524, ("Tokenizer() cuts the sentences into words", "Tokenizer() 把句子切成词"), "", "wrong", "",
          "It cuts at spaces, and these sentences have none: each sentence is one token.",
          "它按空格切分，而这些句子没有空格：一整句就是一个词元。",
          lambda: any(len(sequence) > 1 for sequence in program().ids)),
    Claim("S5-07", 526, "texts_to_sequences(text_data)", "", "right", "[[1], [2], [3]]",
          "One token a sentence, numbered as they come.", "每句一个词元，按出现顺序编号。",
          lambda: program().ids, lambda: [[i] for i, _ in enumerate(SENTENCES, 1)]),
    Claim("S5-08", 530, "pad_sequences(..., maxlen=5, padding='post')", "", "right",
          "[[1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [3, 0, 0, 0, 0]]",
          "Zeros are added behind.", "在后面补零。",
          lambda: program().padded, lambda: [ids + [0] * (5 - len(ids)) for ids in program().ids]),
    Claim("S5-09", 534, ("Embedding(4, 50): parameters", "Embedding(4, 50) 的参数个数"), "", "right", "200",
          "4 rows of 50 numbers; row 0, the padding, is trained too.",
          "4 行，每行 50 个数；第 0 行（填充）也参与训练。", lambda: parameters(0), lambda: 4 * 50),
    Claim("S5-10", 535, ("LSTM(100): parameters", "LSTM(100) 的参数个数"), "", "right", "60400",
          "4 gates of 50 x 100 + 100 x 100 + 100.", "4 个门，每个 50×100 + 100×100 + 100。",
          lambda: parameters(1), lambda: 4 * (50 * 100 + 100 * 100 + 100)),
    Claim("S5-11", 536, ("Dense(1): parameters", "Dense(1) 的参数个数"), "", "right", "101",
          "100 weights and one bias; 60,701 in the whole model.", "100 个权重加 1 个偏置；整个模型共 60701 个。",
          lambda: parameters(2), lambda: 100 + 1),
    Claim("S5-12", 539, ("compile('adam', 'binary_crossentropy', ['accuracy']): the accuracy that is told",
                         "compile('adam', 'binary_crossentropy', ['accuracy'])：报告的 accuracy"), "", "right", "",
          "For one sigmoid output, accuracy counts p > 0.5.", "对单个 sigmoid 输出，accuracy 按 p > 0.5 计。",
          accuracy, lambda: np.mean((program().predictions[:, 0] > 0.5) == LABELS)),
    Claim("S5-13", 542, ("fit(epochs=100, batch_size=1): weight updates", "fit(epochs=100, batch_size=1)：更新次数"),
          "", "right", "300",
          "Three samples, a hundred times; the loss ends below 0.001.", "三个样本，一百轮；最后损失低于 0.001。",
          lambda: int(program().model.optimizer.iterations), lambda: 3 * 100),
    Claim("S5-14", 545, ("predict(padded_texts): shape", "predict(padded_texts) 的形状"), "", "right", "(3, 1)",
          "One probability a sentence, near 1, 0, 1.", "每句一个概率，接近 1、0、1。",
          lambda: program().predictions.shape, lambda: (len(SENTENCES), 1)),
    Claim("S5-15", 544, ("predicting the training sentences evaluates the model: these are right, others are known too",
                         "对训练句子做预测就是评估：这些都对，别的句子也认识"), "", "imprecise", "",
          "Only sentences that the model has not seen would tell how good it is, and it knows no word of those.",
          "要知道好坏，得用模型没见过的句子；而那些句子它一个词也不认识。", evaluated),
    Claim("S5-16", 554, ("np.random.choice(words, p=predictions[i][j]) draws a word",
                         "np.random.choice(words, p=predictions[i][j]) 抽出一个词"), "", "wrong", "",
          "predictions[i][j] is one number, not a list of probabilities: the program stops here.",
          "predictions[i][j] 是一个数，不是概率列表：程序到此中断。", lambda: tried(generate)),
    Claim("S5-17", 554, ("p=predictions[i] would do", "改成 p=predictions[i] 就行"), "", "wrong", "",
          "Three words and one probability do not match.", "三个词对一个概率，长度不符。",
          lambda: tried(lambda: np.random.choice(program().words, p=program().predictions[0]))),  # noqa: NPY002
    Claim("S5-18", 553, ("predictions[i] has five steps", "predictions[i] 有五步"), "", "wrong", "",
          "It has one entry, so j = 1 is outside.", "它只有一个元素，j = 1 就越界。",
          lambda: tried(lambda: [program().predictions[0][j] for j in range(5)])),
    Claim("S5-19", 555, ("index2word[index] is a word", "index2word[index] 是一个词"), "", "wrong", "",
          "The draw gives a word, but index2word is asked with numbers.", "抽到的是词，而 index2word 要用数字来查。",
          lambda: tried(look_up_a_word)),
    Claim("S5-20", 554, ("v != '<PAD>' leaves the padding out", "v != '<PAD>' 排除了填充"), "", "wrong", "",
          "v is a number and never equals a string; padding has no entry at all.",
          "v 是数字，永远不等于字符串；填充本来就不在词表里。", padding_is_left_out),
    Claim("S5-21", 558, ("print(generated_texts) is reached", "能执行到 print(generated_texts)"), "", "wrong", "",
          "The program has stopped at line 554.", "程序在第 554 行就中断了。",
          lambda: not isinstance(tried(generate), Exception)),
    Claim("S5-22", 583, ("text comes from randomly choosing the most probable sequence",
                         "“随机选择概率最高的序列”来生成文本"), "", "wrong", "",
          "Random and most probable exclude each other, and this model gives no probabilities of words.",
          "“随机”与“最高”互相矛盾，而且这个模型根本不输出词的概率。", drawn_is_most_probable),
    Claim("S5-23", 510, ("this is a simple language model", "这是一个简单的语言模型"), "", "wrong", "",
          "It answers yes or no about a sentence; a language model predicts the next token.",
          "它只对句子回答是或否；语言模型要预测下一个词元。", one_probability_a_word),
    Claim("S5-24", 563, ("parts of the program", "程序分为几部分"), "4", "wrong", "5",
          "Five are listed.", "下面列了五项。", lambda: len(PARTS)),
    Claim("S5-25", 566, ("word_index numbers every word: every sentence gets numbers, every entry is a word",
                         "word_index 给每个词编号：每句都得到编号，每一项都是词"), "", "imprecise", "",
          "Here every entry is a whole sentence with its punctuation.", "在这里，每一项都是带标点的整句话。",
          numbers_every_word),
)
# fmt: on
