//! Keeping requests and answers.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::http::HttpResponse;

/// A folder with a file for each request and each answer, numbered in order.
#[derive(Debug)]
pub(super) struct Capture {
    folder: PathBuf,
    number: AtomicU64,
}

impl Capture {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            number: AtomicU64::new(0),
        }
    }

    /// Keeps one exchange of messages. An answer that is no XML is left out. A failure to write is
    /// logged and harms nobody: the capture is a witness, not a part of the play.
    pub(super) fn keep(&self, operation: &str, request: &Bytes, response: &HttpResponse) {
        let number = self.number.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let name: String = operation
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(40)
            .collect();
        let path = |what: &str| self.folder.join(format!("{number:06}-{name}-{what}.xml"));
        let xml = response
            .headers
            .iter()
            .any(|(key, value)| key == "content-type" && value.starts_with("text/xml"));
        let mut written =
            fs::create_dir_all(&self.folder).and_then(|()| fs::write(path("request"), request));
        if xml {
            written = written
                .and_then(|()| fs::write(path("answer"), response.body.clone().into_bytes()));
        }
        if let Err(error) = written {
            tracing::warn!(%error, number, "capture failed");
        }
    }
}
