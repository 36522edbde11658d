-- +goose Up

-- Context: a turn of a conversation that states nothing, as a question. It is a key to
-- the turns beside it, and no memory: not recalled, not listed, not billed. What a bucket
-- and a tenant hold of it is counted as 00002 counts all.
ALTER TABLE memories ADD COLUMN context INTEGER NOT NULL DEFAULT 0;
ALTER TABLE buckets ADD COLUMN contexts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE buckets ADD COLUMN context_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holdings ADD COLUMN contexts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holdings ADD COLUMN context_bytes INTEGER NOT NULL DEFAULT 0;

-- +goose StatementBegin
CREATE TRIGGER context_stored AFTER INSERT ON memories WHEN NEW.context = 1 BEGIN
    UPDATE buckets SET contexts = contexts + 1, context_bytes = context_bytes + length(CAST(NEW.content AS BLOB)) WHERE id = NEW.bucket_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER context_deleted BEFORE DELETE ON memories WHEN OLD.context = 1 BEGIN
    UPDATE buckets SET contexts = contexts - 1, context_bytes = context_bytes - length(CAST(OLD.content AS BLOB)) WHERE id = OLD.bucket_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER bucket_contexts AFTER UPDATE OF contexts, context_bytes ON buckets BEGIN
    UPDATE holdings SET contexts = contexts + NEW.contexts - OLD.contexts, context_bytes = context_bytes + NEW.context_bytes - OLD.context_bytes WHERE tenant = NEW.tenant;
END;
-- +goose StatementEnd

DROP INDEX memories_by_bucket;
CREATE INDEX memories_by_bucket ON memories (bucket_id, seq, expires_at, context);

-- +goose Down
DROP INDEX memories_by_bucket;
CREATE INDEX memories_by_bucket ON memories (bucket_id, seq, expires_at);
DROP TRIGGER bucket_contexts;
DROP TRIGGER context_deleted;
DROP TRIGGER context_stored;
DELETE FROM memories WHERE context = 1;
ALTER TABLE holdings DROP COLUMN context_bytes;
ALTER TABLE holdings DROP COLUMN contexts;
ALTER TABLE buckets DROP COLUMN context_bytes;
ALTER TABLE buckets DROP COLUMN contexts;
ALTER TABLE memories DROP COLUMN context;
