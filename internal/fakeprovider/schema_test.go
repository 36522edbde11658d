package fakeprovider

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestValueFitsItsSchema(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var s schema
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if got := encode(s.value(&s, 0)); got != want {
			t.Errorf("%s\n gives %s, want %s", text, got, want)
		}
	}
	f(`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},"c":{"type":"boolean"}}}`, `{"a":"fake","b":7,"c":true}`)
	f(`{"type":"object"}`, `{}`)
	f(`{}`, `{}`)
	f(`{"type":"array","items":{"type":"number"}}`, `[7]`)
	f(`{"type":"array"}`, `[]`)
	f(`{"enum":["x","y"]}`, `"x"`)
	f(`{"const":3}`, `3`)
	f(`{"type":["string","null"]}`, `"fake"`)
	f(`{"anyOf":[{"type":"null"},{"type":"string"}]}`, `null`)
	f(`{"allOf":[{"type":"string"}]}`, `"fake"`)
	f(`{"$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{"b":{"$ref":"#/$defs/B"}}},"B":{"type":"integer"}}}`, `{"b":7}`)
	f(`{"$ref":"#/definitions/A","definitions":{"A":{"type":"string"}}}`, `"fake"`)
	f(`{"$ref":"#/$defs/missing"}`, `null`)
}

func TestTypeThatContainsItselfEnds(t *testing.T) {
	var s schema
	if err := json.Unmarshal([]byte(`{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]},"all":{"type":"array","items":{"$ref":"#"}}}}`), &s); err != nil {
		t.Fatal(err)
	}
	if got := encode(s.value(&s, 0)); !strings.Contains(got, `"next":{`) || !strings.Contains(got, `"all":[]`) {
		t.Errorf("got %.200s", got)
	}
}

func TestToolIsCalledOnce(t *testing.T) {
	s := start(t, Options{})
	f := func(path, body string, called bool) {
		t.Helper()
		got := text(t, post(t, s, path, body))
		if strings.Contains(got, `"look"`) != called {
			t.Errorf("%s %s\n gives %s", path, body, got)
		}
	}
	nested := `"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]`
	flat := `"tools":[{"type":"function","name":"look","parameters":{"type":"object"}}]`
	anthropic := `"tools":[{"name":"look","input_schema":{"type":"object"}}]`
	for _, stream := range []string{`"stream":false,`, `"stream":true,`} {
		f("/chat/completions", `{"model":"m",`+stream+nested+`}`, true)
		f("/chat/completions", `{"model":"m","tool_choice":"none",`+stream+nested+`}`, false)
		f("/chat/completions", `{"model":"m","messages":[{"role":"tool","content":"x"}],`+stream+nested+`}`, false)
		f("/responses", `{"model":"m",`+stream+flat+`}`, true)
		f("/responses", `{"model":"m","input":[{"type":"function_call_output"}],`+stream+flat+`}`, false)
		f("/messages", `{"model":"m",`+stream+anthropic+`}`, true)
		f("/messages", `{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result"}]}],`+stream+anthropic+`}`, false)
	}
}

func TestAnswerIsMadeFromTheSchema(t *testing.T) {
	s := start(t, Options{})
	const made = `{\"a\":\"fake\"}`
	f := func(path, format string) {
		t.Helper()
		if got := text(t, post(t, s, path, `{"model":"m",`+format+`}`)); !strings.Contains(got, made) {
			t.Errorf("%s %s\n gives %s", path, format, got)
		}
	}
	schema := `"schema":{"type":"object","properties":{"a":{"type":"string"}}}`
	f("/chat/completions", `"response_format":{"type":"json_schema","json_schema":{`+schema+`}}`)
	f("/responses", `"text":{"format":{"type":"json_schema",`+schema+`}}`)
	f("/responses", `"stream":true,"text":{"format":{"type":"json_schema",`+schema+`}}`)
	f("/messages", `"output_config":{"format":{"type":"json_schema",`+schema+`}}`)
}
