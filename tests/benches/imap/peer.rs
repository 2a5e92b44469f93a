//! mbsync, into a Maildir.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::shared::dovecot::{Dovecot, PASSWORD};
use crate::shared::pull::USER;

/// How long mbsync takes for all of it; `None` where it is not installed.
pub(crate) fn pull(
    server: &Dovecot,
    service: &str,
    count: u32,
) -> anyhow::Result<Option<Duration>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("mail"))?;
    fs::write(path("cert"), server.certificate_pem())?;
    let tls = if service == "imaps" { "IMAPS" } else { "None" };
    let config = format!(
        "IMAPAccount here\nHost localhost\nPort {}\nUser {USER}\nPass {PASSWORD}\nSSLType {tls}\nSystemCertificates no\nCertificateFile {}\nAuthMechs PLAIN LOGIN\n\nIMAPStore far\nAccount here\n\nMaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\n\nChannel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync Pull\nSyncState *\n",
        server.port(service),
        path("cert").display(),
        mail = path("mail").display(),
    );
    fs::write(path("config"), config)?;
    let started = Instant::now();
    let ran = Command::new("mbsync")
        .arg("--quiet")
        .arg("--config")
        .arg(path("config"))
        .arg("all")
        .output();
    let took = started.elapsed();
    let Ok(ran) = ran else {
        return Ok(None);
    };
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "mbsync failed: {said}");
    let written = fs::read_dir(path("mail/INBOX/new"))?.count()
        + fs::read_dir(path("mail/INBOX/cur"))?.count();
    ensure!(
        u32::try_from(written) == Ok(count),
        "mbsync wrote {written}: {said}"
    );
    Ok(Some(took))
}
