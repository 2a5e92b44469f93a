//! Query strings: the part of the Advanced Query Syntax that clients use.

use crate::model::{Address, Field, Item};

/// Conditions that must all hold.
///
/// Source: the QueryString page of the EWS documentation, for the keywords.
#[derive(Debug)]
pub(super) struct Query(Vec<Condition>);

#[derive(Debug)]
struct Condition {
    /// In lower case; empty for a word without one.
    keyword: String,
    wanted: String,
}

impl Query {
    pub(super) fn read(text: &str) -> Self {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for character in text.chars() {
            match character {
                '"' => quoted = !quoted,
                space if space.is_whitespace() && !quoted => words.push(String::new()),
                other => {
                    if let Some(word) = words.last_mut() {
                        word.extend(other.to_lowercase());
                    }
                }
            }
        }
        let conditions = words
            .into_iter()
            .filter(|word| !word.is_empty() && word != "and");
        Self(conditions.map(|word| Condition::read(&word)).collect())
    }

    pub(super) fn fits(&self, item: &Item) -> bool {
        self.0.iter().all(|condition| condition.fits(item))
    }
}

impl Condition {
    fn read(word: &str) -> Self {
        let (keyword, wanted) = word.split_once(':').unwrap_or(("", word));
        Self {
            keyword: keyword.to_owned(),
            wanted: wanted.trim_matches('*').to_owned(),
        }
    }

    fn fits(&self, item: &Item) -> bool {
        let summary = item.summary();
        let contains = |text: &str| text.to_lowercase().contains(&self.wanted);
        let names = |all: &[Address]| {
            all.iter()
                .any(|one| contains(&one.name) || contains(&one.address))
        };
        let field = |name: &str| {
            item.fields
                .get(name)
                .map_or("", |field: &Field| &field.text)
        };
        let subject = || contains(&summary.subject) || contains(field("Subject"));
        let from = || names(summary.from.as_slice());
        let body = || {
            let parts = &item.parts().body;
            contains(&parts.text)
                || parts.html.as_deref().is_some_and(contains)
                || contains(field("Body"))
        };
        let wanted_on = matches!(self.wanted.as_str(), "true" | "yes" | "1");
        match self.keyword.as_str() {
            "" => subject() || from() || names(&summary.to) || names(&summary.cc) || body(),
            "subject" => subject(),
            "from" => from(),
            "to" => names(&summary.to),
            "cc" => names(&summary.cc),
            "participants" => from() || names(&summary.to) || names(&summary.cc),
            "body" => body(),
            "category" => item.categories.iter().any(|category| contains(category)),
            "importance" => summary.importance.to_lowercase() == self.wanted,
            "isread" => item.read == wanted_on,
            "hasattachment" | "hasattachments" => item.has_attachments() == wanted_on,
            "attachment" => item.all_attachments().iter().any(|one| contains(&one.name)),
            // A keyword that the index does not know is a word of the text.
            other => {
                let whole = format!("{other}:{}", self.wanted);
                summary.subject.to_lowercase().contains(&whole)
            }
        }
    }
}
