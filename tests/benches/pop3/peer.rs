//! mpop, into a Maildir.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::shared::dovecot::{Dovecot, PASSWORD};
use crate::shared::pull::USER;

/// How long mpop takes for all of it; `None` where it is not installed.
pub(crate) fn pull(
    server: &Dovecot,
    service: &str,
    count: u32,
) -> anyhow::Result<Option<Duration>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    for name in ["mail", "mail/new", "mail/cur", "mail/tmp"] {
        fs::create_dir(path(name))?;
    }
    fs::write(path("cert"), server.certificate_pem())?;
    let tls = if service == "pop3s" { "on" } else { "off" };
    let config = format!(
        "account default\nhost localhost\nport {}\ntls {tls}\ntls_starttls off\ntls_trust_file {}\nauth user\nuser {USER}\npassword {PASSWORD}\nkeep on\nuidls_file {}\ndelivery maildir {}\n",
        server.port(service),
        path("cert").display(),
        path("uidls").display(),
        path("mail").display(),
    );
    fs::write(path("config"), config)?;
    fs::set_permissions(path("config"), fs::Permissions::from_mode(0o600))?;
    let started = Instant::now();
    let ran = Command::new("mpop")
        .arg("--quiet")
        .arg("--file")
        .arg(path("config"))
        .output();
    let took = started.elapsed();
    let Ok(ran) = ran else {
        return Ok(None);
    };
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "mpop failed: {said}");
    let written = fs::read_dir(path("mail/new"))?.count();
    ensure!(
        u32::try_from(written) == Ok(count),
        "mpop wrote {written}: {said}"
    );
    Ok(Some(took))
}
