package gateway

import (
	"strings"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/gateway/front"
	"github.com/valyala/fasthttp"
)

// HeaderList is an allow-list of headers. It does not change, and looking a name
// up does not allocate.
type HeaderList struct {
	names    [config.MaxHeaderName + 1][]string // by their length
	families []string                           // what their names begin with
}

// RequestHeaders lists what passes to a provider: what passes to every one, and
// more. A name with a star at its end is a family.
func RequestHeaders(more ...[]string) *HeaderList {
	return newHeaderList(append(more, config.RequestHeaders)...)
}

// ResponseHeaders lists what passes from a provider to clients, likewise.
func ResponseHeaders(more ...[]string) *HeaderList {
	return newHeaderList(append(more, config.ResponseHeaders)...)
}

var commonRequestHeaders, commonResponseHeaders = RequestHeaders(), ResponseHeaders()

func newHeaderList(lists ...[]string) *HeaderList {
	l := &HeaderList{}
	for _, names := range lists {
		for _, name := range names {
			name = string(fasthttp.AppendNormalizedHeaderKey(nil, name))
			if begin, family := strings.CutSuffix(name, "*"); family {
				l.families = append(l.families, begin)
			} else {
				l.names[len(name)] = append(l.names[len(name)], name)
			}
		}
	}
	return l
}

// has reports whether a header passes. Its name is in canonical form. A family
// passes no name that a credential could have, and none with a space in it, which
// fasthttp takes and others read in other ways.
func (l *HeaderList) has(name []byte) bool {
	if len(name) < len(l.names) {
		for _, one := range l.names[len(name)] { //nolint:modernize // slices.Contains would allocate a string for a long name
			if one == string(name) {
				return true
			}
		}
	}
	for _, begin := range l.families {
		if len(name) > len(begin) && string(name[:len(begin)]) == begin {
			return !config.Credential(name) && front.Token(name)
		}
	}
	return false
}

// requestHeaders are those that pass to p.
func (p *Provider) requestHeaders() *HeaderList {
	if p.RequestHeaders == nil {
		return commonRequestHeaders
	}
	return p.RequestHeaders
}

// responseHeaders are those that pass from p.
func (p *Provider) responseHeaders() *HeaderList {
	if p.ResponseHeaders == nil {
		return commonResponseHeaders
	}
	return p.ResponseHeaders
}
