package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// FreePlan is the plan that is built in and charges nothing.
const FreePlan = "free"

// Billing is what the platform charges tenants for.
type Billing struct {
	// Plan of the tenants that have none below.
	DefaultPlan string `yaml:"default_plan"`
	// Plans by name. `free` is built in and charges nothing.
	Plans map[string]Plan `yaml:"plans"`
	// Plan of a tenant, by the tenant's id. A month is charged by the plan that
	// its tenant has when the month's invoice is closed.
	Tenants map[string]string `yaml:"tenants"`
}

// Plan is a list of prices, in millionths of a US dollar.
type Plan struct {
	// Price of 1,000 memory-months: 1,000 memories held for a whole calendar
	// month.
	MemoryMonths int64 `yaml:"per_1000_memory_months_micro_usd"`
	// Price of 1,000 retrievals.
	Retrievals int64 `yaml:"per_1000_retrievals_micro_usd"`
	// Memory-months in each month that nothing is charged for, over all buckets
	// of a tenant together.
	FreeMemoryMonths int64 `yaml:"free_memory_months"`
	// Retrievals in each month that nothing is charged for, likewise.
	FreeRetrievals int64 `yaml:"free_retrievals"`
	// Fee for each month in which the tenant exists.
	FlatFee int64 `yaml:"flat_fee_micro_usd"`
}

// maxPlanNumber is what no price or allowance of sense exceeds: a million
// dollars, or 10^12 memory-months.
const maxPlanNumber = 1_000_000_000_000

var (
	planName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	// tenantName is what the directory takes for a tenant's id.
	tenantName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

// PlanOf gives a tenant's plan and its name.
func (b *Billing) PlanOf(tenant string) (name string, p Plan) {
	name, ok := b.Tenants[tenant]
	if !ok {
		name = b.DefaultPlan
	}
	return name, b.Plans[name] // the free plan is the zero one
}

func (d *decoder) billing(b *Billing) {
	for _, name := range slices.Sorted(maps.Keys(b.Plans)) {
		d.plan("billing.plans."+name, name, b.Plans[name])
	}
	d.planOf("billing.default_plan", b.DefaultPlan, b)
	for _, tenant := range slices.Sorted(maps.Keys(b.Tenants)) {
		at := "billing.tenants." + tenant
		if !tenantName.MatchString(tenant) {
			d.add(nil, at, "a tenant's id must match "+tenantName.String())
		}
		d.planOf(at, b.Tenants[tenant], b)
	}
}

func (d *decoder) plan(at, name string, p Plan) {
	switch {
	case name == FreePlan:
		d.add(nil, at, "is built in and charges nothing; give your plan another name")
	case !planName.MatchString(name):
		d.add(nil, at, "a plan's name must match "+planName.String())
	}
	d.between(at+".per_1000_memory_months_micro_usd", p.MemoryMonths, 0, maxPlanNumber)
	d.between(at+".per_1000_retrievals_micro_usd", p.Retrievals, 0, maxPlanNumber)
	d.between(at+".free_memory_months", p.FreeMemoryMonths, 0, maxPlanNumber)
	d.between(at+".free_retrievals", p.FreeRetrievals, 0, maxPlanNumber)
	d.between(at+".flat_fee_micro_usd", p.FlatFee, 0, maxPlanNumber)
}

// planOf checks that a plan that is named exists.
func (d *decoder) planOf(at, name string, b *Billing) {
	if _, ok := b.Plans[name]; !ok && name != FreePlan {
		names := slices.Sorted(maps.Keys(b.Plans))
		d.add(nil, at, "there is no such plan; there are: "+strings.Join(append([]string{FreePlan}, names...), ", "))
	}
}
