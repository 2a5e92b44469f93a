//! What a provider offers, as negotiated with its server.

use std::time::Duration;

use serde::Serialize;

/// What a provider offers.
///
/// A field that is `false` means that the operation answers
/// [`Unsupported`](crate::ErrorKind::Unsupported) before any byte is sent; `true` means that it
/// works. Limits are the server's, as far as known. Names begin with the family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Capabilities {
    /// The product and version of the server, where it says so.
    pub server_product: Option<String>,
    /// Messages can be listed, read and fetched ([`MailSource`](crate::MailSource) is there).
    pub mail: bool,
    /// Folders can be created.
    pub mail_create_folder: bool,
    /// Messages can be moved to another folder.
    pub mail_move: bool,
    /// A moved message's new id is told.
    pub mail_move_tells_id: bool,
    /// Deleted messages are listed as deleted; else they are merely missing.
    pub mail_reports_deletions: bool,
    /// Reading keeps others out of the mailbox until it is [released](crate::MailSource::release).
    pub mail_exclusive: bool,
    /// A connection is kept between calls until it is [released](crate::MailSource::release).
    pub mail_keeps_connection: bool,
    /// Most messages of one `headers` or `fetch` call.
    pub mail_batch_max: usize,
    /// Most changes of one page.
    pub mail_page_max: u32,
    /// Messages can be sent ([`MailSubmitter`](crate::MailSubmitter) is there).
    pub submit: bool,
    /// A message can be staged as a draft and then sent under the draft's identity, which makes
    /// repeating safe.
    pub submit_staged: bool,
    /// What became of a submission can be looked up.
    pub submit_traceable: bool,
    /// The server files a copy of what it sends by itself.
    pub submit_files_copy: bool,
    /// Largest message that the server takes, in bytes, where known.
    pub submit_size_max: Option<u64>,
    /// The copies of sent messages can be reached ([`SentItems`](crate::SentItems) is there).
    pub sent: bool,
    /// The copy of a submission can be looked for.
    pub sent_find: bool,
    /// A copy can be filed.
    pub sent_file: bool,
    /// The mail system files a copy of what is sent through it by itself: filing another would double it.
    pub sent_filed_by_server: bool,
    /// Changes can be waited for ([`Watcher`](crate::Watcher) is there).
    pub watch: bool,
    /// Longest time a request may be idle before the server or a device between cuts it, where known.
    pub idle_max: Option<Duration>,
}

impl Default for Capabilities {
    /// Offers nothing.
    fn default() -> Self {
        Self {
            server_product: None,
            mail: false,
            mail_create_folder: false,
            mail_move: false,
            mail_move_tells_id: false,
            mail_reports_deletions: false,
            mail_exclusive: false,
            mail_keeps_connection: false,
            mail_batch_max: 1,
            mail_page_max: 100,
            submit: false,
            submit_staged: false,
            submit_traceable: false,
            submit_files_copy: false,
            submit_size_max: None,
            sent: false,
            sent_find: false,
            sent_file: false,
            sent_filed_by_server: false,
            watch: false,
            idle_max: None,
        }
    }
}
