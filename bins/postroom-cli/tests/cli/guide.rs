//! Runs the commands that a guide prints, in the order in which it prints them.
//!
//! A comment above a block of shell says how it is run: `terminal: simulator` and `terminal: engine`
//! in a terminal of their own, `build` not at all, `exits with: N` with that outcome, `says: WORDS`
//! so that its output holds these words.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::support::{Folder, TIME_MAX, binary, finish};

/// A block of commands, and how it is to be run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Block<'a> {
    /// What the comments above the block say, such as `terminal: simulator`.
    markers: Vec<&'a str>,
    commands: String,
}

impl Block<'_> {
    fn marker(&self, name: &str) -> Option<&str> {
        self.markers
            .iter()
            .find_map(|marker| marker.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The blocks of shell commands, in order.
fn blocks(guide: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut markers = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("<!-- ") {
            markers.extend(text.strip_suffix(" -->"));
        } else if line == "```sh" {
            let commands: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                markers: std::mem::take(&mut markers),
                commands: commands.join("\n"),
            });
        }
    }
    assert_eq!(markers, [""; 0], "a comment that belongs to no block");
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

/// A command in a terminal of its own. Who drops the ends of its output stops it from writing.
struct Terminal {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Terminal {
    fn open(folder: &Folder, commands: &str) -> Self {
        // One program in place of a shell with a child, so that stopping it stops it.
        let mut command = shell(folder, &format!("exec {commands}"));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, out, err }
    }

    async fn interrupt(mut self, folder: &Folder) {
        let pid = self.child.id().unwrap();
        finish(shell(folder, &format!("kill -INT {pid}")))
            .await
            .ok();
        let status = tokio::time::timeout(TIME_MAX, self.child.wait())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(status.code(), Some(0), "Ctrl-C is the ordinary end");
    }
}

/// Runs a guide with so many blocks at least; answers everything that was said.
pub(crate) async fn run(guide: &str, blocks_min: usize) -> String {
    let folder = Folder::new();
    let mut simulators = Vec::new();
    let mut said = String::new();
    let blocks = blocks(guide);
    let count = blocks.len();
    assert!(
        count >= blocks_min,
        "{count} blocks: is the guide still read?"
    );
    for block in &blocks {
        if block.markers == ["build"] {
            // Whoever runs this test has done it.
            continue;
        }
        match block.marker("terminal") {
            Some("simulator") => {
                let mut terminal = Terminal::open(&folder, &block.commands);
                // It announces itself once everything in its folder is written.
                let url = tokio::time::timeout(TIME_MAX, terminal.out.next_line())
                    .await
                    .unwrap()
                    .unwrap()
                    .unwrap();
                assert!(url.starts_with("https://"), "{url}");
                simulators.push(terminal);
                continue;
            }
            Some("engine") => {
                let mut terminal = Terminal::open(&folder, &block.commands);
                let line = tokio::time::timeout(TIME_MAX, terminal.err.next_line())
                    .await
                    .unwrap()
                    .unwrap()
                    .unwrap();
                assert!(line.contains("the engine runs"), "{line}");
                terminal.interrupt(&folder).await;
                continue;
            }
            _ => {}
        }
        let expected: i32 = block
            .marker("exits with")
            .map_or(0, |text| text.parse().unwrap());
        let ran = finish(shell(&folder, &block.commands)).await;
        assert_eq!(ran.code, expected, "{}\n{ran:?}", block.commands);
        let output = ran.out + &ran.err;
        let words = block.marker("says").unwrap_or_default();
        assert!(
            output.contains(words),
            "{}\nsays nothing of {words:?}:\n{output}",
            block.commands
        );
        said.push_str(&output);
    }
    for terminal in simulators {
        terminal.interrupt(&folder).await;
    }
    said
}

#[test]
fn blocks_are_read_with_their_markers() {
    let guide = "text\n<!-- exits with: 7 -->\n<!-- says: x -->\n```sh\na\nb\n```\n```text\nno\n```\n```sh\nc\n```\n";
    let expected = [
        Block {
            markers: vec!["exits with: 7", "says: x"],
            commands: "a\nb".to_owned(),
        },
        Block {
            markers: vec![],
            commands: "c".to_owned(),
        },
    ];
    assert_eq!(blocks(guide), expected);
    assert_eq!(expected[0].marker("says"), Some("x"));
    assert_eq!(expected[1].marker("says"), None);
}
