"""What the suites share: checks that report one line each, and the journal of
what arrived at the provider.

A check is a function; its docstring is for readers, its name is the report's.
"""

import asyncio
import inspect
import json
import os
import time
import traceback
import urllib.parse
import urllib.request
import uuid

CHECKS = []


def check(f):
    CHECKS.append(f)
    return f


def run():
    """Runs every check, prints "ok NAME" or "not ok NAME REASON", and exits."""
    failed = 0
    loop = asyncio.Runner()  # one for all: an async client lives in one loop
    for f in CHECKS:
        try:
            loop.run(f()) if inspect.iscoroutinefunction(f) else f()
            print(f"ok {f.__name__}", flush=True)
        except Exception as e:
            failed += 1
            at = [x.lineno for x in traceback.extract_tb(e.__traceback__) if x.filename == f.__code__.co_filename]
            reason = " ".join(f"{type(e).__name__}: {e} (line {at[-1]})".split())
            print(f"not ok {f.__name__} {reason}", flush=True)
    raise SystemExit(1 if failed else 0)


def equal(got, want):
    assert got == want, f"got {got!r:.300}, want {want!r:.300}"


def raises(kind, call):
    """The exception of exactly this class that the call raises."""
    try:
        call()
    except Exception as e:
        assert type(e) is kind, f"raised {type(e).__name__}: {e!s:.200}, want {kind.__name__}"
        return e
    raise AssertionError(f"ended cleanly, want {kind.__name__}")


def tagged(behaviour):
    """A model name for one call, and the mark by which the journal finds it."""
    tag = uuid.uuid4().hex[:12]
    return f"fake:{behaviour},tag={tag}", tag


def arrivals(tag):
    """The requests at the provider whose model or query holds the tag."""
    url = os.environ["JOURNAL_URL"] + "?" + urllib.parse.urlencode({"tag": tag})
    with urllib.request.urlopen(url, timeout=10) as r:
        return json.load(r)


def arrival(tag):
    """The one request with the tag, as soon as it is there."""
    deadline = time.time() + 5
    while time.time() < deadline:
        if found := arrivals(tag):
            (request,) = found
            return request
        time.sleep(0.01)
    raise AssertionError("nothing arrived at the provider")


def assert_streamed(times):
    """Five chunks that were sent 100 ms apart did not come all at once."""
    equal(len(times), 5)
    assert times[-1] - times[0] > 0.2, f"five chunks sent within 400 ms came within {times[-1] - times[0]:.3f} s"


def assert_provider_freed(tag, closed_at):
    """The provider saw the caller leave at most 250 ms after closed_at, the
    time in seconds when the SDK was told to stop."""
    deadline = time.time() + 5
    while time.time() < deadline:
        if left_at := arrival(tag)["left_at_ms"]:
            late = left_at - closed_at * 1000
            assert late <= 250, f"the provider was freed after {late:.0f} ms"
            return
        time.sleep(0.01)
    raise AssertionError("the provider never saw the caller leave")
