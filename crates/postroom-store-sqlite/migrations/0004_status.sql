-- Mailboxes by how they fare: few are unwell, and those that are enabled are found without a look at
-- the rows of the others.
CREATE INDEX workloads_unwell ON workloads (mailbox_no) WHERE health <> '{"health":"healthy"}';
CREATE INDEX workloads_enabled ON workloads (mailbox_no) WHERE enabled = 1;
