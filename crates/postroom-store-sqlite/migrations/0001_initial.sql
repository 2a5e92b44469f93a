-- Times are milliseconds since 1970-01-01T00:00:00Z, UTC. Identifiers are UUIDs of 16 bytes. JSON
-- holds what is only ever read as a whole; whatever is searched or compared has a column. Tables that
-- grow with every message do without AUTOINCREMENT: nothing is deleted from them whose number
-- somebody else keeps, and it costs a second write for each row.

-- The one organization of this store, and what unlocks its secrets.
CREATE TABLE organization (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    id BLOB NOT NULL,
    definition TEXT NOT NULL,
    key_id TEXT NOT NULL DEFAULT '',
    key_nonce BLOB NOT NULL DEFAULT x'',
    key_check BLOB NOT NULL DEFAULT x'',
    -- Grows whenever a secret is stored or deleted.
    secrets_changed INTEGER NOT NULL DEFAULT 0,
    outgoing_cursor TEXT
) STRICT;

CREATE TABLE profiles (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    name_key TEXT NOT NULL UNIQUE,
    definition TEXT NOT NULL
) STRICT;

CREATE TABLE secrets (
    owner_kind TEXT NOT NULL,
    owner BLOB NOT NULL,
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (owner_kind, owner)
) STRICT, WITHOUT ROWID;

-- Segment files, with raw messages, bodies and files to be sent, and how far rows name their bytes.
-- Columns named raw, content, text_body and html_body hold the place of bytes in them (src/segment.rs).
CREATE TABLE segments (
    number INTEGER PRIMARY KEY,
    end_offset INTEGER NOT NULL
) STRICT;

CREATE TABLE mailboxes (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    name_key TEXT NOT NULL DEFAULT '',
    address TEXT,
    party BLOB,
    profile BLOB,
    active INTEGER NOT NULL DEFAULT 1,
    revision INTEGER NOT NULL DEFAULT 0,
    definition TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX mailboxes_address ON mailboxes (address) WHERE address IS NOT NULL;
CREATE UNIQUE INDEX mailboxes_party ON mailboxes (party) WHERE party IS NOT NULL;
CREATE INDEX mailboxes_profile ON mailboxes (profile);
CREATE INDEX mailboxes_name ON mailboxes (name_key, no);

-- What cycles leave behind, apart from what administrators set; and the lease. The fence outlives
-- every holder.
CREATE TABLE workloads (
    mailbox_no INTEGER NOT NULL REFERENCES mailboxes (no),
    workload TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 0,
    health TEXT NOT NULL,
    next_due_ms INTEGER,
    idle_cycles INTEGER NOT NULL DEFAULT 0,
    last_started_ms INTEGER,
    last_succeeded_ms INTEGER,
    holder BLOB,
    fence INTEGER NOT NULL DEFAULT 0,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (mailbox_no, workload)
) STRICT, WITHOUT ROWID;
CREATE INDEX workloads_due ON workloads (next_due_ms, mailbox_no)
    WHERE enabled = 1 AND next_due_ms IS NOT NULL;

CREATE TABLE folders (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox_no INTEGER NOT NULL REFERENCES mailboxes (no),
    folder TEXT NOT NULL,
    cursor TEXT,
    relisting INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    UNIQUE (mailbox_no, folder)
) STRICT;

-- Rows of the size that they will keep: what settles one changes it in place, and what grows is in a
-- row of its own, which is appended. state_no: 0 pending, 1 delivered, 2 filtered, 3 quarantined,
-- 4 gone; state has the whole where the columns do not tell it.
CREATE TABLE ledger (
    no INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    mailbox_no INTEGER NOT NULL,
    folder_no INTEGER NOT NULL,
    remote_hash INTEGER NOT NULL,
    remote_id TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    received_at_ms INTEGER,
    size_bytes INTEGER,
    first_seen_ms INTEGER NOT NULL,
    state_no INTEGER NOT NULL,
    tried INTEGER NOT NULL DEFAULT 0,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    record BLOB,
    state TEXT,
    raw BLOB
) STRICT;
-- Ids of servers are long: found by a hash, compared in full.
CREATE INDEX ledger_remote ON ledger (folder_no, remote_hash);
CREATE INDEX ledger_state ON ledger (mailbox_no, state_no, tried);
CREATE INDEX ledger_record ON ledger (record) WHERE record IS NOT NULL;

CREATE TABLE ledger_decisions (
    ledger_no INTEGER PRIMARY KEY,
    identity BLOB,
    decision TEXT
) STRICT;

CREATE TABLE token_numbers (
    user_number INTEGER PRIMARY KEY AUTOINCREMENT,
    party BLOB NOT NULL UNIQUE,
    counter INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE outbox (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    mailbox_no INTEGER NOT NULL REFERENCES mailboxes (no),
    record BLOB,
    entry TEXT NOT NULL,
    state_name TEXT NOT NULL,
    state TEXT NOT NULL,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    unreported INTEGER NOT NULL DEFAULT 0,
    raw BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX outbox_record ON outbox (record) WHERE record IS NOT NULL;
CREATE INDEX outbox_state ON outbox (mailbox_no, state_name, no);
CREATE INDEX outbox_unreported ON outbox (no) WHERE unreported = 1;

CREATE TABLE alerts (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    code TEXT NOT NULL,
    subject TEXT NOT NULL,
    workload TEXT NOT NULL DEFAULT '',
    discriminator TEXT NOT NULL DEFAULT '',
    level_rank INTEGER NOT NULL,
    audience TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    details TEXT NOT NULL,
    occurrences INTEGER NOT NULL DEFAULT 1,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    closed_at_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX alerts_open ON alerts (subject, code, workload, discriminator)
    WHERE closed_at_ms IS NULL;
CREATE INDEX alerts_seen ON alerts (last_seen_ms, no);

CREATE TABLE jobs (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    state_name TEXT NOT NULL,
    job TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_state ON jobs (state_name, no);

CREATE TABLE audit (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL
) STRICT;

-- The correlation index. Term hashes are 64 bits, kept as signed integers.
CREATE TABLE index_emails (
    no INTEGER PRIMARY KEY,
    record BLOB NOT NULL UNIQUE,
    regarding BLOB,
    direction INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    message_ids TEXT NOT NULL DEFAULT '',
    token TEXT,
    conversation_hash INTEGER,
    conversation BLOB,
    subject_key INTEGER NOT NULL,
    subject_terms BLOB NOT NULL DEFAULT x'',
    address_terms BLOB NOT NULL DEFAULT x'',
    content_key BLOB,
    automatic INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX index_emails_token ON index_emails (token, at_ms DESC) WHERE token IS NOT NULL;
CREATE INDEX index_emails_conversation ON index_emails (conversation_hash, at_ms DESC)
    WHERE conversation_hash IS NOT NULL;

-- What emails are found by, as hashes: Message-IDs, content keys, each address together with the
-- subject's key and, for subjects that may differ, alone. One tree, which a batch goes through once
-- in its order; what is found is compared in full.
CREATE TABLE index_terms (
    term INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    email_no INTEGER NOT NULL,
    PRIMARY KEY (term, at_ms DESC, email_no DESC)
) STRICT, WITHOUT ROWID;

-- The application's records, where the embedded ones are used.
CREATE TABLE crm_parties (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL DEFAULT '',
    active INTEGER NOT NULL DEFAULT 1,
    owner BLOB
) STRICT;

CREATE TABLE crm_addresses (
    address TEXT NOT NULL,
    party_no INTEGER NOT NULL REFERENCES crm_parties (no),
    spelling TEXT NOT NULL,
    PRIMARY KEY (address, party_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX crm_addresses_party ON crm_addresses (party_no);

CREATE TABLE crm_records (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    title TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE crm_emails (
    no INTEGER PRIMARY KEY,
    record BLOB NOT NULL UNIQUE,
    key_hash INTEGER,
    idempotency_key BLOB,
    direction TEXT NOT NULL,
    status_name TEXT NOT NULL,
    status TEXT,
    at_ms INTEGER NOT NULL,
    regarding BLOB,
    token TEXT,
    email TEXT NOT NULL,
    link TEXT NOT NULL,
    text_body BLOB,
    html_body BLOB,
    raw BLOB
) STRICT;
-- The first bytes of the key; compared in full.
CREATE INDEX crm_emails_key ON crm_emails (key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX crm_emails_regarding ON crm_emails (regarding, no) WHERE regarding IS NOT NULL;
CREATE INDEX crm_emails_outgoing ON crm_emails (status_name, no) WHERE direction = 'outgoing';

CREATE TABLE crm_files (
    email_no INTEGER NOT NULL REFERENCES crm_emails (no),
    position INTEGER NOT NULL,
    name TEXT NOT NULL DEFAULT '',
    content_type TEXT NOT NULL DEFAULT '',
    content BLOB NOT NULL,
    PRIMARY KEY (email_no, position)
) STRICT, WITHOUT ROWID;

-- Emails in the order in which they were put into Pending Send; never reused, so that a reader's
-- place stays valid.
CREATE TABLE crm_outgoing_feed (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    email_no INTEGER NOT NULL REFERENCES crm_emails (no)
) STRICT;

CREATE TABLE crm_queue_items (
    queue BLOB NOT NULL,
    email_no INTEGER NOT NULL,
    PRIMARY KEY (queue, email_no)
) STRICT, WITHOUT ROWID;
