//! The tracking token: composing it, putting it into a subject, finding it again.
//!
//! A token is the prefix, the user's number and a counter, such as `CRM:` + `001` + `042`. People
//! and mail programs break it: they fold lines inside it, retype it in lower case, or answer a
//! message that already has one. Finding is therefore generous, and matching is exact.
//!
//! Source: domain section 7; design section 6 for numbers that are still in use.

use crate::profile::FieldError;
use crate::tracking::{TokenSettings, TrackingToken};

/// At most so many tokens are taken from one subject.
pub const TOKENS_MAX: usize = 8;

/// Most digits that are read as one token: ten of the user, eighteen of a counter that has grown.
pub const TOKEN_DIGITS_MAX: usize = 28;

/// At most so many former prefixes: each is looked for at every character of every subject.
const FORMER_PREFIXES_MAX: usize = 32;

/// Widest counter that is given out, in digits.
const COUNTER_DIGITS_MAX: u32 = 18;

/// White space inside a token is followed over at most so many characters: a fold and its indent.
const GAP_MAX: usize = 8;

/// At most so many groups of digits are read as one token that was folded.
const GROUPS_MAX: usize = 3;

impl TokenSettings {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// All findings, each naming its field.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        let prefixes = std::iter::once(("prefix", &self.prefix))
            .chain(self.former_prefixes.iter().map(|p| ("former_prefixes", p)));
        for (field, prefix) in prefixes {
            if !(1..=20).contains(&prefix.chars().count())
                || prefix.chars().any(|c| c.is_control() || c.is_whitespace())
                || prefix.ends_with(|c: char| c.is_ascii_digit())
            {
                errors.push(FieldError::new(
                    field,
                    "must have 1 to 20 characters, no white space, and not end in a digit",
                ));
            }
        }
        if self.former_prefixes.len() > FORMER_PREFIXES_MAX {
            errors.push(FieldError::new("former_prefixes", "must be at most 32"));
        }
        if self.base > 2_147_483_647 {
            errors.push(FieldError::new("base", "must be 0 to 2147483647"));
        }
        if !(1..=10).contains(&self.user_digits) {
            errors.push(FieldError::new("user_digits", "must be 1 to 10"));
        }
        if !(1..=9).contains(&self.counter_digits) {
            errors.push(FieldError::new("counter_digits", "must be 1 to 9"));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }
}

impl TrackingToken {
    /// The token of a user's `counter`-th message: the counter wraps at its configured width, as in
    /// the reference (`999` is followed by `000`).
    ///
    /// A number with more digits than its part has keeps them all.
    ///
    /// ```
    /// use postroom_core::tracking::{TokenSettings, TrackingToken};
    /// let token = TrackingToken::compose(&TokenSettings::default(), 1, 1042);
    /// assert_eq!(token.as_str(), "CRM:001042");
    /// ```
    #[must_use]
    pub fn compose(settings: &TokenSettings, user_number: u32, counter: u64) -> Self {
        Self::with_width(
            settings,
            user_number,
            counter,
            u32::from(settings.counter_digits.max(1)),
        )
    }

    /// The tokens to try for a user's `counter`-th message, best first: the configured width, then
    /// one digit more each time.
    ///
    /// A number that a stored email still holds must not be given out again: the caller takes the
    /// first that its index does not know. At most 18 are offered; that all of them are taken is
    /// possible only for settings that nobody has, and then the message goes without a token.
    ///
    /// ```
    /// use postroom_core::tracking::{TokenSettings, TrackingToken};
    /// let taken = |token: &TrackingToken| token.as_str() == "CRM:001042";
    /// let free = TrackingToken::candidates(&TokenSettings::default(), 1, 1042).find(|t| !taken(t));
    /// assert_eq!(free.unwrap().as_str(), "CRM:0011042");
    /// ```
    pub fn candidates(
        settings: &TokenSettings,
        user_number: u32,
        counter: u64,
    ) -> impl Iterator<Item = Self> + '_ {
        let first = u32::from(settings.counter_digits.max(1)).min(COUNTER_DIGITS_MAX);
        (first..=COUNTER_DIGITS_MAX)
            .map(move |width| Self::with_width(settings, user_number, counter, width))
    }

    fn with_width(settings: &TokenSettings, user_number: u32, counter: u64, width: u32) -> Self {
        let user = u64::from(settings.base) + u64::from(user_number);
        let user_width = usize::from(settings.user_digits);
        let counter = 10_u64
            .checked_pow(width)
            .map_or(counter, |modulus| counter % modulus);
        let counter_width = usize::try_from(width).unwrap_or_default();
        Self::new(&format!(
            "{}{user:0user_width$}{counter:0counter_width$}",
            settings.prefix
        ))
    }
}

/// The subject with the token at its end, cut so that both fit into
/// [`subject_length_max`](TokenSettings::subject_length_max) characters.
///
/// A subject that ends with the token already keeps it once. A token that is longer than the limit
/// is left out. Control characters and line breaks become spaces.
#[must_use]
pub fn append_to_subject(subject: &str, token: &TrackingToken, settings: &TokenSettings) -> String {
    let subject: String = subject
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let limit = usize::from(settings.subject_length_max);
    let token_length = token.as_str().chars().count();
    if token_length > limit {
        return cut(subject.trim(), limit).to_owned();
    }
    let mut base = subject.trim();
    if let Some(rest) = strip_suffix_ignoring_case(base, token.as_str()) {
        base = rest.trim_end();
    }
    // One for the space between.
    let base = cut(base, limit.saturating_sub(token_length + 1)).trim_end();
    if base.is_empty() {
        token.as_str().to_owned()
    } else {
        format!("{base} {}", token.as_str())
    }
}

fn cut(text: &str, length_max: usize) -> &str {
    match text.char_indices().nth(length_max) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

fn strip_suffix_ignoring_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let start = text
        .char_indices()
        .rev()
        .nth(suffix.chars().count().checked_sub(1)?)
        .map(|(at, _)| at)?;
    let (head, tail) = text.split_at_checked(start)?;
    (tail.to_uppercase() == suffix).then_some(head)
}

/// The tokens in a subject, with the current prefix and former ones; at most [`TOKENS_MAX`].
///
/// Case does not matter, and white space inside a token is followed over, since folding and
/// encoding insert it. Where a group of digits follows after white space, both readings are given.
/// Tokens of the configured length come first, otherwise they keep the order of the subject.
/// Takes time in proportion to the subject's length.
#[must_use]
pub fn find_in_subject(subject: &str, settings: &TokenSettings) -> Vec<TrackingToken> {
    let mut found = Vec::new();
    scan(subject, settings, |token, _| {
        if found.len() < TOKENS_MAX * 2 && !found.contains(&token) {
            found.push(token);
        }
        found.len() < TOKENS_MAX * 2
    });
    let expected = settings.prefix.chars().flat_map(char::to_uppercase).count()
        + usize::from(settings.user_digits)
        + usize::from(settings.counter_digits);
    found.sort_by_key(|token| token.as_str().chars().count() != expected);
    found.truncate(TOKENS_MAX);
    found
}

/// The subject without its tokens: what is compared, so that a message whose token was stripped
/// still matches one that has it.
#[must_use]
pub fn strip_tokens(subject: &str, settings: &TokenSettings) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    scan(subject, settings, |_, range| {
        match ranges.last_mut() {
            // Of two readings the shorter comes first; only what surely belongs to it goes.
            Some(last) if range.0 < last.1 => {}
            _ => ranges.push(range),
        }
        true
    });
    let mut rest = String::with_capacity(subject.len());
    let mut from = 0;
    for (start, end) in ranges {
        rest.push_str(subject.get(from..start).unwrap_or_default());
        from = end;
    }
    rest.push_str(subject.get(from..).unwrap_or_default());
    rest
}

/// Calls `found` with every reading of every token and its byte range, until it returns `false`.
fn scan(
    subject: &str,
    settings: &TokenSettings,
    mut found: impl FnMut(TrackingToken, (usize, usize)) -> bool,
) {
    let prefixes = || std::iter::once(&settings.prefix).chain(&settings.former_prefixes);
    let mut from = 0;
    while let Some(rest) = subject.get(from..).filter(|rest| !rest.is_empty()) {
        let mut next = from + rest.chars().next().map_or(1, char::len_utf8);
        for prefix in prefixes() {
            let Some(digits_at) = match_prefix(rest, prefix) else {
                continue;
            };
            let Some(tail) = rest.get(digits_at..) else {
                continue;
            };
            let readings = read_digits(tail);
            for (digits, length) in &readings {
                let end = from + digits_at + length;
                if !found(
                    TrackingToken::new(&format!("{prefix}{digits}")),
                    (from, end),
                ) {
                    return;
                }
            }
            if let Some((_, length)) = readings.first() {
                // With white space inside it may be a word before another token: then that one is
                // read as well.
                let end = digits_at + length;
                let gapped = rest
                    .get(..end)
                    .is_some_and(|token| token.contains(char::is_whitespace));
                if !gapped {
                    next = from + end;
                }
                break;
            }
        }
        from = next;
    }
}

/// Where the prefix ends in `text`, if `text` begins with it.
fn match_prefix(text: &str, prefix: &str) -> Option<usize> {
    // In upper case, as tokens are written and kept: `ß` becomes two letters there.
    let mut wanted = prefix
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_uppercase)
        .peekable();
    wanted.peek()?;
    let mut gap = 0;
    let mut first = true;
    for (at, c) in text.char_indices() {
        if wanted.peek().is_none() {
            return Some(at);
        }
        if c.is_whitespace() && !first {
            gap += 1;
            if gap > GAP_MAX {
                return None;
            }
            continue;
        }
        if !c.to_uppercase().all(|upper| wanted.next() == Some(upper)) {
            return None;
        }
        gap = 0;
        first = false;
    }
    wanted.peek().is_none().then_some(text.len())
}

/// The readings of the digits at the start of `text`, shortest first, with the bytes each takes.
fn read_digits(text: &str) -> Vec<(String, usize)> {
    let mut readings = Vec::new();
    let mut digits = String::new();
    let mut gap = 0;
    let mut groups = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        if c.is_ascii_digit() {
            if digits.len() == TOKEN_DIGITS_MAX {
                return plausible(readings);
            }
            digits.push(c);
            gap = 0;
            end = at + 1;
        } else if c.is_whitespace() {
            gap += 1;
            if gap == 1 && !digits.is_empty() {
                readings.push((digits.clone(), end));
                groups += 1;
            }
            if gap > GAP_MAX || groups == GROUPS_MAX {
                return plausible(readings);
            }
        } else {
            break;
        }
    }
    if !digits.is_empty() && readings.last().is_none_or(|(last, _)| *last != digits) {
        readings.push((digits, end));
    }
    plausible(readings)
}

/// A token has at least a digit of the user and one of the counter.
fn plausible(mut readings: Vec<(String, usize)>) -> Vec<(String, usize)> {
    readings.retain(|(digits, _)| digits.len() >= 2);
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_digit_is_no_token_whatever_follows() {
        assert!(tokens(&format!("CRM:9 {}", "9".repeat(40))).is_empty());
    }

    #[test]
    fn former_prefixes_are_bounded() {
        let settings = TokenSettings {
            former_prefixes: vec!["X".to_owned(); FORMER_PREFIXES_MAX + 1],
            ..TokenSettings::default()
        };
        assert_eq!(settings.validate().unwrap_err()[0].field, "former_prefixes");
    }

    #[test]
    fn a_word_before_a_token_makes_no_other_token_of_it() {
        let settings = TokenSettings {
            former_prefixes: vec!["XCRM:".to_owned()],
            ..TokenSettings::default()
        };
        let found = |subject| {
            let found = find_in_subject(subject, &settings);
            found.into_iter().map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(found("Plan X CRM:001042"), ["CRM:001042", "XCRM:001042"]);
        assert_eq!(found("Plan XCRM:001042"), ["XCRM:001042"]);
        assert_eq!(strip_tokens("Plan X CRM:001042", &settings), "Plan ");
    }

    #[test]
    fn a_prefix_that_is_longer_in_upper_case_is_found_again() {
        for prefix in ["Gr\u{f6}\u{df}e#", "\u{130}:", "\u{fb03}", "\u{149}x"] {
            let settings = TokenSettings {
                prefix: prefix.to_owned(),
                ..TokenSettings::default()
            };
            assert!(settings.validate().is_ok());
            let token = TrackingToken::compose(&settings, 1, 42);
            let subject = append_to_subject("Offer", &token, &settings);
            assert_eq!(
                find_in_subject(&subject, &settings),
                std::slice::from_ref(&token),
                "{subject}"
            );
            let typed = format!("Re: {prefix}001042");
            assert_eq!(find_in_subject(&typed, &settings), [token], "{typed}");
            assert_eq!(strip_tokens(&subject, &settings).trim(), "Offer");
        }
    }

    fn tokens(subject: &str) -> Vec<String> {
        find_in_subject(subject, &TokenSettings::default())
            .into_iter()
            .map(String::from)
            .collect()
    }

    #[test]
    fn composes_as_configured() {
        let mut settings = TokenSettings::default();
        assert_eq!(
            TrackingToken::compose(&settings, 1, 1).as_str(),
            "CRM:001001"
        );
        assert_eq!(
            TrackingToken::compose(&settings, 1, 1000).as_str(),
            "CRM:001000"
        );
        settings.base = 500;
        settings.user_digits = 5;
        settings.counter_digits = 9;
        assert_eq!(
            TrackingToken::compose(&settings, 1, 7).as_str(),
            "CRM:00501000000007"
        );
        settings.user_digits = 1;
        assert_eq!(
            TrackingToken::compose(&settings, 1, 7).as_str(),
            "CRM:501000000007"
        );
        settings.base = u32::MAX;
        assert!(
            TrackingToken::compose(&settings, u32::MAX, u64::MAX)
                .as_str()
                .starts_with("CRM:8589934590")
        );
    }

    #[test]
    fn a_number_in_use_gets_another_digit() {
        let settings = TokenSettings::default();
        let all: Vec<_> = TrackingToken::candidates(&settings, 2, 1_234_567).collect();
        assert_eq!(all.len(), 16);
        assert_eq!(all[0].as_str(), "CRM:002567");
        assert_eq!(all[1].as_str(), "CRM:0024567");
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|token| token.as_str().len() <= 50));
    }

    #[test]
    fn appends_once_and_within_the_limit() {
        let settings = TokenSettings::default();
        let token = TrackingToken::new("CRM:0001001");
        assert_eq!(
            append_to_subject("Offer", &token, &settings),
            "Offer CRM:0001001"
        );
        assert_eq!(
            append_to_subject("Re: Offer crm:0001001 ", &token, &settings),
            "Re: Offer CRM:0001001"
        );
        assert_eq!(append_to_subject("", &token, &settings), "CRM:0001001");
        assert_eq!(
            append_to_subject("a\r\nBcc: x@y", &token, &settings),
            "a  Bcc: x@y CRM:0001001"
        );
        let long = append_to_subject(&"ä".repeat(400), &token, &settings);
        assert_eq!(long.chars().count(), 255);
        assert!(long.ends_with("ä CRM:0001001"));
        let long = append_to_subject(
            &format!("{} crm:0001001", "x".repeat(400)),
            &token,
            &settings,
        );
        assert_eq!(long.chars().count(), 255);
        assert_eq!(long.matches("0001001").count(), 1);
    }

    #[test]
    fn a_token_longer_than_the_limit_is_left_out() {
        let settings = TokenSettings {
            subject_length_max: 8,
            ..TokenSettings::default()
        };
        let token = TrackingToken::new("CRM:0001001");
        assert_eq!(
            append_to_subject("A long subject", &token, &settings),
            "A long s"
        );
    }

    #[test]
    fn finds_what_people_and_programs_make_of_it() {
        assert_eq!(tokens("Re: Offer CRM:0001001"), ["CRM:0001001"]);
        assert_eq!(tokens("AW: crm:0001001 Re: x"), ["CRM:0001001"]);
        assert_eq!(tokens("Re: Offer CRM:\r\n 001001"), ["CRM:001001"]);
        assert_eq!(tokens("Re: Offer CR M:001 001"), ["CRM:001001", "CRM:001"]);
        assert_eq!(
            tokens("CRM:001001 2024 figures"),
            ["CRM:001001", "CRM:0010012024"]
        );
        assert_eq!(
            tokens("CRM:001001, CRM:002002"),
            ["CRM:001001", "CRM:002002"]
        );
        assert_eq!(tokens("CRM:001001"), ["CRM:001001"]);
        assert!(tokens("CRM: hello").is_empty());
        assert!(tokens("CRM:1").is_empty());
        assert!(tokens("").is_empty());
        assert!(tokens("CRM:").is_empty());
        assert!(tokens("CR").is_empty());
    }

    #[test]
    fn former_prefixes_stay_valid() {
        let settings = TokenSettings {
            prefix: "NEW-".to_owned(),
            former_prefixes: vec!["CRM:".to_owned(), "Straße#".to_owned()],
            ..TokenSettings::default()
        };
        let found = find_in_subject("CRM:001001 new-002002 straße#003003", &settings);
        assert_eq!(found.len(), 3);
        assert!(found.contains(&TrackingToken::new("STRASSE#003003")));
    }

    #[test]
    fn hostile_subjects_stay_bounded() {
        let settings = TokenSettings::default();
        let many = "CRM:001001 ".repeat(20_000);
        assert_eq!(find_in_subject(&many, &settings).len(), 1);
        let varied: String = (0..5000).map(|n| format!("CRM:{n:06};")).collect();
        assert_eq!(find_in_subject(&varied, &settings).len(), TOKENS_MAX);
        let digits = format!("CRM:{}", "1".repeat(100_000));
        assert!(find_in_subject(&digits, &settings).is_empty());
        let gaps = format!("C{}R{}M:1", " ".repeat(50_000), " ".repeat(50_000));
        assert!(find_in_subject(&gaps, &settings).is_empty());
        assert_eq!(strip_tokens(&many, &settings).trim(), "");
    }

    #[test]
    fn an_empty_prefix_finds_nothing() {
        let settings = TokenSettings {
            prefix: String::new(),
            ..TokenSettings::default()
        };
        assert!(find_in_subject("0001001", &settings).is_empty());
        assert!(settings.validate().is_err());
        assert_eq!(TokenSettings::default().validate(), Ok(()));
    }

    #[test]
    fn strips_what_it_finds() {
        let settings = TokenSettings::default();
        assert_eq!(
            strip_tokens("Re: Offer CRM:0001001", &settings),
            "Re: Offer "
        );
        assert_eq!(
            strip_tokens("CRM:001001 2024 figures", &settings),
            " 2024 figures"
        );
        assert_eq!(strip_tokens("no token", &settings), "no token");
    }
}
