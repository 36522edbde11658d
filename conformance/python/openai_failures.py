"""The official openai package against a gateway: what goes wrong, and how the
program using it learns of that."""

import asyncio
import hashlib
import os
import time

import openai

from checks import arrival, arrivals, assert_provider_freed, check, equal, raises, run, tagged

client = openai.OpenAI(timeout=30, max_retries=0)
aclient = openai.AsyncOpenAI(timeout=30, max_retries=0)
persistent = client.with_options(max_retries=2)
# A second gateway, which waits for a provider for one second only.
impatient = openai.OpenAI(
    timeout=30, max_retries=2, base_url=os.environ["IMPATIENT_BASE_URL"] + "/openai/v1", api_key=os.environ["IMPATIENT_API_KEY"]
)

HELLO = "Hello from the fake provider: you are connected."
ASK = [{"role": "user", "content": "canary-prompt: are you there?"}]


def chat(model, by=client, **options):
    return by.chat.completions.create(model=model, messages=ASK, **options)


@check
def a_wrong_token_is_an_authentication_error():
    for key in ("sk-not-ours", "ok_wrong", os.environ["OPENAI_API_KEY"][:-1] + "!"):
        e = raises(openai.AuthenticationError, lambda: chat("m", client.with_options(api_key=key)))
        equal((e.status_code, e.code, e.type, e.param), (401, "invalid_token", "ownkey_error", None))
        equal(e.response.headers["ownkey-error"], "invalid_token")


@check
def a_missing_credential_is_told_apart():
    e = raises(openai.APIStatusError, lambda: chat("groq/llama-3.3-70b-versatile"))
    equal((e.status_code, e.code, e.response.headers["ownkey-error"]), (412, "credential_missing", "credential_missing"))
    assert "groq" in e.message, e.message


@check
def errors_of_the_provider_keep_their_class():
    for status, kind in {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        409: openai.ConflictError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
        503: openai.InternalServerError,
    }.items():
        for options in ({}, {"stream": True}):
            e = raises(kind, lambda: chat(f"fake:status={status}", **options))
            equal((e.status_code, e.code), (status, "fake_error"))
            assert e.request_id.startswith("req_"), e.request_id
            assert "ownkey-error" not in e.response.headers, "a provider's error is marked as the gateway's"


@check
def an_unknown_path_is_the_providers_to_refuse():
    e = raises(openai.NotFoundError, lambda: client.post("/nowhere", body={}, cast_to=object))
    equal(e.code, "unknown_url")


@check
def a_body_that_is_not_json_is_refused():
    e = raises(
        openai.BadRequestError,
        lambda: client.post("/chat/completions", content=b'{"model":', cast_to=object, options={"headers": {"content-type": "application/json"}}),
    )
    equal((e.code, e.response.headers["ownkey-error"]), ("invalid_request", "invalid_request"))


@check
def a_provider_that_hangs_up_is_a_502():
    for behaviour, code in {"refuse": "upstream_unreachable", "garbage": "upstream_invalid"}.items():
        e = raises(openai.InternalServerError, lambda: chat("fake:" + behaviour))
        equal((e.status_code, e.code), (502, code))


@check
def an_answer_cut_short_is_never_whole():
    e = raises(openai.InternalServerError, lambda: chat("fake:lie-length"))
    equal(e.status_code, 502)


@check
def a_500_is_tried_three_times():
    model, tag = tagged("status=500")
    raises(openai.InternalServerError, lambda: chat(model, persistent))
    equal(len(arrivals(tag)), 3)


@check
def a_429_is_tried_again_when_the_provider_says():
    model, tag = tagged("status=429,retry-after=1")
    raises(openai.RateLimitError, lambda: chat(model, client.with_options(max_retries=1)))
    first, second = (r["arrived_at_ms"] for r in arrivals(tag))
    assert 1000 <= second - first < 3000, f"tried again after {second - first} ms"


@check
def a_timeout_that_may_have_been_billed_is_tried_once():
    model, tag = tagged("stall")
    e = raises(openai.InternalServerError, lambda: chat(model, impatient))
    equal((e.status_code, e.code, e.response.headers["x-should-retry"]), (504, "upstream_timeout", "false"))
    equal(len(arrivals(tag)), 1)


@check
def an_answer_that_came_too_late_is_given_to_nobody():
    """The connection that it comes on may not serve another call."""
    once = impatient.with_options(max_retries=0)
    for _ in range(3):
        equal(chat("m", once).choices[0].message.content, HELLO)
        raises(openai.InternalServerError, lambda: chat("fake:delay=1100ms,chunks=3", once))
        for _ in range(20):
            equal(chat("m", once).choices[0].message.content, HELLO)


async def own_answer():
    """A call whose answer is the digest of its own body."""
    raw = await aclient.chat.completions.with_raw_response.create(model=tagged("echo-sha")[0], messages=ASK)
    equal(raw.parse().choices[0].message.content, hashlib.sha256(raw.http_response.request.content).hexdigest())


async def bad_end(behaviour):
    """A call that ends badly: by the provider's doing, or by leaving."""
    by = aclient.with_options(timeout=0.2)
    try:
        async with await chat(f"fake:{behaviour}", by, stream=True) as stream:
            async for _ in stream:
                if "gap" in behaviour:
                    return
    except Exception:
        return
    raise AssertionError(f"{behaviour} ended cleanly")


@check
async def no_answer_goes_to_another_call():
    """Among calls that end badly in every way, each good one gets its own."""
    bad = ["refuse", "garbage", "lie-length", "stall", "status=500", "chunks=99,gap=5ms", "chunks=9,cut-after=2,cut-mid"]
    slots = asyncio.Semaphore(32)

    async def held(call):
        async with slots:
            await call

    await asyncio.gather(*(held(c) for i in range(300) for c in (own_answer(), bad_end(bad[i % len(bad)]))))


def chunks_until_error(call):
    """The chunks with content that came before the error, and the error."""
    got = []

    def read():
        for c in call():
            if c.choices[0].delta.content:
                got.append(c)

    return got, raises(openai.APIError, read)


@check
def a_cut_stream_raises():
    for cut in ("cut-after=3", "cut-after=3,trickle"):
        got, e = chunks_until_error(lambda: chat(f"fake:chunks=9,gap=1ms,{cut}", stream=True))
        equal([c.choices[0].delta.content for c in got], ["chunk 0 ", "chunk 1 ", "chunk 2 "])
        equal(e.code, "upstream_truncated")


@check
def a_stream_cut_within_an_event_never_ends_cleanly():
    """What the SDK makes of half an event is its own affair, but not an end."""
    got = []
    try:
        for c in chat("fake:chunks=9,cut-after=3,cut-mid", stream=True):
            got.append(c.choices[0].delta.content)
    except Exception:
        equal(got, ["", "chunk 0 ", "chunk 1 ", "chunk 2 "])
    else:
        raise AssertionError(f"ended cleanly after {got}")


@check
def a_stream_that_falls_silent_raises():
    got, e = chunks_until_error(lambda: chat("fake:chunks=9,stall-after=3", impatient, stream=True))
    equal((len(got), e.code), (3, "upstream_timeout"))


@check
def an_error_event_of_the_provider_raises():
    got, e = chunks_until_error(lambda: chat("fake:chunks=3,error-event", stream=True))
    equal((len(got), e.type), (3, "server_error"))


@check
def a_cut_responses_stream_raises():
    events = []

    def read():
        for e in client.responses.create(model="fake:chunks=9,cut-after=3", input="x", stream=True):
            events.append(e.type)

    raises(openai.APIError, read)
    equal(events.count("response.output_text.delta"), 3)


@check
async def a_cut_stream_raises_async():
    stream = await chat("fake:chunks=9,cut-after=3", aclient, stream=True)
    try:
        n = len([c async for c in stream if c.choices[0].delta.content])
    except openai.APIError:
        return
    raise AssertionError(f"ended cleanly after {n} chunks")


@check
def closing_a_stream_frees_the_provider():
    model, tag = tagged("chunks=1000,gap=20ms")
    stream = chat(model, stream=True)
    for _ in range(4):
        next(stream)
    closed_at = time.time()
    stream.close()
    assert_provider_freed(tag, closed_at)


@check
def closing_a_silent_stream_frees_the_provider():
    model, tag = tagged("chunks=9,stall-after=1")
    stream = chat(model, stream=True)
    next(stream), next(stream)
    closed_at = time.time()
    stream.close()
    assert_provider_freed(tag, closed_at)


@check
async def cancelling_a_call_frees_the_provider():
    model, tag = tagged("stall")
    call = asyncio.create_task(chat(model, aclient))
    await asyncio.to_thread(arrival, tag)
    closed_at = time.time()
    call.cancel()
    try:
        await call
    except asyncio.CancelledError:
        pass
    assert_provider_freed(tag, closed_at)


@check
def a_client_timeout_frees_the_provider():
    model, tag = tagged("stall")
    started = time.time()
    raises(openai.APITimeoutError, lambda: chat(model, client.with_options(timeout=0.5)))
    assert time.time() - started < 5
    assert_provider_freed(tag, time.time())


if __name__ == "__main__":
    run()
