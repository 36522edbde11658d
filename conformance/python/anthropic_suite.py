"""The official anthropic package against a gateway."""

import os
import time

import anthropic
from pydantic import BaseModel

from checks import arrivals, assert_provider_freed, assert_streamed, check, equal, raises, run, tagged

client = anthropic.Anthropic(timeout=30, max_retries=0)  # address and token from the environment
aclient = anthropic.AsyncAnthropic(timeout=30, max_retries=0)
# The same gateway by its path for the provider, and another, which waits for a
# provider for one second only.
pinned = anthropic.Anthropic(timeout=30, max_retries=0, base_url=os.environ["ANTHROPIC_BASE_URL"] + "/anthropic")
impatient = anthropic.Anthropic(
    timeout=30,
    max_retries=2,
    base_url=os.environ["IMPATIENT_BASE_URL"] + "/anthropic",
    api_key=os.environ["IMPATIENT_API_KEY"],
)

HELLO = "Hello from the fake provider: you are connected."
ASK = {"max_tokens": 100, "messages": [{"role": "user", "content": "canary-prompt: are you there?"}]}


class Place(BaseModel):
    city: str
    rank: int


TOOL = {"name": "place", "description": "Looks a place up.", "input_schema": Place.model_json_schema()}


def numbered(n):
    return "".join(f"chunk {i} " for i in range(n))


@check
def messages():
    got = client.messages.create(model="claude-fake", **ASK)
    equal((got.content[0].text, got.stop_reason), (HELLO, "end_turn"))
    usage = got.usage
    equal((usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens), (10, 3, 4))
    equal(usage.output_tokens, 8)


@check
async def messages_async():
    got = await aclient.messages.create(model="anthropic/claude-fake", **ASK)
    equal((got.content[0].text, got.model), (HELLO, "claude-fake"))


@check
def messages_by_the_providers_path():
    equal(pinned.messages.create(model="claude-fake", **ASK).content[0].text, HELLO)


@check
def messages_stream_keeps_the_order_of_events():
    events = list(client.messages.create(model="fake:chunks=100", stream=True, **ASK))
    kinds = [e.type for e in events]
    equal(kinds[:2] + kinds[-3:], ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"])
    equal("".join(e.delta.text for e in events if e.type == "content_block_delta"), numbered(100))
    equal(events[0].message.usage.cache_read_input_tokens, 4)


@check
def messages_stream_helper():
    with client.messages.stream(model="m", **ASK) as s:
        equal("".join(s.text_stream), HELLO)
        final = s.get_final_message()
    equal((final.usage.input_tokens, final.usage.output_tokens), (10, 8))


@check
async def messages_stream_async():
    async with aclient.messages.stream(model="fake:chunks=50,trickle", **ASK) as s:
        equal("".join([t async for t in s.text_stream]), numbered(50))


@check
def messages_stream_is_not_held_back():
    with client.messages.stream(model="fake:chunks=5,gap=100ms", **ASK) as s:
        times = [time.monotonic() for _ in s.text_stream]
    assert_streamed(times)


@check
def tools():
    got = client.messages.create(model="m", tools=[TOOL], **ASK)
    (call,) = got.content
    equal((call.type, call.name, call.input, got.stop_reason), ("tool_use", "place", {"city": "fake", "rank": 7}, "tool_use"))
    answer = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "done"}]}
    turns = [*ASK["messages"], {"role": "assistant", "content": got.content}, answer]
    end = client.messages.create(model="m", tools=[TOOL], max_tokens=100, messages=turns)
    equal(end.content[0].text, HELLO)


@check
def tools_streamed():
    with client.messages.stream(model="m", tools=[TOOL], **ASK) as s:
        deltas = [e.partial_json for e in s if e.type == "input_json"]
        (call,) = s.get_final_message().content
    equal((len(deltas), call.input), (2, {"city": "fake", "rank": 7}))


@check
def structured_output():
    equal(client.messages.parse(model="m", output_format=Place, **ASK).parsed_output, Place(city="fake", rank=7))


@check
def count_tokens():
    equal(client.messages.count_tokens(model="claude-fake", messages=ASK["messages"]).input_tokens, 10)


@check
def models():
    equal([m.id for m in pinned.models.list()], ["gpt-4o-mini", "claude-fake"])


@check
def headers_of_the_answer():
    raw = client.messages.with_raw_response.create(model="fake:whoami", **ASK)
    h = raw.headers
    got = raw.parse()
    assert h["request-id"].startswith("req_") and h["ownkey-request-id"]
    equal((got._request_id, h["ownkey-provider"]), (h["request-id"], "anthropic"))
    equal(h["anthropic-ratelimit-requests-remaining"], "99")
    equal((h["anthropic-organization-id"], "org-" + got.content[0].text), (os.environ["ANTHROPIC_ACCOUNT"],) * 2)
    equal([n for n in ("set-cookie", "x-unknown", "ownkey-error") if n in h], [])


@check
def a_wrong_token_is_an_authentication_error():
    wrong = client.with_options(api_key="ok_wrong")
    e = raises(anthropic.AuthenticationError, lambda: wrong.messages.create(model="m", **ASK))
    equal((e.body["type"], e.body["error"]["type"]), ("error", "authentication_error"))
    equal(e.response.headers["ownkey-error"], "invalid_token")


@check
def a_missing_credential_is_told_apart():
    e = raises(anthropic.PreconditionFailedError, lambda: client.messages.create(model="groq/m", **ASK))
    equal((e.body["type"], e.response.headers["ownkey-error"]), ("error", "credential_missing"))
    assert "groq" in e.body["error"]["message"], e.body


@check
def errors_of_the_provider_keep_their_class():
    for status, kind in {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        403: anthropic.PermissionDeniedError,
        404: anthropic.NotFoundError,
        413: anthropic.APIStatusError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        529: anthropic.APIStatusError,
    }.items():
        try:
            client.messages.create(model=f"fake:status={status}", **ASK)
        except kind as e:
            equal(e.status_code, status)
            assert e.request_id.startswith("req_"), e.request_id
            assert "ownkey-error" not in e.response.headers, "a provider's error is marked as the gateway's"
        else:
            raise AssertionError(f"{status} ended cleanly")


@check
def a_500_is_tried_three_times():
    model, tag = tagged("status=500")
    raises(anthropic.InternalServerError, lambda: client.with_options(max_retries=2).messages.create(model=model, **ASK))
    equal(len(arrivals(tag)), 3)


@check
def a_timeout_that_may_have_been_billed_is_tried_once():
    model, tag = tagged("stall")
    try:
        impatient.messages.create(model=model, **ASK)
    except anthropic.InternalServerError as e:
        equal((e.status_code, e.body["error"]["type"]), (504, "timeout_error"))
    else:
        raise AssertionError("ended cleanly")
    equal(len(arrivals(tag)), 1)


def read_until_error(model, by=client, kind=anthropic.APIError):
    """The texts that came before the stream's error."""
    got = []
    try:
        with by.messages.stream(model=model, **ASK) as s:
            for text in s.text_stream:
                got.append(text)
    except kind:
        return got
    raise AssertionError(f"ended cleanly after {got}")


@check
def a_cut_stream_raises():
    equal(read_until_error("fake:chunks=9,gap=1ms,cut-after=3"), ["chunk 0 ", "chunk 1 ", "chunk 2 "])


@check
def a_stream_cut_within_an_event_never_ends_cleanly():
    """What the SDK makes of half an event is its own affair, but not an end."""
    got = read_until_error("fake:chunks=9,gap=1ms,cut-after=3,cut-mid", kind=Exception)
    equal(got, ["chunk 0 ", "chunk 1 ", "chunk 2 "])


@check
def a_stream_that_falls_silent_raises():
    equal(len(read_until_error("fake:chunks=9,stall-after=3", impatient)), 3)


@check
def an_error_event_of_the_provider_raises():
    equal(len(read_until_error("fake:chunks=3,error-event")), 3)


@check
def closing_a_stream_frees_the_provider():
    model, tag = tagged("chunks=1000,gap=20ms")
    with client.messages.stream(model=model, **ASK) as s:
        next(s.text_stream)
        closed_at = time.time()
    assert_provider_freed(tag, closed_at)


if __name__ == "__main__":
    run()
