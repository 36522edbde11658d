package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software
is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES
OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR
IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

func TestRead(t *testing.T) {
	const agpl = "https://www.gnu.org/licenses/agpl.txt\n"
	for name, tt := range map[string]struct {
		files     map[string]string
		want, err string
	}{
		"MIT":                   {files: map[string]string{"LICENSE": mit, "main.go": "package main"}, want: "MIT"},
		"two":                   {files: map[string]string{"LICENCE.txt": mit, "COPYING": "https://www.apache.org/licenses/LICENSE-2.0\n"}, want: "Apache-2.0 and MIT"},
		"none":                  {files: map[string]string{"README.md": mit}, err: "no licence file"},
		"one that is not known": {files: map[string]string{"LICENSE": "Ask me before you use it."}, err: "known to 0%"},
		"one that binds":        {files: map[string]string{"LICENSE": agpl}, err: "AGPL-3.0, which is not allowed"},
		"one that binds beside": {files: map[string]string{"LICENSE": mit, "LICENSE-EE": agpl}, err: "LICENSE-EE has AGPL-3.0"},
		"terms after":           {files: map[string]string{"LICENSE": mit + strings.Repeat("You shall not sell what you make of it. ", 30)}, err: "only"},
		"repeats of others":     {files: map[string]string{"LICENSE": mit, "LICENSE-3RD-PARTY.md": agpl}, want: "MIT"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := read("example.com/m", dir)
			if got != tt.want || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q, %v; want %q, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	const docs = "Under it are `github.com/hashicorp/hcl`.\n\n| module | licence |\n| --- | --- |\n| `example.com/m` | MIT |\n"
	for name, tt := range map[string]struct {
		m            module
		licence, err string
	}{
		"as documented":        {module{Path: "example.com/m"}, "MIT", ""},
		"of a module's module": {module{Path: "example.com/n"}, "ISC", ""},
		"not as documented":    {module{Path: "example.com/m"}, "ISC", "says MIT"},
		"named":                {module{Path: "github.com/hashicorp/hcl"}, mpl, ""},
		"not named":            {module{Path: "github.com/hashicorp/hc"}, mpl, "does not name"},
		"not HashiCorp's":      {module{Path: "example.com/m"}, "MIT and " + mpl, "only"},
		"modified":             {module{Path: "github.com/hashicorp/hcl", Replace: &struct{ Path string }{"./hcl"}}, mpl, "modified"},
	} {
		t.Run(name, func(t *testing.T) {
			err := judge(tt.m, tt.licence, docs, table(docs))
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want %q", err, tt.err)
			}
		})
	}
}
