// Command go runs the official openai package for Go against a gateway.
package main

import (
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// client takes address and token from the environment; impatient calls a second
// gateway, which waits for a provider for one second only.
var (
	client    = openai.NewClient(option.WithMaxRetries(0))
	impatient = openai.NewClient(
		option.WithMaxRetries(2),
		option.WithBaseURL(os.Getenv("IMPATIENT_BASE_URL")+"/openai/v1"),
		option.WithAPIKey(os.Getenv("IMPATIENT_API_KEY")),
	)
)

const hello = "Hello from the fake provider: you are connected."

func main() { report(append(answers, failures...)) }

func ask(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("canary-prompt: are you there?")},
	}
}
