//! Subjects: tokens written, found and taken out; words and addresses as hashes.

use postroom_core::tracking::{
    CorrelationRules, CorrelationSettings, TOKEN_DIGITS_MAX, TOKENS_MAX, TokenSettings,
    TrackingToken, append_to_subject, find_in_subject, strip_tokens, subject_key, subject_terms,
};

use super::{Target, magnitude, observed};
use crate::bytes::Source;
use crate::family::{Family, filled, numbered};

/// Subjects.
#[derive(Debug)]
pub(super) struct Subjects {
    rules: Vec<CorrelationRules>,
}

impl Subjects {
    pub(super) fn new() -> Self {
        let token = |prefix: &str, former: &[&str], user: u8, counter: u8, length: u16| {
            let mut settings = CorrelationSettings::default();
            settings.token.prefix = prefix.to_owned();
            settings.token.former_prefixes = former.iter().map(|&p| p.to_owned()).collect();
            settings.token.user_digits = user;
            settings.token.counter_digits = counter;
            settings.token.subject_length_max = length;
            CorrelationRules::new(settings).expect("settings that can be used")
        };
        Self {
            rules: vec![
                token("CRM:", &[], 3, 3, 255),
                token("CRM:", &["TKT#", "C", "cRm:CRM:"], 1, 1, 40),
                token("İß:", &["ß", "ﬃ"], 10, 9, 255),
                token("1a", &["22b", "a"], 4, 2, 100),
                token("[", &["[[", "(", "."], 2, 8, 12),
                token("CRM:", &[], 3, 3, 0),
                token(
                    "CCCCCCCCCCCCCCCCCCCC",
                    &["CCCCCCCCCCCCCCCCCCC", "CC"],
                    3,
                    3,
                    65535,
                ),
            ],
        }
    }
}

const SEEDS: &[&str] = &[
    "\0\x01Offer 12 CRM:001042",
    "\0\x02RE: AW: WG: Angebot für Müller CRM:0001001 CRM:002003",
    "\x01\x03crm: 001 042 TKT#17 C99",
    "\x02\x04i\u{307}ß:0000000000000000001",
    "\x03\x051a22b33 a44 4",
    "\x04\x06[12[[345678 (1234",
    "\0\x07CRM:\r\n 001\r\n\t042",
    "\x06\x08CCCCCCCCCCCCCCCCCCCC000111",
    "\0\x01Ответ: Привет мир, 你好世界",
];

const FAMILIES: &[Family] = &[
    Family {
        name: "tokens",
        make: |size| filled(b"\0\0", b"CRM:001042 ", b"", size),
    },
    Family {
        name: "different tokens",
        make: |size| numbered("\0\0", |n| format!("CRM:{n:06} "), "", size),
    },
    Family {
        name: "prefixes",
        make: |size| filled(b"\x01\0", b"CRM:", b"", size),
    },
    Family {
        name: "prefixes with gaps",
        make: |size| filled(b"\x06\0", b"C ", b"", size),
    },
    Family {
        name: "first letters",
        make: |size| filled(b"\x06\0", b"C", b"", size),
    },
    Family {
        name: "digits",
        make: |size| filled(b"\0\0CRM:", b"1", b"", size),
    },
    Family {
        name: "groups of digits",
        make: |size| filled(b"\0\0CRM:", b"1 ", b"", size),
    },
    Family {
        name: "blanks",
        make: |size| filled(b"\0\0CRM:", b" ", b"1", size),
    },
    Family {
        name: "words",
        make: |size| numbered("\0\0", |n| format!("w{n} "), "", size),
    },
    Family {
        name: "one word",
        make: |size| filled(b"\0\0", "ß".as_bytes(), b"", size),
    },
    Family {
        name: "reply marks",
        make: |size| filled(b"\0\0", b"Re: ", b"", size),
    },
    Family {
        name: "marks without colon",
        make: |size| filled(b"\0\0", b"Re ", b"", size),
    },
    Family {
        name: "letters that grow",
        make: |size| filled(b"\0\0", "ΐ".as_bytes(), b"", size),
    },
];

const WORDS: &[&[u8]] = &[
    b"CRM:",
    b"CRM:001042",
    b"TKT#",
    b"Re: ",
    "İ".as_bytes(),
    "ß".as_bytes(),
    "ﬃ".as_bytes(),
    "\u{a0}".as_bytes(),
    "\u{2028}".as_bytes(),
    "٣".as_bytes(),
    b"001 042",
];

impl Target for Subjects {
    fn seeds(&self) -> Vec<Vec<u8>> {
        SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect()
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        WORDS
    }

    fn length_max(&self) -> usize {
        8 * 1024
    }

    fn families(&self) -> Vec<Family> {
        FAMILIES.to_vec()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let mut source = Source::new(input);
        let rules = &self.rules[usize::from(source.byte()) % self.rules.len()];
        let counter = u64::from(source.byte()).pow(1 + u32::from(source.byte()) % 8);
        let text = String::from_utf8_lossy(source.rest()).into_owned();
        let settings = &rules.settings().token;

        let found = find_in_subject(&text, settings);
        assert!(found.len() <= TOKENS_MAX);
        for token in &found {
            let digits = token
                .as_str()
                .chars()
                .rev()
                .take_while(char::is_ascii_digit)
                .count();
            assert!((2..=TOKEN_DIGITS_MAX).contains(&digits), "{token}");
        }
        let stripped = strip_tokens(&text, settings);
        assert!(stripped.len() <= text.len());
        let cleaned = rules.cleaner().clean(&text);
        assert!(cleaned.len() <= text.len().min(2048));
        let terms = subject_terms(&text, rules);
        assert!(terms.len() <= usize::from(rules.settings().smart_matching.hash_count_max));
        assert!(terms.is_sorted_by(|a, b| a < b), "sorted, each once");
        assert_eq!(subject_key(&terms).bits() == 0, terms.is_empty());

        let token =
            TrackingToken::candidates(settings, u32::MAX - u32::from(source.byte()), counter)
                .nth(counter as usize % 3)
                .expect("eighteen are offered");
        let appended = append(&text, &token, settings);
        let short = append_to_subject(
            &text,
            &TrackingToken::compose(settings, 7, counter),
            settings,
        );
        observed(&(
            found.len(),
            magnitude(terms.len()),
            magnitude(text.len() - stripped.len()),
            magnitude(appended.len()),
            magnitude(short.len()),
            text.is_ascii(),
            input
                .first()
                .map(|byte| usize::from(*byte) % self.rules.len()),
        ))
    }
}

fn append(text: &str, token: &TrackingToken, settings: &TokenSettings) -> String {
    let subject = append_to_subject(text, token, settings);
    let limit = usize::from(settings.subject_length_max);
    assert!(
        subject.chars().count() <= limit,
        "{} characters",
        subject.chars().count()
    );
    assert!(!subject.chars().any(char::is_control));
    if token.as_str().chars().count() > limit {
        return subject;
    }
    assert_eq!(
        append_to_subject(&subject, token, settings),
        subject,
        "once is enough"
    );
    let found = find_in_subject(&subject, settings);
    // So many others may stand before it that it is not among those looked at.
    if found.len() < TOKENS_MAX
        && token
            .as_str()
            .chars()
            .rev()
            .take_while(char::is_ascii_digit)
            .count()
            <= TOKEN_DIGITS_MAX
    {
        assert!(found.contains(token), "{token} in {subject:?}: {found:?}");
    }
    subject
}
