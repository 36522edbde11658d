-- +goose Up

-- What a tenant has stored beside its memories: its buckets' own texts, and answers
-- that are kept for an Idempotency-Key. Kept by triggers, as 00002 says; 512 for a
-- row's place.
CREATE TABLE extras (
    tenant TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO extras SELECT tenant, sum(bytes) FROM (
    SELECT tenant, 512 + length(CAST(key || answer AS BLOB)) AS bytes FROM answers UNION ALL
    SELECT tenant, 512 + length(CAST(name || description || coalesce(profile, '') AS BLOB)) FROM buckets
) GROUP BY tenant;

-- +goose StatementBegin
CREATE TRIGGER answer_kept AFTER INSERT ON answers BEGIN
    INSERT INTO extras SELECT NEW.tenant, 0 WHERE NOT EXISTS (SELECT 1 FROM extras WHERE tenant = NEW.tenant);
    UPDATE extras SET bytes = bytes + 512 + length(CAST(NEW.key || NEW.answer AS BLOB)) WHERE tenant = NEW.tenant;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER answer_changed AFTER UPDATE OF answer ON answers BEGIN
    UPDATE extras SET bytes = bytes + length(CAST(NEW.answer AS BLOB)) - length(CAST(OLD.answer AS BLOB)) WHERE tenant = NEW.tenant;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER answer_forgotten AFTER DELETE ON answers BEGIN
    UPDATE extras SET bytes = bytes - 512 - length(CAST(OLD.key || OLD.answer AS BLOB)) WHERE tenant = OLD.tenant;
    DELETE FROM extras WHERE tenant = OLD.tenant AND bytes = 0;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER bucket_texts_kept AFTER INSERT ON buckets BEGIN
    INSERT INTO extras SELECT NEW.tenant, 0 WHERE NOT EXISTS (SELECT 1 FROM extras WHERE tenant = NEW.tenant);
    UPDATE extras SET bytes = bytes + 512 + length(CAST(NEW.name || NEW.description || coalesce(NEW.profile, '') AS BLOB)) WHERE tenant = NEW.tenant;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER bucket_texts_changed AFTER UPDATE OF description, profile ON buckets BEGIN
    UPDATE extras SET bytes = bytes + length(CAST(NEW.description || coalesce(NEW.profile, '') AS BLOB))
        - length(CAST(OLD.description || coalesce(OLD.profile, '') AS BLOB)) WHERE tenant = NEW.tenant;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER bucket_texts_dropped AFTER DELETE ON buckets BEGIN
    UPDATE extras SET bytes = bytes - 512 - length(CAST(OLD.name || OLD.description || coalesce(OLD.profile, '') AS BLOB)) WHERE tenant = OLD.tenant;
    DELETE FROM extras WHERE tenant = OLD.tenant AND bytes = 0;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER bucket_texts_dropped;
DROP TRIGGER bucket_texts_changed;
DROP TRIGGER bucket_texts_kept;
DROP TRIGGER answer_forgotten;
DROP TRIGGER answer_changed;
DROP TRIGGER answer_kept;
DROP TABLE extras;
