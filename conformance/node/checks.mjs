// What the suites share: checks that report one line each, and the journal of
// what arrived at the provider.
import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

/** Runs the functions in order and prints "ok NAME" or "not ok NAME REASON". */
export async function run(checks) {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok ${name}`);
    } catch (e) {
      failed++;
      const at = /\/([a-z]+\.mjs:\d+)/.exec(e.stack ?? "")?.[1] ?? "";
      console.log(`not ok ${name} ${`${e.name}: ${e.message} (${at})`.replace(/\s+/g, " ")}`);
    }
  }
  process.exit(failed ? 1 : 0);
}

/** The error of exactly this class that the call rejects with. */
export async function raises(kind, call) {
  try {
    await call();
  } catch (e) {
    assert.equal(e.constructor.name, kind.name, e.message);
    return e;
  }
  assert.fail(`ended cleanly, want ${kind.name}`);
}

/** A model name for one call, and the mark by which the journal finds it. */
export function tagged(behaviour) {
  const tag = randomUUID();
  return { model: `fake:${behaviour},tag=${tag}`, tag };
}

/** The requests at the provider whose model or query holds the tag. */
export async function arrivals(tag) {
  return (await fetch(`${process.env.JOURNAL_URL}?tag=${tag}`)).json();
}

/** The one request with the tag, as soon as it is there. */
export async function arrival(tag) {
  for (const end = Date.now() + 5000; Date.now() < end; await sleep(10)) {
    const found = await arrivals(tag);
    if (found.length > 0) return found[0];
  }
  assert.fail("nothing arrived at the provider");
}

/** The provider saw the caller leave at most 250 ms after closedAt, in ms. */
export async function assertProviderFreed(tag, closedAt) {
  for (const end = Date.now() + 5000; Date.now() < end; await sleep(10)) {
    const { left_at_ms: leftAt } = await arrival(tag);
    if (leftAt) return assert.ok(leftAt - closedAt <= 250, `the provider was freed after ${leftAt - closedAt} ms`);
  }
  assert.fail("the provider never saw the caller leave");
}

export const numbered = (n) => Array.from({ length: n }, (_, i) => `chunk ${i} `).join("");

/** Everything of an async iterable. */
export async function all(iterable) {
  const got = [];
  for await (const x of iterable) got.push(x);
  return got;
}

/** Five chunks that were sent 100 ms apart did not come all at once. */
export async function assertStreamed(stream, isChunk) {
  const times = [];
  for await (const x of stream) if (isChunk(x)) times.push(performance.now());
  assert.equal(times.length, 5);
  assert.ok(times[4] - times[0] > 200, `five chunks sent within 400 ms came within ${times[4] - times[0]} ms`);
}
