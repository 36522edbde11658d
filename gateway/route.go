package gateway

import (
	"bytes"
	"slices"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/wire"
)

// route decides the provider: pinned by the path, named before the model, or
// by the tenant's routes and default.
func (r *request) route() error {
	name, edit, err := r.providerName()
	if err != nil {
		return err
	}
	provider := r.table.providers[name]
	if provider == nil {
		return refuse(codeUnknownProvider, "there is no such provider; known are: "+r.table.names)
	}
	r.provider = provider
	r.record.Provider = provider.Name
	r.record.ModelAsked = identifier(r.model)
	if r.body.buf != nil {
		r.prefix = edit
		r.splice(nil)
	}
	return r.allowed()
}

// splice puts the body together with what is changed about it.
func (r *request) splice(block []wire.Edit) {
	var all [4]wire.Edit
	edits := append(all[:0], block...)
	if r.prefix.End > 0 {
		edits = append(edits, r.prefix)
		slices.SortFunc(edits, func(a, b wire.Edit) int { return a.Start - b.Start })
	}
	r.outgoing = wire.NewBody(r.body.text(), edits...)
}

// anthropic is the provider whose own API is Anthropic's: a call in it that no
// route and no prefix sends elsewhere goes there, if the tenant can pay there.
const anthropic = "anthropic"

// providerName gives the provider of the call, and the edit that cuts its name
// out of the body's model.
func (r *request) providerName() (name string, edit wire.Edit, err error) {
	if pinned := r.endpoint.provider; len(pinned) > 0 {
		return string(pinned), edit, nil
	}
	model := r.model
	if r.form {
		model = nil // forms go by their path, as they do for tokens for which none is read
	}
	name, cut, chosen := r.table.chooseProvider(r.caller.Tenant, model, r.endpoint.anthropic())
	if cut > 0 {
		edit = r.head.StripModelPrefix(cut)
		r.model = r.model[cut:]
	}
	if name == "" {
		return "", edit, errNoProvider
	}
	if p := r.table.providers[name]; !chosen && r.endpoint.anthropic() && !r.endpoint.messages() && p != nil && !p.speaksMessages() {
		return "", edit, errNotAnthropic
	}
	return name, edit, nil
}

var (
	errNoProvider = refuse(codeCredentialMissing, "this tenant has no default provider; store a credential or set one: "+
		"ownkey credential put, ownkey tenant update --default-provider")
	errNotAnthropic = refuse(codeCredentialMissing, "header Anthropic-Version: the call is in Anthropic's API, and this tenant has no credential "+
		"for provider anthropic; add one (ownkey credential put --provider anthropic), or name the provider: /{provider}/v1/...")
)

// providerFor finds the provider of a tenant's model, and how much of the
// model's name is the provider's. Empty: the tenant has none.
func (t *table) providerFor(of *directory.Tenant, model []byte, messages bool) (name string, prefix int) {
	name, prefix, _ = t.chooseProvider(of, model, messages)
	return name, prefix
}

// chooseProvider is providerFor, and says whether somebody chose: the first
// route of the tenant that matches, then the provider named before the model.
// Else it is the one that speaks the call's API, or the tenant's default. A
// route to the provider that stands before the model leaves the prefix out, too.
func (t *table) chooseProvider(of *directory.Tenant, model []byte, messages bool) (name string, prefix int, chosen bool) {
	var named string
	if i := bytes.IndexByte(model, '/'); i > 0 {
		if p := t.providers[string(model[:i])]; p != nil {
			named, prefix = p.Name, i+1
		}
	}
	if len(model) > 0 && of.Routed(model) {
		if name = of.Route(model); name != named {
			prefix = 0
		}
		return name, prefix, true
	}
	switch {
	case named != "":
		return named, prefix, true
	case messages && of.Has(anthropic):
		return anthropic, 0, false
	}
	return of.Route(model), 0, false
}
