use std::fmt::Write as _;

use clap::{Command as Tree, CommandFactory as _};

use super::*;

/// Every command with its arguments, one line each: what scripts rely on. A change shows up here
/// and belongs into docs/reference/cli.md.
fn tree(command: &Tree, path: &str, into: &mut String) {
    let name = if path.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{path} {}", command.get_name())
    };
    let mut arguments: Vec<String> = command
        .get_arguments()
        .filter(|argument| {
            !argument.is_global_set() && !matches!(argument.get_id().as_str(), "help" | "version")
        })
        .map(|argument| {
            let value = argument.get_action().takes_values();
            match argument.get_long() {
                Some(long) if value => format!("--{long} _"),
                Some(long) => format!("--{long}"),
                None => format!("<{}>", argument.get_id()),
            }
        })
        .collect();
    arguments.sort();
    if command.get_subcommands().next().is_none() {
        writeln!(into, "{name} {}", arguments.join(" ")).unwrap();
    }
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
    {
        tree(below, &name, into);
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_commands_are_those_that_scripts_know() {
    let mut found = String::new();
    tree(&Cli::command(), "", &mut found);
    let found: String = found
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    let expected = include_str!("tests/commands.txt");
    assert_eq!(
        found, expected,
        "\nsrc/tests/commands.txt should be:\n{found}"
    );
}

#[test]
fn the_help_says_what_there_is() {
    let help = Cli::command().term_width(100).render_help().to_string();
    let expected = include_str!("tests/help.txt");
    assert_eq!(
        help.trim_end(),
        expected.trim_end(),
        "\nsrc/tests/help.txt should be:\n{help}"
    );
}

#[test]
fn no_password_can_be_an_argument() {
    fn check(command: &Tree) {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            assert!(
                !id.contains("password") || id == "password_file",
                "{} {id}: other users of the machine read command lines",
                command.get_name()
            );
        }
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
}

#[test]
fn the_reference_lists_every_exit_code() {
    let reference = include_str!("../../../docs/reference/cli.md");
    for line in failure::EXIT_CODES.lines().skip(1) {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        let row = format!("| {code} | {meaning} |");
        assert!(
            reference.contains(&row),
            "docs/reference/cli.md lacks {row:?}"
        );
    }
}

#[test]
fn the_reference_names_every_command() {
    let reference = include_str!("../../../docs/reference/cli.md");
    for line in include_str!("tests/commands.txt").lines() {
        let name: Vec<&str> = line
            .split(' ')
            .take_while(|word| !word.starts_with(['-', '<']))
            .collect();
        let name = name.join(" ");
        assert!(
            reference.contains(&format!("`{name}")),
            "docs/reference/cli.md lacks `{name}`"
        );
    }
}
