//! A private Dovecot, started by the script beside this file. Included by the tests that use it.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// Every user's password.
pub(crate) const PASSWORD: &str = "open-sesame";

/// The script answers so where there is no Dovecot.
const NOT_INSTALLED: i32 = 3;

/// A Dovecot that runs as long as this is kept.
#[derive(Debug)]
pub(crate) struct Dovecot {
    child: Child,
    _folder: tempfile::TempDir,
    ready: String,
    delivered: AtomicU32,
}

impl Dovecot {
    /// Starts one in a folder that is its own; `None`, which is said, where it is not installed. In CI that is a failure.
    pub(crate) fn start(folder: tempfile::TempDir) -> Option<Self> {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let script = above
            .map(|folder| folder.join("tests/servers/dovecot"))
            .find(|script| script.is_file())
            .expect("the script is in the project");
        let mut child = Command::new(script)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script can be run");
        let mut ready = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut ready).expect("text");
        if !ready.starts_with("ready ") {
            let ended = child.wait().expect("the script ends");
            assert_eq!(ended.code(), Some(NOT_INSTALLED), "Dovecot does not start");
            assert!(
                std::env::var_os("CI").is_none(),
                "CI needs Dovecot: packages dovecot-pop3d and dovecot-imapd"
            );
            println!("nothing was checked: Dovecot is not installed");
            return None;
        }
        Some(Self {
            child,
            _folder: folder,
            ready,
            delivered: AtomicU32::new(0),
        })
    }

    fn told(&self, name: &str) -> &str {
        let words = self.ready.split_whitespace();
        let mut values = words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        values.next().expect("the script tells it")
    }

    /// The port of a service: `pop3`, `pop3s`, `imap`, `imaps`.
    pub(crate) fn port(&self, service: &str) -> u16 {
        self.told(service).parse().expect("a port")
    }

    /// The certificate, as PEM.
    pub(crate) fn certificate_pem(&self) -> String {
        fs::read_to_string(self.told("certificate")).expect("the certificate is there")
    }

    /// A user's mail.
    pub(crate) fn maildir(&self, user: &str) -> PathBuf {
        Path::new(self.told("mail")).join(user).join("Maildir")
    }

    /// A folder of a user, by its name on the wire.
    pub(crate) fn folder(&self, user: &str, name: &str) -> PathBuf {
        let maildir = self.maildir(user);
        if name == "INBOX" {
            maildir
        } else {
            maildir.join(format!(".{name}"))
        }
    }

    /// A user without mail.
    pub(crate) fn add_user(&self, user: &str) -> io::Result<()> {
        let maildir = self.maildir(user);
        for folder in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(folder))?;
        }
        let home = maildir.parent().unwrap_or(&maildir);
        // Dovecot handles mail as a user of its own choice.
        for folder in [home.to_owned(), maildir.clone()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
        }
        for folder in ["cur", "new", "tmp"] {
            fs::set_permissions(maildir.join(folder), fs::Permissions::from_mode(0o777))?;
        }
        Ok(())
    }

    /// A message arrives.
    pub(crate) fn deliver(&self, user: &str, raw: &[u8]) -> io::Result<()> {
        self.deliver_to(&self.maildir(user), raw)
    }

    /// A message arrives in a folder.
    pub(crate) fn deliver_to(&self, maildir: &Path, raw: &[u8]) -> io::Result<()> {
        let number = self.delivered.fetch_add(1, Ordering::SeqCst);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs();
        let name = format!("{seconds}.M{number:06}P{}.test", std::process::id());
        let made = maildir.join("tmp").join(&name);
        fs::write(&made, raw)?;
        fs::set_permissions(&made, fs::Permissions::from_mode(0o666))?;
        fs::rename(made, maildir.join("new").join(name))
    }

    /// The files of a folder's messages.
    pub(crate) fn files(&self, maildir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for folder in ["cur", "new"] {
            for entry in fs::read_dir(maildir.join(folder))? {
                files.push(entry?.path());
            }
        }
        Ok(files)
    }

    /// The file of the message of that UID.
    pub(crate) fn file_of(&self, maildir: &Path, uid: u32) -> io::Result<Option<PathBuf>> {
        let list = fs::read_to_string(maildir.join("dovecot-uidlist"))?;
        // The first line is the list's own.
        let line = list
            .lines()
            .skip(1)
            .find(|line| line.split(' ').next() == Some(&uid.to_string()));
        let Some((_, name)) = line.and_then(|line| line.split_once(" :")) else {
            return Ok(None);
        };
        let files = self.files(maildir)?.into_iter();
        Ok(files.into_iter().find(|file| {
            let file = file.file_name().unwrap_or_default().to_string_lossy();
            file.split(':').next() == name.split(':').next()
        }))
    }

    /// Another UIDVALIDITY: all messages are named anew.
    pub(crate) fn reset_uids(&self, maildir: &Path) -> io::Result<()> {
        let list = maildir.join("dovecot-uidlist");
        let old = fs::read_to_string(&list)?;
        let header = old.lines().next().unwrap_or_default();
        let validity = header.split(' ').find_map(|word| word.strip_prefix('V'));
        let validity: u32 = validity.and_then(|v| v.parse().ok()).unwrap_or(1);
        for entry in fs::read_dir(maildir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("dovecot") {
                fs::remove_file(path)?;
            }
        }
        fs::write(&list, format!("3 V{} N1\n", validity + 1))?;
        fs::set_permissions(&list, fs::Permissions::from_mode(0o666))
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The end of its standard input is what stops it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
