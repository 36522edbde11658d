"""An OpenAI-compatible embeddings server for all-MiniLM-L6-v2, on loopback.

    python server.py --port 0

prints its base URL (http://127.0.0.1:PORT/v1) once it answers.

    POST /v1/embeddings  {"model", "input": text | [text, ...], "encoding_format": "float" | "base64"}
    GET  /v1/models
    GET  /calls          how many calls, texts and tokens it has answered
"""

import argparse
import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from model import Model

NAME = "all-MiniLM-L6-v2"
MOST_TEXTS = 2048  # as OpenAI
MOST_BYTES = 32 << 20


class Refused(Exception):
    """A call that is answered with an error."""

    def __init__(self, status, message, code):
        super().__init__(message)
        self.status = status
        self.code = code


class Calls:
    """Counts what was answered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {"calls": 0, "texts": 0, "tokens": 0}

    def add(self, texts, tokens):
        with self.lock:
            self.counts["calls"] += 1
            self.counts["texts"] += texts
            self.counts["tokens"] += tokens

    def read(self):
        with self.lock:
            return dict(self.counts)


def read_texts(body):
    """Gives the texts and the encoding that a body asks for."""
    if body.get("model") != NAME:
        raise Refused(404, "the model does not exist", "model_not_found")
    texts = body.get("input")
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, list) or not all(isinstance(t, str) and t for t in texts):
        raise Refused(400, "input must be a text that is not empty, or an array of such", "invalid_input")
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise Refused(400, f"input must have 1 to {MOST_TEXTS} texts", "invalid_input")
    if body.get("dimensions", 384) != 384:
        raise Refused(400, "this model has 384 dimensions", "invalid_dimensions")
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise Refused(400, "encoding_format must be float or base64", "invalid_encoding_format")
    return texts, encoding


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together

    def do_GET(self):
        if self.path == "/calls":
            self.answer(200, self.server.calls.read())
        else:
            self.guarded({"/v1/models": self.models})

    def do_POST(self):
        self.guarded({"/v1/embeddings": self.embeddings})

    def guarded(self, handlers):
        try:
            body = self.body()
            if len(self.headers.get("Authorization", "").removeprefix("Bearer ").strip()) == 0:
                raise Refused(401, "no API key", "invalid_api_key")
            if self.path not in handlers:
                raise Refused(404, "no such path", "not_found")
            self.answer(200, handlers[self.path](body))
        except Refused as e:
            self.answer(e.status, {"error": {"message": str(e), "type": "invalid_request_error", "param": None, "code": e.code}})

    def body(self):
        size = int(self.headers.get("Content-Length", 0))
        if size > MOST_BYTES:
            self.close_connection = True
            raise Refused(413, "the body is too large", "too_large")
        return self.rfile.read(size)

    def models(self, _):
        return {"object": "list", "data": [{"id": NAME, "object": "model", "created": 0, "owned_by": "sentence-transformers"}]}

    def embeddings(self, body):
        try:
            call = json.loads(body)
        except ValueError:
            raise Refused(400, "the body is not JSON", "invalid_json") from None
        if not isinstance(call, dict):
            raise Refused(400, "the body is not an object", "invalid_json")
        texts, encoding = read_texts(call)
        vectors, tokens = self.server.model.embed(texts)
        self.server.calls.add(len(texts), tokens)
        if encoding == "base64":
            encoded = [base64.b64encode(v.astype("<f4").tobytes()).decode() for v in vectors]
        else:
            encoded = vectors.tolist()
        data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(encoded)]
        return {"object": "list", "data": data, "model": NAME, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass  # texts pass here; nothing is written of a call


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0, help="0 picks one that is free")
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    options = arguments.parse_args()
    server = Server(("127.0.0.1", options.port), Handler)
    server.model, server.calls = Model(options.threads), Calls()
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
