//! A folder with a store, a simulated server, and the binary.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use postroom_simulator::exchange::{Exchange, ListenOptions, Listening};
use postroom_simulator::model::Account;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// No command takes longer, even on a busy machine.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(120);

/// The account that opens mailboxes, and its password.
pub(crate) const SERVICE: &str = "service@example.org";
pub(crate) const PASSWORD: &str = "pw-of-the-service";

/// The built binary.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_postroom"))
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Failed with that exit code and that code of the catalogue, with a cause or hint.
    #[track_caller]
    pub(crate) fn failed(self, exit: i32, code: &str) -> Self {
        assert_eq!(self.code, exit, "{self:?}");
        assert!(self.err.contains("error: "), "{self:?}");
        assert!(
            self.err.contains(&format!("[{code}]")),
            "not {code}: {self:?}"
        );
        assert!(self.err.contains("hint: "), "{self:?}");
        assert!(
            !self.err.contains(PASSWORD) && !self.out.contains(PASSWORD),
            "a password leaked: {self:?}"
        );
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(value["version"], 1);
        value
    }
}

/// A folder of its own, in which commands run.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The command, not yet started: nothing of the caller's environment reaches it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("USER", "tester")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(binary());
        command.args(arguments);
        finish(command).await
    }
}

/// Runs a command to its end, within bounds.
pub(crate) async fn finish(mut command: Command) -> Ran {
    let output = tokio::time::timeout(TIME_MAX, command.output())
        .await
        .unwrap()
        .unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A store, a server with one mailbox, and a profile that fits it.
#[derive(Debug)]
pub(crate) struct Office {
    pub(crate) folder: Folder,
    pub(crate) exchange: Exchange,
    pub(crate) listening: Listening,
}

impl Office {
    /// A store and a server; no profile yet.
    pub(crate) async fn bare() -> Self {
        let exchange = Exchange::builder()
            .account(
                Account::new(SERVICE)
                    .login(SERVICE, PASSWORD)
                    .impersonates_everybody()
                    .without_mailbox(),
            )
            .account(Account::new("powerless@example.org").login("powerless", PASSWORD))
            .account(Account::new("ada@example.org").login("ada", PASSWORD))
            .account(
                Account::new("shut@example.org")
                    .login("shut", PASSWORD)
                    .ews_disabled(),
            )
            .build()
            .unwrap();
        Self::at(exchange).await
    }

    /// A store beside that server; no profile yet.
    pub(crate) async fn at(exchange: Exchange) -> Self {
        let listening = exchange.listen(ListenOptions::https()).await.unwrap();
        let folder = Folder::new();
        folder.write("ca.pem", listening.certificate_pem().unwrap());
        folder.write("password", format!("{PASSWORD}\n"));
        folder.write("wrong-password", "not-the-password\n");
        folder.run(&["init"]).await.ok();
        Self {
            folder,
            exchange,
            listening,
        }
    }

    /// The same with the profile `Office`, the default.
    pub(crate) async fn open() -> Self {
        let office = Self::bare().await;
        let url = office.listening.url();
        office
            .profile(
                "Office",
                &url,
                SERVICE,
                "password",
                &["--ca", "ca.pem", "--default"],
            )
            .await
            .ok();
        office
    }

    pub(crate) async fn profile(
        &self,
        name: &str,
        url: &str,
        user: &str,
        password: &str,
        more: &[&str],
    ) -> Ran {
        let mut arguments = vec![
            "profile",
            "create",
            name,
            "--url",
            url,
            "--user",
            user,
            "--password-file",
            password,
        ];
        arguments.extend(more);
        self.run(&arguments).await
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.folder.run(arguments).await
    }
}
