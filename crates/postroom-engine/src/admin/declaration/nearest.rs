//! "Did you mean": the name among those that exist that is nearest to what was typed.

/// The nearest of the names, if it is near enough to be meant.
///
/// ```
/// use postroom_engine::declaration::nearest;
/// assert_eq!(nearest("Lodnon", ["Lisbon", "London"]), Some("London"));
/// assert_eq!(nearest("Tokyo", ["Lisbon", "London"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let allowed = (typed.chars().count() / 3).clamp(1, 4);
    names
        .into_iter()
        .map(|name| (distance(&typed, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many characters have to be typed otherwise: left out, added, replaced, or two of them swapped.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // The rows of the table for the prefixes of `a`: before the last one, and the last one.
    let mut older: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let cost = usize::from(x != *y);
            let mut least = (at(&row, j) + cost)
                .min(at(&next, j) + 1)
                .min(at(&row, j + 1) + 1);
            let before = j.checked_sub(1);
            if let Some(before) = before
                && previous == Some(*y)
                && b.get(before) == Some(&x)
            {
                least = least.min(at(&older, before) + 1);
            }
            next.push(least);
        }
        older = std::mem::replace(&mut row, next);
        previous = Some(x);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("ada", "ada", 0),
            ("nmae", "name", 1),
            ("Lodnon", "London", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn only_near_names_are_meant() {
        let names = ["ada@example.org", "support@example.org"];
        assert_eq!(nearest("adda@example.org", names), Some("ada@example.org"));
        assert_eq!(nearest("Ada@Example.org", names), Some("ada@example.org"));
        assert_eq!(nearest("zoe@elsewhere.example", names), None);
        assert_eq!(nearest("x", ["ab"]), None);
    }
}
