package fakeprovider

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
)

// promptCache models the prompt caches of providers, as their documentation
// has them (2026-11). A prompt is the text of its blocks in order; how the JSON
// around them is written makes no difference.
//
//   - OpenAI up to GPT-5.5: the longest common prefix with any earlier prompt,
//     from 1,024 tokens on, in steps of 128.
//   - OpenAI from GPT-5.6 on, and Anthropic: the longest prefix that ends at a
//     breakpoint of an earlier prompt and lies at, or up to 20 blocks before, a
//     breakpoint of this one. GPT-5.6 has an implicit one at the latest message
//     of a user or tool, Anthropic one at the last block if the body has a
//     cache_control of its own.
type promptCache struct {
	prompts []string                   // of the prefix kind
	ends    map[[sha256.Size]byte]bool // of the breakpoint kind
}

// block is a piece of a prompt.
type block struct {
	text string
	mark bool // a breakpoint of the client's
}

const (
	charactersPerToken = 4
	leastCached        = 1024
	cacheStep          = 128
	lookBack           = 20
)

// readPrompt notes how many tokens of the call's prompt were cached, and caches
// it.
func (c *call) readPrompt() {
	if !c.s.o.PromptCache {
		return
	}
	blocks, automatic := c.blocks()
	c.s.note(func() {
		if c.anthropic() || strings.HasPrefix(c.in.Model, "gpt-5.6") {
			c.cached = c.s.prompts.atBreakpoints(blocks, automatic || !c.anthropic())
		} else {
			c.cached = c.s.prompts.byPrefix(blocks)
		}
	})
}

// blocks takes a prompt apart.
func (c *call) blocks() (all []block, automatic bool) {
	var body struct {
		System       json.RawMessage   `json:"system"`
		Messages     []json.RawMessage `json:"messages"`
		CacheControl json.RawMessage   `json:"cache_control"`
	}
	_ = json.Unmarshal(c.body, &body)
	all = appendBlocks(all, "system", body.System)
	for _, raw := range body.Messages {
		var m turn
		_ = json.Unmarshal(raw, &m)
		all = appendBlocks(all, m.Role, m.Content)
	}
	return all, len(body.CacheControl) > 0
}

func appendBlocks(all []block, role string, content json.RawMessage) []block {
	var text string
	if json.Unmarshal(content, &text) == nil {
		return append(all, block{text: role + ": " + text})
	}
	var parts []struct {
		Text       string          `json:"text"`
		Control    json.RawMessage `json:"cache_control"`
		Breakpoint json.RawMessage `json:"prompt_cache_breakpoint"`
	}
	_ = json.Unmarshal(content, &parts)
	for i, p := range parts {
		if i == 0 {
			p.Text = role + ": " + p.Text
		}
		all = append(all, block{p.Text, len(p.Control)+len(p.Breakpoint) > 0})
	}
	return all
}

func (p *promptCache) byPrefix(blocks []block) int {
	var b strings.Builder
	for _, one := range blocks {
		b.WriteString(one.text + "\n")
	}
	prompt, longest := b.String(), 0
	for _, before := range p.prompts {
		n := 0
		for n < len(before) && n < len(prompt) && before[n] == prompt[n] {
			n++
		}
		longest = max(longest, n)
	}
	p.prompts = append(p.prompts, prompt)
	if tokens := longest / charactersPerToken; tokens >= leastCached {
		return tokens / cacheStep * cacheStep
	}
	return 0
}

func (p *promptCache) atBreakpoints(blocks []block, implicit bool) int {
	type end struct {
		hash   [sha256.Size]byte
		tokens int
	}
	var ends []end
	var prompt []byte
	for _, b := range blocks {
		prompt = append(append(prompt, b.text...), '\n')
		ends = append(ends, end{sha256.Sum256(prompt), len(prompt) / charactersPerToken})
	}
	cached := 0
	var written []end
	for i, b := range blocks {
		if last := i == len(blocks)-1; !b.mark && (!implicit || !last) {
			continue
		}
		for j := i; j >= 0 && j > i-lookBack; j-- {
			if p.ends[ends[j].hash] {
				cached = max(cached, ends[j].tokens)
			}
		}
		written = append(written, ends[i])
	}
	for _, e := range written {
		p.ends[e.hash] = true
	}
	if cached < leastCached {
		return 0
	}
	return cached
}
