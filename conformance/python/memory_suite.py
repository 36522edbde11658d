"""A client of the memory API, written against its published contract alone:
paths, fields and events, decoded strictly. Standard library only."""

import json
import os
import urllib.error
import urllib.request

from checks import check, equal, run

BASE, TOKEN = os.environ["MEMORY_BASE_URL"], os.environ["MEMORY_TOKEN"]
ADMIN, ADMIN_TOKEN = os.environ["MEMORY_ADMIN_URL"], os.environ["MEMORY_ADMIN_TOKEN"]

STORED = {"id": str, "memory_id": str, "bucket_name": str, "token_count": int, "status": str}
MERGED = STORED | {"deduped_into": str, "similarity_score": (int, float), "merge_reason": str}
MEMORY = {"id": str, "content": str, "bucket_name": str, "created_at": str, "token_count": int}
MEMORY_MORE = {"role", "speaker", "session", "facts", "metadata", "pinned", "observed_at", "valid_from", "valid_to", "expires_at", "supersedes", "superseded_by", "version"}
BUCKET = {"id": str, "name": str, "bucket_name": str, "description": str, "created_at": str, "memory_count": int}
RETRIEVED = {"memory_id": str, "bucket_id": str, "bucket_name": str, "content": str, "raw_score": (int, float), "weight": (int, float), "weighted_score": (int, float), "metadata": dict}
EXPLANATION = {"retrieved_memories": list, "graph_facts": list, "entity_matches": list, "context_tokens": int, "profile": (str, type(None)), "profiles": dict}
USAGE = {"input_tokens": int, "output_tokens": int, "context_tokens": int, "actual_input_tokens": int, "actual_output_tokens": int}
ANSWER = {"answer": (str, type(None)), "answer_json": object, "memories_found": int, "explanation": dict, "usage": dict}
PROFILE = {"profile": (str, type(None)), "bucket_id": str, "status": str, "updated_at": (str, type(None)), "n_memories_at_gen": int, "source": str}


def raw(method, url, body=None, token=TOKEN, headers={}):
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def call(method, path, body=None, **more):
    status, headers, text = raw(method, BASE + path, body, **more)
    assert status in (200, 201), f"{method} {path}: {status} {text!r:.200}"
    equal(headers["Content-Type"], "application/json")
    return json.loads(text)


def error(method, path, want, code, body=None, token=TOKEN):
    """An error is {"error": text, "code": CODE} and nothing else."""
    status, headers, text = raw(method, BASE + path, body, token)
    equal(status, want)
    out = strict(json.loads(text), {"error": str, "code": str})
    equal((out["code"], headers["Ownkey-Error"]), (code, code))
    return out["error"], headers


def strict(got, want, more=frozenset()):
    """The object has exactly these members, of these types."""
    assert isinstance(got, dict), f"{got!r:.100} is no object"
    missing, unknown = want.keys() - got.keys(), got.keys() - want.keys() - more
    assert not missing and not unknown, f"missing {missing}, unknown {unknown}"
    for name, kind in want.items():
        ok = isinstance(got[name], kind) and not (kind is int and isinstance(got[name], bool))
        assert ok, f"{name} is {got[name]!r:.100}"
    return got


def store(bucket, content, **more):
    out = call("POST", f"/buckets/{bucket}/memories", {"content": content} | more)
    strict(out, MERGED if out["status"] == "merged" else STORED)
    equal((out["id"], out["bucket_name"]), (out["memory_id"], bucket))
    return out


def listed(bucket, limit=20, offset=0):
    out = strict(call("GET", f"/buckets/{bucket}/memories?limit={limit}&offset={offset}"), {"memories": list, "total": int, "limit": int, "offset": int})
    equal((out["limit"], out["offset"]), (limit, offset))
    for m in out["memories"]:
        strict(m, MEMORY, MEMORY_MORE)
    return out


def query(text, buckets, stream=False, **options):
    out = strict(call("POST", "/query", {"query": text, "buckets": buckets, "stream": stream, "options": options}), ANSWER)
    strict(out["usage"], USAGE)
    strict(out["explanation"], EXPLANATION)
    for m in out["explanation"]["retrieved_memories"]:
        strict(m, RETRIEVED, {"parts"})
    equal(out["memories_found"], len(out["explanation"]["retrieved_memories"]))
    return out


def contents(out):
    return [m["content"] for m in out["explanation"]["retrieved_memories"]]


def admin(method, path, body=None):
    status, _, text = raw(method, ADMIN + "/admin/v1" + path, body, ADMIN_TOKEN)
    assert status < 300, f"{path}: {status} {text!r:.200}"
    return json.loads(text) if text else None


@check
def store_is_readable_at_once():
    one = store("first", "Ada keeps bees on the roof.", metadata={"source": "test", "n": 7})
    equal(one["status"], "stored")
    out = query("Who keeps bees?", ["first"], skip_synthesis=True)
    equal(contents(out), ["Ada keeps bees on the roof."])
    equal(out["explanation"]["retrieved_memories"][0]["metadata"], {"source": "test", "n": 7})
    equal((out["answer"], out["answer_json"]), (None, None))


@check
def batch():
    out = strict(call("POST", "/buckets/batch/memories", {"memories": [{"content": f"fruit number {i}"} for i in range(30)]}), {"memories": list})
    equal([strict(m, STORED)["status"] for m in out["memories"]], ["stored"] * 30)
    equal(listed("batch")["total"], 30)


@check
def batch_is_all_or_nothing():
    text, _ = error("POST", "/buckets/nothing/memories", 400, "invalid_request", {"memories": [{"content": "fine"}, {"content": ""}]})
    assert "memories[1].content" in text, text
    error("GET", "/buckets/nothing/memories", 404, "not_found")


@check
def dedup():
    long = "Every morning at nine Ada climbs up to the roof of the old library with two jars of honey, looks after her eleven hives, and writes what she has seen into a green book that she keeps there for everybody else."
    other = long.replace("and writes", "then writes")
    first = store("dedup", long, dedup="strict")
    again = store("dedup", "  " + long.upper(), dedup="strict")
    equal((again["status"], again["deduped_into"], again["similarity_score"], again["merge_reason"]), ("merged", first["id"], 1, "content_hash"))
    equal(store("dedup", long, dedup="off")["status"], "stored")
    equal(store("dedup", other, dedup="strict")["status"], "stored")
    near = store("dedup", long.replace(", and writes", ", and really writes"), dedup="loose")
    equal(near["status"], "merged")
    assert .95 <= near["similarity_score"] < 1, near
    equal(store("dedup", long.replace("eleven", "twelve"), dedup="loose")["status"], "stored")


@check
def list_newest_first_in_pages():
    for i in range(5):
        store("pages", f"page {i}")
    equal([m["content"] for m in listed("pages", 2, 0)["memories"]], ["page 4", "page 3"])
    equal([m["content"] for m in listed("pages", 2, 4)["memories"]], ["page 0"])
    equal(listed("pages", 2, 9)["memories"], [])


@check
def one_memory_and_its_history():
    m = store("history", "Ada lives in Oslo.")
    path = f"/buckets/history/memories/{m['id']}"
    equal(strict(call("GET", path), MEMORY, MEMORY_MORE)["content"], "Ada lives in Oslo.")
    equal(strict(call("PATCH", path, {"content": "Ada lives in Rome."}), MEMORY, MEMORY_MORE)["version"], 2)
    equal([v["content"] for v in call("GET", path + "/history")["history"]], ["Ada lives in Oslo."])
    equal(contents(query("Where does Ada live?", ["history"], skip_synthesis=True)), ["Ada lives in Rome."])


@check
def query_options():
    for i in range(6):
        store("left", f"bees left {i}")
        store("right", f"bees right {i}")
    equal(len(contents(query("bees", ["left"], skip_synthesis=True, top_k=3))), 3)
    both = contents(query("bees", ["left", "right"], skip_synthesis=True, top_k=10, top_k_per_bucket=2))
    equal(sorted(c.split()[1] for c in both), ["left", "left", "right", "right"])
    named = contents(query("bees", ["left", "right"], skip_synthesis=True, top_k=10, top_k_per_bucket={"left": 1, "right": 3}))
    equal(sorted(c.split()[1] for c in named), ["left", "right", "right", "right"])
    equal(contents(query("bees", ["left"], skip_synthesis=True, min_weighted_score=1.1)), [])
    explained = call("POST", "/query", {"query": "bees", "buckets": ["left"], "explain": True, "options": {"skip_synthesis": True}})
    assert explained["explanation"]["retrieved_memories"][0]["parts"]["words"] > 0
    equal(call("POST", "/query", {"query": "bees", "buckets": ["left"], "options": {"skip_synthesis": True, "return_explanation": False}})["explanation"], None)


@check
def query_with_synthesis():
    store("synthesis", "Ada keeps bees on the roof.")
    out = query("Who keeps bees?", ["synthesis"])
    assert out["answer"], out
    assert out["usage"]["actual_output_tokens"] > 0 and out["usage"]["context_tokens"] > 0, out["usage"]
    schema = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"], "additionalProperties": False}
    out = query("Who keeps bees?", ["synthesis"], return_format="json", response_schema=schema)
    strict(out["answer_json"], {"who": str})


@check
def query_as_a_stream():
    store("stream", "Ada keeps bees on the roof.")
    status, headers, text = raw("POST", BASE + "/query", {"query": "Who keeps bees?", "buckets": ["stream"], "stream": True}, headers={"Accept": "text/event-stream"})
    equal(status, 200)
    assert headers["Content-Type"].startswith("text/event-stream"), headers["Content-Type"]
    frames = text.decode().split("\n\n")
    equal(frames[-2:], ["data: [DONE]", ""])
    events = [json.loads(f.removeprefix("data: ")) for f in frames[:-2]]
    said = ""
    for e in events[:-1]:
        (choice,) = strict(e, {"choices": list})["choices"]
        said += strict(strict(choice, {"delta": dict})["delta"], {"content": str})["content"]
    assert said, "nothing was said"
    last = strict(events[-1], {"usage": dict, "synthesis_usage": dict, "explanation": dict})
    strict(last["usage"], USAGE)
    strict(last["synthesis_usage"], USAGE)
    strict(last["explanation"], EXPLANATION)


@check
def profile():
    store("profile", "Ada keeps bees on the roof.")
    before = strict(call("GET", "/buckets/profile/profile"), PROFILE)
    equal((before["profile"], before["status"]), (None, "not_installed"))
    after = strict(call("POST", "/buckets/profile/profile/regenerate"), PROFILE)
    equal((after["status"], after["n_memories_at_gen"]), ("ready", 1))
    equal(call("GET", "/buckets/profile/profile"), after)


@check
def buckets():
    made = strict(call("POST", "/buckets", {"name": "shelf", "description": "of books"}), BUCKET)
    store("shelf-2", "made by its first memory")
    all_ = {b["name"]: strict(b, BUCKET) for b in strict(call("GET", "/buckets"), {"buckets": list})["buckets"]}
    equal((all_["shelf"]["id"], all_["shelf"]["description"], all_["shelf-2"]["memory_count"]), (made["id"], "of books", 1))
    call("DELETE", "/buckets/shelf")
    assert "shelf" not in {b["name"] for b in call("GET", "/buckets")["buckets"]}
    error("DELETE", "/buckets/shelf", 404, "not_found")


@check
def delete_and_clear():
    m = store("gone", "Ada keeps bees.")
    store("gone", "Bob keeps bees.", session="s1")
    store("gone", "Eve keeps bees.", session="s2")
    equal(call("DELETE", f"/buckets/gone/memories/{m['id']}"), {"success": True})
    error("DELETE", f"/buckets/gone/memories/{m['id']}", 404, "not_found")
    equal(sorted(contents(query("bees", ["gone"], skip_synthesis=True))), ["Bob keeps bees.", "Eve keeps bees."])
    equal(call("DELETE", "/buckets/gone/memories?session=s1&dry_run=true"), {"success": True, "cleared_count": 1, "dry_run": True})
    equal(listed("gone")["total"], 2)
    error("DELETE", "/buckets/gone/memories?sesion=s1", 400, "invalid_request")
    error("DELETE", "/buckets/gone/memories?session=", 400, "invalid_request")
    equal(listed("gone")["total"], 2)
    equal(call("DELETE", "/buckets/gone/memories?session=s1"), {"success": True, "cleared_count": 1})
    equal(call("DELETE", "/buckets/gone/memories"), {"success": True, "cleared_count": 1})
    equal(query("bees", ["gone"], skip_synthesis=True)["memories_found"], 0)


@check
def idempotency_key():
    def once(content):
        return raw("POST", BASE + "/buckets/once/memories", {"content": content, "dedup": "off"}, headers={"Idempotency-Key": "k-1"})
    first, again = once("Ada keeps bees."), once("Ada keeps bees.")
    equal(json.loads(first[2]), json.loads(again[2]))
    equal(once("Bob keeps bees.")[0], 409)
    equal(listed("once")["total"], 1)


@check
def export_and_import():
    for i in range(3):
        store("out", f"line {i}", metadata={"i": i}, session="s")
    status, headers, file = raw("GET", BASE + "/buckets/out/export")
    equal((status, headers["Content-Type"]), (200, "application/x-ndjson"))
    equal([json.loads(line)["content"] for line in file.splitlines()], ["line 0", "line 1", "line 2"])
    equal(call("POST", "/buckets/in/import?format=jsonl", file), {"imported": 3, "merged": 0})
    equal(call("POST", "/buckets/in/import", file), {"imported": 0, "merged": 3})
    equal(call("POST", "/buckets/out/import", file), {"imported": 0, "merged": 3})
    equal([m["content"] for m in listed("in")["memories"]], ["line 2", "line 1", "line 0"])
    equal(call("POST", "/buckets/in/import?format=mem0", {"results": [{"id": "x", "memory": "from mem0"}]}), {"imported": 1, "merged": 0})
    text, _ = error("POST", "/buckets/in/import", 400, "invalid_request", b'{"content":"fine"}\n{"contents":"not"}\n')
    assert "line 2" in text and "contents" in text and "nothing was imported" in text, text
    equal(listed("in")["total"], 4)


@check
def errors():
    for body, name in ((b"{", "body"), (b'{"content":7}', "content"), (b'{"contant":"x"}', "contant"), (b'{"content":" "}', "content"), (b'{"content":"x","dedup":"some"}', "dedup"),
                       (b'{"content":"x","expires_at":"2020-01-01T00:00:00Z"}', "expires_at"), (b'{"content":"\xff"}', "body")):
        text, _ = error("POST", "/buckets/errors/memories", 400, "invalid_request", body)
        assert name in text, f"{text} does not name {name}"
    error("GET", "/buckets/errors/memories?limit=0", 400, "invalid_request")
    error("GET", "/buckets/errors/memories/m-none", 404, "not_found")
    error("GET", "/buckets/errors/nothing", 404, "not_found")
    error("GET", "/buckets", 401, "invalid_token", token="ok_nobody")
    error("POST", "/query", 400, "invalid_request", {"query": ""})


@check
def without_a_credential():
    admin("POST", "/tenants", {"id": "poor"})
    token = admin("POST", "/tenants/poor/tokens", {"label": "t"})["token"]
    status, _, _ = raw("POST", BASE + "/buckets/default/memories", {"content": "Ada keeps bees."}, token)
    equal(status, 200)
    status, _, text = raw("POST", BASE + "/query", {"query": "bees", "options": {"skip_synthesis": True}}, token)
    equal((status, json.loads(text)["memories_found"]), (200, 1))
    text, _ = error("POST", "/query", 412, "credential_missing", {"query": "bees"}, token)
    assert "ownkey credential put" in text, text
    text, _ = error("POST", "/buckets/default/profile/regenerate", 412, "credential_missing", token=token)


@check
def limited_by_the_provider():
    store("limited", "Ada keeps bees.")
    admin("PATCH", "/tenants/dev", {"memory": {"synthesis_model": "fake:status=429,retry-after=3"}})
    try:
        _, headers = error("POST", "/query", 429, "rate_limited", {"query": "bees", "buckets": ["limited"]})
        equal(headers["Retry-After"], "3")
    finally:
        admin("PATCH", "/tenants/dev", {"memory": {"synthesis_model": ""}})


@check
def recalled_in_a_call():
    m = store("calls", "Ada keeps bees on the roof.")
    def chat(question, mode):
        status, headers, text = raw("POST", BASE + "/chat/completions", {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]},
                                    headers={"Ownkey-Memory": mode, "Ownkey-Bucket": "calls"})
        equal(status, 200)
        return headers
    hit = chat("Who keeps bees on the roof?", "recall")
    equal((hit["Ownkey-Memory"], hit["Ownkey-Memory-Ids"]), ("hit", m["id"]))
    assert int(hit["Ownkey-Memory-Tokens"]) > 0
    empty = chat("What is the capital of Peru?", "recall")
    equal((empty["Ownkey-Memory"], empty["Ownkey-Memory-Ids"]), ("empty", None))
    equal(chat("Who keeps bees on the roof?", "off")["Ownkey-Memory"], "off")


run()
