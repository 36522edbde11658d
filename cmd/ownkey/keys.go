package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// RotateCmd rotates a tenant's key.
type RotateCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
}

// Run makes the call.
func (c *RotateCmd) Run() error {
	var a struct {
		KeyVersion int `json:"key_version"`
	}
	printed, err := c.call("POST", "/tenants/"+url.PathEscape(c.Tenant)+"/rotate", nil, &a)
	if err != nil || printed {
		return err
	}
	printf("key of tenant %s is at version %d; stored credentials keep theirs until: ownkey rewrap --tenant %s\n", c.Tenant, a.KeyVersion, c.Tenant)
	return nil
}

// RewrapCmd starts a rewrap and follows it.
type RewrapCmd struct {
	AdminFlags
	Tenant string `help:"Only this tenant's credentials."`
	Detach bool   `help:"Do not wait for the end."`
	Status bool   `help:"Start nothing; show the latest rewrap."`
}

type rewrapAnswer struct {
	State       string `json:"state"`
	Tenants     int    `json:"tenants"`
	TenantsDone int    `json:"tenants_done"`
	RowsDone    int    `json:"rows_done"`
	RowsFailed  int    `json:"rows_failed"`
	Trouble     string `json:"trouble"`
}

func (a *rewrapAnswer) line() string {
	s := fmt.Sprintf("%s: tenant %d of %d, %d credentials rewrapped, %d failed", a.State, a.TenantsDone, a.Tenants, a.RowsDone, a.RowsFailed)
	if a.Trouble != "" {
		s += ", waiting: " + a.Trouble
	}
	return s
}

// followInterval is how often progress is asked for.
const followInterval = 500 * time.Millisecond

// Run starts a rewrap and shows its progress until it is done. To stop watching
// does not stop it.
func (c *RewrapCmd) Run() error {
	var a rewrapAnswer
	method, body := "POST", any(map[string]string{"tenant": c.Tenant})
	if c.Status {
		method, body = "GET", nil
	}
	printed, err := c.call(method, "/rewrap", body, &a)
	if err != nil || printed {
		return err
	}
	for last := ""; ; time.Sleep(followInterval) {
		if a.State == "none" {
			printf("there was no rewrap yet\n")
			return nil
		}
		if line := a.line(); line != last {
			printf("%s\n", line)
			last = line
		}
		if a.State == "done" || c.Detach || c.Status {
			break
		}
		if _, err := c.call("GET", "/rewrap", nil, &a); err != nil {
			return fmt.Errorf("cannot follow the rewrap (it goes on; see ownkey rewrap --status): %w", err)
		}
	}
	if a.State == "done" && a.RowsFailed > 0 {
		return fmt.Errorf("%d credentials do not open and were left as they are; the gateway's log names them", a.RowsFailed)
	}
	return nil
}

// DoctorCmd examines the key path.
type DoctorCmd struct{ AdminFlags }

// Run prints what was found; anything that is not as it should be is a failure.
func (c *DoctorCmd) Run() error {
	var a struct {
		OK       bool `json:"ok"`
		Findings []struct {
			Check    string `json:"check"`
			OK       bool   `json:"ok"`
			Detail   string `json:"detail"`
			Untested bool   `json:"untested"`
		} `json:"findings"`
	}
	printed, err := c.call("GET", "/doctor", nil, &a)
	if err != nil || printed {
		return err
	}
	for _, f := range a.Findings {
		mark := "ok  "
		switch {
		case !f.OK:
			mark = "FAIL"
		case f.Untested:
			mark = "--  "
		}
		printf("%s  %s: %s\n", mark, f.Check, f.Detail)
	}
	if !a.OK {
		return errors.New("not everything is as it should be")
	}
	return nil
}
