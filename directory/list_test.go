package directory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestListsComeInPages: a page goes on where the one before has ended, whatever
// its size, also when what it ended with is gone meanwhile.
func TestListsComeInPages(t *testing.T) {
	d, err := Open(ctx, filled(t, 25, 50, 0), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	for i := range 25 { // in the same second, so that the id decides
		if _, _, err := d.CreateToken(ctx, "tenant-1", NewToken{Label: fmt.Sprint("l", i)}); err != nil {
			t.Fatal(err)
		}
	}
	var whole []string
	for _, limit := range []int{1000, 1, 7, 26, 27} {
		var ids []string
		for after := (TokenPlace{}); ; {
			page, err := d.Tokens(ctx, "tenant-1", after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%v, %d of %d", err, len(page), limit)
			}
			if len(page) == 0 {
				break
			}
			for _, token := range page {
				ids = append(ids, token.ID)
			}
			after = TokenPlace{page[len(page)-1].CreatedAt, page[len(page)-1].ID}
		}
		if whole == nil {
			whole = ids
		}
		if len(ids) != 27 || !slices.Equal(ids, whole) {
			t.Errorf("pages of %d: %v", limit, ids)
		}
	}
	var ids []string
	for after := ""; ; {
		page, err := d.TenantPage(ctx, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, tenant := range page {
			ids = append(ids, tenant.ID)
		}
		after = ids[len(ids)-1]
		if after == "tenant-14" {
			if err := d.DeleteTenant(ctx, after, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(ids) != 25 || !slices.IsSorted(ids) {
		t.Errorf("tenants: %v", ids)
	}
	if rest, err := d.TenantPage(ctx, "tenant-13", 1); err != nil || len(rest) != 1 || rest[0].ID != "tenant-15" {
		t.Errorf("a tenant that was deleted is listed: %v %v", rest, err)
	}
	if _, err := d.Tokens(ctx, "nobody", TokenPlace{}, 1); err == nil {
		t.Error("tokens of nobody")
	}
	labels, err := d.TokenLabels(ctx, "tenant-1", []string{whole[0], whole[26], "000000000002", "?"})
	if err != nil || len(labels) != 2 || labels[whole[0]] != "l" || !strings.HasPrefix(labels[whole[26]], "l") {
		t.Errorf("labels, of which one is another tenant's: %v %v", labels, err)
	}
}

// TestPagesArePlannedByTheirKey: a page costs what it has, however long the list
// is: nothing is scanned, nothing sorted.
func TestPagesArePlannedByTheirKey(t *testing.T) {
	database := filled(t, 25, 1000, 0)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			if _, err := database.Write.ExecContext(ctx, "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		for query, bound := range map[string][]any{
			selectTenantPage:  {"tenant-1", 10},
			selectTokenPage:   {"tenant-1", time.Now().Unix(), "x", 10},
			selectTokenLabels: {"tenant-1", `["x"]`},
		} {
			rows, err := database.Read.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, bound...)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			plan := ""
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					t.Fatal(err)
				}
				plan += detail + "\n"
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			byID := query != selectTokenLabels || strings.Contains(plan, "(id=?)")
			scans := !byID || strings.Contains(plan, "SCAN tenants") || strings.Contains(plan, "SCAN tokens") || strings.Contains(plan, "TEMP B-TREE FOR ORDER")
			if scans || query == selectTokenPage && !strings.Contains(plan, "(tenant_id=? AND (created_at,id)>(?,?))") {
				t.Errorf("%s\n%s", query, plan)
			}
		}
	}
}
