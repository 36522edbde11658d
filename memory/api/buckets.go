package api

import (
	"context"
	"time"

	"github.com/ownkey/ownkey/memory"
)

type bucketView struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	BucketName  string    `json:"bucket_name"`
	Description string    `json:"description"`
	CreatedAt   time.Time `json:"created_at"`
	MemoryCount int64     `json:"memory_count"`
}

func viewBucket(b *memory.Bucket) bucketView {
	return bucketView{b.ID, b.Name, b.Name, b.Description, b.CreatedAt, b.Memories}
}

func (a *API) listBuckets(ctx context.Context, c *call) (Answer, error) {
	all, err := a.keeper.Buckets(ctx, c.Caller.Tenant)
	if err != nil {
		return Answer{}, err
	}
	views := make([]bucketView, 0, len(all))
	for i := range all {
		if !c.Access.ReadsBucket(all[i].Name) && !c.Access.WritesBucket(all[i].Name) {
			continue
		}
		views = append(views, viewBucket(&all[i]))
	}
	return ok(statusOK, map[string]any{"buckets": views})
}

func (a *API) createBucket(ctx context.Context, c *call) (Answer, error) {
	var in struct {
		Name        string `json:"name"`
		Description string `json:"description"`
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
	b, err := a.keeper.CreateBucket(ctx, c.Caller.Tenant, in.Name, in.Description)
	if err != nil {
		return Answer{}, err
	}
	return ok(statusCreated, viewBucket(&b))
}

func (a *API) deleteBucket(ctx context.Context, c *call) (Answer, error) {
	if err := c.parameters(); err != nil {
		return Answer{}, err
	}
	if err := a.keeper.DeleteBucket(ctx, &c.Caller, c.bucket()); err != nil {
		return Answer{}, err
	}
	return ok(statusOK, map[string]any{"success": true})
}
