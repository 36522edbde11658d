package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

var answers = []check{
	{"chat", chat},
	{"chat_stream_brings_every_chunk_in_order", chatStream},
	{"chat_stream_with_usage", chatStreamUsage},
	{"chat_tools", chatTools},
	{"chat_tools_streamed", chatToolsStreamed},
	{"chat_structured_output", chatStructured},
	{"responses", responsesUnary},
	{"responses_stream_keeps_the_order_of_events", responsesStream},
	{"embeddings", embeddings},
	{"models", models},
	{"files_keep_every_byte", files},
	{"speech_keeps_every_byte", speech},
	{"transcription", transcription},
	{"body_arrives_as_it_was_sent", body},
	{"headers_of_the_answer", headers},
}

var place = map[string]any{
	"type":       "object",
	"properties": map[string]any{"city": map[string]any{"type": "string"}, "rank": map[string]any{"type": "integer"}},
}

const placed = `{"city":"fake","rank":7}`

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "chunk %d ", i)
	}
	return b.String()
}

func chat(ctx context.Context) error {
	got, err := client.Chat.Completions.New(ctx, ask("gpt-4o-mini"))
	if err != nil {
		return err
	}
	return errors.Join(equal("text", got.Choices[0].Message.Content, hello), equal("usage", got.Usage.CompletionTokens, 8))
}

// readChat gives the text of a stream, its last finish reason, and what the
// accumulator made of it.
func readChat(ctx context.Context, params openai.ChatCompletionNewParams, by openai.Client) (text, finish string, acc openai.ChatCompletionAccumulator, err error) {
	stream := by.Chat.Completions.NewStreaming(ctx, params)
	defer stream.Close()
	for stream.Next() {
		chunk := stream.Current()
		acc.AddChunk(chunk)
		for _, c := range chunk.Choices {
			text += c.Delta.Content
			finish = c.FinishReason
		}
	}
	return text, finish, acc, stream.Err()
}

func chatStream(ctx context.Context) error {
	for model, want := range map[string]string{"fake:chunks=200": numbered(200), "fake:chunks=5,trickle": numbered(5)} {
		text, finish, _, err := readChat(ctx, ask(model), client)
		if err := errors.Join(err, equal("text", text, want), equal("finish", finish, "stop")); err != nil {
			return err
		}
	}
	return nil
}

func chatStreamUsage(ctx context.Context) error {
	params := ask("m")
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	_, _, acc, err := readChat(ctx, params, client)
	return errors.Join(err, equal("usage", acc.Usage.CompletionTokens, 8))
}

func withTool(model string) openai.ChatCompletionNewParams {
	params := ask(model)
	params.Tools = []openai.ChatCompletionToolUnionParam{
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "place", Parameters: place}),
	}
	return params
}

func chatTools(ctx context.Context) error {
	got, err := client.Chat.Completions.New(ctx, withTool("m"))
	if err != nil {
		return err
	}
	call := got.Choices[0].Message.ToolCalls[0].Function
	return errors.Join(equal("name", call.Name, "place"), equal("arguments", call.Arguments, placed))
}

func chatToolsStreamed(ctx context.Context) error {
	_, finish, acc, err := readChat(ctx, withTool("m"), client)
	if err != nil {
		return err
	}
	call := acc.Choices[0].Message.ToolCalls[0].Function
	return errors.Join(equal("finish", finish, "tool_calls"), equal("name", call.Name, "place"), equal("arguments", call.Arguments, placed))
}

func chatStructured(ctx context.Context) error {
	params := ask("m")
	params.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "place", Schema: place, Strict: openai.Bool(true)},
	}
	got, err := client.Chat.Completions.New(ctx, params)
	if err != nil {
		return err
	}
	return equal("text", got.Choices[0].Message.Content, placed)
}

func input(model string) responses.ResponseNewParams {
	return responses.ResponseNewParams{
		Model: model,
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("x")},
	}
}

func responsesUnary(ctx context.Context) error {
	got, err := client.Responses.New(ctx, input("m"))
	if err != nil {
		return err
	}
	again, err := client.Responses.Get(ctx, got.ID, responses.ResponseGetParams{})
	if err != nil {
		return err
	}
	return errors.Join(equal("text", got.OutputText(), hello), equal("id", again.ID, got.ID))
}

func responsesStream(ctx context.Context) error {
	stream := client.Responses.NewStreaming(ctx, input("fake:chunks=20"))
	defer stream.Close()
	var text strings.Builder
	var last responses.ResponseStreamEventUnion
	for n := int64(0); stream.Next(); n++ {
		last = stream.Current()
		if err := equal("sequence number", last.SequenceNumber, n); err != nil {
			return err
		}
		if last.Type == "response.output_text.delta" {
			text.WriteString(last.Delta)
		}
	}
	return errors.Join(stream.Err(), equal("text", text.String(), numbered(20)), equal("last event", last.Type, "response.completed"),
		equal("usage", last.Response.Usage.OutputTokens, 40))
}

func embeddings(ctx context.Context) error {
	got, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: "m", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}},
	})
	if err != nil {
		return err
	}
	if err := equal("vectors", len(got.Data), 2); err != nil {
		return err
	}
	if v := got.Data[1].Embedding; len(v) != 8 || math.Abs(v[1]-2.0/3) > 1e-6 {
		return fmt.Errorf("got the vector %v", v)
	}
	return nil
}

func models(ctx context.Context) error {
	var ids []string
	pages := client.Models.ListAutoPaging(ctx)
	for pages.Next() {
		ids = append(ids, pages.Current().ID)
	}
	return errors.Join(pages.Err(), equal("models", ids, []string{"gpt-4o-mini", "claude-fake"}))
}

func files(ctx context.Context) error {
	content := make([]byte, 5<<20)
	_, _ = rand.Read(content)
	f, err := client.Files.New(ctx, openai.FileNewParams{
		File: openai.File(bytes.NewReader(content), "five.bin", "application/octet-stream"), Purpose: openai.FilePurposeBatch,
	})
	if err != nil {
		return err
	}
	if !strings.Contains(f.RawJSON(), digest(content)) {
		return errors.New("the upload arrived as other bytes")
	}
	back, err := client.Files.Content(ctx, f.ID)
	if err != nil {
		return err
	}
	defer back.Body.Close()
	b, err := io.ReadAll(back.Body)
	return errors.Join(err, equal("download", digest(b), digest(content)))
}

func speech(ctx context.Context) error {
	want := make([]byte, 100_000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	res, err := client.Audio.Speech.New(ctx, openai.AudioSpeechNewParams{
		Model: "m", Input: "x", Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")},
	})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return errors.Join(err, equal("audio", digest(got), digest(want)), equal("type", res.Header.Get("Content-Type"), "audio/mpeg"))
}

func transcription(ctx context.Context) error {
	audio := make([]byte, 300_000)
	_, _ = rand.Read(audio)
	got, err := client.Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{
		Model: "m", File: openai.File(bytes.NewReader(audio), "a.wav", "audio/wav"),
	})
	if err != nil {
		return err
	}
	return equal("text", got.Text, "300000 bytes of audio, sha256 "+digest(audio))
}

func body(ctx context.Context) error {
	var sent []byte
	spy := option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
		return next(r)
	})
	model, tag := tagged("echo-sha")
	got, err := client.Chat.Completions.New(ctx, ask(model), spy, option.WithJSONSet("unknown.big", uint64(math.MaxUint64)))
	if err != nil {
		return err
	}
	all, err := arrivals(tag)
	if err != nil || len(all) != 1 {
		return fmt.Errorf("%d arrivals: %w", len(all), err)
	}
	return errors.Join(equal("answer", got.Choices[0].Message.Content, digest(sent)), equal("journal", all[0].SHA256, digest(sent)))
}

func headers(ctx context.Context) error {
	var res *http.Response
	if _, err := client.Chat.Completions.New(ctx, ask("fake:header-echo"), option.WithResponseInto(&res)); err != nil {
		return err
	}
	h := res.Header
	for _, name := range []string{"Set-Cookie", "X-Unknown", "X-Leak", "Openai-Debug", "Ownkey-Error"} {
		if h.Get(name) != "" {
			return errors.New(name + " passed")
		}
	}
	return errors.Join(equal("account", h.Get("Openai-Organization"), os.Getenv("OPENAI_ACCOUNT")),
		equal("provider", h.Get("Ownkey-Provider"), "openai"), equal("request id", h.Get("X-Request-Id")[:4], "req_"))
}
