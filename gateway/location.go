package gateway

import (
	"net/url"
	"strings"

	"github.com/ownkey/ownkey/upstream"
)

// locationFor gives the Location for a client in place of a provider's, in the
// response to a request for path at a target. What is below the target's base URL
// is named as the client reaches it here, by its path and pinned to the provider,
// so that the next request comes this way, too. Anything else stays as it is,
// such as an address to upload a file to: whether to go there is for the client
// to decide, and its token need not. Empty: it is no address of the web.
func locationFor(location string, target *upstream.Target, provider string, path []byte) string {
	ref, err := url.Parse(location)
	if err != nil {
		return ""
	}
	scheme, _, _ := strings.Cut(target.Address, "://")
	from, err := url.Parse(scheme + "://" + target.Host + target.BasePath + string(path))
	if err != nil {
		return ""
	}
	to := from.ResolveReference(ref)
	if to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
		return ""
	}
	if here := reachedHere(to, target, provider); here != "" {
		return here
	}
	if ref.IsAbs() {
		return location // to the byte: it may be signed
	}
	return to.String()
}

// reachedHere gives the path at which a client reaches an address; empty where it
// is not below the target's base URL, or has a path that we would refuse.
func reachedHere(to *url.URL, target *upstream.Target, provider string) string {
	below, ok := strings.CutPrefix(to.EscapedPath(), target.BasePath)
	if !ok || !strings.HasPrefix(below, "/") || upstream.Origin(to) != target.Origin() {
		return ""
	}
	pinned := "/" + provider + "/v1"
	if to.RawQuery != "" || to.ForceQuery {
		below += "?" + to.RawQuery
	}
	var e endpoint
	if parseEndpoint([]byte(pinned+below), &e) != nil || string(e.provider) != provider {
		return ""
	}
	here := pinned + string(e.forward)
	if to.Fragment != "" {
		here += "#" + to.EscapedFragment()
	}
	return here
}
