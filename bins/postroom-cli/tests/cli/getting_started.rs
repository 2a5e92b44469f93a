//! Runs exactly the commands that docs/getting-started.md prints.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::support::{Folder, TIME_MAX, binary, finish};

const GUIDE: &str = include_str!("../../../../docs/getting-started.md");

/// A block of commands, and how it is to be run.
#[derive(Debug, PartialEq, Eq)]
struct Block<'a> {
    /// What the comment above the block says, such as `terminal: simulator`.
    marker: Option<&'a str>,
    commands: String,
}

/// The blocks of shell commands, in order.
fn blocks(guide: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut marker = None;
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("<!-- ") {
            marker = text.strip_suffix(" -->");
        } else if line == "```sh" {
            let commands: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                marker: marker.take(),
                commands: commands.join("\n"),
            });
        }
    }
    blocks
}

fn shell(folder: &Folder, commands: &str) -> Command {
    let mut command = folder.command(std::path::Path::new("/bin/sh"));
    let mut path = binary().parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    command.env("PATH", path).args(["-euc", commands]);
    command
}

/// A command in a terminal of its own, until it says that it is ready.
fn terminal(
    folder: &Folder,
    commands: &str,
) -> (
    Child,
    Lines<BufReader<ChildStdout>>,
    Lines<BufReader<ChildStderr>>,
) {
    // One program in place of a shell with a child, so that stopping it stops it.
    let mut command = shell(folder, &format!("exec {commands}"));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap()).lines();
    let err = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, out, err)
}

async fn interrupt(folder: &Folder, mut child: Child) {
    let pid = child.id().unwrap();
    finish(shell(folder, &format!("kill -INT {pid}")))
        .await
        .ok();
    let status = tokio::time::timeout(TIME_MAX, child.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(0), "Ctrl-C is the ordinary end");
}

#[tokio::test]
async fn the_commands_of_the_guide_do_what_it_says() {
    let folder = Folder::new();
    let mut simulator = None;
    let mut said = String::new();
    let blocks = blocks(GUIDE);
    assert!(
        blocks.len() > 15,
        "{} blocks: is the guide still read?",
        blocks.len()
    );
    for block in &blocks {
        match block.marker {
            // Whoever runs this test has done it.
            Some("build") => {}
            Some("terminal: simulator") => {
                let (child, mut out, err) = terminal(&folder, &block.commands);
                // It announces itself once everything in its folder is written.
                let url = tokio::time::timeout(TIME_MAX, out.next_line())
                    .await
                    .unwrap()
                    .unwrap()
                    .unwrap();
                assert!(url.starts_with("https://"), "{url}");
                simulator = Some((child, out, err));
            }
            Some("terminal: engine") => {
                let (child, _out, mut err) = terminal(&folder, &block.commands);
                let line = tokio::time::timeout(TIME_MAX, err.next_line())
                    .await
                    .unwrap()
                    .unwrap()
                    .unwrap();
                assert!(line.contains("the engine runs"), "{line}");
                interrupt(&folder, child).await;
            }
            marker => {
                let expected: i32 = match marker {
                    None => 0,
                    Some(text) => text.strip_prefix("exits with: ").unwrap().parse().unwrap(),
                };
                let ran = finish(shell(&folder, &block.commands)).await;
                assert_eq!(ran.code, expected, "{}\n{ran:?}", block.commands);
                said.push_str(&ran.out);
                said.push_str(&ran.err);
            }
        }
    }
    for words in [
        "[not-approved]",
        "=> incoming: success, enabled",
        "=> outgoing: success, enabled",
        "Re: Quote for twelve lamps CRM:",
        "by tracking token",
        "filtered: no filter accepts",
        "item-corrupt",
        "correlation by tracking_token: matched",
        "the recipient's filter does not accept it",
    ] {
        assert!(said.contains(words), "nothing said {words:?}:\n{said}");
    }
    let (child, ..) = simulator.unwrap();
    interrupt(&folder, child).await;
}

#[test]
fn blocks_are_read_with_their_markers() {
    let guide = "text\n<!-- exits with: 7 -->\n```sh\na\nb\n```\n```text\nno\n```\n```sh\nc\n```\n";
    let expected = [
        Block {
            marker: Some("exits with: 7"),
            commands: "a\nb".to_owned(),
        },
        Block {
            marker: None,
            commands: "c".to_owned(),
        },
    ];
    assert_eq!(blocks(guide), expected);
}
