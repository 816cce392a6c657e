"""An exported model against ours: in ONNX's own reference, and in onnxruntime where it is installed."""

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

try:
    import onnxruntime
except ImportError:
    onnxruntime = None


def shaken(model):
    """The model with weights that are nowhere 0 or 1: what is swapped then shows."""
    rng = np.random.default_rng(1)
    for w in model.weights:
        w.data = (rng.normal(size=w.shape) * 0.5).astype(w.dtype)
    return model


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def compare(model, inputs, path, tolerance=1e-5, runtime=True):
    """The file's outputs are the model's, for each of the inputs, in both programs. The file."""
    model.export(path)
    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)  # types and shapes of every tensor, too
    programs = [ReferenceEvaluator(file)]
    if runtime and onnxruntime is not None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        programs.append(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))
    for x in inputs:
        expected = model.predict(x)
        expected = expected if isinstance(expected, list) else [expected]
        names = [each.name for each in file.graph.input]
        for program in programs:
            found = program.run(None, dict(zip(names, x if isinstance(x, list) else [x])))
            assert len(found) == len(expected)
            for a, b in zip(found, expected):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    return file
