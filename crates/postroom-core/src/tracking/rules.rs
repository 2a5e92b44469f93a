//! The correlation settings, checked and compiled once.

use regex::RegexBuilder;

use crate::profile::FieldError;
use crate::tracking::token::strip_tokens;
use crate::tracking::{CorrelationSettings, TokenSettings};

/// Longest part of a subject that is looked at when words are taken from it, in bytes. Exchange keeps
/// 255 characters; and what an unfortunate expression costs grows with the square of it.
const SUBJECT_BYTES_MAX: usize = 1024;

/// Largest compiled form of the configured expression, in bytes: every message pays for it, and the
/// worst for each pair of its subject's characters.
const PATTERN_SIZE_MAX: usize = 1 << 18;

/// The correlation settings, checked and compiled: what all functions of tracking work with.
///
/// Make it once per organization and again when the settings change.
///
/// ```
/// use postroom_core::tracking::{CorrelationRules, CorrelationSettings};
/// let rules = CorrelationRules::new(CorrelationSettings::default())?;
/// assert_eq!(rules.cleaner().clean("RE: AW: Offer CRM:0001001").trim(), "Offer");
/// # Ok::<(), postroom_core::profile::FieldError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CorrelationRules {
    settings: CorrelationSettings,
    cleaner: SubjectCleaner,
}

impl CorrelationRules {
    /// Compiles settings.
    ///
    /// # Errors
    /// The first field that cannot be used; `filter_keywords` where the expression does not compile.
    pub fn new(settings: CorrelationSettings) -> Result<Self, FieldError> {
        if let Err(mut errors) = settings.token.validate()
            && !errors.is_empty()
        {
            return Err(errors.swap_remove(0));
        }
        let cleaner =
            SubjectCleaner::new(&settings.smart_matching.filter_keywords, &settings.token)?;
        Ok(Self { settings, cleaner })
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &CorrelationSettings {
        &self.settings
    }

    /// What takes reply marks and tokens out of subjects.
    #[must_use]
    pub const fn cleaner(&self) -> &SubjectCleaner {
        &self.cleaner
    }
}

/// Takes out of a subject what says nothing about its matter: tokens, and every match of the
/// configured expression (`RE:`, `FW:` and the like).
///
/// The reference hashes the token with the subject. Here tokens go first: a message whose token
/// somebody deleted still matches one that has it.
#[derive(Clone, Debug)]
pub struct SubjectCleaner {
    pattern: Option<regex::Regex>,
    token: TokenSettings,
}

impl SubjectCleaner {
    /// Compiles the expression; an empty one removes nothing.
    ///
    /// # Errors
    /// The field `filter_keywords`, where the expression does not compile or is too large.
    pub fn new(filter_keywords: &str, token: &TokenSettings) -> Result<Self, FieldError> {
        let pattern = if filter_keywords.is_empty() {
            None
        } else {
            let compiled = RegexBuilder::new(filter_keywords)
                .size_limit(PATTERN_SIZE_MAX)
                .build()
                .map_err(|err| {
                    FieldError::new(
                        "filter_keywords",
                        format!(
                            "must be a regular expression: {}",
                            last_line(&err.to_string())
                        ),
                    )
                })?;
            Some(compiled)
        };
        Ok(Self {
            pattern,
            token: token.clone(),
        })
    }

    /// The subject without tokens and matches; at most 1 KiB of it is looked at.
    #[must_use]
    pub fn clean(&self, subject: &str) -> String {
        let mut end = subject.len().min(SUBJECT_BYTES_MAX);
        while !subject.is_char_boundary(end) {
            end -= 1;
        }
        let stripped = strip_tokens(subject.get(..end).unwrap_or_default(), &self.token);
        match &self.pattern {
            Some(pattern) => match pattern.replace_all(&stripped, "") {
                std::borrow::Cow::Borrowed(_) => stripped,
                std::borrow::Cow::Owned(cleaned) => cleaned,
            },
            None => stripped,
        }
    }
}

/// The regex crate draws the place of an error over several lines; the last one says what it is.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> CorrelationRules {
        CorrelationRules::new(CorrelationSettings::default()).unwrap()
    }

    #[test]
    fn reply_marks_of_any_language_go() {
        for subject in [
            "Offer",
            "RE: Offer",
            "AW: WG: Offer",
            "Ответ: Offer",
            "sv : re:Offer",
            "Re: Offer CRM:0001001",
        ] {
            assert_eq!(
                rules().cleaner().clean(subject).trim(),
                "Offer",
                "{subject}"
            );
        }
        // Two words before the colon are no mark, and a number after a token is no token.
        assert_eq!(
            rules().cleaner().clean("Out of office: Offer"),
            "Out of office: Offer"
        );
    }

    #[test]
    fn a_bad_expression_is_a_finding_of_its_field() {
        let mut settings = CorrelationSettings::default();
        settings.smart_matching.filter_keywords = "(".to_owned();
        let error = CorrelationRules::new(settings.clone()).unwrap_err();
        assert_eq!(error.field, "filter_keywords");
        settings.smart_matching.filter_keywords = r"(\w{1000}){1000}".to_owned();
        assert_eq!(
            CorrelationRules::new(settings.clone()).unwrap_err().field,
            "filter_keywords"
        );
        settings.smart_matching.filter_keywords = String::new();
        settings.token.prefix = String::new();
        assert_eq!(CorrelationRules::new(settings).unwrap_err().field, "prefix");
    }

    #[test]
    fn long_subjects_are_cut_at_a_character() {
        let cleaned = rules().cleaner().clean(&"ä".repeat(10_000));
        assert!(cleaned.len() <= SUBJECT_BYTES_MAX);
    }
}
