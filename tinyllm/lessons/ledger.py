"""The ledger: what the article claims, line by line, and what became of each claim.

The article is "LLM 产业链生态" (an introduction to language models, in Chinese); lessons follow it and compute its
figures again. An entry says in our own words what is claimed; claims.py checks it against a computation.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["LEDGER", "VERDICTS", "Claim", "Verdict"]

Verdict = Literal["right", "wrong", "imprecise", "right given a wrong input", "unverifiable"]

VERDICTS: dict[Verdict, str] = {  # with their Chinese names
    "right": "正确",
    "wrong": "错误",
    "imprecise": "不准确",
    "right given a wrong input": "输入错，算得对",
    "unverifiable": "无法核实",
}


@dataclass(frozen=True)
class Claim:
    """One claim of the article.

    id       section and number, for example "S4-09"
    line     where the article makes it
    says     what is claimed: a formula or a few words; (English, Chinese) where the words differ
    claimed  the number or numbers as the article prints them ("-0.105": three decimals); "" where it prints none
    verdict  one of VERDICTS
    truth    the number or numbers that a computation must find, if there is one answer
    why      one sentence in English
    why_zh   the same in Chinese
    """

    id: str
    line: int
    says: str | tuple[str, str]
    claimed: str
    verdict: Verdict
    truth: str
    why: str
    why_zh: str


SUM = ("The printed terms add up to another number.", "照印出的各项相加，得不到这个数。")
TWIN = (
    "theta_2 and theta_6 have the same printed terms, and they add up to -2.2.",
    "theta_2 与 theta_6 式子相同，和是 -2.2。",
)
STEP = ("The subtraction is done right, but the gradient that goes in is wrong.", "减法没错，错的是代进去的梯度。")

# fmt: off
_ENTRIES = (
    Claim("S3-02", 83, ("moving along the gradient makes the loss smaller", "沿梯度方向走，损失变小"), "", "wrong", "",
          "The gradient points uphill; descent goes against it, as line 174 itself does.",
          "梯度指向上坡；要下降就得反着走，第 174 行的公式正是这样写的。"),

    # -- Section 4: losses and their gradients
    Claim("S4-01", 104, "-sum_i y_i log p_i, i = samples", "", "imprecise", "",
          "The sum must run over the classes of one sample; over samples with labels 0 or 1, every 0 costs nothing.",
          "求和应遍历一个样本的各个类别；若遍历标签为 0/1 的样本，标签为 0 的一项永远是零。"),
    Claim("S4-02", 112, "d(cross-entropy)/dtheta = sum_i (y_i - p_i) x_i", "", "wrong", "",
          "The sign is the other way round: sum_i (p_i - y_i) x_i.",
          "符号反了：应为 sum_i (p_i - y_i) x_i。"),
    Claim("S4-03", 115, ("theta = the parameters of the model", "theta = 模型参数"), "", "imprecise", "",
          "True for one layer only; the weights of a hidden layer need the chain rule.",
          "只对单层模型成立；隐藏层的权重还要用链式法则。"),
    Claim("S4-04", 122, "MSE = 1/2 sum_i (y_i - p_i)^2", "", "wrong", "",
          "That is half of a sum; the mean squared error divides the sum by n.",
          "这是“和的一半”；均方误差是把平方和除以 n。"),
    Claim("S4-05", 130, "d(1/2 sum (y - p)^2)/dtheta = sum_i (y_i - p_i) x_i", "", "wrong", "",
          "The sign is the other way round: sum_i (p_i - y_i) x_i, for a linear output.",
          "符号反了：线性输出时应为 sum_i (p_i - y_i) x_i。"),
    Claim("S4-06", 138, "-[y log p + (1 - y) log(1 - p)]", "", "right", "",
          "This is the binary cross-entropy, with the natural logarithm.", "这正是二元交叉熵，log 为自然对数。"),
    Claim("S4-07", 144, "y = 1, p = 0.9: -[1 log 0.9 + (1 - 1) log(1 - 0.9)]", "", "right", "0.105361",
          "The numbers are put in correctly.", "数字代入正确。"),
    Claim("S4-08", 148, "= -[log 0.9]", "", "right", "0.105361",
          "The other term is multiplied by 0.", "另一项乘的是 0。"),
    Claim("S4-09", 152, "-[log 0.9]", "-0.105", "wrong", "0.105361",
          "log 0.9 is -0.105; the minus sign in front of it makes the loss positive.",
          "log 0.9 才是 -0.105；前面还有负号，所以损失是正的。"),
    Claim("S4-10", 158, "y = 0, p = 0.1: -[0 log 0.1 + (1 - 0) log(1 - 0.1)]", "", "right", "0.105361",
          "The numbers are put in correctly.", "数字代入正确。"),
    Claim("S4-11", 162, "= -[log 0.1]", "", "wrong", "0.105361",
          "The term that stays is log(1 - 0.1) = log 0.9.", "留下来的是 log(1 - 0.1)，也就是 log 0.9。"),
    Claim("S4-12", 166, "y = 0, p = 0.1", "2.302", "wrong", "0.105361",
          "2.303 is the loss of y = 0, p = 0.9; here the model is nearly right and the loss is small.",
          "2.303 是 y = 0、p = 0.9 时的损失；这里模型几乎答对，损失很小。"),
    Claim("S4-13", 174, "theta - alpha dLoss/dtheta", "", "right", "",
          "Against the gradient, a small step at a time: that is gradient descent.",
          "逆着梯度走一小步，正是梯度下降。"),

    # -- Section 4: the network of the example
    Claim("S4-14", 179, ("a 1-2-1 network has this many weights", "1-2-1 网络的权重个数"), "10", "wrong", "7",
          "1-2-1 has 7 weights with biases and 4 without; 10 belong to 4-2-1 without or 1-3-1 with biases.",
          "1-2-1 带偏置有 7 个权重，不带有 4 个；10 个对应不带偏置的 4-2-1 或带偏置的 1-3-1。"),
    Claim("S4-15", 179, ("x = [1, 2, 3, 4], y = [0, 1, 0, 1]: number of samples",
                         "x = [1, 2, 3, 4]，y = [0, 1, 0, 1]：样本数"), "4", "right", "4",
          "With one input neuron these are four samples of one number.", "输入层只有一个神经元，这就是四个单数样本。"),
    Claim("S4-16", 181, ("numbers in the first sample x_1", "第一个样本 x_1 含几个数"), "4", "wrong", "1",
          "One input neuron takes one number: the first sample is x_1 = 1.",
          "一个输入神经元只接收一个数：第一个样本是 x_1 = 1。"),
    Claim("S4-17", 179, ("the ten numbers theta_0 are the weights of that network", "十个数 theta_0 就是该网络的权重"),
          "", "wrong", "",
          "They do not fit it, and theta_0 names both the vector and, from line 300 on, its first number.",
          "个数对不上；而且 theta_0 既指整个向量，第 300 行起又指其中第一个数。"),
    Claim("S4-18", 184, "y = 0: -[0 log p + 1 log(1 - p)]", "", "right", "",
          "The numbers are put in correctly.", "数字代入正确。"),
    Claim("S4-19", 189, ("the prediction for the first sample", "第一个样本的预测"), "0.6", "imprecise", "",
          "It is assumed, not computed; the network as stated, without biases, gives 0.593.",
          "这是假设的，不是算出来的；题面所说的网络（不带偏置）给出 0.593。"),
    Claim("S4-20", 192, "y = 0, p = 0.6: -[log 0.4]", "", "right", "0.916291",
          "The term that stays is log(1 - 0.6).", "留下来的正是 log(1 - 0.6)。"),
    Claim("S4-21", 200, "-[log 0.4]", "0.916", "right", "0.916291",
          "0.916291 to three places.", "0.916291 取三位小数。"),
    Claim("S4-22", 206, "dLoss/dtheta_0 = sum_i (y_i - p_i) x_i", "", "wrong", "",
          "The sign is turned, the hidden layer is left out, and every weight would have the same derivative.",
          "符号反了，漏掉了隐藏层，而且照此每个权重的导数都一样。"),
    Claim("S4-23", 210, ("labels in the first sum", "第一个和式里的标签"), "0, 0, 0, 0", "wrong", "0, 1, 0, 1",
          "The labels are given as 0, 1, 0, 1.", "题中给出的标签是 0、1、0、1。"),
    Claim("S4-24", 214, "dLoss/dtheta_0", "-2.4", "wrong", "-6",
          "The printed terms add up to -6; -2.4 is the last of them alone.",
          "印出的各项之和是 -6；-2.4 只是最后一项。"),
    Claim("S4-25", 222, "dLoss/dtheta_1", "-1.6", "wrong", "-1", *SUM),
    Claim("S4-26", 230, "dLoss/dtheta_2", "-1.2", "wrong", "-2.2", *TWIN),
    Claim("S4-27", 238, "dLoss/dtheta_3", "-0.8", "wrong", "-1", *SUM),
    Claim("S4-28", 246, "dLoss/dtheta_4", "-0.4", "wrong", "1", *SUM),
    Claim("S4-29", 254, "dLoss/dtheta_5", "0", "wrong", "1", *SUM),
    Claim("S4-30", 262, "dLoss/dtheta_6", "0.4", "wrong", "-2.2", *TWIN),
    Claim("S4-31", 270, "dLoss/dtheta_7", "0.8", "wrong", "-2", *SUM),
    Claim("S4-32", 278, "dLoss/dtheta_8", "1.2", "wrong", "0", *SUM),
    Claim("S4-33", 286, "dLoss/dtheta_9", "1.6", "wrong", "-2", *SUM),
    Claim("S4-34", 294, "dLoss/dtheta_10", "2.4", "wrong", "0",
          "The terms add up to 0, and ten weights end at theta_9.", "各项之和是 0；何况十个权重到 theta_9 为止。"),
    Claim("S4-35", 290, ("number of partial derivatives", "偏导数的个数"), "11", "wrong", "10",
          "Ten weights have ten partial derivatives.", "十个权重只有十个偏导数。"),
    Claim("S4-36", 214, ("the eleven results", "十一个结果"),
          "-2.4, -1.6, -1.2, -0.8, -0.4, 0, 0.4, 0.8, 1.2, 1.6, 2.4", "wrong",
          "-6, -1, -2.2, -1, 1, 1, -2.2, -2, 0, -2, 0",
          "They rise in even steps of 0.4 but at both ends; none equals its own expression.",
          "除首尾外每次恰好加 0.4；没有一个等于它自己的式子。"),
    Claim("S4-37", 210, ("order of the inputs in the sum for theta_1", "theta_1 的和式里输入的顺序"), "2, 1, 3, 4",
          "wrong", "1, 2, 3, 4",
          "The samples do not change places when another weight is looked at.", "换一个权重求导，样本不会跟着换位置。"),
    Claim("S4-38", 312, "theta_0 = 0.1 - 0.1 (-2.4)", "0.34", "right given a wrong input", "", *STEP),
    Claim("S4-39", 328, "theta_1 = 0.2 - 0.1 (-1.6)", "0.36", "right given a wrong input", "", *STEP),
    Claim("S4-40", 344, "theta_2 = 0.3 - 0.1 (-1.2)", "0.42", "right given a wrong input", "", *STEP),
    Claim("S4-41", 360, "theta_3 = 0.4 - 0.1 (-0.8)", "0.48", "right given a wrong input", "", *STEP),
    Claim("S4-42", 376, "theta_4 = 0.5 - 0.1 (-0.4)", "0.54", "right given a wrong input", "", *STEP),
    Claim("S4-43", 388, "theta_5 = 0.6 - 0.1 (0)", "0.6", "right given a wrong input", "", *STEP),
    Claim("S4-44", 404, "theta_6 = 0.7 - 0.1 (0.4)", "0.66", "right given a wrong input", "", *STEP),
    Claim("S4-45", 420, "theta_7 = 0.8 - 0.1 (0.8)", "0.72", "right given a wrong input", "", *STEP),
    Claim("S4-46", 436, "theta_8 = 0.9 - 0.1 (1.2)", "0.78", "right given a wrong input", "", *STEP),
    Claim("S4-47", 452, "theta_9 = 1.0 - 0.1 (1.6)", "0.84", "right given a wrong input", "", *STEP),
    Claim("S4-48", 468, "theta_10 = 1.1 - 0.1 (2.4)", "0.86", "wrong", "",
          "There is no eleventh weight; its start of 1.1 appears from nowhere.",
          "没有第十一个权重；1.1 这个初值是凭空来的。"),
    Claim("S4-49", 474, ("the weights after the step", "更新后的权重"),
          "0.34, 0.36, 0.42, 0.48, 0.54, 0.6, 0.66, 0.72, 0.78, 0.84, 0.86", "wrong", "",
          "They follow from the eleven lines above, not from gradient descent under any reading.",
          "它们与上面十一行一致，但在任何一种解读下都不是梯度下降的结果。"),
    Claim("S4-50", 477, ("these steps make the model better", "照以上步骤，模型得到优化"), "", "wrong", "",
          "With the printed sign, one step makes the loss larger.", "按印出的符号走一步，损失反而变大。"),

    # -- Section 5: the program
    Claim("S5-06", 524, ("Tokenizer() cuts the sentences into words", "Tokenizer() 把句子切成词"), "", "wrong", "",
          "It cuts at spaces, and these sentences have none: each sentence is one token.",
          "它按空格切分，而这些句子没有空格：一整句就是一个词元。"),
    Claim("S5-07", 526, "texts_to_sequences(text_data)", "", "right", "[[1], [2], [3]]",
          "One token a sentence, numbered as they come.", "每句一个词元，按出现顺序编号。"),
    Claim("S5-08", 530, "pad_sequences(..., maxlen=5, padding='post')", "", "right",
          "[[1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [3, 0, 0, 0, 0]]",
          "Zeros are added behind.", "在后面补零。"),
    Claim("S5-09", 534, ("Embedding(4, 50): parameters", "Embedding(4, 50) 的参数个数"), "", "right", "200",
          "4 rows of 50 numbers; row 0, the padding, is trained too.",
          "4 行，每行 50 个数；第 0 行（填充）也参与训练。"),
    Claim("S5-10", 535, ("LSTM(100): parameters", "LSTM(100) 的参数个数"), "", "right", "60400",
          "4 gates of 50 x 100 + 100 x 100 + 100.", "4 个门，每个 50×100 + 100×100 + 100。"),
    Claim("S5-11", 536, ("Dense(1): parameters", "Dense(1) 的参数个数"), "", "right", "101",
          "100 weights and one bias; 60,701 in the whole model.", "100 个权重加 1 个偏置；整个模型共 60701 个。"),
    Claim("S5-12", 539, "compile('adam', 'binary_crossentropy', ['accuracy'])", "", "right", "",
          "For one sigmoid output, accuracy counts p > 0.5.", "对单个 sigmoid 输出，accuracy 按 p > 0.5 计。"),
    Claim("S5-13", 542, ("fit(epochs=100, batch_size=1): weight updates", "fit(epochs=100, batch_size=1)：更新次数"),
          "", "right", "300",
          "Three samples, a hundred times; the loss ends below 0.001.", "三个样本，一百轮；最后损失低于 0.001。"),
    Claim("S5-14", 545, ("predict(padded_texts): shape", "predict(padded_texts) 的形状"), "", "right", "(3, 1)",
          "One probability a sentence, near 1, 0, 1.", "每句一个概率，接近 1、0、1。"),
    Claim("S5-15", 544, ("predicting the training sentences evaluates the model", "对训练句子做预测就是评估"), "",
          "imprecise", "",
          "Only sentences that the model has not seen would tell how good it is.",
          "要知道好坏，得用模型没见过的句子。"),
    Claim("S5-16", 554, ("np.random.choice(words, p=predictions[i][j]) draws a word",
                         "np.random.choice(words, p=predictions[i][j]) 抽出一个词"), "", "wrong", "",
          "predictions[i][j] is one number, not a list of probabilities: the program stops here.",
          "predictions[i][j] 是一个数，不是概率列表：程序到此中断。"),
    Claim("S5-17", 554, ("p=predictions[i] would do", "改成 p=predictions[i] 就行"), "", "wrong", "",
          "Three words and one probability do not match.", "三个词对一个概率，长度不符。"),
    Claim("S5-18", 553, ("predictions[i] has five steps", "predictions[i] 有五步"), "", "wrong", "",
          "It has one entry, so j = 1 is outside.", "它只有一个元素，j = 1 就越界。"),
    Claim("S5-19", 555, ("index2word[index] is a word", "index2word[index] 是一个词"), "", "wrong", "",
          "The draw gives a word, but index2word is asked with numbers.", "抽到的是词，而 index2word 要用数字来查。"),
    Claim("S5-20", 554, ("v != '<PAD>' leaves the padding out", "v != '<PAD>' 排除了填充"), "", "wrong", "",
          "v is a number and never equals a string; padding has no entry at all.",
          "v 是数字，永远不等于字符串；填充本来就不在词表里。"),
    Claim("S5-21", 558, ("print(generated_texts) is reached", "能执行到 print(generated_texts)"), "", "wrong", "",
          "The program has stopped at line 554.", "程序在第 554 行就中断了。"),
    Claim("S5-22", 583, ("text comes from randomly choosing the most probable sequence",
                         "“随机选择概率最高的序列”来生成文本"), "", "wrong", "",
          "Random and most probable exclude each other, and this model gives no probabilities of words.",
          "“随机”与“最高”互相矛盾，而且这个模型根本不输出词的概率。"),
    Claim("S5-23", 510, ("this is a simple language model", "这是一个简单的语言模型"), "", "wrong", "",
          "It answers yes or no about a sentence; a language model predicts the next token.",
          "它只对句子回答是或否；语言模型要预测下一个词元。"),
    Claim("S5-24", 563, ("parts of the program", "程序分为几部分"), "4", "wrong", "5",
          "Five are listed.", "下面列了五项。"),
    Claim("S5-25", 566, ("word_index numbers every word", "word_index 给每个词编号"), "", "imprecise", "",
          "Here every entry is a whole sentence with its punctuation.", "在这里，每一项都是带标点的整句话。"),
    Claim("S5-26", 595, ("model.save(...) keeps the model", "model.save(...) 保存了模型"), "", "right", "",
          "The weights come back bit for bit; the tokenizer is not saved with them.",
          "权重能逐位还原；但分词器没有一起保存。"),
    Claim("S5-27", 602, ("python app.py serves the model", "python app.py 就能提供服务"), "", "wrong", "",
          "The file never loads the tokenizer or the model: the first request fails.",
          "文件里没有载入分词器和模型：第一个请求就出错。"),
    Claim("S5-28", 613, ("argmax(axis=1) gives the class", "argmax(axis=1) 给出类别"), "[1]", "wrong", "[0]",
          "One column has its largest entry at 0, whatever is in it; p > 0.5 was meant.",
          "只有一列时，最大值的位置永远是 0；本意应是 p > 0.5。"),
    Claim("S5-29", 640, ("the service answers", "接口的返回"), "[1]", "wrong", "[0]",
          "It answers 0 to every sentence.", "无论什么句子都返回 0。"),
)
# fmt: on

LEDGER: dict[str, Claim] = {entry.id: entry for entry in _ENTRIES}
