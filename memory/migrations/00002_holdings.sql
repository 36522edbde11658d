-- +goose Up

-- What a bucket and a tenant hold, kept by triggers: whatever changes a row
-- changes its count in the same transaction. Memories that have expired count
-- until they are deleted. Bytes are those of contents, present and former.
ALTER TABLE buckets ADD COLUMN memories INTEGER NOT NULL DEFAULT 0;
ALTER TABLE buckets ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;

UPDATE buckets SET
    memories = (SELECT count(*) FROM memories m WHERE m.bucket_id = buckets.id),
    bytes = (SELECT coalesce(sum(length(CAST(m.content AS BLOB))), 0) FROM memories m WHERE m.bucket_id = buckets.id)
        + (SELECT coalesce(sum(length(CAST(v.content AS BLOB))), 0) FROM memories m JOIN versions v ON v.seq = m.seq WHERE m.bucket_id = buckets.id);

CREATE TABLE holdings (
    tenant TEXT PRIMARY KEY,
    buckets INTEGER NOT NULL,
    memories INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO holdings SELECT tenant, count(*), sum(memories), sum(bytes) FROM buckets GROUP BY tenant;

-- +goose StatementBegin
CREATE TRIGGER memory_stored AFTER INSERT ON memories BEGIN
    UPDATE buckets SET memories = memories + 1, bytes = bytes + length(CAST(NEW.content AS BLOB)) WHERE id = NEW.bucket_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER memory_changed AFTER UPDATE OF content ON memories BEGIN
    UPDATE buckets SET bytes = bytes + length(CAST(NEW.content AS BLOB)) - length(CAST(OLD.content AS BLOB)) WHERE id = NEW.bucket_id;
END;
-- +goose StatementEnd
-- Before: the versions are still there. Those that go with their memory find
-- none in version_dropped.
-- +goose StatementBegin
CREATE TRIGGER memory_deleted BEFORE DELETE ON memories BEGIN
    UPDATE buckets SET memories = memories - 1, bytes = bytes - length(CAST(OLD.content AS BLOB))
        - (SELECT coalesce(sum(length(CAST(v.content AS BLOB))), 0) FROM versions v WHERE v.seq = OLD.seq) WHERE id = OLD.bucket_id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER version_kept AFTER INSERT ON versions BEGIN
    UPDATE buckets SET bytes = bytes + length(CAST(NEW.content AS BLOB)) WHERE id = (SELECT bucket_id FROM memories WHERE seq = NEW.seq);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER version_dropped AFTER DELETE ON versions BEGIN
    UPDATE buckets SET bytes = bytes - length(CAST(OLD.content AS BLOB)) WHERE id = (SELECT bucket_id FROM memories WHERE seq = OLD.seq);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER bucket_made AFTER INSERT ON buckets BEGIN
    INSERT INTO holdings SELECT NEW.tenant, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM holdings WHERE tenant = NEW.tenant);
    UPDATE holdings SET buckets = buckets + 1 WHERE tenant = NEW.tenant;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER bucket_changed AFTER UPDATE OF memories, bytes ON buckets BEGIN
    UPDATE holdings SET memories = memories + NEW.memories - OLD.memories, bytes = bytes + NEW.bytes - OLD.bytes WHERE tenant = NEW.tenant;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER bucket_deleted AFTER DELETE ON buckets BEGIN
    UPDATE holdings SET buckets = buckets - 1, memories = memories - OLD.memories, bytes = bytes - OLD.bytes WHERE tenant = OLD.tenant;
    DELETE FROM holdings WHERE tenant = OLD.tenant AND buckets = 0;
END;
-- +goose StatementEnd

-- Deletions that were asked for and are carried out in slices: memories of a
-- bucket up to upto that the filter chooses. One that a crash broke off is
-- finished at the next start.
CREATE TABLE deletions (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    bucket_id TEXT NOT NULL,
    token TEXT NOT NULL,
    request_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    filter TEXT NOT NULL, -- JSON
    whole INTEGER NOT NULL -- the bucket goes, too
) STRICT;

CREATE INDEX answers_by_time ON answers (at);

-- +goose Down
DROP INDEX answers_by_time;
DROP TABLE deletions;
DROP TRIGGER bucket_deleted;
DROP TRIGGER bucket_changed;
DROP TRIGGER bucket_made;
DROP TRIGGER version_dropped;
DROP TRIGGER version_kept;
DROP TRIGGER memory_deleted;
DROP TRIGGER memory_changed;
DROP TRIGGER memory_stored;
DROP TABLE holdings;
ALTER TABLE buckets DROP COLUMN bytes;
ALTER TABLE buckets DROP COLUMN memories;
