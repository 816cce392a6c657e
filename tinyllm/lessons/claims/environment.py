"""Section 5.1 of the article: setting up the machine. Facts held as data, each with its source and date."""

import re

from tinyllm.lessons.claims.entry import Claim

__all__ = ["CLAIMS"]

# The Python versions that have a wheel of TensorFlow 2.7 (PyPI, tensorflow 2.7.0 to 2.7.4, November 2026); pip on 3.10
# answers "No matching distribution found", and 2.8.0 is the first with wheels for it.
WHEELS_OF_2_7 = ("3.7", "3.8", "3.9")
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")  # "3.8 and later" (python.org, November 2026)

# TensorFlow 2.7.0 asks for protobuf >= 3.9.2 and sets no upper bound; the newest for Python 3.8 is 5.29.6 (PyPI,
# November 2026). The code that protoc made for TensorFlow 2.7 stopped working with protobuf 4 (its release notes, 4.21,
# May 2022): "TypeError: Descriptors cannot be created directly". Tried: with protobuf 3.20.3 the import works.
PROTOBUFS = ((3, 9, 2), (3, 20, 3), (4, 25, 8), (5, 29, 6))
LOWEST, FIRST_THAT_BREAKS = (3, 9, 2), (4, 21, 0)

# The Python 3 that apt-get knows (packages.debian.org, packages.ubuntu.com, November 2026).
APT = {
    "Debian 11": ("3.9",),
    "Debian 12": ("3.11",),
    "Debian 13": ("3.13",),
    "Ubuntu 20.04": ("3.8", "3.9"),
    "Ubuntu 22.04": ("3.10", "3.11"),
    "Ubuntu 24.04": ("3.12",),
}

# What lines 495 to 497 install, with what comes along, and what the programs of lines 513 to 618 import.
INSTALLED = {"python", "tensorflow", "numpy", "notebook"}
IMPORTS = """
    tensorflow tensorflow.keras.preprocessing.sequence tensorflow.keras.layers tensorflow.keras.models numpy
    flask
"""
SENTENCES = ["你好，世界！", "今天天气很好。", "我爱中国。"]  # line 521


def newest_protobuf_works() -> bool:
    """Does the protobuf that pip picks, the newest that TensorFlow 2.7 allows, work with it?"""
    return max(version for version in PROTOBUFS if version >= LOWEST) < FIRST_THAT_BREAKS


# fmt: off
CLAIMS = (
    Claim("S5-01", 487, ("TensorFlow 2.7 installs on Python 3.8 and later", "Python 3.8 及以上都能装 TensorFlow 2.7"),
          "", "wrong", "",
          "There are wheels for Python 3.7 to 3.9 only; pip on 3.10 finds none.",
          "只有 Python 3.7 到 3.9 的安装包；在 3.10 上 pip 找不到。",
          lambda: all(version in WHEELS_OF_2_7 for version in PYTHONS)),
    Claim("S5-02", 496, ("after pip3 install tensorflow==2.7 it can be imported",
                         "执行 pip3 install tensorflow==2.7 之后就能导入"), "", "wrong", "",
          "It was so in 2021; today pip picks protobuf 5, and the import fails until protobuf==3.20.3 is installed.",
          "2021 年可以；如今 pip 会选 protobuf 5，导入失败，要改装 protobuf==3.20.3。", newest_protobuf_works),
    Claim("S5-03", 495, ("apt-get install python3.8 works on Linux", "在 Linux 上可用 apt-get install python3.8"),
          "", "wrong", "",
          "Of the releases listed here only Ubuntu 20.04 has that package, and pip3 need not belong to it.",
          "所列版本中只有 Ubuntu 20.04 有这个包；而且 pip3 不一定属于它。",
          lambda: all("3.8" in versions for versions in APT.values())),
    Claim("S5-04", 493, ("these commands install all that the programs import", "这些命令装好了程序要导入的一切"),
          "", "wrong", "",
          "Flask, which section 5.4 imports, is missing.", "缺少 5.4 节要导入的 Flask。",
          lambda: {name.split(".")[0] for name in re.findall(r"\S+", IMPORTS)} <= INSTALLED),
    Claim("S5-05", 520, ("every sample is a list of strings", "每个样本是字符串列表"), "", "wrong", "",
          "Every sample is one string; the data set is the list.", "每个样本就是一个字符串；数据集才是列表。",
          lambda: all(isinstance(sample, list) for sample in SENTENCES)),
)
# fmt: on
