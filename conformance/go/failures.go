package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

var failures = []check{
	{"a_wrong_token_is_a_401", wrongToken},
	{"a_missing_credential_is_told_apart", missingCredential},
	{"errors_of_the_provider_keep_their_status", providerErrors},
	{"a_500_is_tried_three_times", retried},
	{"a_timeout_that_may_have_been_billed_is_tried_once", timeout},
	{"a_cut_stream_is_an_error", cutStream},
	{"a_stream_that_falls_silent_is_an_error", silentStream},
	{"a_cut_responses_stream_is_an_error", cutResponses},
	{"closing_a_stream_frees_the_provider", closedStream},
	{"cancelling_a_call_frees_the_provider", cancelledCall},
}

func chatError(ctx context.Context, model string, by openai.Client, options ...option.RequestOption) error {
	_, err := by.Chat.Completions.New(ctx, ask(model), options...)
	return err
}

func wrongToken(ctx context.Context) error {
	return apiError(chatError(ctx, "m", client, option.WithAPIKey("ok_wrong")), 401, "invalid_token")
}

func missingCredential(ctx context.Context) error {
	return apiError(chatError(ctx, "groq/m", client), 412, "credential_missing")
}

func providerErrors(ctx context.Context) error {
	for _, status := range []int{400, 401, 403, 404, 409, 422, 429, 500} {
		err := chatError(ctx, fmt.Sprintf("fake:status=%d", status), client)
		if bad := apiError(err, status, "fake_error"); bad != nil {
			return bad
		}
		var e *openai.Error
		if errors.As(err, &e) && e.Response.Header.Get("Ownkey-Error") != "" {
			return errors.New("a provider's error is marked as the gateway's")
		}
	}
	return nil
}

func retried(ctx context.Context) error {
	model, tag := tagged("status=500")
	err := chatError(ctx, model, client, option.WithMaxRetries(2))
	return errors.Join(apiError(err, 500, "fake_error"), arrived(tag, 3))
}

func timeout(ctx context.Context) error {
	model, tag := tagged("stall")
	return errors.Join(apiError(chatError(ctx, model, impatient), 504, "upstream_timeout"), arrived(tag, 1))
}

func cutStream(ctx context.Context) error {
	for _, cut := range []string{"cut-after=3", "cut-after=3,cut-mid"} {
		text, _, _, err := readChat(ctx, ask("fake:chunks=9,gap=1ms,"+cut), client)
		if err == nil {
			return errors.New(cut + " ended cleanly")
		}
		if err := equal("text", text, numbered(3)); err != nil {
			return err
		}
	}
	return nil
}

func silentStream(ctx context.Context) error {
	text, _, _, err := readChat(ctx, ask("fake:chunks=9,stall-after=3"), impatient)
	if err == nil {
		return errors.New("ended cleanly")
	}
	return equal("text", text, numbered(3))
}

func cutResponses(ctx context.Context) error {
	stream := client.Responses.NewStreaming(ctx, input("fake:chunks=9,cut-after=3"))
	defer stream.Close()
	for stream.Next() {
	}
	if stream.Err() == nil {
		return errors.New("ended cleanly")
	}
	return nil
}

func closedStream(ctx context.Context) error {
	model, tag := tagged("chunks=1000,gap=20ms")
	stream := client.Chat.Completions.NewStreaming(ctx, ask(model))
	for range 4 {
		if !stream.Next() {
			return fmt.Errorf("ended early: %w", stream.Err())
		}
	}
	left := time.Now()
	_ = stream.Close()
	return providerFreed(tag, left)
}

func cancelledCall(ctx context.Context) error {
	model, tag := tagged("stall")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- chatError(ctx, model, client) }()
	if _, err := arrivalOf(tag); err != nil {
		return err
	}
	left := time.Now()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return fmt.Errorf("got %w, want that it was cancelled", err)
	}
	return providerFreed(tag, left)
}
