package api

import (
	"context"
	"time"

	"github.com/ownkey/ownkey/internal/retention"
	"github.com/ownkey/ownkey/memory"
)

type bucketView struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	BucketName  string    `json:"bucket_name"`
	Description string    `json:"description"`
	MemoryTTL   string    `json:"memory_ttl,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	MemoryCount int64     `json:"memory_count"`
}

func viewBucket(b *memory.Bucket) bucketView {
	return bucketView{b.ID, b.Name, b.Name, b.Description, retention.Text(b.TTL), b.CreatedAt, b.Memories}
}

// maxBucketPage is the largest page of buckets, and the one that a client gets
// which names none.
const maxBucketPage = 1000

func (a *API) listBuckets(ctx context.Context, c *call) (Answer, error) {
	limit, err := c.number("limit", maxBucketPage, 1, maxBucketPage)
	if err != nil {
		return Answer{}, err
	}
	offset, err := c.number("offset", 0, 0, 1<<40)
	if err != nil {
		return Answer{}, err
	}
	page, total, err := a.buckets(ctx, c, limit, offset)
	if err != nil {
		return Answer{}, err
	}
	views := make([]bucketView, 0, len(page))
	for i := range page {
		views = append(views, viewBucket(&page[i]))
	}
	answer := map[string]any{"buckets": views}
	if len(c.query) > 0 || total > int64(len(views)) { // clients that know no pages get no more than they know
		answer["total"], answer["limit"], answer["offset"] = total, limit, offset
	}
	return ok(statusOK, answer)
}

// buckets gives a page of the buckets that the caller may use, and how many they
// are. Those of a caller who is confined are picked out of all.
func (a *API) buckets(ctx context.Context, c *call, limit, offset int) (page []memory.Bucket, total int64, err error) {
	usable := func(name string) bool { return c.Access.ReadsBucket(name) || c.Access.WritesBucket(name) }
	if usable("") { // no bucket is called so: only a pattern that stands for all matches it
		return a.keeper.Buckets(ctx, c.Caller.Tenant, limit, offset)
	}
	var names []string
	for after := ""; ; {
		some, err := a.keeper.BucketNames(ctx, c.Caller.Tenant, after, maxBucketPage)
		if err != nil {
			return nil, 0, err
		}
		for _, name := range some {
			if !usable(name) {
				continue
			}
			if total++; total > int64(offset) && len(names) < limit {
				names = append(names, name)
			}
		}
		if len(some) < maxBucketPage {
			break
		}
		after = some[len(some)-1]
	}
	page, err = a.keeper.BucketsNamed(ctx, c.Caller.Tenant, names)
	return page, total, err
}

func (a *API) createBucket(ctx context.Context, c *call) (Answer, error) {
	var in struct {
		Name        string  `json:"name"`
		Description string  `json:"description"`
		MemoryTTL   *string `json:"memory_ttl"`
	}
	if err := c.read(&in, true); err != nil {
		return Answer{}, err
	}
	if err := memory.CheckBucket(in.Name); err != nil {
		return Answer{}, &memory.InvalidError{Field: "name", Reason: err.(*memory.InvalidError).Reason} //nolint:forcetypeassert,errorlint // CheckBucket's
	}
	if !c.Access.WritesBucket(in.Name) {
		return Answer{}, &forbiddenError{"name", "write"}
	}
	var ttl *time.Duration
	if in.MemoryTTL != nil {
		d, err := retention.Parse(*in.MemoryTTL)
		if err != nil {
			return Answer{}, &memory.InvalidError{Field: "memory_ttl", Reason: err.Error()}
		}
		ttl = &d
	}
	b, err := a.keeper.CreateBucket(ctx, c.Caller.Tenant, in.Name, in.Description, ttl)
	if err != nil {
		return Answer{}, err
	}
	return ok(statusCreated, viewBucket(&b))
}

func (a *API) deleteBucket(ctx context.Context, c *call) (Answer, error) {
	return deleted(a.keeper.DeleteBucket(ctx, &c.Caller, c.bucket()), map[string]any{})
}
