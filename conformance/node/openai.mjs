// The official openai package for Node against a gateway.
import { strict as assert } from "node:assert";
import { createHash, randomBytes } from "node:crypto";
import OpenAI, { toFile } from "openai";
import { all, arrival, arrivals, assertProviderFreed, assertStreamed, numbered, raises, run, tagged } from "./checks.mjs";

const client = new OpenAI({ maxRetries: 0, timeout: 30_000 }); // address and token from the environment
// A second gateway, which waits for a provider for one second only.
const impatient = new OpenAI({
  maxRetries: 2,
  timeout: 30_000,
  baseURL: `${process.env.IMPATIENT_BASE_URL}/openai/v1`,
  apiKey: process.env.IMPATIENT_API_KEY,
});

const HELLO = "Hello from the fake provider: you are connected.";
const messages = [{ role: "user", content: "canary-prompt: are you there?" }];
const parameters = {
  type: "object",
  properties: { city: { type: "string" }, rank: { type: "integer" } },
  required: ["city", "rank"],
  additionalProperties: false,
};
const PLACE = { city: "fake", rank: 7 };
const tools = [{ type: "function", function: { name: "place", strict: true, parameters } }];
const format = { type: "json_schema", json_schema: { name: "place", strict: true, schema: parameters } };
const sha256 = (b) => createHash("sha256").update(b).digest("hex");
const chat = (model, options = {}, by = client) => by.chat.completions.create({ model, messages, ...options });
const text = (chunks) => chunks.map((c) => c.choices[0].delta.content ?? "").join("");

/** The chunks with content that came before the stream's error, and the error. */
async function chunksUntilError(model, by = client) {
  const got = [];
  const error = await raises(OpenAI.APIError, async () => {
    for await (const c of await chat(model, { stream: true }, by)) if (c.choices[0].delta.content) got.push(c);
  });
  return { got, error };
}

await run({
  async chat() {
    const got = await chat("gpt-4o-mini");
    assert.equal(got.choices[0].message.content, HELLO);
    assert.equal(got.usage.completion_tokens, 8);
    assert.match(got._request_id, /^req_/);
  },

  async chat_stream_brings_every_chunk_in_order() {
    const chunks = await all(await chat("fake:chunks=200", { stream: true }));
    assert.equal(text(chunks), numbered(200));
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    assert.equal(text(await all(await chat("fake:chunks=5,trickle", { stream: true }))), numbered(5));
  },

  async chat_stream_is_not_held_back() {
    await assertStreamed(await chat("fake:chunks=5,gap=100ms", { stream: true }), (c) => c.choices[0].delta.content);
  },

  async chat_stream_with_usage() {
    const chunks = await all(await chat("m", { stream: true, stream_options: { include_usage: true } }));
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.equal(chunks.at(-1).usage.completion_tokens, 8);
  },

  async chat_stream_helper() {
    const stream = client.chat.completions.stream({ model: "m", messages, tools });
    const [call] = (await stream.finalChatCompletion()).choices[0].message.tool_calls;
    assert.deepEqual(JSON.parse(call.function.arguments), PLACE);
  },

  async chat_tools() {
    const runner = client.chat.completions.runTools({
      model: "m",
      messages,
      tools: [{ type: "function", function: { name: "place", parameters, parse: JSON.parse, function: (p) => `${p.city} is ${p.rank}` } }],
    });
    assert.equal(await runner.finalContent(), HELLO);
    assert.equal(await runner.finalFunctionToolCallResult(), "fake is 7");
  },

  async chat_structured_output() {
    const got = await client.chat.completions.parse({ model: "m", messages, response_format: format });
    assert.deepEqual(JSON.parse(got.choices[0].message.content), PLACE);
  },

  async responses() {
    const got = await client.responses.create({ model: "m", input: "x" });
    assert.equal(got.output_text, HELLO);
    assert.equal((await client.responses.retrieve(got.id)).id, got.id);
    assert.equal((await client.responses.cancel(got.id)).id, got.id);
    await client.responses.delete(got.id);
  },

  async responses_stream_keeps_the_order_of_events() {
    const events = await all(await client.responses.create({ model: "fake:chunks=20", input: "x", stream: true }));
    assert.deepEqual(events.map((e) => e.sequence_number), events.map((_, i) => i));
    assert.equal(events.filter((e) => e.type === "response.output_text.delta").map((e) => e.delta).join(""), numbered(20));
    assert.equal(events.at(-1).type, "response.completed");
    assert.equal(events.at(-1).response.usage.output_tokens, 40);
  },

  async responses_tools_streamed() {
    const tool = { type: "function", name: "place", strict: true, parameters };
    const stream = client.responses.stream({ model: "m", input: "x", tools: [tool] });
    const [call] = (await stream.finalResponse()).output;
    assert.deepEqual(JSON.parse(call.arguments), PLACE);
  },

  async responses_structured_output() {
    const got = await client.responses.parse({ model: "m", input: "x", text: { format: { type: "json_schema", name: "place", schema: parameters } } });
    assert.deepEqual(JSON.parse(got.output_text), PLACE);
  },

  async embeddings() {
    const input = ["a", "b"];
    const packed = await client.embeddings.create({ model: "m", input });
    const plain = await client.embeddings.create({ model: "m", input, encoding_format: "float" });
    packed.data.forEach((d, i) => {
      assert.equal(d.embedding.length, 8);
      d.embedding.forEach((x, j) => assert.ok(Math.abs(x - plain.data[i].embedding[j]) < 1e-6));
    });
  },

  async models() {
    assert.deepEqual((await all(client.models.list())).map((m) => m.id), ["gpt-4o-mini", "claude-fake"]);
  },

  async files_keep_every_byte() {
    const content = randomBytes(5 << 20);
    const f = await client.files.create({ file: await toFile(content, "five.bin"), purpose: "batch" });
    assert.deepEqual([f.bytes, f.filename, f.sha256], [content.length, "five.bin", sha256(content)]);
    const back = Buffer.from(await (await client.files.content(f.id)).arrayBuffer());
    assert.equal(sha256(back), sha256(content));
    assert.equal((await client.files.delete(f.id)).deleted, true);
  },

  async speech_keeps_every_byte() {
    const want = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) & 255));
    const got = await client.audio.speech.create({ model: "m", voice: "alloy", input: "x" });
    assert.equal(got.headers.get("content-type"), "audio/mpeg");
    assert.ok(want.equals(Buffer.from(await got.arrayBuffer())), "the audio differs");
  },

  async transcription() {
    const audio = randomBytes(300_000);
    const got = await client.audio.transcriptions.create({ model: "m", file: await toFile(audio, "a.wav") });
    assert.equal(got.text, `300000 bytes of audio, sha256 ${sha256(audio)}`);
  },

  async body_arrives_as_it_was_sent() {
    let sent;
    const spying = client.withOptions({ fetch: (url, init) => ((sent = init.body), fetch(url, init)) });
    const { model, tag } = tagged("echo-sha");
    const got = await chat(model, { unknown: { text: "é\u2028😀", big: 2 ** 60 } }, spying);
    assert.equal(got.choices[0].message.content, sha256(sent));
    assert.equal((await arrivals(tag))[0].sha256, sha256(sent));
  },

  async headers_of_the_answer() {
    const { response } = await chat("fake:header-echo").withResponse();
    const h = response.headers;
    assert.match(h.get("x-request-id"), /^req_/);
    assert.equal(h.get("ownkey-provider"), "openai");
    assert.equal(h.get("openai-organization"), process.env.OPENAI_ACCOUNT);
    assert.deepEqual(["set-cookie", "x-unknown", "x-leak", "openai-debug", "ownkey-error"].filter((n) => h.has(n)), []);
  },

  async a_wrong_token_is_an_authentication_error() {
    const e = await raises(OpenAI.AuthenticationError, () => chat("m", {}, client.withOptions({ apiKey: "ok_wrong" })));
    assert.deepEqual([e.status, e.code, e.type, e.param], [401, "invalid_token", "ownkey_error", null]);
    assert.equal(e.headers.get("ownkey-error"), "invalid_token");
  },

  async a_missing_credential_is_told_apart() {
    const e = await raises(OpenAI.APIError, () => chat("groq/m"));
    assert.deepEqual([e.status, e.code], [412, "credential_missing"]);
    assert.match(e.message, /groq/);
  },

  async errors_of_the_provider_keep_their_class() {
    for (const [status, kind] of [
      [400, OpenAI.BadRequestError],
      [401, OpenAI.AuthenticationError],
      [403, OpenAI.PermissionDeniedError],
      [404, OpenAI.NotFoundError],
      [409, OpenAI.ConflictError],
      [422, OpenAI.UnprocessableEntityError],
      [429, OpenAI.RateLimitError],
      [500, OpenAI.InternalServerError],
    ]) {
      const e = await raises(kind, () => chat(`fake:status=${status}`));
      assert.deepEqual([e.status, e.code, e.headers.has("ownkey-error")], [status, "fake_error", false]);
      assert.match(e.requestID, /^req_/);
    }
  },

  async a_500_is_tried_three_times() {
    const { model, tag } = tagged("status=500");
    await raises(OpenAI.InternalServerError, () => chat(model, {}, client.withOptions({ maxRetries: 2 })));
    assert.equal((await arrivals(tag)).length, 3);
  },

  async a_timeout_that_may_have_been_billed_is_tried_once() {
    const { model, tag } = tagged("stall");
    const e = await raises(OpenAI.InternalServerError, () => chat(model, {}, impatient));
    assert.deepEqual([e.status, e.code], [504, "upstream_timeout"]);
    assert.equal((await arrivals(tag)).length, 1);
  },

  async a_cut_stream_raises() {
    const { got, error } = await chunksUntilError("fake:chunks=9,gap=1ms,cut-after=3");
    assert.deepEqual([text(got), error.code], [numbered(3), "upstream_truncated"]);
  },

  // What the SDK makes of half an event is its own affair, but not an end.
  async a_stream_cut_within_an_event_never_ends_cleanly() {
    const got = [];
    await assert.rejects(async () => {
      for await (const c of await chat("fake:chunks=9,gap=1ms,cut-after=3,cut-mid", { stream: true })) got.push(c);
    });
    assert.equal(text(got), numbered(3));
  },

  async a_stream_that_falls_silent_raises() {
    const { got, error } = await chunksUntilError("fake:chunks=9,stall-after=3", impatient);
    assert.deepEqual([got.length, error.code], [3, "upstream_timeout"]);
  },

  async an_error_event_of_the_provider_raises() {
    const { got, error } = await chunksUntilError("fake:chunks=3,error-event");
    assert.deepEqual([got.length, error.type], [3, "server_error"]);
  },

  async a_cut_responses_stream_raises() {
    await raises(OpenAI.APIError, async () => all(await client.responses.create({ model: "fake:chunks=9,cut-after=3", input: "x", stream: true })));
  },

  async leaving_a_stream_frees_the_provider() {
    const { model, tag } = tagged("chunks=1000,gap=20ms");
    let closedAt;
    for await (const c of await chat(model, { stream: true })) {
      if (!c.choices[0].delta.content) continue;
      closedAt = Date.now();
      break;
    }
    await assertProviderFreed(tag, closedAt);
  },

  async aborting_a_call_frees_the_provider() {
    const { model, tag } = tagged("stall");
    const controller = new AbortController();
    const call = raises(OpenAI.APIUserAbortError, () => client.chat.completions.create({ model, messages }, { signal: controller.signal }));
    await arrival(tag);
    const closedAt = Date.now();
    controller.abort();
    await call;
    await assertProviderFreed(tag, closedAt);
  },
});
