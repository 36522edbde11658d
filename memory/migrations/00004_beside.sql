-- +goose Up

-- Bytes that a memory has beside its contents: facts, metadata, and who said it
-- where. Counted as 00002 counts contents.
ALTER TABLE buckets ADD COLUMN beside INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holdings ADD COLUMN beside INTEGER NOT NULL DEFAULT 0;

UPDATE buckets SET beside = (SELECT coalesce(sum(length(CAST(m.facts || m.metadata || m.role || m.speaker || m.session AS BLOB))), 0) FROM memories m WHERE m.bucket_id = buckets.id);
UPDATE holdings SET beside = (SELECT coalesce(sum(b.beside), 0) FROM buckets b WHERE b.tenant = holdings.tenant);

-- The same as before, with its columns named.
DROP TRIGGER bucket_made;
-- +goose StatementBegin
CREATE TRIGGER bucket_made AFTER INSERT ON buckets BEGIN
    INSERT INTO holdings (tenant, buckets, memories, bytes) SELECT NEW.tenant, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM holdings WHERE tenant = NEW.tenant);
    UPDATE holdings SET buckets = buckets + 1 WHERE tenant = NEW.tenant;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER beside_stored AFTER INSERT ON memories BEGIN
    UPDATE buckets SET beside = beside + length(CAST(NEW.facts || NEW.metadata || NEW.role || NEW.speaker || NEW.session AS BLOB)) WHERE id = NEW.bucket_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER beside_changed AFTER UPDATE OF facts, metadata, role, speaker, session ON memories BEGIN
    UPDATE buckets SET beside = beside + length(CAST(NEW.facts || NEW.metadata || NEW.role || NEW.speaker || NEW.session AS BLOB))
        - length(CAST(OLD.facts || OLD.metadata || OLD.role || OLD.speaker || OLD.session AS BLOB)) WHERE id = NEW.bucket_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER beside_deleted BEFORE DELETE ON memories BEGIN
    UPDATE buckets SET beside = beside - length(CAST(OLD.facts || OLD.metadata || OLD.role || OLD.speaker || OLD.session AS BLOB)) WHERE id = OLD.bucket_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER bucket_beside AFTER UPDATE OF beside ON buckets BEGIN
    UPDATE holdings SET beside = beside + NEW.beside - OLD.beside WHERE tenant = NEW.tenant;
END;
-- +goose StatementEnd

-- What has expired in one bucket, whatever has in all others.
CREATE INDEX memories_by_bucket_expiry ON memories (bucket_id, expires_at) WHERE expires_at > 0;

-- +goose Down
DROP INDEX memories_by_bucket_expiry;
DROP TRIGGER bucket_beside;
DROP TRIGGER beside_deleted;
DROP TRIGGER beside_changed;
DROP TRIGGER beside_stored;
ALTER TABLE holdings DROP COLUMN beside;
ALTER TABLE buckets DROP COLUMN beside;
