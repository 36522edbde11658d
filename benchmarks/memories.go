package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
)

// What memories say, and now and then about what the calls ask (load's text).
var (
	memoryWho  = []string{"Ada", "Ben", "Chiara", "Daniel", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas"}
	memoryDoes = []string{
		"moved to", "booked a train to", "has a sister in", "wrote an essay about", "cooks what they learnt in", "lost a suitcase in",
		"plans a week in", "never wants to go back to", "took photographs of", "studied music in", "opened a bakery in", "rents a flat in",
	}
	memoryWhere = []string{
		"Paris", "Lisbon", "Oslo", "Naples", "Kyoto", "Quito", "Tromsø", "Ghent", "Porto", "Hanoi", "Tallinn", "Dakar", "Leeds", "Turin", "Cusco",
		"Bergen", "Malmö", "Graz", "Utrecht", "Nantes", "Cardiff", "Seville", "Gdansk", "Split", "Varna", "Tunis", "Muscat", "Busan", "Perth", "Hobart",
	}
	memoryHow = []string{
		"with two children and a dog", "because of the museum of clocks", "in the spring after the flood", "on a very small budget", "for the harvest",
		"before the new job began", "without telling anybody", "by bicycle along the canal", "when the library was closed", "and liked the market halls",
	}
)

// remember stores memories through the API, 1,000 a call.
func remember(addr netip.AddrPort, token string, n int) error {
	luck := rand.New(rand.NewPCG(1, 2))
	const most = 1000
	for from := 0; from < n; from += most {
		type memory struct {
			Content string `json:"content"`
		}
		var all struct {
			Memories []memory `json:"memories"`
		}
		for i := from; i < min(n, from+most); i++ {
			of := func(words []string) string { return words[luck.IntN(len(words))] }
			text := fmt.Sprintf("%s %s %s %s, note %d.", of(memoryWho), of(memoryDoes), of(memoryWhere), of(memoryHow), i)
			all.Memories = append(all.Memories, memory{text})
		}
		body, err := json.Marshal(all)
		if err != nil {
			return err
		}
		if _, err := post(context.Background(), "http://"+addr.String()+"/v1/buckets/default/memories", token, string(body)); err != nil {
			return fmt.Errorf("cannot store memories: %w", err)
		}
	}
	return nil
}

func post(ctx context.Context, url, token, body string) ([]byte, error) {
	return call(ctx, http.MethodPost, url, token, body)
}

func call(ctx context.Context, method, url, token, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if response.StatusCode >= http.StatusMultipleChoices {
		err = errors.Join(err, fmt.Errorf("%s: %d %s", url, response.StatusCode, answer))
	}
	return answer, err
}
