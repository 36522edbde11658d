package gateway

import (
	"net/url"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/upstream"
)

func targetAt(t testing.TB, base string) *upstream.Target {
	t.Helper()
	client := upstream.NewClient()
	t.Cleanup(client.Close)
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return client.NewTarget(u, nil, nil, upstream.Limits{})
}

// TestLocation: what is below the provider's base URL is named as it is reached
// here, and only that; everything else is absolute, and as it was.
func TestLocation(t *testing.T) {
	const asIs = "as it is"
	for base, table := range map[string][]struct{ location, want string }{
		"https://api.example/openai/v1": {
			// Its own, absolute.
			{"https://api.example/openai/v1/files/f1", "/main/v1/files/f1"},
			{"https://api.example/openai/v1/files?after=f1&limit=2", "/main/v1/files?after=f1&limit=2"},
			{"https://api.example/openai/v1/files?", "/main/v1/files?"},
			{"https://api.example/openai/v1/files#part", "/main/v1/files#part"},
			{"https://API.Example:443/openai/v1/files", "/main/v1/files"},
			{"HTTPS://api.example/openai/v1/files", "/main/v1/files"},
			{"https://user:pw@api.example/openai/v1/files", "/main/v1/files"},
			{"https://api.example/openai/v1/models/a%2Fb", "/main/v1/models/a%2Fb"},
			{"https://api.example/openai/v1/caf%c3%a9", "/main/v1/caf%C3%A9"},
			{"https://api.example/openai/v1/x/../files", "/main/v1/files"},
			{"https://api.example/openai/v1/v1/files", "/main/v1/v1/files"},
			{"https://api.example/openai/v1/buckets", "/main/v1/buckets"}, // pinned, it is the provider's, and not our own API
			// Relative, to https://api.example/openai/v1/realtime/calls.
			{"/openai/v1/realtime/calls/rtc_1", "/main/v1/realtime/calls/rtc_1"},
			{"calls/rtc_1", "/main/v1/realtime/calls/rtc_1"},
			{"./calls/", "/main/v1/realtime/calls/"},
			{"../files", "/main/v1/files"},
			{"?page=2", "/main/v1/realtime/calls?page=2"},
			{"#x", "/main/v1/realtime/calls?model=m#x"}, // RFC 3986, section 5.3: path and query stay
			{"//api.example/openai/v1/files", "/main/v1/files"},
			// Outside of the base path.
			{"https://api.example/openai/v1", asIs},
			{"https://api.example/openai/v1/", asIs},
			{"https://api.example/openai/v1beta/files", asIs},
			{"https://api.example/openai/V1/files", asIs},
			{"https://api.example/admin", asIs},
			{"https://api.example/openai/v1/../admin", asIs},
			{"https://api.example/openai/v1/%2e%2e/admin", asIs},
			{"https://api.example/openai/v1/a%2F..%2Fb", asIs},
			{"https://api.example/openai/v1/a%5Cb", asIs},
			{"/admin?x=1", "https://api.example/admin?x=1"},
			{"/v1/files", "https://api.example/v1/files"},
			{"../../../admin", "https://api.example/admin"},
			{"/openai/v1/%2e%2e/admin", "https://api.example/openai/v1/%2e%2e/admin"},
			// Elsewhere: another host, scheme or port.
			{"https://store.example/openai/v1/up?X-Sig=a%2Fb+c%3d", asIs},
			{"https://store.example/a b/%zz?sig=1", ""},
			{"https://api.example.evil/openai/v1/files", asIs},
			{"https://api.example@evil.example/openai/v1/files", asIs},
			{"//store.example/openai/v1/up", "https://store.example/openai/v1/up"},
			{"http://api.example/openai/v1/files", asIs},
			{"http://api.example:443/openai/v1/files", asIs},
			{"https://api.example:8443/openai/v1/files", asIs},
			// No address of the web.
			{"", "/main/v1/realtime/calls?model=m"},
			{"javascript:alert(1)", ""},
			{"mailto:a@b", ""},
			{"https:files", ""},
			{"https:///files", ""},
			{"file:///etc/passwd", ""},
			{"https://api.example:port/openai/v1/files", ""},
			{"https://api.example\\@evil.example/", ""},
			{":", ""},
			{"/%zz", ""},
			{"/\\evil.example/x", "https://api.example/%5Cevil.example/x"},
		},
		"http://127.0.0.1:9999": { // no base path
			{"http://127.0.0.1:9999/files/f1", "/main/v1/files/f1"}, {"/files", "/main/v1/files"}, {"/", "http://127.0.0.1:9999/"}, {"http://127.0.0.1/files", asIs},
		},
	} {
		target := targetAt(t, base)
		for _, x := range table {
			want := strings.Replace(x.want, asIs, x.location, 1)
			if got := locationFor(x.location, target, "main", []byte("/realtime/calls?model=m")); got != want {
				t.Errorf("%s: %q became %q, want %q", base, x.location, got, want)
			}
		}
	}
}

// FuzzLocation: a Location that begins here is a path that we forward to the
// provider as it was meant, and any other is a whole address of the web which no
// client takes for one of ours.
func FuzzLocation(f *testing.F) {
	for _, s := range []string{"https://api.example/v1/files?a=b#c", "/v1/../x", "//h/p", "..//./a", "/v1//evil.example", "//api.example//v1/x", "?", "/v1/%2fevil", "https://h\\@x/"} {
		f.Add(s)
	}
	target := targetAt(f, "https://api.example/v1")
	f.Fuzz(func(t *testing.T, location string) {
		got := locationFor(location, target, "main", []byte("/files"))
		if got == "" || !strings.HasPrefix(got, "/") {
			if u, err := url.Parse(got); got != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
				t.Fatalf("%q became %q", location, got)
			}
			return
		}
		var e endpoint
		target, _, _ := strings.Cut(got, "#")
		if err := parseEndpoint([]byte(target), &e); err != nil || string(e.provider) != "main" || "/main/v1"+string(e.forward) != target {
			t.Fatalf("%q became %q, which forwards %q: %v", location, got, e.forward, err)
		}
	})
}
