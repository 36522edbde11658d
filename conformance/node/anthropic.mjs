// The official @anthropic-ai/sdk package against a gateway.
import { strict as assert } from "node:assert";
import Anthropic from "@anthropic-ai/sdk";
import { all, arrivals, assertProviderFreed, assertStreamed, numbered, raises, run, tagged } from "./checks.mjs";

const client = new Anthropic({ maxRetries: 0, timeout: 30_000 }); // address and token from the environment
// The same gateway by its path for the provider, and another, which waits for a
// provider for one second only.
const pinned = client.withOptions({ baseURL: `${process.env.ANTHROPIC_BASE_URL}/anthropic` });
const impatient = client.withOptions({
  maxRetries: 2,
  baseURL: `${process.env.IMPATIENT_BASE_URL}/anthropic`,
  apiKey: process.env.IMPATIENT_API_KEY,
});

const HELLO = "Hello from the fake provider: you are connected.";
const ask = { max_tokens: 100, messages: [{ role: "user", content: "canary-prompt: are you there?" }] };
const input_schema = { type: "object", properties: { city: { type: "string" }, rank: { type: "integer" } } };
const tools = [{ name: "place", description: "Looks a place up.", input_schema }];
const PLACE = { city: "fake", rank: 7 };

/** The texts that came before the stream's error. */
async function readUntilError(model, by = client, kind = Anthropic.APIError) {
  const got = [];
  try {
    for await (const e of await by.messages.create({ model, stream: true, ...ask })) if (e.type === "content_block_delta") got.push(e.delta.text);
  } catch (e) {
    assert.ok(e instanceof kind, `${e.name}: ${e.message}`);
    return got;
  }
  assert.fail(`ended cleanly after ${got}`);
}

await run({
  async messages() {
    const got = await client.messages.create({ model: "claude-fake", ...ask });
    assert.deepEqual([got.content[0].text, got.stop_reason, got.usage.output_tokens], [HELLO, "end_turn", 8]);
    assert.match(got._request_id, /^req_/);
  },

  async messages_by_prefix_and_by_path() {
    assert.equal((await client.messages.create({ model: "anthropic/claude-fake", ...ask })).model, "claude-fake");
    assert.equal((await pinned.messages.create({ model: "claude-fake", ...ask })).model, "claude-fake");
  },

  async messages_stream_keeps_the_order_of_events() {
    const events = await all(await client.messages.create({ model: "fake:chunks=100", stream: true, ...ask }));
    const kinds = events.map((e) => e.type).filter((k) => k !== "content_block_delta" && k !== "ping");
    assert.deepEqual(kinds, ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]);
    const text = events.filter((e) => e.type === "content_block_delta").map((e) => e.delta.text);
    assert.equal(text.join(""), numbered(100));
  },

  async messages_stream_helper() {
    const final = await client.messages.stream({ model: "m", ...ask }).finalMessage();
    assert.deepEqual([final.content[0].text, final.usage.input_tokens, final.usage.output_tokens], [HELLO, 10, 8]);
  },

  async messages_stream_is_not_held_back() {
    const stream = await client.messages.create({ model: "fake:chunks=5,gap=100ms", stream: true, ...ask });
    await assertStreamed(stream, (e) => e.type === "content_block_delta");
  },

  async tools() {
    const got = await client.messages.create({ model: "m", tools, ...ask });
    assert.deepEqual([got.content[0].name, got.content[0].input, got.stop_reason], ["place", PLACE, "tool_use"]);
  },

  async tools_streamed() {
    const final = await client.messages.stream({ model: "m", tools, ...ask }).finalMessage();
    assert.deepEqual(final.content[0].input, PLACE);
  },

  async count_tokens() {
    assert.equal((await client.messages.countTokens({ model: "claude-fake", messages: ask.messages })).input_tokens, 10);
  },

  async models() {
    assert.deepEqual((await all(pinned.models.list())).map((m) => m.id), ["gpt-4o-mini", "claude-fake"]);
  },

  async headers_of_the_answer() {
    const { data, response } = await client.messages.create({ model: "fake:whoami", ...ask }).withResponse();
    assert.equal(response.headers.get("ownkey-provider"), "anthropic");
    assert.equal(response.headers.get("anthropic-organization-id"), process.env.ANTHROPIC_ACCOUNT);
    assert.equal(`org-${data.content[0].text}`, process.env.ANTHROPIC_ACCOUNT);
  },

  async a_wrong_token_is_an_authentication_error() {
    const wrong = client.withOptions({ apiKey: "ok_wrong" });
    const e = await raises(Anthropic.AuthenticationError, () => wrong.messages.create({ model: "m", ...ask }));
    assert.equal(e.error.error.type, "authentication_error");
    assert.equal(e.headers.get("ownkey-error"), "invalid_token");
  },

  async a_missing_credential_is_told_apart() {
    const e = await raises(Anthropic.PreconditionFailedError, () => client.messages.create({ model: "groq/m", ...ask }));
    assert.equal(e.headers.get("ownkey-error"), "credential_missing");
  },

  async errors_of_the_provider_keep_their_class() {
    for (const [status, kind] of [
      [400, Anthropic.BadRequestError],
      [401, Anthropic.AuthenticationError],
      [403, Anthropic.PermissionDeniedError],
      [404, Anthropic.NotFoundError],
      [429, Anthropic.RateLimitError],
      [500, Anthropic.InternalServerError],
    ]) {
      const e = await raises(kind, () => client.messages.create({ model: `fake:status=${status}`, ...ask }));
      assert.deepEqual([e.status, e.headers.has("ownkey-error")], [status, false]);
      assert.match(e.requestID, /^req_/);
    }
  },

  async a_500_is_tried_three_times() {
    const { model, tag } = tagged("status=500");
    const persistent = client.withOptions({ maxRetries: 2 });
    await raises(Anthropic.InternalServerError, () => persistent.messages.create({ model, ...ask }));
    assert.equal((await arrivals(tag)).length, 3);
  },

  async a_timeout_that_may_have_been_billed_is_tried_once() {
    const { model, tag } = tagged("stall");
    try {
      await impatient.messages.create({ model, ...ask });
      assert.fail("ended cleanly");
    } catch (e) {
      assert.deepEqual([e.status, e.error?.error?.type], [504, "timeout_error"], e.message);
    }
    assert.equal((await arrivals(tag)).length, 1);
  },

  async a_cut_stream_raises() {
    assert.equal((await readUntilError("fake:chunks=9,gap=1ms,cut-after=3")).join(""), numbered(3));
  },

  // What the SDK makes of half an event is its own affair, but not an end.
  async a_stream_cut_within_an_event_never_ends_cleanly() {
    assert.equal((await readUntilError("fake:chunks=9,gap=1ms,cut-after=3,cut-mid", client, Error)).join(""), numbered(3));
  },

  async a_stream_that_falls_silent_raises() {
    assert.equal((await readUntilError("fake:chunks=9,stall-after=3", impatient)).length, 3);
  },

  async leaving_a_stream_frees_the_provider() {
    const { model, tag } = tagged("chunks=1000,gap=20ms");
    let closedAt;
    for await (const e of await client.messages.create({ model, stream: true, ...ask })) {
      if (e.type !== "content_block_delta") continue;
      closedAt = Date.now();
      break;
    }
    await assertProviderFreed(tag, closedAt);
  },
});
