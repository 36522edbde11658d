"""The official openai package against a gateway: what passes through."""

import hashlib
import json
import os
import time

import openai
from pydantic import BaseModel

from checks import arrivals, assert_streamed, check, equal, run, tagged

client = openai.OpenAI(timeout=30, max_retries=0)  # address and token from the environment
aclient = openai.AsyncOpenAI(timeout=30, max_retries=0)

HELLO = "Hello from the fake provider: you are connected."
ASK = [{"role": "user", "content": "canary-prompt: are you there?"}]


class Place(BaseModel):
    city: str
    rank: int


class Trip(BaseModel):
    stops: list[Place]
    booked: bool


def numbered(n):
    return "".join(f"chunk {i} " for i in range(n))


@check
def chat():
    got = client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
    equal(got.choices[0].message.content, HELLO)
    equal(got.usage.completion_tokens, 8)
    equal(got.usage.prompt_tokens_details.cached_tokens, 4)


@check
async def chat_async():
    got = await aclient.chat.completions.create(model="openai/gpt-4o-mini", messages=ASK)
    equal(got.choices[0].message.content, HELLO)
    equal(got.model, "gpt-4o-mini")


@check
def chat_several_choices():
    got = client.chat.completions.create(model="m", messages=ASK, n=3)
    equal([c.index for c in got.choices], [0, 1, 2])


@check
def chat_stream_brings_every_chunk_in_order():
    stream = client.chat.completions.create(model="fake:chunks=200", messages=ASK, stream=True)
    chunks = [c.choices[0] for c in stream]
    equal("".join(c.delta.content or "" for c in chunks), numbered(200))
    equal(chunks[-1].finish_reason, "stop")


@check
async def chat_stream_async():
    stream = await aclient.chat.completions.create(model="fake:chunks=50", messages=ASK, stream=True)
    equal("".join([c.choices[0].delta.content or "" async for c in stream]), numbered(50))


@check
def chat_stream_of_single_bytes():
    stream = client.chat.completions.create(model="fake:chunks=5,trickle", messages=ASK, stream=True)
    equal("".join(c.choices[0].delta.content or "" for c in stream), numbered(5))


@check
def chat_stream_is_not_held_back():
    stream = client.chat.completions.create(model="fake:chunks=5,gap=100ms", messages=ASK, stream=True)
    times = [time.monotonic() for c in stream if c.choices[0].delta.content]
    assert_streamed(times)


@check
def chat_stream_with_usage():
    stream = client.chat.completions.create(
        model="m", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    equal(last.choices, [])
    equal(last.usage.completion_tokens, 8)
    equal([c.usage for c in chunks if c.usage], [])


@check
def chat_stream_without_usage_has_no_extra_chunk():
    stream = client.chat.completions.create(model="m", messages=ASK, stream=True)
    for c in stream:
        equal(len(c.choices), 1)
        assert "usage" not in c.model_fields_set, "a chunk has a usage nobody asked for"


@check
def chat_tools():
    got = client.chat.completions.create(model="m", messages=ASK, tools=[openai.pydantic_function_tool(Place)])
    (call,) = got.choices[0].message.tool_calls
    equal((call.function.name, json.loads(call.function.arguments)), ("Place", {"city": "fake", "rank": 7}))
    equal(got.choices[0].finish_reason, "tool_calls")
    answer = {"role": "tool", "tool_call_id": call.id, "content": "done"}
    end = client.chat.completions.create(
        model="m", messages=[*ASK, got.choices[0].message, answer], tools=[openai.pydantic_function_tool(Place)]
    )
    equal(end.choices[0].message.content, HELLO)


@check
def chat_tools_streamed():
    with client.chat.completions.stream(model="m", messages=ASK, tools=[openai.pydantic_function_tool(Place)]) as s:
        deltas = [e.arguments_delta for e in s if e.type == "tool_calls.function.arguments.delta"]
        (call,) = s.get_final_completion().choices[0].message.tool_calls
    assert len([d for d in deltas if d]) == 2, f"arguments came as {deltas}"
    equal(call.function.parsed_arguments, Place(city="fake", rank=7))


@check
def chat_structured_output():
    got = client.chat.completions.parse(model="m", messages=ASK, response_format=Trip)
    equal(got.choices[0].message.parsed, Trip(stops=[Place(city="fake", rank=7)], booked=True))


@check
def chat_structured_output_streamed():
    with client.chat.completions.stream(model="m", messages=ASK, response_format=Trip) as s:
        equal(s.get_final_completion().choices[0].message.parsed, Trip(stops=[Place(city="fake", rank=7)], booked=True))


@check
def completions():
    equal(client.completions.create(model="m", prompt="x").choices[0].text, HELLO)
    stream = client.completions.create(model="fake:chunks=9", prompt="x", stream=True)
    equal("".join(c.choices[0].text for c in stream), numbered(9))


@check
def responses():
    got = client.responses.create(model="m", input="canary-prompt: are you there?")
    equal((got.output_text, got.status, got.usage.output_tokens), (HELLO, "completed", 8))
    equal(client.responses.retrieve(got.id).id, got.id)
    equal(client.responses.cancel(got.id).id, got.id)
    client.responses.delete(got.id)


@check
def responses_stream_keeps_the_order_of_events():
    events = list(client.responses.create(model="fake:chunks=20", input="x", stream=True))
    equal([e.sequence_number for e in events], list(range(len(events))))
    kinds = [e.type for e in events if e.type != "response.output_text.delta"]
    equal(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ],
    )
    equal("".join(e.delta for e in events if e.type == "response.output_text.delta"), numbered(20))
    equal(events[-1].response.usage.input_tokens_details.cached_tokens, 4)


@check
async def responses_stream_async():
    async with aclient.responses.stream(model="m", input="x") as s:
        final = await s.get_final_response()
    equal((final.output_text, final.usage.output_tokens), (HELLO, 8))


@check
def responses_tools_streamed():
    tool = openai.pydantic_function_tool(Place)["function"] | {"type": "function"}
    with client.responses.stream(model="m", input="x", tools=[tool]) as s:
        events = list(s)
        (call,) = s.get_final_response().output
    equal((call.name, json.loads(call.arguments)), ("Place", {"city": "fake", "rank": 7}))
    assert any(e.type == "response.function_call_arguments.delta" for e in events)


@check
def responses_structured_output():
    got = client.responses.parse(model="m", input="x", text_format=Trip)
    equal(got.output_parsed, Trip(stops=[Place(city="fake", rank=7)], booked=True))


@check
def embeddings():
    """The SDK asks for base64 by itself; floats must come out the same."""
    packed = client.embeddings.create(model="m", input=["a", "b"]).data
    plain = client.embeddings.create(model="m", input=["a", "b"], encoding_format="float").data
    equal([e.index for e in packed], [0, 1])
    for a, b in zip(packed, plain):
        equal(len(a.embedding), 8)
        assert all(abs(x - y) < 1e-6 for x, y in zip(a.embedding, b.embedding)), (a, b)


@check
def models():
    equal([m.id for m in client.models.list()], ["gpt-4o-mini", "claude-fake"])
    equal(client.models.retrieve("gpt-4o-mini").id, "gpt-4o-mini")


@check
def moderations_and_images():
    equal(client.moderations.create(input="x").results[0].flagged, False)
    assert client.images.generate(model="m", prompt="x").data[0].b64_json


@check
def files_keep_every_byte():
    content = os.urandom(5 << 20)
    f = client.files.create(file=("five.bin", content), purpose="batch")
    equal((f.bytes, f.filename, f.purpose), (len(content), "five.bin", "batch"))
    equal(f.sha256, hashlib.sha256(content).hexdigest())
    assert client.files.content(f.id).read() == content, "the download differs"
    assert f.id in [x.id for x in client.files.list()]
    equal(client.files.delete(f.id).deleted, True)


@check
def speech_keeps_every_byte():
    want = bytes(i * 7 & 255 for i in range(100_000))
    ask = {"model": "m", "voice": "alloy", "input": "x"}
    assert client.audio.speech.create(**ask).read() == want, "the audio differs"
    with client.audio.speech.with_streaming_response.create(**ask) as r:
        equal(r.headers["content-type"], "audio/mpeg")
        assert b"".join(r.iter_bytes()) == want, "the streamed audio differs"


@check
def transcription():
    audio = os.urandom(300_000)
    got = client.audio.transcriptions.create(model="m", file=("a.wav", audio))
    equal(got.text, f"{len(audio)} bytes of audio, sha256 {hashlib.sha256(audio).hexdigest()}")


@check
def body_arrives_as_it_was_sent():
    model, tag = tagged("echo-sha")
    odd = {"unknown": {"big": 12345678901234567890123, "text": "\u00e9\u2028\U0001f600"}, "long": "y" * (1 << 20)}
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASK, extra_body=odd)
    sent = raw.http_response.request.content
    equal(raw.parse().choices[0].message.content, hashlib.sha256(sent).hexdigest())
    (request,) = arrivals(tag)
    equal((request["sha256"], request["bytes"]), (hashlib.sha256(sent).hexdigest(), len(sent)))


@check
def compressed_and_interim_answers():
    for behaviour in ("gzip", "interim"):
        equal(client.chat.completions.create(model="fake:" + behaviour, messages=ASK).choices[0].message.content, HELLO)
        stream = client.chat.completions.create(model=f"fake:chunks=9,{behaviour}", messages=ASK, stream=True)
        equal("".join(c.choices[0].delta.content or "" for c in stream), numbered(9))


@check
def query_strings_pass():
    _, tag = tagged("")
    client.models.list(extra_query={"after": "a b/ü", "tag": tag})
    (request,) = arrivals(tag)
    equal(request["raw_query"], f"after=a+b%2F%C3%BC&tag={tag}")


@check
def headers_of_the_answer():
    raw = client.chat.completions.with_raw_response.create(model="fake:header-echo", messages=ASK)
    h = raw.headers
    assert h["x-request-id"].startswith("req_") and h["ownkey-request-id"]
    equal(raw.request_id, h["x-request-id"])
    equal(raw.parse()._request_id, h["x-request-id"])
    equal((h["ownkey-provider"], h["x-ratelimit-remaining-tokens"]), ("openai", "99"))
    equal([n for n in ("set-cookie", "x-unknown", "x-leak", "openai-debug", "ownkey-error") if n in h], [])


@check
def the_tenants_own_account_pays():
    raw = client.chat.completions.with_raw_response.create(model="fake:whoami", messages=ASK)
    equal(raw.headers["openai-organization"], os.environ["OPENAI_ACCOUNT"])
    equal("org-" + raw.parse().choices[0].message.content, os.environ["OPENAI_ACCOUNT"])


if __name__ == "__main__":
    run()
