package gateway

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

var errNoWebSocket = refuse(codeUpgradeNotOffered, "no WebSocket is served here; send the same request with POST")

// asksForWebSocket reports whether a request wants its connection to become a
// WebSocket, and nothing else would do. All other offers are ignored, as RFC
// 9110, section 7.8, allows: Java's HTTP client offers h2c with each call, and
// nginx's recipe for WebSockets sends `Connection: upgrade` with all.
func asksForWebSocket(h *fasthttp.RequestHeader) bool {
	if len(h.Peek(fasthttp.HeaderUpgrade)) == 0 {
		return false
	}
	return lists(h.PeekAll(fasthttp.HeaderUpgrade), "websocket") && lists(h.PeekAll(fasthttp.HeaderConnection), "upgrade")
}

// lists reports whether one of a header's values has an item. Of an item with a
// version, as in HTTP/2.0, the name counts.
func lists(values [][]byte, item string) bool {
	for _, value := range values {
		for one := range bytes.SplitSeq(value, []byte(",")) {
			name, _, _ := bytes.Cut(bytes.TrimSpace(one), []byte("/"))
			if strings.EqualFold(string(name), item) {
				return true
			}
		}
	}
	return false
}
