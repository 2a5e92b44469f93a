//! How results are shown: for people as text and tables, for programs as one JSON document.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use comfy_table::{ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};
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
            self.write(&table(header, rows, terminal_width()));
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

/// How wide the terminal is; `None` where the output goes elsewhere.
fn terminal_width() -> Option<u16> {
    if !io::stdout().is_terminal() {
        return None;
    }
    Table::new().width()
}

fn paint(on: bool, colour: &str, text: &str) -> String {
    if on {
        format!("\u{1b}[{colour}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// The longest word for which a column is widened; longer ones are broken.
const WORD_MAX: usize = 36;

fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<u16>,
) -> String {
    let rows: Vec<[String; N]> = rows
        .into_iter()
        .map(|row| row.map(|cell| printable(&cell)))
        .collect();
    if rows.is_empty() {
        return "(none)".to_owned();
    }
    let mut needed = header.map(longest_word);
    for row in &rows {
        for (needed, cell) in needed.iter_mut().zip(row) {
            *needed = (*needed).max(longest_word(cell).min(WORD_MAX));
        }
    }
    // A space on each side of a column, and one between two.
    let all: usize = needed.iter().map(|needed| needed + 3).sum::<usize>() - 1;
    let lists = header.get(1).is_none_or(|name| !name.is_empty());
    if let Some(width) = width
        && all > usize::from(width)
        && lists
    {
        return cards(header, &rows, usize::from(width));
    }
    let mut table = Table::new();
    table
        .load_style(
            TableStyle::new()
                .header_separator(LineStyle::none().fill('\u{2500}').junction('\u{2500}')),
        )
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if let Some(width) = width {
        table.set_width(width);
    }
    for row in rows {
        table.add_row(row);
    }
    if lists {
        let least = |needed: usize| {
            let cells = u16::try_from(needed + 2).unwrap_or(u16::MAX);
            ColumnConstraint::LowerBoundary(Width::Fixed(cells))
        };
        table.set_constraints(needed.map(least));
    }
    // Away from a terminal nothing is wrapped: whoever reads it there has other tools.
    table.trim_fmt()
}

fn longest_word(text: &str) -> usize {
    text.split_whitespace()
        .map(|word| word.chars().count())
        .max()
        .unwrap_or_default()
}

/// Rows one below the other, for terminals too narrow for columns.
fn cards<const N: usize>(header: [&str; N], rows: &[[String; N]], width: usize) -> String {
    let names = header
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for row in rows {
        for (name, cell) in header.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
            let mut label = *name;
            for line in wrapped(cell, width.saturating_sub(names + 2).max(10)) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{label:<names$}  {line}");
                label = "";
            }
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// The text in lines of so many characters, broken between words where that is possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if !line.is_empty() && line.chars().count() + gap + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if line.chars().count() == width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
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

    fn list(width: Option<u16>) -> String {
        let rows = [
            [
                "ada.lovelace@example.org",
                "pending approval",
                "not tested, not enabled",
            ],
            ["ben@example.org", "approved", "tested, enabled"],
        ];
        let rows = rows.map(|row| row.map(str::to_owned));
        table(["Address", "Approval", "Incoming"], rows, width)
    }

    #[test]
    fn a_table_fits_the_terminal_and_breaks_no_word() {
        for width in [10, 30, 47, 48, 60, 80, 200] {
            let text = list(Some(width));
            assert!(
                text.lines()
                    .all(|line| line.chars().count() <= usize::from(width).max(22)),
                "{width}:\n{text}"
            );
            if width >= 40 {
                assert!(
                    text.contains("ada.lovelace@example.org"),
                    "{width}:\n{text}"
                );
            }
        }
        assert_eq!(
            list(Some(40)),
            "Address   ada.lovelace@example.org\nApproval  pending approval\nIncoming  not tested, not enabled\n\n\
             Address   ben@example.org\nApproval  approved\nIncoming  tested, enabled"
        );
        assert_eq!(
            list(None).lines().count(),
            4,
            "nothing is wrapped elsewhere"
        );
        assert_eq!(table(["A", "B"], [], None), "(none)");
    }

    #[test]
    fn long_text_is_cut_by_characters() {
        assert_eq!(short("äöüß", 4), "äöüß");
        assert_eq!(short("äöüßx", 4), "äöü\u{2026}");
    }
}
