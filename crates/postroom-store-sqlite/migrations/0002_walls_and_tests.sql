-- Whose mailbox an alert is about, also where it names a message of it: the walls are read by it.
ALTER TABLE alerts ADD COLUMN mailbox BLOB;
UPDATE alerts SET mailbox = unhex(replace(subject ->> '$.id', '-', ''))
    WHERE subject ->> '$.kind' = 'mailbox';
-- The profile, for alerts about a profile as a whole.
ALTER TABLE alerts ADD COLUMN profile BLOB;
UPDATE alerts SET profile = unhex(replace(subject ->> '$.id', '-', ''))
    WHERE subject ->> '$.kind' = 'profile';
CREATE INDEX alerts_mailbox ON alerts (mailbox) WHERE mailbox IS NOT NULL;
CREATE INDEX alerts_profile ON alerts (profile) WHERE profile IS NOT NULL;

-- Tests by mailbox, and those that were asked for together.
ALTER TABLE jobs ADD COLUMN mailbox BLOB;
ALTER TABLE jobs ADD COLUMN batch BLOB;
ALTER TABLE jobs ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET mailbox = unhex(replace(job ->> '$.mailbox', '-', '')),
    failed = EXISTS (SELECT 1 FROM json_each(job, '$.steps') WHERE value ->> '$.failure' IS NOT NULL);
CREATE INDEX jobs_mailbox ON jobs (mailbox, no);
CREATE INDEX jobs_batch ON jobs (batch, no) WHERE batch IS NOT NULL;

-- The last test of a profile's connection. Not part of its definition: a result changes nothing.
ALTER TABLE profiles ADD COLUMN connection_test TEXT;
