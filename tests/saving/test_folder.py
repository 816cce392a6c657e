"""The folder format: what is saved comes back, and what was damaged does not."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import tinyllm
from tinyllm.layers import LSTM, Dense, Dropout, Embedding, InputLayer, Layer
from tinyllm.models import LanguageModel, Sequential, load_model
from tinyllm.optimizers import SGD, Adam
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.saving import read_tensors, write_tensors
from tinyllm.saving.manifest import render, seal, sha256
from tinyllm.saving.safetensors import pack

TEXTS = ["我爱中国。", "大家好！"]
X = np.random.default_rng(0).integers(0, 10, (20, 5))
Y = np.arange(20) % 2


def article_model(optimizer="adam", units=6, dropout=0.0):
    model = Sequential(
        [
            Embedding(10, 5, input_length=5, mask_zero=True),
            Dropout(dropout),
            LSTM(units),
            Dense(1, activation="sigmoid"),
        ],
        seed=3,
    )
    tokenizer = Tokenizer(char_level=True)
    tokenizer.fit_on_texts(TEXTS)
    model.preprocess = TextToIds(tokenizer, maxlen=5, padding="post")
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


def trained(epochs=2, **options):
    model = article_model(**options)
    model.fit(X, Y, epochs=epochs, verbose=0)
    return model


def weights_file(folder):
    return next(Path(folder).glob("weights-*.safetensors"))


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def same_bits(a, b):
    return [w.tobytes() for w in a.get_weights()] == [w.tobytes() for w in b.get_weights()]


# -- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model", "with space", "模型 我爱中国", "deep/er/model", "ends-with-slash/"])
def test_a_model_comes_back_bit_for_bit_wherever_it_is_saved(tmp_path, name):
    model = trained()
    model.save(f"{tmp_path}/{name}")
    loaded = load_model(f"{tmp_path}/{name}")
    assert same_bits(model, loaded)
    assert model.predict(X).tobytes() == loaded.predict(X).tobytes()
    assert loaded.get_config() == model.get_config()


def test_the_tokenizer_travels_with_the_model(tmp_path):
    article_model().save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    np.testing.assert_array_equal(loaded.preprocess(["我好"]), article_model().preprocess(["我好"]))


@pytest.mark.parametrize("optimizer", [Adam(0.01), SGD(0.1), SGD(0.1, momentum=0.9, nesterov=True)])
@pytest.mark.parametrize("shuffle, dropout", [(False, 0.0), (True, 0.5)])
def test_five_epochs_then_five_after_loading_are_ten_epochs_to_the_bit(tmp_path, optimizer, shuffle, dropout):
    def fresh():
        return article_model(type(optimizer)(**optimizer.get_config()), dropout=dropout)

    whole, half = fresh(), fresh()
    whole.fit(X, Y, batch_size=8, epochs=10, shuffle=shuffle, verbose=0)
    half.fit(X, Y, batch_size=8, epochs=5, shuffle=shuffle, verbose=0)
    half.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    loaded.fit(X, Y, batch_size=8, epochs=10, initial_epoch=5, shuffle=shuffle, verbose=0)
    assert same_bits(whole, loaded)
    assert loaded.optimizer.iterations == whole.optimizer.iterations == 30


def test_a_loaded_model_evaluates_as_before(tmp_path):
    model = trained()
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").evaluate(X, Y) == model.evaluate(X, Y)


def test_a_model_that_was_never_compiled_is_not_compiled_after_loading(tmp_path):
    Sequential([Dense(2, input_shape=(3,))]).save(tmp_path / "m")
    with pytest.raises(RuntimeError, match="compile"):
        load_model(tmp_path / "m").evaluate(np.ones((1, 3)), np.ones((1, 2)))


def test_a_frozen_layer_stays_frozen_and_training_goes_on(tmp_path):
    models = []
    for _ in range(2):
        layers = [Dense(4, input_shape=(3,), trainable=False), Dense(1)]
        models.append(Sequential(layers))
        models[-1].compile("adam", "mse")
    x, y = np.random.default_rng(1).normal(size=(8, 3)), np.ones(8)
    whole, half = models
    whole.fit(x, y, epochs=4, shuffle=False, verbose=0)
    half.fit(x, y, epochs=2, shuffle=False, verbose=0)
    half.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    loaded.fit(x, y, epochs=2, shuffle=False, verbose=0)
    assert same_bits(whole, loaded)


@pytest.mark.parametrize(
    "model",
    [
        Sequential([Dense(3, input_shape=(4,), dtype="float64"), Dense(1)]),
        Sequential([InputLayer((4,)), Dense(3, activation="relu", use_bias=False)]),
        Sequential([LSTM(3, return_sequences=True, use_bias=False, input_shape=(None, 4)), LSTM(2, go_backwards=True)]),
        Sequential([Embedding(5, 2), LSTM(2)], name="名字"),
    ],
    ids=lambda model: "-".join(layer.name for layer in model.layers),
)
def test_every_kind_of_layer_and_dtype_comes_back(tmp_path, model):
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert same_bits(model, loaded)
    assert [w.dtype for w in loaded.weights] == [w.dtype for w in model.weights]
    assert loaded.get_config() == model.get_config()


def test_a_model_built_by_its_first_data_comes_back(tmp_path):
    model = Sequential([Dense(2), Dense(1)])
    model.predict(np.ones((2, 3)))
    model.save(tmp_path / "m")
    assert same_bits(model, load_model(tmp_path / "m"))


def test_a_language_model_writes_the_same_text_after_loading(tmp_path):
    model = LanguageModel(["春天来了", "秋天来了"], embedding_dim=4, units=8)
    model.fit_texts(["春天来了", "秋天来了"], epochs=5, verbose=0)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert type(loaded) is LanguageModel
    assert loaded.generate("春", seed=1) == model.generate("春", seed=1)


def test_nan_and_infinite_weights_come_back_as_they_are(tmp_path):
    model = Sequential([Dense(2, input_shape=(2,))])
    model.weights[0].data[...] = [[np.nan, np.inf], [-0.0, 1e-45]]
    model.save(tmp_path / "m")
    assert same_bits(model, load_model(tmp_path / "m"))


# -- how it is written ----------------------------------------------------------------------------------------------


def test_two_saves_of_one_model_give_the_same_bytes(tmp_path):
    model = trained()
    model.save(tmp_path / "a")
    model.predict(X)
    model.save(tmp_path / "b")
    load_model(tmp_path / "b").save(tmp_path / "c")
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tmp_path / "c")


def test_a_newer_model_takes_the_place_of_an_older_one_and_leaves_nothing_of_it(tmp_path):
    trained(units=3).save(tmp_path / "m")
    (tmp_path / "m" / "notes.txt").write_text("mine")
    (tmp_path / "m" / ".tinyllm-0123456789abcdef.tmp").write_text("left by a killed process")
    model = trained(units=4)
    model.save(tmp_path / "m")
    assert same_bits(model, load_model(tmp_path / "m"))
    assert sorted(contents(tmp_path / "m")) == ["manifest.json", "notes.txt", weights_file(tmp_path / "m").name]


def test_the_weights_file_is_called_after_its_content_and_safetensors_reads_it(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model = trained()
    model.save(tmp_path / "m")
    path = weights_file(tmp_path / "m")
    assert path.name == f"weights-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}.safetensors"
    read = safetensors.load_file(path)
    np.testing.assert_array_equal(read["lstm/kernel"], model.layers[2].get_weights()[0])
    assert {name.split("/")[1] for name in read if name.startswith("optimizer/")} == {"momentum", "velocity"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_the_files_have_the_mode_that_the_umask_asks_for(tmp_path):
    before = os.umask(0o027)
    try:
        article_model().save(tmp_path / "m")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "m").iterdir()} == {0o640}


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"holds something else \('thesis.txt'\)"):
        article_model().save(tmp_path)
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


def test_another_programs_manifest_is_not_overwritten(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "an app"}')
    with pytest.raises(FileExistsError, match="not a tinyllm model's"):
        article_model().save(tmp_path)
    assert contents(tmp_path) == {"manifest.json": b'{"name": "an app"}'}


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "m").write_text("mine")
    with pytest.raises(FileExistsError, match="is a file"):
        article_model().save(tmp_path / "m")
    assert (tmp_path / "m").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_an_error_that_names_it(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=str(tmp_path)):
        article_model().save(tmp_path)
    tmp_path.chmod(0o700)


def test_saving_through_a_link_to_a_folder_keeps_the_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    article_model().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert same_bits(load_model(tmp_path / "real"), article_model())


def test_what_load_model_could_not_build_is_refused_before_anything_is_written(tmp_path):
    class Twice(Layer):
        def call(self, x):
            return x + x

    class Mine(Sequential):
        pass

    with pytest.raises(ValueError, match=r"'twice' is a Twice, which load_model does not know; known: .*Dense"):
        Sequential([Dense(1, input_shape=(2,)), Twice()]).save(tmp_path / "m")
    with pytest.raises(ValueError, match="does not know the class Mine"):
        Mine([Dense(1, input_shape=(2,))]).save(tmp_path / "m")
    with pytest.raises(ValueError, match="no layers"):
        Sequential().save(tmp_path / "m")
    with pytest.raises(RuntimeError, match="no weights yet"):
        Sequential([Dense(1)]).save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_loss_of_ones_own_is_announced_and_the_weights_are_saved(tmp_path):
    model = Sequential([Dense(1, input_shape=(2,))])
    model.compile("sgd", lambda y_true, y_pred: np.mean(np.abs(y_pred - y_true), axis=-1))
    with pytest.warns(UserWarning, match="is your own"):
        model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert same_bits(model, loaded) and loaded.optimizer is None


def test_a_failed_write_leaves_the_old_model(tmp_path, monkeypatch):
    model = trained()
    model.save(tmp_path / "m")
    before = contents(tmp_path / "m")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        trained(epochs=3).save(tmp_path / "m")
    assert contents(tmp_path / "m") == before


SAVE_FOR_EVER = """
import sys, numpy as np
from tinyllm.models import Sequential
from tinyllm.layers import Dense
models = [Sequential([Dense(300, input_shape=(300,))], seed=seed) for seed in (0, 1)]
print("ready", flush=True)
while True:
    for model in models:
        model.save(sys.argv[1])
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
@pytest.mark.parametrize("name", ["model", "model.h5", "model.keras"])
def test_a_save_killed_at_any_moment_leaves_a_model_that_loads(tmp_path, name):
    if "." in name:
        pytest.importorskip("h5py")
    path = tmp_path / name
    Sequential([Dense(300, input_shape=(300,))], seed=0).save(path)
    wanted = {sha256(pack(Sequential([Dense(300, input_shape=(300,))], seed=s).layers[0].parameters)) for s in (0, 1)}
    rng = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", SAVE_FOR_EVER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout.readline().strip() == b"ready"
        time.sleep(rng.uniform(0.01, 0.12))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert sha256(pack(load_model(path).layers[0].parameters)) in wanted
    Sequential([Dense(300, input_shape=(300,))], seed=0).save(path)
    assert not [p.name for p in tmp_path.rglob("*.tmp")]


def test_a_reader_never_meets_half_a_model_while_others_save(tmp_path):
    models = [Sequential([Dense(50, input_shape=(50,))], seed=seed) for seed in (0, 1)]
    models[0].save(tmp_path / "m")
    stop, errors = threading.Event(), []

    def save(model):
        try:
            while not stop.is_set():
                model.save(tmp_path / "m")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            loaded = load_model(tmp_path / "m")
            assert any(same_bits(loaded, model) for model in models)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors


# -- what is damaged is refused -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "m"
    trained().save(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for name, data in contents(saved).items():
        (folder / name).write_bytes(data)
    return folder


def refusal(path):
    with pytest.raises(ValueError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("which", ["weights", "manifest"])
def test_one_flipped_bit_anywhere_is_refused(copy, which):
    path = weights_file(copy) if which == "weights" else copy / "manifest.json"
    data = path.read_bytes()
    rng = random.Random(1)
    places = {rng.randrange(len(data)) for _ in range(100)} | {0, 7, 8, len(data) - 1}
    for place in sorted(places):
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        refusal(copy)
    path.write_bytes(data)
    load_model(copy)


@pytest.mark.parametrize("which", ["weights", "manifest"])
def test_a_file_cut_short_anywhere_is_refused(copy, which):
    path = weights_file(copy) if which == "weights" else copy / "manifest.json"
    data = path.read_bytes()
    for length in range(0, len(data), 64):
        path.write_bytes(data[:length])
        message = refusal(copy)
        if which == "weights":
            assert message.startswith(f"{path.name}: {len(data) - length} bytes are missing")


def test_the_message_counts_what_is_missing_and_names_what_was_changed(copy):
    path = weights_file(copy)
    data = path.read_bytes()
    path.write_bytes(data[:-3])
    assert refusal(copy).startswith(f"{path.name}: 3 bytes are missing")
    path.write_bytes(data + b"x")
    assert refusal(copy).startswith(f"{path.name}: 1 byte is too many")
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert refusal(copy) == f"{path.name}: its SHA-256 differs from the manifest's: the file was changed or damaged"
    path.unlink()
    assert "is missing" in refusal(copy)


def edited(folder, change, sealed=True):
    """The manifest with a change; sealed: as a forger would who knows the checksum."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    checksum = content.pop("checksum")
    change(content)
    path.write_text(seal(content) if sealed else render(content | {"checksum": checksum}))
    return refusal(folder)


def test_an_edited_manifest_is_refused(copy):
    message = edited(copy, lambda c: c["config"].update(name="other"), sealed=False)
    assert message == "manifest.json: its content differs from its own checksum: the file was changed or damaged"


def test_a_manifest_with_windows_line_ends_is_still_the_same(copy):
    path = copy / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    load_model(copy)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.update(version=2), "made by a newer tinyllm"),
        (lambda c: c.update(version="1"), "format version is '1'"),
        (lambda c: c.update(format="onnx"), "not a tinyllm model's manifest"),
        (
            lambda c: c.update(kind="Transformer"),
            "unknown kind of model 'Transformer'; known: BERT, Bigram, GPT",
        ),
        (lambda c: c["config"]["layers"][0].update(class_name="Conv2D"), "unknown layer 'Conv2D'; known: .*Dense"),
        (
            lambda c: c["config"]["layers"][2]["config"].update(units=7),
            r"'lstm/kernel' is float32 \(5, 24\); .* \(5, 28\)",
        ),
        (lambda c: c["config"]["layers"][2]["config"].update(units=10**9), "needs float32"),
        (lambda c: c["config"]["layers"][0]["config"].update(dtype="float64"), "needs float64"),
        (lambda c: c["config"]["layers"].pop(), "cannot be built: 'dense/kernel'"),
        (lambda c: (c["config"]["layers"].pop(), c.update(training=None)), "'dense/bias' belongs to no layer"),
        (lambda c: c["config"]["layers"][3]["config"].update(name="d"), "there is no 'd/kernel'"),
        (lambda c: c["config"]["layers"][3]["config"].update(colour="red"), "unknown argument 'colour'"),
        (lambda c: c.update(config=[]), "cannot be built"),
        (lambda c: c["training"].update(slots_of=["x"]), "cannot be built"),
        (lambda c: c["training"].update(iterations=-1), "iterations must be"),
        (lambda c: c["training"]["loss"].update(class_name="os.system"), "unknown loss 'os.system'"),
        (lambda c: c["preprocess"].update(class_name="eval"), "unknown preprocess 'eval'"),
        (
            lambda c: c["weights"].update(file="../weights-0123456789ab.safetensors"),
            "expected weights in a file|like weights-",
        ),
        (lambda c: c["weights"].update(file="/etc/passwd"), "like weights-"),
        (lambda c: c.update(weights=None), "like weights-"),
        (lambda c: c["weights"].update(bytes=None), "size is not known"),
        (lambda c: c.update(random={"": {"state": "x"}}), "cannot be restored"),
    ],
)
def test_a_manifest_that_is_whole_but_wrong_is_refused_with_the_reason(copy, change, message):
    assert re.search(message, edited(copy, change))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000])
def test_a_manifest_that_is_not_json_is_refused(copy, text):
    (copy / "manifest.json").write_bytes(text)
    assert refusal(copy).startswith("manifest.json: ")


def test_a_small_file_cannot_ask_for_a_large_language_model(tmp_path):
    LanguageModel(["ab"], embedding_dim=2, units=2).save(tmp_path)
    assert "does not fit" in edited(tmp_path, lambda c: c["config"].update(units=10**9))


def test_a_link_or_a_pipe_in_place_of_a_file_is_refused(copy):
    path = weights_file(copy)
    path.rename(copy.parent / "elsewhere")
    path.symlink_to(copy.parent / "elsewhere")
    assert "symbolic link" in refusal(copy)
    if hasattr(os, "mkfifo"):
        path.unlink()
        os.mkfifo(path)
        assert "not a regular file" in refusal(copy)


def test_what_is_not_there_is_a_file_not_found(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FileNotFoundError, match=str(path)):
            load_model(path)


def test_a_file_of_another_kind_is_refused(saved, tmp_path):
    (tmp_path / "x.h5").write_text("not HDF5 at all")
    assert "neither a model folder nor a file of Keras's" in refusal(tmp_path / "x.h5")
    (tmp_path / "empty.h5").touch()
    assert "it has 0 bytes" in refusal(tmp_path / "empty.h5")
    assert "give its folder" in refusal(saved / "manifest.json")


# -- safetensors ----------------------------------------------------------------------------------------------------

MATRIX = np.arange(24, dtype="float32").reshape(4, 6)
ARRAYS = {
    "plain": MATRIX,
    "transposed": MATRIX.T,
    "sliced": MATRIX[::2, 1::2],
    "reversed": MATRIX[::-1],
    "broadcast": np.broadcast_to(np.float32(7), (3, 2)),
    "fortran": np.asfortranarray(MATRIX),
    "big endian": MATRIX.astype(">f4"),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 3), "float16"),
    "unsigned": np.arange(5, dtype="uint8"),
    "long": np.array([-(2**63), 2**63 - 1]),
    "half": np.linspace(0, 1, 3, dtype="float16"),
    "名字": np.ones(1),
}


def test_tensors_come_back_whatever_their_layout(tmp_path):
    write_tensors(ARRAYS, tmp_path / "t.safetensors")
    read = read_tensors(tmp_path / "t.safetensors")
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype.newbyteorder("=") and read[name].flags.writeable


def test_the_safetensors_package_reads_ours(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    write_tensors(ARRAYS, tmp_path / "t.safetensors")
    read = safetensors.load_file(tmp_path / "t.safetensors")
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)


def test_we_read_what_the_safetensors_package_writes(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    whole = {name: np.array(array.astype(array.dtype.newbyteorder("=")), order="C") for name, array in ARRAYS.items()}
    safetensors.save_file(whole, tmp_path / "t.safetensors", metadata={"made": "elsewhere"})
    read = read_tensors(tmp_path / "t.safetensors")
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)


def test_the_bytes_are_those_of_the_safetensors_package():
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = {"b": MATRIX, "a": np.ones(3), "c": np.arange(3)}
    assert pack({"b": MATRIX, "a": np.ones(3)}) == safetensors.save({"b": MATRIX, "a": np.ones(3)})
    assert pack(arrays) == pack(dict(reversed(arrays.items())))


def test_what_safetensors_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="tensor 'x' is complex128"):
        pack({"x": np.array([1j])})


def header_of(**entries):
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "too few"),
        (b"1234567", "too few"),
        ((2**63).to_bytes(8, "little"), "its header claims"),
        ((101_000_000).to_bytes(8, "little") + b"{}", "its header claims"),
        ((2).to_bytes(8, "little") + b"{", "its header claims"),
        ((2).to_bytes(8, "little") + b"[]", "expected a JSON object"),
        ((2).to_bytes(8, "little") + b"{]", "not JSON"),
        (header_of(a=entry([1], 0, 4)), "4 bytes are missing"),
        (header_of(a=entry([1], 0, 4)) + b"12345", "1 byte is too many"),
        (header_of(a=entry([1], 4, 8)) + b"12345678", "an overlap or a gap"),
        (header_of(a=entry([2], 0, 8), b=entry([1], 4, 8)) + b"12345678", "an overlap or a gap"),
        (header_of(a=entry([3], 0, 8)) + b"12345678", "takes 12 bytes"),
        (header_of(a=entry([2**62, 2**62], 0, 8)) + b"12345678", "takes"),
        (header_of(a=entry([0, 2**62], 0, 0)), "takes 0 bytes"),
        (header_of(a=entry([-1], 0, 4)) + b"1234", "whole numbers"),
        (header_of(a=entry([1.0], 0, 4)) + b"1234", "whole numbers"),
        (header_of(a=entry([True], 0, 4)) + b"1234", "whole numbers"),
        (header_of(a=entry([1] * 33, 0, 4)) + b"1234", "at most 32 axes"),
        (header_of(a=entry([1], 0, 4, "F8_E4M3")) + b"1234", "dtype 'F8_E4M3' is none of"),
        (header_of(a=entry([1], 0, 4, [])) + b"1234", "dtype"),
        (header_of(a={"dtype": "F32"}), "expected dtype, shape and data_offsets"),
        (header_of(a=None), "expected dtype, shape and data_offsets"),
    ],
)
def test_a_safetensors_file_that_lies_is_refused_before_memory_is_taken(tmp_path, data, message):
    (tmp_path / "t.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_tensors(tmp_path / "t.safetensors")


def test_a_safetensors_file_cut_at_every_64th_byte_is_refused(tmp_path):
    data = pack(ARRAYS)
    for length in range(0, len(data), 64):
        (tmp_path / "t.safetensors").write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"t\.safetensors"):
            read_tensors(tmp_path / "t.safetensors")


def test_saving_needs_numpy_alone():
    code = (
        "import sys, tinyllm.saving; print([m for m in ('h5py', 'safetensors', 'keras', 'pickle') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "h5py" not in found and "safetensors" not in found and "keras" not in found
    assert "pickle" not in Path(tinyllm.saving.__file__).read_text().replace("No pickle", "")


@pytest.mark.parametrize("name", ["model", "model.h5", "model.keras"])
def test_metrics_by_weight_are_kept_apart_from_those_by_sample(tmp_path, name):
    model = Sequential([Dense(1, activation="sigmoid", input_shape=(2,))])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["mae"])
    model.save(tmp_path / name)
    loaded = load_model(tmp_path / name)
    assert (loaded.metrics, loaded.weighted_metrics) == (["accuracy"], ["mae"])
