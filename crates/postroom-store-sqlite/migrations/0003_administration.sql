-- What administrators select mailboxes by has columns, and one index answers every listing by name
-- without reading the rows that it leaves out.
ALTER TABLE mailboxes ADD COLUMN approval TEXT NOT NULL DEFAULT 'empty';
ALTER TABLE mailboxes ADD COLUMN kind TEXT NOT NULL DEFAULT 'user';
UPDATE mailboxes SET approval = json_extract(definition, '$.approval'),
    kind = json_extract(definition, '$.owner.kind');
DROP INDEX mailboxes_name;
CREATE INDEX mailboxes_list ON mailboxes (name_key, no, profile, active, approval, kind);

-- Who changed which setting, when, from what to what.
CREATE TABLE setting_changes (
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    entry TEXT NOT NULL
) STRICT;
CREATE INDEX setting_changes_name ON setting_changes (name, no);
