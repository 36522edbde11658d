package wire

import (
	"errors"
	"strings"
	"testing"
)

// TestFormsAtTheirBounds: what is just short enough, empty, or cut at a byte that
// decides.
func TestFormsAtTheirBounds(t *testing.T) {
	const end = "--x--\n"
	model := spelled(`name="model"`, "m")
	for _, f := range []struct{ name, contentType, body, reason string }{
		{"a percent sign at the end", "", spelled(`name="a%"`, "a") + model + end, ""},
		{"a percent sign and one digit", "", spelled(`name="a%6"`, "a") + model + end, ""},
		{"a name of nothing", "", spelled(`name=""`, "a") + model + end, ""},
		{"a longest boundary", "multipart/form-data; boundary=" + strings.Repeat("x", 70), strings.ReplaceAll(model+end, "--x", "--"+strings.Repeat("x", 70)), ""},

		{"an escaped line feed", "", spelled(`name="mo%0Adel"`, "a") + end, reasonModelName},
		{"an escaped space", "", spelled(`name="mo%20del"`, "a") + end, reasonModelName},
		{"a name without a value", "", spelled(`name=`, "a") + end, reasonPartName},
		{"a parameter without a value", "", spelled(`name="a"; b=; c=d`, "a") + end, reasonPartName},
		{"a header without a name", "", "--x\n: a\nContent-Disposition: form-data; name=\"a\"\n\na\n" + end, reasonFormHeader},
		{"parts within a part, of no kind", "", "--x\nContent-Disposition: form-data; name=\"a\"\nContent-Type: multipart/\n\na\n" + end, reasonFormHeader},
		{"no line between header and delimiter", "", strings.Replace(spelled(`name="a"`, "")+end, "\n\n\n", "\n\n", 1), reasonDelimiter},
		{"a backslash before the last quote", "", spelled(`name="file"; filename="C:\"`, "a") + model + end, reasonPartName},
		{"two bytes behind a delimiter", "", "--xab", reasonDelimiter},
		{"one byte behind a delimiter", "", "--xa", reasonFormEnd},
		{"a boundary of nothing", `multipart/form-data; boundary=""`, model + end, reasonBoundary},
		{"a boundary that ends with a space", `multipart/form-data; boundary="x "`, strings.ReplaceAll(model+end, "--x", "--x "), reasonBoundary},
	} {
		if f.contentType == "" {
			f.contentType = "multipart/form-data; boundary=x"
		}
		body := form(f.body)
		var h Head
		err := ReadForm(NewText(&body), []byte(f.contentType), &h)
		reason := ""
		if syntax, ok := errors.AsType[*SyntaxError](err); ok {
			reason = syntax.Reason
		}
		if reason != f.reason || h.HasModel != (f.reason == "") {
			t.Errorf("%s: %q, model %v; want %q", f.name, reason, h.HasModel, f.reason)
		}
	}
}

// TestFormErrorsSayWhere: each error is at the bar of its form.
func TestFormErrorsSayWhere(t *testing.T) {
	const end = "--x--\n"
	part := spelled(`name="a"`, "a")
	for _, body := range []string{
		part + "--x--|more",
		part + "--x|y" + end,
		part + "--x\nContent-Disposition: form-data; name=\"b\"\n|bad\n\nb\n" + end,
		part + "--x\nContent-Disposition: form-data; name=\"b\"\n\nb|--x--",
		part + "--x\nContent-Disposition: form-data; name=\"b\"\n\nb|",
		part + "--x\n|Content-Disposition: form-data; name=\"Model\"\n\nb\n" + end,
		part + "--x\nContent-Type: text/plain\n|\nb\n" + end,
		part + "--x\nContent-Type: text/plain\n|Content-Disposition: form-da",
		part + "--x|",
	} {
		before, after, _ := strings.Cut(string(form(body)), "|")
		b := []byte(before + after)
		var h Head
		err := ReadForm(NewText(&b), []byte("multipart/form-data; boundary=x"), &h)
		if syntax, ok := errors.AsType[*SyntaxError](err); !ok || syntax.Offset != int64(len(before)) {
			t.Errorf("%q: %v, want an error at %d", body, err, len(before))
		}
	}
}
