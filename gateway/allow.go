package gateway

import (
	"bytes"

	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// This file applies a token's list of models. A token without one may call every
// path. A token with one may call what the list can judge: paths whose body says
// which model is paid for, the lists of models, and the responses that it has
// begun itself. Anything else spends, reads or deletes what no list of models
// says anything about, and takes an entry of the token's endpoints.

var (
	errModel   = refuse(codeNotAllowed, "member model: the token may not use this model; ask for another, or have it allowed: ownkey token update --model")
	errModels  = refuse(codeNotAllowed, "the body names a further model that the token may not use (models, fallbacks, tools, requests); leave it out, or have it allowed: ownkey token update --model")
	errNoModel = refuse(codeNotAllowed, "member model: the token may use only certain models, and this call names none that can be read; "+
		"name one, or have the path allowed: ownkey token update --endpoint")
	errKind = refuse(codeNotAllowed, "header Content-Type: the token may use only certain models, and servers may read another model in a body of this type than the JSON names; "+
		"send application/json, or have the path allowed: ownkey token update --endpoint")
	errEndpoint = refuse(codeNotAllowed, "path: the token may use only certain models, and so may not call this path and method; have it allowed: ownkey token update --endpoint")
	errResponse = refuse(codeNotAllowed, "path: the token may use only certain models, and this gateway does not remember that the response is this token's; "+
		"have the path allowed: ownkey token update --endpoint '/v1/responses/*'")
)

// allowed judges the call by the token's list of models.
func (r *request) allowed() error {
	token := r.caller.Token
	if !token.Listed() {
		return nil
	}
	if kind := r.ctx.Request.Header.ContentType(); r.body.buf != nil && !r.form && len(kind) > 0 && !isJSON(kind) && !token.AllowsEndpoint(r.endpoint.path) {
		return errKind
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
	case bytes.HasPrefix(path, []byte("/responses/")):
		if r.ownsResponse(string(method), path[len("/responses/"):]) {
			return nil
		}
		return errResponse
	}
	return errEndpoint
}

// allowsOthers judges the models that a body names beside its own.
func (r *request) allowsOthers() bool {
	token, provider := r.caller.Token, r.provider.Name
	allows := func(model []byte) bool { return token.AllowsModel(provider, model) }
	if r.form {
		return wire.OtherFormModels(r.body.text(), r.ctx.Request.Header.ContentType(), allows)
	}
	return wire.OtherModels(r.body.text(), allows)
}

// readsForm reports whether the body is a form that has to be held until its
// model is known: an upload of audio or images by a token with a list of models,
// to a path that its endpoints do not allow anyway.
func (r *request) readsForm() bool {
	token, h := r.caller.Token, &r.ctx.Request.Header
	return token.Listed() && r.ctx.IsPost() && wire.IsForm(h.ContentType()) && r.endpoint.request == wire.DialectNone &&
		namesModel(r.endpoint.path) && !token.AllowsEndpoint(r.endpoint.path)
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

// ownsResponse reports whether a call is about a response that the token has
// begun: to read, cancel or delete it. rest is the path behind /responses/.
func (r *request) ownsResponse(method string, rest []byte) bool {
	id, verb, _ := bytes.Cut(rest, []byte("/"))
	switch method + " " + string(verb) {
	case "GET ", "GET input_items", "DELETE ", "POST cancel":
		return r.g.responses.begun(r.caller.Tenant.ID, r.caller.Token.ID, r.provider.Name, id)
	}
	return false
}

// beginsResponse reports whether the answer is a response that its token may come back
// to: only tokens with a list of models are asked whose it is.
func (r *request) beginsResponse() bool {
	return r.caller.Token.Listed() && string(r.endpoint.path) == "/responses" && r.ctx.IsPost() &&
		r.record.Status >= fasthttp.StatusOK && r.record.Status < fasthttp.StatusMultipleChoices
}

// noteResponse remembers whose the response is as soon as the provider has named
// it, before the client knows the name.
func (r *request) noteResponse() {
	if id := r.scanner.ID(); len(id) > 0 {
		r.g.responses.note(r.caller.Tenant.ID, r.caller.Token.ID, r.provider.Name, id)
		r.naming = false
	}
}
