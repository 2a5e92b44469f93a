//! How results are shown: for people as text and tables, for programs as one JSON document.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;
use serde_json::{Map, Value};

/// The version of every JSON document's shape.
pub(crate) const JSON_VERSION: u32 = 1;

/// How results are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text and tables.
    #[default]
    Human,
    /// One JSON document on standard output: {"version":1,...}.
    Json,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// Where standard output is a terminal and NO_COLOR is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where results go.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    colour: bool,
    colour_on_error: bool,
    broken: AtomicBool,
}

impl Output {
    pub(crate) fn new(format: Format, quiet: bool, colour: Colour) -> Self {
        let wanted = |terminal: bool| match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        Self {
            format,
            quiet,
            colour: wanted(io::stdout().is_terminal()),
            colour_on_error: wanted(io::stderr().is_terminal()),
            broken: AtomicBool::new(false),
        }
    }

    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// Whether everything could be written. A reader that went away is no failure.
    pub(crate) fn is_intact(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    /// A result for people.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        if self.format == Format::Human {
            self.write(text.as_ref());
        }
    }

    /// A remark for people that is not the result: left out with `--quiet`.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if self.format == Format::Human && !self.quiet {
            self.write(text.as_ref());
        }
    }

    /// Progress: on standard error, so that results stay clean.
    pub(crate) fn progress(&self, text: impl AsRef<str>) {
        if self.format == Format::Human && !self.quiet {
            let _ = writeln!(io::stderr(), "{}", text.as_ref());
        }
    }

    /// How far long work has come, in a line that is written over, where somebody watches.
    pub(crate) fn counter(&self, done: usize, all: usize, what: &str) {
        if self.format != Format::Human || self.quiet || all < 2 || !io::stderr().is_terminal() {
            return;
        }
        let mut error = io::stderr().lock();
        let _ = if done == all {
            write!(error, "\r\u{1b}[K")
        } else {
            let what = short(&printable(what), 60);
            write!(error, "\r\u{1b}[K[{}/{all}] {what}", done + 1)
        };
        let _ = error.flush();
    }

    /// A failure for people.
    pub(crate) fn complain(&self, text: &str) {
        let _ = write!(io::stderr(), "{text}");
    }

    /// The result for programs: the fields of `value` beside the version.
    pub(crate) fn json(&self, value: &impl Serialize) {
        if self.format != Format::Json {
            return;
        }
        let mut document = Map::new();
        document.insert("version".to_owned(), JSON_VERSION.into());
        match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => document.extend(fields),
            Ok(other) => {
                document.insert("value".to_owned(), other);
            }
            Err(_) => self.broken.store(true, Ordering::Relaxed),
        }
        self.write(&Value::Object(document).to_string());
    }

    /// A table for people, as wide as the terminal.
    pub(crate) fn table<const N: usize>(
        &self,
        header: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        if self.format == Format::Human {
            self.write(&table(header, rows));
        }
    }

    /// The same, where there are rows.
    pub(crate) fn table_unless_empty<const N: usize>(
        &self,
        header: [&str; N],
        rows: Vec<[String; N]>,
    ) {
        if !rows.is_empty() {
            self.table(header, rows);
        }
    }

    fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
        if written.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            self.broken.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn green(&self, text: &str) -> String {
        paint(self.colour, "32", text)
    }

    pub(crate) fn yellow(&self, text: &str) -> String {
        paint(self.colour, "33", text)
    }

    pub(crate) fn bad(&self, text: &str) -> String {
        paint(self.colour, "31", text)
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        paint(self.colour, "1", text)
    }

    pub(crate) fn faint(&self, text: &str) -> String {
        paint(self.colour, "2", text)
    }

    pub(crate) fn red(&self, text: &str) -> String {
        paint(self.colour_on_error, "1;31", text)
    }

    pub(crate) fn cyan(&self, text: &str) -> String {
        paint(self.colour_on_error, "36", text)
    }
}

fn paint(on: bool, colour: &str, text: &str) -> String {
    if on {
        format!("\u{1b}[{colour}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_style(
            TableStyle::new()
                .header_separator(LineStyle::none().fill('\u{2500}').junction('\u{2500}')),
        )
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    // Away from a terminal nothing is wrapped: whoever reads it there has other tools.
    table.trim_fmt()
}

/// Text that came from outside, made safe for a terminal: control characters would move its cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{b7}'
            } else {
                c
            }
        })
        .collect()
}

/// At most so many characters, with an ellipsis where something was left out.
pub(crate) fn short(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars()
        .take(characters.saturating_sub(1))
        .chain(['\u{2026}'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\u{b7}[2Jb\nc");
    }

    #[test]
    fn long_text_is_cut_by_characters() {
        assert_eq!(short("äöüß", 4), "äöüß");
        assert_eq!(short("äöüßx", 4), "äöü\u{2026}");
    }
}
