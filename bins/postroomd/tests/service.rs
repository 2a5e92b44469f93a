//! The built `postroomd` binary, as a service manager sees it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use postroom::Postroom;
use postroom::core::organization::{Deployment, DeploymentKind};
use postroom::sqlite::StorageOptions;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// Nothing takes longer, even on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A folder with a store and a configuration.
fn office(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = StorageOptions::new(folder.path().join("postroom.sqlite"));
    Postroom::create(
        &options,
        "Contoso",
        Deployment::new(DeploymentKind::OnPremises),
    )
    .unwrap();
    std::fs::write(folder.path().join("postroomd.toml"), config).unwrap();
    folder
}

fn postroomd(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postroomd"));
    command
        .env_clear()
        .arg("--config")
        .arg(folder.join("postroomd.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs to the end: exit code and log.
async fn finish(mut command: Command) -> (Option<i32>, String) {
    let output = tokio::time::timeout(TIME_MAX, command.output())
        .await
        .unwrap()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Starts, and waits until the log says that the engine runs.
async fn running(folder: &Path) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = postroomd(folder).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    until(&mut log, "the engine runs").await;
    (child, log)
}

async fn until(log: &mut Lines<BufReader<ChildStderr>>, text: &str) -> String {
    tokio::time::timeout(TIME_MAX, async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains(text) {
                return line;
            }
        }
        String::new()
    })
    .await
    .unwrap()
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("/bin/kill")
        .args([name, &pid])
        .status()
        .await
        .unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn stops_cleanly_on_either_signal() {
    let folder = office("store = \"postroom.sqlite\"\n[log]\nformat = \"json\"\n");
    for name in ["-TERM", "-INT"] {
        let (mut child, mut log) = running(folder.path()).await;
        signal(&child, name).await;
        let line = until(&mut log, "\"stopped\"").await;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "INFO");
        let status = tokio::time::timeout(TIME_MAX, child.wait())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{name}");
    }
}

#[tokio::test]
async fn a_second_service_on_one_store_is_refused() {
    let folder = office("store = \"postroom.sqlite\"\n");
    let (mut first, _log) = running(folder.path()).await;
    // Whichever of the two came to the lock first runs; the other one says why it does not.
    let mut second = postroomd(folder.path()).spawn().unwrap();
    let refused = tokio::select! {
        status = first.wait() => status,
        status = second.wait() => status,
    };
    assert_eq!(refused.unwrap().code(), Some(6));
}

#[tokio::test]
async fn check_says_whether_the_configuration_can_be_used() {
    let check = |folder: &Path| {
        let mut command = postroomd(folder);
        command.arg("--check");
        finish(command)
    };
    let good = office("store = \"postroom.sqlite\"\n");
    let (code, log) = check(good.path()).await;
    assert_eq!(code, Some(0), "{log}");

    let misspelled = office("store = \"postroom.sqlite\"\nlgo = 1\n");
    let (code, log) = check(misspelled.path()).await;
    assert_eq!(code, Some(2), "{log}");
    assert!(
        log.contains("line 2") && log.contains("lgo") && log.contains("hint:"),
        "{log}"
    );

    let unfilterable = office("store = \"postroom.sqlite\"\n[log]\nlevel = \"a=b=c\"\n");
    let (code, log) = check(unfilterable.path()).await;
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("log.level"), "{log}");

    let elsewhere = office("store = \"other.sqlite\"\n");
    let (code, log) = check(elsewhere.path()).await;
    assert_eq!(code, Some(6), "{log}");
    assert!(log.contains("not-found"), "{log}");

    let keyless = office("store = \"postroom.sqlite\"\nkey_file = \"no-such-key\"\n");
    let (code, log) = check(keyless.path()).await;
    assert_eq!(code, Some(6), "{log}");
    assert!(log.contains("key-missing"), "{log}");

    let (code, log) = check(tempfile::tempdir().unwrap().path()).await;
    assert_eq!(code, Some(2), "{log}");
}
