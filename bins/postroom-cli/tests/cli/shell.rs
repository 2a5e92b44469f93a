//! What shells and `man` are told.

use crate::support::Folder;

#[tokio::test]
async fn every_shell_has_its_completions() {
    let folder = Folder::new();
    for (shell, word) in [
        ("bash", "complete -F _postroom"),
        ("zsh", "#compdef postroom"),
        ("fish", "complete -c postroom"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let said = folder.run(&["completions", shell]).await.ok().out;
        assert!(said.contains(word), "{shell}");
        for command in ["apply", "apply-defaults", "dry-run"] {
            assert!(said.contains(command), "{shell} does not know {command}");
        }
    }
    // A script that a shell cannot read would break it at every start.
    folder.write(
        "completions",
        folder.run(&["completions", "bash"]).await.ok().out,
    );
    let mut bash = folder.command(std::path::Path::new("bash"));
    bash.args(["-n", "completions"]);
    crate::support::finish(bash).await.ok();
    let unknown = folder.run(&["completions", "bsh"]).await;
    assert!(
        unknown.code == 2 && unknown.err.contains("bash"),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn every_command_has_its_page() {
    let folder = Folder::new();
    let page = folder.run(&["man"]).await.ok().out;
    assert!(page.contains(".TH postroom 1"), "{page}");
    folder.run(&["man", "pages"]).await.ok();
    let commands = include_str!("../../src/tests/commands.txt");
    for line in commands.lines() {
        let words = line
            .split(' ')
            .take_while(|word| !word.starts_with(['-', '<']));
        let name = words.collect::<Vec<_>>().join("-");
        let page = std::fs::read_to_string(folder.path("pages").join(format!("{name}.1")));
        assert!(page.unwrap().contains(".SH NAME"), "{name}");
    }
}
