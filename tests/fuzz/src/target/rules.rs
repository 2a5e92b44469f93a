//! Correlation settings as an administrator may write them: expressions, prefixes, limits.

use std::time::Duration;

use postroom_core::email::EmailHeaders;
use postroom_core::organization::OrganizationSettings;
use postroom_core::tracking::{
    CorrelationQuery, CorrelationRules, CorrelationSettings, TrackingToken, append_to_subject,
    find_in_subject, subject_terms,
};
use postroom_core::{EmailAddress, ServerProfile, Timestamp};

use super::{Target, magnitude, observed};
use crate::bytes::Source;
use crate::family::{Family, filled, numbered};

/// Correlation settings.
#[derive(Debug)]
pub(super) struct Rules;

/// A line with the expression and one with a subject; or a line of JSON.
const SEEDS: &[&str] = &[
    "^[\\s]*([\\w]+\\s?:[\\s]*)+\nRE: AW: Offer CRM:001042",
    "(?i)re:|fw:|\\[external\\]\nFW: [EXTERNAL] hello",
    "(a|aa)+$\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "(\\w{100}){10}\nxxxxxxxxxxxx",
    ".*[^A-Z]|[A-Z]\nABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "(?x) \\b{start} # comment\nx y",
    "{\"token\":{\"prefix\":\"TKT#\",\"former_prefixes\":[\"CRM:\",\"X\"],\"base\":2147483647,\"user_digits\":10,\
     \"counter_digits\":9,\"subject_length_max\":20},\"smart_matching\":{\"filter_keywords\":\"re:\",\
     \"hash_count_max\":65535,\"subject_delta\":3,\"addresses_min\":0,\"window_days\":65535}}\nRe: TKT#17 x",
    "{\"in_reply_to\":false,\"conversation_index\":false,\"token\":{\"enabled\":false},\"smart_matching\":{\"enabled\":false}}\ns",
];

const FAMILIES: &[Family] = &[
    Family {
        name: "alternatives",
        make: |size| filled(b"", b"a|", b"b\nsubject", size),
    },
    Family {
        name: "groups",
        make: |size| {
            [
                &b"(".repeat(size / 2)[..],
                &b")".repeat(size / 2),
                b"\nsubject",
            ]
            .concat()
        },
    },
    Family {
        name: "classes",
        make: |size| filled(b"", b"\\w", b"\nsubject", size),
    },
    Family {
        name: "optionals",
        make: |size| filled(b"", b"a?", b"\naaaaaaaaaaaaaaaaaaaaa", size),
    },
    Family {
        name: "former prefixes",
        make: |size| {
            numbered(
                "{\"token\":{\"former_prefixes\":[\"a\"",
                |n| format!(",\"p{n}x\""),
                "]}}\nRe: p17x123 subject",
                size,
            )
        },
    },
    Family {
        name: "one prefix often",
        make: |size| {
            let mut all = filled(
                b"{\"token\":{\"former_prefixes\":[\"a\"",
                b",\"a\"",
                b"]}}\n",
                size / 2,
            );
            all.extend(b"a".repeat(size / 2));
            all
        },
    },
    Family {
        name: "subject",
        make: |size| filled(b".*[^A-Z]|[A-Z]\n", b"A", b"", size),
    },
    Family {
        name: "subject against much",
        make: |size| filled(b"([a-z]{1,50}[0-9]?){20}x\n", b"a", b"", size),
    },
];

impl Target for Rules {
    fn seeds(&self) -> Vec<Vec<u8>> {
        SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect()
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        &[
            b"(?",
            b"\\p{L}",
            b"\\w",
            b"{1000}",
            b"{0,999}",
            b"(?i)",
            b"(?-u)",
            b"[^\\W]",
            b"*?",
            b"$^",
            b"\\b",
            b"former_prefixes",
            b"\"prefix\":\"",
            b"subject_length_max",
            b"hash_count_max",
        ]
    }

    fn length_max(&self) -> usize {
        6 * 1024
    }

    fn families(&self) -> Vec<Family> {
        FAMILIES.to_vec()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let mut source = Source::new(input);
        let line = source.text();
        let subject = String::from_utf8_lossy(source.rest()).into_owned();
        // What else is stored as JSON: read, or refused.
        let _ = serde_json::from_str::<OrganizationSettings>(&line);
        if let Ok(profile) = serde_json::from_str::<ServerProfile>(&line) {
            let _ = profile.validate();
        }
        let settings = match serde_json::from_str::<CorrelationSettings>(&line) {
            Ok(settings) => settings,
            Err(_) => {
                let mut settings = CorrelationSettings::default();
                settings.smart_matching.filter_keywords = line;
                settings
            }
        };
        let rules = match CorrelationRules::new(settings) {
            Ok(rules) => rules,
            Err(error) => {
                assert!(
                    error.to_string().len() < 1000,
                    "{} bytes of error",
                    error.to_string().len()
                );
                return observed(&error.field);
            }
        };
        let token = &rules.settings().token;
        let cleaned = rules.cleaner().clean(&subject);
        assert!(cleaned.len() <= 1024);
        let terms = subject_terms(&subject, &rules);
        let composed = TrackingToken::compose(token, u32::MAX, u64::MAX);
        let written = append_to_subject(&subject, &composed, token);
        assert!(written.chars().count() <= usize::from(token.subject_length_max));
        let found = find_in_subject(&subject, token);
        let mut headers = EmailHeaders::default();
        headers.subject.clone_from(&subject);
        headers.to = ["a@b", "c@d", "e@f"]
            .map(|text| text.parse::<EmailAddress>().expect("an address").into())
            .to_vec();
        let now = Timestamp::EPOCH.plus(Duration::from_secs(1_800_000_000));
        let query = CorrelationQuery::full(&headers, &rules, now);
        observed(&(
            magnitude(cleaned.len()),
            magnitude(terms.len()),
            found.len(),
            query.smart.is_some(),
            magnitude(token.former_prefixes.len()),
        ))
    }
}
