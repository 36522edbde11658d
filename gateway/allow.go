package gateway

import (
	"bytes"

	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// This file applies a token's list of models. A token without one may call every
// path. A token with one may call what the list can judge: paths whose body says
// which model is paid for, and the lists of models. Anything else spends, reads or deletes what no list of models
// says anything about, and takes an entry of the token's endpoints.

var (
	errModel   = refuse(codeNotAllowed, "member model: the token may not use this model; ask for another, or have it allowed: ownkey token update --model")
	errModels  = refuse(codeNotAllowed, "the body names a further model that the token may not use (models, fallbacks, tools, requests); leave it out, or have it allowed: ownkey token update --model")
	errNoModel = refuse(codeNotAllowed, "member model: the token may use only certain models, and this call names none that can be read; "+
		"name one, or have the path allowed: ownkey token update --endpoint")
	errEndpoint = refuse(codeNotAllowed, "path: the token may use only certain models, and so may not call this path and method; have it allowed: ownkey token update --endpoint")
)

// allowed judges the call by the token's list of models.
func (r *request) allowed() error {
	token := r.caller.Token
	if !token.Listed() {
		return nil
	}
	if r.head.HasModel && !token.AllowsModel(r.provider.Name, r.model) {
		return errModel
	}
	if r.body.buf != nil && !r.allowsOthers() {
		return errModels
	}
	switch path, method := r.endpoint.path, r.ctx.Request.Header.Method(); {
	case namesModel(path) && string(method) == fasthttp.MethodPost:
		if !r.head.HasModel && !token.AllowsEndpoint(path) {
			return errNoModel
		}
		return nil
	case string(method) == fasthttp.MethodGet && (string(path) == "/models" || bytes.HasPrefix(path, []byte("/models/"))),
		token.AllowsEndpoint(path):
		return nil
	}
	return errEndpoint
}

// allowsOthers judges the models that a body names beside its own.
func (r *request) allowsOthers() bool {
	token, provider := r.caller.Token, r.provider.Name
	return wire.OtherModels(r.body.text(), func(model []byte) bool { return token.AllowsModel(provider, model) })
}

// namesModel reports whether a path's body says which model is paid for (API
// references of OpenAI and Anthropic, 2026-11). The path is compared as it is
// forwarded: a spelling that only some providers take for it is none.
func namesModel(path []byte) bool {
	switch string(path) {
	case "/chat/completions", "/completions", "/embeddings", "/moderations",
		"/responses", "/responses/compact", "/responses/input_tokens",
		"/messages", "/messages/count_tokens",
		"/images/generations", "/images/edits", "/images/variations",
		"/audio/speech", "/audio/transcriptions", "/audio/translations":
		return true
	}
	return false
}
