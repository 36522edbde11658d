package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
)

// form spells a body as clients do: boundary x, and lines between that end in LF here.
func form(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func spelled(header, value string) string {
	return "--x\nContent-Disposition: form-data; " + header + "\n\n" + value + "\n"
}

func TestReadForm(t *testing.T) {
	const end = "--x--\n"
	model, file := spelled(`name="model"`, "whisper-1"), spelled(`name="file"; filename="a.mp3"`, "ID3\x00\xff--y\r\n--")
	for _, f := range []struct{ name, contentType, body, model, reason string }{
		{"openai-python", "", model + file + end, "whisper-1", ""},
		{"curl", "", file + model + "--x--", "whisper-1", ""},
		{".NET", "", "--x\nContent-Type: text/plain; charset=utf-8\nContent-Disposition: form-data; name=model\n\nwhisper-1\n" + file + end, "whisper-1", ""},
		{"Apache HttpClient", "", "--x\ncontent-disposition:form-data;name=\"model\"\nContent-Type: text/plain; charset=US-ASCII\nContent-Transfer-Encoding: 8bit\nContent-Length: 9\n\nwhisper-1\n" + end, "whisper-1", ""},
		{"quoted boundary, in any case", `Multipart/Form-Data; charset=utf-8; BOUNDARY="x"`, model + end, "whisper-1", ""},
		{"no model", "", file + end, "", ""},
		{"empty value", "", spelled(`name="prompt"`, "") + model + end, "whisper-1", ""},
		{"a file's name may be anything", "", spelled(`name="file"; filename="C:\a=b; name=model"; filename*=UTF-8''model`, "a") + model + end, "whisper-1", ""},
		{"a text may speak of it", "", spelled(`name="prompt"`, "Content-Disposition: form-data; name=\"model\"\n\ngpt-9") + model + end, "whisper-1", ""},
		{"image[]", "", spelled(`name="image[]"; filename="a.png"`, "a") + spelled(`name="image[]"; filename="b.png"`, "b") + model + end, "whisper-1", ""},

		{"two", "", model + spelled(`name="model"`, "gpt-9") + end, "", reasonFormModel},
		{"two of the same", "", model + model + end, "", reasonFormModel},
		{"another case", "", spelled(`name="Model"`, "gpt-9") + end, "", reasonModelName},
		{"escaped", "", spelled(`name="mode%6C"`, "gpt-9") + end, "", reasonModelName},
		{"spaces", "", spelled(`name=" model"`, "gpt-9") + end, "", reasonModelName},
		{"brackets", "", spelled(`name="model[]"`, "gpt-9") + end, "", reasonModelName},
		{"another charset for all", "", spelled(`name="_charset_"`, "utf-16") + model + end, "", reasonModelName},
		{"a file", "", spelled(`name="model"; filename="m"`, "gpt-9") + end, "", reasonModelPart},
		{"an encoding", "", "--x\nContent-Transfer-Encoding: base64\nContent-Disposition: form-data; name=\"model\"\n\nZ3B0LTk=\n" + end, "", reasonModelPart},
		{"another charset", "", "--x\nContent-Disposition: form-data; name=\"model\"\nContent-Type: text/plain; charset=utf-7\n\ngpt-9\n" + end, "", reasonModelPart},
		{"JSON", "", "--x\nContent-Disposition: form-data; name=\"model\"\nContent-Type: application/json\n\n\"gpt-9\"\n" + end, "", reasonModelPart},
		{"parts within a part", "", "--x\nContent-Disposition: form-data; name=\"file\"\nContent-Type: multipart/mixed; boundary=y\n\n--y\n" + end, "", reasonFormHeader},
		{"a backslash before a quote", "", spelled(`name="file"; filename="a\"; name=model; x="`, "gpt-9") + end, "", reasonPartName},
		{"two names", "", spelled(`name="file"; name="model"`, "gpt-9") + end, "", reasonPartName},
		{"an extended name", "", spelled(`name*=UTF-8''model; name="file"`, "gpt-9") + end, "", reasonPartName},
		{"a name in pieces", "", spelled(`name*0="mo"; name*1="del"`, "gpt-9") + end, "", reasonPartName},
		{"two dispositions", "", "--x\nContent-Disposition: form-data; name=\"file\"\nContent-Disposition: form-data; name=\"model\"\n\ngpt-9\n" + end, "", reasonPartName},
		{"no disposition", "", "--x\nContent-Type: text/plain\n\ngpt-9\n" + end, "", reasonPartName},
		{"another disposition", "", "--x\nContent-Disposition: attachment; name=\"model\"\n\ngpt-9\n" + end, "", reasonPartName},
		{"a folded line", "", "--x\nContent-Disposition: form-data;\n name=\"model\"\n\ngpt-9\n" + end, "", reasonPartName},
		{"a folded header", "", "--x\nContent-Disposition: form-data; name=\"file\"\n\t; name=\"model\"\n\ngpt-9\n" + end, "", reasonFormHeader},
		{"a space before the colon", "", "--x\nContent-Disposition : form-data; name=\"model\"\n\ngpt-9\n" + end, "", reasonFormHeader},
		{"a preamble", "", "hello\n" + model + end, "", reasonDelimiter},
		{"an epilogue", "", model + end + spelled(`name="model"`, "gpt-9") + end, "", reasonAfterForm},
		{"no end", "", model, "", reasonFormEnd},
		{"cut", "", "--x\nContent-Disposition: form-data; name=\"model\"\n\nwhis", "", reasonFormEnd},
		{"cut in the header", "", "--x\nContent-Disposition: form-da", "", reasonFormEnd},
		{"empty", "", "", "", reasonDelimiter},
		{"a delimiter that goes on", "", spelled(`name="file"`, "a\n--xy") + model + end, "", reasonDelimiter},
		{"a delimiter with a space", "", strings.Replace(file+model+end, "--x\nContent-Disposition: form-data; name=\"model\"", "--x \nContent-Disposition: form-data; name=\"model\"", 1), "", reasonDelimiter},
		{"a delimiter amid a line", "", spelled(`name="file"`, "a--x") + model + end, "", reasonDelimiter},
		{"no boundary", "multipart/form-data", model + end, "", reasonBoundary},
		{"two boundaries", "multipart/form-data; boundary=x; boundary=y", model + end, "", reasonBoundary},
		{"an extended boundary", "multipart/form-data; boundary*=UTF-8''y; boundary=x", model + end, "", reasonBoundary},
		{"a boundary with a backslash", `multipart/form-data; boundary="\x"`, model + end, "", reasonBoundary},
		{"a boundary that is none", "multipart/form-data; boundary=x{}", model + end, "", reasonBoundary},
		{"a long boundary", "multipart/form-data; boundary=" + strings.Repeat("x", 71), model + end, "", reasonBoundary},
	} {
		contentType := f.contentType
		if contentType == "" {
			contentType = "multipart/form-data; boundary=x"
		}
		body := form(f.body)
		var h Head
		err := ReadForm(NewText(&body), []byte(contentType), &h)
		reason := ""
		if syntax, ok := errors.AsType[*SyntaxError](err); ok {
			reason = syntax.Reason
			if !syntax.Form || syntax.Offset < 0 || syntax.Offset > int64(len(body)) {
				t.Errorf("%s: %+v", f.name, syntax)
			}
		}
		if string(h.Model) != f.model || h.HasModel != (f.model != "") || reason != f.reason {
			t.Errorf("%s: model %q, %v; want %q, %q", f.name, h.Model, err, f.model, f.reason)
		}
	}
	for _, bare := range []string{"\n", "\r"} { // a line end that only some readers take for one
		body := []byte(strings.ReplaceAll(string(form(file+model+end)), "form-data; name=\"model\"\r\n", "form-data; name=\"model\""+bare))
		var h Head
		if err := ReadForm(NewText(&body), []byte("multipart/form-data; boundary=x"), &h); err == nil {
			t.Errorf("bare %q: model %q", bare, h.Model)
		}
	}
}

func TestOtherFormModels(t *testing.T) {
	body := form(spelled(`name="model"`, "a") + spelled(`name="models[]"`, "b") + spelled(`name="fallbacks"`, "c") + spelled(`name="Image_Model"`, "d") +
		spelled(`name="prompt"`, "model") + spelled(`name="model_file"; filename="models"`, "f") + "--x--\n")
	var got []string
	if !OtherFormModels(NewText(&body), []byte("multipart/form-data; boundary=x"), func(m []byte) bool { got = append(got, string(m)); return true }) {
		t.Error("not all were visited")
	}
	if fmt.Sprint(got) != "[b c d]" {
		t.Errorf("%q", got)
	}
	if OtherFormModels(NewText(&body), []byte("multipart/form-data; boundary=x"), func(m []byte) bool { return string(m) != "c" }) {
		t.Error("one was refused, and all are said to be allowed")
	}
}

// FuzzReadForm: a form that is taken has the models that Go's reader sees, no
// more and no fewer.
func FuzzReadForm(f *testing.F) {
	f.Add(form(spelled(`name="model"`, "whisper-1")+spelled(`name="file"; filename="a"`, "b")+"--x--\n"), "multipart/form-data; boundary=x")
	f.Add(form(spelled(`name="file"; filename="a\"; name=model"`, "b")+"--x--"), `multipart/form-data; boundary="x"`)
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		var h Head
		if ReadForm(NewText(&body), []byte(contentType), &h) != nil {
			return
		}
		_, params, err := mime.ParseMediaType(contentType)
		if err != nil {
			return // stricter than we are
		}
		var models [][]byte
		for r := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
			p, err := r.NextRawPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				return
			}
			value, err := io.ReadAll(p)
			if err != nil {
				t.Fatalf("%v: %q", err, body)
			}
			if p.FormName() == "model" {
				models = append(models, value)
			}
		}
		if len(models) > 1 || len(models) == 1 != h.HasModel || h.HasModel && !bytes.Equal(models[0], h.Model) {
			t.Errorf("Go sees %q, we %q: %q", models, h.Model, body)
		}
	})
}
