package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/upstream"
	"golang.org/x/net/http/httpproxy"
)

// proxiesOf are the proxies that the configuration names, or else those of the
// environment. Their passwords are in no error.
func proxiesOf(e *config.Egress) (*upstream.Proxies, error) {
	c := httpproxy.FromEnvironment()
	switch e.Proxy {
	case "":
	case config.NoProxyAtAll:
		c = &httpproxy.Config{}
	default:
		u, err := url.Parse(e.Proxy)
		if err != nil {
			return nil, fmt.Errorf("cannot use egress.proxy: %w", err)
		}
		if u.User != nil {
			e.ProxyPassword.Use(func(b []byte) { u.User = url.UserPassword(u.User.Username(), string(b)) })
		}
		c = &httpproxy.Config{HTTPProxy: u.String(), HTTPSProxy: u.String(), NoProxy: strings.Join(e.NoProxy, ",")}
	}
	p, err := upstream.NewProxies(c)
	if err != nil {
		return nil, fmt.Errorf("cannot use a proxy for providers (egress.proxy, or HTTPS_PROXY and HTTP_PROXY of the environment): %w", err)
	}
	return p, nil
}
